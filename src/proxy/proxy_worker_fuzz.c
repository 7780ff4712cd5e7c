/* Fuzzes a whole worker in memory (tests/sim): the first byte chooses the configuration, then each byte is something
 * that a client, an origin, the clock or the control plane does. Whatever they do, nothing may be left at the end. */
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

static void choose(struct sim_conf *conf, uint8_t what)
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
    conf->hcm = "stream_idle_timeout: 5s, upgrade_configs: [{upgrade_type: websocket}]";
    conf->listener = what & 8 ? SNIFF : NULL;
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
        say(*c, client_says[what % ARRAY_LEN(client_says)]);
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
        say(peer, origin_says[what % ARRAY_LEN(origin_says)]);
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
        choose(&p->conf, what);
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
    choose(&p->conf, next(p) & 0x1f);
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
