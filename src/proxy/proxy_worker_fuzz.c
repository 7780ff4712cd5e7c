/* Fuzzes a whole worker in memory (tests/sim): the first byte chooses the configuration, then each byte is something
 * that a client, an origin, the clock or the control plane does. Where the first has the bit EDGE, the last byte of all says what else
 * the proxy does: paths, forwarding headers, filters, tunnels, the PROXY protocol. Whatever they do, nothing may be left at the end. */
#include "sim/world.h"
#include "unit/http/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLIENTS 4
#define STEPS_MAX 100

#define UPSTREAM_HTTP2                                                                            \
    "typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: " \
    "{'@type': type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, "      \
    "explicit_http_config: {http2_protocol_options: {}}}}"
#define SNIFF                                                                                    \
    "listener_filters: [{name: envoy.filters.listener.tls_inspector, typed_config: {'@type': "   \
    "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector}}, "    \
    "{name: envoy.filters.listener.http_inspector, typed_config: {'@type': "                     \
    "type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector}}], " \
    "listener_filters_timeout: 1s, continue_on_listener_filters_timeout: true"

#define EDGE 0x20
#define TYPE "'@type': type.googleapis.com/envoy.extensions."
#define FILTERS                                                                             \
    "{name: web, typed_config: {" TYPE "filters.http.grpc_web.v3.GrpcWeb}}, "               \
    "{name: cors, typed_config: {" TYPE "filters.http.cors.v3.Cors}}, "                     \
    "{name: gz, typed_config: {" TYPE "filters.http.compressor.v3.Compressor, "             \
    "response_direction_config: {common_config: {min_content_length: 1}}, "                 \
    "compressor_library: {name: gzip, typed_config: {" TYPE                                 \
    "compression.gzip.compressor.v3.Gzip}}}}, "                                             \
    "{name: rbac, typed_config: {" TYPE "filters.http.rbac.v3.RBAC, rules: {action: DENY, " \
    "policies: {p: {permissions: [{url_path: {path: {prefix: /admin}}}], principals: [{any: true}]}}}}}"
#define FORWARDING                                                                           \
    ", use_remote_address: true, xff_num_trusted_hops: 1, append_x_forwarded_port: true, "   \
    "normalize_path: true, merge_slashes: true, path_with_escaped_slashes_action: "          \
    "UNESCAPE_AND_FORWARD, common_http_protocol_options: {headers_with_underscores_action: " \
    "DROP_HEADER}, internal_address_config: {cidr_ranges: [{address_prefix: 10.0.0.0, "      \
    "prefix_len: 8}]}, http_protocol_options: {accept_http_10: true, "                       \
    "default_host_for_http_10: old}, tracing: {random_sampling: {value: 50}}, "              \
    "forward_client_cert_details: APPEND_FORWARD, always_set_request_id_in_response: true"
#define ROUTES                                                                                  \
    "{match: {connect_matcher: {}}, route: {cluster: a, upgrade_configs: [{upgrade_type: "      \
    "CONNECT, connect_config: {}}]}}, {match: {prefix: /mirror}, route: {cluster: a, "          \
    "request_mirror_policies: [{cluster: a}], hash_policy: [{header: {header_name: x-user}}], " \
    "prefix_rewrite: /}}, {match: {prefix: /here}, direct_response: {status: 200, body: "       \
    "{inline_string: here}}}, {match: {prefix: /}, route: {cluster: a, timeout: 3s}, "          \
    "typed_per_filter_config: {cors: {" TYPE "filters.http.cors.v3.CorsPolicy, "                \
    "allow_origin_string_match: [{suffix: .example}], allow_methods: GET}}}"
#define PROXY_PROTOCOL                                   \
    "listener_filters: [{name: pp, typed_config: {" TYPE \
    "filters.listener.proxy_protocol.v3.ProxyProtocol, " \
    "allow_requests_without_proxy_protocol: true}}], listener_filters_timeout: 1s"

/* What a proxy at the edge hears. */
static const char *const edge_says[] = {
    ("GET /%2e%2e/admin//x HTTP/1.1\r\nhost: h\r\naccept-encoding: gzip\r\nx-forwarded-for: 1.2.3.4\r\n"
     "x-forwarded-for: 10.0.0.1\r\nx_y: z\r\nx-envoy-retry-on: 5xx\r\n\r\n"),
    ("GET / HTTP/1.1\r\nhost: h\r\naccept-encoding: gzip;q=0.5, identity;q=0\r\n"
     "origin: http://a.example\r\n\r\n"),
    ("OPTIONS / HTTP/1.1\r\nhost: h\r\norigin: http://a.example\r\n"
     "access-control-request-method: GET\r\n\r\n"),
    ("POST /s/M HTTP/1.1\r\nhost: h\r\ncontent-type: application/grpc-web+proto\r\n"
     "transfer-encoding: chunked\r\n\r\n7\r\n\x01\x01\x01\x01\x01\x01\x01\r\n0\r\n\r\n"),
    ("POST /s/M HTTP/1.1\r\nhost: h\r\ncontent-type: application/grpc-web-text\r\n"
     "content-length: 12\r\n\r\nAAAAAAFhAAAA"),
    "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET /mirror HTTP/1.1\r\nhost: h\r\nx-user: me\r\n\r\n",
    "GET /here HTTP/1.1\r\nhost: h\r\naccept-encoding: gzip\r\n\r\n",
    "PROXY TCP4 198.51.100.7 203.0.113.9 4567 443\r\n",
    "PROXY UNKNOWN\r\n",
    "\r\n\r\n\x01\r\nQUIT\n",
};
static const char *const edge_origin_says[] = {
    ("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 60\r\netag: \"a\"\r\n\r\n"
     "012345678901234567890123456789012345678901234567890123456789"),
    "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n",
    "7\r\n\x01\x01\x01\x01\x02\x01\x01\r\n0\r\ngrpc-status: 0\r\ngrpc-message: a%20b\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 5\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nvary: a\r\netag: \"b\"\r\n\r\n",
};
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
static const char *const client_frames[] = {
    "M;S",     "H1e Q",       "H3 Q|te=trailers;D3 abc",
    "D3e abc", "H3e x-end=1", "R1 8",
    "R3 8",    "H5e Q;H7e Q", "G 0",
    "Sa",      "W0 65535",    "D3 *16384",
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
};

struct play {
    struct sim sim;
    struct sim_conf conf;
    struct sim_peer *clients[CLIENTS];
    const uint8_t *at, *end;
    uint8_t edge; /* 0 = the plain proxy */
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

static void choose(struct sim_conf *conf, uint8_t what, uint8_t edge)
{
    *conf = (struct sim_conf){.endpoints = what & 1 ? "1 2" : "1",
                              .log = "%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%"};
    conf->cluster = what & 2
                        ? UPSTREAM_HTTP2
                        : "circuit_breakers: {thresholds: [{max_connections: 1, max_requests: 3}]}";
    conf->route =
        what & 4
            ? "cluster: a, timeout: 3s, retry_policy: {retry_on: '5xx,reset,connect-failure,refused-stream', "
              "num_retries: 2, per_try_timeout: 1s}"
            : "cluster: a";
    conf->hcm = edge & 2 ? "stream_idle_timeout: 5s, upgrade_configs: [{upgrade_type: websocket}, "
                           "{upgrade_type: CONNECT}]" FORWARDING
                         : "stream_idle_timeout: 5s, upgrade_configs: [{upgrade_type: websocket}]";
    conf->listener = edge & 8 ? PROXY_PROTOCOL : what & 8 ? SNIFF : NULL;
    conf->filters = edge & 1 ? FILTERS : NULL;
    conf->routes = edge & 4 ? ROUTES : NULL;
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
        say(*c, p->edge != 0 && what >= 64 ? edge_says[what % ARRAY_LEN(edge_says)]
                                           : client_says[what % ARRAY_LEN(client_says)]);
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
        say(peer, p->edge != 0 && what >= 128 ? edge_origin_says[what % ARRAY_LEN(edge_origin_says)]
                                              : origin_says[what % ARRAY_LEN(origin_says)]);
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
        choose(&p->conf, what, p->edge);
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
    uint8_t first = next(p);
    p->edge = first & EDGE ? data[size - 1] & 0x0f : 0;
    choose(&p->conf, first & 0x1f, p->edge);
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
