"""A control plane of some size: what `make bench` measures holds its bars here too, on a busy machine and with other tests beside it."""
import pathlib
import sys

import pytest

TOP = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(TOP / "tests/bench"))
import control_scale  # noqa: E402

SWARM = TOP / "build/bench/swarm"


@pytest.mark.timeout(180)
def test_1000_services_10000_endpoints_500_proxies(mesh_bin, tmp_path):
    if not SWARM.exists() or "san" in str(mesh_bin):
        pytest.skip("needs build/bench/swarm, and a release of mesh")
    figures = control_scale.measure(mesh_bin, SWARM, tmp_path)
    print(figures)
    assert figures["updates"] == control_scale.CHANGES * control_scale.PROXIES * control_scale.EACH / control_scale.SERVICES
    assert {k: figures[k] for k, most in control_scale.BARS.items() if figures[k] > most} == {}
