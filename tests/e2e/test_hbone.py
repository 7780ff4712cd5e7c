"""HBONE: tunnels by CONNECT over HTTP/2 and mutual TLS, in and out, in Istio's form."""
import http.client
import socket

import pytest
from harness import config, hbone
from harness.client import Http, Raw, get, refused, request
from harness.config import policy, principal, rbac_http, rbac_network
from harness.control import Control, loopback
from harness.proc import wait_until


class Server:
    """A sidecar that accepts tunnels; HTTP to its application, opaque bytes to any other port."""

    def __init__(self, lab, app_port=None, **more):
        self.port = lab.ports.take()
        self.identity = lab.trust.issue("server")
        self.proxy = lab.proxy(*hbone.accepting(self.port, self.identity, app_port, **more), "inner")


def sender(lab, server, app_port, tcp=False, identity=None, log=None, originate=None, **more):
    """A sidecar whose outbound cluster is reached by tunnels; (proxy, port)."""
    port = lab.ports.take()
    listener, cluster = hbone.originate(server.port, lab.trust.issue("client"), **(originate or {}))
    chain = (config.tcp_proxy("server", log) if tcp else
             config.hcm(config.routes_to("server", timeout="0s"), (), log, stat_prefix="outbound"))
    proxy = lab.proxy([config.listener("outbound", port, chain, direction="OUTBOUND"), listener],
                      [hbone.tunnelled("server", app_port, identity=identity or server.identity.uri, **more), cluster],
                      "outer")
    return proxy, port


# ---- in: a client by hand

def test_http_in_a_tunnel_with_the_identity_of_the_connection(lab):
    app = lab.http_origin()
    server = Server(lab, app.port)
    client = lab.trust.issue("client")
    with hbone.Client(server.port, client) as c:
        s = c.open(f"127.0.0.1:{app.port}")
        for _ in range(3):
            c.data[s] = b""
            c.send(s, b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n")
            assert b"200 OK" in c.until(s, b"app")
        assert client.uri in app.last().get("x-forwarded-client-cert")
        assert len(app.seen) == 3
    assert server.proxy.wait_stat("http.connect_terminate.downstream_tunnel_total", 1) == 1
    text = server.proxy.admin("/stats/prometheus")[1]
    line = next(x for x in text.splitlines() if x.startswith("istio_requests_total") and 'reporter="destination"' in x)
    assert 'connection_security_policy="mutual_tls"' in line and client.uri in line


def test_opaque_bytes_many_tunnels_and_half_close(lab):
    echo = lab.tcp_origin()
    after = lab.tcp_origin("after-eof")
    server = Server(lab)
    body = bytes(range(256)) * 4000
    with hbone.Client(server.port, lab.trust.issue("client")) as c:
        streams = [c.open(f"127.0.0.1:{echo.port}") for _ in range(5)]
        for s in streams:
            c.send(s, b"hello %d" % s)
        for s in streams:
            assert c.until(s, b"hello %d" % s) == b"hello %d" % s
        counted = c.open(f"127.0.0.1:{after.port}")
        c.send(counted, body, end=True)
        assert c.all(counted) == b"got %d" % len(body)
        c.send(streams[0], body, end=True)
        assert c.all(streams[0]) == b"hello %d" % streams[0] + body


def test_the_server_may_speak_first(lab):
    greeter = lab.tcp_origin("greet")
    server = Server(lab)
    with hbone.Client(server.port, lab.trust.issue("client")) as c:
        s = c.open(f"127.0.0.1:{greeter.port}")
        c.send(s, b"\x00\x01\x02 not http")
        assert b"220 hello" in c.until(s, b"not http")


def test_a_refused_application_is_a_reset(lab):
    server = Server(lab)
    with hbone.Client(server.port, lab.trust.issue("client")) as c:
        s = c.open(f"127.0.0.1:{lab.dead_port()}")
        c.send(s, b"\x00\x01 not http")
        c.all(s)
        assert s in c.reset or s in c.ended


@pytest.mark.parametrize("authority,status", [
    ("127.0.0.2:{}", "403"), ("10.1.2.3:{}", "403"), ("[::1]:{}", "403"),
    ("localhost:{}", "400"), ("example.com:{}", "400"), ("127.0.0.1:0", "400")])
def test_it_is_no_open_proxy(lab, authority, status):
    app = lab.http_origin()
    server = Server(lab, app.port)
    with hbone.Client(server.port, lab.trust.issue("client")) as c:
        assert c.answer(c.connect(authority.format(app.port))) == status
        s = c.open(f"127.0.0.1:{app.port}")  # the connection goes on
        c.send(s, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        c.until(s, b"app")
    assert len(app.seen) == 1
    assert server.proxy.wait_stat("http.connect_terminate.downstream_tunnel_refused", 1) == 1


def test_only_tunnels_are_taken(lab):
    app = lab.http_origin()
    server = Server(lab, app.port)
    with hbone.Client(server.port, lab.trust.issue("client")) as c:
        stream = c.h2.get_next_available_stream_id()
        c.h2.send_headers(stream, [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "a")],
                          end_stream=True)
        c.data[stream] = b""
        c._flush()
        assert c.answer(stream) == "404"
    assert app.seen == []


def test_without_a_certificate_nobody_comes_in(lab):
    app = lab.http_origin()
    server = Server(lab, app.port, accept=[lab.trust.spiffe("friend")])
    assert refused(server.port, None)
    assert refused(server.port, lab.trust.issue("stranger"))
    with hbone.Client(server.port, lab.trust.issue("friend")) as c:
        c.open(f"127.0.0.1:{app.port}")


def test_policy_inside_sees_who_it_is(lab):
    app = lab.http_origin()
    echo = lab.tcp_origin()
    allowed = policy(principal(lab.trust.spiffe("friend")))
    server = Server(lab, app.port, http_filters=[rbac_http({"friends": allowed})],
                    tcp_filters=[rbac_network({"friends": allowed})])
    for name, is_friend in (("friend", True), ("stranger", False)):
        with hbone.Client(server.port, lab.trust.issue(name)) as c:
            s = c.open(f"127.0.0.1:{app.port}")
            c.send(s, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            assert c.until(s, b"app" if is_friend else b"denied").startswith(
                b"HTTP/1.1 200" if is_friend else b"HTTP/1.1 403")
            t = c.open(f"127.0.0.1:{echo.port}")
            c.send(t, b"\x00\x01\x02", end=True)
            assert c.all(t) == (b"\x00\x01\x02" if is_friend else b"")
    assert len(app.seen) == 1 and echo.received == 3


# ---- out and in: two proxies

def test_http_through_two_proxies(lab):
    app = lab.http_origin()
    server = Server(lab, app.port)
    outer, port = sender(lab, server, app.port)
    body = bytes(range(256)) * 4000
    with Http(port) as c:
        for _ in range(20):
            assert c.get("/").body == b"app"
        assert c.request("POST", "/mirror", body).body == body
    for _ in range(10):
        assert get(port, "/").status == 200
    assert outer.wait_stat("cluster.connect_originate.upstream_cx_total", 1) == 1  # one connection for all
    assert "x-forwarded-client-cert" in {k.lower() for k, _ in app.last().headers}
    text = outer.admin("/stats/prometheus")[1]
    line = next(x for x in text.splitlines() if x.startswith("istio_requests_total") and 'reporter="source"' in x)
    assert server.identity.uri in line


def test_http2_and_grpc_through_two_proxies(lab):
    app = lab.grpc_origin()
    server = Server(lab)
    _, port = sender(lab, server, app.port, typed_extension_protocol_options=config._protocol(
        "http2_protocol_options", {})["typed_extension_protocol_options"])
    import grpc
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/test.Echo/Unary")
        assert b"hi" in call(b"hi", timeout=10)


def test_tcp_through_two_proxies_with_half_close(lab):
    after = lab.tcp_origin("after-eof")
    server = Server(lab)
    _, port = sender(lab, server, after.port, tcp=True)
    for n in (5, 300000):
        with Raw(port) as c:
            c.send(b"\x00" * n)
            c.end()
            assert c.all() == b"got %d" % n


def test_another_identity_is_not_believed(lab):
    app = lab.http_origin()
    server = Server(lab, app.port)
    log = lab.folder / "access.log"
    outer, port = sender(lab, server, app.port, identity=lab.trust.spiffe("other"), log=log)
    assert get(port, "/").status == 503
    assert app.seen == []
    assert outer.wait_stat("cluster.connect_originate.ssl.fail_verify_san", 1) >= 1


def test_whom_the_tunnels_cluster_refuses_gets_nothing(lab):
    app = lab.http_origin()
    server = Server(lab, app.port)
    _, port = sender(lab, server, app.port, originate={"sans": [lab.trust.spiffe("other")]})
    assert get(port, "/").status == 503
    assert app.seen == []


def test_nobody_at_the_other_end(lab):
    app = lab.http_origin()
    server = Server(lab, app.port)
    server.port = lab.dead_port()
    log = lab.folder / "access.log"
    outer, port = sender(lab, server, app.port, log=log)
    a = get(port, "/")
    assert a.status == 503
    outer.wait_for(lambda: " UF" in log.read_text(), "the access log's line")


def test_a_refused_tunnel_is_a_failed_connection(lab):
    app = lab.http_origin()
    server = Server(lab, app.port)
    log = lab.folder / "access.log"
    _, port = sender(lab, server, app.port, log=log, host="127.0.0.1")
    assert get(port, "/").status == 200
    server.proxy.admin("/drain_listeners", "POST")
    assert get(port, "/").status in (200, 503)


def test_the_tunnel_of_a_tcp_proxy(lab):
    """TcpProxy.tunneling_config, without an internal listener."""
    after = lab.tcp_origin("after-eof")
    server = Server(lab)
    port = lab.ports.take()
    client = lab.trust.issue("client")
    via = config.cluster("via", server.port, tls=config.tls_upstream(client, alpn=("h2",)), http2=True)
    lab.proxy([config.listener("front", port, config.tcp_proxy(
        "via", tunneling_config={"hostname": f"127.0.0.1:{after.port}"}))], [via], "front")
    with Raw(port) as c:
        c.send(b"x" * 100000)
        c.end()
        assert c.all() == b"got 100000"


def test_an_application_that_dies_and_comes_back(lab):
    app = lab.http_origin()
    server = Server(lab, app.port)
    _, port = sender(lab, server, app.port)
    for _ in range(3):
        assert get(port, "/").status == 200
        assert request(port, "POST", "/echo", b"x" * 1000).status == 200


# ---- as the control plane tells it

MESH = """
apiVersion: v1
kind: Service
metadata: {{name: back, namespace: default}}
spec:
  ports: [{{name: http, port: 8080, targetPort: {port}}}]
  selector: {{app: back}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: back-1, namespace: default}}
spec:
  address: {back}
  labels: {{app: back, security.istio.io/tlsMode: istio}}
  serviceAccount: back
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: front-1, namespace: default}}
spec:
  address: {front}
  labels: {{app: front, security.istio.io/tlsMode: istio}}
  serviceAccount: front
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default, namespace: default}}
spec:
  mtls: {{mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: only-front, namespace: default}}
spec:
  selector: {{matchLabels: {{app: back}}}}
  rules:
    - from: [{{source: {{principals: [cluster.local/ns/default/sa/{who}]}}}}]
---
apiVersion: mesh.io/v1
kind: MeshConfig
metadata: {{name: default, namespace: istio-system}}
spec: {{enableHBONE: true}}
"""


@pytest.mark.mesh_only
def test_a_mesh_of_tunnels(lab, mesh_bin, tmp_path):
    """enableHBONE: two native sidecars, strict mutual TLS, policy by identity; the port of plain mutual TLS is not used."""
    app = lab.http_origin()
    control = Control(mesh_bin, tmp_path)
    lab.at_end(lambda: control.alive() and control.stop())
    back_at, front_at = loopback(11), loopback(12)
    control.apply(MESH.format(port=app.port, back=back_at, front=front_at, who="front"))
    back = control.proxy("back-1", "back", back_at, labels=["app=back"])
    lab.at_end(back.stop)
    front = control.proxy("front-1", "front", front_at, labels=["app=front"])
    lab.at_end(front.stop)

    def ask():
        c = http.client.HTTPConnection(front_at, 15007, timeout=10)
        c.request("GET", "http://back:8080/")
        r = c.getresponse()
        return r.status, r.read()
    wait_until(lambda: ask() == (200, b"app"), "an answer through the mesh")
    assert "spiffe://cluster.local/ns/default/sa/front" in app.last().get("x-forwarded-client-cert")
    with socket.create_connection((back_at, 15008), 5):
        pass
    control.apply(MESH.format(port=app.port, back=back_at, front=front_at, who="somebody"))
    wait_until(lambda: ask()[0] == 403, "the policy to hold")
