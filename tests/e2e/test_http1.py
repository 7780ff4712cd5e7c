"""HTTP/1.1 through one plain proxy: what the client sees is what the service said, in bounded memory."""
import hashlib
import os

import pytest
from harness import config
from harness.client import Http, Raw, get, request
from harness.proc import wait_until

BIG = (1 << 30) if os.environ.get("BIG") else (256 << 20)


@pytest.fixture
def front(lab):
    app = lab.http_origin()
    proxy, port = lab.http_front(app.port)
    return proxy, port, app


def test_get_and_post(front):
    _, port, app = front
    assert get(port, "/").body == b"app"
    echo = request(port, "POST", "/echo?a=1", b"x" * 5000, {"X-Mixed-Case": "v"}).json()
    assert echo["method"] == "POST" and echo["target"] == "/echo?a=1" and echo["body_bytes"] == 5000
    assert ["x-mixed-case", "v"] in echo["headers"]


def test_chunked_request_body_arrives_whole(front):
    _, port, app = front
    pieces = [b"a" * 10, b"b" * 70000, b"c"]
    echo = request(port, "POST", "/echo", iter(pieces), {"transfer-encoding": "chunked"}, True).json()
    assert echo["body_bytes"] == 70011


def test_response_trailers_pass(lab):
    """Http1ProtocolOptions.enable_trailers on both sides."""
    app = lab.http_origin()
    _, port = lab.http_front(
        hcm={"http_protocol_options": {"enable_trailers": True}},
        clusters=[config.cluster("app", app.port, **config.http1(enable_trailers=True))])
    with Raw(port) as c:
        c.send(b"GET /chunked/5000 HTTP/1.1\r\nhost: a\r\nte: trailers\r\n\r\n")
        assert b"transfer-encoding: chunked" in c.until(b"\r\n\r\n").lower()
        assert c.until(b"\r\n\r\n").lower().endswith(b"\r\n0\r\nx-sum: 42\r\n\r\n")


@pytest.mark.parametrize("status", ["200", "201", "404", "500", "503"])
def test_status_passes(front, status):
    _, port, _ = front
    a = get(port, f"/status/{status}")
    assert a.status == int(status) and a.body == b"status"


@pytest.mark.parametrize("status", ["204", "304"])
def test_answer_without_body_keeps_the_connection(front, status):
    _, port, _ = front
    with Http(port) as c:
        a = c.get(f"/status/{status}")
        assert a.status == int(status) and a.body == b""
        assert c.get("/").body == b"app"


def test_head_has_the_length_and_no_body(front):
    _, port, _ = front
    with Raw(port) as c:
        c.send(b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert b"content-length: 3" in c.until(b"\r\n\r\n").lower()
        c.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert c.answer().body == b"app"


def test_early_hints_precede_the_answer(lab):
    app = lab.http_origin()
    _, port = lab.http_front(app.port, hcm={"proxy_100_continue": True})
    with Raw(port) as c:
        c.send(b"GET /early-hints HTTP/1.1\r\nhost: a\r\n\r\n")
        head = c.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 103") and b"link" in head
        assert c.until(b"\r\n\r\n").startswith(b"HTTP/1.1 200") and c.exactly(11) == b"after hints"


def test_expect_100_continue(front):
    _, port, app = front
    with Raw(port) as c:
        c.send(b"POST /continue HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n")
        assert c.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100")
        c.send(b"body")
        assert c.answer().body == b"4"


def test_ten_thousand_requests_on_one_connection(front):
    proxy, port, app = front
    with Http(port) as c:
        for _ in range(500):
            assert c.get("/").status == 200
        before = proxy.rss_kb()
        for _ in range(9500):
            assert c.get("/").status == 200
    assert len(app.seen) == 10000 and app.connections == 1
    assert proxy.rss_kb() - before < 2048


def test_pipelined_requests_are_answered_in_order(front):
    _, port, app = front
    with Raw(port) as c:
        for i in range(20):
            c.send(f"GET /echo?{i} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        for i in range(20):
            assert c.answer().json()["target"] == f"/echo?{i}"


def test_http_1_0(lab):
    app = lab.http_origin()
    _, port = lab.http_front(app.port, hcm={"http_protocol_options": {
        "accept_http_10": True, "default_host_for_http_10": "old.example"}})
    with Raw(port) as c:
        c.send(b"GET /echo HTTP/1.0\r\n\r\n")
        head, _, body = c.all().partition(b"\r\n\r\n")
        assert head.split()[1] == b"200" and b'"target": "/echo"' in body
        assert b"transfer-encoding" not in head.lower()
    assert app.last().get("host") == "old.example"


def test_service_that_ends_its_answer_by_closing(front):
    _, port, _ = front
    assert get(port, "/until-close").body == b"until close"


def test_absolute_form_is_understood(front):
    _, port, app = front
    with Raw(port) as c:
        c.send(b"GET http://shop.example/echo?q HTTP/1.1\r\nhost: other.example\r\n\r\n")
        assert c.answer().status == 200
    assert app.last().target == "/echo?q" and app.last().get("host") == "shop.example"


def test_hop_by_hop_fields_stop_here(front):
    _, port, app = front
    with Raw(port) as c:
        c.send(b"GET /echo HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, x-private\r\nx-private: 1\r\n"
               b"proxy-connection: keep-alive\r\nkeep-alive: timeout=5\r\nx-kept: 1\r\n\r\n")
        assert c.answer().status == 200
    names = [n for n, _ in app.last().headers]
    assert "x-kept" in names
    for gone in ("x-private", "proxy-connection", "keep-alive"):
        assert gone not in names, gone


@pytest.mark.parametrize("bad", [
    b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, identity\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: a\r\n folded: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: a\r\nbad name: x\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"nonsense\r\n\r\n",
], ids=["cl+te", "two-lengths", "te-not-last", "folded", "name-with-blank", "no-host", "nonsense"])
def test_ambiguous_requests_are_refused(front, bad):
    _, port, app = front
    with Raw(port) as c:
        c.send(bad)
        # Refused means 400, or 501 for a coding that is not known, and the connection ends.
        assert c.all().split(b" ")[1] in (b"400", b"501")
    assert app.seen == []


def test_head_that_is_too_large_is_refused(front):
    _, port, app = front
    with Raw(port) as c:
        c.send(b"GET / HTTP/1.1\r\nhost: a\r\n")
        try:
            for i in range(40):
                c.send(b"x-%d: " % i + b"v" * 4000 + b"\r\n")
            c.send(b"\r\n")
        except ConnectionError:
            pass
        got = c.all()
        assert got == b"" or got.split(b" ")[1] == b"431"
    assert app.seen == []


def test_websocket(lab):
    app = lab.http_origin()
    _, port = lab.http_front(app.port, hcm={"upgrade_configs": [{"upgrade_type": "websocket"}]})
    with Raw(port) as c:
        c.send(b"GET /ws HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
               b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        head = c.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101") and b"upgrade: websocket" in head.lower()
        for size in (1, 125, 70000):
            c.send(b"f" * size)
            assert c.exactly(size) == b"f" * size
        c.end()
        assert c.all() == b""


def test_upgrade_that_is_not_allowed_is_not_done(front):
    _, port, app = front
    with Raw(port) as c:
        c.send(b"GET /echo HTTP/1.1\r\nhost: a\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n"
               b"http2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n")
        status = c.answer().status
        assert status in (200, 403)
    for seen in app.seen:
        assert seen.get("upgrade") is None and seen.get("http2-settings") is None


def test_large_download(front):
    proxy, port, app = front
    assert get(port, "/").status == 200
    before = proxy.rss_kb()
    most = before
    with Raw(port) as c:
        c.send(f"GET /bytes/{BIG} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        c.until(b"\r\n\r\n")
        got, room = len(c._held), bytearray(1 << 20)
        while got < BIG:
            n = c.sock.recv_into(room)
            assert n > 0, f"cut after {got}"
            got += n
            if got % (64 << 20) < (1 << 16):
                most = max(most, proxy.rss_kb())
    assert got == BIG and most - before < 4096


def test_large_upload(front):
    proxy, port, app = front
    assert get(port, "/").status == 200
    before = proxy.rss_kb()
    piece = b"u" * (1 << 20)
    with Raw(port) as c:
        c.send(f"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: {BIG}\r\n\r\n".encode())
        for _ in range(BIG >> 20):
            c.send(piece)
        most = proxy.rss_kb()
        assert c.answer().json()["body_bytes"] == BIG
    assert most - before < 4096


def test_body_comes_back_unchanged(front):
    _, port, _ = front
    body = hashlib.shake_128(b"seed").digest(3 << 20)
    assert request(port, "POST", "/mirror", body).body == body


def test_slow_reader_stops_the_service(front):
    """Back-pressure: what nobody reads is not piled up in the proxy."""
    proxy, port, app = front
    assert get(port, "/").status == 200
    before = proxy.rss_kb()
    with Raw(port, rcvbuf=4096) as c:
        c.send(b"GET /bytes/1073741824 HTTP/1.1\r\nhost: a\r\n\r\n")
        c.until(b"\r\n\r\n")
        last = [-1, 0]

        def stands_still():
            last[1] = last[1] + 1 if app.sent_bytes == last[0] else 0
            last[0] = app.sent_bytes
            return app.sent_bytes > 0 and last[1] > 60
        wait_until(stands_still, "the service to be stopped")
        assert app.sent_bytes < 64 << 20
        assert proxy.rss_kb() - before < 8192
        # Others are not held up by it.
        assert get(port, "/").body == b"app"


def test_slow_writer_is_waited_for(front):
    _, port, app = front
    with Raw(port) as c:
        for byte in b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc":
            c.send(bytes([byte]))
        assert c.answer().json()["body_bytes"] == 3


def test_client_that_goes_away_is_noticed(front):
    """The service is told when nobody waits for its answer any more."""
    proxy, port, app = front
    c = Raw(port)
    c.send(b"GET /gate HTTP/1.1\r\nhost: a\r\n\r\n")
    app.wait_seen(1)
    c.reset()
    wait_until(lambda: proxy.stat("http.http.downstream_cx_active") == 0, "the client to be forgotten")
    app.open_gate()
    assert get(port, "/").status == 200


def test_no_route_and_no_service(lab):
    app = lab.http_origin()
    routes = {"name": "r", "virtual_hosts": [
        config.vhost("a", ["known.example"], config.route("/a", "app"), config.route("/dead", "dead"))]}
    _, port = lab.http_front(routes=routes, clusters=[
        config.cluster("app", app.port), config.cluster("dead", lab.dead_port())])
    assert get(port, "/a", host="known.example").status == 200
    assert get(port, "/other", host="known.example").status == 404
    assert get(port, "/a", host="unknown.example").status == 404
    assert get(port, "/dead", host="known.example").status == 503
