"""HTTP/2 on both sides: prior knowledge, ALPN, and HTTP/1 to HTTP/2 in either direction."""
import asyncio

import httpx
import pytest
from harness import config
from harness.client import Raw, get, request

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def h2_client(port):
    return httpx.Client(http1=False, http2=True, base_url=f"http://127.0.0.1:{port}", timeout=20)


@pytest.fixture
def front(lab):
    app = lab.http_origin()
    proxy, port = lab.http_front(app.port)
    return proxy, port, app


def test_prior_knowledge(front):
    _, port, app = front
    with h2_client(port) as c:
        a = c.get("/echo?x=1", headers={"x-mine": "1"})
        assert a.http_version == "HTTP/2" and a.status_code == 200
        seen = a.json()
        assert ["x-mine", "1"] in seen["headers"] and seen["target"] == "/echo?x=1"
        assert ["host", f"127.0.0.1:{port}"] in seen["headers"]
        assert c.post("/mirror", content=b"b" * 300000).content == b"b" * 300000


def test_many_streams_on_one_connection(front):
    proxy, port, app = front
    async def all_at_once():
        async with httpx.AsyncClient(http1=False, http2=True, base_url=f"http://127.0.0.1:{port}", timeout=20) as c:
            assert (await c.get("/")).status_code == 200  # the connection is there
            answers = await asyncio.gather(*(c.get(f"/echo?{i}") for i in range(50)))
            return [a.json()["target"] for a in answers]
    assert asyncio.run(all_at_once()) == [f"/echo?{i}" for i in range(50)]
    assert proxy.wait_stat("http.http.downstream_cx_http2_total", 1) == 1


def test_http1_in_http2_out(lab):
    """Between two proxies; the second speaks HTTP/1.1 to the service."""
    app = lab.http_origin()
    inner, inner_port = lab.http_front(app.port)
    _, port = lab.http_front(clusters=[config.cluster("app", inner_port, http2=True)])
    body = b"x" * 200000
    assert request(port, "POST", "/mirror", body).body == body
    assert get(port, "/status/503").status == 503
    assert inner.wait_stat("http.http.downstream_cx_http2_total", 1) == 1


def test_http2_through_the_pair(lab):
    app = lab.http_origin()
    pair = lab.pair(app.port, outer_tls={"alpn": ["h2"]}, server_http2=True)
    with h2_client(pair.port) as c:
        assert c.get("/echo").json()["target"] == "/echo"
        assert c.post("/mirror", content=b"b" * 300000).content == b"b" * 300000
    assert pair.inner.wait_stat("http.inbound.downstream_cx_http2_total", 1) == 1
    assert get(pair.port, "/").body == b"app"


def test_slow_stream_does_not_hold_up_the_others(front):
    _, port, app = front
    with h2_client(port) as c:
        # httpcore gives a stream and the connection 16 MiB each: with a longer answer it would block itself.
        with c.stream("GET", f"/bytes/{12 << 20}") as slow:
            assert slow.status_code == 200
            assert c.get("/").content == b"app"


def test_reset_of_one_stream_leaves_the_others(front):
    _, port, app = front
    with h2_client(port) as c:
        for how in ("close-in-body", "reset-in-body"):
            with pytest.raises(httpx.HTTPError):
                c.get(f"/fail/{how}")
            assert c.get("/").content == b"app"


@pytest.mark.parametrize("bad", [
    PREFACE + b"\x00\x00\x05\x04\x00\x00\x00\x00\x00wrong",
    PREFACE + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
    PREFACE[:-3] + b"xxx",
], ids=["settings-size", "frame-size", "preface"])
def test_broken_connections_end(front, bad):
    proxy, port, _ = front
    with Raw(port) as c:
        c.send(bad)
        c.end()
        c.all()
    assert get(port, "/").status == 200
