"""examples/two-services: its files and the commands of its README, on a network that nobody else uses."""
import json
import os
import shutil
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from harness.proc import Process, wait_until

pytestmark = pytest.mark.mesh_only
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "two-services"
NET = f"127.{70 + os.getpid() % 100}.{os.getpid() // 100 % 250}."


def fetch(url):
    try:
        with urlopen(url, timeout=10) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()


@pytest.fixture
def folder(lab, tmp_path):
    here = tmp_path / "two-services"
    shutil.copytree(EXAMPLE, here)
    for file in here.glob("*.yaml"):
        file.write_text(file.read_text().replace("127.66.0.", NET))
    certs = here / "certs"
    certs.mkdir()
    for name in ("web", "api"):
        identity = lab.trust.issue(name)
        (certs / f"{name}.crt").write_bytes(identity.chain_pem)
        (certs / f"{name}.key").touch(mode=0o600)
        (certs / f"{name}.key").write_bytes(identity.key_pem)
    (certs / "root.crt").write_bytes(lab.trust.root_pem)
    return here


def test_two_services(mesh_bin, lab, folder):
    def start(name, *words):
        p = Process(["env", "-C", folder, mesh_bin, *words], lab.folder / f"{name}.log")
        lab.at_end(p.stop)
    start("api", "sample", "--name", "api", "--listen", f"{NET}2:8080")
    start("web", "sample", "--name", "web", "--listen", f"{NET}1:8080",
          "--upstream", f"http://{NET}1:15001", "--upstream-host", "api")
    start("api-proxy", "proxy", "--config-file", "api-bootstrap.yaml", "--drain-time-s", "0")
    start("web-proxy", "proxy", "--config-file", "web-bootstrap.yaml", "--drain-time-s", "0")
    web = f"http://{NET}1:8080/upstream"
    wait_until(lambda: fetch(f"{web}/")[0] == 200, "web to reach api")
    status, body = fetch(f"{web}/hello")
    seen = json.loads(body)["answer"]["headers"]["x-forwarded-client-cert"]
    assert status == 200 and "URI=spiffe://cluster.local/ns/default/sa/web" in seen
    status, body = fetch(f"{web}/private")
    assert status == 403 and b"RBAC: access denied" in body
    with pytest.raises((OSError, HTTPException)):  # plain text gets nothing
        fetch(f"http://{NET}2:15006/")
