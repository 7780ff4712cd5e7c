/* proxy/report/otlp_export: what the proxy counts arrives in control's rings, once, whatever happens to the calls. gRPC is made
 * of paper, the clock is fake. */
#include "proxy/report/otlp_export.c"

#include "control/insight/insight.h"
#include "proxy/report/stats.h"
#include "unit/cm.h"

struct grpc_stream {
    const struct grpc_events *ev;
    void *arg;
    char *message; /* owned */
    size_t len;
    bool is_up, half_closed;
    int calls;
};

static struct grpc_stream net;
static struct loop *loop;
static bool connected;

struct grpc_stream *grpc_call(struct http_client *c, const char *path, const struct header *fields,
                              size_t field_count, int64_t deadline_ms, const struct grpc_events *ev,
                              void *arg)
{
    assert_ptr_equal(c, &net);
    assert_string_equal(path, EXPORT_PATH);
    assert_int_equal(field_count, 0);
    assert_null(fields);
    assert_int_equal(deadline_ms, CALL_MS);
    assert_false(net.is_up);
    mem_free(net.message);
    net = (struct grpc_stream){.ev = ev, .arg = arg, .is_up = true, .calls = net.calls + 1};
    return &net;
}

int grpc_send(struct grpc_stream *g, struct span message)
{
    g->message = mem_strndup(message.at, message.len);
    g->len = message.len;
    return 0;
}

void grpc_half_close(struct grpc_stream *g)
{
    g->half_closed = true;
}

void grpc_cancel(struct grpc_stream *g)
{
    g->is_up = false;
}

const char *grpc_status_name(enum grpc_status status)
{
    return status == GRPC_UNAVAILABLE ? "UNAVAILABLE" : "OTHER";
}

static struct http_client *client(void *arg)
{
    UNUSED(arg);
    return connected ? (struct http_client *)&net : NULL;
}

static void pass_ms(int64_t ms)
{
    instant_fake_advance(ms * 1000000);
    while (loop_turn(loop, false)) {
    }
}

/* The call ends; with OK insight takes what it said. */
static void finish(struct insight *in, enum grpc_status status)
{
    assert_true(net.is_up && net.half_closed);
    net.is_up = false;
    if (status == GRPC_OK) {
        struct err err;
        assert_int_equal(insight_take(in, span_from(net.message, net.len),
                                      SPAN("spiffe://cluster.local/ns/shop/sa/web"),
                                      instant_wall_us(), &err),
                         0);
    }
    net.ev->on_end(net.arg, status, SPAN("why"));
}

struct bench {
    struct metric_registry *registry;
    struct stats_families *families;
    struct stats *workers[2];
    struct stats_edge *edges[2];
    struct otlp_export *x;
    struct insight *in;
};

static int begin(void **state)
{
    static const struct stats_workload self = {.workload = SPAN_INIT("web-v1"),
                                               .workload_namespace = SPAN_INIT("shop"),
                                               .version = SPAN_INIT("v1")};
    static const struct stats_workload peer = {.workload = SPAN_INIT("reviews-v1"),
                                               .workload_namespace = SPAN_INIT("default")};
    static const struct stats_edge_key key = {
        .reporter = STATS_SOURCE,
        .protocol = STATS_HTTP,
        .peer = &peer,
        .service = {.host = SPAN_INIT("reviews.default.svc.cluster.local")},
    };
    struct bench *b = mem_new(struct bench);
    *state = b;
    instant_fake_start(1000000000, 1700000000000000);
    memset(&net, 0, sizeof(net));
    connected = true;
    loop = loop_new(true);
    b->registry = metric_registry_new();
    b->families = stats_families_new(b->registry, &self);
    for (int i = 0; i < 2; i++) {
        b->workers[i] = stats_new(b->families, metric_shard_new(b->registry));
        b->edges[i] = stats_edge_get(b->workers[i], &key);
    }
    b->x = otlp_export_new(&(struct otlp_export_spec){
        .loop = loop, .registry = b->registry, .client = client, .node_id = SPAN("sidecar~1")});
    b->in = insight_new();
    return 0;
}

static int end(void **state)
{
    struct bench *b = *state;
    otlp_export_free(b->x);
    insight_free(b->in);
    for (int i = 0; i < 2; i++) {
        stats_free(b->workers[i]);
    }
    stats_families_free(b->families);
    metric_registry_free(b->registry);
    mem_free(net.message);
    loop_free(loop);
    instant_fake_stop();
    mem_free(b);
    return 0;
}

static void requests(struct bench *b, int worker, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        stats_request(b->edges[worker], 200, -1, 0, 7000, 10, 100);
    }
}

static double rps(struct bench *b, int window_s)
{
    struct arena arena;
    struct insight_edge *edges;
    arena_init(&arena, 4096);
    double n = 0;
    if (insight_edges(b->in, instant_wall_us(), window_s, 60, &arena, &edges) == 1) {
        n = edges[0].numbers.rps;
        assert_span(edges[0].source.workload, "web-v1");
        assert_span(edges[0].source.version, "v1");
        assert_span(edges[0].destination.workload, "reviews-v1");
        assert_span(edges[0].service_host, "reviews.default.svc.cluster.local");
        assert_true(edges[0].numbers.p50_ms == 7.5);
    }
    arena_dispose(&arena);
    return n;
}

static void tells_what_grew(void **state)
{
    struct bench *b = *state;
    pass_ms(1000);
    assert_int_equal(net.calls, 0); /* nothing grew */
    for (int i = 0; i < 20; i++) {
        requests(b, 0, 6);
        requests(b, 1, 4);
        pass_ms(1000);
        finish(b->in, GRPC_OK);
    }
    assert_int_equal(net.calls, 20);
    assert_true(rps(b, 10) > 9.9 && rps(b, 10) < 11.2);
    pass_ms(5000);
    assert_int_equal(net.calls, 20);
}

static void loses_nothing(void **state)
{
    struct bench *b = *state;
    requests(b, 0, 100);
    pass_ms(1000);
    finish(b->in, GRPC_UNAVAILABLE);
    requests(b, 1, 100);
    pass_ms(2000);
    finish(b->in, GRPC_DEADLINE_EXCEEDED);
    connected = false;
    for (int i = 0; i < 50; i++) {
        requests(b, 0, 100);
        pass_ms(1000);
    }
    assert_int_equal(net.calls, 2);
    connected = true;
    pass_ms(4000);
    assert_int_equal(net.calls, 3);
    requests(b, 0, 100); /* while the call is under way: with the next */
    finish(b->in, GRPC_OK);
    pass_ms(1000);
    finish(b->in, GRPC_OK);
    assert_true(rps(b, 300) > 87 && rps(b, 300) < 95); /* 5,300 in 58 s: spread, not heaped */
    assert_true(rps(b, 20) < 105);
    pass_ms(10000);
    assert_int_equal(net.calls, 4);
}

static void asks_seldom_who_takes_none(void **state)
{
    struct bench *b = *state;
    requests(b, 0, 1);
    pass_ms(1000);
    finish(b->in, GRPC_UNIMPLEMENTED);
    pass_ms(60000);
    assert_int_equal(net.calls, 1);
    pass_ms(UNTAKEN_MS);
    assert_int_equal(net.calls, 2);
}

static void tells_much_in_parts(void **state)
{
    struct bench *b = *state;
    char host[32];
    for (int i = 0; i < 1500; i++) {
        static const struct stats_workload nobody;
        (void)snprintf(host, sizeof(host), "s%d", i);
        struct stats_edge_key key = {.peer = &nobody, .service = {.host = span_of(host)}};
        stats_request(stats_edge_get(b->workers[0], &key), 200, -1, 0, 7000, 1, 1);
    }
    pass_ms(1000);
    assert_true(net.len < 2u << 20);
    finish(b->in, GRPC_OK);
    pass_ms(1);
    finish(b->in, GRPC_OK);
    assert_int_equal(net.calls, 2);
    struct arena arena;
    struct insight_edge *edges;
    arena_init(&arena, 4096);
    assert_int_equal(insight_edges(b->in, instant_wall_us(), 60, 60, &arena, &edges), 1500);
    arena_dispose(&arena);
}

static void tells_connections(void **state)
{
    struct bench *b = *state;
    static const struct stats_workload peer = {.workload = SPAN_INIT("db-v1"),
                                               .principal =
                                                   SPAN_INIT("spiffe://cluster.local/ns/d/sa/db")};
    struct stats_edge_key key = {.protocol = STATS_TCP,
                                 .peer = &peer,
                                 .self_principal = SPAN("spiffe://cluster.local/ns/shop/sa/web")};
    struct stats_edge *e = stats_edge_get(b->workers[0], &key);
    stats_tcp_opened(e);
    stats_tcp_opened(e);
    stats_tcp_bytes(e, 0, 1000, 10);
    stats_tcp_closed(e, 0);
    pass_ms(1000);
    finish(b->in, GRPC_OK);
    struct arena arena;
    struct insight_edge *edges;
    arena_init(&arena, 4096);
    assert_int_equal(insight_edges(b->in, instant_wall_us(), 60, 60, &arena, &edges), 1);
    assert_span(edges[0].protocol, "tcp");
    assert_true(edges[0].numbers.connections == 1 && edges[0].numbers.bytes_sent == 1000);
    assert_true(edges[0].numbers.mtls == 1);
    arena_dispose(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tells_what_grew, begin, end),
        cmocka_unit_test_setup_teardown(loses_nothing, begin, end),
        cmocka_unit_test_setup_teardown(asks_seldom_who_takes_none, begin, end),
        cmocka_unit_test_setup_teardown(tells_much_in_parts, begin, end),
        cmocka_unit_test_setup_teardown(tells_connections, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
