"""The binary itself: words it knows, words it does not, and what it needs from the machine (nothing)."""
import os
import subprocess

import pytest


def test_version_prints_one_line(mesh):
    run = mesh("version")
    assert run.returncode == 0
    assert run.stdout.startswith("mesh ") and run.stdout.count("\n") == 1


def test_unknown_command_says_so_and_exits_2(mesh):
    run = mesh("no-such-command")
    assert run.returncode == 2
    assert '"no-such-command"' in run.stderr


def test_release_needs_no_other_file(mesh_bin, tmp_path):
    """Runs in an empty root: no libc, no loader, no /etc."""
    if os.path.basename(os.path.dirname(mesh_bin)) != "build" or os.geteuid() != 0:
        pytest.skip("only the release binary is static, and chroot needs root")
    os.link(mesh_bin, tmp_path / "mesh") if os.stat(mesh_bin).st_dev == os.stat(tmp_path).st_dev else \
        (tmp_path / "mesh").write_bytes(open(mesh_bin, "rb").read())
    os.chmod(tmp_path / "mesh", 0o755)
    out = subprocess.run(["/mesh", "version"], capture_output=True, text=True, timeout=20,
                         preexec_fn=lambda: (os.chroot(tmp_path), os.chdir("/")))
    assert out.returncode == 0 and out.stdout.startswith("mesh ")


def test_release_keeps_its_budget(mesh_bin):
    """4.0 MB, with all that is inside (the architecture's budgets)."""
    if os.path.basename(os.path.dirname(mesh_bin)) != "build":
        pytest.skip("only the release binary has a budget")
    assert os.path.getsize(mesh_bin) <= 4_000_000
