/* base/metric: sums over shards, both text forms to the letter, overflow, a reader beside a writer. */
#include "base/metric.c"
#include "base/metric_change.c"
#include "base/metric_write.c"

#include <pthread.h>

#include "base/err.h"
#include "unit/cm.h"

#define OUT_BYTES (64UL << 20)

static const char *const code_labels[] = {"code", "path", NULL};
static const double bounds[] = {0.5, 1, 5, 3600000};
static const struct metric_family_spec requests = {
    .name = "istio_requests_total",
    .help = "Requests \"all\" of\\them.\nYes.",
    .kind = METRIC_COUNTER,
    .labels = code_labels,
};
static const struct metric_family_spec pushes = {
    .name = "pilot_xds_pushes", .help = "Pushes.", .kind = METRIC_COUNTER};
static const struct metric_family_spec active = {
    .name = "active", .help = "Now.", .kind = METRIC_GAUGE};
static const struct metric_family_spec duration = {
    .name = "duration_ms",
    .help = "Time.",
    .kind = METRIC_HISTOGRAM,
    .buckets = bounds,
    .bucket_count = ARRAY_LEN(bounds),
};

struct setup {
    struct metric_registry *r;
    struct metric_family *requests, *pushes, *active, *duration;
    struct metric_shard *shards[2];
};

static struct setup begin(void)
{
    struct setup s = {.r = metric_registry_new()};
    s.requests = metric_family_add(s.r, &requests);
    s.pushes = metric_family_add(s.r, &pushes);
    s.active = metric_family_add(s.r, &active);
    s.duration = metric_family_add(s.r, &duration);
    s.shards[0] = metric_shard_new(s.r);
    s.shards[1] = metric_shard_new(s.r);
    return s;
}

static void assert_written(struct setup *s, enum metric_format format, const char *prefix,
                           const char *want)
{
    struct buf out;
    buf_init(&out, OUT_BYTES);
    assert_int_equal(metric_write(s->r, format, span_of(prefix), &out), 0);
    assert_span(buf_span(&out), want);
    buf_dispose(&out);
}

static void sums_and_writes(void **state)
{
    UNUSED(state);
    struct setup s = begin();
    const struct span ok[] = {SPAN("200"), SPAN("/a\"\\\n\xff\xc3\xa9")};
    const struct span bad[] = {SPAN("503"), SPAN("")};
    for (size_t i = 0; i < 2; i++) {
        metric_add(metric_series_get(s.shards[i], s.requests, ok), 3 + i);
        metric_gauge_set(metric_series_get(s.shards[i], s.active, NULL), 5);
        metric_gauge_add(metric_series_get(s.shards[i], s.active, NULL), -7);
    }
    metric_add(metric_series_get(s.shards[1], s.requests, bad), 1);
    metric_add(metric_series_get(s.shards[0], s.pushes, NULL), 2);
    struct metric_series *d = metric_series_get(s.shards[0], s.duration, NULL);
    metric_observe(d, 0.5); /* a bound belongs to its bucket */
    metric_observe(d, 0.75);
    metric_observe(metric_series_get(s.shards[1], s.duration, NULL), 4e6);
    assert_int_equal(metric_read(s.r, "istio_requests_total", ok), 7);
    assert_int_equal(metric_read(s.r, "active", NULL), -4);
    assert_int_equal(metric_read(s.r, "duration_ms", NULL), 3);
    assert_int_equal(metric_read(s.r, "unknown", NULL), 0);
    assert_written(&s, METRIC_PROMETHEUS, "",
                   "# HELP istio_requests_total Requests \"all\" of\\\\them.\\nYes.\n"
                   "# TYPE istio_requests_total counter\n"
                   "istio_requests_total{code=\"200\",path=\"/a\\\"\\\\\\n?\xc3\xa9\"} 7\n"
                   "istio_requests_total{code=\"503\",path=\"\"} 1\n"
                   "# HELP pilot_xds_pushes Pushes.\n"
                   "# TYPE pilot_xds_pushes counter\n"
                   "pilot_xds_pushes 2\n"
                   "# HELP active Now.\n"
                   "# TYPE active gauge\n"
                   "active -4\n"
                   "# HELP duration_ms Time.\n"
                   "# TYPE duration_ms histogram\n"
                   "duration_ms_bucket{le=\"0.5\"} 1\n"
                   "duration_ms_bucket{le=\"1\"} 2\n"
                   "duration_ms_bucket{le=\"5\"} 2\n"
                   "duration_ms_bucket{le=\"3600000\"} 2\n"
                   "duration_ms_bucket{le=\"+Inf\"} 3\n"
                   "duration_ms_sum 4000001.25\n"
                   "duration_ms_count 3\n");
    assert_written(&s, METRIC_OPENMETRICS, "istio_",
                   "# HELP istio_requests Requests \\\"all\\\" of\\\\them.\\nYes.\n"
                   "# TYPE istio_requests counter\n"
                   "istio_requests_total{code=\"200\",path=\"/a\\\"\\\\\\n?\xc3\xa9\"} 7\n"
                   "istio_requests_total{code=\"503\",path=\"\"} 1\n"
                   "# EOF\n");
    assert_written(&s, METRIC_OPENMETRICS, "pilot_",
                   "# HELP pilot_xds_pushes Pushes.\n"
                   "# TYPE pilot_xds_pushes unknown\n"
                   "pilot_xds_pushes 2\n"
                   "# EOF\n");
    assert_written(&s, METRIC_OPENMETRICS, "duration",
                   "# HELP duration_ms Time.\n"
                   "# TYPE duration_ms histogram\n"
                   "duration_ms_bucket{le=\"0.5\"} 1\n"
                   "duration_ms_bucket{le=\"1.0\"} 2\n"
                   "duration_ms_bucket{le=\"5.0\"} 2\n"
                   "duration_ms_bucket{le=\"3600000.0\"} 2\n"
                   "duration_ms_bucket{le=\"+Inf\"} 3\n"
                   "duration_ms_sum 4000001.25\n"
                   "duration_ms_count 3\n"
                   "# EOF\n");
    assert_written(&s, METRIC_OPENMETRICS, "none", "# EOF\n");
    metric_registry_free(s.r);
}

static void stops_when_the_buffer_is_full(void **state)
{
    UNUSED(state);
    struct setup s = begin();
    struct buf out;
    metric_add(metric_series_get(s.shards[0], s.pushes, NULL), 2);
    for (size_t limit = 0; limit < 60; limit++) {
        buf_init(&out, limit);
        assert_int_equal(metric_write(s.r, METRIC_PROMETHEUS, SPAN_EMPTY, &out), -ERR_LIMIT);
        buf_dispose(&out);
    }
    metric_registry_free(s.r);
}

static void cuts_long_values_between_characters(void **state)
{
    UNUSED(state);
    struct setup s = begin();
    char text[302];
    memset(text, 'x', sizeof(text));
    memcpy(text + 254, "\xc3\xa9", 2); /* would straddle the limit */
    const struct span values[] = {span_from(text, sizeof(text)), SPAN("")};
    const struct span other[] = {span_from(text, 254), SPAN("")};
    struct metric_series *series = metric_series_get(s.shards[0], s.requests, values);
    assert_int_equal(series->values[0].len, 254);
    assert_ptr_equal(metric_series_get(s.shards[0], s.requests, other), series);
    metric_registry_free(s.r);
}

static void folds_what_is_too_much(void **state)
{
    UNUSED(state);
    struct setup s = begin();
    char text[16];
    for (unsigned i = 0; i < METRIC_SERIES_MAX + 10; i++) {
        (void)snprintf(text, sizeof(text), "%u", i);
        const struct span values[] = {SPAN("200"), span_of(text)};
        metric_add(metric_series_get(s.shards[0], s.requests, values), 1);
    }
    const struct span folded[] = {SPAN("overflow"), SPAN("overflow")};
    assert_int_equal(metric_read(s.r, "istio_requests_total", folded), 10);
    assert_int_equal(metric_read(s.r, OVERFLOW_NAME, NULL), 10);
    metric_observe(metric_series_get(s.shards[0], s.duration, NULL), 1); /* another family's */
    assert_int_equal(metric_read(s.r, "duration_ms", NULL), 1);
    metric_registry_free(s.r);
}

static void *add_series(void *arg)
{
    struct setup *s = arg;
    char text[16];
    for (unsigned i = 0; i < 2000; i++) {
        (void)snprintf(text, sizeof(text), "%u", i);
        const struct span values[] = {SPAN("200"), span_of(text)};
        metric_add(metric_series_get(s->shards[1], s->requests, values), 1);
        metric_observe(metric_series_get(s->shards[1], s->duration, NULL), 1);
    }
    return NULL;
}

static void count_total(void *arg, const struct metric_sample *sample)
{
    if (sample->family == &requests) {
        *(int64_t *)arg += sample->value;
    } else if (sample->family == &duration) {
        uint64_t hits = 0;
        for (size_t i = 0; i <= ARRAY_LEN(bounds); i++) {
            hits += sample->buckets[i];
        }
        assert_int_equal(hits, sample->value);
    }
}

static void is_read_while_written(void **state)
{
    UNUSED(state);
    struct setup s = begin();
    pthread_t writer;
    int64_t seen = 0;
    assert_int_equal(pthread_create(&writer, NULL, add_series, &s), 0);
    while (seen < 2000) {
        int64_t now = 0;
        metric_each(s.r, count_total, &now);
        assert_true(now >= seen);
        seen = now;
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
    metric_registry_free(s.r);
}

struct grown {
    int64_t value, buckets[5];
    double sum;
    size_t calls;
    bool mark, stop;
};

static bool on_change(void *arg, struct metric_series *series, const struct metric_sample *growth)
{
    struct grown *g = arg;
    g->calls++;
    g->value += growth->value;
    g->sum += growth->sum;
    for (size_t i = 0; i < ARRAY_LEN(g->buckets) && growth->family->kind == METRIC_HISTOGRAM; i++) {
        g->buckets[i] += (int64_t)growth->buckets[i];
    }
    if (g->mark) {
        metric_mark(series, growth);
    }
    return !g->stop;
}

static void tells_what_grew(void **state)
{
    (void)state;
    struct setup s = begin();
    static const char *const names[] = {"istio_requests_total", "duration_ms", NULL};
    const struct span values[] = {SPAN("200"), SPAN("/")};
    struct metric_series *a = metric_series_get(s.shards[0], s.requests, values);
    struct metric_series *b = metric_series_get(s.shards[1], s.requests, values);
    struct metric_series *h = metric_series_get(s.shards[1], s.duration, NULL);
    metric_add(metric_series_get(s.shards[0], s.pushes, NULL), 100);
    static const struct {
        unsigned a, b, h;
        bool mark;
        int64_t value; /* told */
        size_t calls;
    } rows[] = {
        {0, 0, 0, true, 0, 0},  {5, 2, 0, false, 7, 2}, {1, 0, 1, true, 9, 3},
        {0, 0, 0, true, 0, 0},  {0, 4, 0, true, 4, 1},  {0, 0, 3, false, 3, 1},
        {0, 0, 1, false, 4, 1}, {0, 0, 0, true, 4, 1},  {0, 0, 0, true, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        metric_add(a, rows[i].a);
        metric_add(b, rows[i].b);
        for (unsigned n = 0; n < rows[i].h; n++) {
            metric_observe(h, 3);
        }
        struct grown g = {.mark = rows[i].mark};
        metric_each_change(s.r, names, on_change, &g);
        assert_int_equal(g.value, rows[i].value);
        assert_int_equal(g.calls, rows[i].calls);
        assert_true(g.sum == 3.0 * (double)g.buckets[2]);
        if (i == 3) {
            metric_reset(s.r); /* what is read for people starts again, growth goes on */
        }
    }
    metric_add(a, 1);
    metric_add(b, 1);
    struct grown g = {.stop = true};
    metric_each_change(s.r, names, on_change, &g);
    assert_int_equal(g.calls, 1);
    metric_registry_free(s.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_and_writes),
        cmocka_unit_test(stops_when_the_buffer_is_full),
        cmocka_unit_test(cuts_long_values_between_characters),
        cmocka_unit_test(folds_what_is_too_much),
        cmocka_unit_test(is_read_while_written),
        cmocka_unit_test(tells_what_grew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
