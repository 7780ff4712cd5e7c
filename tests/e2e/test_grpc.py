"""gRPC with Python's grpcio: all four kinds of call, direct through one proxy and through the pair."""
import json
import threading

import grpc
import h2.config
import h2.connection
import h2.events
import pytest
from harness import config
from harness.client import Raw
from harness.proc import wait_until

SERVICE = "/test.Echo/"


class Client:
    def __init__(self, port):
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[
            ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1),
            ("grpc.use_local_subchannel_pool", 1)])
        self.unary = self.channel.unary_unary(SERVICE + "Unary")
        self.up = self.channel.stream_unary(SERVICE + "Up")
        self.down = self.channel.unary_stream(SERVICE + "Down")
        self.both = self.channel.stream_stream(SERVICE + "Both")
        self.fail = self.channel.unary_unary(SERVICE + "Fail")
        self.wait = self.channel.unary_unary(SERVICE + "Wait")
        self.meta = self.channel.unary_unary(SERVICE + "Meta")


@pytest.fixture(params=["plain", "pair"])
def road(request, lab):
    app = lab.grpc_origin()
    if request.param == "plain":
        _, port = lab.http_front(clusters=[config.cluster("app", app.port, http2=True)],
                                 routes=config.routes_to("app", timeout="0s"))
    else:
        pair = lab.pair(app.port, app_http2=True, outer_tls={"alpn": ["istio-h2", "h2"]},
                        server_more=config.same_protocol())
        port = pair.port
    client = Client(port)
    yield client, app
    client.channel.close()


def test_unary(road):
    client, _ = road
    for size in (0, 1, 1000, 5 << 20):
        assert client.unary(b"m" * size, timeout=20) == b"m" * size


def test_client_stream(road):
    client, _ = road
    assert client.up(iter([b"x" * 1000] * 500), timeout=20) == b"500000"


def test_server_stream(road):
    client, _ = road
    got = [int(m) for m in client.down(b"2000", timeout=20)]
    assert got == list(range(2000))


def test_both_ways_message_by_message(road):
    """Each message is answered before the next is sent: nothing waits for the end."""
    client, _ = road
    turn = threading.Semaphore(1)

    def messages():
        for i in range(200):
            assert turn.acquire(timeout=20)
            yield b"%d" % i
    got = []
    for answer in client.both(messages(), timeout=20):
        got.append(answer)
        turn.release()
    assert got == [b"<%d>" % i for i in range(200)]


def test_status_message_and_trailers(road):
    client, _ = road
    with pytest.raises(grpc.RpcError) as caught:
        client.fail("zu viel: 100 % \u20ac".encode(), timeout=20)
    error = caught.value
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.details() == "zu viel: 100 % \u20ac"
    assert ("x-why", "as asked") in error.trailing_metadata()


def test_metadata_both_ways(road):
    client, _ = road
    answer, call = client.meta.with_call(b"", timeout=20, metadata=(("x-mine", "1"), ("x-bin-bin", b"\x00\xff")))
    assert ["x-mine", "1"] in json.loads(answer)
    assert ("x-first", "1") in call.initial_metadata() and ("x-last", "2") in call.trailing_metadata()


def test_deadline(road):
    client, app = road
    with pytest.raises(grpc.RpcError) as caught:
        client.wait(b"", timeout=0.3)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    wait_until(lambda: app.cancelled == 1, "the service to be told")


def test_cancel_reaches_the_service(road):
    client, app = road
    call = client.wait.future(b"")
    threading.Timer(0.1, call.cancel).start()
    with pytest.raises(grpc.FutureCancelledError):
        call.result(timeout=20)
    wait_until(lambda: app.cancelled == 1, "the service to be told")


def test_many_streams_at_once(road):
    client, _ = road
    calls = [client.unary.future(b"%d" % i, timeout=20) for i in range(300)]
    assert [c.result() for c in calls] == [b"%d" % i for i in range(300)]


def test_unknown_method(road):
    client, _ = road
    with pytest.raises(grpc.RpcError) as caught:
        client.channel.unary_unary("/test.Echo/None")(b"", timeout=20)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_failures_of_ours_are_grpc_statuses(lab):
    """No service there: UNAVAILABLE, not an HTTP page."""
    _, port = lab.http_front(clusters=[config.cluster("app", lab.dead_port(), http2=True)])
    client = Client(port)
    with pytest.raises(grpc.RpcError) as caught:
        client.unary(b"", timeout=20)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    client.channel.close()


def test_denial_is_permission_denied(lab):
    app = lab.grpc_origin()
    _, port = lab.http_front(clusters=[config.cluster("app", app.port, http2=True)],
                             filters=[config.rbac_http({"none": config.policy(config.principal("spiffe://x"))})])
    client = Client(port)
    with pytest.raises(grpc.RpcError) as caught:
        client.unary(b"", timeout=20)
    assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert caught.value.details() == "RBAC: access denied"
    client.channel.close()


def raw_call(port, path="/test.Echo/Unary", **more):
    """(headers of the first HEADERS frame, whether the stream ended with it)"""
    conn = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    conn.initiate_connection()
    fields = {":method": "POST", ":scheme": "http", ":authority": "a", ":path": path,
              "content-type": "application/grpc", "te": "trailers", **{k.replace("_", "-"): v for k, v in more.items()}}
    conn.send_headers(1, list(fields.items()))
    conn.send_data(1, bytes(5), end_stream=True)
    with Raw(port) as c:
        c.send(conn.data_to_send())
        while True:
            piece = c.sock.recv(65536)
            assert piece, "the connection ended"
            for event in conn.receive_data(piece):
                if isinstance(event, h2.events.ResponseReceived):
                    return dict(event.headers), event.stream_ended is not None
            c.send(conn.data_to_send())


ALL = "/"
OUTCOMES = {  # name: (grpc-status, grpc-message, what the route or cluster has)
    "no route": (12, "", {"prefix": "/else"}),
    "no cluster": (14, "", {"cluster": "nowhere"}),
    "nobody there": (14, "upstream connect error or disconnect/reset before headers. reset reason: ", {"origin": "dead"}),
    "no endpoint": (14, "no healthy upstream", {"origin": "none"}),
    "reset": (14, "upstream connect error or disconnect/reset before headers. reset reason: ", {"origin": "reset"}),
    "timeout": (14, "upstream request timeout", {"path": "Wait", "route": {"timeout": "0.1s"}}),
    "deadline": (4, "downstream duration timeout",
                 {"path": "Wait", "route": {"max_stream_duration": {"grpc_timeout_header_max": "0s"}}, "grpc_timeout": "100m"}),
    "denied": (7, "RBAC: access denied", {"filters": [config.rbac_http(
        {"none": config.policy(config.principal("spiffe://x"))})]}),
    "overflow": (14, "upstream connect error or disconnect/reset before headers. reset reason: overflow", {
        "cluster_more": {"circuit_breakers": {"thresholds": [{"max_requests": 0}]}}}),
    "fault": (8, "fault filter abort", {"filters": [{"name": "envoy.filters.http.fault", "typed_config": {
        "@type": config.TYPE + "envoy.extensions.filters.http.fault.v3.HTTPFault",
        "abort": {"grpc_status": 8, "percentage": {"numerator": 100}}}}]}),
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_each_outcome_of_ours_is_a_trailers_only_answer(lab, name):
    status, message, how = OUTCOMES[name]
    origin = how.get("origin")
    ports = {"dead": lambda: [lab.dead_port()], "none": list, "reset": lambda: [lab.tcp_origin("reset").port],
             None: lambda: [lab.grpc_origin().port]}[origin]()
    cluster = config.cluster("app", *ports, http2=True, **how.get("cluster_more", {}))
    routes = {"name": "local", "virtual_hosts": [config.vhost("all", ["*"], config.route(
        how.get("prefix", ALL), how.get("cluster", "app"), **how.get("route", {})))], "validate_clusters": False}
    _, port = lab.http_front(clusters=[cluster], routes=routes, filters=how.get("filters", ()))
    more = {"grpc_timeout": how["grpc_timeout"]} if "grpc_timeout" in how else {}
    head, ended = raw_call(port, "/test.Echo/" + how.get("path", "Unary"), **more)
    assert ended and (head[":status"], head["content-type"], head["grpc-status"]) == ("200", "application/grpc", str(status))
    assert head.get("grpc-message", "").startswith(message)
    assert ("x-envoy-overloaded" in head) == (name == "overflow")
