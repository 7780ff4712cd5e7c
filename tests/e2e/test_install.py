"""mesh install, image and samples without a cluster: what they print, refuse and make. With one: tests/kube/test_install.py."""
import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile

import pytest
import yaml
from harness.proc import find_mesh

pytestmark = pytest.mark.mesh_only
IMAGE_MAX = 4_200_000


@pytest.fixture
def run(mesh_bin, tmp_path):
    def call(*words, stdin=None, **env):
        env = {**os.environ, "HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "none"), "XDG_RUNTIME_DIR": str(tmp_path), **env}
        return subprocess.run([mesh_bin, *words], input=stdin, capture_output=True, text=True, env=env, timeout=60, check=False,
                              cwd=tmp_path)
    return call


def objects(run, *words):
    done = run("install", "--dry-run", "-o", "yaml", *words)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return {(d["kind"], d["metadata"]["name"]): d for d in yaml.safe_load_all(done.stdout)}


def test_printed_objects(run):
    """YAML and JSON are the same; each profile has its own; what is told is in force and on record."""
    demo = objects(run, "--set", "profile=demo")
    as_json = json.loads(run("install", "--dry-run", "-o", "json", "--set", "profile=demo").stdout)
    assert list(demo.values()) == as_json["items"]
    assert demo["MeshConfig", "default"]["spec"]["accessLogFile"] == "/dev/stdout"
    assert demo["ConfigMap", "mesh-install"]["data"] == {"profile": "demo"}
    assert ("Deployment", "mesh-ingressgateway") in demo
    minimal = objects(run, "--set", "profile=minimal")
    assert ("Deployment", "mesh-ingressgateway") not in minimal
    assert "accessLogFile" not in minimal["MeshConfig", "default"]["spec"]


def test_least_privilege(run):
    """No verb of everything, no resource of everything but in the groups of the mesh, no writing of Secrets by any name."""
    roles = [d for (kind, _), d in objects(run).items() if kind in ("ClusterRole", "Role")]
    for role in roles:
        for rule in role["rules"]:
            assert "*" not in rule["verbs"] and "*" not in rule["apiGroups"]
            writes = set(rule["verbs"]) - {"get", "list", "watch"}
            if any("*" in r for r in rule["resources"]):
                assert all("istio.io" in g or "mesh.io" in g or "gateway.networking" in g for g in rule["apiGroups"])
                assert not writes or all(r.endswith("/status") for r in rule["resources"])
            if set(rule["resources"]) & {"secrets", "configmaps", "leases", "mutatingwebhookconfigurations"}:
                assert not writes - {"create"} or "resourceNames" in rule


def test_values_files(run, tmp_path):
    (tmp_path / "v.yaml").write_text("profile: minimal\nmeshConfig: {trustDomain: one.example}\nvalues: {global: {tag: v7}}\n")
    made = objects(run, "-f", "v.yaml", "--set", "tag=v8")
    image = made["Deployment", "mesh-control"]["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == "mesh:v8" and made["MeshConfig", "default"]["spec"]["trustDomain"] == "one.example"
    done = run("install", "--dry-run", "-o", "yaml", "-f", "-", stdin="profile: edge\n")
    assert done.returncode == 0


CODES = [
    # words, stdin, status, code, what it says
    ("install --set profil=demo", None, 2, 1320, "did you mean 'profile'?"),
    ("install --set meshConfig.accesLogFile=x", None, 2, 1320, "did you mean 'meshConfig.accessLogFile'?"),
    ("install --set profile=big", None, 2, 1320, "demo|default|minimal|edge"),
    ("install --set tag", None, 2, 1320, "KEY=VALUE"),
    ("install -f -", "values: {nothing: 1}", 7, 1320, "-:1: no setting"),
    ("install -f -", "a: [", 7, 1320, "yaml"),
    ("install -f /nowhere", None, 7, 1320, "/nowhere"),
    ("install --nonsense", None, 2, 1011, "nonsense"),
    ("install word", None, 2, 1011, "word"),
    ("install -y", None, 2, 1310, "no Kubernetes"),
    ("upgrade -y", None, 2, 1310, "no Kubernetes"),
    ("uninstall -y", None, 2, 1310, "no Kubernetes"),
    ("stat --context x", None, 2, 1310, "no Kubernetes"),
    ("samples nothing", None, 4, 1332, "no sample 'nothing'"),
    ("image --name mesh", None, 7, 1330, "NAME:TAG"),
    ("image --binary /bin/sh", None, 7, 1330, "libraries"),
    ("image --binary /etc/hostname", None, 7, 1330, "no program"),
]


@pytest.mark.parametrize("words,stdin,status,code,says", CODES, ids=[c[0] for c in CODES])
def test_exit_codes(run, words, stdin, status, code, says):
    done = run(*words.split(), stdin=stdin)
    assert done.returncode == status and done.stdout == "", done.stderr
    assert done.stderr.startswith("error[MESH%04d]: " % code) and says in done.stderr
    assert done.stderr.endswith("  more    mesh explain MESH%04d\n" % code)


def test_keys(run):
    lines = run("install", "--keys").stdout.splitlines()
    assert len(lines) > 40 and lines[0].split() == ["KEY", "DEFAULT", "MEANING"]
    for line in lines[1:]:
        key = line.split()[0]
        assert run("install", "--dry-run", "-o", "yaml", "--set", key + "=\x01").returncode == 2, key


def test_samples(run):
    names = [i["name"] for i in json.loads(run("samples", "-o", "json").stdout)["items"]]
    assert {"bookinfo", "bookinfo-gateway", "gateway-api"} <= set(names) and any(n.startswith("tasks/") for n in names)
    for name in names:
        done = run("samples", name)
        assert done.returncode == 0 and all(d["kind"] for d in yaml.safe_load_all(done.stdout) if d)
    both = run("samples", "bookinfo", "bookinfo-gateway").stdout
    assert len([d for d in yaml.safe_load_all(both) if d]) > 14


# ---- image

@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "mesh.tar"
    binary = str(find_mesh())
    done = subprocess.run([binary, "image", "-o", path, "--name", "mesh:test"], capture_output=True, text=True, check=False)
    if done.returncode == 7 and "libraries" in done.stderr:
        pytest.skip("only a static program becomes an image")
    assert done.returncode == 0, done.stderr
    return path


def blob(tar, digest):
    data = tar.extractfile("blobs/sha256/" + digest.removeprefix("sha256:")).read()
    assert hashlib.sha256(data).hexdigest() == digest.removeprefix("sha256:")
    return data


def test_image(image):
    """One layer with one file, ours, within the budget; the same each time."""
    with tarfile.open(image) as tar:
        manifest = json.loads(blob(tar, json.load(tar.extractfile("index.json"))["manifests"][0]["digest"]))
        config = json.loads(blob(tar, manifest["config"]["digest"]))
        packed = blob(tar, manifest["layers"][0]["digest"])
    assert len(manifest["layers"]) == 1 and image.stat().st_size < IMAGE_MAX
    assert config["config"]["User"] == "1337:1337" and config["config"]["Entrypoint"] == ["/mesh"]
    layer = subprocess.run(["gzip", "-dc"], input=packed, capture_output=True, check=True).stdout
    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(layer).hexdigest()]
    listed = subprocess.run(["tar", "tvf", "-"], input=layer, capture_output=True, check=True).stdout.decode()
    assert re.fullmatch(r"-rwxr-xr-x 0/0 +\d+ 1970-01-01 00:00 mesh\n", listed), listed
    again = subprocess.run([str(find_mesh()), "image", "--name", "mesh:test"], capture_output=True, check=True).stdout
    assert again == image.read_bytes()


def tool(name):
    if not shutil.which(name):
        pytest.skip(f"there is no {name}")
    return name


def test_image_by_skopeo(image):
    done = subprocess.run([tool("skopeo"), "inspect", f"oci-archive:{image}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["Os"] == "linux" and len(told["Layers"]) == 1
    done = subprocess.run(["skopeo", "inspect", f"docker-archive:{image}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_image_runs(image):
    """Read-only, as 1337, without any capability."""
    if os.geteuid() != 0:
        pytest.skip("podman needs root here")
    podman = tool("podman")
    done = subprocess.run([podman, "load", "-i", image], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "mesh:test" in done.stdout, done.stderr
    try:
        done = subprocess.run([podman, "--runtime", tool("runc"), "run", "--rm", "--network", "none", "--read-only", "--cap-drop", "all",
                               "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", "--security-opt", "no-new-privileges",
                               "mesh:test", "version"], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0 and done.stdout.startswith("mesh "), done.stderr
    finally:
        subprocess.run([podman, "rmi", "-f", "mesh:test"], capture_output=True, check=False)
