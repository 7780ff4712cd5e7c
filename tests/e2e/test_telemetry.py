"""What is told about each request: access log, Istio's metrics for both reporters, trace headers."""
import re

import pytest
from harness import config
from harness.client import Http, Raw, get, request
from harness.proc import wait_until

LINE = re.compile(
    r'\[(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)\] "(?P<method>\S+) (?P<path>\S+) (?P<protocol>\S+)" '
    r'(?P<code>\d+) (?P<flags>\S+) (?P<details>\S+) (?P<termination>\S+) "(?P<failure>[^"]*)" (?P<received>\d+) '
    r'(?P<sent>\d+) (?P<duration>\S+) (?P<service_time>\S+) "(?P<xff>[^"]*)" "(?P<agent>[^"]*)" '
    r'"(?P<id>[^"]*)" "(?P<authority>[^"]*)" "(?P<host>[^"]*)" (?P<cluster>\S+) (?P<up_local>\S+) '
    r'(?P<down_local>\S+) (?P<down_remote>\S+) (?P<sni>\S+) (?P<route>\S+)')


def lines(path, count):
    def read():
        found = path.read_text().splitlines() if path.exists() else []
        return found if len(found) >= count else None
    return [LINE.fullmatch(x).groupdict() for x in wait_until(read, f"{count} lines in {path.name}")]


def test_access_log_of_a_request(lab):
    app = lab.http_origin()
    log = lab.folder / "access.log"
    routes = {"name": "r", "virtual_hosts": [config.vhost("all", ["*"], {
        **config.route("/", "app"), "name": "the-route"}, )]}
    proxy, port = lab.http_front(app.port, routes=routes, log=log)
    request(port, "POST", "/echo?x=1", b"12345", {"user-agent": "tester", "host": "shop.example",
                                                   "x-request-id": "my-id"})
    one = lines(log, 1)[0]
    assert (one["method"], one["path"], one["protocol"]) == ("POST", "/echo?x=1", "HTTP/1.1")
    assert (one["code"], one["flags"], one["details"]) == ("200", "-", "via_upstream")
    assert one["received"] == "5" and int(one["sent"]) > 50 and one["duration"].isdigit()
    assert (one["agent"], one["authority"]) == ("tester", "shop.example")
    assert one["host"] == f"127.0.0.1:{app.port}" and one["cluster"] == "app"
    assert one["down_local"] == f"127.0.0.1:{port}" and one["route"] == "the-route"
    assert one["up_local"].startswith("127.0.0.1:")


def test_access_log_tells_failures_by_flag(lab):
    app = lab.http_origin()
    log = lab.folder / "access.log"
    routes = {"name": "r", "virtual_hosts": [config.vhost(
        "all", ["shop.example"], config.route("/dead", "dead"), config.route("/gate", "app", timeout="0.2s"),
        config.route("/", "app"))]}
    proxy, port = lab.http_front(routes=routes, log=log, clusters=[
        config.cluster("app", app.port), config.cluster("dead", lab.dead_port())])
    for path, host in (("/", "other"), ("/dead", "shop.example"), ("/gate", "shop.example"),
                       ("/fail/close-on-request", "shop.example")):
        get(port, path, host=host)
    with Raw(port) as c:
        c.send(b"GET /delay/10000 HTTP/1.1\r\nhost: shop.example\r\n\r\n")
        app.wait_seen(3)
    got = [(x["code"], x["flags"].split(",")[0]) for x in lines(log, 5)]
    assert got == [("404", "NR"), ("503", "UF"), ("504", "UT"), ("503", "UC"), ("0", "DC")]


def test_access_log_of_a_connection(lab):
    app = lab.tcp_origin()
    log = lab.folder / "access.log"
    text = ("%BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_HOST% %RESPONSE_FLAGS% %UPSTREAM_CLUSTER% "
            "%PROTOCOL%\n")
    port = lab.ports.take()
    filt = config.tcp_proxy("app", access_log=[config.file_log(log, text)])
    lab.proxy([config.listener("front", port, filt)], [config.cluster("app", app.port)])
    with Raw(port) as c:
        c.send(b"12345")
        c.exactly(5)
    line = wait_until(lambda: log.exists() and log.read_text(), "the line")
    assert line == f"5 5 127.0.0.1:{app.port} - app -\n"


def test_access_log_in_json(lab):
    import json
    app = lab.http_origin()
    log = lab.folder / "access.log"
    form = {"name": "envoy.access_loggers.file", "typed_config": {
        "@type": config.TYPE + "envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": str(log),
        "log_format": {"json_format": {"code": "%RESPONSE_CODE%", "path": "%REQ(:PATH)%",
                                       "odd": "a\"%REQ(X-ODD)%", "none": "%REQ(X-NONE)%"}}}}
    _, port = lab.http_front(app.port, hcm={"access_log": [form]})
    get(port, "/a?b", x_odd='"\\')
    row = json.loads(wait_until(lambda: log.exists() and log.read_text(), "the line"))
    assert row["code"] == 200 and row["path"] == "/a?b" and row["odd"] == 'a""\\' and row["none"] is None


NODES = [config.node(f"sidecar~127.0.0.1~{name}-v1-abc.shop~shop.svc.cluster.local",
                     NAME=f"{name}-v1-abc", NAMESPACE="shop", WORKLOAD_NAME=f"{name}-v1", CLUSTER_ID="k1",
                     SERVICE_ACCOUNT=name, MESH_ID="m", LABELS={
                         "app": name, "version": "v1", "service.istio.io/canonical-name": name,
                         "service.istio.io/canonical-revision": "v1"})
         for name in ("client", "server")]


def rows_of(proxy):
    return [(labels, int(n)) for name, labels, n in proxy.prometheus() if name == "istio_requests_total"]


def counted(proxy, requests):
    """{code: count} once so many requests are counted: that comes after the answer has left."""
    wait_until(lambda: sum(n for _, n in rows_of(proxy)) >= requests, f"{requests} requests to be counted")
    return {labels["response_code"]: n for labels, n in rows_of(proxy)}


@pytest.mark.mesh_only
def test_istio_metrics_of_both_reporters(lab):
    app = lab.http_origin()
    pair = lab.pair(app.port, nodes=NODES)
    for _ in range(3):
        assert get(pair.port, "/", host="server.shop.svc.cluster.local").status == 200
    assert get(pair.port, "/status/500", host="server.shop.svc.cluster.local").status == 500
    for proxy, reporter in ((pair.outer, "source"), (pair.inner, "destination")):
        assert counted(proxy, 4) == {"200": 3, "500": 1}
        rows = rows_of(proxy)
        ok = [(labels, n) for labels, n in rows if labels["response_code"] == "200"]
        assert len(ok) == 1 and ok[0][1] == 3
        labels = ok[0][0]
        assert labels["reporter"] == reporter
        assert labels["request_protocol"] == "http" and labels["response_flags"] == "-"
        assert labels["source_principal"] == pair.client.uri
        assert labels["destination_principal"] == pair.server.uri
        assert labels["connection_security_policy"] == (
            "mutual_tls" if reporter == "destination" else "unknown")
        own = "source" if reporter == "source" else "destination"
        name = "client" if own == "source" else "server"
        assert labels[f"{own}_workload"] == f"{name}-v1"
        assert labels[f"{own}_workload_namespace"] == "shop"
        assert labels[f"{own}_canonical_service"] == name
        assert labels[f"{own}_canonical_revision"] == "v1"
        assert labels[f"{own}_app"] == name and labels[f"{own}_version"] == "v1"
        names = {name for name, _, _ in proxy.prometheus()}
        for wanted in ("istio_request_duration_milliseconds_bucket", "istio_request_bytes_sum",
                       "istio_response_bytes_count"):
            assert wanted in names, wanted


@pytest.mark.mesh_only
def test_istio_metrics_of_tcp(lab):
    app = lab.tcp_origin()
    pair = lab.pair(app.port, tcp=True, nodes=NODES)
    with Raw(pair.port) as c:
        c.send(b"12345")
        c.exactly(5)
    for proxy, reporter in ((pair.outer, "source"), (pair.inner, "destination")):
        def row(name):
            return [(labels, n) for found, labels, n in proxy.prometheus()
                    if found == name and labels["reporter"] == reporter]
        wait_until(lambda: row("istio_tcp_connections_closed_total"), "the end to be counted")
        assert row("istio_tcp_connections_opened_total")[0][1] == 1
        assert row("istio_tcp_received_bytes_total")[0][1] == 5
        assert row("istio_tcp_sent_bytes_total")[0][1] == 5


@pytest.mark.mesh_only
def test_denials_are_counted_as_403(lab):
    app = lab.http_origin()
    pair = lab.pair(app.port, nodes=NODES, inner_filters=[
        config.rbac_http({"none": config.policy(config.principal("spiffe://x/y"))})])
    assert get(pair.port, "/").status == 403
    assert counted(pair.inner, 1) == {"403": 1}


def test_request_id_is_made_once_and_kept(lab):
    app = lab.http_origin()
    pair = lab.pair(app.port)
    assert get(pair.port, "/").status == 200
    made = app.last().get("x-request-id")
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made)
    assert get(pair.port, "/").status == 200
    assert app.last().get("x-request-id") != made


TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_trace_headers_pass_unchanged_without_tracing(lab):
    """No tracer is configured: W3C and B3 headers belong to the application."""
    app = lab.http_origin()
    pair = lab.pair(app.port)
    b3 = {"x-b3-traceid": "0af7651916cd43dd8448eb211c80319c", "x-b3-spanid": "b7ad6b7169203331",
          "x-b3-sampled": "1", "b3": "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1"}
    request(pair.port, "GET", "/", headers={"traceparent": TRACEPARENT, "tracestate": "a=1,b=2", **b3})
    seen = app.last()
    assert seen.get("tracestate") == "a=1,b=2"
    trace = seen.get("traceparent").split("-")
    assert trace[:2] == TRACEPARENT.split("-")[:2] and trace[3] == "01"
    for name, value in b3.items():
        if name in ("x-b3-traceid", "x-b3-sampled"):
            assert seen.get(name) == value


@pytest.mark.mesh_only
def test_metrics_parse_strictly(lab):
    """One HELP-less TYPE a family, families in one piece, no duplicate rows: what Prometheus insists on."""
    app = lab.http_origin()
    pair = lab.pair(app.port, nodes=NODES)
    with Http(pair.port) as c:
        for path in ("/", "/status/404", "/status/500"):
            c.get(path)
    for proxy in (pair.outer, pair.inner):
        text = proxy.admin("/stats/prometheus")[1]
        types = re.findall(r"^# TYPE (\S+) \S+$", text, re.M)
        assert len(types) == len(set(types))
        rows = [x.rpartition(" ")[0] for x in text.splitlines() if x and not x.startswith("#")]
        assert len(rows) == len(set(rows))
        families = [re.sub(r"(_bucket|_sum|_count)?(\{.*)?$", "", r) for r in rows]
        order = [f for i, f in enumerate(families) if i == 0 or families[i - 1] != f]
        assert len(order) == len(set(order))
