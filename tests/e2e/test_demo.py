"""mesh demo and mesh sample: what a newcomer meets first."""
import json
import os
import re
import signal

import pytest
from harness.client import get, request
from harness.proc import Process, wait_until


@pytest.fixture
def sample(mesh_bin, lab):
    def start(*args):
        p = Process([mesh_bin, "sample", "--listen", "127.0.0.1:0", *args],
                    lab.folder / f"sample{len(args)}.log")
        lab.at_end(p.stop)
        return p.wait_for(lambda: re.search(r"ready 127.0.0.1:(\d+)", p.text()), "its address").group(1)
    return start


def test_sample_tells_what_it_saw(sample):
    port = int(sample("--name", "v1"))
    assert get(port, "/health").body == b"ok\n"
    a = request(port, "POST", "/a/b?c=d", b"12345", {"x-mine": "1"}).json()
    assert (a["name"], a["method"], a["path"], a["body_bytes"]) == ("v1", "POST", "/a/b?c=d", 5)
    assert a["headers"]["x-mine"] == "1"
    assert len(get(port, "/bytes/3000000").body) == 3000000


def test_sample_asks_its_upstream_and_hands_the_trace_on(sample):
    api = sample("--name", "api")
    web = int(sample("--name", "web", "--upstream", f"http://127.0.0.1:{api}", "--upstream-host", "api"))
    a = get(web, "/upstream/x", x_request_id="id-1", x_private="no").json()
    assert a["name"] == "web" and a["answer"]["name"] == "api"
    headers = a["answer"]["headers"]
    assert headers["x-request-id"] == "id-1" and headers["host"] == "api" and "x-private" not in headers


def children_of(pid):
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as f:
                if int(f.read().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(entry))
        except OSError:
            pass
    return found


@pytest.mark.mesh_only
def test_demo_check(mesh, tmp_path):
    run = mesh("demo", "--check", timeout=60, env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)})
    assert run.returncode == 0, run.stdout + run.stderr
    assert "FAILED" not in run.stdout and "all facts hold" in run.stdout
    assert os.listdir(tmp_path) == []


@pytest.mark.mesh_only
def test_demo_tells_its_story_and_leaves_nothing(mesh_bin, lab, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    p = Process(["setsid", mesh_bin, "demo", "--rps", "50"], lab.folder / "demo.log",
                env={"XDG_RUNTIME_DIR": str(run)})
    lab.at_end(p.stop)
    p.wait_for(lambda: re.search(r"\d+ requests +\d+ ok as spiffe://", p.text()), "its first tally", 30)
    folder = run / os.listdir(run)[0]
    assert folder.stat().st_mode & 0o777 == 0o700
    keys = list((folder / "certs").glob("*.key"))
    assert len(keys) == 2 and all(k.stat().st_mode & 0o077 == 0 for k in keys)
    children = children_of(p.pid)
    assert len(children) == 4
    web = re.search(r"curl http://([0-9.]+):8080/upstream/hello", p.text()).group(1)
    import http.client
    c = http.client.HTTPConnection(web, 8080, timeout=10)
    c.request("GET", "/upstream/hello")
    seen = json.loads(c.getresponse().read())["answer"]["headers"]["x-forwarded-client-cert"]
    assert "URI=spiffe://cluster.local/ns/default/sa/web" in seen
    os.killpg(p.pid, signal.SIGINT)  # as Ctrl-C at a terminal: to the whole group
    assert p.wait() == 0
    assert os.listdir(run) == []
    wait_until(lambda: not any(os.path.exists(f"/proc/{c}") for c in children), "the children to be gone")
    assert " 0 failed" in p.text() and "everything is removed" in p.text()


@pytest.mark.mesh_only
def test_two_demos_do_not_meet(mesh, mesh_bin, lab):
    p = Process([mesh_bin, "demo"], lab.folder / "demo.log")
    lab.at_end(p.stop)
    p.wait_for(lambda: "Try, in another terminal" in p.text(), "the first to be up", 30)
    assert mesh("demo", "--check", timeout=60).returncode == 0
    assert p.alive()
