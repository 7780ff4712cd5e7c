"""HTTP/2, case by case, each naming its rule: what a client sends frame by frame, what the service gets, what comes back.
All through one proxy, before services of HTTP/1 and of HTTP/2."""
import pytest
from harness import config
from harness.lab import Lab

from .h2_rows import ROWS
from .h2_wire import Listener, Play

PLAYED = [(rule, name, version, steps) for rule, name, origin, steps in ROWS for version in origin]


@pytest.fixture(scope="module")
def fronts(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("wire-h2"))
    services = {v: Listener(v == "2") for v in "12"}
    ports = {v: lab.ports.take() for v in "12"}
    more = {"stream_idle_timeout": "20s"}
    lab.proxy([config.listener(f"front{v}", ports[v], config.hcm(config.routes_to(f"app{v}", timeout="20s"), **more)) for v in "12"],
              [config.cluster(f"app{v}", services[v].port, http2=v == "2") for v in "12"])
    yield {v: (services[v], ports[v]) for v in "12"}
    for service in services.values():
        service.close()
    lab.close()


@pytest.mark.mesh_only
@pytest.mark.parametrize("version, steps", [pytest.param(v, steps, id=f"{rule} {name} h{v}") for rule, name, v, steps in PLAYED])
def test_row(fronts, version, steps):
    Play(*fronts[version]).run(steps)


def test_size():
    assert len(PLAYED) >= 150
