"""The fault proxy against clients that are not ours: kubectl, and HTTP/2 by hand."""
import json
import ssl
import threading
import time

import httpx
import pytest

from harness.proc import wait_until

from .cluster import TOOLS, run
from .fault_proxy import FaultProxy

CONFIG_MAPS = "/api/v1/namespaces/{}/configmaps"


@pytest.fixture(scope="module")
def token(cluster):
    cluster.kubectl("-n", "default", "create", "serviceaccount", "faults")
    cluster.kubectl("create", "clusterrolebinding", "faults", "--clusterrole=cluster-admin", "--serviceaccount=default:faults")
    return cluster.kubectl("-n", "default", "create", "token", "faults").stdout.strip()


@pytest.fixture
def proxy(cluster):
    with FaultProxy(cluster) as proxy:
        yield proxy


@pytest.fixture
def client(cluster, proxy, token):
    trust = ssl.create_default_context(cafile=str(cluster.folder / "pki" / "ca.crt"))
    with httpx.Client(base_url=proxy.server, verify=trust, http1=False, http2=True, trust_env=False, timeout=10,
                      headers={"authorization": f"Bearer {token}"}) as client:
        yield client


def write(cluster, namespace, name, **content):
    cluster.apply(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace},
                              "data": content}), "--server-side")


def test_kubectl_goes_through(cluster, proxy, token, namespace, tmp_path):
    config = proxy.kubeconfig(tmp_path / "config", token)
    told = run(TOOLS / "kubectl", f"--kubeconfig={config}", "-n", namespace, "create", "configmap", "a", "--from-literal=k=v")
    assert "configmap/a created" in told.stdout
    assert cluster.get("-n", namespace, "configmap", "a")["data"] == {"k": "v"}
    assert [s.status for s in proxy.requests("/configmaps") if s.method == "POST"] == [201]


def test_large_list_is_whole(cluster, proxy, client, namespace):
    for name in "ab":
        write(cluster, namespace, name, text="x" * 400_000)
    answer = client.get(CONFIG_MAPS.format(namespace))
    assert sum(len(i["data"].get("text", "")) for i in answer.json()["items"]) == 800_000
    assert answer.http_version == "HTTP/2"


@pytest.mark.parametrize("status, retry_after", [(410, None), (429, 3), (500, None), (503, 1)])
def test_status(proxy, client, status, retry_after):
    proxy.fail(status, path="/api/v1/namespaces", count=1, retry_after_s=retry_after)
    answer = client.get("/api/v1/namespaces")
    assert (answer.status_code, answer.json()["code"]) == (status, status)
    assert answer.headers.get("retry-after") == (None if retry_after is None else str(retry_after))
    assert client.get("/api/v1/namespaces").status_code == 200  # one was asked for
    assert [s.status for s in proxy.seen] == [status, 200]


def test_rate_takes_some(proxy, client):
    proxy.fail(500, rate=0.5)
    statuses = {client.get("/api/v1/namespaces/default").status_code for _ in range(60)}
    assert statuses == {200, 500}


def test_hang_slow_and_truncate(proxy, client):
    proxy.hang(path="/version", count=1)
    with pytest.raises(httpx.ReadTimeout):
        client.get("/version", timeout=0.5)
    proxy.slow(first_s=0.5, path="/version", count=1)
    began = time.monotonic()
    assert client.get("/version").status_code == 200
    assert time.monotonic() - began >= 0.5
    proxy.truncate(5, path="/version", count=1)
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/version")
    assert client.get("/version").status_code == 200


def version_of(client, namespace):
    return client.get(CONFIG_MAPS.format(namespace)).json()["metadata"]["resourceVersion"]


def watch(client, namespace, version, seconds=10):
    """What a watch of the ConfigMaps of a namespace tells until it ends."""
    path = f"{CONFIG_MAPS.format(namespace)}?watch=1&timeoutSeconds={seconds}&resourceVersion={version}"
    with client.stream("GET", path) as answer:
        return [json.loads(line) for line in answer.iter_lines()]


def test_watch_expires_by_event(proxy, client, namespace):
    proxy.expire(path="/configmaps", count=1)
    (event,) = watch(client, namespace, version_of(client, namespace))
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


def test_watches_are_cut(proxy, client, namespace):
    version = version_of(client, namespace)
    open_already = threading.Thread(target=watch, args=(client, namespace, version))
    open_already.start()
    wait_until(lambda: proxy.requests("/configmaps", watch=True), "a watch")
    proxy.cut_watches(0.5)
    began = time.monotonic()
    watch(client, namespace, version)
    open_already.join(5)
    assert not open_already.is_alive() and time.monotonic() - began < 5


def test_events_are_lost(cluster, proxy, client, namespace):
    version = version_of(client, namespace)
    write(cluster, namespace, "unseen", k="v")
    proxy.lose_events(1.0, path="/configmaps", count=1)
    assert not [e for e in watch(client, namespace, version, 1) if e["object"]["metadata"]["name"] == "unseen"]
    assert [e for e in watch(client, namespace, version, 1) if e["object"]["metadata"]["name"] == "unseen"]


def test_refuse_freeze_and_strand(proxy, client):
    assert client.get("/version").status_code == 200
    proxy.refuse()
    with pytest.raises(httpx.TransportError):
        client.get("/version")
    with pytest.raises(httpx.ConnectError):
        client.get("/version")
    proxy.accept()
    assert client.get("/version").status_code == 200
    proxy.freeze()
    with pytest.raises(httpx.ReadTimeout):
        client.get("/version", timeout=0.5)
    proxy.thaw()
    assert client.get("/version").status_code == 200
    proxy.strand()
    with pytest.raises(httpx.ReadTimeout):
        client.get("/version", timeout=0.5)
    proxy.clear()

    def answers():
        try:
            return client.get("/version").status_code == 200
        except httpx.TransportError:
            return False
    wait_until(answers, "the proxy to be as good as the real one", 10)
