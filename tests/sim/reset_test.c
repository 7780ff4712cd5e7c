/* sim: either side goes away at any byte, in every pair of versions. Nothing may be left of the request at once, and
 * nothing at all at the end (sim_end looks). */
#include "sim/expect.h"

SIM_FILE

struct side {
    const char *text;   /* HTTP/1 ... */
    const char *frames; /* ... or HTTP/2 */
};

static const struct side client1 = {
    .text =
        "POST /p HTTP/1.1\r\nhost: h\r\nte: trailers\r\nconnection: te\r\ntransfer-encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n0\r\nx-e: 1\r\n\r\n"};
static const struct side client2 = {.frames = "M;S;H1 Q|te=trailers;D1 abc;H1e x-e=1"};
static const struct side origin1 = {
    .text =
        "HTTP/1.1 103 x\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-s: 2\r\n\r\n"};
static const struct side origin2 = {.frames = "S;H1 :status=103;H1 :status=200;D1 ok;H1e x-s=2"};

static struct span bytes_of(const struct side *side)
{
    if (side->text != NULL) {
        return span_of(side->text);
    }
    struct buf b;
    buf_init(&b, 65536);
    frames_write(&b, side->frames);
    struct span copy = arena_dup(&s.texts, buf_span(&b));
    buf_dispose(&b);
    return copy;
}

static bool tunnel; /* a side that has closed may still be listening: the other must close, too */

enum way { CLOSES, ABORTS, SHUTS, WAYS };

static void go(struct sim_peer *p, enum way how)
{
    if (p->io == NULL) {
        return;
    }
    if (how == CLOSES) {
        sim_peer_close(p);
    } else if (how == ABORTS) {
        sim_peer_abort(p);
    } else {
        sim_peer_shut(p);
    }
    sim_settle(&s);
}

static void expect_quiet(const char *what, size_t at, enum way how)
{
    static const char *const gauges[] = {
        "envoy_http_downstream_rq_active", "envoy_cluster_upstream_rq_active",
        "envoy_cluster_upstream_rq_pending_active", "envoy_http_downstream_cx_active"};
    for (size_t i = 0; i < ARRAY_LEN(gauges); i++) {
        if (sim_metric(&s, gauges[i], NULL) != 0) {
            print_error("%s at byte %zu, way %d: %s is not 0\n", what, at, how, gauges[i]);
            fail();
        }
    }
}

/* One exchange: the client says `asked` bytes, the origin `said`; then one of them goes. */
static void once(struct span request, size_t asked, struct span response, size_t said,
                 bool client_goes, enum way how)
{
    struct sim_origin *o = sim_origin(&s, 1);
    unsigned before = o->accepted;
    struct sim_peer *c = sim_connect(&s);
    sim_peer_write(c, span_first(request, asked));
    sim_settle(&s);
    struct sim_peer *up = o->accepted > before ? sim_net_newest(o) : NULL;
    if (up != NULL && said > 0) {
        sim_peer_write(up, span_first(response, said));
        sim_settle(&s);
    }
    if (client_goes) {
        go(c, how);
    } else if (up != NULL) {
        go(up, how);
    }
    go(c, CLOSES);
    if (tunnel && up != NULL) {
        go(up, CLOSES);
    }
    sim_advance(&s, 12000); /* half closed ones are given up by then */
    expect_quiet(client_goes ? "client" : "origin", client_goes ? asked : said, how);
    for (struct list *node = o->peers.next; node != &o->peers; node = node->next) {
        struct sim_peer *p = list_item(node, struct sim_peer, node);
        if (p->io != NULL) { /* the next exchange has a connection of its own */
            sim_peer_close(p);
        }
    }
    sim_settle(&s);
}

static void all(const struct side *client, const struct side *origin, const char *route)
{
    BEGIN(.cluster = origin->frames != NULL ? SIM_HTTP2 : NULL, .route = route,
          .log = "%RESPONSE_FLAGS%");
    struct span request = bytes_of(client);
    struct span response = bytes_of(origin);
    for (int how = CLOSES; how < WAYS; how++) {
        for (size_t n = 0; n <= request.len; n++) {
            once(request, n, response, 0, true, (enum way)how);
        }
        for (size_t n = 0; n <= response.len; n++) {
            once(request, request.len, response, n, true, (enum way)how);
            once(request, request.len, response, n, false, (enum way)how);
            once(request, request.len - 1, response, n, false, (enum way)how);
        }
    }
}

CASE(http1_to_http1)
{
    all(&client1, &origin1, NULL);
}

CASE(http1_to_http2)
{
    all(&client1, &origin2, NULL);
}

CASE(http2_to_http1)
{
    all(&client2, &origin1, NULL);
}

CASE(http2_to_http2)
{
    all(&client2, &origin2, NULL);
}

#define RETRYING \
    "cluster: a, timeout: 3s, retry_policy: {retry_on: '5xx,reset,connect-failure', num_retries: 2, per_try_timeout: 1s}"

CASE(with_retries)
{
    all(&client1, &origin1, RETRYING);
}

CASE(with_retries_in_http2)
{
    all(&client2, &origin2, RETRYING);
}

CASE(as_a_tunnel)
{
    static const struct side client = {
        .text = "GET /ws HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"};
    static const struct side origin = {
        .text = "HTTP/1.1 101 x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nxyz"};
    tunnel = true;
    all(&client, &origin, "cluster: a, upgrade_configs: [{upgrade_type: websocket}]");
}

/* While connecting, and while waiting for a connection. */
CASE(before_there_is_an_upstream)
{
    tunnel = false;
    BEGIN(.cluster = "circuit_breakers: {thresholds: [{max_connections: 1}]}");
    sim_origin(&s, 1)->delay_ms = 100;
    for (int how = CLOSES; how < WAYS; how++) {
        for (int wait_ms = 0; wait_ms <= 100; wait_ms += 50) {
            struct sim_peer *a = sim_ask(&s, GET);
            struct sim_peer *b = sim_ask(&s, GET);
            sim_advance(&s, wait_ms);
            go(b, (enum way)how);
            go(a, (enum way)how);
            sim_advance(&s, 12000);
            go(a, CLOSES);
            go(b, CLOSES);
            expect_quiet("client", (size_t)wait_ms, (enum way)how);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(http1_to_http1), RUN(http1_to_http2),
        RUN(http2_to_http1), RUN(http2_to_http2),
        RUN(with_retries),   RUN(with_retries_in_http2),
        RUN(as_a_tunnel),    RUN(before_there_is_an_upstream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
