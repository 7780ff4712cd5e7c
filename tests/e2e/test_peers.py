"""What sidecars tell each other of themselves: labels at both ends, by HTTP header and by the exchange on opaque connections;
seen by no application, believed of nobody without a certificate for it."""
import base64
import struct

import pytest
from google.protobuf import any_pb2, struct_pb2
from harness import config
from harness.client import Raw, get, request, tls_connect
from harness.proc import wait_until

METADATA, ID = "x-envoy-peer-metadata", "x-envoy-peer-metadata-id"
MAGIC = 0x3D230467
EXCHANGE = {"alpn": ("istio-peer-exchange", "istio")}
EXCHANGE_SERVER = {"alpn": ("istio-peer-exchange", "h2", "http/1.1", "istio")}
pytestmark = pytest.mark.mesh_only


def node(name):
    return config.node(f"sidecar~127.0.0.1~{name}-v1-abc.shop~shop.svc.cluster.local", NAME=f"{name}-v1-abc",
                       NAMESPACE="shop", WORKLOAD_NAME=f"{name}-v1", CLUSTER_ID="k1",
                       LABELS={"app": name, "version": "v1", "service.istio.io/canonical-name": name,
                               "service.istio.io/canonical-revision": "v1"})


NODES = [node("client"), node("server")]


def shop_pair(lab, app, **more):
    return lab.pair(app.port, client=lab.trust.issue("client", "shop"), server=lab.trust.issue("server", "shop"),
                    nodes=NODES, **more)


def metadata(workload="forger", namespace="shop"):
    s = struct_pb2.Struct()
    s.update({"NAME": workload, "NAMESPACE": namespace, "WORKLOAD_NAME": workload,
              "LABELS": {"app": workload, "version": "v9"}})
    return s


def header(**who):
    return base64.b64encode(metadata(**who).SerializeToString()).decode()


def frame(**who):
    outer = struct_pb2.Struct()
    outer.fields[METADATA].struct_value.CopyFrom(metadata(**who))
    packed = any_pb2.Any()
    packed.Pack(outer)
    wire = packed.SerializeToString()
    return struct.pack("!II", MAGIC, len(wire)) + wire


def row(proxy, reporter, name="istio_requests_total", at_least=1):
    """The labels of the only series of that metric."""
    def find():
        rows = [labels for found, labels, n in proxy.prometheus()
                if found == name and labels["reporter"] == reporter and n >= at_least]
        return rows[0] if len(rows) == 1 else None
    return wait_until(find, f"one row of {name}")


def is_told(labels, end, name):
    wanted = {f"{end}_workload": f"{name}-v1", f"{end}_workload_namespace": "shop", f"{end}_app": name,
              f"{end}_version": "v1", f"{end}_canonical_service": name, f"{end}_canonical_revision": "v1",
              f"{end}_cluster": "k1"}
    assert {k: labels[k] for k in wanted} == wanted


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
def test_both_ends_are_labelled_and_nobody_sees_how(lab, http2):
    app = lab.http_origin()
    pair = shop_pair(lab, app, server_http2=http2)
    for _ in range(3):
        answer = get(pair.port, "/")
        assert answer.status == 200 and answer.get(METADATA) is None and answer.get(ID) is None
        assert app.last().get(METADATA) is None and app.last().get(ID) is None
    for proxy, reporter in ((pair.outer, "source"), (pair.inner, "destination")):
        labels = row(proxy, reporter, at_least=2)
        is_told(labels, "source", "client")
        is_told(labels, "destination", "server")


def test_what_the_application_says_is_not_passed_on(lab):
    app = lab.http_origin()
    pair = shop_pair(lab, app)
    assert request(pair.port, "GET", "/", headers={METADATA: header(), ID: "forger"}).status == 200
    is_told(row(pair.inner, "destination"), "source", "client")
    assert app.last().get(METADATA) is None and app.last().get(ID) is None


def ask_directly(pair, identity, **headers):
    with tls_connect(pair.inner_port, identity) as s:
        fields = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        s.sendall(f"GET / HTTP/1.1\r\nhost: a\r\n{fields}connection: close\r\n\r\n".encode())
        answer = b""
        while piece := s.recv(65536):
            answer += piece
    return answer.lower()


def test_a_peer_speaks_for_its_own_namespace_only(lab):
    app = lab.http_origin()
    pair = shop_pair(lab, app)
    answer = ask_directly(pair, pair.client, **{METADATA: header(namespace="bank"), ID: "x"})
    assert b" 200 " in answer
    labels = row(pair.inner, "destination")
    assert labels["source_workload"] == "unknown" and labels["source_workload_namespace"] == "shop"


@pytest.mark.parametrize("value", ["", "!!!", "AAAA", "x" * 5000])
def test_nonsense_stays_unknown(lab, value):
    app = lab.http_origin()
    pair = shop_pair(lab, app)
    assert b" 200 " in ask_directly(pair, pair.client, **{METADATA: value, ID: "x"})
    assert row(pair.inner, "destination")["source_workload"] == "unknown"
    assert app.last().get(METADATA) is None


def test_who_does_not_ask_is_not_told(lab):
    pair = shop_pair(lab, lab.http_origin())
    assert METADATA.encode() not in ask_directly(pair, pair.client)
    assert METADATA.encode() in ask_directly(pair, pair.client, **{METADATA: header(), ID: "x"})


def test_without_a_certificate_nobody_is_believed_or_told(lab):
    app = lab.http_origin()
    port = lab.ports.take()
    proxy = lab.proxy([config.listener("in", port, config.hcm(config.routes_to("app")), direction="INBOUND")],
                      [config.cluster("app", app.port)], node=NODES[1])
    answer = request(port, "GET", "/", headers={METADATA: header(), ID: "forger"})
    assert answer.status == 200 and answer.get(METADATA) is None
    assert app.last().get(METADATA) is None and app.last().get(ID) is None
    labels = row(proxy, "destination")
    assert labels["source_workload"] == "unknown" and labels["source_workload_namespace"] == "unknown"


def test_strangers_are_not_told(lab):
    """A plaintext upstream of an outbound listener, and what it claims in its answer."""
    app = lab.http_origin()
    port = lab.ports.take()
    lab.proxy([config.listener("out", port, config.hcm(config.routes_to("app")), direction="OUTBOUND")],
              [config.cluster("app", app.port)], node=NODES[0])
    assert request(port, "GET", "/", headers={METADATA: header()}).status == 200
    assert app.last().get(METADATA) is None and app.last().get(ID) is None


def test_requests_offer_what_they_carry(lab):
    """A cluster for the exchange carries requests too: under HTTP's names, so that no frame is mixed in."""
    app = lab.http_origin()
    for http2 in (False, True):
        pair = shop_pair(lab, app, outer_tls=EXCHANGE, inner_tls=EXCHANGE_SERVER, server_http2=http2)
        assert request(pair.port, "POST", "/echo", b"x" * 100000).json()["body_bytes"] == 100000
        is_told(row(pair.inner, "destination"), "source", "client")


# ---- opaque connections

def tcp_pair(lab, mode="echo"):
    app = lab.tcp_origin(mode)
    return app, shop_pair(lab, app, tcp=True, outer_tls=EXCHANGE, inner_tls=EXCHANGE_SERVER)


def test_opaque_connections_are_labelled(lab):
    app, pair = tcp_pair(lab)
    body = bytes(range(256)) * 4096
    with Raw(pair.port) as c:
        c.send(b"12345")
        assert c.exactly(5) == b"12345"
        c.send(body)
        assert c.exactly(len(body)) == body
    for proxy, reporter in ((pair.outer, "source"), (pair.inner, "destination")):
        for name in ("opened", "closed"):
            labels = row(proxy, reporter, f"istio_tcp_connections_{name}_total")
            is_told(labels, "source", "client")
            is_told(labels, "destination", "server")
        sent = [n for name, labels, n in proxy.prometheus() if name == "istio_tcp_sent_bytes_total"]
        assert sum(sent) == len(body) + 5  # frames are not the application's


def test_a_server_may_speak_first(lab):
    app, pair = tcp_pair(lab, "greet")
    with Raw(pair.port) as c:
        greeting = c.some() if hasattr(c, "some") else c.exactly(1)
        assert greeting
    is_told(row(pair.inner, "destination", "istio_tcp_connections_opened_total"), "source", "client")


def read_frame(s):
    got = b""
    while len(got) < 8 or len(got) < 8 + struct.unpack("!I", got[4:8])[0]:
        piece = s.recv(65536)
        assert piece
        got += piece
    length = struct.unpack("!I", got[4:8])[0]
    assert struct.unpack("!I", got[:4])[0] == MAGIC
    return got[8:8 + length], got[8 + length:]


def test_the_frame_is_istios(lab):
    _, pair = tcp_pair(lab)
    with tls_connect(pair.inner_port, pair.client, alpn=["istio-peer-exchange"]) as s:
        wire = frame(workload="other", namespace="shop")
        for i in range(0, len(wire), 7):
            s.sendall(wire[i:i + 7])
        s.sendall(b"hello")
        theirs, rest = read_frame(s)
        while len(rest) < 5:
            rest += s.recv(100)
        assert rest == b"hello"
    packed, outer = any_pb2.Any(), struct_pb2.Struct()
    packed.ParseFromString(theirs)
    assert packed.type_url == "type.googleapis.com/google.protobuf.Struct" and packed.Unpack(outer)
    told = outer.fields[METADATA].struct_value
    assert told["WORKLOAD_NAME"] == "server-v1" and told["NAMESPACE"] == "shop"
    assert told["LABELS"]["service.istio.io/canonical-name"] == "server"
    assert outer[ID] == NODES[1]["id"]
    labels = row(pair.inner, "destination", "istio_tcp_connections_opened_total")
    assert labels["source_workload"] == "other" and labels["source_version"] == "v9"


@pytest.mark.parametrize("sent", [b"hello", b"\x3d\x23hello", b"\x3d"])
def test_a_peer_without_the_exchange_is_passed_on_as_it_is(lab, sent):
    app, pair = tcp_pair(lab, "after-eof" if len(sent) == 1 else "echo")
    with tls_connect(pair.inner_port, pair.client, alpn=["istio-peer-exchange"]) as s:
        s.sendall(sent)
        _, rest = read_frame(s)
        if len(sent) > 1:
            while len(rest) < len(sent):
                rest += s.recv(100)
            assert rest == sent
    wait_until(lambda: app.received == len(sent) or len(sent) == 1, "the bytes to arrive")
    labels = row(pair.inner, "destination", "istio_tcp_connections_opened_total")
    assert labels["source_workload"] == "unknown"


def test_a_huge_frame_ends_the_connection(lab):
    _, pair = tcp_pair(lab)
    with tls_connect(pair.inner_port, pair.client, alpn=["istio-peer-exchange"]) as s:
        s.sendall(struct.pack("!II", MAGIC, 1 << 30))
        read_frame(s)
        try:
            assert s.recv(100) == b""
        except OSError:
            pass


def test_without_the_name_there_is_no_exchange(lab):
    _, pair = tcp_pair(lab)
    with tls_connect(pair.inner_port, pair.client, alpn=["istio"]) as s:
        s.sendall(b"hello")
        assert s.recv(100) == b"hello"
