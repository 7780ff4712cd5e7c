"""The cluster itself: that it is up, that nothing gets out, and that make kube-up and kube-down do what they say."""
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness.proc import REPO

from .cluster import BY_HAND, Cluster, reserve


def test_is_up(cluster):
    assert {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"} <= set(cluster.running())
    assert not cluster.ended()
    status, body = cluster.request("GET", "/readyz")
    assert (status, body) == (200, b"ok")
    names = {n["metadata"]["name"] for n in cluster.get("namespaces")["items"]}
    assert {"default", "kube-system", "kube-public", "kube-node-lease"} <= names
    assert json.loads(cluster.request("GET", "/version")[1])["gitVersion"].startswith("v1.34.")


def test_api_server_has_one_endpoint(cluster):
    (one,) = cluster.get("-n", "default", "endpointslices")["items"]
    assert [e["addresses"] for e in one["endpoints"]] == [[cluster.address]]
    assert cluster.get("-n", "default", "service", "kubernetes")["spec"]["clusterIP"] == "10.96.0.1"


def test_restricted_pod_security_is_enforced(cluster, namespace):
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    told = cluster.kubectl("-n", namespace, "run", "x", "--image=mesh:test", "--privileged", check=False)
    assert told.returncode == 1 and "violates PodSecurity" in told.stderr


def connects_from_inside(cluster, address, port):
    code = f"import socket; socket.create_connection(({address!r}, {port}), 1)"
    return subprocess.run(cluster.inside(sys.executable, "-c", code), capture_output=True, check=False,
                          timeout=20).returncode == 0


def test_nothing_gets_out(cluster):
    with socket.create_server((cluster.host_address, 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection((cluster.host_address, port), 1).close()  # the host reaches it
        assert not connects_from_inside(cluster, cluster.host_address, port)
    routes = subprocess.run(cluster.inside("ip", "route"), capture_output=True, text=True, check=True).stdout
    assert "default" not in routes


def test_what_is_dropped_is_only_new(cluster):
    """An answer from inside gets out, a connection does not: the same program, both ways."""
    code = "import socket; s = socket.create_server(('0.0.0.0', 7)); print('on', flush=True); s.accept()[0].send(b'hello')"
    with subprocess.Popen(cluster.inside(sys.executable, "-c", code), stdout=subprocess.PIPE) as server:
        stop = threading.Timer(20, server.kill)
        stop.start()
        assert server.stdout.readline() == b"on\n"
        with socket.create_connection((cluster.address, 7), 5) as c:
            assert c.recv(5) == b"hello"
        stop.cancel()


def lab(word, number):
    return subprocess.run([sys.executable, REPO / "tests" / "kube" / "lab.py", word, "--number", str(number)],
                          capture_output=True, text=True, check=True, timeout=150).stdout


@pytest.fixture
def number():
    number, lock = reserve(BY_HAND // 2, BY_HAND - 1)
    with lock:
        lab("down", number)
        yield number
        lab("down", number)


def test_up_twice_and_down_twice(number, tmp_path):
    assert "up in" in lab("up", number)
    other = Cluster(tmp_path / "other", number)  # of another checkout, say
    with pytest.raises(RuntimeError, match=f"is that of {REPO}/build/kube-{number}, which runs"):
        other.start()
    other.stop()
    config = REPO / "build" / f"kube-{number}" / "config"
    words = [REPO / "build" / "tools" / "kubectl", f"--kubeconfig={config}", "get", "namespace", "default"]
    assert subprocess.run(words, capture_output=True, check=False, timeout=20).returncode == 0
    again = lab("up", number)
    assert "it is up already" in again and f"KUBECONFIG={config}" in again
    assert "ended: etcd, kube-apiserver" in lab("down", number)
    assert not Path(f"/run/netns/mesh-kube-{number}").exists()
    links = subprocess.run(["ip", "link"], capture_output=True, text=True, check=True).stdout
    assert f"mk{number}:" not in links and f"mk{number}@" not in links
    assert f"/build/kube-{number}/" not in Path("/proc/self/mounts").read_text()
    assert lab("down", number) == "nothing was running\n"
