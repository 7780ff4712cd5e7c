"""mesh demo: what a newcomer meets first. The echo of mesh sample has its tests here too."""
import http.client
import json
import os
import re
import signal
import socket
import subprocess

import pytest
from harness.client import get, request
from harness.proc import Process, wait_until
from harness.proxy import is_sanitized

pytestmark = pytest.mark.mesh_only


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


# ---- the demo


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


@pytest.fixture
def run_dir(lab):
    """In place of XDG_RUNTIME_DIR; short, because sockets have paths of at most 107 bytes."""
    folder = subprocess.run(["mktemp", "-d", "/tmp/mesh-e2e.XXXXXX"], capture_output=True, text=True,
                            check=True).stdout.strip()
    yield folder
    left = os.listdir(folder)
    subprocess.run(["rm", "-rf", folder], check=True)
    assert left == []


@pytest.fixture
def demo(mesh_bin, lab, run_dir):
    """Starts a demo; answers the process and the JSON line that it prints."""
    demos = []

    def start(*words):
        log = lab.folder / f"demo{len(list(lab.folder.glob('demo*.log')))}.log"
        p = Process(["setsid", mesh_bin, "demo", *words], log, env={"XDG_RUNTIME_DIR": run_dir})
        demos.append(p)
        line = p.wait_for(lambda: re.search(r"^\{.*\}$", p.text(), re.M), "the demo to be live", 60)
        return p, json.loads(line.group(0))
    yield start
    for p in demos:
        p.stop(20)


def fetch(url, method="GET", headers=None):
    host, _, path = url.removeprefix("http://").partition("/")
    c = http.client.HTTPConnection(host, timeout=20)
    c.request(method, "/" + path, headers=headers or {})
    answer = c.getresponse()
    return answer.status, answer.read().decode()


def stop(p):
    """As Ctrl-C at a terminal: to the whole group."""
    children = children_of(p.pid)
    assert len(children) == 15
    os.killpg(p.pid, signal.SIGINT)
    assert p.wait() == 0
    wait_until(lambda: not any(os.path.exists(f"/proc/{c}") for c in children), "the children to be gone")


def test_demo_is_live_and_leaves_nothing(demo, run_dir):
    p, told = demo()
    assert told["kind"] == "Demo" and told["edges"] == {"expected": 7, "seen": 7, "mutualTls": 7}
    assert told["ready"]["control"] < told["ready"]["services"] <= told["ready"]["page"] < told["ready"]["live"]
    assert {m["name"] for m in told["members"]} >= {"control", "ratings-v1", "proxy of reviews-v3", "load"}
    assert os.stat(told["folder"]).st_mode & 0o777 == 0o700
    status, page = fetch(told["shop"])
    assert status == 200 and "<title>Simple Bookstore App</title>" in page and "Book Reviews" in page
    stop(p)
    assert os.listdir(run_dir) == []
    assert p.text().count("\n") == 1  # one line of JSON, and no word of trouble


def test_a_killed_demo_is_cleaned_up_by_the_next(demo):
    p, told = demo("--no-traffic")
    children = children_of(p.pid)
    p.kill()
    wait_until(lambda: not any(os.path.exists(f"/proc/{c}") for c in children), "the children to be gone")
    assert os.path.exists(told["folder"])
    p, again = demo("--no-traffic")
    assert again["folder"] == told["folder"]
    p.stop(20)


def test_two_demos_and_a_busy_port(demo):
    with socket.socket() as busy:
        busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            busy.bind(("127.0.0.1", 15080))
            busy.listen()
        except OSError:
            pass  # busy already: all the better
        a, one = demo("--no-traffic")
        b, two = demo("--no-traffic")
        assert one["folder"] != two["folder"] and one["shop"] != two["shop"]
        assert not one["api"].endswith(":15080") and one["api"] != two["api"]
        assert fetch(one["shop"])[0] == fetch(two["shop"])[0] == 200
        a.stop(20)
        assert fetch(two["shop"])[0] == 200
        b.stop(20)


def test_break_and_heal(demo, mesh, run_dir):
    _, told = demo("--no-traffic")
    env = {**os.environ, "XDG_RUNTIME_DIR": run_dir}
    ratings = told["shop"].replace("/productpage", "/api/v1/products/0/ratings")
    assert fetch(ratings)[0] == 200
    run = mesh("demo", "break", "ratings", env=env)
    assert run.returncode == 0 and "ratings-v1 is broken now" in run.stdout
    wait_until(lambda: fetch(ratings)[0] == 503, "ratings to fail")
    assert fetch(told["shop"])[0] == 200
    assert mesh("demo", "heal", env=env).returncode == 0
    wait_until(lambda: fetch(ratings)[0] == 200, "ratings to be well")
    run = mesh("demo", "break", "nothing", env=env)
    assert run.returncode == 4 and "MESH1112" in run.stderr
    assert mesh("demo", "break", env=env).returncode == 2
    run = mesh("demo", "break", "ratings", "status=9\r\nx: y", env=env)
    assert run.returncode == 2 and "status=400..599" in run.stderr
    assert mesh("demo", "break", "reviews", "delay=50ms,share=50", env=env).stdout.count("is broken now") == 3
    run = mesh("demo", "break", "proxy of details-v1", env=env)
    assert run.returncode == 0, run.stderr
    details = told["shop"].replace("/productpage", "/api/v1/products/0")
    wait_until(lambda: fetch(details)[0] != 200, "details to be out of reach")
    assert mesh("demo", "heal", env=env).returncode == 0
    wait_until(lambda: fetch(details)[0] == 200, "details to be back")


def test_orders_need_a_demo(mesh, tmp_path):
    run = mesh("demo", "heal", env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)})
    assert run.returncode == 3 and run.stderr.startswith("error[MESH1110]: no demo runs\n  fix ")


@pytest.mark.parametrize("scenario", ["canary", "authz", "slow", "outage"])
def test_scenarios(demo, scenario):
    _, told = demo("--scenario", scenario)
    assert told["edges"]["seen"] >= 6
    status, findings = fetch(told["api"] + "/api/v1/findings")
    assert status == 200 and json.loads(findings)["items"] == []


def at_terminal(mesh_bin, lab, words, env):
    """Starts a demo whose stdout is a terminal; answers the process, its text so far once it is live."""
    terminal, end = os.openpty()
    log = open(lab.folder / "terminal.err", "wb")
    child = subprocess.Popen([mesh_bin, "demo", *words], stdin=subprocess.DEVNULL, stdout=end, stderr=log, env=env,
                             start_new_session=True)
    os.close(end)
    text = b""
    while b"Try, in another terminal:" not in text or not text.endswith(b"\r\n\r\n"):
        text += os.read(terminal, 4096)
    return child, text.decode().replace("\r", ""), terminal


@pytest.mark.parametrize("scenario", [None, "canary", "authz", "slow", "outage"])
def test_every_hint_runs(mesh_bin, mesh, lab, run_dir, scenario):
    env = {**os.environ, "XDG_RUNTIME_DIR": run_dir}
    child, text, terminal = at_terminal(mesh_bin, lab, ["--scenario", scenario] if scenario else [], env)
    try:
        assert re.search(r"mutual TLS +on +7 of 7 edges, SPIFFE identities", text) and "control plane" in text
        hints = [re.split(r"  +| *;", line.strip())[0] for line in text.split("Try, in another terminal:")[1].splitlines()]
        hints = [h for h in hints if h]
        assert len(hints) >= 3
        for hint in hints:
            words = hint.split()
            assert words[0] == "mesh"
            if words[1] == "tap":
                words += ["--limit", "1"]
            run = mesh(*words[1:], env=env)
            denied = hint == "mesh authz check productpage ratings"
            assert run.returncode == (1 if denied else 0), (hint, run.stdout, run.stderr)
    finally:
        child.send_signal(signal.SIGINT)
        child.wait(20)
        os.close(terminal)
    assert child.returncode == 0


def test_a_made_up_graph(demo):
    _, told = demo("--services", "6", "--seed", "3")
    shop = told["shop"].replace("/productpage", "")
    wait_until(lambda: fetch(shop + "/graph")[0] == 200, "the graph to answer")
    status, edges = fetch(told["api"] + "/api/v1/edges")
    assert status == 200
    wait_until(lambda: len({e["destination"].get("workload") for e in json.loads(fetch(told["api"] + "/api/v1/edges")[1])["items"]
                            if e["destination"].get("workload", "").startswith("svc-")}) == 6, "traffic to all six")


def test_unknown_scenario(mesh, run_dir):
    run = mesh("demo", "--scenario", "none", env={**os.environ, "XDG_RUNTIME_DIR": run_dir})
    assert run.returncode == 1 and "error[MESH1114]: there is no scenario 'none'" in run.stderr


def test_the_story(mesh, mesh_bin, run_dir):
    names = [line.split()[0] for line in mesh("demo", "--chapters", "list").stdout.splitlines()]
    assert len(names) == 12
    if is_sanitized(mesh_bin):  # whose shadow is memory too
        names.remove("memory")
    run = mesh("demo", "--check", "--chapters", ",".join(names), timeout=300,
               env={**os.environ, "XDG_RUNTIME_DIR": run_dir})
    assert run.returncode == 0, run.stdout + run.stderr
    assert "FAILED" not in run.stdout and "all promises hold: %d of %d" % (len(names), len(names)) in run.stdout
