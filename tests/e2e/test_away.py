"""Restarts while the control plane is away: a proxy goes on with the configuration and the identity of its last run."""
import stat

import pytest
from harness.native import Native, service, workload
from harness.proc import wait_until

pytestmark = pytest.mark.mesh_only


@pytest.fixture
def mesh(lab, mesh_bin):
    return Native(lab, mesh_bin)


def kept(proxy):
    return proxy.state / "configuration"


def served(mesh, *names):
    app = mesh.lab.http_origin()
    at = {name: mesh.address() for name in names}
    mesh.write("served.yaml", "".join(service(n, 9080, app.port) + workload(n, n, at[n]) for n in names))
    return app, at


def until_kept(proxy, text):
    wait_until(lambda: kept(proxy).exists() and text in kept(proxy).read_bytes(), "the configuration to be kept", 40)


def kill(process):
    process.signal(9)
    process.wait()


def test_both_sides_restart_while_control_is_away(mesh):
    _, at = served(mesh, "reviews", "ratings")
    mesh.start()
    server = mesh.sidecar("reviews", "reviews", at["reviews"])
    ratings = mesh.sidecar("ratings", "ratings", at["ratings"])
    client = mesh.sidecar("page", "page")
    assert client.get("reviews", 9080).status == 200
    until_kept(client, b"http_proxy/reviews:9080")
    until_kept(server, b"inbound|")
    assert stat.S_IMODE(kept(client).stat().st_mode) == 0o600
    kill(mesh.control)
    kill(client)
    kill(server)
    server = mesh.sidecar("reviews", "reviews", at["reviews"], token="")
    client = mesh.sidecar("page", "page", client.address, token="")
    assert "MESH4062" in client.text() and "MESH4062" in server.text()
    assert client.get("reviews", 9080).status == 200
    assert client.get("ratings", 9080).status != 200  # never used: nobody can tell where it is
    assert client.stat("control_plane.connected_state") == 0
    before = client.stat("listener_manager.listener_modified")

    # Meanwhile one service has gone: the proxy is told so, and nothing else is sent anew.
    app = mesh.lab.http_origin("two")
    mesh.write("served.yaml", service("ratings", 9080, app.port) + workload("ratings", "ratings", at["ratings"]))
    mesh.start()
    client.wait_stat("control_plane.connected_state")
    wait_until(lambda: client.get("reviews", 9080).status == 502, "reviews to go")
    ratings.wait_stat("control_plane.connected_state")
    wait_until(lambda: client.get("ratings", 9080).body == b"two", "ratings to be learned")
    assert client.stat("listener_manager.listener_modified") == before


def test_with_control_there_nothing_old_is_used(mesh):
    served(mesh, "reviews")
    mesh.start()
    client = mesh.sidecar("page", "page")
    until_kept(client, b"http_proxy")
    client.kill9()
    client = mesh.sidecar("page", "page", client.address)
    assert "MESH4062" not in client.text()


@pytest.mark.parametrize("damage", ["cut", "another", "mode"])
def test_what_can_not_be_trusted_is_left_out(mesh, damage):
    served(mesh, "reviews")
    mesh.start()
    client = mesh.sidecar("page", "page")
    until_kept(client, b"http_proxy")
    kill(mesh.control)
    kill(client)
    data = kept(client).read_bytes()
    address = client.address
    if damage == "cut":
        kept(client).write_bytes(data[:len(data) // 2])
    elif damage == "mode":
        kept(client).chmod(0o644)
    else:
        address = mesh.address()
    client = mesh.sidecar("page", "page", address, token="", wait=False)
    client.wait_for(lambda: "MESH4063" in client.text(), "it to say so")
    assert client.admin("/ready")[0] == 503
    mesh.start()
    client.wait_ready()
