"""The end of a proxy: nothing in flight is lost, new connections are taken while it drains."""
import signal
import time

import pytest
from harness.client import Http, Raw, get
from harness.proc import wait_until

# Envoy needs a request to its admin port to drain, and exits at once on SIGTERM; Istio's agent turns
# SIGTERM into that. Ours does as the agent: it drains for --drain-time-s, accepting all the while.
pytestmark = pytest.mark.mesh_only


def start(lab, seconds):
    app = lab.http_origin()
    proxy, port = lab.http_front(app.port, args=("--drain-time-s", str(seconds)))
    assert get(port, "/").status == 200
    return app, proxy, port


def draining(proxy):
    return proxy.json("/server_info")["state"] == "DRAINING"


def test_requests_in_flight_are_finished(lab):
    app, proxy, port = start(lab, 5)
    with Raw(port) as c:
        c.send(b"GET /gate HTTP/1.1\r\nhost: a\r\n\r\n")
        app.wait_seen(2)
        proxy.signal(signal.SIGTERM)
        wait_until(lambda: draining(proxy), "the drain to begin")
        app.open_gate()
        assert c.answer().body == b"opened"
    assert proxy.wait() == 0


def test_new_connections_are_taken_while_it_drains(lab):
    app, proxy, port = start(lab, 3)
    proxy.signal(signal.SIGTERM)
    wait_until(lambda: draining(proxy), "the drain to begin")
    for _ in range(10):
        a = get(port, "/")
        assert a.status == 200 and a.get("connection") == "close"
    assert proxy.admin("/ready")[0] == 503
    assert proxy.wait() == 0


def test_kept_connections_are_told_to_close(lab):
    app, proxy, port = start(lab, 3)
    with Http(port) as c:
        assert c.get("/").get("connection") is None
        proxy.signal(signal.SIGTERM)
        wait_until(lambda: draining(proxy), "the drain to begin")
        # A worker hears of it a moment after the main thread says so.
        wait_until(lambda: c.get("/").get("connection") == "close", "the word to go")
    proxy.wait()


def test_it_ends_when_the_time_is_over(lab):
    """A request that never ends does not hold it for ever."""
    app, proxy, port = start(lab, 1)
    with Raw(port) as c:
        c.send(b"GET /gate HTTP/1.1\r\nhost: a\r\n\r\n")
        app.wait_seen(2)
        begin = time.monotonic()
        proxy.signal(signal.SIGTERM)
        assert proxy.wait() == 0
        assert 0.9 < time.monotonic() - begin < 10


def test_a_second_signal_ends_it_at_once(lab):
    app, proxy, port = start(lab, 60)
    proxy.signal(signal.SIGTERM)
    wait_until(lambda: draining(proxy), "the drain to begin")
    proxy.signal(signal.SIGTERM)
    proxy.wait(5)


def test_idle_proxy_leaves_no_socket(lab):
    app, proxy, port = start(lab, 1)
    proxy.signal(signal.SIGTERM)
    assert proxy.wait() == 0
    with pytest.raises(OSError):
        get(port, "/")
