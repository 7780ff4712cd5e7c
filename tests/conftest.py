"""What tests of the binary share: the binary under test, $MESH_BIN or build/mesh, and a lab for each test.

Tests of the proxy take `lab`: it starts services and proxies and ends them. With SUBJECT=envoy the same
tests run against Envoy, which shows that a test asks for what Envoy does; those marked `mesh_only` ask for
more (Istio's metrics, our own messages)."""
import os
import subprocess

import pytest
from harness.lab import Lab
from harness.proxy import subject

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def pytest_report_header(config):
    return "proxy under test: %s %s" % subject()


def pytest_collection_modifyitems(items):
    if subject()[0] != "envoy":
        return
    for item in items:
        if item.get_closest_marker("mesh_only") or item.get_closest_marker("envoy_differs"):
            item.add_marker(pytest.mark.skip(reason="mesh only"))


@pytest.fixture
def lab(tmp_path):
    lab = Lab(tmp_path)
    yield lab
    lab.close()


@pytest.fixture(scope="session")
def mesh_bin():
    return os.path.abspath(os.environ.get("MESH_BIN", os.path.join(TOP, "build", "mesh")))


@pytest.fixture
def mesh(mesh_bin):
    """Runs `mesh WORD...` to its end: mesh("version").stdout"""

    def run(*words, **options):
        return subprocess.run([mesh_bin, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=options.pop("timeout", 20), **options)

    return run
