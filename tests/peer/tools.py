"""Tools that are Go modules, built into build/tools when a test first needs them."""
import fcntl
import os
import subprocess

import pytest
from harness.proc import REPO, find_program


def go_tool(name):
    """Path of the tool; the test is skipped where there is no Go to build it with."""
    path = REPO / "build" / "tools" / name
    if not path.exists() and not find_program("go"):
        pytest.skip(f"{name} needs Go 1.26 to be built")
    (REPO / "build").mkdir(exist_ok=True)
    with open(REPO / "build" / ".tools.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"}
        done = subprocess.run(["make", f"build/tools/{name}"], cwd=REPO, env=env, capture_output=True,
                              text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(path)
