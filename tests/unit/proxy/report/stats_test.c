/* proxy/report/stats: edges are found again, are bounded, and count what they are told under their labels. */
#include "proxy/report/stats.c"

#include "unit/cm.h"

struct bench {
    struct metric_registry *registry;
    struct stats_families *f;
    struct stats *s;
};

static void bench_begin(struct bench *b)
{
    static const struct stats_workload self = {.workload = SPAN_INIT("me"),
                                               .app = SPAN_INIT("app")};
    b->registry = metric_registry_new();
    b->f = stats_families_new(b->registry, &self);
    b->s = stats_new(b->f, metric_shard_new(b->registry));
}

static void bench_end(struct bench *b)
{
    stats_free(b->s);
    stats_families_free(b->f);
    metric_registry_free(b->registry);
}

struct want {
    const char *family, *label, *value;
    int64_t sum;
    unsigned series;
};

static void add_up(void *arg, const struct metric_sample *m)
{
    struct want *w = arg;
    if (strcmp(m->family->name, w->family) != 0) {
        return;
    }
    for (size_t i = 0; m->family->labels[i] != NULL; i++) {
        if (w->label == NULL || (strcmp(m->family->labels[i], w->label) == 0 &&
                                 span_is(m->label_values[i], w->value))) {
            w->sum += m->value;
            w->series++;
            return;
        }
    }
}

/* The sum of a family's series with that label; NULL = of all. */
static int64_t sum(struct bench *b, const char *family, const char *label, const char *value)
{
    struct want w = {.family = family, .label = label, .value = value};
    metric_each(b->registry, add_up, &w);
    return w.sum;
}

static void labels_of_both_sides(void **state)
{
    (void)state;
    struct bench b;
    bench_begin(&b);
    struct stats_workload peer = {.workload = SPAN("you"), .principal = SPAN("spiffe://td/you")};
    struct stats_edge_key key = {
        .reporter = STATS_SOURCE, .peer = &peer, .service = {.host = SPAN("svc.ns")}};
    stats_request(stats_edge_get(b.s, &key), 200, -1, 0, 1500, 3, 4);
    key.reporter = STATS_DESTINATION;
    key.mutual_tls = true;
    stats_request(stats_edge_get(b.s, &key), 500, -1, FLAG_UF, 1500, 3, 4);
    static const struct {
        const char *label, *value;
        int64_t count;
    } expected[] = {
        {"reporter", "source", 1},
        {"reporter", "destination", 1},
        {"source_workload", "me", 1},
        {"source_workload", "you", 1},
        {"destination_workload", "me", 1},
        {"source_principal", "spiffe://td/you", 1},
        {"source_version", "unknown", 2},
        {"source_canonical_revision", "latest", 2},
        {"destination_service", "svc.ns", 2},
        {"connection_security_policy", "unknown", 1}, /* a source can not know */
        {"connection_security_policy", "mutual_tls", 1},
        {"response_code", "500", 1},
        {"response_flags", "UF", 1},
        {"response_flags", "-", 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        assert_int_equal(sum(&b, METRIC_REQUESTS, expected[i].label, expected[i].value),
                         expected[i].count);
    }
    bench_end(&b);
}

static void an_edge_is_found_again(void **state)
{
    (void)state;
    struct bench b;
    bench_begin(&b);
    struct stats_workload peer = {.workload = SPAN("you")};
    struct stats_edge_key key = {.peer = &peer};
    struct stats_edge *e = stats_edge_get(b.s, &key);
    struct stats_workload same = {.workload = span_first(SPAN("your"), 3)};
    struct stats_edge_key again = {.peer = &same};
    assert_ptr_equal(stats_edge_get(b.s, &again), e);
    static const struct stats_workload shifted = {.workload_namespace = SPAN_INIT("you")};
    struct stats_edge_key other[] = {
        {.peer = &shifted}, /* the same text in another place */
        {.peer = &peer, .reporter = STATS_DESTINATION},
        {.peer = &peer, .protocol = STATS_GRPC},
        {.peer = &peer, .mutual_tls = true},
        {.peer = &peer, .service.name = SPAN("n")},
    };
    for (size_t i = 0; i < ARRAY_LEN(other); i++) {
        assert_ptr_not_equal(stats_edge_get(b.s, &other[i]), e);
    }
    bench_end(&b);
}

/* More ways to end than are kept at hand: none is lost. */
static void many_endings(void **state)
{
    (void)state;
    struct bench b;
    bench_begin(&b);
    static const struct stats_workload nobody;
    struct stats_edge_key key = {.peer = &nobody};
    struct stats_edge *e = stats_edge_get(b.s, &key);
    for (int round = 0; round < 3; round++) {
        for (unsigned status = 200; status < 220; status++) {
            stats_request(e, status, round, 0, 1000, 1, 1);
        }
    }
    assert_int_equal(sum(&b, METRIC_REQUESTS, NULL, NULL), 60);
    assert_int_equal(sum(&b, METRIC_REQUESTS, "response_code", "207"), 3);
    assert_int_equal(sum(&b, METRIC_REQUESTS, "grpc_response_status", "2"), 20);
    bench_end(&b);
}

static void edges_are_bounded(void **state)
{
    (void)state;
    struct bench b;
    bench_begin(&b);
    struct stats_edge *last = NULL;
    for (unsigned i = 0; i < STATS_EDGES_MAX + 10; i++) {
        char name[16];
        struct stats_workload peer = {
            .workload = span_from(name, (size_t)snprintf(name, sizeof(name), "w%u", i))};
        struct stats_edge_key key = {.peer = &peer, .protocol = STATS_TCP};
        struct stats_edge *e = stats_edge_get(b.s, &key);
        stats_tcp_opened(e);
        stats_tcp_bytes(e, 0, 5, 7);
        stats_tcp_closed(e, FLAG_DC);
        assert_true(i <= STATS_EDGES_MAX || e == last);
        last = e;
    }
    assert_int_equal(sum(&b, METRIC_TCP_OPENED, NULL, NULL), STATS_EDGES_MAX + 10);
    assert_int_equal(sum(&b, METRIC_TCP_OPENED, "source_workload", "me"), STATS_EDGES_MAX + 10);
    assert_int_equal(sum(&b, METRIC_TCP_OPENED, "destination_workload", "unknown"), 10);
    assert_int_equal(sum(&b, METRIC_TCP_CLOSED, "response_flags", "DC"), STATS_EDGES_MAX + 10);
    assert_int_equal(sum(&b, METRIC_TCP_RECEIVED, NULL, NULL), 7 * (STATS_EDGES_MAX + 10));
    bench_end(&b);
}

static void rows_belong_to_their_owner(void **state)
{
    (void)state;
    struct bench b;
    bench_begin(&b);
    struct stats_cluster cluster;
    struct stats_cluster twin;
    struct stats_listener listener;
    struct stats_http http;
    stats_cluster_bind(b.s, SPAN("c"), &cluster);
    stats_cluster_bind(b.s, SPAN("c"), &twin);
    stats_listener_bind(b.s, SPAN("1.2.3.4:5"), &listener);
    stats_http_bind(b.s, SPAN("h"), &http);
    metric_add(cluster.upstream_rq_total, 2);
    metric_add(twin.upstream_rq_total, 3);
    metric_add(cluster.upstream_rq_xx[5], 1);
    metric_add(listener.downstream_cx_total, 1);
    metric_add(http.downstream_rq_xx[2], 4);
    assert_int_equal(sum(&b, "envoy_cluster_upstream_rq_total", "envoy_cluster_name", "c"), 5);
    assert_int_equal(sum(&b, "envoy_cluster_upstream_rq_xx", "envoy_response_code_class", "5"), 1);
    assert_int_equal(
        sum(&b, "envoy_listener_downstream_cx_total", "envoy_listener_address", "1.2.3.4:5"), 1);
    assert_int_equal(sum(&b, "envoy_http_downstream_rq_xx", "envoy_http_conn_manager_prefix", "h"),
                     4);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_of_both_sides),
        cmocka_unit_test(an_edge_is_found_again),
        cmocka_unit_test(many_endings),
        cmocka_unit_test(edges_are_bounded),
        cmocka_unit_test(rows_belong_to_their_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
