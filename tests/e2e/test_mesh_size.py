"""A sidecar costs what its application uses, however large the mesh is; what one replica has learned, the next one knows."""
import contextlib
import sqlite3

import pytest
from harness.native import Native, service, workload

pytestmark = pytest.mark.mesh_only


@pytest.fixture
def mesh(lab, mesh_bin):
    return Native(lab, mesh_bin)


def served(mesh, *names, port=9080):
    """Services of these names, all by one application behind one sidecar each; its origin."""
    app = mesh.lab.http_origin()
    at = {name: mesh.address() for name in names}
    mesh.write("served.yaml", "".join(service(n, port, app.port) + workload(n, n, at[n]) for n in names))
    return app, at


def lookups(proxy):
    return {n: v for n, v in proxy.stats().items() if n.startswith("mesh_discovery_lookups_total") and v}


def kept(mesh):
    """What the store of an ended control has."""
    with contextlib.closing(sqlite3.connect(mesh.control.data / "mesh.db")) as db:
        return {k: v.decode().splitlines() for k, v in
                db.execute("select key, value from blobs where space = 'known-destinations'")}


def test_a_new_replica_knows_what_the_first_one_used(mesh):
    _, at = served(mesh, "reviews", "ratings")
    mesh.start()
    for name in at:
        mesh.sidecar(name, name, at[name])
    first = mesh.sidecar("page-1", "page")
    for name in at:
        assert first.get(name, 9080).status == 200
    assert first.get("nobody", 9080).status != 200
    assert lookups(first)["mesh_discovery_lookups_total.type.VirtualHost.answer.found"] == 2
    second = mesh.sidecar("page-2", "page")
    assert "mesh_discovery_lookups_total" not in str(lookups(second))
    names = second.admin("/clusters")[1]
    assert "outbound|9080||reviews.default.svc.cluster.local" in names
    for name in at:
        assert second.get(name, 9080).status == 200
    assert lookups(second) == {}
    # Its listeners are the same however often it comes back, and to whom.
    modified = first.stat("listener_manager.listener_modified"), second.stat("listener_manager.listener_modified")
    mesh.control.stop()
    assert kept(mesh)["default/page/page"] == ["VirtualHost|http_proxy/reviews:9080", "VirtualHost|http_proxy/ratings:9080"]
    mesh.start()
    for p in first, second:
        p.wait_stat("control_plane.connected_state")
    third = mesh.sidecar("page-3", "page")
    assert third.get("reviews", 9080).status == 200 and lookups(third) == {}
    assert modified == (first.stat("listener_manager.listener_modified"),
                        second.stat("listener_manager.listener_modified"))
