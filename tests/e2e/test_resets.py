"""Peers that break off at each state: the right answer for the one concerned, nothing for the others."""
import pytest
from harness.client import Http, Raw, get
from harness.proc import wait_until


@pytest.fixture
def front(lab):
    app = lab.http_origin()
    proxy, port = lab.http_front(app.port)
    return proxy, port, app


# Before the head of the answer is complete, the client can still be told: 503 (Envoy's UC, UPE as 502).
@pytest.mark.parametrize("how", ["reset-on-request", "close-on-request", "reset-in-head", "close-in-head",
                                 "garbage"])
def test_before_the_head_is_there(front, how):
    _, port, _ = front
    with Http(port) as c:
        assert c.get(f"/fail/{how}").status in (502, 503)
        # The client's connection lives on.
        assert c.get("/").status == 200


# Later the answer must be seen to be cut: no end that looks like one.
@pytest.mark.parametrize("how", ["reset-in-body", "close-in-body", "close-in-chunk", "no-last-chunk"])
def test_within_the_body(front, how):
    _, port, _ = front
    with Raw(port) as c:
        c.send(f"GET /fail/{how} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        got = c.all()
    head, _, body = got.partition(b"\r\n\r\n")
    if head:
        assert head.split()[1] == b"200"
        assert not body.endswith(b"0\r\n\r\n") and len(body) < 1000
    assert get(port, "/").status == 200


@pytest.mark.parametrize("sent", [
    b"", b"GET", b"GET / HTTP/1.1\r\nhost", b"GET / HTTP/1.1\r\nhost: a\r\n",
    b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf",
    b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n10\r\nhalf",
    b"GET /gate HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET /gate/body HTTP/1.1\r\nhost: a\r\n\r\n",
], ids=["nothing", "method", "name", "line", "body", "chunk", "waiting", "answered-half"])
@pytest.mark.parametrize("how", ["reset", "close"])
def test_client_leaves(front, sent, how):
    proxy, port, app = front
    assert get(port, "/").status == 200
    c = Raw(port)
    if sent:
        c.send(sent)
    if b"/gate" in sent:
        app.wait_seen(2)
    if how == "reset":
        c.reset()
    else:
        c.sock.close()
    wait_until(lambda: proxy.stat("http.http.downstream_cx_active") == 0, "the client to be forgotten")
    app.open_gate()
    assert get(port, "/").status == 200
    assert all(s.body_bytes <= 4 for s in app.seen)


def test_answer_before_the_request_was_read(front):
    """A service may answer and close while the body is still coming."""
    _, port, _ = front
    with Raw(port) as c:
        c.send(b"POST /early-answer HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n")
        try:
            for _ in range(200):
                c.send(b"x" * 65536)
        except ConnectionError:
            pass
        got = c.all()
    assert got == b"" or got.split(b" ")[1] in (b"413", b"503")


@pytest.mark.envoy_differs("it hands them to the next request")
def test_bytes_nobody_asked_for_never_reach_a_request(front):
    _, port, app = front
    with Http(port) as c:
        for _ in range(20):
            assert c.get("/extra-bytes").body == b"ok"
            a = c.get("/")
            assert a.body == b"app", a


def test_no_service_there(lab):
    _, port = lab.http_front(lab.dead_port())
    with Http(port) as c:
        for _ in range(3):
            assert c.get("/").status == 503


def test_service_that_resets_each_connection(lab):
    app = lab.tcp_origin("reset")
    _, port = lab.http_front(app.port)
    assert get(port, "/").status == 503


def test_service_restarts(lab):
    """Connections kept for reuse died with the old service; nobody notices."""
    app = lab.http_origin()
    _, port = lab.http_front(app.port)
    with Http(port) as c:
        assert c.get("/").status == 200
        app.close()
        wait_until(lambda: app.open == 0, "the service to end")
        assert c.get("/").status == 503
