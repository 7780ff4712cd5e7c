"""What tests on Kubernetes share: `cluster` (one for the run, in build/kube-N), a `namespace` for each test, `kubectl`;
`mesh`, which is installed, and `shop`, Bookinfo in it, for all tests of a file; `loaded`, people who shop.
When a test fails, its report ends with the pods and the last events of the cluster."""
import contextlib
import itertools
import os
import time

import pytest

from .cluster import cluster_of_tests
from .mesh import DEPLOYMENTS, Load, Mesh, Shop, apply_files, delete_files, failures, pods, rolled_out

RPS = 30
DRAIN_S = 6  # a pod that ends serves for so long: what then happens to requests counts too

_serial = itertools.count(1)
_until = time.monotonic() + float(os.environ.get("KUBE_SECS", "inf"))


@pytest.fixture(scope="session")
def cluster():
    with cluster_of_tests() as one:
        yield one


@pytest.fixture
def kubectl(cluster):
    """kubectl("get", "pods").stdout; fails when kubectl does, unless check=False; `text` is its standard input."""
    return cluster.kubectl


@pytest.fixture
def namespace(cluster):
    """The name of a new namespace with its ServiceAccount, deleted after the test."""
    name = f"t{next(_serial)}"
    cluster.kubectl("create", "namespace", name)
    cluster.wait(f"the ServiceAccount of {name}",
                 lambda: cluster.kubectl("-n", name, "get", "serviceaccount", "default", check=False).returncode == 0)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def mesh(cluster):
    one = Mesh(cluster)
    told = one.install()
    assert "mesh-control" in told.stdout
    yield one
    one.uninstall()


@pytest.fixture(scope="module")
def shop(mesh):
    """Bookinfo, injected, behind the ingress gateway (Istio's form)."""
    cluster = mesh.cluster
    cluster.kubectl("label", "namespace", "default", "istio-injection=enabled", "--overwrite")
    cluster.wait("the pods of another file to be gone", lambda: not pods(cluster))
    started = time.monotonic()
    apply_files(cluster, "bookinfo.yaml", "bookinfo-gateway.yaml")
    one = Shop(mesh.gateway())
    cluster.wait("the first page", lambda: one.get(timeout=2)[0] == 200)
    one.first_page_s = time.monotonic() - started
    rolled_out(cluster, *DEPLOYMENTS)
    yield one
    delete_files(cluster, "bookinfo-gateway.yaml", "bookinfo.yaml")
    cluster.kubectl("label", "namespace", "default", "istio-injection-")


@pytest.fixture
def loaded(cluster, shop):
    """with loaded(HOST): requests all the while and until what ends has ended, none of which may fail; without a host they are
    for Bookinfo's page, and it must be whole."""
    @contextlib.contextmanager
    def under_load(host=None):
        words = ["--host", host] if host else ["--reject", "currently unavailable"]
        with Load(f"http://{shop.address}/productpage", RPS, *words) as load:
            time.sleep(0.5)
            yield
            time.sleep(DRAIN_S)
            told = load.stop()
        assert told["failed"] == 0 and told["ok"] > RPS * DRAIN_S / 2, "\n".join([str(told), *failures(cluster)[-30:]])
    return under_load


def pytest_runtest_setup(item):
    if time.monotonic() > _until:
        pytest.skip("KUBE_SECS are over")


# What everybody does comes first, for where there is not the time for all.
_FIRST = ["test_five_steps.py", "test_pods.py", "test_install.py", "test_life.py", "test_gateway_tls.py", "test_check.py"]


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: _FIRST.index(item.path.name) if item.path.name in _FIRST else len(_FIRST))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    one = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and call.when == "call" and one is not None:
        for words in (["get", "pods", "-A", "-o", "wide"], ["get", "events", "-A", "--sort-by=.lastTimestamp"]):
            told = one.kubectl(*words, "--request-timeout=5s", check=False)
            lines = (told.stdout or told.stderr).splitlines()
            report.sections.append((f"kubectl {' '.join(words)}", "\n".join(lines[-40:])))
    return report
