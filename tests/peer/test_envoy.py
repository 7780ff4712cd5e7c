"""Beside a real Envoy: each takes the other's configuration, and either can be one of a pair of sidecars."""
import os
import shutil
import signal
import subprocess

import pytest
import yaml
from harness import config
from harness.client import Http, request
from harness.proc import REPO, find_envoy
from harness.proxy import Proxy

EXAMPLE = REPO / "examples" / "two-services"
HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture
def envoy():
    return find_envoy() or pytest.skip("Envoy is not installed")


@pytest.fixture
def example(lab):
    """A copy of the example, with certificates and a loopback network of its own."""
    folder = lab.folder / "example"
    shutil.copytree(EXAMPLE, folder)
    net = f"127.{64 + os.getpid() % 60}.{lab.ports.take() % 250}."
    for path in folder.glob("*.yaml"):
        path.write_text(path.read_text().replace("127.66.0.", net))
    certs = folder / "certs"
    certs.mkdir()
    for name in ("web", "api"):
        identity = lab.trust.issue(name)
        shutil.copy(identity.cert, certs / f"{name}.crt")
        shutil.copy(identity.key, certs / f"{name}.key")
    shutil.copy(lab.trust.root, certs / "root.crt")
    return folder, net


@pytest.mark.parametrize("side", ["web", "api"])
def test_envoy_validates_our_example(envoy, example, side):
    folder, _ = example
    done = subprocess.run([envoy, "--mode", "validate", "-c", f"{side}-bootstrap.yaml"], cwd=folder,
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    # Validation does not follow the file sources, so their resources are made static and looked at too.
    boot = yaml.safe_load((folder / f"{side}-bootstrap.yaml").read_text())
    del boot["dynamic_resources"]
    boot["static_resources"] = {
        kind: [{k: v for k, v in r.items() if k != "@type"}
               for r in yaml.safe_load((folder / f"{side}-{kind}.yaml").read_text())["resources"]]
        for kind in ("listeners", "clusters")}
    (folder / "static.yaml").write_text(yaml.safe_dump(boot))
    done = subprocess.run([envoy, "--mode", "validate", "-c", "static.yaml"], cwd=folder, capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def static_envoy(lab, app_port):
    """The configuration of two services that an Envoy user wrote: tests/peer/two-services-*.yaml with ports
    and certificates filled in. Answers the two bootstraps and the port of the client's side."""
    client, server = lab.trust.issue("client"), lab.trust.issue("server")
    ports = {"APP": app_port, "INBOUND": lab.ports.take(), "OUTBOUND": lab.ports.take(),
             "CLIENT_ADMIN": lab.ports.take(), "SERVER_ADMIN": lab.ports.take()}
    paths = {"CLIENT_CERT": client.cert, "CLIENT_KEY": client.key, "SERVER_CERT": server.cert,
             "SERVER_KEY": server.key, "ROOT": lab.trust.root}
    boots = []
    for side in ("client", "server"):
        with open(os.path.join(HERE, f"two-services-{side}.yaml"), encoding="utf-8") as f:
            text = f.read()
        for name, value in {**ports, **paths}.items():
            text = text.replace(f"@{name}@", str(value))
        boots.append(yaml.safe_load(text))
    return boots, ports["OUTBOUND"]


def exercise(port):
    with Http(port) as c:
        assert c.get("/", host="server.example").body == b"app"
        assert c.get("/api/echo", host="server.example").json()["target"] == "/echo"
        assert c.get("/", host="nobody.example").status == 404
        assert c.get("/private", host="server.example").status == 403
        a = c.request("POST", "/echo", b"x" * 300000, {"host": "server.example"})
        assert a.json()["body_bytes"] == 300000


def as_resources(boot):
    typed = {"listeners": config.LISTENER, "clusters": config.CLUSTER}
    return [{"@type": typed[kind], **r} for kind in typed for r in boot["static_resources"][kind]]


def start(lab, kind, binary, name, boot):
    admin = boot["admin"]["address"]["socket_address"]["port_value"]
    p = Proxy(lab.folder, f"{kind}-{name}", boot, admin, kind, binary)
    lab.at_end(p.stop)
    return p.wait_ready()


def test_envoys_static_configuration_as_it_is(lab):
    app = lab.http_origin()
    boots, port = static_envoy(lab, app.port)
    for name, boot in zip(("client", "server"), boots):
        start(lab, lab.kind, lab.binary, name, boot)
    exercise(port)


def test_envoys_static_configuration_as_xds(lab):
    """Each side gets the other format: the resources of the static file, over a stream."""
    app = lab.http_origin()
    boots, port = static_envoy(lab, app.port)
    for boot in boots:
        ads = lab.ads()
        versions = ads.put(*as_resources(boot))
        lab.ads_proxy(ads.port)
        ads.wait_taken(versions)
        assert ads.refusals == []
    exercise(port)


@pytest.mark.mesh_only
@pytest.mark.parametrize("client_kind", ["mesh", "envoy"])
def test_one_sidecar_of_each_kind(lab, envoy, client_kind):
    app = lab.http_origin()
    boots, port = static_envoy(lab, app.port)
    binaries = {"mesh": lab.binary, "envoy": envoy}
    server_kind = "envoy" if client_kind == "mesh" else "mesh"
    start(lab, client_kind, binaries[client_kind], "client", boots[0])
    start(lab, server_kind, binaries[server_kind], "server", boots[1])
    exercise(port)
    body = bytes(range(256)) * 4096
    assert request(port, "POST", "/mirror", body, {"host": "server.example"}).body == body


def test_the_example_runs(lab, example):
    """The example's files as they are, with a service of the tests behind."""
    import http.server
    import threading
    folder, net = example

    class Api(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = (self.headers.get("x-forwarded-client-cert") or "nobody").encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass
    api = http.server.ThreadingHTTPServer((net + "2", 8080), Api)
    threading.Thread(target=api.serve_forever, daemon=True).start()
    lab.at_end(api.shutdown)
    for side in ("api", "web"):
        argv = [lab.binary, "proxy", "--config-file"] if lab.kind == "mesh" else [
            lab.binary, "--disable-hot-restart", "--concurrency", "1", "-l", "warn", "-c"]
        p = subprocess.Popen([*argv, f"{side}-bootstrap.yaml"], cwd=folder, stdin=subprocess.DEVNULL,
                             stdout=open(folder / f"{side}.log", "wb"), stderr=subprocess.STDOUT)
        lab.at_end(lambda p=p: (p.send_signal(signal.SIGKILL), p.wait()))
    from harness.proc import wait_until
    import http.client

    def ask(path):
        c = http.client.HTTPConnection(net + "1", 15001, timeout=10)
        c.request("GET", path, headers={"host": "api"})
        r = c.getresponse()
        return r.status, r.read().decode()
    wait_until(lambda: ask("/")[0] == 200, "the example to serve")
    assert "URI=" + lab.trust.spiffe("web") in ask("/")[1]
    assert ask("/private") == (403, "RBAC: access denied")
