"""mesh in a cluster: installed by its own CLI, and what tests ask of Bookinfo through the gateway."""
import collections
import contextlib
import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from harness.proc import REPO, find_mesh

BOOKINFO = REPO / "examples" / "bookinfo" / "kubernetes"
DEPLOYMENTS = ("productpage-v1", "details-v1", "ratings-v1", "reviews-v1", "reviews-v2", "reviews-v3")


class Mesh:
    def __init__(self, cluster):
        self.cluster = cluster
        self.binary = str(find_mesh())

    def run(self, *words, check=True, timeout=180, text=None):
        """mesh WORD..., as somebody with the cluster's kubeconfig types it."""
        done = subprocess.run([self.binary, *words, "--kubeconfig", str(self.cluster.config)], capture_output=True,
                              text=True, input=text, timeout=timeout, check=False)
        assert not check or done.returncode == 0, f"mesh {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def install(self, *words):
        return self.run("install", "--set", "profile=demo", "-y", *words)

    def uninstall(self):
        return self.run("uninstall", "-y")

    def gateway(self, name="mesh-ingressgateway", namespace="mesh-system"):
        """The external address of a gateway's Service, once it has one."""
        def address():
            found = self.cluster.get("-n", namespace, "service", name)
            ingress = found.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}]
            return ingress[0].get("ip")
        self.cluster.wait(f"an address of {namespace}/{name}", address)
        return address()


class Shop:
    """Bookinfo behind one address."""

    def __init__(self, address):
        self.address = address

    def get(self, path="/productpage", user=None, timeout=20, host=None):
        """Status (0: no answer) and text."""
        headers = {"end-user": user} if user else {}  # as the page sends it on for who is logged in
        headers |= {"host": host} if host else {}
        request = urllib.request.Request(f"http://{self.address}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except OSError as error:
            return 0, str(error)

    def version(self, user=None):
        """Which reviews wrote the page: 1 without stars, 2 black, 3 red; 0: the page has none."""
        status, page = self.get(user=user)
        if status != 200 or "<h4>Book Reviews</h4>" not in page:
            return 0
        return 3 if '<font color="red">' in page else 2 if '<font color="black">' in page else 1

    def versions(self, count, user=None):
        return collections.Counter(self.version(user) for _ in range(count))


class Load:
    """Constant load on a page, from the host; stop() answers the summary of `mesh sample load --json`."""

    def __init__(self, url, rps=50, *words):
        self.process = subprocess.Popen([str(find_mesh()), "sample", "load", url, "--rps", str(rps), "--json", *words],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def stop(self):
        self.process.terminate()
        out, err = self.process.communicate(timeout=30)
        assert out, err
        return json.loads(out)


def rolled_out(cluster, *names, namespace="default", timeout_s=60):
    """Waits until each Deployment (or KIND/NAME) has its new pods, and they are ready."""
    for name in names:
        cluster.kubectl("-n", namespace, "rollout", "status", name if "/" in name else f"deployment/{name}",
                        f"--timeout={timeout_s}s", timeout=timeout_s + 10)


def manifests(*names):
    return [str(BOOKINFO / name) for name in names]


def apply_files(cluster, *names):
    for path in manifests(*names):
        cluster.kubectl("apply", "-f", path)


def delete_files(cluster, *names):
    for path in manifests(*names):
        cluster.kubectl("delete", "--ignore-not-found", "-f", path)


def _is_of(cluster, status):
    """Whether a process, as /proc/PID/status has it, descends from the cluster's node program."""
    node = cluster.pid("node")
    while (parent := int(status["PPid"])) > 1:
        if parent == node:
            return True
        status = _status_of(parent)
    return False


def _status_of(pid):
    return dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())


def processes(cluster, *words):
    """Ids of the processes of the cluster's pods whose command line begins so, as this machine numbers them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, KeyError):
            if (entry / "cmdline").read_text().split("\0")[:len(words)] == list(words) and _is_of(cluster, _status_of(entry.name)):
                found.append(int(entry.name))
    return found


def resident_kb(cluster, *words):
    """Memory of each of these processes: what it has, and the most it had."""
    found = []
    for pid in processes(cluster, *words):
        with contextlib.suppress(OSError, KeyError):
            found.append(tuple(int(_status_of(pid)[name].split()[0]) for name in ("VmRSS", "VmHWM")))
    return found


def failures(cluster):
    """What the proxies of all pods, also of those that are gone, logged of requests that did not go well."""
    bad = []
    for path in sorted((cluster.folder / "node" / "log").glob("*/mesh-proxy.log")):
        for line in path.read_text(errors="replace").splitlines():
            words = line.split()
            if line.startswith("[") and len(words) > 4 and words[1].startswith('"') and not words[4].startswith(("2", "3")):
                bad.append(f"{path.parent.name}: {line}")
    return bad


def pods(cluster, namespace="default", selector=None):
    words = ["-n", namespace, "get", "pods", "-o", "json"] + (["-l", selector] if selector else [])
    return json.loads(cluster.kubectl(*words).stdout)["items"]
