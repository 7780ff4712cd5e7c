"""What a proxy tells the control plane of its own accord: how much it served, and, while somebody watches, each request."""
import grpc
import pytest
from harness import config
from harness.client import Http, get, request
from harness.proc import wait_until

TAP = config.TYPE + "envoy.config.core.v3.TypedExtensionConfig"
WATCH = {"@type": TAP, "name": "mesh.tap"}
pytestmark = pytest.mark.mesh_only


def reporting(lab, app, report="otlp", ads=None):
    """(control plane, proxy, port of its listener)"""
    ads = ads or lab.ads()
    port = lab.ports.take()
    versions = ads.put(config.cluster("app", app.port),
                       config.listener("front", port, config.hcm(config.routes_to("app")), direction="INBOUND"))
    metadata = {"NAMESPACE": "shop", "WORKLOAD_NAME": "web-v1", "SERVICE_ACCOUNT": "web",
                "LABELS": {"app": "web", "version": "v1"}, "MESH_REPORT": report}
    proxy = lab.ads_proxy(ads.port, delta=True, node=config.node("sidecar~127.0.0.1~web.shop~shop", **metadata))
    ads.wait_taken(versions)
    return ads, proxy, port


def test_metrics_are_reported_as_deltas(lab):
    ads, _, port = reporting(lab, lab.http_origin())
    with Http(port) as c:
        for _ in range(20):
            c.get("/")
        c.get("/status/500")
    r = ads.reports
    wait_until(lambda: r.total("istio_requests_total") == 21, "all to be reported")
    assert r.total("istio_requests_total", response_code="500") == 1
    one = next(a for n, a, _ in r.points if n == "istio_requests_total")
    assert one["reporter"] == "destination" and one["destination_workload"] == "web-v1"
    assert one["destination_workload_namespace"] == "shop" and one["destination_version"] == "v1"
    assert "source_workload" not in one  # what is unknown is not told
    durations = [p for n, _, p in r.points if n == "istio_request_duration_milliseconds"]
    wait_until(lambda: sum(p.count for n, _, p in r.points
                           if n == "istio_request_duration_milliseconds") == 21, "the durations")
    assert all(sum(p.bucket_counts) == p.count and len(p.bucket_counts) == len(p.explicit_bounds) + 1
               for p in durations)
    get(port, "/")
    wait_until(lambda: r.total("istio_requests_total") == 22, "one more")


def test_nothing_is_lost_while_reports_are_refused(lab):
    ads, _, port = reporting(lab, lab.http_origin())
    ads.reports.refuse = grpc.StatusCode.UNAVAILABLE
    for _ in range(10):
        get(port, "/")
    get(port, "/")
    ads.reports.refuse = None
    wait_until(lambda: ads.reports.total("istio_requests_total") >= 11, "all to be reported")
    assert ads.reports.total("istio_requests_total") == 11


def test_nothing_is_lost_while_control_is_away(lab):
    app = lab.http_origin()
    ads, proxy, port = reporting(lab, app)
    get(port, "/")
    wait_until(lambda: ads.reports.total("istio_requests_total") == 1, "the first")
    ads.close()
    for _ in range(10):
        assert get(port, "/").status == 200
    back = lab.ads(ads.port)
    back.put(config.cluster("app", app.port),
             config.listener("front", port, config.hcm(config.routes_to("app")), direction="INBOUND"))
    wait_until(lambda: back.reports.total("istio_requests_total") >= 10, "what was kept", deadline_s=60)
    assert back.reports.total("istio_requests_total") == 10


def test_who_is_not_told_to_report_does_not(lab):
    ads, _, port = reporting(lab, lab.http_origin(), report="no")
    get(port, "/")
    ads.put(WATCH)
    assert not any(TAP == r.type_url for r in ads.requests)
    assert not ads.reports.points


def test_tap_shows_requests_while_it_is_on(lab):
    ads, proxy, port = reporting(lab, lab.http_origin())
    r = ads.reports
    get(port, "/before")
    ads.put(WATCH)
    wait_until(lambda: "tap on" in proxy.text() or get(port, "/status/503?x=1").status == 503 and r.entries,
               "the first entry")
    r.entries.clear()
    request(port, "POST", "/echo", b"12345", {"user-agent": "tester", "host": "shop.example", "x-request-id": "my-id"})
    e = wait_until(lambda: next((x for x in r.entries if x.request.path == "/echo"), None), "the entry")
    assert e.request.request_method == 3 and e.request.authority == "shop.example"
    assert e.request.request_id == "my-id" and e.request.user_agent == "tester"
    assert e.request.request_body_bytes == 5 and e.response.response_code.value == 200
    assert e.response.response_code_details == "via_upstream" and e.protocol_version == 2
    c = e.common_properties
    assert c.upstream_cluster == "app" and c.duration.nanos > 0 and c.start_time.seconds > 1600000000
    assert c.custom_tags["reporter"] == "destination" and c.custom_tags["destination_workload"] == "web-v1"
    assert c.downstream_remote_address.socket_address.address == "127.0.0.1"
    assert r.nodes == {"sidecar~127.0.0.1~web.shop~shop"}
    ads.remove(TAP, "mesh.tap")
    def silent():
        r.entries.clear()
        get(port, "/after")
        return not wait_a_moment(lambda: r.entries)
    wait_until(silent, "silence")


def wait_a_moment(condition):
    try:
        return wait_until(condition, "something", deadline_s=0.5)
    except AssertionError:
        return None


def test_tap_never_stops_traffic(lab):
    """More than a batch holds: what is too much is dropped."""
    ads, _, port = reporting(lab, lab.http_origin())
    ads.put(WATCH)
    with Http(port) as c:
        for _ in range(1500):
            assert c.get("/" + "x" * 900).status
    wait_until(lambda: len(ads.reports.entries) > 100, "some of them")
    assert len(ads.reports.entries) <= 1500
