"""A pod as kubelet and the injector make it: redirected by mesh init, the proxy as user 1337 without capabilities, with the cluster's DNS and the options
and environment that the injector writes. The node is a namespace of its own, with control, DNS and kubelet on it."""
import http.client
import json
import os
import shlex
import shutil
import signal
import socket
import struct
import tempfile
import threading
import time
from pathlib import Path

import pytest
from harness.ca import Ca
from harness.native import Control, service, workload
from harness.netns import NetNs, join, why_not
from harness.proc import Process, wait_until
from harness.proxy import is_sanitized
from test_pod_ports import App

pytestmark = [pytest.mark.mesh_only, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]

POD, NODE = "10.78.0.1", "10.78.0.2"
CONTROL = "mesh-control.mesh-system.svc.cluster.local"
RESOLV_CONF = f"search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver {NODE}\noptions ndots:5\n"


class Dns:
    """The cluster's DNS, as far as it is asked here."""

    def __init__(self, where):
        self.names = {CONTROL: NODE, "outside.example": "192.0.2.7"}
        self.asked = []
        with where:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind((NODE, 53))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            name, kind, end = read_question(query)
            self.asked.append(name)
            address = self.names.get(name)
            found = address is not None and kind == 1
            head = query[:2] + struct.pack("!HHHHH", 0x8180 | (0 if address else 3), 1, int(found), 0, 0)
            answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 30, 4) + socket.inet_aton(address) if found else b""
            self.socket.sendto(head + query[12:end] + answer, peer)

    def close(self):
        self.socket.close()


def read_question(message):
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(labels), struct.unpack_from("!H", message, at + 1)[0], at + 5


class NodeControl(Control):
    """Control on the node."""

    def __init__(self, binary, folder, node):
        self.folder = folder
        self.data = folder / "control-data"
        self.socket = folder / "control.sock"
        self.address = NODE
        Process.__init__(self, node.enter(
            binary, "control", "--config-dir", folder / "objects", "--data-dir", self.data, "--socket", self.socket,
            "--api-address", "off", "--xds-address", f"{NODE}:15012", "--workers", "1"), folder / "control.log")
        self.wait_for(lambda: "control ready" in self.text(), "control to be ready")


def is_dynamic(binary):
    """Not the release, which needs less."""
    return b"/ld-linux" in Path(binary).read_bytes()


class World:
    def __init__(self, lab, binary):
        self.lab, self.binary = lab, binary
        self.pod, self.node = NetNs(), NetNs()
        join(self.pod, self.node, POD + "/24", NODE + "/24")
        self.pod.run("ip", "route", "add", "default", "via", NODE)
        self.dns = Dns(self.node)
        # Where user 1337 gets, unlike the folder of the test.
        self.folder = Path(tempfile.mkdtemp(prefix="mesh-pod-"))
        self.folder.chmod(0o755)
        lab.at_end(self.close)
        (self.folder / "objects").mkdir()
        with self.pod:
            self.app = App(host="0.0.0.0")
        lab.at_end(self.app.close)
        self.proxy = self.control = None

    def close(self):
        for process in (self.proxy, self.control):
            if process is not None and process.alive():
                process.stop()
        self.dns.close()
        self.pod.close()
        self.node.close()
        shutil.rmtree(self.folder)

    def write(self, text):
        (self.folder / "objects" / "all.yaml").write_text(text)

    def start_control(self):
        self.control = NodeControl(self.binary, self.folder, self.node)

    def start_proxy(self, *args):
        """As the injector writes it; the token is a join token, since there is no API server."""
        state, token = self.folder / "state", self.folder / "token"
        state.mkdir(mode=0o700)
        os.chown(state, -1, 1337)
        state.chmod(0o2777)  # an emptyDir with an fsGroup
        token.write_text(Ca.token(self.control, "web", "shop"))
        (self.folder / "labels").write_text('app="web"\nversion="v1"\n')
        (self.folder / "resolv.conf").write_text(RESOLV_CONF)
        (self.folder / "root-cert.pem").write_bytes((self.folder / "control-data" / "ca-root.pem").read_bytes())
        for name in ("token", "labels", "resolv.conf", "root-cert.pem"):
            (self.folder / name).chmod(0o644)
        self.pod.run(self.binary, "init", "--dns-port", "15053")
        options = ["proxy", "--type", "sidecar", "--control", "mesh-control.mesh-system.svc:15012", "--ca-root",
                   self.folder / "root-cert.pem", "--token-file", token, "--name", "web-1", "--namespace", "shop",
                   "--service-account", "web", "--address", POD, "--workload", "web", "--labels-file",
                   self.folder / "labels", "--status-address", ":15020", "--ready-address", ":15021", "--stats-address",
                   ":15090", "--dns-capture", "--trust-domain", "cluster.local", "--cluster-id", "Kubernetes", "--log-level",
                   "info", "--concurrency", "1", "--state-dir", state, *args]
        if "--drain-time-s" not in args:
            options += ["--drain-time-s", "0"]
        run = shlex.join(["setpriv", "--reuid", "1337", "--regid", "1337", "--clear-groups", "--no-new-privs",
                          "--bounding-set=-all", "--", *map(str, [self.binary, *options])])
        bind = shlex.join(["mount", "--bind", str(self.folder / "resolv.conf"), "/etc/resolv.conf"])
        probes = {"/app-health/web/readyz": {"httpGet": {"path": "/healthz", "port": self.app.port}}}
        self.proxy = Process(self.pod.enter("unshare", "--mount", "sh", "-c", f"{bind} && exec {run}"),
                             self.folder / "proxy.log",
                             env={"INSTANCE_IPS": POD, "MESH_APP_PROBES": json.dumps(probes),
                                  "MESH_APP_METRICS": json.dumps({"port": str(self.app.port), "path": "/metrics"})})

    def get(self, port, path="/", host=POD, where=None, method="GET"):
        """From the node, as kubelet and Prometheus."""
        with where or self.node:
            c = socket.create_connection((host, port), 10)
        with c:
            c.sendall(f"{method} {path} HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n\r\n".encode())
            r = http.client.HTTPResponse(c)
            r.begin()
            return r.status, r.read()

    def ready(self):
        return self.get(15021, "/healthz/ready")[0]

    def ask_dns(self, name):
        """As the application does."""
        question = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0\0\1\0\1"
        with self.pod, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(10)
            s.sendto(b"\x12\x34\1\0\0\1\0\0\0\0\0\0" + question, (NODE, 53))
            answer = s.recv(4096)
        return socket.inet_ntoa(answer[-4:]) if answer[7] else None


@pytest.fixture
def world(lab, mesh_bin):
    w = World(lab, mesh_bin)
    w.app.answers.update({"/healthz": (200, {}, b"fine"), "/": (200, {}, b"hello"),
                          "/metrics": (200, {"content-type": "text/plain"}, b"app_jobs_total 3\n")})
    w.write(service("web", 80, w.app.port).replace("default", "shop") + workload("web-1", "web", POD).replace("default", "shop") +
            "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\n"
            "metadata: {name: default, namespace: istio-system}\nspec: {mtls: {mode: STRICT}}\n")
    return w


def test_what_kubelet_and_prometheus_see_under_strict(world):
    world.start_control()
    world.start_proxy()
    wait_until(lambda: world.ready() == 200, "the proxy to be ready", 60)
    # It found control by the search domains of its resolv.conf; none of its questions was redirected to itself.
    assert CONTROL in world.dns.asked
    assert world.get(15020, "/healthz/ready")[0] == 200
    assert world.get(15020, "/app-health/web/readyz") == (200, b"fine")
    both = world.get(15020, "/stats/prometheus")[1]
    assert b"\napp_jobs_total 3\n" in both and b"mesh_identity_requests_total" in both
    assert b"app_jobs_total" not in world.get(15090, "/stats/prometheus")[1]
    # The probe went to the application on loopback, not through the proxy: nothing was counted there.
    assert world.app.seen[0].client_address[0] == "127.0.0.1"
    # The application itself takes mutual TLS only.
    with pytest.raises((OSError, http.client.HTTPException)):
        world.get(world.app.port)
    assert world.get(15020, "/quitquitquit", method="POST")[0] == 403
    # What the application asks goes to the proxy, and on to the cluster's DNS where the mesh does not know.
    assert world.ask_dns("web.shop.svc.cluster.local") is not None
    assert "web.shop.svc.cluster.local" not in world.dns.asked
    assert world.ask_dns("outside.example") == "192.0.2.7"
    assert "outside.example" in world.dns.asked
    rss_kb = world.proxy.rss_kb()
    print(f"rss {rss_kb} KiB")
    if not is_sanitized(world.binary):
        assert rss_kb < (6 if is_dynamic(world.binary) else 5) * 1024
    # Whoever may in the pod ends it.
    assert world.get(15020, "/quitquitquit", host="127.0.0.1", where=world.pod, method="POST")[0] == 200
    assert world.proxy.wait() == 0


def test_it_starts_before_control_is_there(world):
    world.start_control()
    world.dns.names.clear()
    world.start_proxy()
    wait_until(lambda: CONTROL in world.dns.asked, "it to ask for control")
    wait_until(lambda: b"resolve" in world.get(15021, "/healthz/ready")[1], "the reason")
    assert world.ready() == 503
    world.dns.names[CONTROL] = NODE
    wait_until(lambda: world.ready() == 200, "the proxy to be ready", 60)
    assert world.get(15020, "/app-health/web/readyz")[0] == 200


def test_last_calls_while_it_drains(world):
    """The classic form: application and proxy are told at once; both directions are served for the whole drain time."""
    with world.node:
        outside = App(host=NODE)
    world.lab.at_end(outside.close)
    outside.answers["/"] = (200, {}, b"outside")
    world.start_control()
    world.start_proxy("--drain-time-s", "3")
    wait_until(lambda: world.ready() == 200, "the proxy to be ready", 60)
    assert world.get(outside.port, host=NODE, where=world.pod) == (200, b"outside")
    assert outside.seen[0].client_address[0] == POD
    begin = time.monotonic()
    world.proxy.signal(signal.SIGTERM)
    wait_until(lambda: world.ready() == 503, "the drain to begin")
    while time.monotonic() - begin < 2:
        assert world.get(outside.port, host=NODE, where=world.pod) == (200, b"outside")
        assert world.get(15020, "/app-health/web/readyz")[0] == 200
        assert world.ask_dns("outside.example") == "192.0.2.7"
    assert world.proxy.wait() == 0
    assert time.monotonic() - begin > 2.9
