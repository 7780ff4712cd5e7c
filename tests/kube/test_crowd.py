"""The crowd itself, small: KWOK makes pods ready, and a replaced pod has its place among the endpoints."""
from .crowd import Crowd


def test_small_crowd(cluster):
    with Crowd(cluster) as crowd:
        crowd.make(services=4, pods_each=3)
        assert {name: sorted(pods) for name, pods in crowd.endpoints().items()} == {
            f"s{n}.crowd-0": [f"s{n}-{i}" for i in range(3)] for n in range(4)}
        new = crowd.replace_pod("s2", "s2-1")
        cluster.wait("the new pod among the endpoints", lambda: sorted(crowd.endpoints()["s2.crowd-0"]) == [
            "s2-0", "s2-2", new])
    assert "kwok" not in cluster.running()
