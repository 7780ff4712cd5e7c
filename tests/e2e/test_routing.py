"""Which cluster a request goes to, and what is changed on the way."""
import collections

import pytest
from harness import config
from harness.client import Http, get, request
from harness.config import route, vhost


@pytest.fixture
def three(lab):
    """Services v1, v2, v3 as clusters of these names."""
    apps = {n: lab.http_origin(n) for n in ("v1", "v2", "v3")}
    return apps, [config.cluster(n, a.port) for n, a in apps.items()]


def front(lab, three, *hosts):
    _, port = lab.http_front(routes={"name": "r", "virtual_hosts": list(hosts)}, clusters=three[1])
    return port


def test_by_host(lab, three):
    port = front(lab, three, vhost("a", ["a.example", "a.example:80"], route("/", "v1")),
                 vhost("b", ["*.b.example"], route("/", "v2")), vhost("rest", ["*"], route("/", "v3")))
    for host, want in [("a.example", b"v1"), ("A.Example", b"v1"), ("a.example:80", b"v1"),
                       ("x.b.example", b"v2"), ("y.x.b.example", b"v2"), ("b.example", b"v3"),
                       ("other", b"v3")]:
        assert get(port, "/", host=host).body == want, host


def test_longest_domain_wins(lab, three):
    port = front(lab, three, vhost("all", ["*"], route("/", "v1")),
                 vhost("wide", ["*.example"], route("/", "v2")),
                 vhost("narrow", ["*.a.example"], route("/", "v3")))
    assert get(port, "/", host="x.a.example").body == b"v3"
    assert get(port, "/", host="x.b.example").body == b"v2"
    assert get(port, "/", host="x").body == b"v1"


def test_by_path_first_match_wins(lab, three):
    port = front(lab, three, vhost(
        "all", ["*"], route({"path": "/exact"}, "v2"), route({"path_separated_prefix": "/seg"}, "v2"),
        route({"safe_regex": {"regex": "/item/[0-9]+"}}, "v3"), route({"prefix": "/pre"}, "v2"),
        route("/", "v1")))
    for path, want in [("/exact", b"v2"), ("/exact?q=1", b"v2"), ("/exact/", b"v1"), ("/Exact", b"v1"),
                       ("/seg", b"v2"), ("/seg/x", b"v2"), ("/segment", b"v1"), ("/prefix", b"v2"),
                       ("/item/42", b"v3"), ("/item/42?x", b"v3"), ("/item/x", b"v1"), ("/item/4/5", b"v1")]:
        assert get(port, path).body == want, path


def test_by_header_query_and_method(lab, three):
    port = front(lab, three, vhost(
        "all", ["*"],
        route({"prefix": "/", "headers": [{"name": "x-user", "string_match": {"exact": "jason"}}]}, "v2"),
        route({"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "PUT"}}]}, "v3"),
        route({"prefix": "/", "headers": [{"name": "x-debug", "present_match": True}]}, "v3"),
        route({"prefix": "/", "query_parameters": [
            {"name": "v", "string_match": {"exact": "2"}}]}, "v2"),
        route({"prefix": "/neg", "headers": [
            {"name": "x-not", "string_match": {"prefix": "no"}, "invert_match": True}]}, "v3"),
        route("/", "v1")))
    assert get(port, "/", x_user="jason").body == b"v2"
    assert get(port, "/", x_user="jasons").body == b"v1"
    assert request(port, "PUT", "/").body == b"v3"
    assert get(port, "/", x_debug="").body == b"v3"
    assert get(port, "/?a=1&v=2").body == b"v2"
    assert get(port, "/?v=22").body == b"v1"
    assert get(port, "/neg", x_not="yes").body == b"v3"
    # HeaderMatcher.invert_match: a header that is not there does not match, inverted or not.
    assert get(port, "/neg").body == b"v1"
    assert get(port, "/neg", x_not="nono").body == b"v1"


def test_weights(lab, three):
    port = front(lab, three, vhost("all", ["*"], route("/", weighted_clusters=config.weighted(v1=80, v2=20))))
    count = collections.Counter()
    with Http(port) as c:
        for _ in range(2000):
            count[c.get("/").body] += 1
    # 20 % of 2,000 is 400; five standard deviations are 90.
    assert 310 < count[b"v2"] < 490 and count[b"v1"] == 2000 - count[b"v2"]


def test_weight_zero_gets_nothing(lab, three):
    port = front(lab, three, vhost("all", ["*"], route("/", weighted_clusters=config.weighted(v1=100, v2=0))))
    with Http(port) as c:
        assert {c.get("/").body for _ in range(200)} == {b"v1"}


def test_rewrites(lab, three):
    port = front(lab, three, vhost(
        "all", ["*"], route("/api/", "v1", prefix_rewrite="/echo/"),
        route("/host", "v1", prefix_rewrite="/echo", host_rewrite_literal="inner.example"),
        route("/re/", "v1", regex_rewrite={
            "pattern": {"regex": "^/re/([^/]+)/(.*)$"}, "substitution": "/echo/\\2/\\1"})))
    app = three[0]["v1"]
    assert get(port, "/api/x?y").status == 200 and app.last().target == "/echo/x?y"
    assert app.last().get("x-envoy-original-path") == "/api/x?y"
    assert get(port, "/host").status == 200 and app.last().get("host") == "inner.example"
    assert get(port, "/re/a/b").status == 200 and app.last().target == "/echo/b/a"


def test_headers_added_and_removed(lab, three):
    routes = vhost("all", ["*"], {
        "match": {"prefix": "/"}, "route": {"cluster": "v1"},
        "request_headers_to_add": [{"header": {"key": "x-added", "value": "a"},
                                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
        "request_headers_to_remove": ["x-secret"],
        "response_headers_to_add": [{"header": {"key": "x-answered", "value": "b"}}],
        "response_headers_to_remove": ["content-type"]})
    port = front(lab, three, routes)
    a = get(port, "/echo", x_secret="s", x_added="mine")
    assert a.get("x-answered") == "b" and a.get("content-type") is None
    seen = three[0]["v1"].last()
    assert seen.all("x-added") == ["a"] and seen.get("x-secret") is None


def test_direct_response_and_redirect(lab, three):
    port = front(lab, three, vhost(
        "all", ["*"],
        {"match": {"prefix": "/direct"}, "direct_response": {"status": 418, "body": {"inline_string": "tea"}}},
        {"match": {"prefix": "/old"}, "redirect": {"path_redirect": "/new", "response_code": "FOUND"}},
        {"match": {"prefix": "/tls"}, "redirect": {"https_redirect": True}}))
    a = get(port, "/direct")
    assert (a.status, a.body) == (418, b"tea")
    a = get(port, "/old?q", host="h.example")
    assert a.status == 302 and a.get("location") in ("http://h.example/new", "http://h.example/new?q")
    a = get(port, "/tls/x?q=1", host="h.example")
    assert a.status == 301 and a.get("location") == "https://h.example/tls/x?q=1"


@pytest.mark.parametrize("policy", ["ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"])
def test_endpoints_share_the_requests(lab, policy):
    apps = [lab.http_origin(f"e{i}") for i in range(3)]
    _, port = lab.http_front(clusters=[config.cluster("app", *[a.port for a in apps], lb_policy=policy)])
    with Http(port) as c:
        for _ in range(300):
            assert c.get("/").status == 200
    shares = [len(a.seen) for a in apps]
    assert sum(shares) == 300
    assert shares == [100, 100, 100] if policy == "ROUND_ROBIN" else min(shares) > 50


@pytest.mark.parametrize("policy", ["RING_HASH", "MAGLEV"])
def test_consistent_hashing(lab, policy):
    """The same user goes to the same endpoint, whichever connection or worker; a cookie does the same for strangers."""
    apps = [lab.http_origin(f"e{i}") for i in range(5)]
    hashes = [{"header": {"header_name": "x-user"}, "terminal": True},
              {"cookie": {"name": "home", "ttl": "3600s", "path": "/"}}]
    _, port = lab.http_front(
        routes={"name": "r", "virtual_hosts": [vhost("all", ["*"], {
            "match": {"prefix": "/"}, "route": {"cluster": "app", "hash_policy": hashes}})]},
        clusters=[config.cluster("app", *[a.port for a in apps], lb_policy=policy)])

    def home(**headers):
        a = get(port, "/", **headers)
        assert a.status == 200
        return a.body, a.get("set-cookie")
    homes = {user: home(x_user=f"u{user}") for user in range(40)}
    assert len(homes) == 40 and len({h for h, _ in homes.values()}) >= 3
    assert all(cookie is None for _, cookie in homes.values())
    for user, first in homes.items():
        assert home(x_user=f"u{user}") == first
    for _ in range(5):
        first, cookie = home()
        value, rest = cookie.split("; ", 1)
        assert rest == "Max-Age=3600; Path=/; HttpOnly"
        assert [home(cookie=value)[0] for _ in range(4)] == [first] * 4


def test_changed_routes_apply_to_open_connections(lab, three):
    """RouteConfiguration from a file: the next request on the same connection is routed anew."""
    path = lab.folder / "rds.yaml"

    def write(version, name):
        config.write_yaml(path, config.discovery_response(version, [
            {"@type": config.ROUTES, **config.routes_to(name, "dynamic")}]))
    write(1, "v1")
    port = lab.ports.take()
    hcm = config.hcm("dynamic", rds=config.file_source(path))
    proxy = lab.proxy([config.listener("front", port, hcm)], three[1])
    with Http(port) as c:
        assert c.get("/").body == b"v1"
        write(2, "v2")
        proxy.wait_for(lambda: c.get("/").body == b"v2", "the new route")
