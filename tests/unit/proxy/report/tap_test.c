/* proxy/report/tap: what a worker gathers, and what goes on the stream. gRPC is made of paper, the clock is fake. */
#include "proxy/report/tap.c"
#include "proxy/report/tap_stream.c"

#include "unit/cm.h"

struct grpc_stream {
    const struct grpc_events *ev;
    void *arg;
    struct buf heard;
    size_t queued;
    bool is_up;
    int calls;
};

static struct grpc_stream net;
static struct loop *loop;
static bool connected;
static int fetched_on, fetched_off;

struct grpc_stream *grpc_call(struct http_client *c, const char *path, const struct header *fields,
                              size_t field_count, int64_t deadline_ms, const struct grpc_events *ev,
                              void *arg)
{
    UNUSED(fields);
    assert_ptr_equal(c, &net);
    assert_string_equal(path, LOGS_PATH);
    assert_int_equal(field_count + (size_t)deadline_ms, 0);
    assert_false(net.is_up);
    net.ev = ev;
    net.arg = arg;
    net.is_up = true;
    net.calls++;
    return &net;
}

int grpc_send(struct grpc_stream *g, struct span message)
{
    assert_true(g->is_up);
    buf_reset(&g->heard);
    return buf_append_span(&g->heard, message);
}

size_t grpc_queued(const struct grpc_stream *g)
{
    return g->queued;
}

void grpc_cancel(struct grpc_stream *g)
{
    assert_true(g->is_up);
    g->is_up = false;
}

const char *grpc_status_name(enum grpc_status status)
{
    return status == GRPC_OK ? "OK" : "OTHER";
}

static struct http_client *client(void *arg)
{
    UNUSED(arg);
    return connected ? (struct http_client *)&net : NULL;
}

static void fetch(void *arg, bool on)
{
    UNUSED(arg);
    fetched_on += on;
    fetched_off += !on;
}

static void pass_ms(int64_t ms)
{
    instant_fake_advance(ms * 1000000);
    while (loop_turn(loop, false)) {
    }
}

struct bench {
    struct metric_registry *registry;
    struct stats_families *families;
    struct stats *stats;
    struct stats_edge *edge;
    struct arena arena;
    struct head head;
    struct traffic traffic;
    struct access_entry entry;
};

static void bench_begin(struct bench *b)
{
    static const struct stats_workload self = {.workload = SPAN_INIT("reviews-v1")};
    static const struct stats_workload peer = {.workload = SPAN_INIT("web-v1"),
                                               .workload_namespace = SPAN_INIT("shop")};
    static const struct stats_edge_key key = {.reporter = STATS_DESTINATION, .peer = &peer};
    memset(b, 0, sizeof(*b));
    b->registry = metric_registry_new();
    b->families = stats_families_new(b->registry, &self);
    b->stats = stats_new(b->families, metric_shard_new(b->registry));
    b->edge = stats_edge_get(b->stats, &key);
    arena_init(&b->arena, 1024);
    head_init(&b->head, &b->arena);
    b->head.method_id = METHOD_GET;
    b->head.http_minor = 1;
    assert_int_equal(head_add_known(&b->head, HEAD_USER_AGENT, SPAN("curl")), 0);
    b->traffic = (struct traffic){.path = SPAN("/reviews/0?x"), .authority = SPAN("reviews:9080")};
    b->entry = (struct access_entry){
        .start_us = 1700000000500000,
        .duration_us = 2000001,
        .request_us = 10,
        .response_us = -1,
        .traffic = &b->traffic,
        .request = &b->head,
        .status = 503,
        .outcome = OUTCOME_NO_HEALTHY,
        .flags = FLAG_UH | FLAG_URX,
        .cluster = SPAN("inbound|9080||"),
        .bytes_sent = 19,
        .peer_principal = SPAN("spiffe://cluster.local/ns/shop/sa/web"),
        .attempts = 2,
    };
    assert_int_equal(addr_parse(SPAN("127.66.0.4:1234"), &b->entry.downstream_remote, NULL), 0);
}

static void bench_end(struct bench *b)
{
    arena_dispose(&b->arena);
    stats_free(b->stats);
    stats_families_free(b->families);
    metric_registry_free(b->registry);
}

static void gathers(void **state)
{
    UNUSED(state);
    struct bench b;
    bench_begin(&b);
    struct tap *t = tap_new();
    tap_add(t, &b.entry, b.edge);
    tap_add(t, &b.entry, b.edge);
    struct tap_batch batch;
    tap_take(t, &batch);
    assert_int_equal(batch.count, 2);
    struct pb_accesslog_service_StreamAccessLogsMessage_HTTPAccessLogEntries *all =
        pb_decode(&pb_accesslog_service_StreamAccessLogsMessage_HTTPAccessLogEntries_desc, &b.arena,
                  buf_span(&batch.entries), NULL);
    assert_non_null(all);
    assert_int_equal(all->log_entry.count, 2);
    const struct pb_accesslog_entry_HTTPAccessLogEntry *e = all->log_entry.at[1];
    const struct pb_accesslog_entry_AccessLogCommon *c = e->common_properties;
    assert_span(e->request->path, "/reviews/0?x");
    assert_span(e->request->authority, "reviews:9080");
    assert_span(e->request->user_agent, "curl");
    assert_int_equal(e->request->request_method, PB_CORE_REQUEST_METHOD_GET);
    assert_int_equal(e->response->response_code->value, 503);
    assert_span(e->response->response_code_details, "no_healthy_upstream");
    assert_int_equal(c->duration->seconds, 2);
    assert_int_equal(c->duration->nanos, 1000);
    assert_int_equal(c->start_time->nanos, 500000000);
    assert_null(c->time_to_first_upstream_rx_byte);
    assert_true(c->response_flags->no_healthy_upstream);
    assert_true(c->response_flags->upstream_retry_limit_exceeded);
    assert_false(c->response_flags->no_route_found);
    assert_span(c->downstream_remote_address->socket_address->address, "127.66.0.4");
    assert_null(c->upstream_remote_address);
    assert_span(c->tls_properties->peer_certificate_properties->subject_alt_name.at[0]->uri,
                "spiffe://cluster.local/ns/shop/sa/web");
    assert_int_equal(c->upstream_request_attempt_count, 2);
    buf_dispose(&batch.entries);
    tap_take(t, &batch);
    assert_int_equal(batch.count, 0);
    buf_dispose(&batch.entries);
    tap_free(t);
    bench_end(&b);
}

static void is_bounded(void **state)
{
    UNUSED(state);
    struct bench b;
    bench_begin(&b);
    for (int large = 0; large < 2; large++) {
        struct tap *t = tap_new();
        char path[10000];
        memset(path, 'x', sizeof(path));
        b.traffic.path = span_from(path, large ? sizeof(path) : 10);
        for (int i = 0; i < 2000; i++) {
            tap_add(t, &b.entry, b.edge);
        }
        struct tap_batch batch;
        tap_take(t, &batch);
        assert_int_equal(batch.count + batch.dropped, 2000);
        assert_true(batch.count <= TAP_ENTRIES_MAX && batch.count > 50);
        assert_true(buf_len(&batch.entries) <= TAP_BYTES_MAX);
        buf_dispose(&batch.entries);
        tap_free(t);
    }
    bench_end(&b);
}

static void batch_of(struct bench *b, struct tap_batch *batch)
{
    struct tap *t = tap_new();
    tap_add(t, &b->entry, b->edge);
    tap_take(t, batch);
    tap_free(t);
}

static void streams(void **state)
{
    UNUSED(state);
    struct bench b;
    bench_begin(&b);
    instant_fake_start(1000000000, 0);
    loop = loop_new(true);
    memset(&net, 0, sizeof(net));
    buf_init(&net.heard, 1 << 20);
    fetched_on = fetched_off = 0;
    struct pb_core_Node node = {.id = SPAN("sidecar~1")};
    struct tap_stream *s = tap_stream_new(&(struct tap_stream_spec){
        .loop = loop,
        .client = client,
        .fetch = fetch,
        .node = pb_encode_in(&pb_core_Node_desc, &node, &b.arena),
    });
    struct tap_batch batch;
    batch_of(&b, &batch);
    tap_stream_send(s, &batch); /* nobody watches */
    assert_int_equal(net.calls, 0);

    tap_stream_set(s, true);
    tap_stream_set(s, true);
    assert_int_equal(fetched_on, 1);
    pass_ms(TAP_EVERY_MS);
    assert_int_equal(fetched_on, 2);
    tap_stream_send(s, &batch); /* control is away */
    assert_int_equal(net.calls, 0);
    connected = true;
    tap_stream_send(s, &batch);
    assert_int_equal(net.calls, 1);
    struct pb_accesslog_service_StreamAccessLogsMessage *m = pb_decode(
        &pb_accesslog_service_StreamAccessLogsMessage_desc, &b.arena, buf_span(&net.heard), NULL);
    assert_non_null(m);
    assert_span(m->identifier->node->id, "sidecar~1");
    assert_span(m->identifier->log_name, "mesh.tap");
    assert_int_equal(m->http_logs->log_entry.count, 1);

    buf_reset(&net.heard);
    net.queued = TAP_UNSENT_MAX; /* nobody reads */
    tap_stream_send(s, &batch);
    assert_int_equal(buf_len(&net.heard), 0);
    net.queued = 0;

    net.is_up = false;
    net.ev->on_end(net.arg, GRPC_UNAVAILABLE, SPAN_EMPTY);
    tap_stream_send(s, &batch);
    assert_int_equal(net.calls, 1);
    pass_ms(RETRY_MS);
    tap_stream_send(s, &batch);
    assert_int_equal(net.calls, 2);

    tap_stream_set(s, false);
    assert_false(net.is_up);
    assert_int_equal(fetched_off, 1);
    int before = fetched_on;
    pass_ms(10 * TAP_EVERY_MS);
    assert_int_equal(fetched_on, before);
    buf_dispose(&batch.entries);
    tap_stream_free(s);
    buf_dispose(&net.heard);
    loop_free(loop);
    instant_fake_stop();
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gathers),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
