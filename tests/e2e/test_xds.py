"""Configuration at run time: files and gRPC streams (state of the world, delta), what is taken, what is
refused with its reason, and that the last good one stays."""
import pytest
from harness import config
from harness.client import Http, Raw, get, presented, refused
from harness.pki import TrustDomain
from harness.proc import wait_until


def can_connect(port):
    try:
        with Raw(port):
            return True
    except OSError:
        return False


# ---- files

class Files:
    def __init__(self, lab):
        self.lds, self.cds = lab.folder / "lds.yaml", lab.folder / "cds.yaml"
        self._version = 0

    def write(self, listeners, clusters):
        self._version += 1
        config.write_yaml(self.cds, config.discovery_response(self._version, clusters))
        config.write_yaml(self.lds, config.discovery_response(self._version, listeners))

    def dynamic(self):
        return {"cds_config": config.file_source(self.cds), "lds_config": config.file_source(self.lds)}


def simple(name, port, text, cluster="app"):
    routes = {"name": name, "virtual_hosts": [config.vhost("all", ["*"], {
        "match": {"path": "/who"}, "direct_response": {"status": 200, "body": {"inline_string": text}}},
        config.route("/", cluster))]}
    return config.listener(name, port, config.hcm(routes))


@pytest.fixture
def files(lab):
    return Files(lab)


def start_with_files(lab, files):
    return lab.boot(config.bootstrap(lab.ports.take(), dynamic=files.dynamic()))


def test_files_add_change_remove(lab, files):
    app = lab.http_origin()
    a, b = lab.ports.take(), lab.ports.take()
    cluster = config.cluster("app", app.port)
    files.write([simple("one", a, "1")], [cluster])
    proxy = start_with_files(lab, files)
    assert get(a, "/who").body == b"1" and get(a, "/").body == b"app"
    files.write([simple("one", a, "2"), simple("two", b, "3")], [cluster])
    proxy.wait_for(lambda: can_connect(b) and get(b, "/who").body == b"3", "the added listener")
    proxy.wait_for(lambda: get(a, "/who").body == b"2", "the changed listener")
    files.write([simple("two", b, "3")], [cluster])
    proxy.wait_for(lambda: proxy.stat("listener_manager.listener_removed") == 1, "the removal")
    assert get(b, "/").body == b"app"


@pytest.mark.parametrize("bad", ["no-port", "unknown-filter", "bad-regex", "not-yaml"])
def test_bad_file_changes_nothing(lab, files, bad):
    app = lab.http_origin()
    port = lab.ports.take()
    cluster = config.cluster("app", app.port)
    files.write([simple("one", port, "good")], [cluster])
    proxy = start_with_files(lab, files)
    assert get(port, "/who").body == b"good"
    wrong = simple("one", port, "bad")
    if bad == "no-port":
        wrong["address"] = {}
    elif bad == "unknown-filter":
        wrong["filter_chains"][0]["filters"].insert(0, {"name": "example.unknown", "typed_config": {
            "@type": "type.googleapis.com/example.v1.Unknown"}})
    elif bad == "bad-regex":
        hcm = wrong["filter_chains"][0]["filters"][0]["typed_config"]
        hcm["route_config"]["virtual_hosts"][0]["routes"].insert(
            0, config.route({"safe_regex": {"regex": "(unclosed"}}, "app"))
    if bad == "not-yaml":
        fresh = files.lds.with_suffix(".new")
        fresh.write_text("resources: [}")
        fresh.replace(files.lds)
    else:
        files.write([wrong], [cluster])
    proxy.wait_for(lambda: proxy.stat("listener_manager.lds.update_rejected")
                   + proxy.stat("listener_manager.lds.update_failure") >= 1, "the refusal")
    assert get(port, "/who").body == b"good"
    files.write([simple("one", port, "better")], [cluster])
    proxy.wait_for(lambda: get(port, "/who").body == b"better", "the repaired file")


# ---- streams

@pytest.fixture(params=["sotw", "delta"])
def delta(request):
    return request.param == "delta"


def by_stream(port, app_port, **more):
    """Listener, routes, cluster, endpoints, each its own resource."""
    return [config.listener("front", port, config.hcm("routes", rds=config.ADS_SOURCE)),
            {"@type": config.ROUTES, **config.routes_to("app", "routes")},
            config.cluster("app", eds=config.ADS_SOURCE, **more),
            config.assignment("app", app_port, typed=True)]


def serving(port):
    try:
        return get(port, "/").status == 200
    except OSError:
        return False


def test_stream_brings_everything(lab, delta):
    app, ads = lab.http_origin(), lab.ads()
    port = lab.ports.take()
    versions = ads.put(*by_stream(port, app.port))
    proxy = lab.ads_proxy(ads.port, delta)
    proxy.wait_for(lambda: serving(port), "the first answer")
    ads.wait_taken(versions)
    assert ads.refusals == []
    first = ads.requests[0]
    assert first.node.id == "test"


def test_stream_changes_endpoints(lab, delta):
    one, two, ads = lab.http_origin("one"), lab.http_origin("two"), lab.ads()
    port = lab.ports.take()
    ads.put(*by_stream(port, one.port))
    proxy = lab.ads_proxy(ads.port, delta)
    proxy.wait_for(lambda: serving(port), "the first answer")
    with Http(port) as c:
        assert c.get("/").body == b"one"
        ads.wait_taken(ads.put(config.assignment("app", two.port, typed=True)))
        wait_until(lambda: c.get("/").body == b"two", "the new endpoint")
        ads.wait_taken(ads.put(config.assignment("app", typed=True)))
        wait_until(lambda: c.get("/").status == 503, "no endpoint to be known")


def test_stream_changes_routes(lab, delta):
    one, two, ads = lab.http_origin("one"), lab.http_origin("two"), lab.ads()
    port = lab.ports.take()
    ads.put(*by_stream(port, one.port), config.cluster("other", two.port))
    proxy = lab.ads_proxy(ads.port, delta)
    proxy.wait_for(lambda: serving(port), "the first answer")
    with Http(port) as c:
        ads.wait_taken(ads.put({"@type": config.ROUTES, **config.routes_to("other", "routes")}))
        wait_until(lambda: c.get("/").body == b"two", "the new route")


def test_stream_removes_cluster_and_listener(lab, delta):
    app, ads = lab.http_origin(), lab.ads()
    port, other = lab.ports.take(), lab.ports.take()
    ads.put(*by_stream(port, app.port), simple("stays", other, "here", "app"))
    proxy = lab.ads_proxy(ads.port, delta)
    proxy.wait_for(lambda: serving(port), "the first answer")
    proxy.wait_for(lambda: serving(other), "the second listener")
    ads.wait_taken(ads.remove(config.CLUSTER, "app"))
    wait_until(lambda: get(other, "/").status == 503, "the cluster to be gone")
    assert get(other, "/who").body == b"here"
    ads.wait_taken(ads.remove(config.LISTENER, "front"))
    wait_until(lambda: proxy.stat("listener_manager.listener_removed") == 1, "the listener to be gone")


@pytest.mark.parametrize("required", [True, False], ids=["required", "optional"])
def test_unknown_extension(lab, delta, required):
    """Required: refused by name, the old listener stays. Optional: skipped."""
    app, ads = lab.http_origin(), lab.ads()
    port = lab.ports.take()
    ads.put(*by_stream(port, app.port))
    proxy = lab.ads_proxy(ads.port, delta)
    proxy.wait_for(lambda: serving(port), "the first answer")
    unknown = {"name": "example.unknown", "is_optional": not required, "typed_config": {
        "@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}}
    hcm = config.hcm("routes", [unknown], rds=config.ADS_SOURCE, stat_prefix="changed")
    versions = ads.put(config.listener("front", port, hcm))
    if required:
        refusal = ads.wait_refusal(config.LISTENER, versions[config.LISTENER])
        assert "example.unknown" in refusal.message and "front" in refusal.message
        assert get(port, "/").status == 200
        ads.wait_taken(ads.put(by_stream(port, app.port)[0]))
    else:
        ads.wait_taken(versions)
        wait_until(lambda: serving(port) and proxy.stat("http.changed.downstream_rq_total") > 0, "the change")
        if proxy.kind == "mesh":
            assert "example.unknown" in proxy.admin("/config_dump")[1]
    assert get(port, "/").status == 200


def test_one_bad_resource_does_not_stop_the_good_ones(lab, delta):
    app, ads = lab.http_origin(), lab.ads()
    port, other = lab.ports.take(), lab.ports.take()
    ads.put(*by_stream(port, app.port))
    proxy = lab.ads_proxy(ads.port, delta)
    proxy.wait_for(lambda: serving(port), "the first answer")
    bad = simple("bad", other, "never")
    bad["address"] = {"pipe": {"path": "", "mode": 0o777}}
    versions = ads.put(bad, simple("good", other, "good"))
    assert "bad" in ads.wait_refusal(config.LISTENER, versions[config.LISTENER]).message
    assert get(port, "/").status == 200


def test_secrets_come_by_stream(lab, delta):
    app, ads = lab.http_origin(), lab.ads()
    inner, port = lab.ports.take(), lab.ports.take()
    server, client = lab.trust.issue("server"), lab.trust.issue("client")
    own = {"sds": config.ADS_SOURCE, "name": "default", "trust_name": "ROOTCA"}
    ads.put(config.secret_pair("default", server), config.secret_trust("ROOTCA", lab.trust.root_pem),
            config.listener("in", inner, config.hcm(config.routes_to("app")), direction="INBOUND",
                            tls=config.tls_downstream(own)),
            config.cluster("app", app.port))
    proxy = lab.ads_proxy(ads.port, delta)
    lab.proxy([config.listener("out", port, config.hcm(config.routes_to("in")))],
              [config.cluster("in", inner, tls=config.tls_upstream(client, sans=[server.uri]))])
    proxy.wait_for(lambda: serving(port), "an answer through mutual TLS")
    other = lab.trust.issue("other")
    ads.wait_taken(ads.put(config.secret_pair("default", other)))
    wait_until(lambda: presented(inner, client) == other.chain_pem.strip(), "the new certificate")
    # A trust bundle without our root lets nobody in.
    foreign = TrustDomain(lab.folder / "foreign", "other.domain")
    ads.wait_taken(ads.put(config.secret_trust("ROOTCA", foreign.root_pem)))
    wait_until(lambda: refused(inner, client), "the old root to be refused")
    assert ads.refusals == []


def test_control_plane_goes_away_and_returns(lab, delta):
    one, two, ads = lab.http_origin("one"), lab.http_origin("two"), lab.ads()
    port = lab.ports.take()
    ads.put(*by_stream(port, one.port))
    proxy = lab.ads_proxy(ads.port, delta)
    proxy.wait_for(lambda: serving(port), "the first answer")
    where = ads.port
    ads.close()
    wait_until(lambda: proxy.stat("control_plane.connected_state") == 0, "the loss to be noticed")
    assert get(port, "/").body == b"one"
    again = lab.ads(where)
    again.put(*by_stream(port, two.port))
    proxy.wait_for(lambda: get(port, "/").body == b"two", "the new control plane's word", 60)


def test_proxy_starts_before_its_control_plane(lab, delta):
    where = lab.dead_port()
    app = lab.http_origin()
    port = lab.ports.take()
    proxy = lab.ads_proxy(where, delta, wait=False)
    proxy.wait_for(lambda: _admin_answers(proxy), "the admin port")
    assert proxy.admin("/ready")[0] == 503
    ads = lab.ads(where)
    ads.put(*by_stream(port, app.port))
    proxy.wait_for(lambda: serving(port), "the first answer", 60)
    assert proxy.admin("/ready")[0] == 200


def _admin_answers(proxy):
    try:
        return proxy.admin("/server_info")[0] == 200
    except OSError:
        return False
