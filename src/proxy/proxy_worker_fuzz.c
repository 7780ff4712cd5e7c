/* Fuzzes a whole worker in memory (tests/sim): the first byte chooses the configuration, then each byte is something
 * that a client, an origin, the clock or the control plane does. Whatever they do, nothing may be left at the end.
 *
 * The first byte: 1 two endpoints, 2 HTTP/2 to them, 4 retries, 8 sniffing, 16 opaque bytes, 32 the filters and routes of an
 * edge, 64 tunnels that end here and that enter a listener of ours, 128 the PROXY protocol in. */
#include <stdio.h>

#include "sim/world.h"
#include "unit/http/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLIENTS 4
#define STEPS_MAX 100

#define UPSTREAM_HTTP2                                                                            \
    "typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: " \
    "{'@type': type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, "      \
    "explicit_http_config: {http2_protocol_options: {}}}}"
#define EXT "{'@type': type.googleapis.com/envoy.extensions."
#define SNIFF                                                          \
    "{name: envoy.filters.listener.tls_inspector, typed_config: " EXT  \
    "filters.listener.tls_inspector.v3.TlsInspector}}, "               \
    "{name: envoy.filters.listener.http_inspector, typed_config: " EXT \
    "filters.listener.http_inspector.v3.HttpInspector}}"
#define PROXY_IN                                                                         \
    "{name: pp, typed_config: " EXT "filters.listener.proxy_protocol.v3.ProxyProtocol, " \
    "allow_requests_without_proxy_protocol: true}}, "
#define LISTENER(filters)                                             \
    "listener_filters: [" filters "], listener_filters_timeout: 1s, " \
    "continue_on_listener_filters_timeout: true"

/* ---- what an edge does ---- */

#define RETRIES                                                                          \
    "timeout: 3s, retry_policy: {retry_on: '5xx,reset,connect-failure,refused-stream', " \
    "num_retries: 2, per_try_timeout: 1s}, "
#define FILTERS                                                                           \
    "{name: cors, typed_config: " EXT "filters.http.cors.v3.Cors}}, "                     \
    "{name: web, typed_config: " EXT "filters.http.grpc_web.v3.GrpcWeb}}, "               \
    "{name: fault, typed_config: " EXT "filters.http.fault.v3.HTTPFault, "                \
    "abort: {http_status: 503, percentage: {numerator: 5}}, "                             \
    "delay: {fixed_delay: 1s, percentage: {numerator: 5}}}}, "                            \
    "{name: rbac, typed_config: " EXT "filters.http.rbac.v3.RBAC, rules: {action: DENY, " \
    "policies: {p: {permissions: [{url_path: {path: {prefix: /no}}}, "                    \
    "{header: {name: x-no, present_match: true}}], principals: [{any: true}]}}}}}, "      \
    "{name: gz, typed_config: " EXT "filters.http.compressor.v3.Compressor, "             \
    "compressor_library: {name: gzip, typed_config: " EXT                                 \
    "compression.gzip.compressor.v3.Gzip}}}}"
#define EDGE_HCM                                                                             \
    "use_remote_address: true, normalize_path: true, merge_slashes: true, "                  \
    "path_with_escaped_slashes_action: UNESCAPE_AND_FORWARD, proxy_100_continue: true, "     \
    "xff_num_trusted_hops: 1, append_x_forwarded_port: true, common_http_protocol_options: " \
    "{headers_with_underscores_action: DROP_HEADER}, internal_address_config: "              \
    "{cidr_ranges: [{address_prefix: 10.0.0.0, prefix_len: 8}]}, "                           \
    "request_timeout: 20s, http_protocol_options: {accept_http_10: true, "                   \
    "default_host_for_http_10: h, enable_trailers: true}, "
#define EDGE_ROUTES                                                                           \
    "{match: {prefix: /say}, direct_response: {status: 200, body: {inline_string: hello}}}, " \
    "{match: {prefix: /go}, redirect: {path_redirect: /}}, "                                  \
    "{match: {prefix: /two}, route: {%scluster: a, prefix_rewrite: /one, "                    \
    "request_mirror_policies: [{cluster: b}]}}, "                                             \
    "{match: {prefix: /}, typed_per_filter_config: {cors: " EXT                               \
    "filters.http.cors.v3.CorsPolicy, allow_origin_string_match: [{prefix: 'https://a'}], "   \
    "allow_methods: PUT}}, response_headers_to_add: [{header: {key: x-a, "                    \
    "value: '%%REQ(:PATH)%% %%START_TIME%%'}}], route: {%scluster: a}}"
#define PLAIN_ROUTES "{match: {prefix: /}, route: {%scluster: a}}"
#define ENDS_HERE "upgrade_configs: [{upgrade_type: CONNECT, connect_config: {}}]"
#define TUNNELS                                                                     \
    "{match: {connect_matcher: {}, headers: [{name: x-in, present_match: true}]}, " \
    "route: {cluster: inner, " ENDS_HERE "}}, "                                     \
    "{match: {connect_matcher: {}}, route: {cluster: a, " ENDS_HERE "}}, "
#define INNER_LISTENER                                                                           \
    "{name: inner, internal_listener: {}, listener_filters: [{name: od, typed_config: " EXT      \
    "filters.listener.original_dst.v3.OriginalDst}}, {name: hi, typed_config: " EXT              \
    "filters.listener.http_inspector.v3.HttpInspector}}], filter_chains: ["                      \
    "{filter_chain_match: {destination_port: 80}, filters: [{name: h, typed_config: " EXT        \
    "filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: i, "         \
    "route_config: {name: i, virtual_hosts: [{name: v, domains: ['*'], routes: ["                \
    "{match: {prefix: /}, route: {cluster: a}}]}]}, http_filters: [{name: r, typed_config: " EXT \
    "filters.http.router.v3.Router}}]}}]}, "                                                     \
    "{filters: [{name: t, typed_config: " EXT "filters.network.tcp_proxy.v3.TcpProxy, "          \
    "stat_prefix: i, cluster: original}}]}]}"
#define INNER_CLUSTERS                                                                     \
    ", {name: inner, load_assignment: {cluster_name: inner, endpoints: [{lb_endpoints: ["  \
    "{endpoint: {address: {envoy_internal_address: {server_listener_name: inner}}}}]}]}, " \
    "transport_socket: {name: inner, typed_config: " EXT                                   \
    "transport_sockets.internal_upstream.v3.InternalUpstreamTransport, transport_socket: " \
    "{name: raw, typed_config: " EXT "transport_sockets.raw_buffer.v3.RawBuffer}}}}}, "    \
    "{name: original, type: ORIGINAL_DST, lb_policy: CLUSTER_PROVIDED}"

static const char *const client_says[] = {
    "GET / HTTP/1.1\r\nhost: h\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "0\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\n12345",
    "67890",
    "GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    "HEAD / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n",
    "0\r\nx-end: 1\r\n\r\n",
};
static const char *const origin_says[] = {
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    "HTTP/1.1 503 no\r\ncontent-length: 2\r\n\r\nno",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "0\r\nx-sum: 1\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 101 x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhi",
    "HTTP/1.1 200 OK\r\n\r\nuntil the end",
    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 9\r\n\r\n12345",
};
/* The second half of the byte: these, and with one byte changed. */
#define WEB(type, more) \
    "POST /s/m HTTP/1.1\r\nhost: h\r\ncontent-type: application/grpc-web" type "\r\n" more
static const char *const edge_client_says[] = {
    "GET /two//a/../b%2fc HTTP/1.1\r\nhost: h\r\naccept-encoding: gzip\r\n\r\n",
    "GET /say HTTP/1.1\r\nhost: h\r\naccept-encoding: gzip;q=0.5, *;q=0\r\n\r\n",
    "OPTIONS / HTTP/1.1\r\nhost: h\r\norigin: https://a\r\naccess-control-request-method: "
    "PUT\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: h\r\norigin: https://a\r\naccept-encoding: gzip\r\nconnection: "
    "close\r\n\r\n",
    WEB("", "content-length: 8\r\n\r\nabcdefgh"),
    WEB("-text", "accept: application/grpc-web-text\r\ncontent-length: 12\r\n\r\nAAAAAANhYmM="),
    WEB("-text+proto", "transfer-encoding: chunked\r\n\r\n3\r\nAAA\r\n9\r\nAAANhYmM=\r\n0\r\n\r\n"),
    WEB("+proto", "x-no: 1\r\ncontent-length: 0\r\n\r\n"),
    "CONNECT 10.0.0.1:80 HTTP/1.1\r\nhost: 10.0.0.1:80\r\nx-in: 1\r\n\r\n",
    "CONNECT 10.0.0.2:81 HTTP/1.1\r\nhost: 10.0.0.2:81\r\nx-in: 1\r\n\r\n",
    "CONNECT h:443 HTTP/1.1\r\nhost: h:443\r\n\r\n",
    "PROXY TCP4 198.51.100.7 10.0.0.1 4567 80\r\n",
    "PROXY TCP6 2001:db8::1 2001:db8::2 4567 80\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "POST /two HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n",
    "GET /no/../go HTTP/1.1\r\nhost: h\r\nx-envoy-fault-abort-request: 500\r\nx-forwarded-for: "
    "1.2.3.4, 5.6.7.8\r\nx-forwarded-for: 10.0.0.1\r\nx_y: z\r\nx-envoy-retry-on: 5xx\r\ntraceparent: "
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n",
    "some opaque bytes\n",
};
static const char *const edge_origin_says[] = {
    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\netag: \"1\"\r\ncontent-length: 40\r\n\r\n"
    "0123456789012345678901234567890123456789",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nvary: *\r\n\r\n28\r\n"
    "0123456789012345678901234567890123456789\r\n",
    "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n"
    "3\r\nabc\r\n0\r\ngrpc-status: 0\r\ngrpc-message: fine\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 5\r\ncontent-length: "
    "0\r\n\r\n",
    "HTTP/1.1 404 No\r\ncontent-length: 4\r\n\r\nlost",
    "HTTP/1.1 304 Not Modified\r\netag: W/\"1\"\r\n\r\n",
    "HTTP/1.1 103 Early\r\nlink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n",
    "HTTP/1.0 200 OK\r\n\r\nabc",
    "\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\nset-cookie: a=b\r\nlocation: "
    "/x\r\n\r\n12345HTTP/1.1 200",
};
static const char *const client_frames[] = {
    "M;S",
    "H1e Q",
    "H3 Q|te=trailers;D3 abc",
    "D3e abc",
    "H3e x-end=1",
    "R1 8",
    "R3 8",
    "H5e Q;H7e Q",
    "G 0",
    "Sa",
    "W0 65535",
    "D3 *16384",
    "H1 :method=CONNECT|:authority=10.0.0.1:80|x-in=1",
    "H3 :method=CONNECT|:authority=10.0.0.2:81|x-in=1",
    "H5 :method=CONNECT|:authority=h:443",
    "H1 :method=CONNECT|:protocol=websocket|:scheme=http|:path=/|:authority=a",
    "D1 GET / HTTP/1.1\r\nhost: h\r\n\r\n",
    "H1 :method=POST|:scheme=http|:path=/|:authority=a|content-type=application/grpc-web-text",
    "D1e AAAAAANhYmM=",
    "H7e :method=GET|:scheme=http|:path=/two/./x|:authority=a|accept-encoding=gzip|content-length=3",
    "H9e :method=GET|:scheme=http|:path=/a b|:authority=a b|transfer-encoding=chunked",
};
static const char *const origin_frames[] = {
    "S;Sa",
    "H1 :status=200;D1e ok",
    "H1 :status=200;D1 ok",
    "H1e x-sum=1",
    "H3 :status=503;D3e no",
    "R1 7",
    "R1 2",
    "G 0",
    "S 3=1",
    "H1 :status=100",
    "D1 *16384",
    "H5e :status=204",
    "H1 :status=200|content-type=application/grpc;D1 abc;H1e grpc-status=0",
    "H1e :status=200|content-type=application/grpc|grpc-status=7",
    "H1 :status=200|content-length=3;D1e *20",
    "H1 :status=200|transfer-encoding=chunked",
    "H1 :status=200|etag=1|content-type=text/plain;D1 *300",
};

#define EDGE 32
#define TUNNEL 64
#define PROXIED 128

struct play {
    uint8_t features;
    char routes[4096];
    char hcm[1024];
    struct sim sim;
    struct sim_conf conf;
    struct sim_peer *clients[CLIENTS];
    const uint8_t *at, *end;
};

static uint8_t next(struct play *p)
{
    return p->at < p->end ? *p->at++ : 0;
}

static void say(struct sim_peer *to, const char *text)
{
    ssize_t n = io_write(to->io, text, strlen(text));
    UNUSED(n); /* a full or closed connection takes no more */
}

/* A phrase of an edge's traffic; the next two bytes change one of its own, unless the first is 0. */
static void say_changed(struct play *p, struct sim_peer *to, const char *text)
{
    char changed[512];
    size_t len = strlen(text);
    ASSERT(len > 0 && len <= sizeof(changed));
    memcpy(changed, text, len);
    uint8_t at = next(p);
    if (at > 0) {
        changed[at % len] = (char)next(p);
    }
    ssize_t n = io_write(to->io, changed, len);
    UNUSED(n);
}

static void say_frames(struct sim_peer *to, const char *script)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    frames_write(&b, script);
    struct span bytes = buf_span(&b);
    ssize_t n = io_write(to->io, bytes.at, bytes.len);
    UNUSED(n);
    buf_dispose(&b);
}

static void say_bytes(struct play *p, struct sim_peer *to)
{
    size_t len = next(p);
    len = size_min(len, (size_t)(p->end - p->at));
    ssize_t n = io_write(to->io, p->at, len);
    UNUSED(n);
    p->at += len;
}

static void go(struct sim_peer *peer, uint8_t how)
{
    switch (how % 3) {
    case 0:
        sim_peer_close(peer);
        break;
    case 1:
        sim_peer_abort(peer);
        break;
    default:
        sim_peer_shut(peer);
        break;
    }
}

static const char *listener_filters(uint8_t features, uint8_t what)
{
    if (features & PROXIED) {
        return what & 8 ? LISTENER(PROXY_IN SNIFF) : LISTENER(PROXY_IN);
    }
    return what & 8 ? LISTENER(SNIFF) : NULL;
}

static void choose(struct play *p, uint8_t what)
{
    struct sim_conf *conf = &p->conf;
    bool edge = p->features & EDGE;
    bool tunnel = p->features & TUNNEL;
    *conf = (struct sim_conf){.endpoints = what & 1 ? "1 2" : "1",
                              .log = "%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%"};
    conf->cluster = what & 2
                        ? UPSTREAM_HTTP2
                        : "circuit_breakers: {thresholds: [{max_connections: 1, max_requests: 3}]}";
    const char *retries = what & 4 ? RETRIES : "";
    int n = edge ? snprintf(p->routes, sizeof(p->routes), "%s" EDGE_ROUTES, tunnel ? TUNNELS : "",
                            retries, retries)
                 : snprintf(p->routes, sizeof(p->routes), "%s" PLAIN_ROUTES, tunnel ? TUNNELS : "",
                            retries);
    ASSERT(n > 0 && (size_t)n < sizeof(p->routes));
    conf->routes = p->routes;
    n = snprintf(p->hcm, sizeof(p->hcm), "%s%supgrade_configs: [{upgrade_type: websocket}%s]",
                 edge ? EDGE_HCM : "",
                 tunnel ? "stream_idle_timeout: 5s, http2_protocol_options: {allow_connect: true}, "
                        : "stream_idle_timeout: 5s, ",
                 tunnel ? ", {upgrade_type: CONNECT}" : "");
    ASSERT(n > 0 && (size_t)n < sizeof(p->hcm));
    conf->hcm = p->hcm;
    conf->filters = edge ? FILTERS : NULL;
    conf->listener = listener_filters(p->features, what);
    conf->listeners = tunnel ? INNER_LISTENER : NULL;
    conf->clusters = tunnel ? SIM_CLUSTER("b", "2", "connect_timeout: 2s") INNER_CLUSTERS
                            : SIM_CLUSTER("b", "2", "connect_timeout: 2s");
    conf->tcp = what & 16 ? "cluster: a, max_connect_attempts: 2" : NULL;
    conf->no_listener = (what & 0x60) == 0x60;
    conf->no_cluster = (what & 0xa0) == 0xa0;
}

static void client_step(struct play *p, uint8_t op)
{
    struct sim_peer **c = &p->clients[op % CLIENTS];
    if (*c == NULL || (*c)->io == NULL) {
        *c = sim_connect(&p->sim);
        if (*c == NULL) {
            return; /* the listener is gone */
        }
    }
    uint8_t what = next(p);
    switch (op / CLIENTS % 5) {
    case 0:
        if (what < 128) {
            say(*c, client_says[what % ARRAY_LEN(client_says)]);
        } else {
            say_changed(p, *c, edge_client_says[what % ARRAY_LEN(edge_client_says)]);
        }
        break;
    case 1:
        say_frames(*c, client_frames[what % ARRAY_LEN(client_frames)]);
        break;
    case 2:
        say_bytes(p, *c);
        break;
    case 3:
        go(*c, what);
        break;
    default:
        (*c)->slow = !(*c)->slow;
        break;
    }
}

static void origin_step(struct play *p, uint8_t op)
{
    struct sim_origin *o = sim_origin(&p->sim, 1 + op % 2);
    struct sim_peer *peer = sim_net_newest(o);
    uint8_t what = next(p);
    if (op / 2 % 6 == 5) {
        o->fault = (enum sim_fault)(what % 3);
        o->delay_ms = what & 4 ? 500 : 0;
        return;
    }
    if (peer == NULL || peer->io == NULL) {
        return;
    }
    switch (op / 2 % 6) {
    case 0:
        if (what < 128) {
            say(peer, origin_says[what % ARRAY_LEN(origin_says)]);
        } else {
            say_changed(p, peer, edge_origin_says[what % ARRAY_LEN(edge_origin_says)]);
        }
        break;
    case 1:
        say_frames(peer, origin_frames[what % ARRAY_LEN(origin_frames)]);
        break;
    case 2:
        say_bytes(p, peer);
        break;
    case 3:
        go(peer, what);
        break;
    default:
        peer->slow = !peer->slow;
        break;
    }
}

static void world_step(struct play *p, uint8_t op)
{
    static const int64_t times_ms[] = {1, 10, 100, 999, 1000, 3000, 10000, 70000};
    uint8_t what = next(p);
    switch (op % 8) {
    case 0:
        choose(p, what);
        sim_config(&p->sim, &p->conf);
        break;
    case 1:
        sim_drain(&p->sim, what & 1);
        break;
    default:
        sim_advance(&p->sim, times_ms[what % ARRAY_LEN(times_ms)]);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct play play;
    struct play *p = &play;
    *p = (struct play){.at = data, .end = data + size};
    p->features = next(p);
    choose(p, p->features & 0x1f);
    sim_begin(&p->sim, &p->conf);
    for (int i = 0; i < STEPS_MAX && p->at < p->end; i++) {
        uint8_t op = next(p);
        if (op < 110) {
            client_step(p, op);
        } else if (op < 210) {
            origin_step(p, op);
        } else {
            world_step(p, op);
        }
        if (op & 1) { /* else more happens in the same turn */
            sim_settle(&p->sim);
        }
    }
    sim_end(&p->sim);
    return 0;
}
