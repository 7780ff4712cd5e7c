"""Volumes of a pod: folders below the state that are mounted into its containers.

ConfigMaps, Secrets, tokens and the downward API are written as kubelet does: a new folder, and one symbolic link that
is turned to it, so that a reader sees all of the old or all of the new files."""
import asyncio
import base64
import os
import shutil
import time

from api import TROUBLE
from env import ConfigError

READ_ONLY_KINDS = ("configMap", "secret", "projected", "downwardAPI")
RETRY_S = 1


class Configs:
    """ConfigMaps and Secrets out of the stores, as {key: bytes}."""

    def __init__(self):
        self.stores = {}

    def read(self, kind, namespace, name):
        obj = self.stores[kind].objects.get((namespace, name))
        if obj is None:
            return None
        if kind == "configmap":
            result = {k: v.encode() for k, v in (obj.get("data") or {}).items()}
            result.update({k: base64.b64decode(v) for k, v in (obj.get("binaryData") or {}).items()})
            return result
        return {k: base64.b64decode(v) for k, v in (obj.get("data") or {}).items()}


def write_atomically(folder, files, mode_of, group):
    """files: {relative path: bytes}. Nothing is touched if all is as it should be."""
    link = f"{folder}/..data"
    current = os.readlink(link) if os.path.islink(link) else None
    if current and same(f"{folder}/{current}", files):
        return False
    fresh = f"..{time.strftime('%Y_%m_%d_%H_%M_%S', time.gmtime())}.{time.monotonic_ns() % 10**9}"
    os.mkdir(f"{folder}/{fresh}", 0o755)
    for path, content in files.items():
        full = f"{folder}/{fresh}/{path}"
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(content)
        mode, uid = mode_of(path)
        os.chown(full, uid, -1 if group is None else group)
        os.chmod(full, mode | (0o440 if group is not None else 0))
    os.symlink(fresh, f"{folder}/..data_tmp")
    os.rename(f"{folder}/..data_tmp", link)
    tops = {path.split("/")[0] for path in files}
    for name in tops:
        if not os.path.lexists(f"{folder}/{name}"):
            os.symlink(f"..data/{name}", f"{folder}/{name}")
    for name in os.listdir(folder):
        if not name.startswith("..") and name not in tops:
            os.unlink(f"{folder}/{name}")
    if current:
        shutil.rmtree(f"{folder}/{current}", ignore_errors=True)
    return True


def same(folder, files):
    found = {}
    for where, _, names in os.walk(folder):
        for name in names:
            full = os.path.join(where, name)
            with open(full, "rb") as file:
                found[os.path.relpath(full, folder)] = file.read()
    return found == files


class Token:
    """One projected service account token; fetched anew at 80 % of its life, as kubelet does."""

    def __init__(self, source):
        self.audience = source.get("audience")
        self.expiry_s = source.get("expirationSeconds", 3600)
        self.path = source["path"]
        self.value, self.renew_at = None, 0

    async def fetch(self, api, pod):
        account = pod.obj["spec"].get("serviceAccountName", "default")
        bound = {"apiVersion": "v1", "kind": "Pod", "name": pod.name, "uid": pod.uid}
        spec = {"expirationSeconds": self.expiry_s, "boundObjectRef": bound}
        if self.audience:
            spec["audiences"] = [self.audience]
        answer = await api.post(f"/api/v1/namespaces/{pod.namespace}/serviceaccounts/{account}/token",
                                {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})
        self.value = answer["status"]["token"].encode()
        self.renew_at = time.monotonic() + min(0.8 * self.expiry_s, 24 * 3600)


class Volumes:
    def __init__(self, pod, host):
        self.pod, self.host = pod, host
        self.folder = f"{host.run_dir}/pods/{pod.uid}/volumes"
        self.specs = {v["name"]: v for v in pod.obj["spec"].get("volumes") or []}
        self.uses = set()  # (kind, name) of ConfigMaps and Secrets
        self.tokens = {}   # volume: [Token]
        self.token_task = None
        security = pod.obj["spec"].get("securityContext") or {}
        self.group = security.get("fsGroup")
        self.token_uid = self.common_user()

    def common_user(self):
        """Whom token files belong to: the user as whom all containers run, if that is one."""
        spec = self.pod.obj["spec"]
        default = (spec.get("securityContext") or {}).get("runAsUser")
        users = {(c.get("securityContext") or {}).get("runAsUser", default)
                 for c in spec["containers"] + (spec.get("initContainers") or [])}
        return users.pop() if len(users) == 1 else None

    async def prepare(self, failed):
        """All volumes are there when this returns; failed(message) tells what it waits for."""
        os.makedirs(self.folder, exist_ok=True)
        while True:
            try:
                for name, spec in self.specs.items():
                    for token in self.tokens_of(name, spec):
                        if token.value is None:
                            await token.fetch(self.host.api, self.pod)
                    self.write(name, spec)
                break
            except (*TROUBLE, ConfigError) as error:
                failed(f"MountVolume.SetUp failed: {error}")
                await asyncio.sleep(RETRY_S)
        if any(self.tokens.values()):
            self.token_task = asyncio.create_task(self.renew())

    def stop(self):
        if self.token_task:
            self.token_task.cancel()

    def remove(self):
        self.stop()
        shutil.rmtree(os.path.dirname(self.folder), ignore_errors=True)

    def tokens_of(self, name, spec):
        if name not in self.tokens:
            sources = (spec.get("projected") or {}).get("sources") or []
            self.tokens[name] = [Token(s["serviceAccountToken"]) for s in sources if "serviceAccountToken" in s]
        return self.tokens[name]

    async def renew(self):
        while True:
            every = [(t.renew_at, name, t) for name, tokens in self.tokens.items() for t in tokens]
            when, name, token = min(every, key=lambda item: item[0])
            await asyncio.sleep(max(1, when - time.monotonic()))
            try:
                await token.fetch(self.host.api, self.pod)
                self.write(name, self.specs[name])
            except (*TROUBLE, ConfigError) as error:
                print(f"node: token of {self.pod.namespace}/{self.pod.name}: {error}", flush=True)
                token.renew_at = time.monotonic() + 5

    def refresh(self, kind=None, name=None):
        """A ConfigMap or Secret changed, or (without one) the pod's own labels."""
        if kind and (kind, name) not in self.uses:
            return
        for volume, spec in self.specs.items():
            if os.path.isdir(f"{self.folder}/{volume}"):
                try:
                    self.write(volume, spec)
                except (ConfigError, OSError):
                    pass  # what is mounted stays as it was

    def write(self, name, spec):
        folder = f"{self.folder}/{name}"
        kind = next((k for k in spec if k != "name"), "emptyDir")
        if kind == "hostPath":
            self.host_path(spec["hostPath"])
            return
        if kind == "emptyDir":
            if not os.path.isdir(folder):
                os.mkdir(folder)
                os.chmod(folder, 0o777)
                if self.group is not None:
                    os.chown(folder, -1, self.group)
                    os.chmod(folder, 0o2777)
            return
        if kind not in READ_ONLY_KINDS:
            raise ConfigError(f"volume '{name}': there are no {kind} volumes here")
        os.makedirs(folder, mode=0o755, exist_ok=True)
        files, modes = {}, {}
        source = spec[kind]
        for part in source.get("sources") or [] if kind == "projected" else [{kind: source}]:
            self.collect(name, part, source.get("defaultMode", 0o644), files, modes)
        write_atomically(folder, files, modes.__getitem__, self.group)

    def collect(self, volume, part, mode, files, modes):
        """The files of one source: their bytes and (mode, owner)."""
        kind, source = next(iter(part.items()))
        if kind == "serviceAccountToken":
            token = next(t for t in self.tokens[volume] if t.path == source["path"])
            files[token.path] = token.value
            private = self.group is not None or self.token_uid is not None
            modes[token.path] = (0o600 if private else mode, self.token_uid if self.token_uid is not None else 0)
        elif kind == "downwardAPI":
            for item in source.get("items") or []:
                files[item["path"]] = self.told(item).encode()
                modes[item["path"]] = (item.get("mode", mode), 0)
        elif kind in ("configMap", "secret"):
            self.collect_keys(kind, source, mode, files, modes)
        else:
            raise ConfigError(f"volume '{volume}': there are no {kind} sources here")

    def told(self, item):
        if "fieldRef" in item:
            return self.pod.downward.field(item["fieldRef"]["fieldPath"])
        reference = item["resourceFieldRef"]
        return self.pod.downward.resource(reference, self.pod.obj["spec"]["containers"][0])

    def collect_keys(self, kind, source, mode, files, modes):
        kind = kind.lower()
        name = source.get("name") or source.get("secretName")
        self.uses.add((kind, name))
        values = self.host.configs.read(kind, self.pod.namespace, name)
        if values is None:
            if source.get("optional"):
                return
            raise ConfigError(f'{kind} "{name}" not found')
        items = source.get("items")
        for item in items if items is not None else [{"key": k, "path": k} for k in values]:
            if item["key"] in values:
                files[item["path"]] = values[item["key"]]
                modes[item["path"]] = (item.get("mode", mode), 0)
            elif not source.get("optional"):
                raise ConfigError(f"references non-existent config key: {item['key']}")

    def host_path(self, source):
        """A pod's host is below the state: what it writes there is seen by the node's other pods, not by the
        machine."""
        path = f"{self.host.run_dir}/hosts/{self.pod.node.name}/{source['path'].strip('/')}"
        kind = source.get("type", "")
        if not os.path.lexists(path):
            if kind in ("", "DirectoryOrCreate"):
                os.makedirs(path)
            elif kind == "FileOrCreate":
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb"):
                    pass
            else:
                raise ConfigError(f"hostPath '{source['path']}' is not there, type {kind}")
        return path

    def source_of(self, mount, expand):
        """The file or folder to mount, and whether it can only be read."""
        spec = self.specs[mount["name"]]
        path = self.host_path(spec["hostPath"]) if "hostPath" in spec else f"{self.folder}/{mount['name']}"
        inner = expand(mount["subPathExpr"]) if mount.get("subPathExpr") else mount.get("subPath")
        if inner:
            whole = os.path.realpath(path)
            path = os.path.realpath(os.path.join(whole, inner))
            if os.path.commonpath([path, whole]) != whole:
                raise ConfigError(f"subPath '{inner}' leads out of the volume")
            if not os.path.exists(path):
                os.makedirs(path)
                os.chmod(path, os.stat(whole).st_mode & 0o7777)
        return path, mount.get("readOnly", False) or any(k in spec for k in READ_ONLY_KINDS)
