"""Many services with pods that run nowhere: KWOK plays their nodes, real controllers make their EndpointSlices.

    with Crowd(cluster) as crowd:
        crowd.make(services=1000, pods_each=5)     # in namespaces crowd-0, crowd-1, ... of 100 services each
        crowd.replace_pod("s17")                   # deletes one and makes its successor
        ...

`endpoints()` is the truth of the API server: {"s17.crowd-0": {pod: address} of what is ready}."""
import concurrent.futures
import http.client
import json
import random
import ssl
import sys
import threading
import time
from collections import defaultdict

from harness.proc import REPO

from .cluster import TOOLS, Cluster

STAGES = REPO / "tests" / "kube" / "kwok" / "stages.yaml"
PODS_A_NODE = 200
SERVICES_A_NAMESPACE = 100
WRITERS = 4
PATIENCE_S = 300


def namespace_of(number):
    return f"crowd-{number // SERVICES_A_NAMESPACE}"


def node(number):
    name = f"crowd-{number}"
    return {"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {
                "type": "kwok", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
                "topology.kubernetes.io/region": "crowd", "topology.kubernetes.io/zone": f"zone-{number % 3}"}},
            "spec": {"podCIDR": f"10.{200 + number // 256}.{number % 256}.0/24",
                     "taints": [{"key": "kwok", "value": "fake", "effect": "NoSchedule"}]},
            "status": {"capacity": {"cpu": "64", "memory": "256Gi", "pods": "250"},
                       "allocatable": {"cpu": "64", "memory": "256Gi", "pods": "250"}}}


def service(name, namespace):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
            "spec": {"selector": {"app": name}, "ports": [
                {"name": "http", "port": 80, "targetPort": 8080}, {"name": "grpc", "port": 9090, "targetPort": 9090}]}}


def pod(name, namespace, app, node_name, injected=True):
    """A pod as pods are: some labels, probes, limits; injected: with the marks of a sidecar, so that it is called with mutual TLS."""
    labels = {"app": app, "version": "v1", "pod-template-hash": "5d4f8c7b9"}
    if injected:
        labels |= {"security.istio.io/tlsMode": "istio", "service.istio.io/canonical-name": app,
                   "service.istio.io/canonical-revision": "v1"}
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 5}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": {"nodeName": node_name, "serviceAccountName": "default", "automountServiceAccountToken": False,
                     "tolerations": [{"operator": "Exists"}],
                     "containers": [{"name": "app", "image": "example.org/shop/app:1", "readinessProbe": probe,
                                     "ports": [{"containerPort": 8080}, {"containerPort": 9090}],
                                     "env": [{"name": f"SETTING_{i}", "value": "some value"} for i in range(8)],
                                     "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}]}}


class Crowd:
    def __init__(self, cluster):
        self.cluster = cluster
        self._trust = ssl.create_default_context(cafile=str(cluster.folder / "pki" / "ca.crt"))
        self._trust.load_cert_chain(cluster.folder / "pki" / "admin.crt", cluster.folder / "pki" / "admin.key")
        self._mine = threading.local()
        self._pool = concurrent.futures.ThreadPoolExecutor(WRITERS)
        self.count, self.namespaces, self.nodes = 0, 0, 0
        self._serial = 0

    def start(self):
        """Without an end: the cluster's will do."""
        self.cluster.spawn("kwok", [
            TOOLS / "kwok", f"--kubeconfig={self.cluster.config}", "--manage-nodes-with-label-selector=type=kwok",
            f"--config={STAGES}", "--node-lease-duration-seconds=40", "--v=WARN"])
        return self

    __enter__ = start

    def __exit__(self, *_):
        """Takes everything away again, for the next test."""
        self._pool.shutdown()
        for number in range(self.namespaces):
            self.call("DELETE", f"/api/v1/namespaces/crowd-{number}")
        self.cluster.wait("the namespaces of the crowd to be gone", lambda: not [
            n for n in self.items("/api/v1/namespaces") if n["metadata"]["name"].startswith("crowd-")], PATIENCE_S)
        for number in range(self.nodes):
            self.call("DELETE", f"/api/v1/nodes/crowd-{number}")
        self.cluster.end("kwok")

    def call(self, method, path, body=None):
        """One call over this thread's connection; the object, or AssertionError."""
        for attempt in (1, 2):
            if not hasattr(self._mine, "connection"):
                self._mine.connection = http.client.HTTPSConnection(
                    self.cluster.address, 6443, context=self._trust, timeout=30)
            try:
                self._mine.connection.request(method, path, body and json.dumps(body), {"content-type": "application/json"})
                answer = self._mine.connection.getresponse()
                content = answer.read()
                break
            except (OSError, http.client.HTTPException):
                del self._mine.connection
                if attempt == 2:
                    raise
        assert answer.status in (200, 201, 202), f"{method} {path}: {answer.status} {content[:300]}"
        return json.loads(content)

    def items(self, path):
        return self.call("GET", path)["items"]

    def _all(self, function, rows):
        for done in [self._pool.submit(function, *row) for row in rows]:
            done.result()

    def make(self, services, pods_each, injected=True):
        """And waits until each has the endpoints."""
        self.count = services
        self.nodes = -(-services * pods_each // PODS_A_NODE)
        self.namespaces = -(-services // SERVICES_A_NAMESPACE)
        self._all(lambda n: self.call("POST", "/api/v1/nodes", node(n)), [(n,) for n in range(self.nodes)])
        self._all(lambda n: self.call("POST", "/api/v1/namespaces", {
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"crowd-{n}"}}), [(n,) for n in range(self.namespaces)])
        self.cluster.wait("the ServiceAccounts of the crowd", lambda: len([
            a for a in self.items("/api/v1/serviceaccounts") if a["metadata"]["namespace"].startswith("crowd-")]) == self.namespaces)
        self._all(self._one, [(n, pods_each, injected) for n in range(services)])
        self.wait_complete(pods_each)

    def wait_complete(self, pods_each):
        """Until each service has so many endpoints, and all of them are pods that are there."""

        def complete():
            found = self.endpoints()
            return len(found) == self.count and {p for pods in found.values() for p in pods} == {
                p["metadata"]["name"] for n in range(self.namespaces) for p in self.items(f"/api/v1/namespaces/crowd-{n}/pods")
            } and all(len(pods) == pods_each for pods in found.values())
        self.cluster.wait(f"{self.count} services with {pods_each} endpoints each", complete, PATIENCE_S, "kwok")

    def _one(self, number, pods_each, injected):
        name, namespace = f"s{number}", namespace_of(number)
        self.call("POST", f"/api/v1/namespaces/{namespace}/services", service(name, namespace))
        for i in range(pods_each):
            on = f"crowd-{(number * pods_each + i) // PODS_A_NODE}"
            self.call("POST", f"/api/v1/namespaces/{namespace}/pods", pod(f"{name}-{i}", namespace, name, on, injected))

    def pods(self, app):
        """Those of a service."""
        return self.items(f"/api/v1/namespaces/{namespace_of(int(app[1:]))}/pods?labelSelector=app%3D{app}")

    def replace_pod(self, app, name=None):
        """Makes a pod and then deletes one (any of the service), as a Deployment would; the new one's name. Its address is another, and the
        old address goes to a later pod of whatever service: who still sends there is wrong."""
        old = random.choice([p for p in self.pods(app) if name in (None, p["metadata"]["name"])])
        path = f"/api/v1/namespaces/{old['metadata']['namespace']}/pods"
        self._serial += 1
        new = f"{app}-x{self._serial}"
        self.call("POST", path, pod(new, old["metadata"]["namespace"], app, old["spec"]["nodeName"]))
        self.cluster.wait(f"an address of {new}", lambda: self.call("GET", f"{path}/{new}")["status"].get("podIP"), program="kwok")
        self.call("DELETE", f"{path}/{old['metadata']['name']}?gracePeriodSeconds=0")
        return new

    def services(self):
        """Names of all, as "s17.crowd-0"."""
        return [f"s{n}.{namespace_of(n)}" for n in range(self.count)]

    def endpoints(self):
        found = defaultdict(dict)
        start = ""
        while True:
            page = self.call("GET", f"/apis/discovery.k8s.io/v1/endpointslices?limit=500{start}")
            for one in page["items"]:
                name, namespace = one["metadata"]["labels"].get("kubernetes.io/service-name"), one["metadata"]["namespace"]
                if namespace.startswith("crowd-"):
                    for endpoint in one["endpoints"] or ():
                        if endpoint["conditions"].get("ready"):
                            found[f"{name}.{namespace}"][endpoint["targetRef"]["name"]] = endpoint["addresses"][0]
            if not page["metadata"].get("continue"):
                return dict(found)
            start = f"&continue={page['metadata']['continue']}"


def main():
    """python -m kube.crowd SERVICES PODS_EACH, in tests/: on the cluster of `make kube-up`, until Ctrl-C."""
    with Crowd(Cluster(REPO / "build" / "kube", die_with_us=False)) as crowd:
        began = time.monotonic()
        crowd.make(int(sys.argv[1]), int(sys.argv[2]))
        print(f"made in {time.monotonic() - began:.0f} s; Ctrl-C takes it away", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
