"""Objects of `mesh control`, from a folder and through the API: what was acknowledged survives kill -9, bad files change nothing,
and a foreign web page writes nothing."""

import random
import threading
import time

import httpx
import pytest
from harness.proc import Process, wait_until

pytestmark = pytest.mark.mesh_only


def service(name, port):
    return (f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n"
            f"spec: {{ports: [{{name: http, port: {port}}}]}}\n")


class Control:
    """`mesh control` on a socket in `folder`; data and configuration outlive the process."""

    def __init__(self, mesh_bin, folder):
        self.mesh_bin = mesh_bin
        self.folder = folder
        self.conf = folder / "conf"
        self.conf.mkdir()
        self.process = None
        self.starts = 0
        self.client = httpx.Client(transport=httpx.HTTPTransport(uds=str(folder / "s")), base_url="http://control",
                                   timeout=20)

    def start(self):
        self.starts += 1
        self.process = Process(
            [self.mesh_bin, "control", "--config-dir", self.conf, "--data-dir", self.folder / "data", "--socket",
             self.folder / "s", "--api-address", "127.0.0.1:0", "--xds-address", "127.0.0.1:0"],
            self.folder / f"control-{self.starts}.log")
        wait_until(self.is_ready, "control ready")

    def is_ready(self):
        assert self.process.alive(), self.process.text()
        try:
            return self.client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def tcp(self):
        line = next(line for line in self.process.text().splitlines() if " api address=127" in line)
        return "http://" + line.split("address=")[1]

    def apply(self, text):
        return self.client.post("/api/v1/apply", content=text)

    def objects(self):
        return {o["metadata"]["name"]: o for o in self.client.get("/api/v1/objects?kind=services").json()["items"]}

    def port(self, name):
        found = self.objects().get(name)
        return found and found["spec"]["ports"][0]["port"]

    def findings(self):
        return self.client.get("/api/v1/findings").json()["items"]


@pytest.fixture
def control(mesh_bin, tmp_path):
    control = Control(mesh_bin, tmp_path)
    control.start()
    yield control
    control.client.close()
    control.process.kill()


def test_kill(control):
    """Two writers, and the process is killed while they write: what was answered 200 is there afterwards."""
    rng = random.Random(7)
    port = 1
    for _ in range(10):
        kept = {}
        refused = []
        stop = threading.Event()

        def write(side, first):
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(control.folder / "s")), base_url="http://control",
                              timeout=20) as client:
                number = first
                while not stop.is_set():
                    name = f"{side}{number % 20}"
                    try:
                        answer = client.post("/api/v1/apply", content=service(name, number))
                    except httpx.TransportError:
                        return
                    if answer.status_code != 200:
                        refused.append(answer.text)
                        return
                    kept[name] = number
                    number += 1

        writers = [threading.Thread(target=write, args=(side, port)) for side in "ab"]
        for writer in writers:
            writer.start()
        wanted = rng.randrange(5, 60)
        wait_until(lambda: len(kept) >= min(wanted, 40), "writes")
        time.sleep(rng.random() / 50)  # any moment will do
        control.process.kill()
        stop.set()
        for writer in writers:
            writer.join()
        assert not refused
        control.start()
        there = control.objects()
        for name, number in kept.items():
            assert there[name]["spec"]["ports"][0]["port"] >= number
        port = max(kept.values()) + 100


def test_folder(control):
    (control.conf / "a.yaml").write_text(service("reviews", 9080))
    wait_until(lambda: control.port("reviews") == 9080, "read")
    (control.conf / "a.yaml").write_text(service("reviews", "many"))
    wait_until(control.findings, "told")
    bad = [f for f in control.findings() if f["severity"] == "error"]
    assert len(bad) == 1
    assert bad[0]["where"]["file"].endswith("a.yaml")
    assert bad[0]["where"]["line"] == 4
    assert bad[0]["where"]["path"] == "spec.ports[0].port"
    assert bad[0]["why"] or bad[0]["fix"]
    assert control.port("reviews") == 9080
    control.process.kill()
    control.start()  # beside the bad file
    assert control.port("reviews") == 9080
    (control.conf / "a.yaml").write_text(service("reviews", 9081))
    wait_until(lambda: control.port("reviews") == 9081, "mended")
    (control.conf / "a.yaml").unlink()
    wait_until(lambda: control.port("reviews") is None, "gone")


def test_tcp_guards(control):
    tcp = control.tcp()
    text = service("one", 1)
    assert httpx.get(tcp + "/api/v1/objects").status_code == 200
    assert httpx.post(tcp + "/api/v1/apply", content=text).status_code == 403
    evil = {"host": "rebound.example", "x-mesh-write": "1"}
    assert httpx.post(tcp + "/api/v1/apply", content=text, headers=evil).status_code == 403
    assert httpx.get(tcp + "/api/v1/objects", headers=evil).json()["code"] == "MESH5012"
    assert httpx.post(tcp + "/api/v1/apply", content=text, headers={"x-mesh-write": "1"}).status_code == 200
    assert control.port("one") == 1


def test_data_dir_is_ours_alone(control, mesh_bin, tmp_path):
    """A second control plane on the same store is refused, and says why."""
    other = Process([mesh_bin, "control", "--data-dir", control.folder / "data", "--socket", tmp_path / "other",
                     "--api-address", "off", "--xds-address", "127.0.0.1:0"], tmp_path / "other.log")
    assert other.wait() != 0
    assert "is open in another process" in other.text()
    assert (control.folder / "data" / "mesh.db").stat().st_mode & 0o77 == 0
