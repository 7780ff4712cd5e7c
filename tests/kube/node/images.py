"""Which program stands for which image: tests/kube/images.yaml.

    - match: ["mesh:*"]             # with and without docker.io/ and docker.io/library/; no tag is :latest
      root: scratch                 # an empty root with `files`; or host: this machine's files, own and writable copy
      files: {/mesh: build/mesh}    # path in the container: file, from the top of the repository or absolute
      entrypoint: [/mesh]
      cmd: []
      user: 1337                    # as USER in a Dockerfile; default 0
      group: 1337                   # default 0
      env: {NAME: value}
      workdir: /

In values, ${NAME} and ${NAME:-default} are the node program's own environment."""
import fnmatch
import os
import re

import yaml

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


class ImageError(Exception):
    pass


class Image:
    def __init__(self, entry, top):
        def filled(text):
            return _VARIABLE.sub(lambda m: os.environ.get(m[1]) or m[2] or "", str(text))

        patterns = entry["match"] if isinstance(entry["match"], list) else [entry["match"]]
        self.patterns = [normal(p) for p in patterns]
        self.scratch = entry.get("root", "scratch") == "scratch"
        self.files = {path: os.path.join(top, filled(file)) for path, file in (entry.get("files") or {}).items()}
        self.entrypoint = [filled(w) for w in entry.get("entrypoint") or []]
        self.cmd = [filled(w) for w in entry.get("cmd") or []]
        self.user, self.group = int(entry.get("user", 0)), int(entry.get("group", 0))
        self.env = {name: filled(value) for name, value in (entry.get("env") or {}).items()}
        self.workdir = entry.get("workdir") or "/"

    def argv(self, command, args):
        """What runs: `command` replaces ENTRYPOINT and CMD, `args` replaces CMD."""
        if command:
            return command + args
        return self.entrypoint + (args or self.cmd)


def normal(name):
    for start in ("docker.io/library/", "index.docker.io/", "docker.io/"):
        name = name.removeprefix(start)
    name = name.partition("@")[0]
    return name if ":" in name.rpartition("/")[2] else name + ":latest"


class Images:
    def __init__(self, path):
        self.path = os.path.abspath(path)
        self.top = os.path.dirname(os.path.dirname(os.path.dirname(self.path)))
        self.stamp, self.images = None, []

    def find(self, name):
        """The image, or ImageError that says what is missing. The file is read again when it has changed."""
        stamp = os.stat(self.path).st_mtime_ns
        if stamp != self.stamp:
            with open(self.path, encoding="utf-8") as file:
                self.images = [Image(entry, self.top) for entry in yaml.safe_load(file)["images"]]
            self.stamp = stamp
        wanted = normal(name)
        for image in self.images:
            if any(fnmatch.fnmatchcase(wanted, pattern) for pattern in image.patterns):
                for path, file in image.files.items():
                    if not os.path.exists(file):
                        raise ImageError(f"image '{name}' has {path} from '{file}', which is not there")
                return image
        raise ImageError(f"image '{name}' stands for no program of this machine; see {self.path}")
