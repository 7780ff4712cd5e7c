"""Opaque bytes: both directions, each ended on its own, none lost, memory bounded."""
import threading

import pytest
from harness import config
from harness.client import Raw
from harness.proc import wait_until


def test_echo(lab):
    app = lab.tcp_origin()
    _, port = lab.tcp_front(app.port)
    with Raw(port) as c:
        for size in (1, 100, 65536, 1000000):
            done = threading.Thread(target=c.send, args=(b"e" * size,))
            done.start()
            assert c.exactly(size) == b"e" * size
            done.join()


def test_server_that_speaks_first(lab):
    app = lab.tcp_origin("greet")
    _, port = lab.tcp_front(app.port)
    with Raw(port) as c:
        assert c.until(b"\r\n") == b"220 hello\r\n"
        c.send(b"x")
        assert c.exactly(1) == b"x"


def test_half_close_keeps_the_other_direction(lab):
    app = lab.tcp_origin("after-eof")
    _, port = lab.tcp_front(app.port)
    with Raw(port) as c:
        c.send(b"x" * 3000000)
        c.end()
        assert c.all() == b"got 3000000"


def test_end_without_a_byte(lab):
    app = lab.tcp_origin("after-eof")
    _, port = lab.tcp_front(app.port)
    with Raw(port) as c:
        c.end()
        assert c.all() == b"got 0"


@pytest.mark.parametrize("how", ["reset", "close"])
def test_client_that_leaves_takes_the_upstream_with_it(lab, how):
    app = lab.tcp_origin()
    _, port = lab.tcp_front(app.port)
    c = Raw(port)
    c.send(b"x")
    assert c.exactly(1) == b"x"
    if how == "reset":
        c.reset()
    else:
        c.sock.close()
    wait_until(lambda: app.open == 0, "the upstream connection to end")


def test_service_that_resets(lab):
    app = lab.tcp_origin("reset")
    _, port = lab.tcp_front(app.port)
    for _ in range(20):
        try:
            with Raw(port) as c:
                assert c.all() == b""
        except ConnectionError:
            pass  # the reset may be here before connect() has returned


def test_no_service(lab):
    proxy, port = lab.tcp_front(lab.dead_port())
    with Raw(port) as c:
        assert c.all() == b""
    proxy.wait_stat("cluster.app.upstream_cx_connect_fail")


def test_service_that_does_not_read_stops_the_client(lab):
    app = lab.tcp_origin("hold")
    proxy, port = lab.tcp_front(app.port)
    before = proxy.rss_kb()
    with Raw(port, timeout_s=2) as c:
        sent = 0
        with pytest.raises(TimeoutError):
            for _ in range(1000):
                c.send(b"x" * (1 << 20))
                sent += 1
        assert sent < 64
        assert proxy.rss_kb() - before < 8192


def test_many_connections_at_once(lab):
    app = lab.tcp_origin()
    proxy, port = lab.tcp_front(app.port)
    clients = [Raw(port) for _ in range(200)]
    try:
        for i, c in enumerate(clients):
            c.send(b"%04d" % i)
        for i, c in enumerate(clients):
            assert c.exactly(4) == b"%04d" % i
    finally:
        for c in clients:
            c.sock.close()
    wait_until(lambda: app.open == 0, "all to end")


def test_endpoints_take_turns(lab):
    apps = [lab.tcp_origin() for _ in range(3)]
    port = lab.ports.take()
    lab.proxy([config.listener("front", port, config.tcp_proxy("app"))],
              [config.cluster("app", *[a.port for a in apps])])
    for _ in range(9):
        with Raw(port) as c:
            c.send(b"x")
            c.exactly(1)
    assert [a.connections for a in apps] == [3, 3, 3]


def test_weighted_clusters(lab):
    a, b = lab.tcp_origin(), lab.tcp_origin()
    port = lab.ports.take()
    split = config.tcp_proxy("x")
    del split["typed_config"]["cluster"]
    split["typed_config"]["weighted_clusters"] = config.weighted(a=50, b=50)
    lab.proxy([config.listener("front", port, split)],
              [config.cluster("a", a.port), config.cluster("b", b.port)])
    for _ in range(200):
        with Raw(port) as c:
            c.send(b"x")
            c.exactly(1)
    assert a.connections + b.connections == 200 and 60 < a.connections < 140


def test_idle_timeout(lab):
    app = lab.tcp_origin()
    port = lab.ports.take()
    lab.proxy([config.listener("front", port, config.tcp_proxy("app", idle_timeout="0.2s"))],
              [config.cluster("app", app.port)])
    with Raw(port) as c:
        c.send(b"x")
        assert c.exactly(1) == b"x"
        assert c.all() == b""
    wait_until(lambda: app.open == 0, "the upstream connection to end")
