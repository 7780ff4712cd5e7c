"""mesh sample: Bookinfo's services and the load maker, as separate programs."""
import json
import re
import socket
import subprocess

import pytest
from harness.client import get, request
from harness.proc import Process

pytestmark = pytest.mark.mesh_only


@pytest.fixture
def service(mesh_bin, lab):
    """Starts `mesh sample WORD ...` and answers its port."""
    def start(word, *args, **env):
        name = f"{word}{len(list(lab.folder.glob('*.log')))}"
        where = [] if word == "load" else ["--address", "127.0.0.1:0"]
        p = Process([mesh_bin, "sample", word, *where, *args], lab.folder / f"{name}.log", env=env)
        lab.at_end(p.stop)
        return int(p.wait_for(lambda: re.search(r"ready 127.0.0.1:(\d+)", p.text()), "its address").group(1))
    return start


def test_the_shop(service):
    ratings = service("ratings")
    details = service("details")
    env = {"RATINGS_HOSTNAME": "127.0.0.1", "RATINGS_SERVICE_PORT": str(ratings)}
    pages = []
    for version in ("v1", "v2", "v3"):
        reviews = service("reviews", "--version", version, "--name", f"reviews-{version}-0", **env)
        shop = service("productpage", DETAILS_HOSTNAME="127.0.0.1", DETAILS_SERVICE_PORT=str(details),
                       REVIEWS_HOSTNAME="127.0.0.1", REVIEWS_SERVICE_PORT=str(reviews), **env)
        pages.append(get(shop, "/productpage").body.decode())
        assert f"<u>reviews-{version}-0</u>" in pages[-1]
        for path in ("/", "/health", "/api/v1/products", "/api/v1/products/0", "/api/v1/products/0/ratings"):
            assert get(shop, path).status == 200
    assert [p.count('"glyphicon glyphicon-star"') for p in pages] == [0, 9, 9]
    assert [p.count('<font color="red">') for p in pages] == [0, 0, 2]
    for p in pages:
        assert "<title>Simple Bookstore App</title>" in p and "Book Details" in p and "Book Reviews" in p


def test_forward_proxy_and_headers(service, mesh_bin, lab):
    """The echo stands in for a proxy: it is asked in absolute form for http://details:9080."""
    p = Process([mesh_bin, "sample", "--listen", "127.0.0.1:0"], lab.folder / "echo.log")
    lab.at_end(p.stop)
    echo = p.wait_for(lambda: re.search(r"ready (127.0.0.1:\d+)", p.text()), "its address").group(1)
    shop = service("productpage", http_proxy=f"http://{echo}")
    login = request(shop, "POST", "/login", b"username=jason&passwd=", {"content-type": "application/x-www-form-urlencoded"})
    assert login.status == 302
    cookie = login.get("set-cookie").split(";")[0]
    seen = get(shop, "/api/v1/products/0", cookie=cookie, x_request_id="r1", x_b3_traceid="t", accept="x").json()
    assert seen["path"] == "/details/0"
    h = seen["headers"]
    assert h["host"] == "details:9080" and h["end-user"] == "jason" and h["cookie"] == cookie
    assert h["x-request-id"] == "r1" and h["x-b3-traceid"] == "t" and "accept" not in h


def test_a_second_address_for_health_and_faults(service, mesh_bin, lab):
    probe = lab.folder / "probe.sock"
    port = service("ratings", "--health-address", f"unix:{probe}")

    def ask(method, path):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(probe))
            s.sendall(f"{method} {path} HTTP/1.1\r\nhost: x\r\nx-mesh-write: 1\r\nconnection: close\r\n\r\n".encode())
            return int(s.makefile().readline().split()[1])
    assert ask("GET", "/health") == 200
    assert ask("GET", "/ratings/0") == 404
    assert ask("POST", "/fault?status=503") == 200
    assert get(port, "/ratings/0").status == 503 and ask("GET", "/health") == 200
    run = subprocess.run([mesh_bin, "sample", "ratings", "--address", "127.0.0.1:0", "--health-address", "here"],
                         capture_output=True, text=True, timeout=20)
    assert run.returncode == 2 and "--health-address" in run.stderr


def test_load(service, mesh_bin):
    ratings = service("ratings")
    url = f"http://127.0.0.1:{ratings}/ratings/0"
    run = subprocess.run([mesh_bin, "sample", "load", url, "--rps", "200", "--duration", "500ms", "--json"],
                         capture_output=True, text=True, timeout=30, check=False)
    told = json.loads(run.stdout)
    assert run.returncode == 0 and told["sent"] == told["ok"] == 100 and told["failed"] == 0 and told["p99Ms"] > 0
    assert request(ratings, "POST", "/fault?status=503&share=100", b"", {"x-mesh-write": "1"}).status == 200
    run = subprocess.run([mesh_bin, "sample", "load", url, "--rps", "100", "--duration", "100ms"],
                         capture_output=True, text=True, timeout=30, check=False)
    assert run.returncode == 1 and "10 sent  0 ok  10 failed (503: 10)" in run.stdout
    run = subprocess.run([mesh_bin, "sample", "load"], capture_output=True, text=True, timeout=30, check=False)
    assert run.returncode == 2 and "want one URL" in run.stderr
