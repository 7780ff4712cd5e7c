"""`mesh control` with data planes that we did not write: real Envoys, with an Istio agent's node and nothing of ours in it."""
import collections
import http.client
import os
import re

import pytest
import yaml
from harness import config
from harness.agent import Agent
from harness.ca import HostedCa
from harness.netns import NetNs, as_user, join, why_not
from harness.origin import Background, HttpOrigin
from harness.proc import REPO, Process, find_envoy, wait_until
from harness.proxy import Proxy

needs_netns = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
pytestmark = pytest.mark.mesh_only  # the control plane under test is ours in any case


def objects_of(case):
    return re.sub("(?m)^#.*\n", "", (case / "objects.yaml").read_text())


# Some differ only in the node, which here is another.
CASES = list({objects_of(c): c for c in sorted((REPO / "tests" / "golden" / "translate").iterdir())}.values())
OBJECTS = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {ports: [{name: http, port: 80}], selector: {app: web}}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: default}
spec: {clusterIP: 10.96.0.9, ports: [{name: http, port: 80}], selector: {app: api}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: web, namespace: default}
spec:
  address: @NET@11
  ports: {http: @WEB@}
  labels: {app: web, security.istio.io/tlsMode: istio}
  serviceAccount: web
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: api-v1, namespace: default}
spec:
  address: @NET@21
  ports: {http: @V1@}
  labels: {app: api, version: v1, security.istio.io/tlsMode: istio}
  serviceAccount: api
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: api-v2, namespace: default}
spec:
  address: @NET@22
  ports: {http: @V2@}
  labels: {app: api, version: v2, security.istio.io/tlsMode: istio}
  serviceAccount: api
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: api, namespace: default}
spec:
  host: api
  subsets:
    - {name: v1, labels: {version: v1}}
    - {name: v2, labels: {version: v2}, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api, namespace: default}
spec:
  hosts: [api]
  http:
    - match: [{uri: {prefix: /fault}}]
      fault: {abort: {httpStatus: 418, percentage: {value: 100}}}
      route: [{destination: {host: api}}]
    - match: [{headers: {end-user: {exact: jason}}, uri: {prefix: /old}}]
      headers: {request: {set: {x-route: jason}}, response: {set: {x-answered: "yes"}}}
      rewrite: {uri: /echo}
      route: [{destination: {host: api, subset: v2}}]
    - timeout: 10s
      retries: {attempts: 2, perTryTimeout: 4s, retryOn: "connect-failure,503"}
      route:
        - {destination: {host: api, subset: v1}, weight: 75}
        - {destination: {host: api, subset: v2}, weight: 25}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: default}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: private, namespace: default}
spec:
  selector: {matchLabels: {app: api}}
  action: DENY
  rules: [{to: [{operation: {paths: ["/private*"]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: web-only, namespace: default}
spec:
  selector: {matchLabels: {app: api}}
  rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/web]}}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: entry, namespace: default}
spec:
  gatewayClassName: mesh
  addresses: [{type: IPAddress, value: @NET@31}]
  listeners: [{name: http, port: @GATE@, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: default}
spec:
  parentRefs: [{name: entry}]
  rules:
    - matches: [{path: {type: PathPrefix, value: /web}}]
      filters:
        - {type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}
        - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-gate, value: "1"}]}}
      backendRefs: [{name: web, port: 80}]
"""


class Mesh:
    """A control plane with these objects, and the data planes around it."""

    def __init__(self, lab, objects, host="127.0.0.1"):
        self.lab, self.host = lab, host
        folder = lab.folder / "objects"
        folder.mkdir()
        (folder / "objects.yaml").write_text(objects)
        port = lab.ports.take()
        self.control = HostedCa(lab.binary, lab.folder, port, "--xds-plain-address", f"{host}:{port}",
                                "--monitoring-address", "")
        lab.at_end(self.control.stop)

    def envoy(self, node, delta, identity=None):
        agent = Agent(identity or self.control.join(node["metadata"]["SERVICE_ACCOUNT"]))
        self.lab.at_end(agent.close)
        boot = config.bootstrap(self.lab.ports.take(), [], [
            config.cluster("xds-grpc", http2=True, load_assignment=config.assignment(
                "xds-grpc", self.control.plain_port, host=self.host)),
            config.cluster("sds-grpc", agent.port, http2=True)], {"cluster": "mesh", **node},
            config.ads_dynamic("xds-grpc", delta))
        boot["bootstrap_extensions"] = [config.INTERNAL_LISTENERS]
        admin = boot["admin"]["address"]["socket_address"]["port_value"]
        p = Proxy(self.lab.folder, node["metadata"]["NAME"], boot, admin, "envoy", find_envoy())
        self.lab.at_end(p.stop)
        p.wait_ready()
        self.wait_taken(p, node["id"], "delta" if delta else "sotw")
        return p

    def entry(self, node_id):
        rows = self.control.api("GET", "/api/v1/proxies")["items"]
        return next((r for r in rows if r["id"] == node_id), None)

    def wait_taken(self, p, node_id, protocol):
        """Control and Envoy agree that all of it was taken."""
        row = p.wait_for(lambda: (r := self.entry(node_id)) and r["synced"] and r, f"{node_id} to be synced")
        assert row["protocol"] == protocol and row["discovery"] == "full"
        used = {kind: t for kind, t in row["types"].items() if t["names"]}
        assert {t["state"] for t in used.values()} == {"SYNCED"} and len(used) >= 3, row
        self.check_taken(p)

    def check_taken(self, p):
        stats = p.stats()
        rejected = {k: v for k, v in stats.items() if k.endswith("update_rejected") and v}
        assert rejected == {}, p.tail()
        late = {k: v for k, v in stats.items() if k.endswith("init_fetch_timeout") and v}
        assert [k for k in late if "not-there" not in k] == []  # as the goldens call a Secret that there is none of
        assert stats["cluster_manager.cds.update_success"] >= 1 and stats["listener_manager.lds.update_success"] >= 1
        assert stats["listener_manager.listener_create_failure"] == 0
        assert stats["cluster_manager.warming_clusters"] == stats["listener_manager.total_listeners_warming"] == 0
        dump = p.admin("/config_dump?include_eds")[1]
        assert '"dynamic_listeners"' in dump and "error_state" not in dump, dump[:1000]
        assert not re.search(r"rejected|gRPC config for .* Unable", p.text()), p.tail()


def sidecar(address, name, account, mode="NONE", **more):
    return {"id": f"sidecar~{address}~{name}.default~default.svc.cluster.local", "metadata": {
        "NAME": name, "NAMESPACE": "default", "SERVICE_ACCOUNT": account, "WORKLOAD_NAME": name, "CLUSTER_ID": "Kubernetes",
        "MESH_ID": "cluster.local", "ISTIO_VERSION": "1.26.0", "INTERCEPTION_MODE": mode, "INSTANCE_IPS": address, **more}}


def get(address, port, path, host="api", proxied=False, **headers):
    c = http.client.HTTPConnection(address, port, timeout=10)
    try:
        c.request("GET", f"http://{host}{path}" if proxied else path,
                  headers={"host": host, **{k.replace("_", "-"): v for k, v in headers.items()}})
        r = c.getresponse()
        r.text = r.read().decode()
        return r
    finally:
        c.close()


@pytest.fixture
def lab(lab):
    if not find_envoy():
        pytest.skip("Envoy is not installed")
    return lab


@pytest.fixture
def net(lab):
    return f"127.{64 + os.getpid() % 60}.{lab.ports.take() % 250}."


def mesh_of(lab, net):
    apps = {name: lab.http_origin(name) for name in ("web", "v1", "v2")}
    ports = {"WEB": apps["web"].port, "V1": apps["v1"].port, "V2": apps["v2"].port, "GATE": lab.ports.take(), "NET": net}
    objects = OBJECTS
    for name, value in ports.items():
        objects = objects.replace(f"@{name}@", str(value))
    return Mesh(lab, objects), apps, ports


def our_sidecar(mesh, net, app):
    """Of api v2."""
    lab, control = mesh.lab, mesh.control
    root = lab.folder / "root.pem"
    root.write_bytes(control.roots)
    p = Process([lab.binary, "proxy", "--control", f"127.0.0.1:{control.port}", "--ca-root", root, "--name", "api-v2",
                 "--namespace", "default", "--service-account", "api", "--address", net + "22", "--app-address", "127.0.0.1",
                 "--interception", "none", "--state-dir", lab.folder / "state", "--admin",
                 f"unix:{lab.folder}/api-v2.sock", "--concurrency", "1", "--drain-time-s", "0"], lab.folder / "api-v2.log",
                env={"MESH_TOKEN": control.token("api")})
    lab.at_end(p.stop)
    p.wait_port(app.port, net + "22")


@pytest.mark.parametrize("delta", [True, False], ids=["delta", "sotw"])
def test_envoys_are_sidecars_and_gateway(lab, net, delta):
    """A gateway, a client and a server that are Envoys, and a server that is ours."""
    mesh, apps, ports = mesh_of(lab, net)
    proxy_port = lab.ports.take()
    our_sidecar(mesh, net, apps["v2"])
    server = mesh.envoy(sidecar(net + "21", "api-v1", "api", LABELS={"app": "api", "version": "v1"}), not delta)
    client = mesh.envoy(sidecar(net + "11", "web", "web", LABELS={"app": "web"}, HTTP_PROXY_PORT=str(proxy_port)), delta)

    def ask(path, **headers):
        return get(net + "11", proxy_port, path, proxied=True, **headers)
    wait_until(lambda: ask("/").status == 200 and ask("/old", end_user="jason").status == 200, "the service to answer")
    served = collections.Counter(ask("/text").text for _ in range(200))
    assert set(served) == {"v1", "v2"} and 20 <= served["v2"] <= 80, served
    jason = ask("/old", end_user="jason")
    assert jason.getheader("x-answered") == "yes" and apps["v2"].last().target == "/echo"
    assert apps["v2"].last().get("x-route") == "jason"
    assert "URI=spiffe://cluster.local/ns/default/sa/web" in apps["v2"].last().get("x-forwarded-client-cert")
    assert ask("/fault").status == 418
    denied = collections.Counter((r.status, r.text) for r in (ask("/private/x") for _ in range(40)))
    assert denied == {(403, "RBAC: access denied"): 40}
    assert not any(s.target.startswith(("/private", "/fault")) for a in apps.values() for s in a.seen)
    with pytest.raises((OSError, http.client.HTTPException)):
        get(net + "21", ports["V1"], "/")  # STRICT: no plain text

    gateway = mesh.envoy({"id": f"router~{net}31~entry.default~default.svc.cluster.local", "metadata": {
        "NAME": "entry", "NAMESPACE": "default", "SERVICE_ACCOUNT": "entry", "CLUSTER_ID": "Kubernetes",
        "LABELS": {"gateway.networking.k8s.io/gateway-name": "entry"}}}, delta)
    assert get(net + "31", ports["GATE"], "/web/echo").status == 200
    assert apps["web"].last().target == "/echo" and apps["web"].last().get("x-gate") == "1"
    assert get(net + "31", ports["GATE"], "/other").status == 404

    # A change reaches those who are there.
    path = lab.folder / "objects" / "objects.yaml"
    path.write_text(path.read_text().replace("weight: 75", "weight: 0").replace("weight: 25", "weight: 100"))
    wait_until(lambda: {ask("/text").text for _ in range(10)} == {"v2"}, "the new weights")
    for p in (server, client, gateway):
        mesh.check_taken(p)


@needs_netns
@pytest.mark.parametrize("number,case", list(enumerate(CASES)), ids=[c.name for c in CASES])
def test_envoy_takes_it(lab, number, case):
    """With redirection, so listeners are of fixed ports and any address: in a network of their own. test_golden has the same
    objects, but as a file."""
    node = yaml.safe_load((case / "node.yaml").read_text())["node"]
    node["metadata"].update(INTERCEPTION_MODE="REDIRECT", SERVICE_ACCOUNT=node["metadata"].get("SERVICE_ACCOUNT", "default"))
    node["metadata"] = {k: v for k, v in node["metadata"].items() if not k.startswith("MESH_")}
    with NetNs() as pod:
        lab.at_end(pod.close)
        # Who asks by delta is told that a secret does not exist, the other waits for it, 15 s.
        delta = number % 2 == 0 or case.name == "istio-gateway"
        p = Mesh(lab, objects_of(case)).envoy(node, delta, lab.trust.issue("shop"))
        for port in (15001, 15006) if node["id"].startswith("sidecar") else ():
            p.wait_port(port, "::1" if case.name == "ipv6" else "127.0.0.1")


REDIRECTED = """
apiVersion: v1
kind: Service
metadata: {name: service, namespace: default}
spec: {clusterIP: 10.96.0.9, ports: [{name: http, port: 80}], selector: {app: service}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.96.0.10, ports: [{name: http, port: 80}], selector: {app: web}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: service, namespace: default}
spec: {address: 10.77.0.2, ports: {http: @SERVICE@}, labels: {app: service}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: web, namespace: default}
spec: {address: 10.77.0.1, ports: {http: @WEB@}, labels: {app: web, security.istio.io/tlsMode: istio}, serviceAccount: web}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: service, namespace: default}
spec:
  hosts: [service]
  http: [{headers: {request: {set: {x-from: web}}}, route: [{destination: {host: service}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: private, namespace: default}
spec:
  selector: {matchLabels: {app: web}}
  action: DENY
  rules: [{to: [{operation: {paths: ["/private*"]}}]}]
"""


@needs_netns
def test_envoy_in_a_pod_of_mesh_init(lab):
    """`mesh init` redirects a pod's traffic through an Envoy, in both directions; neither side knows of it."""
    pod, world = NetNs(), NetNs()
    for ns in (pod, world):
        lab.at_end(ns.close)
    join(pod, world, "10.77.0.1/24", "10.77.0.2/24")
    pod.run("ip", "route", "add", "default", "via", "10.77.0.2")

    def origin(ns, name):
        with ns:
            background = Background()
            lab.at_end(background.close)
            return HttpOrigin(background, name, "0.0.0.0")
    web, service, other = origin(pod, "web"), origin(world, "service"), origin(world, "other")
    with world:
        mesh = Mesh(lab, REDIRECTED.replace("@SERVICE@", str(service.port)).replace("@WEB@", str(web.port)), "10.77.0.2")
    pod.run(lab.binary, "init", "--ipv4-only")
    with pod, as_user(gid=1337):
        p = mesh.envoy(sidecar("10.77.0.1", "web", "web", "REDIRECT", LABELS={"app": "web"}), True, lab.trust.issue("web"))
    with pod:
        assert get("10.96.0.9", 80, "/echo", "service").status == 200
        assert service.last().get("x-from") == "web"
        assert p.wait_stat("cluster.outbound|80||service.default.svc.cluster.local.upstream_rq_200") == 1
        assert get("10.77.0.2", other.port, "/text", "nobody").text == "other"  # what the mesh does not know
        assert p.wait_stat("cluster.PassthroughCluster.upstream_cx_total") == 1
    with world:
        assert get("10.77.0.1", web.port, "/text").text == "web"
        assert get("10.77.0.1", web.port, "/private").status == 403
    with pod:
        assert p.wait_stat(f"cluster.inbound|{web.port}||.upstream_rq_200") == 1
        mesh.check_taken(p)
    assert [s.target for s in web.seen] == ["/text"]
