"""The PROXY protocol with programs that others wrote: HAProxy before us, nginx and HAProxy behind us."""
import shutil
import socket

import pytest
from harness import config
from harness.client import Raw
from harness.proc import Process

EXTENSIONS = "type.googleapis.com/envoy.extensions."
CLIENT = "127.0.0.77"
PROXY_IN = {"name": "pp", "typed_config": {
    "@type": EXTENSIONS + "filters.listener.proxy_protocol.v3.ProxyProtocol"}}


def proxy_out(version, inner=None):
    body = {"@type": EXTENSIONS + "transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
            "config": {"version": version}}
    if inner:
        body["transport_socket"] = inner
    return {"name": "pp", "typed_config": body}


def program(name):
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if not found:
        pytest.skip(f"{name} is not here")
    return found


def haproxy(tmp_path, name, body):
    conf = tmp_path / f"{name}.cfg"
    conf.write_text("defaults\n  mode http\n  timeout connect 2s\n  timeout client 5s\n  timeout server 5s\n" + body)
    return Process([program("haproxy"), "-db", "-f", conf], tmp_path / f"{name}.log")


def ask(port):
    """From an address of loopback that nobody else has."""
    with socket.socket() as s:
        s.settimeout(5)
        s.bind((CLIENT, 0))
        s.connect(("127.0.0.1", port))
        own = s.getsockname()[1]
        s.sendall(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
        got = b""
        while piece := s.recv(65536):
            got += piece
    return got.decode(), own


@pytest.mark.parametrize("word", ["send-proxy", "send-proxy-v2"])
def test_haproxy_tells_us(lab, tmp_path, word):
    program("haproxy")
    app = lab.http_origin()
    port = lab.ports.take()
    lab.proxy([config.listener("front", port, config.hcm(config.routes_to("app"), use_remote_address=True),
                               listener_filters=[PROXY_IN])], [config.cluster("app", app.port)])
    front = lab.ports.take()
    child = haproxy(tmp_path, "front", f"listen l\n  mode tcp\n  bind 127.0.0.1:{front}\n"
                                       f"  server s 127.0.0.1:{port} {word}\n")
    try:
        child.wait_port(front)
        text, _ = ask(front)
        assert text.startswith("HTTP/1.1 200")
        assert app.seen[-1].get("x-forwarded-for") == CLIENT
    finally:
        child.stop()


@pytest.mark.parametrize("version", ["V1", "V2"])
def test_we_tell_nginx(lab, tmp_path, version):
    back = lab.ports.take()
    conf = tmp_path / "nginx.conf"
    conf.write_text(f"""daemon off; master_process off; pid {tmp_path}/nginx.pid; error_log stderr;
events {{ worker_connections 64; }}
http {{ access_log off; server {{ listen 127.0.0.1:{back} proxy_protocol;
  location / {{ return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_port"; }} }} }}
""")
    child = Process([program("nginx"), "-c", conf, "-p", tmp_path], tmp_path / "nginx.log")
    try:
        child.wait_port(back)
        _, port = tcp_front(lab, back, proxy_out(version))
        text, own = ask(port)
        assert text.startswith("HTTP/1.1 200")
        assert text.endswith(f"{CLIENT} {own} {port}")
    finally:
        child.stop()


def tcp_front(lab, back, socket_):
    port = lab.ports.take()
    proxy = lab.proxy([config.listener("front", port, config.tcp_proxy("app"))],
                      [config.cluster("app", back, transport_socket=socket_)])
    return proxy, port


@pytest.mark.parametrize("version", ["V1", "V2"])
def test_we_tell_haproxy(lab, tmp_path, version):
    program("haproxy")
    back = lab.ports.take()
    child = haproxy(tmp_path, "back",
                    f"frontend f\n  bind 127.0.0.1:{back} accept-proxy\n"
                    "  http-request return status 200 content-type text/plain lf-string \"%[src] %[src_port]\"\n")
    try:
        child.wait_port(back)
        _, port = tcp_front(lab, back, proxy_out(version))
        text, own = ask(port)
        assert text.endswith(f"{CLIENT} {own}")
    finally:
        child.stop()


def test_below_tls(lab):
    """The header is plain, what follows it is TLS."""
    heard = []
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(5)
    identity = lab.trust.issue("c")
    _, port = tcp_front(lab, server.getsockname()[1], proxy_out("V1", config.tls_upstream(identity)))
    with Raw(port) as c:
        c.send(b"x")
        conn, _ = server.accept()
        conn.settimeout(5)
        while len(heard) < 60:
            heard += conn.recv(65536)
        conn.close()
    server.close()
    line, rest = bytes(heard).split(b"\r\n", 1)
    assert line.startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 ")
    assert rest[:2] == b"\x16\x03"
