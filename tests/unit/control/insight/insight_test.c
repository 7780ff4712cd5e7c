/* control/insight: reports in, golden numbers out. Time is an argument. */
#include "control/insight/insight.c"

#include "unit/cm.h"
#include "unit/control/insight/otlp_report.h"
#include "unit/guard.h"

#define T0 1700000000 /* a whole number of every slot */
_Static_assert(T0 % 10 == 0, "slots");
#define US(s) ((int64_t)((double)(s) * 1e6))
#define REVIEWS "reviews.default.svc.cluster.local"
#define SA(name) "spiffe://cluster.local/ns/default/sa/" name

static const struct told by_source = {
    .reporter = "source",
    .source = "productpage-v1",
    .destination = "reviews-v1",
    .host = REVIEWS,
    .code = "200",
    .flags = "-",
    .version = "v1",
    .security = "unknown",
};
static const struct told by_destination = {
    .reporter = "destination",
    .source = "productpage-v1",
    .destination = "reviews-v1",
    .host = REVIEWS,
    .code = "200",
    .flags = "-",
    .version = "v1",
    .security = "mutual_tls",
};

static int send_as(struct insight *in, struct report *r, const char *identity, double s)
{
    struct err err;
    err_clear(&err);
    struct span wire = guard_copy(0, report_encode(r));
    int rc = insight_take(in, wire, span_of(identity), US(s), &err);
    if (rc < 0) {
        assert_true(err.text[0] != '\0');
    }
    arena_dispose(&r->arena);
    return rc;
}

static void requests(struct insight *in, const struct told *t, unsigned n, double ms, double s)
{
    struct report r;
    report_init(&r);
    report_requests(&r, t, n, ms);
    assert_int_equal(send_as(in, &r, "", s), 0);
}

static void bytes(struct insight *in, const char *metric, const struct told *t, int64_t n, double s)
{
    struct report r;
    report_init(&r);
    report_sum(&r, metric, t, n);
    assert_int_equal(send_as(in, &r, "", s), 0);
}

static bool near(double got, double want)
{
    if (got < want - 0.02 * (1 + want) || got > want + 0.02 * (1 + want)) {
        print_error("got %f, want %f\n", got, want);
        return false;
    }
    return true;
}

/* The only edge there is. */
static struct insight_edge one_edge(struct insight *in, double now, int window_s)
{
    static struct arena arena;
    arena_dispose(&arena);
    arena_init(&arena, 4096);
    struct insight_edge *edges;
    assert_int_equal(insight_edges(in, US(now), window_s, 60, &arena, &edges), 1);
    struct insight_edge e = edges[0];
    return e;
}

static void golden_numbers(void **state)
{
    UNUSED(state);
    struct insight *in = insight_new();
    for (int i = 0; i < 120; i++) {
        requests(in, &by_source, 10, 7, T0 + i);
        struct told bad = by_source;
        bad.code = i % 2 == 0 ? "503" : "404";
        requests(in, &bad, 2, 300, T0 + i);
    }
    struct insight_edge e = one_edge(in, T0 + 119.999, 60);
    assert_true(near(e.numbers.rps, 12));
    assert_true(near(e.numbers.success, 1 - 1.0 / 12)); /* 404 is no failure */
    assert_true(near(e.numbers.p50_ms, 5 + 5 * 0.6));   /* 5 to 10 ms hold 10 of 12 */
    assert_true(near(e.numbers.p99_ms, 250 + 250 * (0.99 * 12 - 10) / 2));
    assert_true(e.numbers.mtls < 0);
    assert_true(near(e.numbers.spark[0], 12));
    assert_true(near(e.numbers.spark[INSIGHT_SPARK - 1], 12));
    assert_span(e.source.workload, "productpage-v1");
    assert_span(e.source.namespace, "default");
    assert_span(e.destination.workload, "reviews-v1");
    assert_span(e.destination.version, "v1");
    assert_span(e.service_host, REVIEWS);
    assert_span(e.protocol, "http");
    insight_free(in);
}

/* Who has watched for ten seconds divides by ten. */
static void young(void **state)
{
    UNUSED(state);
    struct insight *in = insight_new();
    for (int i = 0; i < 10; i++) {
        requests(in, &by_source, 10, 7, T0 + i);
    }
    assert_true(near(one_edge(in, T0 + 9, 60).numbers.rps, 10));
    insight_free(in);
}

static void destination_counts(void **state)
{
    UNUSED(state);
    struct insight *in = insight_new();
    for (int i = 0; i < 100; i++) {
        /* The source is heard first; it retried one of ten, which took long, and one in a hundred found nobody. */
        requests(in, &by_source, 9, 7, T0 + i + 0.1);
        struct told lost = by_source;
        lost.code = "503";
        lost.flags = "URX,UF";
        requests(in, &lost, 1, 900, T0 + i + 0.1);
        requests(in, &by_destination, 10, 2, T0 + i + 0.9);
    }
    struct insight_edge e = one_edge(in, T0 + 99.999, 60);
    assert_true(near(e.numbers.rps, 11)); /* 10 arrived, 1 did not */
    assert_true(near(e.numbers.success, 10.0 / 11));
    assert_true(near(e.numbers.mtls, 1));
    assert_true(near(e.numbers.p50_ms, 5 + 5 * 5 / 9.0)); /* as its caller saw it */
    assert_true(e.numbers.p99_ms > 500);
    /* The whole time: the first second is not counted twice. */
    assert_true(near(one_edge(in, T0 + 99.999, 300).numbers.rps, 11));
    assert_true(near(one_edge(in, T0 + 99.999, 7200).numbers.rps, 11));

    struct arena arena;
    arena_init(&arena, 4096);
    struct insight_workload *w;
    assert_int_equal(insight_workloads(in, US(T0 + 99.999), 60, 60, &arena, &w), 2);
    size_t reviews = span_is(w[0].workload.workload, "reviews-v1") ? 0 : 1;
    assert_true(near(w[reviews].in.rps, 11));
    assert_true(near(w[reviews].out.rps, 0));
    assert_true(near(w[!reviews].out.rps, 11));
    assert_span(w[reviews].workload.version, "v1");
    arena_dispose(&arena);
    insight_free(in);
}

/* A caller without identity is told as unknown by the destination, and named by itself: it counts once. */
static void counts_plain_callers_once(void **state)
{
    UNUSED(state);
    struct insight *in = insight_new();
    struct told unknown = by_destination;
    unknown.source = NULL;
    unknown.security = "none";
    for (int i = 0; i < 60; i++) {
        requests(in, &by_source, 10, 7, T0 + i);
        requests(in, &unknown, 10, 7, T0 + i);
    }
    struct arena arena;
    arena_init(&arena, 4096);
    struct insight_workload *w;
    size_t n = insight_workloads(in, US(T0 + 59.999), 60, 60, &arena, &w);
    for (size_t i = 0; i < n; i++) {
        if (span_is(w[i].workload.workload, "reviews-v1")) {
            assert_true(near(w[i].in.rps, 10));
            assert_true(near(w[i].in.mtls, 0));
        }
    }
    assert_int_equal(insight_shares(in, US(T0 + 59.999), 60, SPAN(REVIEWS), &arena, &w), 1);
    assert_true(near(w[0].in.rps, 10));
    arena_dispose(&arena);
    insight_free(in);
}

/* The destination names the service otherwise than its caller: still one edge. */
static void one_pair_two_names(void **state)
{
    UNUSED(state);
    for (int first = 0; first < 2; first++) {
        struct insight *in = insight_new();
        struct told other = by_destination;
        other.host = first == 0 ? "reviews-all.default.svc.cluster.local" : NULL;
        for (int i = 0; i < 20; i++) {
            requests(in, i == 0 && first == 0 ? &other : &by_source, 10, 7, T0 + i);
            requests(in, &by_source, 10, 7, T0 + i);
            requests(in, &other, 10, 7, T0 + i);
        }
        assert_span(one_edge(in, T0 + 19.9, 60).service_host, REVIEWS);
        insight_free(in);
    }
}

static void shares(void **state)
{
    UNUSED(state);
    struct insight *in = insight_new();
    struct told v2 = by_source;
    v2.destination = "reviews-v2";
    v2.version = "v2";
    struct told elsewhere = by_source;
    elsewhere.host = "ratings.default.svc.cluster.local";
    elsewhere.destination = "ratings-v1";
    for (int i = 0; i < 60; i++) {
        requests(in, &by_source, 90, 7, T0 + i);
        requests(in, &v2, 10, 7, T0 + i);
        requests(in, &elsewhere, 55, 7, T0 + i);
    }
    struct arena arena;
    arena_init(&arena, 4096);
    struct insight_workload *w;
    assert_int_equal(insight_shares(in, US(T0 + 59.999), 60, SPAN(REVIEWS), &arena, &w), 2);
    size_t second = span_is(w[1].workload.version, "v2") ? 1 : 0;
    assert_true(near(w[second].in.rps, 10));
    assert_true(near(w[!second].in.rps, 90));
    arena_dispose(&arena);
    insight_free(in);
}

static void tcp(void **state)
{
    UNUSED(state);
    struct insight *in = insight_new();
    struct told t = by_destination;
    t.protocol = "tcp";
    t.code = NULL;
    bytes(in, "istio_tcp_connections_opened_total", &t, 5, T0);
    bytes(in, "istio_tcp_connections_closed_total", &t, 2, T0);
    for (int i = 0; i < 60; i++) {
        bytes(in, "istio_tcp_sent_bytes_total", &t, 1000, T0 + i);
        bytes(in, "istio_tcp_received_bytes_total", &t, 10, T0 + i);
    }
    struct insight_edge e = one_edge(in, T0 + 59.999, 60);
    assert_true(near(e.numbers.bytes_sent, 1000));
    assert_true(near(e.numbers.bytes_received, 10));
    assert_true(near(e.numbers.connections, 3));
    assert_true(near(e.numbers.mtls, 1));
    assert_true(e.numbers.success < 0 && e.numbers.p50_ms < 0);
    /* Open and silent for an hour. */
    e = one_edge(in, T0 + 3600, 60);
    assert_true(near(e.numbers.connections, 3) && near(e.numbers.mtls, 1));
    assert_true(near(e.numbers.bytes_sent, 0));
    insight_free(in);
}

static void what_fails(void **state)
{
    UNUSED(state);
    static const struct {
        const char *code, *grpc;
        bool fails;
    } rows[] = {
        {"200", NULL, false}, {"301", NULL, false}, {"404", NULL, false}, {"499", NULL, false},
        {"500", NULL, true},  {"503", NULL, true},  {"0", NULL, true},    {NULL, NULL, true},
        {"200", "0", false},  {"200", "5", false},  {"200", "14", true},  {"200", "2", true},
        {"200", "13", true},  {"200", "16", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct insight *in = insight_new();
        struct told t = by_source;
        t.code = rows[i].code;
        t.grpc = rows[i].grpc;
        requests(in, &t, 1, 1, T0);
        assert_true(near(one_edge(in, T0, 60).numbers.success, rows[i].fails ? 0 : 1));
        insight_free(in);
    }
}

static void only_its_own(void **state)
{
    UNUSED(state);
    static const struct {
        const struct told *told;
        const char *identity, *namespace, *principal;
        int rc;
    } rows[] = {
        {&by_source, SA("productpage"), NULL, NULL, 0},
        {&by_destination, SA("reviews"), NULL, NULL, 0},
        {&by_source, "", NULL, NULL, 0},
        {&by_source, "spiffe://cluster.local/ns/other/sa/productpage", NULL, NULL, -ERR_DENIED},
        {&by_destination, "spiffe://cluster.local/ns/other/sa/reviews", NULL, NULL, -ERR_DENIED},
        {&by_source, "spiffe://cluster.local/other", NULL, NULL, -ERR_DENIED},
        {&by_source, "nonsense", NULL, NULL, -ERR_DENIED},
        {&by_source, SA("productpage"), "unknown", NULL, -ERR_DENIED},
        {&by_source, SA("productpage"), "other", NULL, -ERR_DENIED},
        /* The other end's principal is what it proved to us. */
        {&by_source, SA("productpage"), NULL, SA("reviews"), 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct insight *in = insight_new();
        struct report r;
        report_init(&r);
        struct told t = *rows[i].told;
        t.source_namespace = rows[i].namespace;
        t.principal = rows[i].principal;
        report_requests(&r, &t, 1, 1);
        assert_int_equal(send_as(in, &r, rows[i].identity, T0), rows[i].rc);
        assert_int_equal(in->count, rows[i].rc == 0);
        insight_free(in);
    }
}

/* A proxy says a principal of its own that is not what its certificate says. */
static void principal_must_match(void **state)
{
    UNUSED(state);
    struct insight *in = insight_new();
    struct report r;
    report_init(&r);
    report_requests(&r, &by_source, 1, 1);
    struct pb_otlp_Metric *m = r.scope->metrics.at[0];
    report_label(&r, &m->sum->data_points.at[0]->attributes, "source_principal", SA("admin"));
    assert_int_equal(send_as(in, &r, SA("productpage"), T0), -ERR_DENIED);
    assert_int_equal(in->count, 1); /* the histogram did not lie */
    insight_free(in);
}

static void refuses(void **state)
{
    UNUSED(state);
    struct insight *in = insight_new();
    struct report r;
    report_init(&r);
    r.temporality = PB_OTLP_AGGREGATION_TEMPORALITY_AGGREGATION_TEMPORALITY_CUMULATIVE;
    report_requests(&r, &by_source, 1, 1);
    assert_int_equal(send_as(in, &r, "", T0), -ERR_PROTO);

    report_init(&r);
    report_requests(&r, &by_source, 1, 1);
    r.scope->metrics.at[1]->histogram->data_points.at[0]->bucket_counts.count--;
    assert_int_equal(send_as(in, &r, "", T0), -ERR_PROTO);

    /* Cut off anywhere: never a crash. */
    report_init(&r);
    report_requests(&r, &by_source, 3, 1);
    struct span wire = report_encode(&r);
    struct err err;
    for (size_t len = 0; len < wire.len; len++) {
        int rc = insight_take(in, guard_copy(0, span_first(wire, len)), SPAN_EMPTY, US(T0), &err);
        assert_true(rc == 0 || rc == -ERR_PROTO);
    }
    arena_dispose(&r.arena);

    /* What it does not know is passed over. */
    report_init(&r);
    report_sum(&r, "envoy_cluster_upstream_rq_total", &by_source, 4);
    struct told odd = by_source;
    odd.reporter = "waypoint";
    report_requests(&r, &odd, 4, 1);
    size_t before = in->count;
    assert_int_equal(send_as(in, &r, "", T0), 0);
    assert_int_equal(in->count, before);
    insight_free(in);
}

/* Control was away for a minute; the proxy tells it all when it is back. */
static void spreads_what_comes_late(void **state)
{
    UNUSED(state);
    struct insight *in = insight_new();
    struct report r;
    report_init(&r);
    r.covers_s = 60;
    report_requests(&r, &by_source, 601, 7);
    assert_int_equal(send_as(in, &r, "", T0), 0);
    struct insight_edge e = one_edge(in, T0 + 0.9, 30);
    assert_true(near(e.numbers.rps, 10));
    assert_true(near(one_edge(in, T0 + 0.9, 300).numbers.rps, 10));
    assert_true(near(e.numbers.p50_ms, 7.5));
    assert_true(near(e.numbers.spark[5], 10));
    insight_free(in);
}

static void windows(void **state)
{
    UNUSED(state);
    struct insight *in = insight_new();
    /* A day at one request a second, told every ten seconds; then 100 a second for a minute. */
    for (int64_t i = 0; i < 8640; i++) {
        requests(in, &by_source, 10, 7, (double)(T0 + i * 10));
    }
    double end = T0 + 86400;
    for (int i = 0; i < 60; i++) {
        requests(in, &by_source, 100, 7, end + i);
    }
    double now = end + 59.999;
    assert_true(near(one_edge(in, now, 1).numbers.rps, 100));
    assert_true(near(one_edge(in, now, 60).numbers.rps, 100));
    assert_true(near(one_edge(in, now, 120).numbers.rps, 50.5));
    assert_true(near(one_edge(in, now, 600).numbers.rps, 10.9));
    assert_true(near(one_edge(in, now, 7200).numbers.rps, 1.82));
    assert_true(near(one_edge(in, now, 86400).numbers.rps, 1.07));
    assert_true(near(one_edge(in, now, 1000000).numbers.rps, 1.07));
    print_message("an edge of a whole day: %zu bytes\n", in->bytes);
    assert_true(in->bytes < 40000);
    insight_free(in);
}

static void forgets(void **state)
{
    UNUSED(state);
    struct insight *in = insight_new();
    requests(in, &by_source, 10, 7, T0);
    struct told t = by_source;
    t.source = "other";
    requests(in, &t, 10, 7, T0 + 86000);
    assert_int_equal(in->count, 2);
    requests(in, &t, 10, 7, T0 + 87000);
    assert_int_equal(in->count, 1);
    assert_span(one_edge(in, T0 + 87000, 60).source.workload, "other");
    insight_free(in);
}

static void is_bounded(void **state)
{
    UNUSED(state);
    size_t before = mem_live_bytes();
    struct insight *in = insight_new();
    char name[32];
    for (int i = 0; i <= INSIGHT_EDGES_MAX; i++) {
        struct told t = by_source;
        (void)snprintf(name, sizeof(name), "w%d", i);
        t.source = name;
        requests(in, &t, 1, 7, T0);
    }
    assert_int_equal(in->count, INSIGHT_EDGES_MAX);
    assert_int_equal(in->refused, 2);
    print_message("an edge with one second: %zu bytes\n",
                  (mem_live_bytes() - before) / INSIGHT_EDGES_MAX);
    /* Room is made when one has been idle for long. */
    struct told t = by_source;
    t.source = "late";
    requests(in, &t, 1, 7, T0 + 301);
    assert_int_equal(in->count, INSIGHT_EDGES_MAX);
    assert_int_equal(in->refused, 0);

    /* Over the bytes, the oldest of the coarsest goes, of each in turn. */
    in->bytes += INSIGHT_BYTES_MAX;
    requests(in, &t, 1, 7, T0 + 302);
    in->bytes -= INSIGHT_BYTES_MAX;
    insight_free(in);
    assert_true(mem_live_bytes() <= before + MEM_COUNT_LUMP);
}

/* Labels that change are followed; of itself an end knows better. */
static void learns_labels(void **state)
{
    UNUSED(state);
    struct insight *in = insight_new();
    struct told t = by_source;
    t.version = "old";
    requests(in, &t, 1, 7, T0);
    t.version = "newer";
    requests(in, &t, 1, 7, T0);
    assert_span(one_edge(in, T0, 60).destination.version, "old");
    t = by_destination;
    t.version = "v9";
    requests(in, &t, 1, 7, T0);
    t.version = "latest";
    requests(in, &t, 1, 7, T0);
    assert_span(one_edge(in, T0, 60).destination.version, "v9");
    insight_free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_numbers),
        cmocka_unit_test(young),
        cmocka_unit_test(destination_counts),
        cmocka_unit_test(counts_plain_callers_once),
        cmocka_unit_test(one_pair_two_names),
        cmocka_unit_test(shares),
        cmocka_unit_test(tcp),
        cmocka_unit_test(what_fails),
        cmocka_unit_test(only_its_own),
        cmocka_unit_test(principal_must_match),
        cmocka_unit_test(refuses),
        cmocka_unit_test(spreads_what_comes_late),
        cmocka_unit_test(windows),
        cmocka_unit_test(forgets),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(learns_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
