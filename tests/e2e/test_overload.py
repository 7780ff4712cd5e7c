"""Limits of all connections together, and what a proxy sheds near its limits (mesh help overload)."""
import contextlib
import socket

import pytest
from harness import config
from harness.client import Raw
from harness.proc import wait_until

pytestmark = pytest.mark.mesh_only


def direct(text="ok"):
    return {"name": "direct", "virtual_hosts": [config.vhost("all", ["*"], {
        "match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": text}}})]}


def front(lab, *args, **hcm):
    return lab.http_front(1, routes=direct(), args=args, hcm=hcm)


def is_open(raw):
    raw.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    try:
        return raw.answer().status == 200
    except (EOFError, ConnectionError):
        return False


def from_address(port, address):
    raw = Raw.__new__(Raw)
    raw._held = b""
    raw.sock = socket.create_connection(("127.0.0.1", port), 20, (address, 0))
    return raw


def listener_stat(proxy, name):
    return sum(v for k, v in proxy.stats().items() if k.startswith("listener.") and k.endswith(name))


def test_connections_in_all(lab):
    proxy, port = front(lab, "--max-connections", 10)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(Raw(port)) for _ in range(10)]
        assert all(is_open(c) for c in held)
        with Raw(port) as c:
            assert not is_open(c)
        assert listener_stat(proxy, "downstream_global_cx_overflow") == 1
        assert proxy.stat("overload.envoy.resource_monitors.global_downstream_max_connections.pressure") >= 0
        held[0].sock.close()
        # Near its limit it also ends idle ones, so that there is room again.
        wait_until(lambda: room(port), "room for another")
    assert "MESH4080 connection refused: --max-connections peer=127.0.0.1:" in proxy.text()


def room(port):
    with Raw(port) as c:
        return is_open(c)


def test_idle_ones_end_near_the_limit(lab):
    """Those that never said a word go first; those that have been used stay while that is enough."""
    proxy, port = front(lab, "--max-connections", 40)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(Raw(port)) for _ in range(36)]
        assert all(is_open(c) for c in held[:20])
        assert all(c.all() == b"" for c in held[20:])
        assert all(is_open(c) for c in held[:20])
        proxy.wait_for(lambda: "overload over" in proxy.text() or
                       proxy.stat("overload.envoy.overload_actions.reduce_timeouts.active") == 0, "the end of it")
    assert proxy.text().count("MESH4081 overloaded: idle connections end") == 1


def test_connections_of_one_peer(lab):
    proxy, port = front(lab, "--max-connections-per-peer", 3)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(Raw(port)) for _ in range(3)]
        assert all(is_open(c) for c in held)
        with Raw(port) as c:
            assert not is_open(c)
        with from_address(port, "127.0.0.2") as other:
            assert is_open(other)
        assert listener_stat(proxy, "downstream_cx_peer_overflow") == 1
        held[0].sock.close()
        wait_until(lambda: room(port), "room for another")


def test_memory(lab):
    """Heads that never end fill it: requests get 503, new connections end; then all is well."""
    proxy, port = front(lab, "--memory-limit-mb", 24, "--log-level", "info")
    if proxy.sanitized:
        pytest.skip("a sanitizer has its own idea of memory")
    with contextlib.ExitStack() as stack:
        many = [stack.enter_context(Raw(port)) for _ in range(500)]
        last = stack.enter_context(Raw(port)).send(b"GET / HTTP/1.1\r\nhost: a\r\n")
        piece = b"GET / HTTP/1.1\r\nhost: a\r\n" + b"".join(b"x-%d: %s\r\n" % (i, b"y" * 900) for i in range(60))
        for c in many:
            c.send(piece)
        proxy.wait_for(lambda: proxy.stat("overload.envoy.overload_actions.stop_accepting_requests.active"),
                       "requests to be refused")
        proxy.wait_for(lambda: not room(port) and listener_stat(proxy, "downstream_cx_overload_reject") > 0,
                       "the worker to have heard of it")
        answer = last.send(b"\r\n").answer()
        assert (answer.status, answer.body) == (503, b"envoy overloaded")
        assert answer.get("x-envoy-overloaded") == "true" and answer.get("connection") == "close"
        assert proxy.rss_kb() < 48 * 1024
    proxy.wait_for(lambda: room(port), "it to take connections again")
    wait_until(lambda: "overload over" in proxy.text(), "it to say so")
    assert proxy.prometheus() and proxy.stat("overload.envoy.resource_monitors.fixed_heap.pressure") < 80


def test_requests_are_refused_with_a_reason(lab):
    proxy, port = front(lab, "--memory-limit-mb", 1)  # it is above that from the start
    if proxy.sanitized:
        pytest.skip("a sanitizer has its own idea of memory")
    proxy.wait_for(lambda: proxy.stat("overload.envoy.overload_actions.stop_accepting_requests.active") == 1,
                   "requests to be refused")
    assert not room(port)
    assert ("mesh_overload_level", {}, 3.0) in proxy.prometheus()
