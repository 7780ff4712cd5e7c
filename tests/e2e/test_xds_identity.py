"""Who may learn what on the xDS port: a stream is bound to a certificate, and gets nothing that is another's."""
import importlib
import pathlib

import grpc
import pytest
from harness import ads, config
from harness.control import Control, report
from harness.pki import TrustDomain
from harness.proc import wait_until

pytestmark = pytest.mark.mesh_only

als = importlib.import_module("envoy.service.accesslog.v3.als_pb2")
NAME_TABLE = config.TYPE + "istio.networking.nds.v1.NameTable"


def workload(name, account, address, namespace="default", port=9080):
    return f"""
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: {name}-v1, namespace: {namespace}}}
spec: {{address: {address}, labels: {{app: {name}, security.istio.io/tlsMode: istio}}, serviceAccount: {account}}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: {port}}}]}}
---"""


OBJECTS = (workload("web", "web", "10.1.0.1") + workload("reviews", "reviews", "10.1.0.2") +
           workload("vault", "vault", "10.1.0.3", "secret") + """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: secret}
spec: {egress: [{hosts: ["./*"]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: secret}
spec:
  gatewayClassName: mesh
  listeners: [{name: http, port: 8080, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: edge, namespace: secret}
spec:
  parentRefs: [{name: edge}]
  rules: [{backendRefs: [{name: vault, port: 9080}]}]
""")


@pytest.fixture
def control(mesh_bin, tmp_path):
    c = Control(mesh_bin, tmp_path)
    c.apply(OBJECTS)
    wait_until(lambda: c.api("GET", "/api/v1/status")["services"] == 3, "the objects to count")
    yield c
    assert c.stop() in (0, -15), c.tail()
    for word in ("Sanitizer", "runtime error", "assertion failed"):
        assert word not in c.text(), c.tail(60)


def refused(stream, status, word):
    with stream as s:
        s.ask(config.LISTENER, "*")
        assert s.refusal()[0] == status
        assert word in s.refusal()[1]


def test_no_certificate(control):
    refused(control.stream(address="10.1.0.1", account="web"), grpc.StatusCode.PERMISSION_DENIED, "MESH4001")
    assert control.api("GET", "/api/v1/proxies")["items"] == []


@pytest.mark.parametrize("node", [{"account": "reviews"}, {"account": "web", "namespace": "secret"}, {}],
                         ids=["account", "namespace", "default"])
def test_another_node(control, node):
    me = control.join("web")
    refused(control.stream(me, **node), grpc.StatusCode.PERMISSION_DENIED, "MESH4002")
    assert control.api("GET", "/api/v1/proxies")["items"] == []


@pytest.mark.parametrize("node", [{"address": "10.1.0.2"}, {"address": "10.1.0.3"},
                                  {"address": "10.1.0.1", "INSTANCE_IPS": "10.1.0.1,10.1.0.2"}],
                         ids=["account", "namespace", "second"])
def test_another_address(control, node):
    me = control.join("web")
    refused(control.stream(me, account="web", **node), grpc.StatusCode.PERMISSION_DENIED, "MESH4003")


def test_an_address_that_becomes_anothers(control):
    """Nobody's at first, so it may be said; then somebody is there."""
    with control.stream(control.join("web"), account="web", address="10.1.0.77") as s:
        s.get(config.CLUSTER, "outbound|9080||reviews.default.svc.cluster.local")
        control.apply(workload("late", "late", "10.1.0.77"))
        code, why = s.refusal()
        assert code == grpc.StatusCode.PERMISSION_DENIED and "MESH4003" in why
    wait_until(lambda: control.api("GET", "/api/v1/proxies")["items"] == [], "it to be gone")


def test_no_node(control):
    with control.stream(control.join("web"), account="web") as s:
        s._sent_node = True
        s.ask(config.LISTENER, "*")
        code, why = s.refusal()
        assert code == grpc.StatusCode.PERMISSION_DENIED and "MESH4004" in why


def test_another_trust_domain(control, tmp_path):
    foreign = TrustDomain(tmp_path)
    me = foreign.issue("spiffe://cluster.local/ns/default/sa/web")
    with control.stream(me, account="web", address="10.1.0.1") as s:
        s.ask(config.LISTENER, "*")
        assert s.refusal()[0] == grpc.StatusCode.UNAVAILABLE  # there is no connection to refuse it on
    with pytest.raises(grpc.RpcError) as error:
        report(control, me, {})
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE


def test_own_side_of_others_by_name(control):
    """What is its own side comes; what is another's own side is not there, whatever it is called."""
    with control.stream(control.join("web"), account="web", address="10.1.0.1") as s:
        own = s.get(config.LISTENER, "*")
        assert "10.1.0.1_9080" in own
        names = ["10.1.0.2_9080", "10.1.0.3_9080", "0.0.0.0_8080"]
        assert s.get(config.LISTENER, *names) == dict.fromkeys(names)
        routes = ["http.8080", "inbound|9080||"]
        assert s.get(config.ROUTES, *routes) == dict.fromkeys(routes)
        hosts = ["http.8080/edge", "http.8080/*"]
        assert s.get(config.VIRTUAL_HOST, *hosts) == dict.fromkeys(hosts)
        clusters = s.get(config.CLUSTER, "inbound|9080||", "inbound|1||")
        assert clusters["inbound|1||"] is None
        assert b"10.1.0.2" not in clusters["inbound|9080||"].value


def test_a_gateway_of_another_namespace(control):
    """Labels are the node's own word; the namespace is its certificate's."""
    labels = {"gateway.networking.k8s.io/gateway-name": "edge"}
    with control.stream(control.join("edge"), account="edge", kind="router", LABELS=labels) as s:
        assert s.get(config.LISTENER, "*", "0.0.0.0_8080") == {"0.0.0.0_8080": None}
    mine = control.join("edge", "secret")
    with control.stream(mine, account="edge", namespace="secret", kind="router", LABELS=labels) as s:
        assert s.get(config.LISTENER, "*")["0.0.0.0_8080"]


def test_certificate_is_no_secret_of_control(control):
    """Identities are never given by discovery."""
    with control.stream(control.join("web"), account="web", address="10.1.0.1") as s:
        answer = s.ask(config.SECRET, "default", "ROOTCA").take()
        assert not answer.resources


def test_plain_port_is_off(control):
    assert "xds-plain" not in control.text()
    listening = set()
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, state = line.split()[1], line.split()[3]
        if state == "0A":
            listening.add(int(local.split(":")[1], 16))
    assert control.port in listening and 15010 not in listening


# ---- reports

EDGE = {"reporter": "source", "source_workload": "web-v1", "source_workload_namespace": "default",
        "source_principal": "spiffe://cluster.local/ns/default/sa/web", "source_canonical_service": "web",
        "destination_workload": "reviews-v1", "destination_workload_namespace": "default",
        "destination_principal": "spiffe://cluster.local/ns/default/sa/reviews",
        "destination_service": "reviews.default.svc.cluster.local", "destination_service_name": "reviews",
        "destination_service_namespace": "default", "request_protocol": "http", "response_code": "200",
        "response_flags": "-", "connection_security_policy": "unknown"}


def edges(control):
    return [(e["source"].get("workload"), e["destination"].get("workload"))
            for e in control.api("GET", "/api/v1/edges")["items"]]


def test_reports(control):
    with pytest.raises(grpc.RpcError) as error:
        report(control, None, EDGE)
    assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED and "MESH4001" in error.value.details()
    others = control.join("reviews")
    report(control, others, EDGE)  # it is not told; it is counted
    wait_until(lambda: control.metrics()["mesh_control_reports_refused_total"] == 1, "it to be refused")
    nameless = {k: v for k, v in EDGE.items() if k != "source_principal"}
    report(control, others, nameless)
    wait_until(lambda: control.metrics()["mesh_control_reports_refused_total"] == 2, "it to be refused")
    assert edges(control) == []
    report(control, control.join("web"), EDGE)
    wait_until(lambda: edges(control) == [("web-v1", "reviews-v1")], "the edge")
    assert control.metrics()["mesh_control_reports_total"] == 3


# ---- taps

def tell(control, identity, **node):
    """One request, told as the proxy of this identity would."""
    m = als.StreamAccessLogsMessage()
    m.identifier.node.CopyFrom(control.stream(identity, **node).node)
    entry = m.http_logs.log_entry.add()
    entry.request.path = "/" + node["account"]
    options = [("grpc.ssl_target_name_override", "istiod.istio-system.svc"), ("grpc.use_local_subchannel_pool", 1)]
    pair = (identity.key_pem, identity.chain_pem) if identity else (None, None)
    with grpc.secure_channel(f"127.0.0.1:{control.port}", grpc.ssl_channel_credentials(control.roots, *pair),
                             options) as channel:
        ads._als_grpc.AccessLogServiceStub(channel).StreamAccessLogs(iter([m]), timeout=10)


def test_taps(control):
    c = control.connection()
    c.request("GET", "/api/v1/tap")
    r = c.getresponse()
    web = control.join("web")
    with pytest.raises(grpc.RpcError) as error:
        tell(control, None, account="web")
    assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED
    tell(control, web, account="reviews")
    tell(control, web, account="web", namespace="secret")
    tell(control, web, account="web")
    while not (line := r.readline()).startswith(b"data:"):
        assert line
    assert b'"path":"/web"' in line and b'"namespace":"default"' in line  # the others never came
    c.close()
