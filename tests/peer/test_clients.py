"""Clients and servers that other people wrote, with us between them: plain, with TLS in front, and through two sidecars
with mutual TLS. Each client asks each server for a small answer, sends 1 MiB that has to come back (its length told, and
streamed), and asks many times on one connection; in HTTP/1.1, and in HTTP/2 where both can."""
import asyncio
import hashlib
import json
import os
import ssl
import subprocess

import httpx
import pytest
from harness import config
from harness.lab import Lab
from harness.proc import Process
from tools import PROGRAMS, go_peer, java_client, need, node_packages, python_servers

BIG = os.urandom(1 << 20)
MANY = 30
STEPS = ("get", "big", "stream", "many")
CLIENT_S = 120


# ---- servers: name -> (port, speaks HTTP/2). Paths: /hello, and /echo or, where bodies are stored, /store/NAME

def _ready(lab, name, argv, env=None):
    p = Process(argv, lab.folder / f"{name}.log", env=env)
    lab.at_end(p.stop)
    p.wait_ready_line()
    return [int(word) for word in next(x for x in p.text().splitlines() if x.startswith("ready ")).split()[1:]]


def _nginx(lab):
    one, two = lab.ports.take(), lab.ports.take()
    top = lab.folder / "nginx"
    (top / "www" / "store").mkdir(parents=True)
    (top / "www" / "hello").write_text("hello")
    (top / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; pid {top}/pid; error_log stderr; {"user root;" if os.getuid() == 0 else ""}
events {{ worker_connections 256; }}
http {{
    access_log off; client_max_body_size 8m; root {top}/www;
    client_body_temp_path {top}/body; proxy_temp_path {top}/proxy; fastcgi_temp_path {top}/fastcgi;
    uwsgi_temp_path {top}/uwsgi; scgi_temp_path {top}/scgi;
    server {{
        listen 127.0.0.1:{one}; listen 127.0.0.1:{two} http2;
        location /store/ {{ dav_methods PUT; }}
    }}
}}
""")
    p = Process([need("nginx"), "-p", top, "-c", top / "nginx.conf", "-e", "stderr"], lab.folder / "nginx.log")
    lab.at_end(p.stop)
    p.wait_port(one)
    return {"nginx": (one, False), "nginx-h2": (two, True)}


def _node(lab):
    one, two = _ready(lab, "node", [need("node"), node_packages() / "server.mjs"])
    return {"node": (one, False), "node-h2": (two, True)}


def _go(lab):
    port = _ready(lab, "go", [go_peer(), "http-server"])[0]
    return {"go": (port, False), "go-h2": (port, True)}


def _gunicorn(lab):
    port = lab.ports.take()
    p = Process([python_servers() / "python", "-m", "gunicorn", "--chdir", PROGRAMS, "--threads", 4, "--keep-alive", 30,
                 "--bind", f"127.0.0.1:{port}", "--no-control-socket", "apps:wsgi"], lab.folder / "gunicorn.log",
                env={"PYTHONDONTWRITEBYTECODE": "1"})
    lab.at_end(p.stop)
    p.wait_port(port)
    return {"gunicorn": (port, False)}


def _uvicorn(lab):
    port = lab.ports.take()
    p = Process([python_servers() / "python", "-m", "uvicorn", "--app-dir", PROGRAMS, "--port", port, "--log-level",
                 "warning", "apps:asgi"], lab.folder / "uvicorn.log", env={"PYTHONDONTWRITEBYTECODE": "1"})
    lab.at_end(p.stop)
    p.wait_port(port)
    return {"uvicorn": (port, False)}


class World:
    """All servers that can be had, each behind three fronts of its own."""

    def __init__(self, lab):
        self.lab = lab
        self.servers, self.absent = {}, []
        for start in (_nginx, _node, _go, _gunicorn, _uvicorn):
            try:
                self.servers.update(start(lab))
            except pytest.skip.Exception as why:
                self.absent.append(str(why))
        self.fronts = {"plain": {}, "tls": {}, "pair": {}}
        self._direct()
        self._pair()

    def _hcm(self, cluster):
        return config.hcm(config.routes_to(cluster, timeout="0s"), stat_prefix=cluster)

    def _direct(self):
        server = self.lab.trust.issue("edge")
        tls = config.tls_downstream(server, alpn=("h2", "http/1.1"))
        tls["typed_config"]["require_client_certificate"] = False
        listeners, clusters = [], []
        for name, (port, h2) in self.servers.items():
            clusters.append(config.cluster(name, port, http2=h2))
            for road, secure in (("plain", None), ("tls", tls)):
                self.fronts[road][name] = self.lab.ports.take()
                listeners.append(config.listener(f"{road}-{name}", self.fronts[road][name], self._hcm(name), tls=secure))
        self.direct = self.lab.proxy(listeners, clusters, "direct")

    def _pair(self):
        client, server = self.lab.trust.issue("client"), self.lab.trust.issue("server")
        inner, apps, outer, hops = [], [], [], []
        for name, (port, h2) in self.servers.items():
            middle = self.lab.ports.take()
            self.fronts["pair"][name] = self.lab.ports.take()
            apps.append(config.cluster(name, port, http2=h2))
            inner.append(config.listener(f"in-{name}", middle, self._hcm(name), direction="INBOUND",
                                         tls=config.tls_downstream(server, alpn=("h2", "istio-h2", "istio", "http/1.1"))))
            # Between the sidecars the version is the server's, as Istio's clusters have it.
            hops.append(config.cluster(name, middle, http2=h2, tls=config.tls_upstream(
                client, sans=[server.uri], sni="outbound_.80_._.server.default.svc.cluster.local",
                alpn=("istio-h2", "h2") if h2 else ("istio",))))
            outer.append(config.listener(f"out-{name}", self.fronts["pair"][name], self._hcm(name), direction="OUTBOUND"))
        self.inner = self.lab.proxy(inner, apps, "inner")
        self.outer = self.lab.proxy(outer, hops, "outer")

    def cells(self, versions):
        """What a client is to try; versions: {road: HTTP versions that it can speak there}"""
        for road, all_versions in versions.items():
            for version in all_versions:
                for name, port in self.fronts[road].items():
                    store = name.startswith("nginx")
                    yield {"name": f"{name} {road} HTTP/{version}", "url": f"http{'s' if road == 'tls' else ''}://127.0.0.1:{port}",
                           "path": f"/store/{os.urandom(8).hex()}" if store else "/echo", "version": version, "store": store}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("world"))
    try:
        yield World(lab)
    finally:
        lab.close()


def judge(world, cells, told):
    """told: [{"name": cell, step: "ok" or what was wrong}]"""
    by_name = {t["name"]: t for t in told}
    bad = [f"{c['name']}: {s}: {by_name.get(c['name'], {}).get(s, 'nothing told')}"
           for c in cells for s in STEPS if by_name.get(c["name"], {}).get(s) != "ok"]
    assert not bad, "%d of %d:\n%s" % (len(bad), len(cells) * len(STEPS), "\n".join(bad))
    print(f"{len(cells)} cells; without {world.absent}")


def told_by(argv):
    done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CLIENT_S,
                          check=False, env={k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")})
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert told, done.stdout + done.stderr
    return told


def tried(call):
    try:
        call()
        return "ok"
    except (AssertionError, httpx.HTTPError, subprocess.SubprocessError) as error:
        return repr(error)


# ---- clients

class Command:
    """A client that is a program of the command line, called once for each step."""

    def __init__(self, folder, cell):
        self.cell = cell
        self.file = folder / "big"
        self.file.write_bytes(BIG)

    def out(self, *argv, feed=None):
        done = subprocess.run([str(a) for a in argv], input=feed, capture_output=True, timeout=20, check=False,
                              **({} if feed is not None else {"stdin": subprocess.DEVNULL}))
        assert done.returncode == 0, f"{done.returncode} {done.stderr[-300:]}"
        return done.stdout

    def tell(self):
        steps = {"get": self.get, "big": self.big, "stream": self.stream, "many": self.many}
        return {"name": self.cell["name"], **{name: tried(step) for name, step in steps.items()}}

    def back(self, answer):
        """What came back for the body, after a GET where it was stored."""
        if self.cell["store"]:
            answer = self.fetch(self.cell["path"])
        assert hashlib.sha256(answer).digest() == hashlib.sha256(BIG).digest(), (len(answer), answer[:200])

    def get(self):
        assert self.fetch("/hello") == b"hello"


class Curl(Command):
    def call(self, *argv, feed=None):
        version = "--http1.1" if self.cell["version"] == 1 else (
            "--http2" if self.cell["url"].startswith("https") else "--http2-prior-knowledge")
        return self.out("curl", "-sS", "--noproxy", "*", "--insecure", "--fail", "--max-time", 15, version, *argv, feed=feed)

    def fetch(self, path):
        return self.call(self.cell["url"] + path)

    @property
    def _method(self):
        return "PUT" if self.cell["store"] else "POST"

    def big(self):
        self.back(self.call("-X", self._method, "--data-binary", f"@{self.file}", self.cell["url"] + self.cell["path"]))

    def stream(self):
        self.back(self.call("-X", self._method, "-T", "-", self.cell["url"] + self.cell["path"], feed=BIG))

    def many(self):
        if self.cell["version"] == 2 and not self.cell["url"].startswith("https"):
            return  # curl 7.88 can not use a connection of prior knowledge again, with any server
        url = f"{self.cell['url']}/hello#[1-{MANY}]"
        said = self.call("-w", " %{num_connects} %{http_version}\n", url).decode()
        version = "1.1" if self.cell["version"] == 1 else "2"
        assert said.splitlines() == [f"hello {0 if i else 1} {version}" for i in range(MANY)], said[:300]


class Nghttp(Command):
    def call(self, path, *argv):
        return self.out("nghttp", "--no-dep", "-t", 15, *argv, self.cell["url"] + path)

    def fetch(self, path):
        return self.call(path)

    def _upload(self, *argv):
        how = ("-H", ":method: PUT") if self.cell["store"] else ()
        self.back(self.call(self.cell["path"], *how, "-d", self.file, *argv))

    def big(self):
        self._upload()

    def stream(self):
        self._upload("--no-content-length")

    def many(self):
        """All at once, on one connection."""
        assert self.call("/hello", "-m", MANY) == b"hello" * MANY


def httpx_tells(cell):
    two = cell["version"] == 2
    with httpx.Client(http1=not two, http2=two, verify=False, timeout=20, trust_env=False) as c:
        def upload(content):
            answer = c.request("PUT" if cell["store"] else "POST", cell["url"] + cell["path"], content=content)
            assert answer.is_success, answer
            if cell["store"]:
                answer = c.get(cell["url"] + cell["path"])
            assert answer.content == BIG, (len(answer.content), answer.content[:200])

        def hello():
            answer = c.get(cell["url"] + "/hello")
            assert answer.content == b"hello" and answer.http_version == f"HTTP/{'2' if two else '1.1'}", answer

        def many():
            for _ in range(MANY):
                hello()
        return {"name": cell["name"], "get": tried(hello), "big": tried(lambda: upload(BIG)),
                "stream": tried(lambda: upload(BIG[i:i + 10000] for i in range(0, len(BIG), 10000))), "many": tried(many)}


EVERYWHERE = {"plain": (1, 2), "tls": (1, 2), "pair": (1, 2)}


def connections(world):
    return sum(v for p in (world.direct, world.outer) for k, v in p.stats().items()
               if k.startswith("http.") and k.endswith(".downstream_cx_total") and "admin" not in k)


def most_connections(cells):
    """One for each, and where an HTTP/1 answer began before its large body was here one more for each of the two bodies:
    such an answer may say that the connection closes."""
    return sum(1 if c["version"] == 2 else 3 for c in cells)


@pytest.mark.parametrize("kind", [Curl, Nghttp])
def test_command(world, tmp_path, kind):
    need(kind.__name__.lower())
    cells = list(world.cells(EVERYWHERE if kind is Curl else {"plain": (2,), "tls": (2,), "pair": (2,)}))
    judge(world, cells, [kind(tmp_path, c).tell() for c in cells])


def test_httpx(world):
    cells = list(world.cells(EVERYWHERE))
    before = connections(world)
    judge(world, cells, [httpx_tells(c) for c in cells])
    assert connections(world) - before <= most_connections(cells)


def test_undici(world):
    cells = list(world.cells(EVERYWHERE))
    judge(world, cells, told_by([need("node"), node_packages() / "client.mjs", json.dumps(cells)]))


def test_go(world):
    cells = list(world.cells(EVERYWHERE))
    before = connections(world)
    judge(world, cells, told_by([go_peer(), "http-client", json.dumps(cells)]))
    assert connections(world) - before <= most_connections(cells)


def test_java(world):
    """Without TLS it knows no HTTP/2 but by Upgrade, which is not to be answered."""
    cells = list(world.cells(EVERYWHERE))
    words = [str(w) for c in cells for w in (c["name"], c["url"], c["path"], c["version"], int(c["store"]))]
    judge(world, cells, told_by([*java_client(), *words]))
