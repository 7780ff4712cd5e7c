"""Control with a thousand services and five thousand pods: it holds them in little memory and stays the truth."""
import time

import pytest

from .cluster import cluster_of_tests
from .control import Endpoints, KubeControl, admin_token
from .crowd import Crowd
from .fault_proxy import FaultProxy
from .test_sources import agrees

pytestmark = [pytest.mark.mesh_only, pytest.mark.timeout(900)]

SERVICES, EACH = 1000, 5
RSS_MIB = 150


@pytest.fixture
def empty():
    """A cluster of its own, without nodes that run anything: it is ended, which is quicker than to delete so much."""
    with cluster_of_tests(nodes=0, without=("endpoints-controller", "endpointslice-mirroring-controller")) as cluster:
        yield cluster


def test_thousand_services_of_five_pods(empty, tmp_path):
    crowd = Crowd(empty).start()
    began = time.monotonic()
    crowd.make(SERVICES, EACH)
    made = time.monotonic()
    with FaultProxy(empty) as proxy:
        control = KubeControl(proxy.kubeconfig(tmp_path / "config", admin_token(empty)), tmp_path)
        ready = time.monotonic()
        try:
            rss = [control.rss_mib()]
            with Endpoints(control, crowd.services()) as told:
                agrees(told, crowd, 60)
                rss.append(control.rss_mib())
                proxy.cut()  # all connections: watches go on where they were
                for number in range(0, SERVICES, 20):
                    crowd.replace_pod(f"s{number}")
                crowd.wait_complete(EACH)
                behind = agrees(told, crowd, 60)
                rss.append(control.rss_mib())
            print(f"made {made - began:.1f} s, ready {ready - made:.1f} s, behind {behind:.1f} s; RSS in MiB: "
                  "{:.1f} ready, {:.1f} with a proxy of all services, {:.1f} after changes".format(*rss))
            assert max(rss) <= RSS_MIB
        finally:
            control.stop()
