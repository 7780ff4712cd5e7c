"""`mesh inject`, `uninject`, `inject explain`, and the webhook `mesh injector`, against an API server of paper."""
import base64
import json
import os
import re
import ssl
import subprocess
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import yaml
from harness.pki import TrustDomain
from harness.proc import Process, wait_until

pytestmark = pytest.mark.mesh_only
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BOOKINFO = os.path.join(TOP, "examples", "bookinfo", "kubernetes", "bookinfo.yaml")
POD = {"metadata": {"generateName": "web-"}, "spec": {"containers": [{"name": "app", "image": "app"}]}}


# ---- an API server of paper

class Api:
    """Objects by path; lists, one watch for each collection, and what is put later."""

    def __init__(self, folder):
        self.objects, self.version, self.changed = {}, 1, threading.Condition()
        self.events, self.closing = [], False
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                api.answer(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.kubeconfig = os.path.join(folder, "kubeconfig")
        with open(self.kubeconfig, "w", encoding="utf-8") as f:
            yaml.safe_dump({
                "apiVersion": "v1", "kind": "Config", "current-context": "paper",
                "clusters": [{"name": "paper", "cluster": {
                    "server": f"http://127.0.0.1:{self.server.server_address[1]}"}}],
                "users": [{"name": "me", "user": {"token": "x"}}],
                "contexts": [{"name": "paper", "context": {"cluster": "paper", "user": "me"}}]}, f)

    def put(self, collection, name, doc):
        with self.changed:
            self.version += 1
            path = f"{collection}/{name}"
            doc = {**doc, "metadata": {**doc.get("metadata", {}), "name": name, "uid": path,
                                       "resourceVersion": str(self.version)}}
            kind = "MODIFIED" if path in self.objects else "ADDED"
            self.objects[path] = doc
            self.events.append((self.version, collection, {"type": kind, "object": doc}))
            self.changed.notify_all()

    def namespace(self, name, **labels):
        self.put("/api/v1/namespaces", name, {
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"labels": {k.replace("_", "-"): v for k, v in labels.items()}}})

    def pod(self, namespace, name, pod):
        self.put(f"/api/v1/namespaces/{namespace}/pods", name, {"apiVersion": "v1", "kind": "Pod", **pod})

    def settings(self, **settings):
        self.put("/api/v1/namespaces/mesh-system/configmaps", "mesh-injector", {
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"settings": yaml.safe_dump(settings)}})

    def reply(self, handler, status, doc):
        body = json.dumps(doc).encode()
        handler.send_response(status)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def watch(self, handler, collection, since):
        handler.send_response(200)
        handler.send_header("content-type", "application/json")
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        sent = since
        while not self.closing:
            with self.changed:
                lines = [(v, e) for v, c, e in self.events if c == collection and v > sent]
                if not lines:
                    self.changed.wait(1)
            for version, event in lines:
                line = json.dumps(event).encode() + b"\n"
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                handler.wfile.flush()
                sent = version

    def answer(self, handler):
        url = urllib.parse.urlsplit(handler.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path == "/version":
            return self.reply(handler, 200, {"major": "1", "minor": "34", "gitVersion": "v1.34.0"})
        if query.get("watch") in ("1", "true"):
            return self.watch(handler, url.path, int(query.get("resourceVersion", "0")))
        with self.changed:
            one = self.objects.get(url.path)
            items = [o for p, o in self.objects.items() if p.rsplit("/", 1)[0] == url.path]
            version = str(self.version)
        if one:
            return self.reply(handler, 200, one)
        if re.search(r"/(namespaces|pods|configmaps|deployments)$", url.path):
            kind = {"n": "Namespace", "p": "Pod", "c": "ConfigMap", "d": "Deployment"}[url.path.rsplit("/", 1)[1][0]]
            return self.reply(handler, 200, {"kind": f"{kind}List", "apiVersion": "v1", "items": items,
                                             "metadata": {"resourceVersion": version}})
        return self.reply(handler, 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure",
                                         "reason": "NotFound", "code": 404, "message": f"{url.path} not found"})

    def close(self):
        self.closing = True
        with self.changed:
            self.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def api(tmp_path):
    one = Api(str(tmp_path))
    yield one
    one.close()


# ---- files

def run(mesh_bin, *words, stdin=None, **env):
    return subprocess.run([mesh_bin, *words], input=stdin, capture_output=True, text=True, timeout=30, check=False,
                          env={**os.environ, "KUBECONFIG": "/nowhere", **env})


def documents(text):
    return [d for d in yaml.safe_load_all(text) if d]


def test_bookinfo_there_and_back(mesh_bin):
    with open(BOOKINFO, encoding="utf-8") as f:
        before = f.read()
    there = run(mesh_bin, "inject", "-f", BOOKINFO)
    assert there.returncode == 0, there.stderr
    assert there.stderr.count(" injected\n") == 6
    for doc in documents(there.stdout):
        if doc["kind"] == "Deployment":
            spec = doc["spec"]["template"]["spec"]
            assert [c["name"] for c in spec["initContainers"]] == ["mesh-init", "mesh-proxy"]
            assert f"--workload={doc['metadata']['name']}" in spec["initContainers"][1]["args"]
    again = run(mesh_bin, "inject", "-f", "-", stdin=there.stdout)
    assert again.stdout == there.stdout
    back = run(mesh_bin, "uninject", "-q", "-f", "-", stdin=there.stdout)
    assert back.returncode == 0 and back.stderr == ""
    assert documents(back.stdout) == documents(before)


def test_proxy_takes_what_is_injected(mesh_bin):
    """Flags that the template writes are flags that proxy and init know."""
    out = run(mesh_bin, "inject", "-q", "-f", "-", stdin=yaml.safe_dump({"kind": "Pod", **POD})).stdout
    init, proxy = documents(out)[0]["spec"]["initContainers"]
    done = run(mesh_bin, *init["args"], "--dry-run")
    assert done.returncode == 0 and "table inet mesh" in done.stdout, done.stderr
    known = run(mesh_bin, "proxy", "--help").stdout
    for arg in proxy["args"][1:]:
        assert re.search(re.escape(arg.split("=")[0]) + r"\b", known), arg


def test_refusal_leaves_nothing(mesh_bin):
    pod = {"kind": "Pod", "metadata": {"name": "web", "annotations": {"sidecar.istio.io/proxyCPU": "much"}},
           "spec": POD["spec"]}
    done = run(mesh_bin, "inject", "-f", "-", stdin=yaml.safe_dump(pod))
    assert done.returncode == 7 and done.stdout == ""
    assert "error[MESH1210]: pod/web: annotation sidecar.istio.io/proxyCPU is 'much'; want a quantity" in done.stderr
    assert "fix     correct the annotation" in done.stderr
    done = run(mesh_bin, "inject", "-f", "-", stdin="kind: Pod\na: [\n")
    assert done.returncode == 7 and "stdin:" in done.stderr
    assert run(mesh_bin, "inject").returncode == 2
    assert run(mesh_bin, "uninject").returncode == 2
    assert run(mesh_bin, "inject", "-f", "/nowhere").returncode == 7


def test_settings(mesh_bin, tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("image: registry.example/mesh:9\nnative: false\n")
    text = yaml.safe_dump({"kind": "Pod", **POD})
    pod = documents(run(mesh_bin, "inject", "-f", "-", "--settings", str(file), stdin=text).stdout)[0]
    assert pod["spec"]["containers"][0]["image"] == "registry.example/mesh:9"
    assert pod["spec"]["containers"][0]["lifecycle"]["postStart"]["exec"]["command"] == ["/mesh", "ready", "--wait"]
    file.write_text(yaml.safe_dump({"kind": "ConfigMap", "data": {"settings": "image: x/y:1\n"}}))
    pod = documents(run(mesh_bin, "inject", "-f", "-", "--settings", str(file), stdin=text).stdout)[0]
    assert pod["spec"]["initContainers"][1]["image"] == "x/y:1"
    file.write_text("imag: x\n")
    done = run(mesh_bin, "inject", "-f", "-", "--settings", str(file), stdin=text)
    assert done.returncode == 7 and "did you mean 'image'?" in done.stderr


def test_explain_files(mesh_bin):
    text = yaml.safe_dump_all([{"kind": "Pod", **POD},
                               {"kind": "Pod", "metadata": {"name": "h"}, "spec": {"hostNetwork": True}}])
    done = run(mesh_bin, "inject", "explain", "-f", "-", stdin=text)
    assert done.returncode == 0 and "gets a proxy" in done.stdout and "hostNetwork=true" in done.stdout
    items = json.loads(run(mesh_bin, "inject", "explain", "-f", "-", "-o", "json", stdin=text).stdout)["items"]
    assert [i["code"] for i in items] == ["MESH1200", "MESH1204"]


# ---- a cluster

def test_explain_pods(mesh_bin, api):
    api.namespace("shop", mesh_injection="enabled")
    api.namespace("quiet")
    api.settings(image="registry.example/mesh:9")
    owner = [{"kind": "ReplicaSet", "name": "web-5d4", "controller": True}]
    old = {"metadata": {"labels": {"pod-template-hash": "5d4"}, "ownerReferences": owner}, "spec": POD["spec"]}
    api.pod("shop", "web-5d4-abc", old)
    api.pod("quiet", "lone", POD)
    has = documents(run(mesh_bin, "inject", "-q", "-f", "-", stdin=yaml.safe_dump({"kind": "Pod", **POD})).stdout)[0]
    api.pod("shop", "new", has)

    def explain(*words):
        return run(mesh_bin, "inject", "explain", *words, KUBECONFIG=api.kubeconfig)

    done = explain("web", "-n", "shop")
    assert done.returncode == 0, done.stderr
    assert "pods shop/web-5d4-abc: no proxy" in done.stdout
    assert "kubectl rollout restart Deployment/web -n shop" in done.stdout and "MESH1223" in done.stdout
    done = explain("new.shop", "-o", "json")
    doc = json.loads(done.stdout)
    assert doc["code"] == "MESH1206" and doc["proxyImage"].startswith("mesh:")
    done = explain("pod/lone", "-n", "quiet")
    assert "MESH1201" in done.stdout and "kubectl label namespace quiet mesh-injection=enabled" in done.stdout
    assert explain("gone", "-n", "quiet").returncode == 4
    assert explain("x/y").returncode == 2
    assert explain().returncode == 2
    assert run(mesh_bin, "inject", "explain", "web").returncode == 2


# ---- the webhook

class Injector(Process):
    def __init__(self, mesh_bin, folder, *args, kubeconfig=None):
        self.pki = TrustDomain(folder / "pki")
        self.identity = self.pki.issue("injector", uri="", dns=["mesh-control.mesh-system.svc"], ips=["127.0.0.1"])
        self.cert, self.key = folder / "tls.crt", folder / "tls.key"
        self.cert.write_bytes(self.identity.chain_pem)
        self.key.write_bytes(self.identity.key_pem)
        words = ["--tls-cert", self.cert, "--tls-key", self.key, "--address", "127.0.0.1:0",
                 "--address-path", folder / "address", "--monitoring-address", "127.0.0.1:0", *args]
        if kubeconfig:
            words += ["--kubeconfig", kubeconfig]
        super().__init__([mesh_bin, "injector", *words], folder / "injector.log",
                         env={**os.environ, "KUBECONFIG": "/nowhere", "HOME": str(folder)})
        self.address = wait_until(lambda: (folder / "address").read_text(), "its address")
        self.trust = ssl.create_default_context(cadata=self.pki.root_pem.decode())
        self.client = httpx.Client(verify=self.trust, base_url=f"https://{self.address}", http2=True)

    def review(self, namespace="default", pod=None, path="/inject", **request):
        body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "u-1", "operation": "CREATE", "namespace": namespace,
            "resource": {"group": "", "version": "v1", "resource": "pods"}, "object": pod or POD, **request}}
        answer = self.client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        return answer.json()["response"]


@pytest.fixture
def start(mesh_bin, tmp_path):
    started = []

    def begin(*args, **options):
        one = Injector(mesh_bin, tmp_path, *args, **options)
        started.append(one)
        return one

    yield begin
    for one in started:
        one.client.close()
        assert one.stop() in (0, -15), one.tail()


def test_webhook(start):
    injector = start()
    got = injector.review()
    assert got["allowed"] and got["uid"] == "u-1" and got["patchType"] == "JSONPatch"
    ops = json.loads(base64.b64decode(got["patch"]))
    added = [op["value"] for op in ops if op["path"] == "/spec/initContainers"][0]
    assert [c["name"] for c in added] == ["mesh-init", "mesh-proxy"]
    assert all(not op["path"].startswith("/spec/containers") for op in ops)
    got = injector.review(pod={**POD, "metadata": {"annotations": {"sidecar.istio.io/proxyCPU": "much"}}})
    assert not got["allowed"] and got["status"]["message"].startswith("MESH1210: annotation sidecar.istio.io/proxyCPU")
    assert injector.review("kube-system").get("patch") is None
    beta = injector.client.post("/inject", json={"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview"})
    assert beta.status_code == 400 and "admissionReviewVersions be [v1]" in beta.text
    assert injector.client.post("/inject", content=b"{").status_code == 400
    with httpx.Client(verify=injector.trust, base_url=injector.client.base_url) as h1:
        assert h1.post("/inject", content=b"x" * (3 << 20) + b"x").status_code == 413
        assert h1.post("/inject", content=b"{" + b" " * ((3 << 20) - 1)).status_code == 400
    assert injector.client.get("/inject").status_code == 405
    assert injector.client.post("/elsewhere").status_code == 404


def test_webhook_is_quick(start):
    """Milliseconds, also for a pod of many containers."""
    injector = start()
    pod = {"metadata": {"name": "wide"}, "spec": {"containers": [
        {"name": f"c{i}", "image": "x", "ports": [{"name": "http", "containerPort": 8000 + i}],
         "env": [{"name": f"V{k}", "value": "x" * 50} for k in range(50)],
         "livenessProbe": {"httpGet": {"port": "http", "path": "/"}}} for i in range(50)]}}
    injector.review(pod=pod)
    took = []
    for _ in range(20):
        begin = time.monotonic()
        injector.review()
        took.append(time.monotonic() - begin)
    assert sorted(took)[10] < 0.05
    begin = time.monotonic()
    injector.review(pod=pod)
    assert time.monotonic() - begin < 0.5


def test_webhook_takes_a_new_certificate(start):
    injector = start()
    fresh = injector.pki.issue("injector", uri="", dns=["localhost"], ips=["127.0.0.1"])
    host, port = injector.address.rsplit(":", 1)

    def served():
        return ssl.get_server_certificate((host, int(port)))

    assert served().encode() in injector.identity.chain_pem
    injector.key.write_bytes(b"not a key")
    injector.cert.write_bytes(fresh.chain_pem)
    wait_until(lambda: "certificate kept" in injector.text(), "a pair that does not fit to be refused")
    assert served().encode() in injector.identity.chain_pem
    injector.key.write_bytes(fresh.key_pem)
    injector.cert.write_bytes(fresh.chain_pem)
    wait_until(lambda: served().encode() in fresh.chain_pem, "the new certificate")


def test_webhook_follows_the_cluster(start, api):
    api.namespace("shop", mesh_injection="enabled")
    api.namespace("quiet")
    api.settings(image="registry.example/mesh:9")
    injector = start(kubeconfig=api.kubeconfig)

    def image(namespace, **more):
        patch = injector.review(namespace, **more).get("patch")
        found = re.findall(r'"image":"([^"]*mesh:[^"]*)"', base64.b64decode(patch).decode()) if patch else [None]
        return found[0]

    wait_until(lambda: image("shop") == "registry.example/mesh:9" and image("quiet") is None, "namespaces and settings")
    assert image("quiet", path="/inject/namespace") == "registry.example/mesh:9"
    assert image("not-there-yet") == "registry.example/mesh:9"
    api.namespace("quiet", istio_injection="enabled")
    api.namespace("shop", mesh_injection="disabled")
    wait_until(lambda: image("quiet") and not image("shop"), "labels that changed")
    api.settings(imag="typo")
    wait_until(lambda: "settings kept" in injector.text(), "bad settings to be told")
    assert image("quiet") == "registry.example/mesh:9"
    api.settings(image="registry.example/mesh:10")
    wait_until(lambda: image("quiet") == "registry.example/mesh:10", "new settings")


def test_metrics(start, mesh_bin, tmp_path):
    injector = start("--log-level", "debug")
    for _ in range(3):
        injector.review()
    injector.review("kube-system")
    injector.review(dryRun=True)
    injector.client.post("/inject", content=b"{")
    port = re.search(r"monitoring address=(\S+)", injector.text()).group(1)
    page = httpx.get(f"http://{port}/metrics").text
    for line in ("requests_total 5", "success_total 3", "skip_total 1", "failure_total 1", "time_seconds_count 5"):
        assert f"sidecar_injection_{line}" in page, page
    assert httpx.get(f"http://{port}/readyz").status_code == 200


def test_start_mistakes(mesh_bin, tmp_path):
    done = run(mesh_bin, "injector")
    assert done.returncode == 2 and "--tls-cert and --tls-key are missing" in done.stderr
