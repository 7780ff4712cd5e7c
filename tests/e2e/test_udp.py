"""UDP by explicit listener: datagrams there and back, each client its own session."""
import socket
import threading

import pytest
from harness import config
from harness.proc import wait_until

UDP_PROXY = "type.googleapis.com/envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig"


class Echo:
    """Answers each datagram with its own name before it."""

    def __init__(self, name):
        self.name = name
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.peers = set()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        try:
            while True:
                data, peer = self.sock.recvfrom(65535)
                if data == b"stop":
                    return
                self.peers.add(peer)
                self.sock.sendto(self.name + data, peer)
        except OSError:
            return

    def close(self):
        self.sock.sendto(b"stop", ("127.0.0.1", self.port))


@pytest.fixture
def echoes():
    made = [Echo(b"a:"), Echo(b"b:")]
    yield made
    for e in made:
        e.close()


def client(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    s.connect(("127.0.0.1", port))
    return s


def front(lab, ports, cluster=None, listener=None, **more):
    port = lab.ports.take()
    body = config.listener("udp", port)
    del body["filter_chains"]
    body["address"]["socket_address"]["protocol"] = "UDP"
    body["udp_listener_config"] = {}
    body["listener_filters"] = [{"name": "udp_proxy", "typed_config": {
        "@type": UDP_PROXY, "stat_prefix": "dns", "cluster": "app", **more}}]
    body.update(listener or {})
    return lab.proxy([body], [config.cluster("app", *ports, **(cluster or {}))]), port


def test_there_and_back(lab, echoes):
    a, _ = echoes
    proxy, port = front(lab, [a.port])
    clients = [client(port) for _ in range(8)]
    for size in (0, 1, 512, 1400, 9000, 60000):
        for c in clients:  # one at a time: the kernel drops what does not fit into a socket
            c.send(b"x" * size)
            assert c.recv(65535) == b"a:" + b"x" * size
    assert len(a.peers) == 8  # one session each, kept
    proxy.wait_stat("udp.dns.downstream_sess_total", 8)
    proxy.wait_stat("udp.dns.downstream_sess_rx_datagrams", 48)
    for c in clients:
        c.close()


def test_sessions_stay_with_their_endpoint(lab, echoes):
    _, port = front(lab, [e.port for e in echoes])
    names = set()
    for _ in range(8):
        with client(port) as c:
            got = set()
            for _ in range(5):
                c.send(b"?")
                got.add(c.recv(100))
            assert len(got) == 1
            names |= got
    assert len(names) == 2


def test_source_ip_hash(lab, echoes):
    _, port = front(lab, [e.port for e in echoes], cluster={"lb_policy": "RING_HASH"},
                    hash_policies=[{"source_ip": True}])
    names = set()
    for _ in range(8):
        with client(port) as c:
            c.send(b"?")
            names.add(c.recv(100))
    assert len(names) == 1


def test_idle_sessions_end(lab, echoes):
    proxy, port = front(lab, [echoes[0].port], idle_timeout="0.2s")
    with client(port) as c:
        c.send(b"1")
        c.recv(100)
        proxy.wait_stat("udp.dns.idle_timeout", 1)
        c.send(b"2")
        assert c.recv(100) == b"a:2"
    wait_until(lambda: len(echoes[0].peers) == 2, "a second session")


def test_sessions_are_bounded(lab, echoes):
    proxy, port = front(lab, [echoes[0].port], cluster={"circuit_breakers": {
        "thresholds": [{"max_connections": 3}]}})
    clients = [client(port) for _ in range(10)]
    for c in clients:
        c.send(b"?")
    proxy.wait_stat("cluster.app.upstream_cx_overflow", 7)
    assert clients[0].recv(100) == b"a:?"
    for c in clients:
        c.close()


def test_nobody_there(lab):
    dead = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    dead.bind(("127.0.0.1", 0))
    port_of_nobody = dead.getsockname()[1]
    dead.close()
    proxy, port = front(lab, [port_of_nobody])
    with client(port) as c:
        for _ in range(5):
            c.send(b"?")
        proxy.wait_stat("udp.dns.downstream_sess_rx_datagrams", 5)
    assert proxy.alive()
