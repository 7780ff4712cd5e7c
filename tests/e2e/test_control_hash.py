"""Consistent hashing, from a DestinationRule to the endpoint: `mesh control` tells our own sidecar."""
import http.client

import pytest
from harness.control import Control, loopback
from harness.lab import Lab
from harness.proc import wait_until

pytestmark = pytest.mark.mesh_only


def entry(n, port):
    return (f"---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: reviews-{n}}}\n"
            f"spec: {{address: 127.0.0.1, ports: {{http: {port}}}, labels: {{app: reviews}}}}\n")


def objects(web, ports, balancing):
    return (f"""apiVersion: v1
kind: Service
metadata: {{name: reviews}}
spec: {{ports: [{{name: http, port: 9080}}], selector: {{app: reviews}}}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: web-v1}}
spec: {{address: {web}, labels: {{app: web}}, serviceAccount: web}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: reviews}}
spec: {{host: reviews, trafficPolicy: {{loadBalancer: {{consistentHash: {{{balancing}}}}}}}}}
""" + "".join(entry(n, p) for n, p in enumerate(ports)))


@pytest.mark.parametrize("balancing", [
    "httpHeaderName: x-user", "httpHeaderName: x-user, maglev: {tableSize: 1009}",
    "httpCookie: {name: user, ttl: 60s}", "httpQueryParameterName: user", "useSourceIp: true"])
def test_same_key_same_endpoint(mesh_bin, tmp_path, balancing):
    lab = Lab(tmp_path)
    apps = [lab.http_origin(f"r{n}") for n in range(4)]
    web = loopback(4)
    control = Control(mesh_bin, tmp_path)
    proxy = None
    try:
        control.apply(objects(web, [a.port for a in apps], balancing))
        proxy = control.proxy("web-v1", "web", web, labels=("app=web",))

        def ask(user):
            c = http.client.HTTPConnection(web, 15007, timeout=20)
            try:
                c.request("GET", f"http://reviews:9080/?user={user}", headers={"x-user": user, "cookie": f"user={user}"})
                r = c.getresponse()
                return r.status, r.read()
            finally:
                c.close()
        wait_until(lambda: ask("warm")[0] == 200, "the way to reviews")
        first = {f"u{n}": ask(f"u{n}") for n in range(30)}
        assert {status for status, _ in first.values()} == {200}
        assert all(ask(user) == answer for user, answer in first.items())
        homes = {body for _, body in first.values()}
        assert len(homes) == 1 if balancing == "useSourceIp: true" else len(homes) >= 3
    finally:
        if proxy:
            proxy.stop()
        control.stop()
        lab.close()
