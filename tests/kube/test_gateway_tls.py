"""HTTPS at the gateway with a certificate from a Secret, in both forms; another certificate while people shop."""
import socket
import ssl
import threading
import time

import pytest

HOST = "shop.example"

ISTIO = f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: shop-https}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
  - port: {{number: 443, name: https, protocol: HTTPS}}
    hosts: [{HOST}]
    tls: {{mode: SIMPLE, credentialName: shop-cert}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: shop-https}}
spec:
  hosts: [{HOST}]
  gateways: [shop-https]
  http: [{{route: [{{destination: {{host: productpage, port: {{number: 9080}}}}}}]}}]
"""

GATEWAY_API = f"""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: shop-https}}
spec:
  gatewayClassName: istio
  listeners:
  - name: https
    port: 443
    protocol: HTTPS
    hostname: {HOST}
    tls: {{mode: Terminate, certificateRefs: [{{name: shop-cert}}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: shop-https}}
spec:
  parentRefs: [{{name: shop-https}}]
  hostnames: [{HOST}]
  rules: [{{backendRefs: [{{name: productpage, port: 9080}}]}}]
"""

# Where the Secret is, what is applied, and whose Service has the address.
FORMS = [("mesh-system", ISTIO, "mesh-ingressgateway", "mesh-system"), ("default", GATEWAY_API, "shop-https-istio", "default")]


def ask(cluster, address):
    """Status of the page, and the name in the certificate, which must be of the cluster's authority; an error is raised."""
    trust = ssl.create_default_context(cafile=str(cluster.folder / "pki" / "ca.crt"))
    with socket.create_connection((address, 443), timeout=5) as plain, trust.wrap_socket(plain, server_hostname=HOST) as connection:
        subject = dict(pair for part in connection.getpeercert()["subject"] for pair in part)
        connection.sendall(f"GET /productpage HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n".encode())
        return int(connection.makefile("rb").readline().split()[1]), subject["commonName"]


class Shoppers:
    """One connection after the other for as long as it lasts; `seen` is all that they were told."""

    def __init__(self, cluster, address):
        self.seen, self.errors, self.over = set(), [], threading.Event()
        self.where = cluster, address
        self.thread = threading.Thread(target=self.shop)

    def shop(self):
        while not self.over.wait(0.02):
            try:
                self.seen.add(ask(*self.where))
            except OSError as error:
                self.errors.append(repr(error))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


@pytest.mark.parametrize("namespace, text, service, home", FORMS, ids=["istio", "gateway-api"])
def test_certificate_and_its_successor(cluster, mesh, shop, namespace, text, service, home):
    def secret(name):
        cluster.issue(name, name, dns=[HOST])
        files = [f"--{kind}={cluster.folder}/pki/{name}.{end}" for kind, end in (("cert", "crt"), ("key", "key"))]
        made = cluster.kubectl("-n", namespace, "create", "secret", "tls", "shop-cert", *files, "--dry-run=client", "-o", "yaml")
        cluster.apply(made.stdout, "-n", namespace)

    def served(name):
        try:
            return ask(cluster, address) == (200, name)
        except OSError:
            return False
    try:
        cluster.apply(text)
        secret("first")  # whichever comes first
        address = mesh.gateway(service, home)
        cluster.wait("the page by HTTPS", lambda: served("first"))
        with Shoppers(cluster, address) as shoppers:
            secret("second")
            cluster.wait("the new certificate", lambda: served("second"))
            cluster.kubectl("-n", namespace, "delete", "secret", "shop-cert")  # the other way to replace one
            time.sleep(1)
            secret("third")
            cluster.wait("the newest certificate", lambda: served("third"))
        assert not shoppers.errors and shoppers.seen <= {(200, name) for name in ("first", "second", "third")}, (shoppers.errors, shoppers.seen)
        assert ask(cluster, address) == (200, "third")
    finally:
        cluster.kubectl("delete", "--ignore-not-found", "-f", "-", text=text)
        cluster.kubectl("-n", namespace, "delete", "--ignore-not-found", "secret", "shop-cert")
