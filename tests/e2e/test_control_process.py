"""`mesh control` as a process: how it starts, how it says that it can not, how it ends, and what is there after kill -9."""
import signal
import socket

import pytest
from harness.control import Control
from harness.proc import wait_until

pytestmark = pytest.mark.mesh_only

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {{name: {}}}\nspec: {{ports: [{{name: http, port: 80}}]}}\n"


@pytest.fixture
def start(mesh_bin, tmp_path):
    started = []

    def run(*args, folder="one", **options):
        where = tmp_path / folder
        where.mkdir(exist_ok=True)
        c = Control(mesh_bin, where, *args, **options)
        started.append(c)
        return c
    yield run
    for c in started:
        c.kill()
        for word in ("Sanitizer", "runtime error", "assertion failed"):
            assert word not in c.text(), c.tail(60)


def fails(control, status, *words):
    """It ended by itself, with one sentence, and had served nothing."""
    assert control.wait() == status, control.tail()
    last = control.text().splitlines()[-1]
    assert last.startswith("mesh control: "), last
    for word in words:
        assert word in last
    assert "control ready" not in control.text()


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_ends_cleanly(start, signo):
    """With everything under way: objects, a stream, a tap, a connection that says nothing."""
    c = start()
    c.apply(SERVICE.format("a"))
    tap = c.connection()
    tap.request("GET", "/api/v1/tap")
    assert tap.getresponse().status == 200
    silent = socket.create_connection(("127.0.0.1", c.port))
    with c.stream(c.join("web"), account="web") as s:
        s.ask("type.googleapis.com/envoy.config.listener.v3.Listener", "*").take()
        c.signal(signo)
        assert c.wait(5) == 0, c.tail()
    silent.close()
    assert not c.socket.exists()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", c.port), 1)


def test_ends_before_it_is_ready(start):
    c = start(wait=False)
    c.wait_for(lambda: "api address=" in c.text(), "it to begin")
    c.signal(signal.SIGTERM)
    assert c.wait(5) == 0, c.tail()


@pytest.mark.parametrize("args, status, words", [
    (("--nonsense",), 2, ("--nonsense",)),
    (("--workers", "99"), 2, ("--workers", "16")),
    (("--leaf-ttl", "soon"), 2, ("--leaf-ttl",)),
    (("--log-level", "loud"), 2, ("--log-level", "loud")),
    (("--xds-address", "nowhere"), 2, ("--xds-address",)),
    (("--xds-plain-address", "127.0.0.1"), 2, ("--xds-plain-address",)),
    (("--api-address", "localhost:1"), 2, ("--api-address",)),
    (("--monitoring-address", "x"), 2, ("--monitoring-address",)),
    (("--config-dir", "/nowhere/at/all"), None, ("/nowhere/at/all",)),
    (("--socket", "/tmp/" + "x" * 200), 2, ("--socket",)),
    (("--trust-domain", "not a name"), 2, ("not a name",)),
    (("operand",), 2, ("operand",)),
])
def test_bad_options(start, args, status, words):
    c = start(*args, wait=False)
    assert c.wait() == status or (status is None and c.wait() in (1, 2)), c.tail()
    assert any(all(w in line for w in words) for line in c.text().splitlines()), c.text()
    assert "control ready" not in c.text()


@pytest.mark.parametrize("flag", ["--xds-address", "--xds-plain-address", "--api-address", "--monitoring-address"])
def test_port_in_use(start, flag):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # even of a socket that would share it
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        c = start(flag, address, wait=False)
        fails(c, 1, address, "in use")
        assert not c.socket.exists()


def test_second_control_on_the_same_port(start):
    first = start()
    fails(start(folder="two", xds=f"127.0.0.1:{first.port}", wait=False), 1, str(first.port), "in use")
    assert first.api("GET", "/api/v1/status")["kind"] == "Status"


def test_second_control_on_the_same_data(start, tmp_path):
    first = start()
    second = start("--data-dir", first.data, "--socket", tmp_path / "other.sock", folder="two", wait=False)
    fails(second, 1, "mesh.db")
    assert not (tmp_path / "other.sock").exists()
    first.apply(SERVICE.format("a"))


def test_second_control_on_the_same_socket(start):
    first = start()
    fails(start("--socket", first.socket, folder="two", wait=False), 1, "in use")
    assert first.api("GET", "/api/v1/status")["kind"] == "Status"


def test_data_dir_that_can_not_be_written(start, tmp_path):
    fails(start("--data-dir", "/proc/nowhere", wait=False), 1, "/proc/nowhere")
    (tmp_path / "file").write_text("")
    fails(start("--data-dir", tmp_path / "file", wait=False), 1, "file")


def test_kill(start):
    """Tokens, the CA and objects are those of before; a certificate of before is still good."""
    c = start()
    c.apply(SERVICE.format("kept"))
    token = c.token("web", uses=2)
    me = c.join("web", token=token)
    revoked = c.token("gone")
    c.api("DELETE", "/api/v1/tokens/" + revoked.split(".")[1])
    pin, roots = c.pin, c.roots
    ledger = [r["serial"] for r in c.ledger()]
    c.kill()
    again = start()
    assert (again.pin, again.roots) == (pin, roots)
    assert [o["metadata"]["name"] for o in again.api("GET", "/api/v1/objects")["items"]] == ["kept"]
    assert [r["serial"] for r in again.ledger()] == ledger
    tokens = {t["id"]: t for t in again.api("GET", "/api/v1/tokens")["items"]}
    assert tokens[token.split(".")[1]]["usesLeft"] == 1 and tokens[revoked.split(".")[1]]["revoked"]
    again.join("web", token=token)
    assert again.renew(me).uri == me.uri
    with again.stream(me, account="web") as s:
        s.ask("type.googleapis.com/envoy.config.listener.v3.Listener", "*").take()
        wait_until(lambda: len(again.api("GET", "/api/v1/proxies")["items"]) == 1, "the stream")
