"""mesh demo --netns: pods as far as a kernel goes. What is on the wire, who runs as whom, and what is left afterwards."""
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys

import pytest
from harness.netns import NetNs, why_not
from harness.proc import Process, wait_until
from harness.proxy import is_sanitized

pytestmark = [pytest.mark.mesh_only, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]

ETH_P_ALL, ETH_P_IP, SO_RCVBUFFORCE, TCP = 3, 0x0800, 33, 6


@pytest.fixture
def run_dir(lab):
    folder = subprocess.run(["mktemp", "-d", "/tmp/mesh-e2e.XXXXXX"], capture_output=True, text=True,
                            check=True).stdout.strip()
    os.chmod(folder, 0o711)  # proxies have a user of their own
    yield folder
    left = os.listdir(folder)
    subprocess.run(["rm", "-rf", folder], check=True)
    assert left == []


class Demo:
    def __init__(self, process, told):
        self.process, self.told = process, told
        self.pids = {m["name"]: m["pid"] for m in told["members"]}
        self.net = re.match(r"http://(10\.66\.\d+\.)2:8080/", told["shop"]).group(1)

    def cable(self):
        return "mesh-demo-" + self.net.split(".")[2]

    def inside(self, name, url):
        """Status and body of a request by a program in a workload's pod that knows nothing of any mesh."""
        code = ("import sys, urllib.request, urllib.error\n"
                "try: a = urllib.request.urlopen(sys.argv[1], timeout=10)\n"
                "except urllib.error.HTTPError as e: a = e\n"
                "print(a.status); print(a.read().decode())")
        run = subprocess.run(["nsenter", "-t", str(self.pids[name]), "-n", "-m", sys.executable, "-c", code, url],
                             capture_output=True, text=True, timeout=20, env={})
        status, _, body = run.stdout.partition("\n")
        assert status, run.stderr
        return int(status), body


@pytest.fixture
def demo(mesh_bin, lab, run_dir):
    demos = []

    def start(*words):
        log = lab.folder / f"demo{len(demos)}.log"
        p = Process(["setsid", mesh_bin, "demo", "--netns", *words], log, env={"XDG_RUNTIME_DIR": run_dir})
        demos.append(p)
        line = p.wait_for(lambda: re.search(r"^\{.*\}$", p.text(), re.M), "the demo to be live", 60)
        return Demo(p, json.loads(line.group(0)))
    yield start
    for p in demos:
        p.stop(20)


def fetch(url):
    host, _, path = url.removeprefix("http://").partition("/")
    c = http.client.HTTPConnection(host, timeout=20)
    c.request("GET", "/" + path)
    answer = c.getresponse()
    return answer.status, answer.read().decode()


def status_of(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return re.search(rf"^{field}:\s*(.*)$", f.read(), re.M).group(1).split()


def file_of(pid, path):
    with open(f"/proc/{pid}/{path}", encoding="utf-8") as f:
        return f.read()


def workloads(d):
    return [name for name in d.pids if "proxy of " + name in d.pids]


def test_live_and_nothing_is_left(demo, run_dir):
    d = demo()
    assert d.told["edges"] == {"expected": 7, "seen": 7, "mutualTls": 7}
    status, page = fetch(d.told["shop"])
    assert status == 200 and "Book Reviews" in page and "Book Details" in page
    assert os.path.exists("/sys/class/net/" + d.cable())
    os.killpg(d.process.pid, signal.SIGINT)
    assert d.process.wait() == 0
    assert os.listdir(run_dir) == []
    wait_until(lambda: not os.path.exists("/sys/class/net/" + d.cable()), "the cable to be gone")
    assert d.process.text().count("\n") == 1


def test_pods_are_apart_and_applications_know_nothing(demo):
    d = demo("--no-traffic")
    names = workloads(d)
    assert len(names) == 6
    namespaces = {os.readlink(f"/proc/{d.pids[name]}/ns/net") for name in names}
    assert len(namespaces) == 6 and os.readlink("/proc/self/ns/net") not in namespaces
    for name in names:
        app, proxy = d.pids[name], d.pids["proxy of " + name]
        assert os.readlink(f"/proc/{proxy}/ns/net") == os.readlink(f"/proc/{app}/ns/net")
        assert status_of(proxy, "Uid") == status_of(proxy, "Gid") == ["1337"] * 4
        assert int(status_of(proxy, "CapEff")[0], 16) == 0
        words = file_of(app, "cmdline") + file_of(app, "environ")
        assert not re.search(r"http_proxy=[^\0]|150\d\d", words, re.I)
        assert f"nameserver {d.net}1\n" in file_of(app, "root/etc/resolv.conf")
    assert "nameserver " + d.net not in file_of("self", "root/etc/resolv.conf")


def test_names_and_places_from_within_a_pod(demo):
    d = demo("--no-traffic")
    for host in ("ratings", "ratings.default", "ratings.default.svc.cluster.local"):
        status, body = d.inside("productpage-v1", f"http://{host}:9080/ratings/0")
        assert status == 200 and json.loads(body)["ratings"]
    assert d.inside("details-v1", "http://details:9080/details/0")[0] == 200  # itself, through its service
    # What is not of the mesh is passed on as it is.
    assert d.inside("details-v1", f"http://{d.net}2:8080/productpage")[0] == 200
    # A port that no service has: the inbound side passes it on, and it is seen to come from there.
    with NetNs(d.pids["details-v1"]):
        listener = socket.create_server(("0.0.0.0", 7777))
    with listener, socket.create_connection((d.net + "12", 7777), timeout=10) as c:
        c.sendall(b"hello")
        listener.settimeout(10)
        got, peer = listener.accept()
        with got:
            got.settimeout(10)
            assert got.recv(5) == b"hello" and peer[0] == "127.0.0.6"


# ---- on the wire


class Wire:
    """All that passes a pod's eth0."""

    def __init__(self, pid):
        with NetNs(pid):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self.socket.bind(("eth0", 0))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        self.socket.setblocking(False)

    def segments(self):
        """(source, destination, payload) of TCP so far."""
        while True:
            try:
                frame = self.socket.recv(65536)
            except BlockingIOError:
                return
            if struct.unpack_from("!H", frame, 12)[0] != ETH_P_IP or frame[23] != TCP:
                continue
            total = struct.unpack_from("!H", frame, 16)[0]
            start = 14 + (frame[14] & 15) * 4
            payload = frame[start + (frame[start + 12] >> 4) * 4:14 + total]
            if payload:
                yield socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34]), payload


def test_nothing_is_readable_between_workloads(demo):
    d = demo("--no-traffic")
    wires = [Wire(d.pids[name]) for name in [*workloads(d), "proxy of bookinfo-gateway", "control"]]
    for _ in range(30):
        assert fetch(d.told["shop"])[0] == 200
    readable = re.compile(rb"HTTP/1\.[01]|GET /|POST /|[Hh]ost: |[Xx]-[Rr]equest|<html|Comedy of Errors")
    outside = d.net + "254"
    shopped, between, tls = 0, 0, 0
    pairs = set()
    for wire in wires:
        with wire.socket:
            for source, destination, payload in wire.segments():
                if outside in (source, destination):  # who shops does so in plain HTTP
                    shopped += len(readable.findall(payload)) > 0
                    continue
                between += 1
                pairs.add((source, destination))
                tls += payload[0] in (0x14, 0x15, 0x16, 0x17) and payload[1] == 3
                assert not readable.search(payload), (source, destination, payload[:200])
    assert shopped >= 60 and between >= 200 and tls >= between / 2
    host = {name: d.net + str(n) for name, n in
            [("gateway", 2), ("productpage", 11), ("details", 12), ("reviews-v1", 13), ("reviews-v2", 14), ("ratings", 16)]}
    for a, b in [("gateway", "productpage"), ("productpage", "details"), ("productpage", "reviews-v1"),
                 ("productpage", "reviews-v2"), ("reviews-v2", "ratings")]:
        assert (host[a], host[b]) in pairs and (host[b], host[a]) in pairs


# ---- its end, and its beginning


def test_a_killed_demo_leaves_no_network(demo):
    d = demo("--no-traffic")
    d.process.kill()
    wait_until(lambda: not any(os.path.exists(f"/proc/{p}") for p in d.pids.values()), "the children to be gone")
    wait_until(lambda: not os.path.exists("/sys/class/net/" + d.cable()), "the cable to be gone")
    again = demo("--no-traffic")
    assert again.told["folder"] == d.told["folder"]


def test_two_at_once(demo):
    one, two = demo("--no-traffic"), demo("--no-traffic")
    assert one.net != two.net
    assert fetch(one.told["shop"])[0] == fetch(two.told["shop"])[0] == 200


def test_without_root_it_says_so(mesh_bin, run_dir):
    os.chmod(run_dir, 0o777)
    program = run_dir + "/mesh"
    subprocess.run(["cp", mesh_bin, program], check=True)
    try:
        run = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", program, "demo",
                              "--netns"], capture_output=True, text=True, timeout=20, env={"XDG_RUNTIME_DIR": run_dir})
    finally:
        os.unlink(program)
    assert run.returncode == 5 and "MESH1100" in run.stderr and "need root" in run.stderr


def test_a_folder_where_proxies_do_not_get(mesh, run_dir):
    os.chmod(run_dir, 0o700)
    run = mesh("demo", "--netns", env={**os.environ, "XDG_RUNTIME_DIR": run_dir})
    assert run.returncode == 1 and "MESH1103" in run.stderr and f"'{run_dir}'" in run.stderr


def test_the_story(mesh, mesh_bin, run_dir):
    names = [line.split()[0] for line in mesh("demo", "--chapters", "list").stdout.splitlines()]
    assert len(names) == 12
    if is_sanitized(mesh_bin):  # whose shadow is memory too
        names.remove("memory")
    run = mesh("demo", "--netns", "--check", "--chapters", ",".join(names), timeout=300,
               env={**os.environ, "XDG_RUNTIME_DIR": run_dir})
    assert run.returncode == 0, run.stdout + run.stderr
    assert "FAILED" not in run.stdout and "all promises hold: %d of %d" % (len(names), len(names)) in run.stdout
