"""gRPC's interoperability suite, Go's and ours in Python, each client with each server: through one proxy and through
two sidecars with mutual TLS."""
import subprocess

import pytest
from harness import config
from harness.lab import Lab
from harness.proc import Process
from interop import CASES, Client, Server
from tools import go_peer


class World:
    def __init__(self, lab):
        self.lab = lab
        python = Server()
        lab.at_end(python.close)
        self.servers = {"python": python.port}
        try:
            go = Process([go_peer(), "grpc-server"], lab.folder / "go.log")
            lab.at_end(go.stop)
            self.servers["go"] = go.wait_ready_line()
        except pytest.skip.Exception:
            pass  # the tests with it say so
        self.roads = {}
        for name, port in self.servers.items():
            routes = config.routes_to("app", timeout="0s", max_stream_duration={"grpc_timeout_header_max": "0s"})
            _, self.roads[name, "plain"] = lab.http_front(clusters=[config.cluster("app", port, http2=True)], routes=routes)
            self.roads[name, "pair"] = lab.pair(port, app_http2=True, outer_tls={"alpn": ["istio-h2", "h2"]},
                                                server_more=config.same_protocol()).port


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("interop"))
    try:
        yield World(lab)
    finally:
        lab.close()


@pytest.fixture(params=["plain", "pair"])
def road(request):
    return request.param


@pytest.fixture(params=["go", "python"])
def port(request, world, road):
    if request.param not in world.servers:
        go_peer()
    return world.roads[request.param, road]


def test_python_client(port):
    client = Client(port)
    for case in CASES:
        getattr(client, case)()
    client.close()


def test_go_client(port):
    done = subprocess.run([go_peer(), "grpc-client", f"127.0.0.1:{port}", *CASES], capture_output=True, text=True, timeout=90,
                          check=False)
    assert done.stdout.split() == [w for c in CASES for w in ("ok", c)], done.stdout + done.stderr
