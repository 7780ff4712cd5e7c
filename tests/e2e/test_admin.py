"""The admin port: Envoy's paths and shapes, which people's hands and tools know."""
import json
import os

import pytest
from harness import config
from harness.client import get
from harness.proxy import parse_prometheus


@pytest.fixture
def front(lab):
    app = lab.http_origin()
    proxy, port = lab.http_front(app.port)
    assert get(port, "/").status == 200
    return proxy, port, app


def test_ready(front):
    proxy, _, _ = front
    assert proxy.admin("/ready") == (200, "LIVE\n")


def test_server_info(front):
    proxy, _, _ = front
    info = proxy.json("/server_info")
    assert info["state"] == "LIVE" and "version" in info and info["node"]["id"] == "test"
    assert info["command_line_options"]["concurrency"] == 1
    assert info["uptime_current_epoch"].endswith("s")


def test_config_dump_holds_what_was_configured(front):
    proxy, port, _ = front
    dump = proxy.json("/config_dump")
    kinds = {c["@type"].rsplit(".", 1)[-1]: c for c in dump["configs"]}
    for kind in ("BootstrapConfigDump", "ClustersConfigDump", "ListenersConfigDump", "RoutesConfigDump"):
        assert kind in kinds, kind
    clusters = kinds["ClustersConfigDump"]["static_clusters"]
    assert [c["cluster"]["name"] for c in clusters] == ["app"]
    listeners = kinds["ListenersConfigDump"]["static_listeners"]
    assert listeners[0]["listener"]["name"] == "front"
    assert listeners[0]["listener"]["address"]["socket_address"]["port_value"] == port


def test_config_dump_never_shows_keys(lab):
    app, ads = lab.http_origin(), lab.ads()
    server = lab.trust.issue("server")
    port = lab.ports.take()
    own = {"sds": config.ADS_SOURCE, "name": "default", "trust_name": "ROOTCA"}
    versions = ads.put(
        config.secret_pair("default", server), config.secret_trust("ROOTCA", lab.trust.root_pem),
        config.listener("in", port, config.hcm(config.routes_to("app")), tls=config.tls_downstream(own)),
        config.cluster("app", app.port))
    proxy = lab.ads_proxy(ads.port)
    ads.wait_taken(versions)
    text = proxy.admin("/config_dump?include_eds")[1]
    key = server.key_pem.decode().splitlines()[1]
    assert "default" in text and key not in text


def test_clusters(front):
    proxy, _, app = front
    text = proxy.admin("/clusters")[1]
    where = f"app::127.0.0.1:{app.port}::"
    assert where + "health_flags::healthy" in text and where + "rq_total::1" in text
    host = proxy.json("/clusters?format=json")["cluster_statuses"][0]
    assert host["name"] == "app"
    assert host["host_statuses"][0]["address"]["socket_address"]["port_value"] == app.port


def test_listeners(front):
    proxy, port, _ = front
    assert f"front::127.0.0.1:{port}" in proxy.admin("/listeners")[1]
    status = proxy.json("/listeners?format=json")["listener_statuses"][0]
    assert status["name"] == "front"
    assert status["local_address"]["socket_address"]["port_value"] == port


def test_stats_in_three_forms(front):
    proxy, _, _ = front
    assert proxy.wait_stat("http.http.downstream_rq_2xx") == 1
    assert proxy.stat("cluster.app.upstream_rq_total") == 1
    assert proxy.stat("server.live") == 1
    filtered = proxy.admin("/stats?filter=cluster.app.upstream_rq_2")[1]
    assert "cluster.app.upstream_rq_2xx: 1" in filtered and "downstream" not in filtered
    rows = {s["name"]: s.get("value") for s in proxy.json("/stats?format=json")["stats"] if "name" in s}
    assert rows["cluster.app.upstream_rq_total"] == 1
    for path in ("/stats/prometheus", "/stats?format=prometheus"):
        found = parse_prometheus(proxy.admin(path)[1])
        assert ("envoy_cluster_upstream_rq_total", {"envoy_cluster_name": "app"}, 1.0) in found


def test_used_stats_only(front):
    proxy, _, _ = front
    assert len(proxy.admin("/stats?usedonly")[1].splitlines()) < len(proxy.admin("/stats")[1].splitlines())


def test_certs(lab):
    app = lab.http_origin()
    pair = lab.pair(app.port)
    certs = pair.inner.json("/certs")["certificates"]
    chain = certs[0]["cert_chain"][0]
    assert {"uri": pair.server.uri} in chain["subject_alt_names"]
    assert chain["days_until_expiration"] in ("0", "1") and "serial_number" in chain
    assert certs[0]["ca_cert"][0]["valid_from"].endswith("Z")


def test_logging_changes_levels_by_post_only(front):
    proxy, _, _ = front
    assert proxy.admin("/logging?level=debug")[0] == 405
    status, body = proxy.admin("/logging?level=debug", "POST")
    assert status == 200 and "debug" in body
    assert proxy.admin("/logging?level=warning", "POST")[0] == 200
    assert proxy.admin("/logging?level=loud", "POST")[0] == 400


def test_health_can_be_failed_and_mended(front):
    proxy, port, _ = front
    assert proxy.admin("/healthcheck/fail")[0] == 405
    assert proxy.admin("/healthcheck/fail", "POST")[0] == 200
    assert proxy.admin("/ready")[0] == 503
    assert proxy.admin("/healthcheck/ok", "POST")[0] == 200
    assert proxy.admin("/ready")[0] == 200
    assert get(port, "/").status == 200


def test_reset_counters(front):
    proxy, _, _ = front
    assert proxy.admin("/reset_counters", "POST")[0] == 200
    assert proxy.stat("cluster.app.upstream_rq_total") == 0


def test_unknown_path_and_help(front):
    proxy, _, _ = front
    assert proxy.admin("/no-such")[0] == 404
    status, body = proxy.admin("/help")
    assert status == 200
    for path in ("/certs", "/clusters", "/config_dump", "/listeners", "/logging", "/quitquitquit", "/ready",
                 "/server_info", "/stats"):
        assert path in body, path


def test_memory_and_init(front):
    proxy, _, _ = front
    assert int(proxy.json("/memory")["allocated"]) > 0
    assert proxy.admin("/init_dump")[0] == 200


def test_quit(front):
    proxy, _, _ = front
    assert proxy.admin("/quitquitquit")[0] == 405 and proxy.alive()
    assert proxy.admin("/quitquitquit", "POST") == (200, "OK\n")
    assert proxy.wait() == 0


def test_admin_on_a_unix_socket_is_not_for_others(lab):
    """Admin binds where it is told and nowhere else."""
    app = lab.http_origin()
    proxy, _ = lab.http_front(app.port)
    listening = {line.split()[1] for line in open("/proc/net/tcp").read().splitlines()[1:]
                 if line.split()[3] == "0A"}
    assert f"0100007F:{proxy.admin_port:04X}" in listening
    assert f"00000000:{proxy.admin_port:04X}" not in listening


@pytest.mark.mesh_only
def test_resident_memory_when_idle(lab):
    """The table's bar: at most 6 MB with one worker, release build."""
    if os.path.basename(os.path.dirname(os.path.abspath(lab.binary))) != "build":
        pytest.skip("the bar is for the release build")
    app = lab.http_origin()
    proxy, port = lab.http_front(app.port)
    assert get(port, "/").status == 200
    assert proxy.rss_kb() <= 6 * 1024


@pytest.mark.mesh_only
def test_what_was_skipped_is_said(lab):
    app, ads = lab.http_origin(), lab.ads()
    port = lab.ports.take()
    optional = {"name": "example.later", "is_optional": True, "typed_config": {
        "@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}}
    versions = ads.put(config.listener("front", port, config.hcm(config.routes_to("app"), [optional])),
                       config.cluster("app", app.port))
    proxy = lab.ads_proxy(ads.port)
    ads.wait_taken(versions)
    assert "example.later" in json.dumps(proxy.json("/config_dump"))
