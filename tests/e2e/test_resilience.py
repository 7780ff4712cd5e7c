"""Timeouts, retries, circuit breakers: what the client gets when the service fails it."""
import threading
import time

import pytest
from harness import config
from harness.client import Http, get, request
from harness.config import route, vhost
from harness.origin import fresh
from harness.proc import wait_until


def front(lab, app, *routes, cluster=None):
    return lab.http_front(routes={"name": "r", "virtual_hosts": [vhost("all", ["*"], *routes)]},
                          clusters=[config.cluster("app", app.port, **(cluster or {}))])


@pytest.fixture
def app(lab):
    return lab.http_origin()


def test_route_timeout(lab, app):
    _, port = front(lab, app, route("/", "app", timeout="0.3s"))
    start = time.monotonic()
    a = get(port, "/gate")
    took = time.monotonic() - start
    assert a.status == 504 and a.body == b"upstream request timeout"
    assert 0.29 < took < 3
    assert get(port, "/").status == 200


def test_timeout_covers_the_body(lab, app):
    """RouteAction.timeout spans the entire response: a body that stalls is cut."""
    _, port = front(lab, app, route("/", "app", timeout="0.3s"))
    with pytest.raises(Exception):
        get(port, "/gate/body")
    assert get(port, "/").status == 200


def test_no_timeout_when_zero(lab, app):
    _, port = front(lab, app, route("/", "app", timeout="0s"))
    assert get(port, "/delay/500").body == b"late"


def test_service_that_does_not_accept(lab):
    """Connect timeout: a full accept queue answers nothing."""
    import socket
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    held.listen(0)
    port_full = held.getsockname()[1]
    fillers = []
    for _ in range(3):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", port_full))
        fillers.append(s)
    try:
        _, port = lab.http_front(clusters=[config.cluster("app", port_full, connect_timeout="0.2s")])
        assert get(port, "/").status == 503
    finally:
        for s in (*fillers, held):
            s.close()


@pytest.mark.parametrize("how", ["reset-on-request", "close-on-request", "503", "500"])
def test_retried_until_it_works(lab, app, how):
    retry = {"retry_on": "5xx", "num_retries": 3,
             "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.002s"}}
    proxy, port = front(lab, app, route("/", "app", retry_policy=retry))
    key = fresh()
    a = get(port, f"/flaky/{key}/2/{how}")
    assert a.status == 200 and a.body == b"3"
    assert proxy.wait_stat("cluster.app.upstream_rq_retry", 2) == 2
    assert proxy.wait_stat("cluster.app.upstream_rq_retry_success", 1) == 1


def test_retries_are_bounded(lab, app):
    retry = {"retry_on": "5xx", "num_retries": 2,
             "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.002s"}}
    _, port = front(lab, app, route("/", "app", retry_policy=retry))
    a = get(port, f"/flaky/{fresh()}/99/503")
    assert a.status == 503 and len(app.seen) == 3


def test_not_retried_when_not_asked(lab, app):
    _, port = front(lab, app, route("/", "app", retry_policy={"retry_on": "connect-failure"}))
    assert get(port, f"/flaky/{fresh()}/1/503").status == 503
    assert len(app.seen) == 1


def test_retry_on_named_status(lab, app):
    retry = {"retry_on": "retriable-status-codes", "retriable_status_codes": [418], "num_retries": 1}
    _, port = front(lab, app, route("/", "app", retry_policy=retry))
    assert get(port, f"/flaky/{fresh()}/1/418").status == 200
    assert get(port, f"/flaky/{fresh()}/1/503").status == 503


def test_body_is_sent_again_on_retry(lab, app):
    retry = {"retry_on": "5xx,reset", "num_retries": 1}
    _, port = front(lab, app, route("/", "app", retry_policy=retry))
    a = request(port, "POST", f"/flaky/{fresh()}/1/503", b"b" * 20000)
    assert a.status == 200
    assert [s.body_bytes for s in app.seen] == [20000, 20000]


def test_connect_failure_is_retried_elsewhere(lab, app):
    retry = {"retry_on": "connect-failure", "num_retries": 5}
    _, port = lab.http_front(
        routes={"name": "r", "virtual_hosts": [vhost("all", ["*"], route("/", "app", retry_policy=retry))]},
        clusters=[config.cluster("app", app.port, lab.dead_port())])
    with Http(port) as c:
        for _ in range(20):
            assert c.get("/").status == 200


def test_per_try_timeout(lab, app):
    retry = {"retry_on": "5xx", "num_retries": 1, "per_try_timeout": "0.2s",
             "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.002s"}}
    _, port = front(lab, app, route("/", "app", timeout="5s", retry_policy=retry))
    a = get(port, "/gate")
    assert a.status == 504 and len(app.seen) == 2


@pytest.mark.envoy_differs("its HTTP/1 pool answers 503 unless retry_on says reset")
def test_stale_connection_is_retried_once(lab, app):
    """A kept connection that the service closes as the request crosses is nobody's fault: retried once,
    on a new connection, with no retry policy."""
    _, port = front(lab, app, route("/", "app"))
    with Http(port) as c:
        for _ in range(20):
            assert c.get("/stale").status == 200
            assert c.get("/").status == 200


@pytest.mark.envoy_differs("as above")
def test_stale_connection_does_not_repeat_a_body_that_is_gone(lab, app):
    """Only what can be replayed is: a request whose body has been streamed away is answered 503."""
    _, port = front(lab, app, route("/", "app"))
    with Http(port) as c:
        assert c.get("/stale").status == 200
        try:
            assert c.request("POST", "/echo", b"p" * (8 << 20)).status in (200, 503)
        except ConnectionError:
            pass  # answered early, and hung up on a client that went on sending
    assert len([s for s in app.seen if s.method == "POST"]) <= 1


def test_circuit_breaker_on_requests(lab, app):
    limits = {"circuit_breakers": {"thresholds": [
        {"max_connections": 1, "max_pending_requests": 1, "max_requests": 1}]}}
    proxy, port = front(lab, app, route("/", "app", timeout="0s"), cluster=limits)
    got = []

    def one():
        got.append(get(port, "/gate").status)
    threads = [threading.Thread(target=one) for _ in range(8)]
    for t in threads:
        t.start()
    # One runs, one waits, the others are turned away at once.
    wait_until(lambda: len(got) >= 6, "six to be turned away")
    assert got == [503] * 6
    assert proxy.wait_stat("cluster.app.upstream_rq_pending_overflow", 6) == 6
    app.open_gate()
    for t in threads:
        t.join(20)
    assert sorted(got) == [200, 200] + [503] * 6


def test_client_from_outside_does_not_choose_the_timeout(lab, app):
    """x-envoy-upstream-rq-timeout-ms is for internal clients; with no internal_address_config nobody is."""
    _, port = front(lab, app, route("/", "app", timeout="0.3s"))
    assert get(port, "/gate", x_envoy_upstream_rq_timeout_ms="15000").status == 504
