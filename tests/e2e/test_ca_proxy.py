"""Proxies that get who they are from `mesh ca`: at the first start, renewed while they carry traffic, kept over a restart."""
import json
import os
import socket
import ssl
import stat
import threading
import time

import pytest
from harness import config
from harness.ca import Ca, uri_of
from harness.client import Http, get
from harness.pki import TrustDomain
from harness.proc import Process, wait_until

pytestmark = pytest.mark.mesh_only
OWN = {"name": "default", "trust_name": "ROOTCA", "sds": {"ads": {}}}


def spiffe(account):
    return f"spiffe://cluster.local/ns/default/sa/{account}"


@pytest.fixture
def ca_of(mesh_bin, tmp_path, lab):
    def run(*args, **options):
        ca = Ca(mesh_bin, tmp_path, *args, **options)
        lab.at_end(lambda: ca.alive() and ca.stop())
        return ca
    return run


def told(ca, folder, account, token=None, pin=False, state=True):
    """Options of a proxy that gets its identity from `ca`."""
    args = ["--control", f"127.0.0.1:{ca.port}", "--service-account", account]
    if pin:
        args += ["--ca-pin", ca.pin]
    else:
        args += ["--ca-root", ca.data / "ca-root.pem"]
    if state:
        args += ["--state-dir", folder / f"state-{account}"]
    return {"args": args, "env": {"MESH_TOKEN": ca.token(account) if token is None else token}}


def front(lab, port, tls=None):
    return [config.listener("front", port, config.hcm(config.routes_to("app")), tls=tls, direction="INBOUND")]


def server(lab, ca, account="server", name=None, app=None, **options):
    """A proxy whose one listener asks for mutual TLS with its own identity."""
    app = app or lab.http_origin()
    port = lab.ports.take()
    p = lab.proxy(front(lab, port, config.tls_downstream(OWN)), [config.cluster("app", app.port)], name or account,
                  **{**(told(ca, lab.folder, account) if ca else {}), **options})
    p.port = port
    return p


def shown(p):
    """SPIFFE IDs and times of the certificates in use, as /certs tells."""
    for entry in json.loads(p.admin("/certs")[1])["certificates"]:
        for cert in entry["cert_chain"]:
            return cert["subject_alt_names"][0]["uri"], cert["serial_number"]
    return None, None


def hands(port, identity):
    """TLS with this identity against the proxy: the SPIFFE IDs of the certificate that it shows."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname = False
    ctx.load_verify_locations(identity.root)
    ctx.load_cert_chain(identity.cert, identity.key)
    with socket.create_connection(("127.0.0.1", port), 10) as s, ctx.wrap_socket(s) as tls:
        tls.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        answer = tls.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200"), answer
        return uri_of(ssl.DER_cert_to_PEM_cert(tls.getpeercert(True)).encode())


@pytest.mark.parametrize("pin", [False, True], ids=["root", "pin"])
def test_identity_by_token(lab, ca_of, pin):
    ca = ca_of()
    p = server(lab, ca, **told(ca, lab.folder, "server", pin=pin))
    assert shown(p)[0] == spiffe("server")
    assert hands(p.port, ca.join("client")) == [spiffe("server")]
    row, = [r for r in ca.ledger() if r["identity"] == spiffe("server")]
    assert row["serial"] == shown(p)[1] and row["proof"].startswith("token:")
    metrics = p.admin("/stats/prometheus")[1]
    assert 'mesh_identity_requests_total{result="given"} 1' in metrics
    ends = [line for line in metrics.splitlines() if line.startswith("mesh_identity_expiry_timestamp_seconds")]
    assert abs(float(ends[0].split()[-1]) - time.time() - 86400) < 60


def test_token_from_a_file(lab, ca_of):
    ca = ca_of()
    file = lab.folder / "token"
    file.write_text(ca.token("server") + "\n")
    options = told(ca, lab.folder, "server", token="")
    server(lab, ca, args=[*options["args"], "--token-file", file])


def not_ready(lab, ca, words, **options):
    port = lab.ports.take()
    boot = config.bootstrap(lab.ports.take(), front(lab, port, config.tls_downstream(OWN)),
                            [config.cluster("app", lab.dead_port())])
    p = lab.boot(boot, wait=False, **options)
    p.wait_for(lambda: words in p.text(), f"it to say '{words}'")
    assert p.admin("/ready")[0] == 503
    with pytest.raises(OSError):
        hands(port, ca.join("client"))
    return p


def test_not_ready_before_it_has_an_identity(lab, ca_of):
    ca = ca_of()
    p = not_ready(lab, ca, "MESH3003", **told(ca, lab.folder, "server", token="mesh1.aaaaaaaaaa." + "a" * 26))
    assert all(r["identity"] != spiffe("server") for r in ca.ledger())
    assert p.admin("/ready")[0] == 503


def test_token_of_somebody_else_is_no_use(lab, ca_of):
    ca = ca_of()
    not_ready(lab, ca, "MESH3004", **told(ca, lab.folder, "server", token=ca.token("other", uses=-1)))


@pytest.mark.parametrize("pin", [False, True], ids=["root", "pin"])
def test_another_authority_gets_no_token(lab, ca_of, pin):
    """The token is told to nobody but the control plane of our mesh."""
    ca = ca_of()
    options = told(ca, lab.folder, "server", token=ca.token("server"), pin=pin)
    wrong = TrustDomain(lab.folder / "other")
    at = [str(a) for a in options["args"]].index("--ca-pin" if pin else "--ca-root")
    options["args"][at + 1] = "sha256:" + "0" * 64 if pin else wrong.root
    not_ready(lab, ca, "no certificate yet", **options)
    assert ca.api("GET", "/api/v1/tokens")["items"][-1]["usesLeft"] == 1


def test_a_workload_can_not_stand_in_for_the_authority(lab, ca_of):
    """Signed by the right root, but of another name than the control plane's."""
    ca = ca_of()
    mallory = ca.join("mallory")
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(mallory.cert, mallory.key)
    ctx.set_alpn_protocols(["h2"])
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        def run():
            while True:
                try:
                    c, _ = listening.accept()
                    with c, ctx.wrap_socket(c, server_side=True) as tls:
                        heard.append(tls.recv(100))
                except ssl.SSLError:
                    pass
                except OSError:
                    return
        threading.Thread(target=run, daemon=True).start()
        options = told(ca, lab.folder, "server")
        options["args"][1] = f"127.0.0.1:{listening.getsockname()[1]}"
        not_ready(lab, ca, "mallory", **options)
    assert not [h for h in heard if h]


def test_authority_that_comes_late(lab, ca_of):
    ca = ca_of()
    options, port = told(ca, lab.folder, "server"), ca.port
    ca.stop()
    listening = lab.ports.take()
    boot = config.bootstrap(lab.ports.take(), front(lab, listening, config.tls_downstream(OWN)),
                            [config.cluster("app", lab.http_origin().port)])
    p = lab.boot(boot, wait=False, **options)
    p.wait_for(lambda: "no certificate yet" in p.text(), "a first attempt")
    ca_of(port=port)
    p.wait_ready()


def test_state_is_kept_and_its_owners(lab, ca_of):
    """A restart while the authority is away has its identity."""
    ca = ca_of()
    p = server(lab, ca, name="first")
    file = lab.folder / "state-server" / "identity.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    serial, client = shown(p)[1], ca.join("client")
    p.stop()
    options = told(ca, lab.folder, "server", token="")
    ca.stop()
    again = server(lab, None, name="second", **options)
    assert shown(again) == (spiffe("server"), serial)
    assert hands(again.port, client) == [spiffe("server")]


@pytest.mark.parametrize("spoil", ["mode", "account", "root", "garbage"])
def test_state_that_can_not_be_used(lab, ca_of, spoil):
    ca = ca_of()
    server(lab, ca, name="first").stop()
    file = lab.folder / "state-server" / "identity.json"
    if spoil == "mode":
        file.chmod(0o644)
    elif spoil == "account":
        (lab.folder / "state-server").rename(lab.folder / "state-other")
    elif spoil == "root":
        body = json.loads(file.read_text())
        body["roots"] = TrustDomain(lab.folder / "other").root_pem.decode()
        file.write_text(json.dumps(body))
    else:
        file.write_text(file.read_text()[:500])
    account = "other" if spoil == "account" else "server"
    p = server(lab, ca, account, name="second", log_level="info", **told(ca, lab.folder, account))
    assert "what the last run kept is not used" in p.text()
    assert shown(p)[0] == spiffe(account)


def test_renewal_by_certificate_at_half_life(lab, ca_of):
    ca = ca_of("--leaf-ttl", "4s")
    p = server(lab, ca)
    rows = ca.wait_ledger(3, "certificate:")
    ours = [r for r in ca.ledger() if r["identity"] == spiffe("server")]
    times = sorted(r["issued"] for r in ours)
    assert len(ours) >= 4 and rows
    for a, b in zip(times, times[1:]):
        gap = (json_time(b) - json_time(a))
        assert 1 <= gap <= 3, times  # half of four seconds and its jitter; the ledger tells whole seconds
    p.wait_for(lambda: shown(p)[1] in {r["serial"] for r in ca.ledger()}, "the newest to be in use")


def json_time(text):
    import datetime
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_revoked_identity_joins_again_with_a_new_token(lab, ca_of):
    ca = ca_of("--leaf-ttl", "6s")
    file = lab.folder / "token"
    file.write_text(ca.token("server"))
    options = told(ca, lab.folder, "server", token="")
    p = server(lab, ca, args=[*options["args"], "--token-file", file])
    ca.api("POST", "/api/v1/certs/revoke", {"what": spiffe("server")})
    p.wait_for(lambda: "MESH3005" in p.text(), "the renewal to be refused")
    token = ca.token("server")
    file.write_text(token)
    wait_until(lambda: [r for r in ca.ledger("token:" + token.split(".")[1])], "the new token to be used")


def test_outage_of_the_authority_is_survived_until_the_end(lab, ca_of):
    """Renewals fail and are tried again; traffic goes on; when the certificate has ended it is said."""
    ca = ca_of("--leaf-ttl", "4s")
    p = server(lab, ca)
    port = ca.port
    ca.stop()
    p.wait_for(lambda: "MESH3007" in p.text(), "a renewal to fail")
    p.wait_for(lambda: "MESH3008" in p.text(), "the end to be told")
    (lab.folder / "token").write_text("")
    ca = ca_of("--leaf-ttl", "4s", port=port)
    # Its certificate has ended and its token is used up: only a new one helps.
    p.wait_for(lambda: "MESH3003" in p.text(), "the old token to be refused")


# ---- the bar

class Load:
    """Requests one after another on kept connections until told to stop; failures are kept."""

    def __init__(self, port, threads=4):
        self.done, self.failures, self._stop = 0, [], threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(port,)) for _ in range(threads)]
        for t in self._threads:
            t.start()

    def _run(self, port):
        while not self._stop.is_set():
            try:
                with Http(port) as c:
                    for _ in range(50):
                        a = c.get("/")
                        with self._lock:
                            self.done += 1
                            if a.status != 200:
                                self.failures.append(a)
                        if self._stop.wait(0.002):
                            break
            except Exception as error:  # noqa: BLE001: whatever it is, it is a failed request
                with self._lock:
                    self.failures.append(repr(error))

    def stop(self):
        self._stop.set()
        for t in self._threads:
            t.join(20)
        return self.done, self.failures


def test_leaves_rotate_under_load_without_a_failed_request(lab, ca_of):
    ca = ca_of("--leaf-ttl", "5s")
    app = lab.http_origin()
    inner = server(lab, ca, "server", app=app)
    port = lab.ports.take()
    # Connections between the two are replaced often, so that each certificate is used for handshakes.
    upstream = config.cluster("server", inner.port, tls=config.tls_upstream(OWN, sans=[spiffe("server")]))
    upstream["typed_extension_protocol_options"] = {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http_protocol_options": {}},
            "common_http_protocol_options": {"max_requests_per_connection": 20}}}
    outer = lab.proxy([config.listener("outbound", port, config.hcm(config.routes_to("server", timeout="0s")),
                                       direction="OUTBOUND")], [upstream], "outer",
                      **told(ca, lab.folder, "client"))
    assert get(port, "/").status == 200
    load = Load(port)
    try:
        for account in ("server", "client"):
            wait_until(lambda a=account: len([r for r in ca.ledger("certificate:") if r["identity"] == spiffe(a)]) >= 4,
                       f"four renewals of {account}", 60)
    finally:
        done, failures = load.stop()
    assert not failures, failures[:5]
    assert done > 500
    assert outer.stat("cluster.server.upstream_cx_total") >= done // 25
    assert inner.alive() and outer.alive()


# ---- without a bootstrap file

def native(lab, ca, name="reviews-v1", wait=True, ads=None, **more):
    admin = lab.folder / f"{name}.sock"
    options = told(ca, lab.folder, "bookinfo-reviews")
    args = [*options["args"], "--name", name, "--address", "127.0.0.1", "--labels", "app=reviews,version=v1",
            "--workload", "reviews-v1", "--interception", "none", "--admin", f"unix:{admin}", "--concurrency", "1"]
    for key, value in more.items():
        args += ["--" + key.replace("_", "-"), value]
    p = Process([lab.binary, "proxy", *args], lab.folder / f"{name}.log", env=options["env"])
    p.path = admin
    lab.at_end(lambda: p.stop(5))
    return p


def ask_admin(p, path):
    import http.client
    c = http.client.HTTPConnection("localhost", timeout=10)
    c.sock = socket.socket(socket.AF_UNIX)
    c.sock.connect(str(p.path))
    c.request("GET", path)
    r = c.getresponse()
    return r.status, r.read().decode()


def test_native_start_says_who_it_is(lab, ca_of):
    ca = ca_of()
    p = native(lab, ca, http_proxy_port="15007", app_address="127.0.0.2", discovery="full")
    p.wait_for(p.path.exists, "its admin page")
    assert stat.S_IMODE(p.path.stat().st_mode) == 0o600
    ca.wait_ledger(1, "token:")
    p.wait_for(lambda: "joined" in p.text(), "its identity")
    dump = json.loads(ask_admin(p, "/config_dump")[1])["configs"]
    boot = next(c["bootstrap"] for c in dump if "bootstrap" in c)
    assert boot["node"]["id"] == "sidecar~127.0.0.1~reviews-v1.default~default.svc.cluster.local"
    meta = boot["node"]["metadata"]
    want = {"NAME": "reviews-v1", "NAMESPACE": "default", "SERVICE_ACCOUNT": "bookinfo-reviews",
            "WORKLOAD_NAME": "reviews-v1", "INTERCEPTION_MODE": "NONE", "HTTP_PROXY_PORT": "15007",
            "MESH_APP_ADDRESS": "127.0.0.2", "MESH_DISCOVERY": "full", "LABELS": {"app": "reviews", "version": "v1"},
            "CLUSTER_ID": "Kubernetes", "MESH_ID": "cluster.local", "MESH_ADMIN": f"unix:{p.path}"}
    assert {k: meta.get(k) for k in want} == want
    assert ask_admin(p, "/ready")[0] == 503  # nobody speaks xDS there
    secrets = next(c for c in dump if "SecretsConfigDump" in c.get("@type", ""))
    assert "PRIVATE KEY" not in json.dumps(secrets)
    # The stream to the control plane is tried with the identity, and the CA does not know that service.
    p.wait_for(lambda: "UNIMPLEMENTED" in p.text(), "xDS to be asked for over the same certificate")


@pytest.mark.parametrize("args,words", [
    (("--control", "127.0.0.1:1"), "--name"),
    (("--control", "127.0.0.1:1", "--name", "a"), "--address"),
    (("--control", "127.0.0.1:1", "--name", "a", "--address", "x"), "--address"),
    (("--control", "127.0.0.1", "--name", "a", "--address", "127.0.0.1"), "--control"),
    (("--control", "127.0.0.1:1", "--name", "a", "--address", "127.0.0.1"), "--ca-root"),
    (("--control", "127.0.0.1:1", "--name", "a~b", "--address", "127.0.0.1", "--ca-pin", "0" * 64), "--name"),
    (("--control", "127.0.0.1:1", "--name", "a", "--address", "127.0.0.1", "--ca-pin", "xyz"), "--ca-pin"),
    (("--control", "127.0.0.1:1", "--name", "a", "--address", "127.0.0.1", "--ca-root", "/none"), "--ca-root"),
    (("--control", "127.0.0.1:1", "--name", "a", "--address", "127.0.0.1", "--ca-pin", "0" * 64, "--labels", "x"),
     "--labels"),
    (("--control", "127.0.0.1:1", "--name", "a", "--address", "127.0.0.1", "--ca-pin", "0" * 64,
      "--service-account", "a/b"), "--service-account"),
    (("--control", "127.0.0.1:1", "--name", "a", "--address", "127.0.0.1", "--ca-pin", "0" * 64, "--admin", "x"),
     "--admin"),
    ((), "--control or --config-file")])
def test_native_options_that_are_wrong(mesh, args, words):
    done = mesh("proxy", *args)
    assert done.returncode in (1, 2) and words in done.stderr, done.stderr
    assert os.linesep in done.stderr and len(done.stderr.splitlines()) == 1
