"""`mesh control --kubernetes` as a process of this machine, and what it tells proxies, seen as it changes."""
import importlib
import threading

import grpc

from harness import config
from harness.control import Control, Xds
from harness.proc import Ports, Process, find_mesh, proc_status_kb

_endpoint = importlib.import_module("envoy.config.endpoint.v3.endpoint_pb2")


def admin_token(cluster, name="tests-control"):
    """A token of a ServiceAccount that may do everything."""
    if cluster.kubectl("-n", "default", "get", "serviceaccount", name, check=False).returncode != 0:
        cluster.kubectl("-n", "default", "create", "serviceaccount", name)
        cluster.kubectl("create", "clusterrolebinding", name, "--clusterrole=cluster-admin", f"--serviceaccount=default:{name}")
        cluster.kubectl("create", "namespace", "mesh-system", check=False)
    return cluster.kubectl("-n", "default", "create", "token", name).stdout.strip()


class KubeControl(Control):
    """`kubeconfig` says through what it talks to the cluster. wait=False: it may not become ready for now."""

    def __init__(self, kubeconfig, folder, *args, wait=True):
        self.folder = folder
        self.binary = find_mesh()
        self._ports = Ports()
        self.plain_port = self._ports.take()
        self.data = folder / "control-data"
        self.socket = folder / "control.sock"
        Process.__init__(self, [
            self.binary, "control", "--kubernetes", "--kubeconfig", kubeconfig, "--webhook-address", "off", "--data-dir", self.data,
            "--socket", self.socket, "--api-address", "off", "--xds-address", "127.0.0.1:0", "--xds-plain-address",
            f"127.0.0.1:{self.plain_port}", "--monitoring-address", "127.0.0.1:0", "--workers", "2", *args], folder / "control.log")
        if wait:
            self.wait_ready()

    def wait_ready(self, deadline_s=60):
        self.wait_for(lambda: "control ready" in self.text(), "control to be ready", deadline_s)

    def stop(self, deadline_s=5.0):
        self._ports.close()
        return super().stop(deadline_s)

    def rss_mib(self):
        return proc_status_kb(self.pid, "VmRSS") / 1024


class Endpoints:
    """What a proxy is told of the endpoints of services: {"s0.crowd-0": {address, ...}}, kept up to date by a thread.

    `changes` counts answers. Whoever is told of an address that it should not have used any more sees it here."""

    def __init__(self, control, services, port=80):
        self._lock = threading.Lock()
        self._now = {}
        self.changes = 0
        self._stream = Xds(control, None, plain_port=control.plain_port, timeout_s=None)
        self._stream.ask(config.ENDPOINTS, *[f"outbound|{port}||{s}.svc.cluster.local" for s in services])
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self):
        try:
            while True:
                answer = self._stream.take()
                with self._lock:
                    self.changes += 1
                    for resource in answer.resources:
                        self._now[self._service(resource.name)] = self._addresses(resource.resource)
                    for name in answer.removed_resources:
                        self._now[self._service(name)] = set()
        except (grpc.RpcError, StopIteration):
            return

    @staticmethod
    def _service(name):
        return name.split("|")[3].removesuffix(".svc.cluster.local")

    @staticmethod
    def _addresses(packed):
        assignment = _endpoint.ClusterLoadAssignment()
        packed.Unpack(assignment)
        return {e.endpoint.address.socket_address.address for group in assignment.endpoints for e in group.lb_endpoints}

    def now(self):
        with self._lock:
            return {name: set(found) for name, found in self._now.items()}

    def close(self):
        self._stream.close()
        self._thread.join(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
