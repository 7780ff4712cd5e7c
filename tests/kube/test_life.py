"""Everything is replaced while people shop: no request fails, and no pod slips by without a proxy."""
import json
import time

import pytest

from .mesh import DEPLOYMENTS, pods, resident_kb, rolled_out

CONTROL_KB, PROXY_KB = 30 * 1024, 12 * 1024
READY_S = 10
MANY = 200
PATIENCE_S = 240

ECHO = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo}
spec:
  replicas: 0
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: echo, image: "mesh:test", args: [sample, --listen, "0.0.0.0:8080", --name, echo], ports: [{containerPort: 8080}]}
"""

# Ends at once when told, whatever it is doing: its proxy and those of its callers make up for it.
ABRUPT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: abrupt}
spec:
  replicas: 2
  selector: {matchLabels: {app: abrupt}}
  template:
    metadata: {labels: {app: abrupt}}
    spec:
      containers:
      - name: app
        image: python:3
        command: [python3, -c]
        args:
        - |
          import http.server, time
          class Slow(http.server.BaseHTTPRequestHandler):
              protocol_version = "HTTP/1.1"
              def do_GET(self):
                  time.sleep(0.3)
                  self.send_response(200)
                  self.send_header("content-length", "3")
                  self.end_headers()
                  self.wfile.write(b"ok\\n")
              def log_message(self, *_):
                  pass
          http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Slow).serve_forever()
        ports: [{containerPort: 8080}]
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: abrupt}
spec: {selector: {app: abrupt}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: abrupt}
spec:
  hosts: [abrupt.example]
  gateways: [bookinfo-gateway]
  http: [{route: [{destination: {host: abrupt}}]}]
"""


def test_memory(cluster, shop):
    """Of what Bookinfo takes; what a pod has from its start."""
    shop.versions(20)
    ((control, _),) = resident_kb(cluster, "/mesh", "control")
    proxies = [now for now, _ in resident_kb(cluster, "/mesh", "proxy")]
    print(f"control {control} kB, proxies {sorted(proxies)} kB")
    assert control <= CONTROL_KB
    assert len(proxies) == len(DEPLOYMENTS) + 1 and max(proxies) <= PROXY_KB


def test_start_to_ready(cluster, mesh, namespace):
    """A pod with a proxy is soon ready, beside one without."""
    took = {}
    for name, inject in (("bare", "false"), ("meshed", "true")):
        begun = time.monotonic()
        cluster.kubectl("-n", namespace, "run", name, "--image=mesh:test", f"--labels=sidecar.istio.io/inject={inject}", "--",
                        "sample", "--listen", "0.0.0.0:8080")
        cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s", timeout=70)
        took[name] = time.monotonic() - begun
    print(", ".join(f"{name} {seconds:.2f} s" for name, seconds in took.items()))
    assert took["meshed"] < READY_S


@pytest.mark.parametrize("native", ["true", "false"])
def test_rolling_update_of_the_shop(cluster, loaded, native):
    """One after another, then all at once; with the proxy as native sidecar and as ordinary container."""
    change = {"spec": {"template": {"metadata": {"annotations": {"sidecar.istio.io/nativeSidecar": native}}}}}
    with loaded():
        for name in DEPLOYMENTS:
            cluster.kubectl("patch", "deployment", name, "-p", json.dumps(change))
            rolled_out(cluster, name)
        cluster.kubectl("rollout", "restart", *(f"deployment/{name}" for name in DEPLOYMENTS))
        rolled_out(cluster, *DEPLOYMENTS)


def test_rolling_update_of_the_mesh(cluster, loaded):
    with loaded():
        for name in ("mesh-ingressgateway", "mesh-control"):
            cluster.kubectl("-n", "mesh-system", "rollout", "restart", f"deployment/{name}")
            rolled_out(cluster, name, namespace="mesh-system")


def test_pods_are_deleted(cluster, loaded):
    """Of two of each, the one and then the other."""
    cluster.kubectl("scale", "--replicas=2", *(f"deployment/{name}" for name in DEPLOYMENTS))
    rolled_out(cluster, *DEPLOYMENTS)
    first = [p["metadata"]["name"] for p in pods(cluster)]
    with loaded():
        for half in (first[::2], first[1::2]):
            cluster.kubectl("delete", "pod", "--wait=false", *half)
            rolled_out(cluster, *DEPLOYMENTS)


def test_application_that_ends_abruptly(cluster, loaded, shop):
    cluster.apply(ABRUPT)
    try:
        rolled_out(cluster, "abrupt")
        cluster.wait("the route", lambda: shop.get(host="abrupt.example")[0] == 200)
        with loaded("abrupt.example"):
            for _ in range(2):
                cluster.kubectl("rollout", "restart", "deployment/abrupt")
                rolled_out(cluster, "abrupt")
    finally:
        cluster.kubectl("delete", "--ignore-not-found", "-f", "-", text=ABRUPT)


@pytest.mark.timeout(PATIENCE_S + 120)
def test_many_pods_while_the_webhook_is_killed(cluster, mesh, namespace):
    """Each is injected, or refused with a reason; in the end all have their proxies."""
    cluster.kubectl("label", "namespace", namespace, "mesh-injection=enabled")
    cluster.apply(ECHO, "-n", namespace)

    def refusals():
        events = cluster.get("-n", namespace, "events", "--field-selector=reason=FailedCreate")["items"]
        return [e["message"] for e in events]

    def replicas():
        return cluster.get("-n", namespace, "deployment", "echo")["status"]
    begun = time.monotonic()
    cluster.kubectl("-n", namespace, "scale", "deployment/echo", f"--replicas={MANY}")
    cluster.kubectl("-n", "mesh-system", "scale", "deployment/mesh-control", "--replicas=0")
    cluster.kubectl("-n", "mesh-system", "delete", "pod", "-l", "app=mesh-control", "--force", "--grace-period=0")
    cluster.wait("some pods", lambda: replicas().get("replicas", 0) > 0)
    cluster.kubectl("-n", namespace, "delete", "pod", "--wait=false", pods(cluster, namespace)[0]["metadata"]["name"])
    cluster.wait("a refusal", refusals)
    assert all("mesh.io" in text and "mesh-control.mesh-system.svc" in text for text in refusals()), refusals()
    cluster.kubectl("-n", "mesh-system", "scale", "deployment/mesh-control", "--replicas=1")
    cluster.wait(f"{MANY} ready pods", lambda: replicas().get("readyReplicas") == MANY, PATIENCE_S, "node")
    print(f"{MANY} pods ready after {time.monotonic() - begun:.0f} s; control {resident_kb(cluster, '/mesh', 'control')} kB")
    for pod in pods(cluster, namespace):
        assert "mesh-proxy" in [c["name"] for c in pod["spec"].get("initContainers", [])], pod["metadata"]["name"]
