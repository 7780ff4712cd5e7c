"""A whole mesh without bootstrap files: `mesh control`, and sidecars that get who they are and all else from it, in interception NONE:
each on a loopback address of its own, with an HTTP proxy port for its application."""
import http.client
import itertools
import os
import signal

from .ca import Ca
from .client import Answer
from .proc import Process
from .proxy import Proxy, is_sanitized

HTTP_PROXY = 15007
XDS = 15012
_nets = itertools.count()


def service(name, port, target=None, app=None):
    return (f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: default}}\n"
            f"spec: {{ports: [{{name: http, port: {port}, targetPort: {target or port}}}], "
            f"selector: {{app: {app or name}}}}}\n")


def workload(name, app, address, mutual=True):
    labels = f"app: {app}" + (", security.istio.io/tlsMode: istio" if mutual else "")
    return (f"---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: {name}, namespace: default}}\n"
            f"spec: {{address: {address}, labels: {{{labels}}}, serviceAccount: {app}}}\n")


class Control(Ca):
    """`mesh control`; data and configuration outlive the process."""

    def __init__(self, binary, folder, address, *args):
        self.folder = folder
        self.data = folder / "control-data"
        self.socket = folder / "control.sock"
        self.objects = folder / "objects"
        self.objects.mkdir(exist_ok=True)
        self.address = address
        Process.__init__(self, [binary, "control", "--config-dir", self.objects, "--data-dir", self.data, "--socket",
                                self.socket, "--api-address", "off", "--xds-address", f"{address}:{XDS}", "--workers", "1",
                                "--log-level", "info", *args], folder / "control.log")
        self.wait_for(lambda: "control ready" in self.text(), "control to be ready")

    @property
    def port(self):
        return XDS


class Sidecar(Proxy):
    """A sidecar of `mesh`, by options alone."""

    def __init__(self, mesh, name, app, address, token, args=()):
        folder = mesh.folder
        self.kind = "mesh"
        self.name = name
        self.address = address
        self.sanitized = is_sanitized(mesh.binary)
        self.state = folder / f"state-{name}"
        self.state.mkdir(exist_ok=True, mode=0o700)
        Process.__init__(
            self,
            [mesh.binary, "proxy", "--control", f"{mesh.control_address}:{XDS}", "--ca-root", mesh.ca_root, "--name", name,
             "--service-account", app, "--workload", name, "--labels", f"app={app}", "--address", address,
             "--app-address", "127.0.0.1", "--interception", "none", "--http-proxy-port", HTTP_PROXY, "--state-dir",
             self.state, "--admin", f"{address}:15000", "--concurrency", 1, "--log-level", "info", "--drain-time-s", 0,
             *args],
            folder / f"{name}.log", env={"MESH_TOKEN": token})

    def admin(self, path, method="GET", timeout_s=10):
        c = http.client.HTTPConnection(self.address, 15000, timeout=timeout_s)
        try:
            c.request(method, path)
            r = c.getresponse()
            return r.status, r.read().decode()
        finally:
            c.close()

    def get(self, host, port, path="/", timeout_s=10):
        """As its application does, by the HTTP proxy port."""
        c = http.client.HTTPConnection(self.address, HTTP_PROXY, timeout=timeout_s)
        try:
            c.request("GET", f"http://{host}:{port}{path}", headers={"Host": f"{host}:{port}"})
            r = c.getresponse()
            return Answer(r.status, r.getheaders(), r.read())
        finally:
            c.close()

    def kill9(self):
        os.kill(self.pid, signal.SIGKILL)
        self.wait()


class Native:
    """A mesh on loopback addresses of its own."""

    def __init__(self, lab, binary):
        self.lab = lab
        self.folder = lab.folder
        self.binary = binary
        self.net = "127.%d.%d" % (70 + os.getpid() // 250 % 150, (os.getpid() + 10 * next(_nets)) % 250)
        self.control_address = f"{self.net}.1"
        self._hosts = itertools.count(2)
        self.control = None
        lab.at_end(lambda: self.control and self.control.alive() and self.control.stop())

    @property
    def ca_root(self):
        return self.folder / "control-data" / "ca-root.pem"

    def write(self, name, text):
        folder = self.folder / "objects"
        folder.mkdir(exist_ok=True)
        new = folder / f".{name}"
        new.write_text(text)
        new.rename(folder / name)

    def start(self, *args):
        self.control = Control(self.binary, self.folder, self.control_address, *args)
        return self.control

    def address(self):
        return f"{self.net}.{next(self._hosts)}"

    def sidecar(self, name, app, address=None, wait=True, token=None, args=()):
        p = Sidecar(self, name, app, address or self.address(), self.control.token(app) if token is None else token, args)
        self.lab.at_end(lambda: p.alive() and p.stop())
        return p.wait_ready() if wait else p
