"""mesh check, describe, analyze, expose and open on a real cluster: what people see before and after an installation, and when something is broken."""
import json
import re
import subprocess
import urllib.error
import urllib.request

import pytest

from .mesh import DEPLOYMENTS, Mesh, Shop, apply_files, delete_files, pods

PATIENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: old, labels: {app: old}}
spec:
  selector: {matchLabels: {app: old}}
  template:
    metadata: {labels: {app: old}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: web, image: curlimages/curl, command: [sleep, "3000"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: alone}
spec: {terminationGracePeriodSeconds: 1, containers: [{name: web, image: curlimages/curl, command: [sleep, "3000"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: node-like}
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 1
  containers: [{name: web, image: curlimages/curl, command: [sleep, "3000"]}]
"""


def checked(mesh, *words, code=0):
    done = mesh.run("check", "-o", "json", *words, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    doc = json.loads(done.stdout)
    return {item["name"]: item for item in doc["items"]}, doc["summary"], done.stderr


def test_before_an_installation(cluster):
    bare = Mesh(cluster)
    items, summary, _ = checked(bare)
    assert summary["failed"] == 0
    assert items["cluster/permissions"]["text"] == "permissions 14/14"
    assert "control/ready" not in items
    assert "mesh install" in bare.run("check").stdout


@pytest.fixture(scope="module")
def mesh(cluster):
    one = Mesh(cluster)
    one.install()
    yield one
    one.uninstall()


def test_all_is_well(mesh):
    items, summary, _ = checked(mesh, "--fail-on", "warning")
    assert summary["failed"] == 0 and summary["warning"] == 0
    for name in ("cluster/gateway-api", "control/ready", "control/sync", "control/api", "injection/dry-run", "injection/trust",
                 "injection/endpoints", "certs/root", "plane/version", "plane/connected", "config"):
        assert items[name]["result"] == "passed", items[name]


def test_pods_older_than_the_label(mesh, namespace):
    """They are listed by their owners; --fix restarts these, and only these."""
    cluster = mesh.cluster
    cluster.kubectl("-n", namespace, "apply", "-f", "-", text=PATIENT)
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/old", "--timeout=60s")
    cluster.kubectl("label", "namespace", namespace, "mesh-injection=enabled")
    items, _, _ = checked(mesh, "--fail-on", "warning", code=1)
    old = items["injection/pods"]
    assert old["code"] == "MESH1352" and f"Deployment {namespace}/old" in old["text"] and old["text"].startswith("1 pod ")
    assert f"kubectl -n {namespace} rollout restart deployment/old" in old["fix"]
    alone = items["injection/single-pods"]
    assert f"Pod {namespace}/alone" in alone["text"] and "node-like" not in json.dumps(items)
    asked = mesh.run("check", "--fix", check=False)
    assert asked.returncode == 2 and "MESH1322" in asked.stderr
    fixed = mesh.run("check", "--fix", "-y")
    assert f"restarted Deployment {namespace}/old" in fixed.stderr
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/old", "--timeout=60s")
    cluster.wait("no pod without a proxy", lambda: checked(mesh)[0]["injection/single-pods"] and "MESH1352" not in mesh.run("check").stdout)
    (new,) = [p for p in pods(cluster, namespace, "app=old") if "deletionTimestamp" not in p["metadata"]]
    assert "mesh-proxy" in [c["name"] for c in new["spec"]["initContainers"]]


@pytest.fixture(scope="module")
def bookinfo(mesh):
    """Bookinfo with proxies, without a gateway."""
    cluster = mesh.cluster
    cluster.kubectl("label", "namespace", "default", "mesh-injection=enabled", "--overwrite")
    apply_files(cluster, "bookinfo.yaml")
    for name in DEPLOYMENTS:
        cluster.kubectl("rollout", "status", f"deployment/{name}", "--timeout=60s", timeout=70)
    yield mesh
    delete_files(cluster, "bookinfo.yaml")
    cluster.kubectl("label", "namespace", "default", "mesh-injection-")


def facts(mesh, *words):
    doc = json.loads(mesh.run("describe", *words, "-o", "json").stdout)
    found = {}
    for fact in doc["facts"]:
        found.setdefault(fact["name"], []).append(fact["text"])
    return found


def test_describe(bookinfo, namespace):
    service = facts(bookinfo, "svc/reviews")
    assert service["endpoints"][0].startswith("3, 3 with a proxy: reviews-v1-")
    assert service["ports"] == ["reviews:9080  http"]
    pod = facts(bookinfo, "details-v1")
    assert pod["is"][0].startswith("Pod of details-v1 ") and "configuration current" in pod["proxy"][0]
    assert pod["identity"][0].startswith("spiffe://cluster.local/ns/default/sa/bookinfo-details")
    cluster = bookinfo.cluster
    cluster.kubectl("-n", namespace, "apply", "-f", "-", text=PATIENT)
    cluster.wait("control to know the pods", lambda: bookinfo.run("describe", "alone", "-n", namespace, check=False).returncode == 0)
    assert facts(bookinfo, "alone", "-n", namespace)["proxy"][0].startswith("none: ")
    assert "MESH1204" in facts(bookinfo, f"pod/node-like.{namespace}")["proxy"][0]


def test_analyze(bookinfo, tmp_path):
    """A route to what is not there: told before it is applied, and nothing changes."""
    route = tmp_path / "route.yaml"
    route.write_text("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: reviews}\n"
                     "spec: {hosts: [reviews], http: [{route: [{destination: {host: reviewz}}]}]}\n")
    assert bookinfo.run("analyze", "-f", str(route)).returncode == 0
    done = bookinfo.run("analyze", "-f", str(route), "--against-cluster", "-o", "json", check=False)
    assert done.returncode == 1 and [f["code"] for f in json.loads(done.stdout)["items"]] == ["MESH2031"]
    assert "reviews" not in bookinfo.cluster.kubectl("get", "virtualservices", check=False).stdout


def test_expose(bookinfo):
    """A Gateway and a route, asked for first; the page comes through the ingress gateway that is there."""
    cluster = bookinfo.cluster
    asked = bookinfo.run("expose", "productpage", check=False)
    assert asked.returncode == 2 and "kind: HTTPRoute" in asked.stdout
    assert cluster.kubectl("get", "httproutes", "-o", "name").stdout == ""
    dry = bookinfo.run("expose", "productpage", "--dry-run", "-o", "yaml").stdout
    cluster.kubectl("apply", "--dry-run=server", "-f", "-", text=dry)
    bookinfo.gateway()  # until it has an address
    url = json.loads(bookinfo.run("expose", "productpage", "-y", "-o", "json").stdout)["url"]
    shop = Shop(re.match(r"http://([^/]+)/", url).group(1))
    cluster.wait("the page", lambda: shop.get(timeout=2)[0] == 200)
    assert len(cluster.kubectl("get", "deployments", "-o", "name").stdout.splitlines()) == len(DEPLOYMENTS)
    assert bookinfo.run("expose", "nothing", "-y", check=False).returncode == 4
    cluster.kubectl("delete", "httproute/productpage", "gateway.gateway.networking.k8s.io/mesh-ingress")


def fetch(url, data=None, host=None):
    request = urllib.request.Request(url, data=data, headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_open(bookinfo):
    """Through the API server: pages, forms and redirects; links come with its path, and that is taken too."""
    words = [bookinfo.binary, "open", "productpage", "--path", "/productpage", "--print", "--kubeconfig", str(bookinfo.cluster.config)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/productpage", url)
        origin = url.removesuffix("/productpage")
        status, page = fetch(url)
        assert status == 200 and "<h4>Book Reviews</h4>" in page
        link = re.search(r'href="(/api/v1/namespaces/default/services/http:productpage:9080/proxy/[^"]*)"', page).group(1)
        assert fetch(origin + link)[0] == 200
        assert fetch(origin + "/login", data=b"username=jason&passwd=x")[0] == 200  # redirected to the page
        assert fetch(origin + "/nosuch")[0] == 404
        assert fetch(url, host="evil.example")[0] == 403
    finally:
        process.terminate()
        assert process.wait(10) == 0
        process.communicate()
    assert bookinfo.run("open", "productpage", "--port", "1", check=False).returncode == 2


def test_control_away(mesh):
    """Each thing that is broken is a failed check with a fix; nothing is restarted then."""
    cluster = mesh.cluster
    cluster.kubectl("-n", "mesh-system", "scale", "deployment/mesh-control", "--replicas=0")
    gone = lambda: not pods(cluster, "mesh-system", "app=mesh-control")
    cluster.wait("control to be gone", gone)
    cluster.wait("no endpoints", lambda: checked(mesh, code=1)[0]["injection/endpoints"]["result"] == "failed")
    items, summary, _ = checked(mesh, code=1)
    assert items["control/ready"]["code"] == "MESH1344" and items["control/api"]["code"] == "MESH1346"
    assert items["injection/dry-run"]["code"] == "MESH1325" and summary["failed"] >= 4
    assert all(item["fix"] for item in items.values() if item["result"] == "failed")
    cluster.kubectl("-n", "mesh-system", "scale", "deployment/mesh-control", "--replicas=1")
    cluster.kubectl("-n", "mesh-system", "rollout", "status", "deployment/mesh-control", "--timeout=60s")
    cluster.wait("all well again", lambda: mesh.run("check", check=False).returncode == 0)
