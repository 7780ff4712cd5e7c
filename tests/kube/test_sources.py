"""Control follows a cluster whose API server is killed, restarted, slow, out of order: what it tells proxies never goes
away meanwhile, and is the truth soon after. Pods are KWOK's; endpoints are those that a real API server and real controllers have."""
import random
import signal
import time

import pytest

from harness.proc import wait_until

from .cluster import cluster_of_tests
from .control import Endpoints, KubeControl, admin_token
from .crowd import Crowd
from .fault_proxy import FaultProxy

pytestmark = pytest.mark.mesh_only

SERVICES, EACH = 20, 3
SLICES = "/endpointslices"
# Back-off doubles to 30 s, so a server that was away for some seconds is asked again within about as long.
SOON_S, AFTER_OUTAGE_S = 15, 60


@pytest.fixture(scope="module")
def cluster():
    """Its own, as its API server is killed; without nodes, as nothing runs there."""
    with cluster_of_tests(nodes=0) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def crowd(cluster):
    crowd = Crowd(cluster).start()
    crowd.make(SERVICES, EACH)
    return crowd


@pytest.fixture(scope="module")
def token(cluster):
    return admin_token(cluster)


@pytest.fixture
def proxy(cluster):
    with FaultProxy(cluster) as proxy:
        yield proxy


@pytest.fixture
def config(proxy, token, tmp_path):
    return proxy.kubeconfig(tmp_path / "config", token)


@pytest.fixture
def control(config, tmp_path):
    control = KubeControl(config, tmp_path)
    yield control
    control.stop()


@pytest.fixture
def told(control, crowd):
    with Endpoints(control, crowd.services()) as told:
        agrees(told, crowd)
        yield told


def truth(crowd):
    return {name: set(pods.values()) for name, pods in crowd.endpoints().items()}


def differences(told, crowd):
    now, right = told.now(), truth(crowd)
    return [f"{name}: told {sorted(now.get(name, ()))}, right {sorted(addresses)}"
            for name, addresses in right.items() if now.get(name, set()) != addresses]


def agrees(told, crowd, deadline_s=SOON_S):
    """What proxies were told is what the API server has, once both rest."""
    began = time.monotonic()
    last = []

    def same():
        last[:] = differences(told, crowd)
        return not last
    try:
        wait_until(same, "endpoints as the API server has them", deadline_s, pause_s=0.25)
    except AssertionError as error:
        raise AssertionError(f"{error}\n" + "\n".join(last)) from None
    return time.monotonic() - began


def churn(crowd, seconds):
    """Replaces pods for a while, and in the end rests until the controllers have done their part."""
    before = truth(crowd)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        crowd.replace_pod(f"s{random.randrange(SERVICES)}")
    crowd.wait_complete(EACH)
    assert truth(crowd) != before


def played(proxy, what=None):
    """How often a fault took a request of endpoints; None: how often they were asked for, after the first list and watch."""
    asked = proxy.requests(SLICES)
    return len([one for one in asked if one.fault == what]) if what else len(asked) - 2


def test_changes_arrive(control, told, crowd):
    churn(crowd, 2)
    agrees(told, crowd)


def test_watches_are_cut(proxy, control, told, crowd):
    proxy.cut_watches(every_s=1)
    churn(crowd, 6)
    agrees(told, crowd)
    assert played(proxy) >= 3
    proxy.clear()
    churn(crowd, 1)
    agrees(told, crowd)


@pytest.mark.parametrize("status, retry_after", [(500, None), (503, 1), (429, 1), (410, None)])
def test_half_of_all_requests_fail(proxy, control, told, crowd, status, retry_after):
    proxy.cut_watches(every_s=1)
    proxy.fail(status, rate=0.5, retry_after_s=retry_after)
    churn(crowd, 6)
    agrees(told, crowd, AFTER_OUTAGE_S)
    assert played(proxy, "fail") >= 1


def test_watch_is_told_that_its_version_is_gone(proxy, control, told, crowd):
    proxy.cut_watches(every_s=1)
    proxy.expire(rate=0.5)
    churn(crowd, 5)
    agrees(told, crowd, AFTER_OUTAGE_S)
    assert played(proxy, "expire") >= 1


def test_lists_break_off_and_are_slow(proxy, control, told, crowd):
    proxy.cut_watches(every_s=1)
    proxy.expire(path=SLICES, count=4)
    proxy.truncate(2000, path=SLICES, watch=False, count=2)
    proxy.slow(first_s=1, bytes_per_s=50_000, path=SLICES, watch=False)
    churn(crowd, 8)
    agrees(told, crowd, AFTER_OUTAGE_S)
    assert played(proxy, "expire") >= 1 and played(proxy, "truncate") == 2 and played(proxy, "slow") >= 1


def test_nobody_listens_for_a_while(proxy, control, told, crowd):
    """Endpoints stay as they were told; what changed meanwhile is known soon after."""
    before = told.now()
    proxy.refuse()
    churn(crowd, 5)
    assert told.now() == before
    assert differences(told, crowd)
    proxy.accept()
    agrees(told, crowd, AFTER_OUTAGE_S)


def test_connections_are_stranded(proxy, control, told, crowd):
    """Half-open connections, of which nobody tells us: noticed by pings, not by the next relist."""
    proxy.strand()
    churn(crowd, 3)
    assert differences(told, crowd)
    assert agrees(told, crowd, AFTER_OUTAGE_S) < 45


def test_api_server_is_killed(cluster, proxy, control, told, crowd):
    before = told.now()
    cluster.end("kube-apiserver", grace_s=0)
    time.sleep(3)
    assert told.now() == before
    cluster.restart_apiserver()
    churn(crowd, 2)
    agrees(told, crowd, AFTER_OUTAGE_S)


def test_api_server_hangs(cluster, proxy, control, told, crowd):
    before = told.now()
    cluster.signal("kube-apiserver", signal.SIGSTOP)
    try:
        time.sleep(8)
        assert told.now() == before
    finally:
        cluster.signal("kube-apiserver", signal.SIGCONT)
    cluster.wait_ready()
    churn(crowd, 2)
    agrees(told, crowd, AFTER_OUTAGE_S)


def test_begins_while_the_server_fails(proxy, crowd, config, tmp_path):
    """It waits for the server; nobody is told of half a mesh."""
    proxy.fail(500, path=SLICES)
    control = KubeControl(config, tmp_path, wait=False)
    try:
        wait_until(lambda: proxy.requests(SLICES), "it to ask")
        time.sleep(2)
        assert "control ready" not in control.text()
        assert control.alive()
        proxy.clear()
        control.wait_ready()
        with Endpoints(control, crowd.services()) as told:
            agrees(told, crowd)
    finally:
        control.stop()


def test_server_that_fails_is_not_stormed(proxy, control, told):
    proxy.cut()
    proxy.fail(500)
    began = time.monotonic()
    time.sleep(10)
    asked = {}
    for one in proxy.requests(since=began):
        asked.setdefault(one.path.split("?")[0], []).append(one.at - began)
    assert asked
    # 250 ms, doubled with jitter: about six tries in 10 s, a list and a watch.
    assert max(map(len, asked.values())) <= 14, {k: len(v) for k, v in asked.items()}


def test_retry_after_is_obeyed(proxy, control, told):
    proxy.fail(429, retry_after_s=4, path=SLICES)
    began = time.monotonic()
    proxy.cut()
    time.sleep(7)
    at = [one.at for one in proxy.requests(SLICES, since=began)]
    assert len(at) >= 2
    assert min(b - a for a, b in zip(at, at[1:])) >= 3.9
