"""The five steps with Bookinfo, and Istio's tasks on it: what people type, and what they then see."""
import json
import subprocess
import sys
import time

import pytest

from .mesh import DEPLOYMENTS, Load, Shop, apply_files, delete_files, pods

FIRST_PAGE_S = 15


@pytest.fixture
def task(cluster, shop):
    """Applies manifests of a task, and takes them back after the test."""
    applied = []

    def apply(*names):
        apply_files(cluster, *names)
        applied.extend(names)
    yield apply
    delete_files(cluster, *dict.fromkeys(applied))
    cluster.wait("all versions again", lambda: len(shop.versions(9)) == 3)


def settled(cluster, what, condition):
    """Waits until it holds, and then that it still does: changes reach every proxy at its own time."""
    cluster.wait(what, condition)
    time.sleep(0.3)
    assert condition(), what


def test_first_page(shop):
    assert shop.first_page_s < FIRST_PAGE_S
    assert shop.get("/static/nothing")[0] == 404
    assert shop.get("/elsewhere")[0] == 404  # no route of the gateway


def test_every_pod_has_its_proxy(cluster, shop):
    found = pods(cluster)
    assert len(found) == len(DEPLOYMENTS)
    for pod in found:
        names = [c["name"] for c in pod["spec"]["initContainers"] + pod["spec"]["containers"]]
        assert "mesh-init" in names and "mesh-proxy" in names, names
        assert pod["metadata"]["labels"]["security.istio.io/tlsMode"] == "istio"
        ready = [c["ready"] for c in pod["status"]["containerStatuses"]]
        assert all(ready), pod["metadata"]["name"]


def test_calls_are_mutual_tls(cluster, mesh, shop):
    shop.versions(10)

    def reported():
        edges = json.loads(mesh.run("edges", "-o", "json").stdout)["items"]
        return [e for e in edges if (e["source"].get("workload"), e["destination"].get("workload")) == (
            "productpage-v1", "details-v1")]
    (edge,) = cluster.wait("the proxies to report", reported, 20)
    assert edge["source"]["principal"].endswith("/ns/default/sa/bookinfo-productpage"), edge


def test_all_versions_by_turns(shop):
    assert set(shop.versions(30)) == {1, 2, 3}


def test_request_routing(cluster, shop, task):
    task("tasks/destination-rule-all.yaml", "tasks/virtual-service-all-v1.yaml")
    settled(cluster, "version 1 for all", lambda: set(shop.versions(10)) == {1})
    task("tasks/virtual-service-reviews-test-v2.yaml")
    settled(cluster, "black stars for jason", lambda: set(shop.versions(5, "jason")) == {2})
    assert set(shop.versions(10)) == {1}


@pytest.mark.parametrize("name, shares", [("50-v3", {1: 50, 3: 50}), ("80-20", {1: 80, 2: 20}), ("90-10", {1: 90, 2: 10})])
def test_traffic_shifting(cluster, shop, task, name, shares):
    task("tasks/destination-rule-all.yaml", "tasks/virtual-service-all-v1.yaml")
    settled(cluster, "version 1 for all", lambda: set(shop.versions(10)) == {1})
    task(f"tasks/virtual-service-reviews-{name}.yaml")
    settled(cluster, "both versions", lambda: set(shop.versions(40)) == set(shares))
    count = 400
    seen = shop.versions(count)
    for version, share in shares.items():
        assert abs(seen[version] * 100 / count - share) < 9, seen


def test_fault_delay_shows_the_bug(cluster, shop, task):
    task("tasks/destination-rule-all.yaml", "tasks/virtual-service-all-v1.yaml", "tasks/virtual-service-reviews-test-v2.yaml",
         "tasks/virtual-service-ratings-test-delay.yaml")

    def is_late():
        started = time.monotonic()
        status, page = shop.get(user="jason")
        return status == 200 and "Error fetching product reviews!" in page and 5 < time.monotonic() - started < 8
    settled(cluster, "reviews time out for jason", is_late)
    started = time.monotonic()
    assert shop.version() == 1 and time.monotonic() - started < 2


def test_fault_abort(cluster, shop, task):
    task("tasks/destination-rule-all.yaml", "tasks/virtual-service-all-v1.yaml", "tasks/virtual-service-reviews-test-v2.yaml",
         "tasks/virtual-service-ratings-test-abort.yaml")
    settled(cluster, "no ratings for jason",
            lambda: "Ratings service is currently unavailable" in shop.get(user="jason")[1])
    assert shop.version() == 1


def test_request_timeouts(cluster, shop, task):
    task("tasks/destination-rule-all.yaml", "tasks/virtual-service-all-v1.yaml", "tasks/request-timeouts.yaml")

    def gives_up():
        started = time.monotonic()
        status, page = shop.get()
        return status == 200 and "product reviews are currently unavailable" in page and time.monotonic() - started < 2
    settled(cluster, "reviews give up after half a second, twice", gives_up)


def test_mirroring(cluster, mesh, shop, task):
    task("tasks/destination-rule-all.yaml", "tasks/virtual-service-all-v1.yaml", "tasks/mirroring.yaml")
    settled(cluster, "version 1 for all", lambda: set(shop.versions(10)) == {1})

    def copies():
        shop.versions(5)
        edges = json.loads(mesh.run("edges", "-A", "-t", "3s", "-o", "json").stdout)["items"]
        return [e for e in edges if e["source"].get("workload") == "productpage-v1" and e["rps"] > 0 and e["destination"].get("workload") == "reviews-v2"]
    cluster.wait("copies at reviews-v2", copies)


def test_mtls_strict(cluster, shop, task):
    """A pod without a proxy is turned away; the shop goes on, and so do its probes."""
    address = next(p for p in pods(cluster, selector="app=details"))["status"]["podIP"]

    def plain_call():
        code = f"import urllib.request as u; print(u.urlopen('http://{address}:9080/details/0', timeout=3).status)"
        return subprocess.run(cluster.inside(sys.executable, "-c", code), capture_output=True, text=True,
                              check=False, timeout=20).returncode == 0
    cluster.wait("plain calls pass while PERMISSIVE", plain_call)
    task("tasks/mtls-strict.yaml")
    settled(cluster, "plain calls are refused", lambda: not plain_call())
    assert shop.get()[0] == 200
    for pod in pods(cluster):
        assert all(c["ready"] for c in pod["status"]["containerStatuses"])


def test_authorization_by_service_account(cluster, shop, task):
    task("tasks/authorization.yaml")
    settled(cluster, "the shop works with just what it needs",
            lambda: shop.get()[0] == 200 and 0 not in shop.versions(10))
    cluster.kubectl("delete", "authorizationpolicy", "productpage-viewer")
    settled(cluster, "nobody may see the page", lambda: shop.get()[0] == 403)


def test_canary_and_blue_green_under_load(cluster, shop, task):
    task("tasks/destination-rule-all.yaml", "tasks/virtual-service-all-v1.yaml")
    settled(cluster, "version 1 for all", lambda: set(shop.versions(10)) == {1})
    with Load(f"http://{shop.address}/productpage", 40, "--reject", "Error fetching") as load:
        for name in ("90-10", "50-v3", "v3", "80-20", "v3"):
            task(f"tasks/virtual-service-reviews-{name}.yaml")
            time.sleep(0.7)
        told = load.stop()
    assert told["failed"] == 0 and told["ok"] > 50, told
    cluster.wait("red stars for all", lambda: set(shop.versions(10)) == {3})


def test_gateway_api_form(cluster, mesh, shop):
    delete_files(cluster, "bookinfo-gateway.yaml")
    apply_files(cluster, "gateway-api.yaml")
    try:
        cluster.kubectl("wait", "--for=condition=programmed", "gateway.gateway.networking.k8s.io/bookinfo-gateway",
                        "--timeout=60s", timeout=70)
        other = Shop(mesh.gateway("bookinfo-gateway-istio", "default"))
        cluster.wait("the page through the Gateway's own proxies", lambda: other.get(timeout=2)[0] == 200)
        route = cluster.get("httproute", "bookinfo")
        (parent,) = route["status"]["parents"]
        assert {c["type"]: c["status"] for c in parent["conditions"]} == {"Accepted": "True", "ResolvedRefs": "True"}
    finally:
        delete_files(cluster, "gateway-api.yaml")
        apply_files(cluster, "bookinfo-gateway.yaml")
    cluster.wait("its Deployment is gone", lambda: cluster.kubectl(
        "get", "deployment", "bookinfo-gateway-istio", check=False).returncode != 0)
