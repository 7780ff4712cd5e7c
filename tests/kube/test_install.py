"""mesh install, upgrade, uninstall on a real API server: what they write, what they leave alone, what they say, and their exit codes."""
import contextlib
import json
import os
import pty
import select
import subprocess
import time

import pytest

from . import crds
from .mesh import Mesh

OURS = "app.kubernetes.io/managed-by=mesh"
KINDS = ("namespaces,serviceaccounts,configmaps,secrets,services,deployments,poddisruptionbudgets,roles,rolebindings,leases,"
         "clusterroles,clusterrolebindings,mutatingwebhookconfigurations,customresourcedefinitions")


@pytest.fixture
def mesh(cluster):
    one = Mesh(cluster)
    one.run("uninstall", "--purge", "-y")
    yield one
    one.run("uninstall", "--purge", "-y")


def ours(cluster):
    found = cluster.kubectl("get", KINDS, "-A", "-l", OURS, "-o", "name").stdout.split()
    named = [n for n in cluster.kubectl("get", "namespaces,clusterroles,clusterrolebindings,mutatingwebhookconfigurations,crd",
                                        "-o", "name").stdout.split() if "mesh" in n and "mesh-kube" not in n]
    roots = [n for n in cluster.kubectl("get", "configmaps", "-A", "-o", "name").stdout.split() if "ca-root-cert" in n]
    return found + named + roots


def report(mesh, *words, check=True):
    done = mesh.run(*words, "-o", "json", check=check)
    return json.loads(done.stdout)


def changes(told):
    return {(i["kind"], i["name"]): i for i in told["items"] if i["result"] in ("new", "changed", "gone")}


def test_life(cluster, mesh):
    """Install, install again, upgrade with another setting, and back; uninstall; and all of it a second time."""
    for _ in range(2):
        told = report(mesh, "install", "--set", "profile=demo", "-y")
        assert told["changes"] == len(told["items"]) > 25
        assert [s["step"] for s in told["steps"]] == ["before", "CRDs", "control", "gateway", "after"]
        assert all(s["result"] == "done" for s in told["steps"]), told["steps"]
        assert "dry-run pod was injected" in told["steps"][-1]["text"]
        seconds = [s["seconds"] for s in told["steps"]]
        assert seconds == sorted(seconds) and seconds[-1] < 60

        again = mesh.run("install", "--set", "profile=demo", "-y")
        assert "\nnothing to change\n" in again.stdout and again.stderr == ""
        # an upgrade keeps what was told, and takes away what is not wanted any more
        plan = report(mesh, "upgrade", "--dry-run", "--set", "gateway.enabled=false", "--set", "logLevel=debug")
        assert {k[0] for k, i in changes(plan).items() if i["result"] == "gone"} == {"Deployment", "Service", "ServiceAccount"}
        assert changes(plan)["Deployment", "mesh-control"]["text"].startswith("spec.template.spec.containers[0].args[")
        told = report(mesh, "upgrade", "-y", "--set", "gateway.enabled=false", "--set", "logLevel=debug")
        assert changes(told) == changes(plan)
        assert "/dev/stdout" in cluster.kubectl("get", "meshconfig", "default", "-o", "yaml").stdout
        deployments = cluster.get("-n", "mesh-system", "deployments")["items"]
        assert [d["metadata"]["name"] for d in deployments] == ["mesh-control"]
        assert report(mesh, "upgrade", "-y")["changes"] == 0

        listed = mesh.run("uninstall", "--dry-run").stdout
        assert "- Namespace mesh-system" in listed and "- ClusterRole mesh-control" in listed
        gone = mesh.run("uninstall", "-y")
        assert "0 objects left" in gone.stdout and gone.stderr == ""
        assert ours(cluster) == []
    assert "0 objects left" in mesh.run("uninstall", "-y").stdout  # nothing there: fine too


def everything(cluster):
    """Every object of every kind but what happened: kind, name, identity."""
    kinds = [k for k in cluster.kubectl("api-resources", "--verbs=list", "-o", "name").stdout.split() if not k.startswith("events")]
    listed = cluster.kubectl("get", ",".join(kinds), "-A", "-o",
                             "jsonpath={range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name} {.metadata.uid}{'\\n'}{end}")
    return set(listed.stdout.splitlines())


def test_leaves_what_was(cluster, mesh, namespace):
    """The cluster before and after, whatever kinds it has: nothing more, nothing less, nothing made anew."""
    cluster.kubectl("label", "namespace", namespace, "istio-injection=enabled")
    cluster.kubectl("-n", namespace, "create", "configmap", "theirs", "--from-literal=a=b")
    cluster.wait("namespaces of other tests to be gone", lambda: all(
        n["status"]["phase"] == "Active" for n in cluster.get("namespaces")["items"]))
    before = everything(cluster)
    assert len(before) > 100
    mesh.install()
    assert {line.split()[0] for line in everything(cluster) - before} > {"Deployment", "ClusterRole", "Secret", "Lease", "Pod"}
    mesh.run("uninstall", "--purge", "-y")
    with contextlib.suppress(AssertionError):  # controllers take away what hung on ours; if not, say what is left
        cluster.wait("the state of before", lambda: everything(cluster) == before, 30)
    after = everything(cluster)
    assert (sorted(after - before), sorted(before - after)) == ([], [])


def test_what_others_made_stays(cluster, mesh):
    """Public definitions, a namespace of that name, somebody's objects: before and after they are the same."""
    files = crds.gateway_api() + crds.istio()
    crds.install(cluster, files)
    cluster.kubectl("create", "namespace", "mesh-system")
    cluster.kubectl("-n", "mesh-system", "create", "configmap", "somebodys", "--from-literal=a=b")
    try:
        before = cluster.get("crd", "virtualservices.networking.istio.io")["metadata"]
        told = report(mesh, "install", "-y")
        kept = {i["name"] for i in told["items"] if i["result"] == "kept"}
        assert {"virtualservices.networking.istio.io", "httproutes.gateway.networking.k8s.io", "mesh-system"} <= kept
        assert "meshconfigs.mesh.io" not in kept
        after = cluster.get("crd", "virtualservices.networking.istio.io")["metadata"]
        assert after["resourceVersion"] == before["resourceVersion"] or after["generation"] == before["generation"]
        mesh.run("uninstall", "--purge", "-y")
        left = cluster.kubectl("get", "crd", "-o", "name").stdout
        assert "virtualservices.networking.istio.io" in left and "httproutes" in left and "meshconfigs" not in left
        assert "somebodys" in cluster.kubectl("-n", "mesh-system", "get", "configmaps", "-o", "name").stdout
        assert cluster.get("-n", "mesh-system", "deployments")["items"] == []
        assert [s for s in cluster.kubectl("-n", "mesh-system", "get", "secrets", "-o", "name").stdout.split() if "mesh" in s] == []
    finally:
        cluster.kubectl("delete", "namespace", "mesh-system", "--ignore-not-found", timeout=90)
        crds.remove(cluster, files)


def test_objects_keep_their_definitions(cluster, mesh, namespace):
    mesh.run("install", "--set", "profile=minimal", "-y")
    cluster.apply("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: theirs}\n"
                  "spec: {hosts: [x], http: [{route: [{destination: {host: x}}]}]}\n", "-n", namespace)
    gone = mesh.run("uninstall", "-y")
    assert "kept, for what they hold: virtualservices.networking.istio.io (1)" in gone.stdout
    assert cluster.kubectl("get", "crd", "-o", "name").stdout.split() == [
        "customresourcedefinition.apiextensions.k8s.io/virtualservices.networking.istio.io"]
    assert cluster.get("-n", namespace, "virtualservice", "theirs")["spec"]["hosts"] == ["x"]
    told = report(mesh, "install", "--set", "profile=minimal", "-y")  # and they are ours again
    assert ("CustomResourceDefinition", "virtualservices.networking.istio.io") not in changes(told)
    mesh.run("uninstall", "--purge", "-y")
    assert "virtualservices" not in cluster.kubectl("get", "crd", "-o", "name").stdout


ISTIO = """
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: istio-sidecar-injector}
webhooks: []
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: istio}
spec: {controllerName: istio.io/gateway-controller}
"""


def test_beside_istio(cluster, mesh):
    """Its labels and its class stay its own."""
    cluster.kubectl("apply", "--server-side", "-f", "-", text=crd_of(mesh, "gatewayclasses.gateway.networking.k8s.io"))
    cluster.kubectl("wait", "--for=condition=Established", "crd/gatewayclasses.gateway.networking.k8s.io", "--timeout=30s")
    cluster.wait("GatewayClasses to be served",
                 lambda: cluster.kubectl("apply", "-f", "-", text=ISTIO, check=False).returncode == 0)
    try:
        told = report(mesh, "install", "--set", "profile=minimal", "-y")
        assert told["steps"][0]["result"] == "warning" and "Istio is here too" in told["steps"][0]["text"]
        hooks = cluster.get("mutatingwebhookconfiguration", "mesh-injector")["webhooks"]
        assert [h["name"] for h in hooks] == ["namespace.mesh.io", "object.mesh.io"]
        mesh.run("uninstall", "-y")
        assert cluster.get("gatewayclass", "istio")["spec"]["controllerName"] == "istio.io/gateway-controller"
        assert cluster.kubectl("get", "mutatingwebhookconfiguration", "-o", "name").stdout.split() == [
            "mutatingwebhookconfiguration.admissionregistration.k8s.io/istio-sidecar-injector"]
    finally:
        cluster.kubectl("delete", "--ignore-not-found", "-f", "-", text=ISTIO)


def crd_of(mesh, name):
    printed = mesh.run("install", "--dry-run", "-o", "json").stdout
    return json.dumps(next(i for i in json.loads(printed)["items"] if i["metadata"]["name"] == name))


def test_what_gitops_applies(cluster, mesh):
    """The printed objects, applied by kubectl, are what install would have written."""
    text = mesh.run("install", "--dry-run", "-o", "yaml", "--set", "profile=minimal").stdout
    cluster.wait("all of it applied", lambda: cluster.kubectl(  # definitions are served a moment after they are made
        "apply", "--server-side", "--field-manager=mesh", "--force-conflicts", "-f", "-", text=text, check=False,
        timeout=60).returncode == 0)
    cluster.kubectl("-n", "mesh-system", "rollout", "status", "deployment/mesh-control", "--timeout=60s", timeout=70)
    assert "nothing to change" in mesh.run("install", "--set", "profile=minimal", "-y").stdout


def test_says_what_it_waits_for(mesh):
    """A pod that can not start: which, why, and exit 6."""
    done = mesh.run("install", "--set", "image=nowhere.example/none:v1", "-y", "--timeout", "20s", check=False)
    assert done.returncode == 6 and "error[MESH1323]" in done.stderr
    assert "pod mesh-control-" in done.stderr and "container mesh-control" in done.stderr
    assert "Next:" not in done.stdout
    told = mesh.run("install", "-y")  # goes on from there
    assert "1/1 ready" in told.stdout


def test_self_image(cluster, mesh, tmp_path):
    """No tool is known for this cluster: the archive stays, with what to do with it."""
    done = subprocess.run([mesh.binary, "install", "--self-image", "--set", "profile=minimal", "-y", "--kubeconfig",
                           str(cluster.config)], capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert "is in mesh-image.tar: skopeo copy oci-archive:mesh-image.tar" in done.stdout
    assert 1_000_000 < (tmp_path / "mesh-image.tar").stat().st_size < 4_200_000


def test_permissions(cluster, mesh, namespace, tmp_path):
    """Somebody who may not: nothing is written, exit 5; nobody at all: exit 5; no cluster: exit 3; no configuration: exit 2."""
    token = cluster.kubectl("-n", namespace, "create", "token", "default").stdout.strip()
    config = json.loads(cluster.kubectl("config", "view", "--raw", "--flatten", "-o", "json").stdout)
    server = config["clusters"][0]["cluster"]

    def kubeconfig(name, user, **cluster_fields):
        path = tmp_path / name
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "x",
            "clusters": [{"name": "x", "cluster": {**server, **cluster_fields}}],
            "users": [{"name": "x", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}]}))
        return str(path)

    def run(path):
        return subprocess.run([mesh.binary, "install", "-y", "--kubeconfig", path], capture_output=True, text=True,
                              timeout=60, check=False, env={**os.environ, "HOME": str(tmp_path), "KUBECONFIG": ""})
    done = run(kubeconfig("weak", {"token": token}))
    assert done.returncode == 5 and "error[MESH1312]" in done.stderr
    done = run(kubeconfig("nobody", {"token": "x"}))
    assert done.returncode == 5 and "error[MESH1312]" in done.stderr
    done = run(kubeconfig("away", {"token": "x"}, server="https://127.0.0.1:1"))
    assert done.returncode == 3 and "error[MESH1311]" in done.stderr
    done = run(str(tmp_path / "none"))
    assert done.returncode == 2 and "error[MESH1310]" in done.stderr
    assert ours(cluster) == []


def test_asks(cluster, mesh):
    """Off a terminal it wants -y; on one it asks, and no is no."""
    done = mesh.run("install", check=False)
    assert done.returncode == 2 and "error[MESH1322]" in done.stderr and "+ Namespace mesh-system" in done.stdout

    def at_terminal(*words, answer):
        us, theirs = pty.openpty()
        p = subprocess.Popen([mesh.binary, *words, "--kubeconfig", str(cluster.config)], stdin=theirs, stdout=theirs,
                             stderr=theirs, close_fds=True)
        os.close(theirs)
        seen, asked = b"", False
        while select.select([us], [], [], 120)[0]:
            try:
                part = os.read(us, 4096)
            except OSError:
                break
            seen += part
            if b"[y/N]" in seen and not asked:
                asked = True
                os.write(us, answer)
        os.close(us)
        return p.wait(10), seen.decode()
    status, seen = at_terminal("install", answer=b"n\n")
    assert status == 1 and "nothing was changed" in seen and ours(cluster) == []
    status, seen = at_terminal("install", "--set", "profile=minimal", answer=b"y\n")
    assert status == 0 and "1/1 ready" in seen
    status, seen = at_terminal("uninstall", "--purge", answer=b"y\n")
    assert status == 0 and "0 objects left" in seen and ours(cluster) == []


def test_older_pods_are_named(cluster, mesh, namespace):
    """A pod from before the label, and one with a sidecar of an earlier root."""
    pod = ("apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec:\n  containers:\n  - {name: x, image: mesh:x, "
           "args: [sample, --listen, '0.0.0.0:8080']}\n")
    cluster.apply(pod % "bare", "-n", namespace)
    cluster.kubectl("label", "namespace", namespace, "mesh-injection=enabled")
    told = mesh.run("install", "--set", "profile=minimal", "-y")
    assert "1 should have a sidecar and have none: in " + namespace + " (MESH1352)" in told.stdout
    assert told.stdout.endswith(f"Next: kubectl rollout restart deployment -n {namespace}\n")
    cluster.apply(pod % "meshed", "-n", namespace)
    cluster.kubectl("-n", namespace, "delete", "pod", "bare", "--wait=true")
    assert "1 pods still have a sidecar" in mesh.run("uninstall", "-y").stdout
    time.sleep(1.1)  # times of the API server have whole seconds
    told = mesh.run("install", "--set", "profile=minimal", "-y")
    assert "1 have one that trusts an earlier root: in " + namespace in told.stdout


def test_other_verbs_find_control(cluster, mesh):
    """--context and a kubeconfig lead to control in the cluster, through the API server."""
    nobody = mesh.run("status", check=False)
    assert nobody.returncode == 3 and "error[MESH1324]" in nobody.stderr
    mesh.run("install", "-y")
    cluster.wait("the gateway's connection", lambda: "mesh-ingressgateway" in mesh.run("ps", "-A").stdout)
    told = json.loads(mesh.run("status", "-o", "json").stdout)
    assert told["kind"] and "context " in mesh.run("status").stdout
    assert mesh.run("get", "services", "nobody", check=False).returncode == 4
    cluster.kubectl("-n", "mesh-system", "scale", "deployment", "mesh-control", "--replicas=0")
    cluster.wait("control to be away", lambda: mesh.run("status", check=False).returncode == 3)
    assert "error[MESH1001]" in mesh.run("status", check=False).stderr
    plugin = os.path.join(os.path.dirname(str(cluster.config)), "kubectl-mesh")
    if not os.path.exists(plugin):
        os.symlink(mesh.binary, plugin)
    env = {**os.environ, "PATH": os.path.dirname(plugin) + ":" + os.environ["PATH"], "KUBECONFIG": str(cluster.config)}
    told = subprocess.run([plugin, "upgrade", "-y"], capture_output=True, text=True, timeout=120, check=True, env=env)
    assert "1/1 ready" in told.stdout  # replicas are ours again
