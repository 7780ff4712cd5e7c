"""mesh check, describe, analyze, expose and open on a real cluster: what people see before and after an installation, and when something is broken."""
import json

import pytest

from .mesh import Mesh, apply_files, delete_files, pods

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
    names = [c["name"] for c in pods(cluster, namespace, "app=old")[0]["spec"]["initContainers"]]
    assert "mesh-proxy" in names


def test_webhook_without_trust(mesh):
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
