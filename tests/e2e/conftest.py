"""What end-to-end tests share: the binary under test, $MESH_BIN or build/mesh."""
import os
import subprocess

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


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
