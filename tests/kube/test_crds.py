"""Public CRDs can be installed, and taken away."""
from . import crds


def test_public_crds(cluster):
    files = crds.gateway_api() + crds.istio()
    try:
        crds.install(cluster, files)
        kinds = cluster.kubectl("api-resources", "-o", "name").stdout.split()
        assert {"httproutes.gateway.networking.k8s.io", "virtualservices.networking.istio.io"} <= set(kinds)
    finally:
        crds.remove(cluster, files)
