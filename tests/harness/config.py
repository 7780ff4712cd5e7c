"""Proxy configuration in Envoy's v3 shape, as Python dicts that are valid YAML and protobuf JSON. The
same dicts drive mesh and Envoy."""

import os
from pathlib import Path

import yaml

TYPE = "type.googleapis.com/"
LISTENER = TYPE + "envoy.config.listener.v3.Listener"
CLUSTER = TYPE + "envoy.config.cluster.v3.Cluster"
ENDPOINTS = TYPE + "envoy.config.endpoint.v3.ClusterLoadAssignment"
ROUTES = TYPE + "envoy.config.route.v3.RouteConfiguration"
VIRTUAL_HOST = TYPE + "envoy.config.route.v3.VirtualHost"
SECRET = TYPE + "envoy.extensions.transport_sockets.tls.v3.Secret"

_HCM = TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = TYPE + "envoy.extensions.filters.http.router.v3.Router"
_RBAC_HTTP = TYPE + "envoy.extensions.filters.http.rbac.v3.RBAC"
_RBAC_NET = TYPE + "envoy.extensions.filters.network.rbac.v3.RBAC"
_TCP_PROXY = TYPE + "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
_UPSTREAM_TLS = TYPE + "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
_DOWNSTREAM_TLS = TYPE + "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_HTTP_OPTIONS = TYPE + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_FILE_LOG = TYPE + "envoy.extensions.access_loggers.file.v3.FileAccessLog"

# Istio's default text format, which every Istio user has seen.
ISTIO_LOG_FORMAT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% '
    '%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% '
    '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% '
    '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" '
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% '
    '%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% '
    '%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n')

# What Envoy wants in its bootstrap before it takes an internal listener (Istio's has it).
INTERNAL_LISTENERS = {"name": "envoy.bootstrap.internal_listener", "typed_config": {
    "@type": TYPE + "envoy.extensions.bootstrap.internal_listener.v3.InternalListener"}}


def address(port, host="127.0.0.1"):
    return {"socket_address": {"address": host, "port_value": port}}


def file_log(path, text_format=ISTIO_LOG_FORMAT):
    return {"name": "envoy.access_loggers.file", "typed_config": {
        "@type": _FILE_LOG, "path": str(path),
        "log_format": {"text_format_source": {"inline_string": text_format}}}}


# ---- routes

def route(match, cluster=None, **action):
    """`match` is a prefix or a RouteMatch; further keywords go into the RouteAction."""
    if isinstance(match, str):
        match = {"prefix": match}
    if cluster is not None:
        action["cluster"] = cluster
    return {"match": match, "route": action}


def weighted(**weights):
    return {"clusters": [{"name": name, "weight": weight} for name, weight in weights.items()]}


def vhost(name, domains, *routes, **more):
    return {"name": name, "domains": list(domains), "routes": list(routes), **more}


def routes_to(cluster, name="local", **action):
    """Everything to one cluster."""
    return {"name": name, "virtual_hosts": [vhost("all", ["*"], route("/", cluster, **action))]}


# ---- filters

def rbac_http(policies, action="ALLOW"):
    return {"name": "envoy.filters.http.rbac", "typed_config": {
        "@type": _RBAC_HTTP, "rules": {"action": action, "policies": policies}}}


def rbac_network(policies, action="ALLOW"):
    return {"name": "envoy.filters.network.rbac", "typed_config": {
        "@type": _RBAC_NET, "stat_prefix": "tcp.", "rules": {"action": action, "policies": policies}}}


def principal(*uris):
    """RBAC principals of these exact SPIFFE IDs."""
    return [{"authenticated": {"principal_name": {"exact": u}}} for u in uris]


def policy(principals=None, permissions=None):
    return {"principals": principals or [{"any": True}], "permissions": permissions or [{"any": True}]}


def hcm(routes, http_filters=(), log=None, rds=None, stat_prefix="http", **more):
    """The HTTP connection manager with `routes` inline, or by name through `rds` (a ConfigSource)."""
    body = {"@type": _HCM, "stat_prefix": stat_prefix, "codec_type": "AUTO",
            "http_filters": list(http_filters) + [
                {"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}]}
    if rds is not None:
        body["rds"] = {"route_config_name": routes, "config_source": rds}
    else:
        body["route_config"] = routes
    if log is not None:
        body["access_log"] = [file_log(log)]
    body.update(more)
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": body}


def tcp_proxy(cluster, log=None, **more):
    body = {"@type": _TCP_PROXY, "stat_prefix": "tcp", "cluster": cluster, **more}
    if log is not None:
        body["access_log"] = [file_log(log)]
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": body}


# ---- TLS

def _own_pair(identity):
    return [{"certificate_chain": {"filename": str(identity.cert)},
             "private_key": {"filename": str(identity.key)}}]


def _common(identity, trust, sans=None, alpn=(), params=None):
    """identity: Identity, or {"name": ..., "trust_name": ..., "sds": source, "trust_sds": source}. A source
    of secrets gives one secret each, so files are two; a stream is one for both."""
    common = {}
    if alpn:
        common["alpn_protocols"] = list(alpn)
    if params:
        common["tls_params"] = params
    match = {}
    if sans is not None:
        match["match_typed_subject_alt_names"] = [
            {"san_type": "URI", "matcher": {"exact": u}} for u in sans]
    if isinstance(identity, dict):
        sds = identity["sds"]
        common["tls_certificate_sds_secret_configs"] = [{"name": identity["name"], "sds_config": sds}]
        common["combined_validation_context"] = {
            "default_validation_context": match,
            "validation_context_sds_secret_config": {
                "name": identity["trust_name"], "sds_config": identity.get("trust_sds", sds)}}
        return common
    common["tls_certificates"] = _own_pair(identity)
    common["validation_context"] = {"trusted_ca": {"filename": str(trust)}, **match}
    return common


TLS13 = {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3",
         "ecdh_curves": ["P-256"]}


def tls_upstream(identity, trust=None, sans=None, sni=None, alpn=("istio",), params=None):
    body = {"@type": _UPSTREAM_TLS, "common_tls_context": _common(
        identity, trust or getattr(identity, "root", None), sans, alpn, params or TLS13)}
    if sni:
        body["sni"] = sni
    return {"name": "envoy.transport_sockets.tls", "typed_config": body}


def tls_downstream(identity, trust=None, sans=None, alpn=("h2", "istio", "http/1.1"), params=None):
    body = {"@type": _DOWNSTREAM_TLS, "require_client_certificate": True,
            "common_tls_context": _common(
                identity, trust or getattr(identity, "root", None), sans, alpn, params or TLS13)}
    return {"name": "envoy.transport_sockets.tls", "typed_config": body}


def secret_pair(name, identity):
    return {"@type": SECRET, "name": name, "tls_certificate": {
        "certificate_chain": {"inline_string": identity.chain_pem.decode()},
        "private_key": {"inline_string": identity.key_pem.decode()}}}


def secret_trust(name, *roots_pem):
    return {"@type": SECRET, "name": name, "validation_context": {
        "trusted_ca": {"inline_string": b"".join(roots_pem).decode()}}}


# ---- listeners and clusters

def listener(name, port, *filters, tls=None, direction=None, typed=True, **more):
    chain = {"filters": list(filters)}
    if tls is not None:
        chain["transport_socket"] = tls
    body = {"@type": LISTENER} if typed else {}
    body.update({"name": name, "address": address(port), "filter_chains": [chain]})
    if direction:
        body["traffic_direction"] = direction
    body.update(more)
    return body


def assignment(name, *ports, typed=False, host="127.0.0.1"):
    body = {"@type": ENDPOINTS} if typed else {}
    body.update({"cluster_name": name, "endpoints": [{"lb_endpoints": [
        {"endpoint": {"address": address(port, host)}} for port in ports]}]})
    return body


def _protocol(kind, options):
    return {"typed_extension_protocol_options": {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": _HTTP_OPTIONS, "explicit_http_config": {kind: options}}}}


def cluster(name, *ports, tls=None, http2=False, eds=None, typed=True, **more):
    """Static endpoints on loopback, or `eds` (a ConfigSource)."""
    body = {"@type": CLUSTER} if typed else {}
    body.update({"name": name, "connect_timeout": "2s"})
    if eds is not None:
        body.update({"type": "EDS", "eds_cluster_config": {"eds_config": eds}})
    else:
        body.update({"type": "STATIC", "load_assignment": assignment(name, *ports)})
    if tls is not None:
        body["transport_socket"] = tls
    if http2:
        body.update(_protocol("http2_protocol_options", {}))
    body.update(more)
    return body


NO_LIMITS = {"thresholds": [{"priority": "DEFAULT", "max_connections": 1000000000,
                             "max_pending_requests": 1000000000, "max_requests": 1000000000,
                             "max_retries": 1000000000}]}


def http1(**options):
    """HTTP/1.1 upstream with these Http1ProtocolOptions."""
    return _protocol("http_protocol_options", options)


def same_protocol():
    """Upstream HTTP version as downstream's (gRPC through a proxy that also carries HTTP/1)."""
    return {"typed_extension_protocol_options": {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": _HTTP_OPTIONS, "use_downstream_protocol_config": {
                "http_protocol_options": {}, "http2_protocol_options": {}}}}}


# ---- bootstraps and files

def node(name, **metadata):
    return {"id": name, "cluster": name.split("~")[-1], "metadata": metadata}


def bootstrap(admin_port, listeners=(), clusters=(), node_=None, dynamic=None):
    """Static resources lose their @type, as Envoy wants them."""
    def bare(resource):
        return {k: v for k, v in resource.items() if k != "@type"}
    body = {"node": node_ or node("test"), "admin": {"address": address(admin_port)},
            "static_resources": {"listeners": [bare(x) for x in listeners],
                                 "clusters": [bare(x) for x in clusters]}}
    if dynamic:
        body["dynamic_resources"] = dynamic
    return body


def write_yaml(path, body):
    """By rename: who watches the file never sees half of it, and Envoy reloads on a move only."""
    path = Path(path)
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(yaml.safe_dump(body, sort_keys=False))
    os.replace(fresh, path)
    return path


def discovery_response(version, resources):
    return {"version_info": str(version), "resources": list(resources)}


def file_source(path):
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}


ADS_SOURCE = {"ads": {}, "resource_api_version": "V3"}


def ads_dynamic(cluster_name="xds", delta=False):
    return {"ads_config": {"api_type": "DELTA_GRPC" if delta else "GRPC",
                           "transport_api_version": "V3",
                           "grpc_services": [{"envoy_grpc": {"cluster_name": cluster_name}}]},
            "cds_config": ADS_SOURCE, "lds_config": ADS_SOURCE}
