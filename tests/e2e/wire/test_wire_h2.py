"""HTTP/2, case by case, each naming its rule: what a client sends frame by frame, what the service gets, what comes back.
All through one proxy, before services of HTTP/1 and of HTTP/2."""
import socket

import pytest
from harness import config
from harness.lab import Lab

from .h2_rows import POST, ROWS
from .h2_wire import H2End, Listener, Play, frames

PLAYED = [(rule, name, version, steps) for rule, name, origin, steps in ROWS for version in origin]


@pytest.fixture(scope="module")
def lab_of_all(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("wire-h2"))
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def fronts(lab_of_all):
    """version of the service: (the service, the port of the proxy before it)"""
    services = {v: Listener(v == "2") for v in "12"}
    ports = {v: lab_of_all.ports.take() for v in "12"}
    lab_of_all.whole = lab_of_all.proxy(
        [config.listener(f"front{v}", ports[v], config.hcm(config.routes_to(f"app{v}", timeout="20s"))) for v in "12"],
        [config.cluster(f"app{v}", services[v].port, http2=v == "2") for v in "12"])
    yield {v: (services[v], ports[v]) for v in "12"}
    for service in services.values():
        service.close()


@pytest.fixture(scope="module")
def proxy(lab_of_all, fronts):
    return lab_of_all.whole


@pytest.mark.mesh_only
@pytest.mark.parametrize("version, steps", [pytest.param(v, steps, id=f"{rule} {name} h{v}") for rule, name, v, steps in PLAYED])
def test_row(fronts, version, steps):
    Play(*fronts[version]).run(steps)


def test_size():
    assert len(PLAYED) >= 150


FLOODS = [  # name, counter, once, again and again
    ("ping", "http2.outbound_control_flood", "", "P"),
    ("settings", "http2.outbound_control_flood", "", "S 4=65535"),
    ("priority", "http2.inbound_priority_frames_flood", "", "Y1 3"),
    ("empty data", "http2.inbound_empty_frames_flood", f"H1 {POST}", "D1"),
    ("window updates", "http2.inbound_window_update_frames_flood", f"H1 {POST}", "W0 1"),
    ("rapid reset", "downstream_rq_too_many_premature_resets", "", "H{n}e Q;R{n} 8"),
    ("provoked resets", "downstream_rq_too_many_premature_resets", "", "H{n} Q|X=1"),
    ("HPACK bomb", "http2.header_overflow", b"\0\x40\0\1\5\0\0\0\1" b"\x40\x01x\x7f\xbd\x1d" + b"a" * 3900 + b"\xbe" * (16384 - 3906), ""),
    ("continuation", "http2.header_overflow", "H1- Q", "C1- x=y"),
]


@pytest.mark.mesh_only
@pytest.mark.parametrize("counter, once, again", [pytest.param(*f[1:], id=f[0]) for f in FLOODS])
def test_flood(fronts, proxy, counter, once, again):
    """Whoever floods us is told to be calm, and it is counted."""
    name = f"http.http.{counter}"
    before = proxy.stat(name)
    client = H2End(socket.create_connection(("127.0.0.1", fronts["1"][1]), 5), False)
    client.acks = not once.startswith("H1-") if isinstance(once, str) else True  # nothing may come within a head
    client.send(frames("M;S") + (once if isinstance(once, bytes) else frames(once)))
    for n in range(1, 8001, 80):
        if client.ended or not again:
            break
        client.send(b"".join(frames(again.format(n=m)) for m in range(n, n + 80, 2)))
        client.read(0.002)
    while not client.ended and client.read(2):
        pass
    assert client.order[-1] == "G=11"
    assert proxy.wait_stat(name, before + 1) == before + 1
    client.close()
