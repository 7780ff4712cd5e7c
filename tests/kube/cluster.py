"""A Kubernetes in a network namespace that has no way out.

    cluster = Cluster(folder, number=16)
    cluster.start()
    cluster.kubectl("get", "nodes")
    cluster.stop()

Number 0 is that of `make kube-up`: namespace mesh-kube, API server https://172.31.255.2:6443, LoadBalancer addresses
172.31.250.x. Any other has addresses of its own, so that several run at once. The host reaches the API server and the
LoadBalancer addresses; the cluster can open no connection to the host. Everything it writes is in `folder`:

    config           kubeconfig of the administrator
    node.config      kubeconfig of the node program
    cluster.json     number, names and addresses
    log/NAME.log     what each program says
    pid/NAME         process id and start time of each program
    pki/, etcd/, node/
"""
import contextlib
import fcntl
import ipaddress
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from harness.proc import REPO, wait_until

from . import pki

TOOLS = REPO / "build" / "tools"
SERVICES = "10.96.0.0/16"
BY_HAND = 16  # numbers below are for make kube-up, those above for tests
LAST = 63
START_S = 60
NODE_PROGRAM = REPO / "tests" / "kube" / "node" / "node.py"
BOUNDED = {"GOMEMLIMIT": "1500MiB"}  # of each Go program, softly
CONTROLLERS_OFF = ("node-ipam-controller",)  # the node program gives each node its addresses


def why_not():
    """Why there can be no cluster here, or None."""
    if os.geteuid() != 0:
        return "a cluster of network namespaces needs root"
    for program in ("ip", "nft", "nsenter", "setpriv", "sysctl"):
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            return f"there is no program '{program}'; `make deps` installs it"
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "etcd"):
        if not (TOOLS / name).exists():
            return f"there is no {TOOLS / name}; `make kube-tools` builds it"
    return None


def run(*argv, check=True, **options):
    done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=options.pop("timeout", 30), check=False, **options)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, argv))}: {done.stderr.strip() or done.stdout.strip()}")
    return done


def _start_time(pid):
    """Field 22 of /proc/PID/stat, which tells a process from a later one of the same number; None: gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def _reap(pid):
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def reserve(first=BY_HAND, last=LAST):
    """A number for a test's cluster that nobody has; held until the returned file is closed, or we end."""
    for number in range(first, last + 1):
        lock = open(f"/run/mesh-kube-{number}.lock", "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return number, lock
        except BlockingIOError:
            lock.close()
    raise RuntimeError("all numbers of clusters are taken")


@contextlib.contextmanager
def cluster_of_tests(**how):
    """A cluster of this process' own, in build/kube-N; `how` is that of Cluster.start."""
    why = why_not()
    if why:
        raise RuntimeError(why)
    number, lock = reserve()
    one = Cluster(REPO / "build" / f"kube-{number}", number)
    with lock:
        one.stop()  # what a killed run left
        try:
            one.start(**how)
            yield one
        finally:
            one.stop()


class Cluster:
    def __init__(self, folder, number=0, die_with_us=True):
        """`die_with_us`: its programs end when this process does, however it ends."""
        self.folder = Path(folder).absolute()
        self.number = number
        self.die_with_us = die_with_us
        self._without = ()
        self.name = "mesh-kube" + (f"-{number}" if number else "")
        link = ipaddress.ip_network("172.31.255.0/24").network_address + 4 * number
        self.host_address, self.address = str(link + 1), str(link + 2)
        self.load_balancers = f"172.31.{250 - number}.0/24"
        self.link = f"mk{number}"
        self.server = f"https://{self.address}:6443"
        self.config = self.folder / "config"

    # ---- what tests use

    def command(self, *words):
        return [str(TOOLS / "kubectl"), f"--kubeconfig={self.config}", *map(str, words)]

    def kubectl(self, *words, text=None, check=True, timeout=60):
        """kubectl WORD...; `text` is its standard input. Answers what subprocess.run does."""
        done = subprocess.run(self.command(*words), input=text if text is not None else "", capture_output=True,
                              text=True, timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(map(str, words))}: {done.stderr.strip()}")
        return done

    def apply(self, text, *words):
        return self.kubectl("apply", *words, "-f", "-", text=text).stdout

    def get(self, *words):
        """The objects that kubectl get WORD... answers."""
        return json.loads(self.kubectl("get", *words, "-o", "json").stdout)

    def request(self, method, path, body=None, content_type="application/json", timeout=10):
        """A call of the API as administrator; status and body. No status is an error here."""
        trust = ssl.create_default_context(cafile=str(self.folder / "pki" / "ca.crt"))
        trust.load_cert_chain(self.folder / "pki" / "admin.crt", self.folder / "pki" / "admin.key")
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.server + path, data, {"content-type": content_type}, method=method)
        try:
            with urllib.request.urlopen(request, context=trust, timeout=timeout) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def inside(self, *argv):
        """argv that runs in the cluster's network (ip netns exec would hide /sys/fs/cgroup)."""
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *map(str, argv)]

    # ---- life

    def start(self, nodes=2, without=()):
        """Up to the first answer of /readyz and the default ServiceAccount, without which there are no pods. `without`: more controllers that
        are not needed."""
        self._claim()
        if self.folder.exists():
            shutil.rmtree(self.folder)
        for sub in ("log", "pid", "node"):
            (self.folder / sub).mkdir(parents=True)
        (self.folder / "cluster.json").write_text(json.dumps({
            "number": self.number, "name": self.name, "address": self.address, "host": self.host_address,
            "load_balancers": self.load_balancers}) + "\n")
        self._certificates()
        self._network()
        self.start_etcd()
        self.start_apiserver()
        self.wait_ready()
        self._without = without
        self._start_controllers()
        if nodes:
            self.spawn("node", [
                sys.executable, NODE_PROGRAM, "--kubeconfig", self.folder / "node.config", "--state", self.folder / "node",
                "--nodes", nodes, "--load-balancers", self.load_balancers])
        self.wait("the default ServiceAccount", self._account, program="kube-controller-manager")
        if nodes:
            self.wait(f"{nodes} ready nodes", lambda: self._nodes_ready() >= nodes, program="node")

    def _start_controllers(self):
        self.spawn("kube-controller-manager", [
            TOOLS / "kube-controller-manager", f"--kubeconfig={self.folder}/controller-manager.config",
            f"--service-account-private-key-file={self.folder}/pki/sa.key", f"--root-ca-file={self.folder}/pki/ca.crt",
            f"--cluster-signing-cert-file={self.folder}/pki/ca.crt", f"--cluster-signing-key-file={self.folder}/pki/ca.key",
            "--use-service-account-credentials", "--leader-elect=false", "--bind-address=127.0.0.1",
            "--controllers=" + ",-".join(["*", *CONTROLLERS_OFF, *self._without]),
            "--kube-api-qps=100", "--kube-api-burst=200", "--profiling=false"])
        self.spawn("kube-scheduler", [
            TOOLS / "kube-scheduler", f"--kubeconfig={self.folder}/scheduler.config", "--leader-elect=false",
            "--bind-address=127.0.0.1", "--profiling=false"])

    def start_etcd(self):
        self.spawn("etcd", [
            TOOLS / "etcd", f"--data-dir={self.folder}/etcd", "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379", "--listen-peer-urls=http://127.0.0.1:2380",
            "--unsafe-no-fsync", "--log-level=warn"])

    def start_apiserver(self):
        p = self.folder / "pki"
        self.spawn("kube-apiserver", [
            TOOLS / "kube-apiserver", "--etcd-servers=http://127.0.0.1:2379", f"--advertise-address={self.address}",
            "--secure-port=6443", f"--tls-cert-file={p}/apiserver.crt", f"--tls-private-key-file={p}/apiserver.key",
            f"--client-ca-file={p}/ca.crt", "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={p}/sa.pub", f"--service-account-signing-key-file={p}/sa.key",
            f"--service-cluster-ip-range={SERVICES}", "--allow-privileged=true",
            f"--kubelet-client-certificate={p}/kubelet-client.crt", f"--kubelet-client-key={p}/kubelet-client.key",
            "--kubelet-preferred-address-types=InternalIP", "--event-ttl=1h",
            "--profiling=false"])

    def restart_apiserver(self):
        """After it was ended: until it answers and the controllers are at work again. They begin anew as well: left alone, their informers come
        back one by one within a minute or more, and meanwhile Deployments may roll on while EndpointSlices stand still."""
        for name in ("kube-scheduler", "kube-controller-manager"):
            self.end(name, grace_s=0)
        self.start_apiserver()
        self.wait_ready()
        self._start_controllers()

    def stop(self):
        """Ends what start() made, also after a half start, also that of an earlier process; nothing of another cluster of
        this number. Safe to repeat."""
        self.end("node", grace_s=30)
        for name in ("kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"):
            self.end(name, grace_s=0)
        for record in sorted((self.folder / "pid").glob("*")):
            self.end(record.name)
        self._unmount()
        if self._owner() == str(self.folder):
            self._remove_network()

    def running(self):
        """Names of the programs that run."""
        return sorted(r.name for r in (self.folder / "pid").glob("*") if self.pid(r.name))

    def ended(self):
        """Names of the programs that should run and do not."""
        return sorted(r.name for r in (self.folder / "pid").glob("*") if not self.pid(r.name))

    def pid(self, name):
        """Process id of a program, None if it does not run."""
        try:
            pid, started = (self.folder / "pid" / name).read_text().split()
        except (OSError, ValueError):
            return None
        _reap(int(pid))
        return int(pid) if _start_time(pid) == started else None

    def signal(self, name, signo):
        """SIGSTOP makes a server that neither accepts nor answers, SIGCONT ends that."""
        os.kill(self.pid(name), signo)

    def issue(self, name, common, organization=None, dns=(), ips=()):
        """pki/NAME.crt and NAME.key of the cluster's CA."""
        pki.Pki(self.folder / "pki").issue(name, common, organization, dns, ips)

    def end(self, name, grace_s=5.0):
        """SIGTERM, and SIGKILL after the grace."""
        pid = self.pid(name)
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM if grace_s else signal.SIGKILL)
            try:
                wait_until(lambda: self.pid(name) is None, f"the end of {name}", grace_s or 10)
            except AssertionError:
                os.kill(pid, signal.SIGKILL)
                wait_until(lambda: self.pid(name) is None, f"the end of {name}", 10)
        (self.folder / "pid" / name).unlink(missing_ok=True)

    def wait(self, what, condition, deadline_s=START_S, program="kube-apiserver"):
        """Waits for a condition of objects: each look costs the API server something, so not as often as it can. Tells at once
        when the program that has to do something for it has ended, and what that said."""

        def check():
            if self.pid(program) is None:
                raise RuntimeError(f"{program} ended before: {what}\n{self.log(program)}")
            return condition()

        try:
            return wait_until(check, what, deadline_s, pause_s=0.1)
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- {self.folder}/log/{program}.log ends:\n{self.log(program)}") from None

    def spawn(self, name, argv, env=None):
        """A program in the cluster's network, ended by end(name) or with the cluster."""
        death = ["setpriv", "--pdeathsig", "TERM" if name == "node" else "KILL", "--"] if self.die_with_us else []
        with open(self.folder / "log" / f"{name}.log", "ab") as out:
            child = subprocess.Popen(
                death + self.inside(*argv), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                env={**os.environ, **BOUNDED, **(env or {})}, start_new_session=True, cwd="/")
        (self.folder / "pid" / name).write_text(f"{child.pid} {_start_time(child.pid)}\n")
        child.returncode = 0  # told by its record from now on, which also serves another process

    def wait_ready(self, deadline_s=START_S):
        self.wait("/readyz", lambda: self.request("GET", "/readyz", timeout=2)[0] == 200, deadline_s)

    def log(self, name, lines=30):
        path = self.folder / "log" / f"{name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    # ---- how

    def _account(self):
        return self.request("GET", "/api/v1/namespaces/default/serviceaccounts/default", timeout=2)[0] == 200

    def _nodes_ready(self):
        status, body = self.request("GET", "/api/v1/nodes", timeout=2)
        nodes = json.loads(body)["items"] if status == 200 else []
        return sum(1 for n in nodes for c in n["status"].get("conditions", ())
                   if c["type"] == "Ready" and c["status"] == "True")

    def _certificates(self):
        made = pki.Pki(self.folder / "pki")
        made.issue("apiserver", "kube-apiserver", dns=["kubernetes", "kubernetes.default", "kubernetes.default.svc",
                                                       "kubernetes.default.svc.cluster.local", "localhost"],
                   ips=["10.96.0.1", self.address, "127.0.0.1"])
        made.issue("kubelet", "mesh-lab-kubelet", ips=[self.address, "127.0.0.1"])
        for client, (user, group) in pki.CLIENTS.items():
            made.issue(client, user, group)
        for client, path in (("admin", self.config), ("controller-manager", self.folder / "controller-manager.config"),
                             ("scheduler", self.folder / "scheduler.config"), ("node", self.folder / "node.config")):
            path.touch(mode=0o600)
            path.write_text(pki.kubeconfig(self.folder / "pki", client, self.server, self.name))

    def _owner(self):
        """The folder of the cluster that has this number on this machine, None if nobody says so."""
        with contextlib.suppress(OSError):
            return Path(f"/run/{self.name}.owner").read_text().strip()
        return None

    def _claim(self):
        """Takes the number, or raises: it may be that of a cluster of another checkout. What a dead one left is removed."""
        if Path(f"/run/netns/{self.name}").exists():
            owner = self._owner()
            alive = Cluster(owner).running() if owner else run("ip", "netns", "pids", self.name).stdout.split()
            if alive:
                whose = f"that of {owner}" if owner else "somebody's"
                raise RuntimeError(f"the network namespace {self.name} is {whose}, which runs; have another beside it: "
                                   "make kube-up NUMBER=1")
            self._remove_network()
        Path(f"/run/{self.name}.owner").write_text(f"{self.folder}\n")

    def _remove_network(self):
        run("ip", "link", "del", self.link, check=False)
        if Path(f"/run/netns/{self.name}").exists():
            run("ip", "netns", "del", self.name)
        Path(f"/run/{self.name}.owner").unlink(missing_ok=True)

    def _network(self):
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", self.link, "type", "veth", "peer", "name", "host", "netns", self.name)
        run("ip", "addr", "add", f"{self.host_address}/30", "dev", self.link)
        run("ip", "link", "set", self.link, "up")
        run("ip", "route", "add", self.load_balancers, "via", self.address)
        for words in (["link", "set", "lo", "up"], ["addr", "add", f"{self.address}/30", "dev", "host"],
                      ["link", "set", "host", "up"]):
            run(*self.inside("ip", *words))
        run(*self.inside("sysctl", "-q", "-w", "net.ipv4.ip_forward=1"))
        # The host may call in; nothing in here, and no pod, calls out.
        rules = "\n".join(f"""add chain inet mesh-lab {hook} {{ type filter hook {hook} priority 10; }}
add rule inet mesh-lab {hook} oifname "host" ct state new,invalid drop""" for hook in ("output", "forward"))
        with open(self.folder / "log" / "lab.nft", "w") as file:
            file.write(f"add table inet mesh-lab\n{rules}\n")
        run(*self.inside("nft", "-f", file.name))

    def _unmount(self):
        """What was mounted below the folder, the last one first."""
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for mount in reversed([m for m in mounts if m.startswith(f"{self.folder}/")]):
            run("umount", "-l", mount, check=False)
