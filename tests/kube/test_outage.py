"""People shop while the API server is killed, hangs, or fails half of what it is asked: no request fails; what is new is found and used, also while
it fails; and soon after, everything can be replaced again without a failure."""
import contextlib
import os
import signal
import time

import pytest

from .cluster import cluster_of_tests
from .fault_proxy import FaultProxy
from .mesh import pods, processes, rolled_out

ROLLED = ("reviews-v1", "reviews-v2", "reviews-v3", "details-v1")
AFTER_OUTAGE_S = 60


@pytest.fixture(scope="module")
def cluster():
    """Its own, as its API server is killed."""
    with cluster_of_tests() as cluster:
        yield cluster


def control_pod(cluster):
    (pod,) = [p for p in pods(cluster, "mesh-system", "app=mesh-control") if "deletionTimestamp" not in p["metadata"]]
    return pod


def restarts(cluster):
    return sum(c["restartCount"] for c in control_pod(cluster)["status"]["containerStatuses"])


def learns(cluster, shop):
    """One more pod of reviews is made, and is soon asked: control and proxies follow the cluster."""
    path = cluster.folder / "node" / "log"
    known = set(path.glob("default_reviews-v1-*"))
    cluster.kubectl("scale", "deployment/reviews-v1", f"--replicas={cluster.get('deployment', 'reviews-v1')['spec']['replicas'] + 1}")
    cluster.wait("a new pod of reviews to be asked", lambda: shop.get() and [
        log for pod in set(path.glob("default_reviews-v1-*")) - known for log in pod.glob("mesh-proxy.log")
        if '"GET /reviews/' in log.read_text()], AFTER_OUTAGE_S)


def roll(cluster, shop):
    """Every pod behind the page is another afterwards: who still knew only the old ones would fail."""
    cluster.kubectl("scale", "deployment/reviews-v1", "--replicas=1")
    for name in ROLLED:
        cluster.kubectl("rollout", "restart", f"deployment/{name}")
        rolled_out(cluster, name, timeout_s=90)
    cluster.wait("all versions", lambda: len(shop.versions(9)) == 3)


def test_api_server_is_killed(cluster, shop, loaded):
    control = control_pod(cluster)["metadata"]["uid"]
    with loaded():
        cluster.end("kube-apiserver", grace_s=0)
        time.sleep(8)
        cluster.restart_apiserver()
        learns(cluster, shop)
        roll(cluster, shop)
    assert (control_pod(cluster)["metadata"]["uid"], restarts(cluster)) == (control, 0)


def test_api_server_hangs(cluster, shop, loaded):
    was = restarts(cluster)
    with loaded():
        cluster.signal("kube-apiserver", signal.SIGSTOP)
        try:
            time.sleep(12)
        finally:
            cluster.signal("kube-apiserver", signal.SIGCONT)
        cluster.wait_ready()
        learns(cluster, shop)
        roll(cluster, shop)
    assert restarts(cluster) == was


@contextlib.contextmanager
def control_behind(cluster, proxy):
    """Control's API server is the proxy meanwhile, with the pod's own account."""
    change = ["-n", "mesh-system", "set", "env", "deployment/mesh-control"]
    cluster.kubectl(*change, f"KUBERNETES_SERVICE_HOST={proxy.address}", f"KUBERNETES_SERVICE_PORT={proxy.port}")
    rolled_out(cluster, "mesh-control", namespace="mesh-system")
    cluster.wait("the old control to be gone", lambda: len(pods(cluster, "mesh-system", "app=mesh-control")) == 1)
    assert proxy.requests(watch=True)
    try:
        yield
    finally:
        proxy.clear()
        cluster.kubectl(*change, "KUBERNETES_SERVICE_HOST-", "KUBERNETES_SERVICE_PORT-")
        rolled_out(cluster, "mesh-control", namespace="mesh-system")
        cluster.wait("the old control to be gone", lambda: len(pods(cluster, "mesh-system", "app=mesh-control")) == 1)


@pytest.fixture(scope="module")
def faulty(cluster, shop):
    """The proxy that control's pod goes through."""
    with FaultProxy(cluster) as proxy, control_behind(cluster, proxy):
        yield proxy


@pytest.mark.parametrize("fault", ["cut", "500", "429", "410", "slow"])
def test_api_server_fails(cluster, shop, faulty, loaded, fault):
    faulty.clear()
    began = time.monotonic()
    with loaded():
        faulty.cut_watches(every_s=2)
        if fault == "slow":
            faulty.slow(first_s=1, bytes_per_s=200_000)
        elif fault == "410":
            faulty.expire(rate=0.5)
            faulty.fail(410, rate=0.3)
        elif fault != "cut":
            faulty.fail(int(fault), rate=0.5, retry_after_s=1 if fault == "429" else None)
        time.sleep(4)
        learns(cluster, shop)
        learns(cluster, shop)
        faulty.clear()
        learns(cluster, shop)
        roll(cluster, shop)
    assert fault == "cut" or [one for one in faulty.requests(since=began) if one.fault]
    assert len(faulty.requests("endpointslices", watch=True, since=began)) > 2  # as they are cut


def test_control_begins_anew_while_the_api_server_is_away(cluster, shop, faulty, loaded):
    """Its process is killed and begins again, and finds nobody; proxies go on with what they have."""
    faulty.clear()
    was = restarts(cluster)
    with loaded():
        faulty.refuse()
        (pid,) = processes(cluster, "/mesh", "control")
        os.kill(pid, signal.SIGKILL)
        time.sleep(8)
        faulty.accept()
        cluster.wait("control to be ready again", lambda: restarts(cluster) > was and all(
            c["ready"] for c in control_pod(cluster)["status"]["containerStatuses"]), AFTER_OUTAGE_S)
        learns(cluster, shop)
        roll(cluster, shop)
