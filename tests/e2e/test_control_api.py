"""Every path of control's API, against a mesh of two proxies: what people, the CLI and the dashboard read. Shapes are pinned: a field that
goes away breaks somebody's script."""
import http.client
import json
import socket
import threading

import pytest
from harness.client import get
from harness.control import Control, loopback
from harness.lab import Lab
from harness.proc import wait_until

pytestmark = pytest.mark.mesh_only
HOST = "reviews.default.svc.cluster.local"


def objects(port, addresses):
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{selector: {{app: web}}, ports: [{{name: http, port: 8080}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: reviews}}
spec: {{selector: {{app: reviews}}, ports: [{{name: http, port: 9080, targetPort: {port}}}]}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: web-v1}}
spec: {{address: {addresses["web"]}, labels: {{app: web, version: v1, security.istio.io/tlsMode: istio}}, serviceAccount: web}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: reviews-v1}}
spec:
  address: {addresses["reviews"]}
  labels: {{app: reviews, version: v1, security.istio.io/tlsMode: istio}}
  serviceAccount: reviews
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: reviews-v2}}
spec: {{address: {addresses["v2"]}, labels: {{app: reviews, version: v2}}, serviceAccount: reviews}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: reviews}}
spec: {{host: reviews, subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews}}
spec:
  hosts: [reviews]
  http:
  - name: jason
    match: [{{headers: {{end-user: {{exact: jason}}}}, uri: {{prefix: /x}}, method: {{exact: GET}}, queryParams: {{a: {{regex: "b+"}}}}}}]
    fault: {{delay: {{fixedDelay: 2s, percentage: {{value: 50}}}}, abort: {{httpStatus: 418, percentage: {{value: 10}}}}}}
    timeout: 3s
    retries: {{attempts: 2, perTryTimeout: 1s}}
    route: [{{destination: {{host: reviews, subset: v2}}, weight: 25}}, {{destination: {{host: reviews, subset: v1}}, weight: 75}}]
  - name: all
    route: [{{destination: {{host: reviews, subset: v1}}}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: web}}
spec:
  parentRefs: [{{group: "", kind: Service, name: web}}]
  rules: [{{matches: [{{path: {{type: Exact, value: /old}}}}], filters: [{{type: RequestRedirect, requestRedirect: {{statusCode: 301, hostname: new.example}}}}]}},
          {{backendRefs: [{{name: web, port: 8080}}]}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: deny-admin}}
spec:
  selector: {{matchLabels: {{app: reviews}}}}
  action: DENY
  rules: [{{to: [{{operation: {{paths: ["/admin*"]}}}}]}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: allow-web}}
spec:
  selector: {{matchLabels: {{app: reviews}}}}
  rules:
  - from: [{{source: {{principals: [cluster.local/ns/default/sa/web]}}}}]
    to: [{{operation: {{methods: [GET, HEAD], ports: ["{port}"]}}}}]
"""


class Mesh:
    def __init__(self, mesh_bin, folder):
        self.lab = Lab(folder)
        self.origin = self.lab.http_origin()
        self.addresses = {"web": loopback(1), "reviews": loopback(2), "v2": loopback(3)}
        self.control = Control(mesh_bin, folder)
        self.control.apply(objects(self.origin.port, self.addresses))
        self.proxies = []
        for name, account in (("web-v1", "web"), ("reviews-v1", "reviews")):
            self.proxies.append(self.control.proxy(
                name, account, self.addresses[account], labels=(f"app={account}", "version=v1")))

    def call(self, path="/", host="reviews:9080"):
        """web asks reviews, by its sidecar."""
        c = http.client.HTTPConnection(self.addresses["web"], 15007, timeout=20)
        try:
            c.request("GET", f"http://{host}{path}")
            r = c.getresponse()
            r.read()
            return r.status
        finally:
            c.close()

    def warm(self):
        wait_until(lambda: self.call("/warm") == 200, "the way to reviews")

    def close(self):
        for p in self.proxies:
            p.stop()
        status = self.control.stop()
        self.lab.close()
        assert status in (0, -15), self.control.tail()
        for word in ("Sanitizer", "runtime error", "assertion failed"):
            assert word not in self.control.text(), self.control.tail(60)


@pytest.fixture(scope="module")
def mesh_of_two(mesh_bin, tmp_path_factory):
    mesh = Mesh(mesh_bin, tmp_path_factory.mktemp("mesh"))
    yield mesh
    mesh.close()


@pytest.fixture
def control(mesh_of_two):
    return mesh_of_two.control


def has(item, *fields):
    assert set(fields) <= set(item), f"{set(fields) - set(item)} went away from {item}"


def items(control, path, kind):
    answer = control.api("GET", path)
    assert answer["apiVersion"] == "mesh/v1" and answer["kind"] == kind and answer["warnings"] == []
    return answer["items"]


def refusal(control, method, path, body=None):
    status, answer = control.api_raw(method, path, body)
    assert answer["kind"] == "Error" and answer["severity"] == "error", answer
    return status, answer["code"], answer["what"]


# ---- status and proxies

def test_status(control):
    s = wait_until(lambda: (s := control.api("GET", "/api/v1/status"))["proxies"]["synced"] == 2 and s, "both synced")
    assert s["kind"] == "Status"
    has(s, "apiVersion", "version", "uptime", "objects", "trustDomain", "world", "services", "workloads")
    assert (s["objects"], s["services"], s["workloads"], s["trustDomain"]) == (10, 2, 3, "cluster.local")
    assert s["proxies"] == {"connected": 2, "synced": 2, "refusing": 0}
    has(s["ca"], "issued", "refused", "rootNotAfter", "pin")
    assert s["ca"]["issued"] >= 2 and s["ca"]["pin"].startswith("sha256:")
    has(s["findings"], "errors", "warnings")
    assert s["findings"]["errors"] == 0


def test_proxies(mesh_of_two, control):
    wait_until(lambda: control.api("GET", "/api/v1/status")["proxies"]["synced"] == 2, "both synced")
    rows = {p["name"]: p for p in items(control, "/api/v1/proxies", "ProxyList")}
    assert set(rows) == {"web-v1", "reviews-v1"}
    p = rows["reviews-v1"]
    has(p, "id", "kind", "name", "namespace", "workload", "serviceAccount", "addresses", "identity", "peer", "protocol",
        "discovery", "version", "connected", "synced", "types")
    address = mesh_of_two.addresses["reviews"]
    assert p["id"] == f"sidecar~{address}~reviews-v1.default~default.svc.cluster.local"
    assert p["identity"] == "spiffe://cluster.local/ns/default/sa/reviews" and p["addresses"] == [address]
    assert (p["kind"], p["protocol"], p["discovery"], p["synced"]) == ("sidecar", "delta", "on-demand", True)
    assert list(p["types"]) == ["CDS", "EDS", "LDS", "RDS", "VHDS", "NDS", "SDS"]
    has(p["types"]["LDS"], "state", "names", "sent", "acknowledged")
    assert p["types"]["LDS"]["state"] == "SYNCED" and p["types"]["LDS"]["names"] >= 1
    assert p["types"]["NDS"]["state"] == "NOT SENT"


# ---- tokens

def test_tokens(control):
    made = control.api("POST", "/api/v1/tokens", {"namespace": "shop", "serviceAccount": "*", "uses": 3, "ttl": "30m"})
    assert made["kind"] == "Token" and made["token"].startswith(f"mesh1.{made['item']['id']}.")
    has(made, "apiVersion", "pin")
    has(made["item"], "id", "namespace", "serviceAccount", "usesLeft", "created", "expires", "revoked")
    row, = [t for t in items(control, "/api/v1/tokens", "TokenList") if t["id"] == made["item"]["id"]]
    assert row == made["item"] and row["usesLeft"] == 3 and row["revoked"] is False
    assert control.api("DELETE", f"/api/v1/tokens/{row['id']}")["kind"] == "Done"
    row, = [t for t in items(control, "/api/v1/tokens", "TokenList") if t["id"] == made["item"]["id"]]
    assert row["revoked"] is True
    any_number = control.api("POST", "/api/v1/tokens", {"uses": -1})["item"]
    assert (any_number["namespace"], any_number["serviceAccount"], any_number["usesLeft"]) == ("default", "default", -1)


def test_token_is_told_once(control):
    secret = control.token("once").split(".")[2]
    assert secret not in json.dumps(control.api("GET", "/api/v1/tokens"))
    assert secret not in control.text()


@pytest.mark.parametrize("body, words", [
    ({"namespace": "Not A Name"}, "'Not A Name/default' is no namespace and service account"),
    ({"namespace": 5}, "namespace"), ({"uses": 0.5}, "uses"), ({"uses": -2}, "uses"), ({"uses": 1000001}, "uses"),
    ({"ttl": "soon"}, "'ttl' is 'soon'; want a duration such as 1h or 30m"), ({"ttl": "0s"}, "want 1s or more"),
    ({"ttl": "10ms"}, "want 1s or more"), ({"ttl": "9000h"}, "ttl is 32400000 s; 1 to 31622400"),
    ({"namespace": "mesh-system", "serviceAccount": "mesh-control"}, "is the control plane itself"),
    ([], ""), ("text", ""), (None, ""),
])
def test_bad_tokens(control, body, words):
    before = len(items(control, "/api/v1/tokens", "TokenList"))
    status, code, what = refusal(control, "POST", "/api/v1/tokens", body)
    assert (status, code) == (400, "MESH3092") and words in what
    assert len(items(control, "/api/v1/tokens", "TokenList")) == before


def test_token_that_is_not_there(control):
    assert refusal(control, "DELETE", "/api/v1/tokens/nobody")[:2] == (404, "MESH3090")
    assert refusal(control, "DELETE", "/api/v1/tokens/")[:2] == (404, "MESH3090")


# ---- certificates

def test_certs(control):
    rows = items(control, "/api/v1/certs", "CertificateList")
    for row in rows:
        has(row, "serial", "identity", "issued", "notBefore", "notAfter", "proof", "revoked")
    who = "spiffe://cluster.local/ns/default/sa/reviews"
    mine = items(control, f"/api/v1/certs?identity={who}", "CertificateList")
    assert mine and {r["identity"] for r in mine} == {who} and mine[0]["proof"].startswith("token:")
    assert len(items(control, "/api/v1/certs?limit=1", "CertificateList")) == 1
    assert items(control, "/api/v1/certs?identity=spiffe://x/ns/a/sa/b", "CertificateList") == []
    for limit in ("0", "1001", "many"):
        status, code, what = refusal(control, "GET", f"/api/v1/certs?limit={limit}")
        assert (status, code) == (400, "MESH5014") and f"'limit' is '{limit}'" in what


def test_roots(control):
    r = control.api("GET", "/api/v1/roots")
    assert r["kind"] == "TrustBundle" and r["trustDomain"] == "cluster.local"
    assert r["rootsPem"].startswith("-----BEGIN CERTIFICATE-----") and r["pin"].startswith("sha256:")
    assert r["rootsPem"] == (control.data / "ca-root.pem").read_text()


# ---- numbers

def test_stat_and_edges(mesh_of_two, control):
    mesh_of_two.warm()

    def stat():
        rows = {r["workload"]: r for r in items(control, "/api/v1/stat?window=300", "StatList")}
        return rows.get("reviews-v1", {}).get("inbound", {}).get("rps", 0) > 0 and rows
    rows = wait_until(stat, "numbers")
    assert set(rows) == {"web-v1", "reviews-v1", "reviews-v2"}
    has(rows["reviews-v1"], "namespace", "workload", "app", "version", "gateway", "instances", "meshed", "inbound", "outbound")
    has(rows["reviews-v1"]["inbound"], "rps", "success", "p50Ms", "p95Ms", "p99Ms", "mtls", "spark")
    assert rows["reviews-v1"]["inbound"]["mtls"] == 1 and len(rows["reviews-v1"]["inbound"]["spark"]) == 15
    assert (rows["reviews-v1"]["meshed"], rows["reviews-v2"]["meshed"], rows["reviews-v2"]["instances"]) == (1, 0, 1)
    assert control.api("GET", "/api/v1/stat")["windowSeconds"] == 60
    assert items(control, "/api/v1/stat?namespace=none", "StatList") == []

    edge, = items(control, "/api/v1/edges?window=300", "EdgeList")
    has(edge, "source", "destination", "service", "serviceName", "protocol", "rps", "success", "p50Ms", "mtls", "spark")
    assert edge["source"] == {"workload": "web-v1", "namespace": "default", "app": "web", "version": "v1",
                              "principal": "spiffe://cluster.local/ns/default/sa/web"}
    assert edge["destination"]["workload"] == "reviews-v1" and edge["service"] == HOST
    for path in ("stat", "edges", "routes"):
        for window in ("0", "86401", "x"):
            assert refusal(control, "GET", f"/api/v1/{path}?window={window}")[:2] == (400, "MESH5014")


# ---- routes

def test_virtual_service(mesh_of_two, control):
    for host in ("reviews", "reviews.default", HOST):
        vhost, = items(control, f"/api/v1/routes?host={host}", "RouteList")
    assert control.api("GET", "/api/v1/routes?host=reviews")["host"] == HOST
    has(vhost, "kind", "namespace", "name", "hosts", "gateways", "routes")
    assert (vhost["kind"], vhost["namespace"], vhost["name"]) == ("VirtualService", "default", "reviews")
    jason, every = vhost["routes"]
    assert jason["action"] == "forward" and jason["name"] == "jason"
    assert sorted(jason["matches"][0]) == ["header end-user = jason", "method = GET", "path ^ /x", "query a ~ b+"]
    assert jason["backends"] == [
        {"host": HOST, "subset": "v2", "port": 9080, "weight": 25, "share": 0.25, "exists": True},
        {"host": HOST, "subset": "v1", "port": 9080, "weight": 75, "share": 0.75, "exists": True}]
    assert (jason["timeoutSeconds"], jason["retries"]) == (3, 2)
    assert (jason["delaySeconds"], jason["delayPercent"], jason["abortStatus"], jason["abortPercent"]) == (2, 50, 418, 10)
    assert every["matches"] == [] and every["backends"][0]["share"] == 1 and "delaySeconds" not in every


def test_measured_shares(mesh_of_two, control):
    mesh_of_two.warm()

    def measured():
        return control.api("GET", "/api/v1/routes?host=reviews&window=300")["measured"]
    row, = wait_until(measured, "shares")
    has(row, "workload", "namespace", "app", "version", "rps", "share")
    assert (row["version"], row["share"]) == ("v1", 1)


def test_http_route(control):
    vhost, = items(control, "/api/v1/routes?host=web", "RouteList")
    assert (vhost["kind"], vhost["name"]) == ("HTTPRoute", "web")
    actions = {r["action"]: r for r in vhost["routes"]}
    assert set(actions) == {"redirect", "forward"}
    assert actions["redirect"]["matches"] == [["path = /old"]]
    assert actions["forward"]["backends"][0]["host"] == "web.default.svc.cluster.local"


def test_all_routes(control):
    kinds = {v["kind"] for v in items(control, "/api/v1/routes", "RouteList")}
    assert kinds == {"VirtualService", "HTTPRoute"}


def test_a_host_that_nobody_knows(control):
    status, code, what = refusal(control, "GET", "/api/v1/routes?host=reviewz")
    assert (status, code) == (404, "MESH2190") and '"reviewz"' in what


# ---- authorization

@pytest.mark.parametrize("query, allowed, policy, why", [
    ("", True, "allow-web", "an ALLOW policy matches"),
    ("&method=HEAD&path=/y", True, "allow-web", "an ALLOW policy matches"),
    ("&method=POST", False, "", "there are ALLOW policies, and none matches"),
    ("&path=/admin/x", False, "deny-admin", "a DENY policy matches"),
    ("&port=1", False, "", "there are ALLOW policies, and none matches"),
    ("&source=reviews-v1", False, "", "there are ALLOW policies, and none matches"),
])
def test_authz(control, query, allowed, policy, why):
    source = "" if "source=" in query else "&source=default/web-v1"
    d = control.api("GET", f"/api/v1/authz?destination=reviews-v1{source}{query}")
    assert d["kind"] == "Decision"
    has(d, "allowed", "why", "source", "destination", "workload", "method", "path", "port", "explanation")
    assert (d["allowed"], d["why"]) == (allowed, why) and policy in d.get("policy", "")
    assert bool(policy) == ("policy" in d)
    assert d["destination"] == "spiffe://cluster.local/ns/default/sa/reviews"


def test_authz_without_policies(control):
    d = control.api("GET", "/api/v1/authz?source=reviews&destination=web.default")
    assert (d["allowed"], d["why"], d["workload"]) == (True, "no policy applies", "web-v1")


def test_authz_of_nobody(control):
    assert refusal(control, "GET", "/api/v1/authz?source=web&destination=nobody") == \
        (404, "MESH3140", 'destination: there is no workload "nobody"')
    assert refusal(control, "GET", "/api/v1/authz?source=x/web&destination=reviews") == \
        (404, "MESH3140", 'source: there is no workload "x/web"')
    assert refusal(control, "GET", "/api/v1/authz?source=web") == \
        (400, "MESH5014", "'destination' is missing: name a workload")
    assert refusal(control, "GET", "/api/v1/authz?source=web&destination=web&port=0")[:2] == (400, "MESH5014")


def test_policies(control):
    rows = items(control, "/api/v1/authz/policies?destination=reviews", "PolicyList")
    assert sorted((r["name"], r["action"], r["dryRun"], r["rules"], r["namespace"]) for r in rows) == [
        ("allow-web", "ALLOW", False, 1, "default"), ("deny-admin", "DENY", False, 1, "default")]
    assert len(items(control, "/api/v1/authz/policies", "PolicyList")) == 2
    assert items(control, "/api/v1/authz/policies?destination=web", "PolicyList") == []
    assert refusal(control, "GET", "/api/v1/authz/policies?destination=nobody")[:2] == (404, "MESH3140")


# ---- taps

class Tap:
    def __init__(self, control, query=""):
        connection = control.connection()
        self._sock = connection.sock
        connection.request("GET", "/api/v1/tap" + query)
        self.answer = connection.getresponse()
        self.events = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        if self.answer.status == 200:
            self._reader.start()

    def _read(self):
        try:
            while line := self.answer.readline():
                if line.startswith(b"data:"):
                    self.events.append(json.loads(line[5:]))
        except (OSError, ValueError):
            pass

    def saw(self, path, workload=None):
        return [e for e in list(self.events) if e.get("http", {}).get("request", {}).get("path") == path
                and workload in (None, e["node"]["workload"])]

    def close(self):
        self._sock.shutdown(socket.SHUT_RDWR)
        if self._reader.is_alive():
            self._reader.join(10)
        self.answer.close()
        self._sock.close()


def ask_until(mesh, path, condition, what):
    """A tap takes a moment to reach the proxies."""
    wait_until(lambda: mesh.call(path) and condition(), what)


def test_tap(mesh_of_two, control):
    mesh_of_two.warm()
    everybody, reviews, short, namespace, nobody = (
        Tap(control, q) for q in ("", "?target=default/reviews-v1", "?target=reviews-v1", "?target=default/", "?target=other/"))
    assert everybody.answer.getheader("content-type").startswith("text/event-stream")
    ask_until(mesh_of_two, "/seen", lambda: everybody.saw("/seen", "web-v1") and everybody.saw("/seen", "reviews-v1") and
              reviews.saw("/seen") and short.saw("/seen") and namespace.saw("/seen", "web-v1"), "requests to go by")
    event = everybody.saw("/seen", "reviews-v1")[0]
    has(event, "node", "http")
    has(event["node"], "id", "namespace", "workload")
    has(event["http"], "commonProperties", "request", "response")
    for tap in (reviews, short):
        assert {e["node"]["workload"] for e in tap.events} == {"reviews-v1"}
    assert not nobody.events
    nobody.close()  # which no event tells
    for tap in (everybody, reviews, short, namespace):
        tap.close()
    taps_are(mesh_of_two, 0)


def taps_are(mesh, count):
    """Who has gone is noticed at the next event."""
    ask_until(mesh, "/by", lambda: mesh.control.metrics()["mesh_control_taps"] == count, f"{count} taps")


def test_tap_ends_with_the_watcher(mesh_of_two, control):
    """While nobody watches, the proxies tell nothing."""
    mesh_of_two.warm()
    for _ in range(2):
        tap = Tap(control)
        ask_until(mesh_of_two, "/on", lambda: tap.saw("/on"), "requests to go by")
        tap.close()
        taps_are(mesh_of_two, 0)

    def told():
        return control.metrics()["mesh_control_tap_messages_total"]

    def is_quiet():
        before = told()
        for _ in range(20):
            mesh_of_two.call("/off")
        return told() == before
    wait_until(is_quiet, "the proxies to tell nothing")


def test_tap_limit(mesh_of_two, control):
    mesh_of_two.warm()
    taps_are(mesh_of_two, 0)
    taps = [Tap(control) for _ in range(32)]
    assert {t.answer.status for t in taps} == {200}
    status, code, what = refusal(control, "GET", "/api/v1/tap")
    assert (status, code, what) == (429, "MESH6010", "32 taps are open, and no more are allowed")
    taps.pop().close()
    taps_are(mesh_of_two, 31)
    taps.append(Tap(control))
    assert taps[-1].answer.status == 200
    for tap in taps:
        tap.close()
    taps_are(mesh_of_two, 0)


# ---- who may ask

READS = ["status", "proxies", "tokens", "certs", "roots", "stat", "edges", "routes", "authz", "authz/policies", "tap"]


@pytest.mark.parametrize("path", READS)
def test_a_foreign_host_reads_nothing(control, path):
    status, answer = control.tcp("GET", "/api/v1/" + path, host="rebound.example")
    assert (status, answer["code"]) == (403, "MESH5012")
    assert "items" not in answer


@pytest.mark.parametrize("method, path, body", [("POST", "tokens", "{}"), ("DELETE", "tokens/x", None), ("POST", "apply", "")])
def test_writes_need_the_header(control, method, path, body):
    before = items(control, "/api/v1/tokens", "TokenList")
    status, answer = control.tcp(method, "/api/v1/" + path, body)
    assert (status, answer["code"]) == (403, "MESH5013")
    assert items(control, "/api/v1/tokens", "TokenList") == before


def test_writes_with_the_header(control):
    status, answer = control.tcp("POST", "/api/v1/tokens", "{}", x_mesh_write="1")
    assert (status, answer["kind"]) == (201, "Token")


@pytest.mark.parametrize("method, path, status, code", [
    ("GET", "nothing", 404, "MESH5010"), ("POST", "status", 405, "MESH5011"), ("DELETE", "tokens", 405, "MESH5011"),
    ("POST", "certs", 405, "MESH5011"), ("PUT", "tap", 405, "MESH5011")])
def test_no_such_path_or_method(control, method, path, status, code):
    assert refusal(control, method, "/api/v1/" + path)[:2] == (status, code)


# ---- control's own numbers

def test_metrics(mesh_of_two, control):
    mesh_of_two.warm()
    before = control.metrics()
    for name in ("pilot_services", "pilot_virt_services", "mesh_control_objects", "mesh_control_workloads",
                 "mesh_control_proxies_pending", "mesh_control_worlds_total", "mesh_control_world_build_seconds_count",
                 "pilot_proxy_convergence_time_count", 'pilot_xds_pushes{type="cds"}', 'pilot_xds_pushes{type="eds"}',
                 'pilot_xds_pushes{type="lds"}', 'pilot_xds_pushes{type="rds"}', 'pilot_total_xds_rejects{type="cds"}',
                 "pilot_xds_cds_reject", 'pilot_push_triggers{type="config"}', "galley_validation_passed",
                 "galley_validation_failed", "citadel_server_root_cert_expiry_timestamp", "citadel_server_csr_count",
                 "citadel_server_success_cert_issuance_count", "process_cpu_seconds_total",
                 "process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"):
        assert name in before, name
    assert before["pilot_services"] == 2 and before["pilot_virt_services"] == 1
    assert next(v for k, v in before.items() if k.startswith("pilot_xds{")) == 2
    assert next(k for k in before if k.startswith("istio_build")).startswith('istio_build{component="pilot",tag="')
    extra = "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: reviews-v9}\n" \
            "spec: {address: 10.9.8.7, labels: {app: reviews, version: v1}, serviceAccount: reviews}\n"
    control.apply(extra)
    wait_until(lambda: control.metrics()["pilot_proxy_convergence_time_count"] >
               before["pilot_proxy_convergence_time_count"], "the change to be taken")
    after = control.metrics()
    assert after["galley_validation_passed"] == before["galley_validation_passed"] + 1
    assert after['pilot_push_triggers{type="endpoint"}'] > before['pilot_push_triggers{type="endpoint"}']
    control.api("DELETE", "/api/v1/objects/workloadentries/default/reviews-v9")
    assert control.api_raw("POST", "/api/v1/apply", {"kind": "Nonsense"})[0] == 422
    assert control.metrics()["galley_validation_failed"] == before["galley_validation_failed"] + 1


def test_health(control):
    port = int(control.told("monitoring").rsplit(":", 1)[1])
    assert get(port, "/livez").body == b"ok\n"
    ready = get(port, "/readyz")
    assert ready.status == 200 and ready.body == b"objects: ok\npush: ok\n"
