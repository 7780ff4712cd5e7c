"""What a proxy in a pod shows the cluster: readiness (15021), the application's probes and metrics (15020), its own metrics (15090)."""
import http.client
import http.server
import json
import signal
import socket
import ssl
import subprocess
import threading
import time
from concurrent import futures

import grpc
import pytest
from harness.client import Raw, get
from harness.native import Native
from harness.proc import wait_until
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open
from prometheus_client.parser import text_string_to_metric_families as read_text

pytestmark = pytest.mark.mesh_only

OPEN = "application/openmetrics-text; version=1.0.0"


class App:
    """An application: `answers[path]` is (status, {field: value}, body) or a function of the request that gives it."""

    def __init__(self, host="127.0.0.1", tls=None):
        app = self
        self.answers = {}
        self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                app.seen.append(self)
                answer = app.answers.get(self.path, (404, {}, b""))
                status, fields, body = answer(self) if callable(answer) else answer
                self.send_response(status)
                for name, value in fields.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
            daemon_threads = True

        self.server = Server((host, 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Pod:
    """A proxy with all of its ports, before an application."""

    def __init__(self, lab, probes=None, metrics=None, args=(), env=None):
        self.status, self.ready, self.stats = (lab.ports.take() for _ in range(3))
        self.proxy, self.front = lab.http_front(
            lab.dead_port(), log_level="info",
            args=("--status-address", f"127.0.0.1:{self.status}", "--ready-address", f"127.0.0.1:{self.ready}",
                  "--stats-address", f"127.0.0.1:{self.stats}", *args),
            env={"MESH_APP_PROBES": json.dumps(probes) if probes else "",
                 "MESH_APP_METRICS": json.dumps(metrics) if metrics else "", **(env or {})})

    def probe(self, kind="readyz", **fields):
        return call(self.status, f"/app-health/web/{kind}", **fields)

    def failures(self):
        rows = [r for r in self.proxy.prometheus() if r[0] == "istio_agent_scrape_failures_total"]
        assert [r[1] for r in rows] == [{"type": "application"}]
        return rows[0][2]


def call(port, path, method="GET", host="127.0.0.1", timeout_s=10, **fields):
    c = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        c.request(method, path, headers={k.replace("_", "-"): v for k, v in fields.items()})
        r = c.getresponse()
        r.body = r.read()
        return r
    finally:
        c.close()


def probe_of(port, path="/healthz", timeout=1, kind="readyz", **more):
    return {f"/app-health/web/{kind}": {"httpGet": {"path": path, "port": port, **more}, "timeoutSeconds": timeout}}


@pytest.fixture
def app(lab):
    app = App()
    lab.at_end(app.close)
    return app


# ---- readiness

def test_ready_ports_and_what_is_where(lab):
    pod = Pod(lab)
    for port in (pod.status, pod.ready):
        assert call(port, "/healthz/ready").status == 200
        assert call(port, "/healthz/ready", "HEAD").status == 200
        assert call(port, "/healthz/ready", "POST").status == 405
        assert call(port, "/").status == 404
    assert call(pod.ready, "/stats/prometheus").status == 404
    assert call(pod.stats, "/healthz/ready").status == 404
    own = call(pod.stats, "/stats/prometheus")
    assert own.status == 200 and own.getheader("content-type").startswith("text/plain; version=0.0.4")
    assert list(read_text(own.body.decode()))
    own = call(pod.stats, "/stats/prometheus", accept=OPEN)
    assert own.getheader("content-type").startswith("application/openmetrics-text")
    assert list(read_open(own.body.decode()))


def test_not_ready_while_it_drains_and_probes_go_on(lab, app):
    app.answers["/healthz"] = (200, {}, b"fine")
    pod = Pod(lab, probe_of(app.port), args=("--drain-time-s", "3"))
    pod.proxy.signal(signal.SIGTERM)
    wait_until(lambda: call(pod.ready, "/healthz/ready").status == 503, "the drain to begin")
    assert b"draining" in call(pod.ready, "/healthz/ready").body
    assert call(pod.status, "/healthz/ready").status == 503
    assert pod.probe().status == 200
    assert pod.proxy.wait() == 0


def test_ready_only_with_certificate_and_configuration(lab, mesh_bin):
    mesh = Native(lab, mesh_bin)
    mesh.start()
    token = mesh.control.token("web")
    mesh.control.signal(signal.SIGTERM)
    mesh.control.wait()
    at = mesh.address()
    web = mesh.sidecar("web", "web", at, token=token, wait=False, args=("--ready-address", f"{at}:15021"))

    def why():
        r = call(15021, "/healthz/ready", host=at)
        return r.status, r.body.decode()
    wait_until(lambda: "connect" in why()[1], "it to tell why it is not ready")
    assert why()[0] == 503
    # Control comes: the proxy has kept trying.
    mesh.control.__init__(mesh_bin, mesh.folder, mesh.control_address)
    wait_until(lambda: why()[0] == 200, "the proxy to be ready", 60)
    assert web.json("/server_info")["state"] == "LIVE"


def test_all_addresses(lab):
    port = lab.ports.take()
    lab.http_front(lab.dead_port(), args=("--ready-address", f":{port}"))
    assert call(port, "/healthz/ready").status == 200
    assert call(port, "/healthz/ready", host="127.0.0.7").status == 200
    try:
        socket.create_connection(("::1", port), 5).close()
    except OSError:
        pytest.skip("no IPv6 here")
    assert call(port, "/healthz/ready", host="::1").status == 200


@pytest.mark.parametrize("options,word", [
    (["--status-address", "nonsense"], "--status-address"),
    (["--ready-address", ":99999"], "--ready-address"),
    (["--status-address", "127.0.0.1:0", "--app-probes", "{"], "MESH_APP_PROBES"),
    (["--status-address", "127.0.0.1:0", "--app-probes", '{"/app-health/a/livez": {}}'], "/app-health/a/livez"),
    (["--status-address", "127.0.0.1:0", "--app-metrics", '{"path": "/"}'], "MESH_APP_METRICS"),
    (["--status-address", "127.0.0.1:0", "--app-metrics", '{"port": "x"}'], "'x'"),
])
def test_bad_options(lab, mesh, options, word):
    boot = lab.folder / "boot.yaml"
    boot.write_text("node: {id: a, cluster: b}\n")
    done = mesh("proxy", "-c", str(boot), *options)
    assert done.returncode == 2 and word in done.stderr, done.stderr


def test_ready_waits(lab, mesh_bin, mesh):
    """The postStart hook of the classic form."""
    port, late = lab.ports.take(), lab.ports.take()
    begin = time.monotonic()
    assert mesh("ready", f"127.0.0.1:{late}", "--wait", "--timeout", "500ms").returncode == 3
    assert 0.4 < time.monotonic() - begin < 5
    waiting = subprocess.Popen([mesh_bin, "ready", f"127.0.0.1:{port}", "--wait"], stdout=subprocess.PIPE, text=True)
    lab.at_end(waiting.kill)
    time.sleep(0.3)  # while nobody listens there
    assert waiting.poll() is None
    lab.http_front(lab.dead_port(), args=("--ready-address", f"127.0.0.1:{port}"))
    assert waiting.communicate(timeout=20)[0] == "ready\n" and waiting.returncode == 0
    draining, _ = lab.http_front(lab.dead_port(), args=("--ready-address", f"127.0.0.1:{late}", "--drain-time-s", "60"))
    draining.signal(signal.SIGTERM)
    wait_until(lambda: call(late, "/healthz/ready").status == 503, "the drain to begin")
    assert mesh("ready", f"127.0.0.1:{late}", "--wait", "--timeout", "300ms").returncode == 1
    draining.signal(signal.SIGTERM)


# ---- probes

@pytest.mark.parametrize("status,want", [(200, 200), (204, 204), (304, 200), (399, 200), (400, 400), (404, 404), (500, 500),
                                         (503, 503)])
def test_status_is_passed_on(lab, app, status, want):
    app.answers["/healthz?full=1"] = (status, {}, b"" if status in (204, 304) else b"so it is")
    pod = Pod(lab, probe_of(app.port, "/healthz?full=1"))
    answer = pod.probe()
    assert answer.status == want
    assert answer.body == (b"" if status in (204, 304) else b"so it is")


def test_unknown_probe(lab, app):
    pod = Pod(lab, probe_of(app.port))
    assert pod.probe("livez").status == 404
    assert call(pod.status, "/app-health/other/readyz").status == 404
    assert call(pod.status, "/app-health/web/readyz/").status == 404
    assert call(pod.status, "/app-health/web/readyz", "POST").status == 405
    assert app.seen == []


def test_fields_and_host(lab, app):
    app.answers["/healthz"] = (200, {}, b"")
    pod = Pod(lab, {**probe_of(app.port, httpHeaders=[{"name": "X-One", "value": "1"}, {"name": "Accept", "value": "a/b"}]),
                    **probe_of(str(app.port), kind="livez", httpHeaders=[{"name": "Host", "value": "web.example"}])})
    assert pod.probe(user_agent="kube-probe/1.30", x_one="0", x_two="2", accept="*/*").status == 200
    seen = app.seen[-1].headers
    assert seen["user-agent"] == "kube-probe/1.30" and seen["x-two"] == "2"
    assert seen.get_all("x-one") == ["1"] and seen.get_all("accept") == ["a/b"]
    assert seen["host"] == f"127.0.0.1:{app.port}"  # not our port
    assert pod.probe("livez").status == 200
    assert app.seen[-1].headers["host"] == "web.example"
    with Raw(pod.status) as c:  # a name that kubelet was told to send
        c.send(b"GET /app-health/web/readyz HTTP/1.1\r\nhost: chosen.example\r\n\r\n")
        assert c.answer().status == 200
    assert app.seen[-1].headers["host"] == "chosen.example"


def test_redirects(lab, app):
    at = f"http://127.0.0.1:{app.port}"
    app.answers.update({
        "/healthz": (302, {"location": "/a/b?x=1"}, b""),
        "/a/b?x=1": (307, {"location": "c#part"}, b""),
        "/a/c": (301, {"location": at + "/end"}, b""),
        "/end": (200, {}, b"end"),
        "/away": (302, {"location": "https://elsewhere.example/login"}, b"go"),
        "/nowhere": (302, {}, b""),
        "/round": (302, {"location": "/round"}, b""),
        "/bad": (302, {"location": "/x y"}, b""),
    })
    probes = {}
    for name in ("healthz", "away", "nowhere", "round", "bad"):
        probes[f"/app-health/{name}/readyz"] = {"httpGet": {"path": "/" + name, "port": app.port}}
    pod = Pod(lab, probes)
    answer = call(pod.status, "/app-health/healthz/readyz")
    assert (answer.status, answer.body) == (200, b"end")
    assert call(pod.status, "/app-health/away/readyz").status == 200  # as kubelet: what is elsewhere is not followed
    assert call(pod.status, "/app-health/nowhere/readyz").status == 200
    assert call(pod.status, "/app-health/round/readyz").status == 500
    assert sum(r.path == "/round" for r in app.seen) == 11
    assert call(pod.status, "/app-health/bad/readyz").status == 200


def test_https_without_looking_at_the_certificate(lab):
    name = lab.trust.issue("app")
    app = App(tls=(name.cert, name.key))
    lab.at_end(app.close)
    app.answers["/healthz"] = (200, {}, b"secret")
    pod = Pod(lab, {**probe_of(app.port, scheme="HTTPS"), **probe_of(app.port, kind="livez")})
    assert pod.probe().status == 200 and pod.probe().body == b"secret"
    assert pod.probe("livez").status == 500  # plain to a TLS port


def test_timeout(lab, app):
    gate = threading.Event()
    lab.at_end(gate.set)
    app.answers["/healthz"] = lambda rq: gate.wait(30) and (200, {}, b"late")
    pod = Pod(lab, probe_of(app.port, timeout=1))
    begin = time.monotonic()
    assert pod.probe().status == 500
    assert 0.9 < time.monotonic() - begin < 5


def test_kubelet_that_goes_away(lab, app):
    gate = threading.Event()
    lab.at_end(gate.set)
    app.answers["/healthz"] = lambda rq: gate.wait(30) and (200, {}, b"late")
    pod = Pod(lab, probe_of(app.port, timeout=20))
    for _ in range(5):
        with Raw(pod.status) as c:
            c.send(b"GET /app-health/web/readyz HTTP/1.1\r\nhost: a\r\n\r\n")
    wait_until(lambda: len(app.seen) >= 1, "a probe to arrive")
    assert call(pod.status, "/healthz/ready").status == 200


def test_application_that_is_not_there(lab):
    dead = lab.dead_port()
    pod = Pod(lab, {**probe_of(dead), "/app-health/web/livez": {"tcpSocket": {"port": dead}},
                    "/app-health/web/startupz": {"grpc": {"port": dead}}})
    for kind in ("readyz", "livez", "startupz"):
        answer = pod.probe(kind)
        assert answer.status == 500 and answer.body


def test_tcp_probe(lab, app):
    pod = Pod(lab, {"/app-health/web/livez": {"tcpSocket": {"port": app.port}, "timeoutSeconds": 1}})
    assert pod.probe("livez").status == 200


def test_application_on_the_pods_address_alone(lab):
    """Not on loopback: it is found on the pod's own addresses, from the address that redirection leaves alone."""
    app = App(host="127.0.0.44")
    lab.at_end(app.close)
    app.answers["/healthz"] = (200, {}, b"")
    app.answers["/metrics"] = (200, {}, b"found 1\n")
    pod = Pod(lab, {**probe_of(app.port), "/app-health/web/livez": {"tcpSocket": {"port": app.port}}},
              {"port": app.port}, env={"INSTANCE_IPS": "127.0.0.43,127.0.0.44"})
    assert pod.probe().status == 200
    assert pod.probe("livez").status == 200
    assert app.seen[-1].client_address[0] == "127.0.0.6"
    assert b"\nfound 1\n" in call(pod.status, "/stats/prometheus").body


def test_grpc_probe(lab):
    answers = {b"": b"\x08\x01", b"\x0a\x02up": b"\x08\x01", b"\x0a\x04down": b"\x08\x02"}

    def check(request, context):
        if request not in answers:
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return answers[request]
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(
        "grpc.health.v1.Health", {"Check": grpc.unary_unary_rpc_method_handler(check)})])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    lab.at_end(lambda: server.stop(None).wait())
    plain = grpc.server(futures.ThreadPoolExecutor(1))
    other = plain.add_insecure_port("127.0.0.1:0")
    plain.start()
    lab.at_end(lambda: plain.stop(None).wait())
    probes = {"/app-health/none/livez": {"grpc": {"port": port, "service": None}, "timeoutSeconds": 2},
              "/app-health/other/livez": {"grpc": {"port": other}, "timeoutSeconds": 2}}
    for name in ("up", "down", "lost"):
        probes[f"/app-health/{name}/livez"] = {"grpc": {"port": port, "service": name}, "timeoutSeconds": 2}
    pod = Pod(lab, probes)
    got = {name: call(pod.status, f"/app-health/{name}/livez").status for name in ("none", "up", "down", "lost", "other")}
    assert got == {"none": 200, "up": 200, "down": 500, "lost": 500, "other": 500}


# ---- metrics

TEXT = b"""# HELP app_jobs_total Jobs.
# TYPE app_jobs_total counter
app_jobs_total{kind="a"} 3
# HELP istio_agent_scrapes_total Somebody else's word for it.
# TYPE istio_agent_scrapes_total counter
# TYPE app_level gauge
app_level 1.5"""


def test_merged_text(lab, app):
    app.answers["/metrics"] = (200, {"content-type": "text/plain; version=0.0.4"}, TEXT)
    pod = Pod(lab, metrics={"port": str(app.port), "path": "/metrics"})
    got = call(pod.status, "/stats/prometheus")
    assert got.status == 200 and got.getheader("content-type").startswith("text/plain; version=0.0.4")
    text = got.body.decode()
    families = {f.name: f for f in read_text(text)}
    assert families["app_jobs"].samples[0].value == 3 and families["app_level"].samples[0].value == 1.5
    assert text.count("# TYPE istio_agent_scrapes_total") == 1 and "EOF" not in text
    assert "mesh" in app.seen[-1].headers["user-agent"]
    # Alone at 15090.
    assert b"app_jobs" not in call(pod.stats, "/stats/prometheus").body
    assert pod.failures() == 0


def test_merged_open_metrics(lab, app):
    def answer(rq):
        if "openmetrics" in rq.headers["accept"]:
            return 200, {"content-type": OPEN}, b"# TYPE app_jobs counter\napp_jobs_total 3 # {trace_id=\"x\"} 1\n# EOF\n"
        return 200, {"content-type": "text/plain"}, TEXT
    app.answers["/metrics"] = answer
    pod = Pod(lab, metrics={"port": app.port})
    got = call(pod.status, "/stats/prometheus", accept="application/vnd.google.protobuf;q=0.9," + OPEN + ";q=0.8,*/*;q=0.1")
    assert got.getheader("content-type").startswith("application/openmetrics-text")
    families = {f.name: f for f in read_open(got.body.decode())}
    assert families["app_jobs"].samples[0].value == 3
    assert got.body.count(b"# EOF") == 1 and got.body.endswith(b"# EOF\n")
    got = call(pod.status, "/stats/prometheus", accept="text/plain")
    assert b"app_level 1.5\n" in got.body and list(read_text(got.body.decode()))


@pytest.mark.parametrize("answer", [
    (500, {}, b"app_jobs_total 3\n"),
    (302, {"location": "/x"}, b""),
    (200, {"content-type": "text/html"}, b"<html>"),
    (200, {"content-type": "text/plain"}, b"<html>\n"),
    (200, {"content-type": "application/vnd.google.protobuf"}, b"\x01"),
    (200, {"content-type": "text/plain", "content-encoding": "gzip"}, b"\x1f\x8b"),
    (200, {"content-type": "text/plain"}, b"x 1\n" * (4 << 20) + b"x"),
])
def test_errors_of_the_application_leave_ours_intact(lab, app, answer):
    app.answers["/metrics"] = answer
    pod = Pod(lab, metrics={"port": app.port})
    got = call(pod.status, "/stats/prometheus", timeout_s=30)
    assert got.status == 200 and b"app_jobs" not in got.body and b"<html" not in got.body
    assert any(f.name.startswith("istio_agent") for f in read_text(got.body.decode()))
    assert pod.failures() == 1


def test_application_that_hangs_or_is_gone(lab, app):
    gate = threading.Event()
    lab.at_end(gate.set)
    app.answers["/metrics"] = lambda rq: gate.wait(30) and (200, {}, b"")
    pod = Pod(lab, metrics={"port": app.port})
    begin = time.monotonic()
    assert call(pod.status, "/stats/prometheus").status == 200
    assert 0.9 < time.monotonic() - begin < 5
    assert pod.failures() == 1
    gone = Pod(lab, metrics={"port": lab.dead_port()})
    assert call(gone.status, "/stats/prometheus").status == 200
    assert gone.failures() == 1


def test_our_own_port_is_not_scraped(lab):
    port = lab.ports.take()
    proxy, _ = lab.http_front(lab.dead_port(), log_level="info", args=("--status-address", f"127.0.0.1:{port}"),
                              env={"MESH_APP_METRICS": json.dumps({"port": str(port)})})
    assert call(port, "/stats/prometheus").status == 200
    assert "port is our own" in proxy.text()


# ---- the end

def test_quit_and_drain_from_the_pod_only(lab):
    pod = Pod(lab, args=("--drain-time-s", "20"))
    assert call(pod.status, "/quitquitquit").status == 405
    assert call(pod.status, "/drain", "POST").status == 200
    wait_until(lambda: call(pod.ready, "/healthz/ready").status == 503, "the drain to begin")
    assert pod.proxy.alive() and get(pod.front, "/").status == 503  # the application is not there, we are
    begin = time.monotonic()
    assert call(pod.status, "/quitquitquit", "POST").status == 200
    assert pod.proxy.wait() == 0
    assert time.monotonic() - begin < 10  # nothing was under way: not the whole drain time


def test_quit_from_elsewhere_is_refused(lab):
    """From an address that is not loopback, where this machine has one."""
    own = [a for a in subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
           if ":" not in a]
    if not own:
        pytest.skip("no address but loopback")
    port = lab.ports.take()
    proxy, _ = lab.http_front(lab.dead_port(), args=("--status-address", f":{port}"))
    assert call(port, "/quitquitquit", "POST", host=own[0]).status == 403
    assert call(port, "/drain", "POST", host=own[0]).status == 403
    assert call(port, "/healthz/ready", host=own[0]).status == 200
    assert proxy.alive()


def test_exit_idle(lab):
    """A native sidecar's application has ended when it is told to: it does not wait for nobody."""
    app = lab.http_origin()
    proxy, port = lab.http_front(app.port, args=("--drain-time-s", "30", "--exit-idle"))
    with Raw(port) as c:
        c.send(b"GET /gate HTTP/1.1\r\nhost: a\r\n\r\n")
        app.wait_seen(1)
        begin = time.monotonic()
        proxy.signal(signal.SIGTERM)
        wait_until(lambda: proxy.json("/server_info")["state"] == "DRAINING", "the drain to begin")
        assert get(port, "/").status == 200  # for a second it takes what comes
        wait_until(lambda: "no connection" not in proxy.text() and time.monotonic() - begin > 2, "two seconds to pass")
        assert proxy.alive()  # somebody is being served
        app.open_gate()
        assert c.answer().body == b"opened"
    assert proxy.wait() == 0
    assert time.monotonic() - begin < 15


def test_whole_drain_time_without_it(lab):
    """The classic form: others may come for the whole drain time, and the application may have last calls."""
    app = lab.http_origin()
    proxy, port = lab.http_front(app.port, args=("--drain-time-s", "3"))
    begin = time.monotonic()
    proxy.signal(signal.SIGTERM)
    while time.monotonic() - begin < 2.5:
        assert get(port, "/").status == 200
    assert proxy.wait() == 0
    assert time.monotonic() - begin >= 2.9
