"""What control translates for full discovery and more (tests/golden/translate) is what a real Envoy takes."""
import copy
import json
import subprocess

import pytest
import yaml
from harness.config import INTERNAL_LISTENERS
from harness.proc import REPO, find_envoy

CASES = sorted((REPO / "tests" / "golden" / "translate").iterdir())
HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def cluster(name, port):
    return {"name": name, "type": "STATIC", "http2_protocol_options": {}, "load_assignment": {
        "cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {
            "socket_address": {"address": "127.0.0.1", "port_value": port}}}}]}]}}


def table_listener(number, table):
    """A listener that holds a route table in place: what RDS would bring."""
    filters = [{"name": f"envoy.filters.http.{f}", "typed_config": {"@type": t}} for f, t in (
        ("fault", "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"),
        ("cors", "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors"), ("router", ROUTER))]
    return {"name": f"table-{number}", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1 + number}},
            "filter_chains": [{"filters": [{"name": "http", "typed_config": {
                "@type": HCM, "stat_prefix": "t", "route_config": table, "http_filters": filters}}]}]}


def tables_of(want):
    for table in want.get("RouteConfiguration", {}).values():
        if table:
            table = copy.deepcopy(table)
            table.pop("vhds", None)  # only by delta xDS
            yield table
    for name, host in want.get("VirtualHost", {}).items():
        if host:
            yield {"name": name, "validate_clusters": False, "virtual_hosts": [host],
                   "max_direct_response_body_size_bytes": 1048576}


def wrap_istio(node):
    """JSON can not hold an Any of a type that Envoy does not know; on the wire it can, and there it is optional."""
    if isinstance(node, list):
        return [wrap_istio(one) for one in node]
    if not isinstance(node, dict):
        return node
    if node.get("@type", "").startswith("type.googleapis.com/istio."):
        value = {k: v for k, v in node.items() if k != "@type"}
        return {"@type": "type.googleapis.com/xds.type.v3.TypedStruct", "type_url": node["@type"], "value": value}
    return {k: wrap_istio(v) for k, v in node.items()}


def bootstrap(want):
    listeners = [one for one in want.get("Listener", {}).values() if one]
    listeners += [table_listener(i, t) for i, t in enumerate(tables_of(want))]
    clusters = [cluster("xds-grpc", 15010), cluster("sds-grpc", 15011)]
    clusters += [one for one in want.get("Cluster", {}).values() if one]
    return {
        "node": {"id": "sidecar~10.0.0.1~a.b~b.svc.cluster.local", "cluster": "a"},
        "dynamic_resources": {"ads_config": {"api_type": "GRPC", "transport_api_version": "V3", "grpc_services": [
            {"envoy_grpc": {"cluster_name": "xds-grpc"}}]}},
        "static_resources": {"listeners": listeners, "clusters": clusters},
        "bootstrap_extensions": [INTERNAL_LISTENERS],
    }


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_envoy_takes_it(case, tmp_path):
    envoy = find_envoy() or pytest.skip("Envoy is not installed")
    path = tmp_path / "envoy.yaml"
    path.write_text(yaml.safe_dump(wrap_istio(bootstrap(json.loads((case / "want.json").read_text())))))
    done = subprocess.run([envoy, "--mode", "validate", "-c", str(path)], capture_output=True, text=True, timeout=60,
                          check=False)
    # Its message repeats the whole file.
    assert done.returncode == 0, "\n".join(line[:600] for line in done.stderr.splitlines())
