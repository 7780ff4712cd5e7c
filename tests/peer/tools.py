"""Programs that tests of this folder need and nobody has installed: Go modules, npm and Python packages, Java classes.

What is built from our own sources is built once for a machine and kept in a cache beside the tools of tests/kube, so other
checkouts and 'make clean' do not cost it again. A test whose tool can not be had is skipped with the reason."""
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness.proc import REPO, find_program

PROGRAMS = Path(__file__).resolve().parent / "programs"
BUILD_S = 600


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
                              text=True, timeout=BUILD_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(path)


def need(name, *also):
    """Path of a program of the machine."""
    found = find_program(name, *also)
    if not found:
        pytest.skip(f"{name} is not installed (make deps)")
    return found


def _cache():
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    try:
        (home / "mesh-tools").mkdir(parents=True, exist_ok=True)
        return home / "mesh-tools"
    except OSError:
        (REPO / "build" / "mesh-tools").mkdir(parents=True, exist_ok=True)
        return REPO / "build" / "mesh-tools"


def cached(name, sources, version, build):
    """The folder that build(folder) filled from these files of programs/, at this version of the builder."""
    told = hashlib.sha256(version.encode())
    for s in sources:
        told.update((PROGRAMS / s).read_bytes())
    cache = _cache()
    folder = cache / f"{name}-{told.hexdigest()[:16]}"
    with open(cache / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            fresh = cache / f"{name}.new"
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            try:
                build(fresh)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                said = (error.stdout or b"") + (error.stderr or b"")
                pytest.skip(f"{name} can not be built: {said.decode(errors='replace')[-400:]}")
            os.rename(fresh, folder)
    return folder


def _run(argv, cwd=None, env=None):
    subprocess.run([str(a) for a in argv], cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                   capture_output=True, timeout=BUILD_S, check=True)


def _version(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def go_peer():
    """programs/go: a client and servers, gRPC's interoperability suite in them."""
    go = need("go")
    sources = sorted(str(p.relative_to(PROGRAMS)) for p in (PROGRAMS / "go").iterdir())
    folder = cached("go-peer", sources, _version(go, "env", "GOVERSION"), lambda to: _run(
        [go, "build", "-trimpath", "-ldflags=-s -w", "-o", to / "peer", "."], cwd=PROGRAMS / "go",
        env={"GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"}))
    return str(folder / "peer")


def go_seen():
    """programs/seen/seen.go: a service that says what it saw."""
    go = need("go")
    folder = cached("go-seen", ["seen/seen.go"], _version(go, "env", "GOVERSION"), lambda to: _run(
        [go, "build", "-trimpath", "-ldflags=-s -w", "-o", to / "seen", "seen.go"], cwd=PROGRAMS / "seen",
        env={"GOTOOLCHAIN": "local", "GOWORK": "off", "GO111MODULE": "off", "CGO_ENABLED": "0"}))
    return str(folder / "seen")


def java_client():
    """Arguments that run programs/Client.java."""
    java, javac = need("java"), need("javac")
    folder = cached("java-client", ["Client.java"], _version(javac, "-version"),
                    lambda to: _run([javac, "-d", to, PROGRAMS / "Client.java"]))
    return [java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto",
            "-Djdk.internal.httpclient.disableHostnameVerification=true", "-cp", str(folder), "Client"]


def node_packages():
    """A folder whose node_modules has the packages of programs/node/package.json; programs are run from there."""
    need("node")
    npm = need("npm")
    sources = sorted(str(p.relative_to(PROGRAMS)) for p in (PROGRAMS / "node").iterdir())

    def build(to):
        for s in sources:
            shutil.copy(PROGRAMS / s, to)
        _run([npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=to)
    return cached("node-packages", sources, _version("node", "--version"), build)


def python_servers():
    """The folder of programs of a Python that has the packages of programs/requirements.txt."""
    def build(to):
        # A venv that is moved keeps working when programs are run by its python.
        _run([sys.executable, "-m", "venv", to])
        _run([to / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r",
              PROGRAMS / "requirements.txt"])
    return cached("python-servers", ["requirements.txt"], sys.version, build) / "bin"
