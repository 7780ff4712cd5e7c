/* Metrics to the control plane: see otlp_export.h.
 *
 *   WAIT --tick, something grew, control is there--> CALL --OK: marked--> WAIT
 *                                                     |  else: nothing marked, a longer wait
 */
#include "proxy/report/otlp_export.h"

#include "base/instant.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "http/grpc.h"
#include "io/deadline.h"
#include "mesh/names.h"
#include "proto/otlp_metrics_service.pb.h"

#define EXPORT_PATH "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
#define CALL_MS 5000
#define BACKOFF_MAX_MS 30000
#define UNTAKEN_MS 300000 /* a control plane that takes no metrics is asked again so seldom */

static const char *const families[] = {
    METRIC_REQUESTS,
    METRIC_REQUEST_DURATION,
    METRIC_TCP_OPENED,
    METRIC_TCP_CLOSED,
    METRIC_TCP_SENT,
    METRIC_TCP_RECEIVED,
    NULL,
};

/* A point that is on its way. */
struct told {
    struct told *next;
    struct metric_series *series;
    struct metric_sample growth;
};

struct otlp_export {
    struct otlp_export_spec spec;
    struct deadline tick;
    struct rng rng;
    struct grpc_stream *call; /* in CALL */
    struct arena arena;       /* of the report in hand */
    struct told *told;        /* in CALL */
    size_t count;             /* of points in the report in hand */
    struct pb_otlp_ScopeMetrics *scope;
    struct pb_otlp_Metric *metric; /* the one that got the last point */
    uint64_t now_ns, start_ns;     /* of the report in hand: wall time */
    int64_t since_ms;              /* monotonic: up to when all is told */
    int64_t collected_ms;
    unsigned failures; /* in a row */
};

/* ---- what grew ---- */

static struct pb_otlp_KeyValue *attribute(struct arena *arena, const char *key, struct span value)
{
    struct pb_otlp_KeyValue *kv = arena_new(arena, struct pb_otlp_KeyValue);
    kv->key = span_of(key);
    kv->value = arena_new(arena, struct pb_otlp_AnyValue);
    kv->value->value_case = PB_OTLP_ANY_VALUE_VALUE_STRING_VALUE;
    kv->value->string_value = value;
    return kv;
}

/* What is not known is not sent. */
static void attributes(struct otlp_export *x, const struct metric_sample *g, void *list)
{
    for (size_t i = 0; g->family->labels[i] != NULL; i++) {
        struct span value = g->label_values[i];
        if (value.len > 0 && !span_is(value, "unknown")) {
            struct pb_otlp_KeyValue **to = pb_list_add(&x->arena, list, sizeof(*to));
            *to = attribute(&x->arena, g->family->labels[i], value);
        }
    }
}

/* The metric of a family in the report. */
static struct pb_otlp_Metric *metric_of(struct otlp_export *x, const struct metric_family_spec *f)
{
    if (x->metric != NULL && span_is(x->metric->name, f->name)) {
        return x->metric;
    }
    for (uint32_t i = 0; i < x->scope->metrics.count; i++) {
        if (span_is(x->scope->metrics.at[i]->name, f->name)) {
            return x->scope->metrics.at[i];
        }
    }
    struct pb_otlp_Metric *m = arena_new(&x->arena, struct pb_otlp_Metric);
    m->name = span_of(f->name);
    if (f->kind == METRIC_HISTOGRAM) {
        m->data_case = PB_OTLP_METRIC_DATA_HISTOGRAM;
        m->histogram = arena_new(&x->arena, struct pb_otlp_Histogram);
        m->histogram->aggregation_temporality =
            PB_OTLP_AGGREGATION_TEMPORALITY_AGGREGATION_TEMPORALITY_DELTA;
    } else {
        m->data_case = PB_OTLP_METRIC_DATA_SUM;
        m->sum = arena_new(&x->arena, struct pb_otlp_Sum);
        m->sum->is_monotonic = true;
        m->sum->aggregation_temporality =
            PB_OTLP_AGGREGATION_TEMPORALITY_AGGREGATION_TEMPORALITY_DELTA;
    }
    PB_ADD(&x->arena, &x->scope->metrics, m);
    return m;
}

static void add_number(struct otlp_export *x, const struct metric_sample *g)
{
    struct pb_otlp_NumberDataPoint *d = arena_new(&x->arena, struct pb_otlp_NumberDataPoint);
    d->start_time_unix_nano = x->start_ns;
    d->time_unix_nano = x->now_ns;
    d->value_case = PB_OTLP_NUMBER_DATA_POINT_VALUE_AS_INT;
    d->as_int = g->value;
    attributes(x, g, &d->attributes);
    PB_ADD(&x->arena, &x->metric->sum->data_points, d);
}

static void add_histogram(struct otlp_export *x, const struct metric_sample *g)
{
    struct pb_otlp_HistogramDataPoint *d = arena_new(&x->arena, struct pb_otlp_HistogramDataPoint);
    uint32_t bounds = (uint32_t)g->family->bucket_count;
    d->start_time_unix_nano = x->start_ns;
    d->time_unix_nano = x->now_ns;
    d->count = (uint64_t)g->value;
    d->has_sum = true;
    d->sum = g->sum;
    d->bucket_counts.at = (uint64_t *)(uintptr_t)g->buckets;
    d->bucket_counts.count = bounds + 1;
    d->explicit_bounds.at = (double *)(uintptr_t)g->family->buckets;
    d->explicit_bounds.count = bounds;
    attributes(x, g, &d->attributes);
    PB_ADD(&x->arena, &x->metric->histogram->data_points, d);
}

static bool on_change(void *arg, struct metric_series *series, const struct metric_sample *growth)
{
    struct otlp_export *x = arg;
    struct told *t = arena_new(&x->arena, struct told);
    t->series = series;
    t->growth = *growth;
    t->next = x->told;
    x->told = t;
    x->metric = metric_of(x, growth->family);
    if (growth->family->kind == METRIC_HISTOGRAM) {
        size_t bytes = (growth->family->bucket_count + 1) * sizeof(uint64_t);
        uint64_t *buckets = arena_alloc(&x->arena, bytes);
        memcpy(buckets, growth->buckets, bytes);
        t->growth.buckets = buckets;
        add_histogram(x, &t->growth);
    } else {
        add_number(x, &t->growth);
    }
    return ++x->count < OTLP_EXPORT_POINTS_MAX;
}

/* The report; empty when nothing grew. */
static struct span collect(struct otlp_export *x)
{
    struct pb_otlp_ExportMetricsServiceRequest rq = {0};
    struct pb_otlp_ResourceMetrics *rm = arena_new(&x->arena, struct pb_otlp_ResourceMetrics);
    rm->resource = arena_new(&x->arena, struct pb_otlp_Resource);
    PB_ADD(&x->arena, &rm->resource->attributes,
           attribute(&x->arena, "service.name", SPAN("mesh-proxy")));
    PB_ADD(&x->arena, &rm->resource->attributes,
           attribute(&x->arena, "service.instance.id", x->spec.node_id));
    x->scope = arena_new(&x->arena, struct pb_otlp_ScopeMetrics);
    PB_ADD(&x->arena, &rm->scope_metrics, x->scope);
    PB_ADD(&x->arena, &rq.resource_metrics, rm);
    x->metric = NULL;
    x->told = NULL;
    x->count = 0;
    x->collected_ms = instant_mono_ms();
    x->now_ns = (uint64_t)instant_wall_us() * 1000;
    x->start_ns = x->now_ns - (uint64_t)(x->collected_ms - x->since_ms) * 1000000;
    metric_each_change(x->spec.registry, families, on_change, x);
    return x->count > 0 ? pb_encode_in(&pb_otlp_ExportMetricsServiceRequest_desc, &rq, &x->arena)
                        : SPAN_EMPTY;
}

/* ---- calls ---- */

static void wait(struct otlp_export *x, int64_t ms)
{
    deadline_arm(&x->tick, x->spec.loop, ms);
}

static void wait_after_failure(struct otlp_export *x)
{
    int64_t longest = x->spec.every_ms;
    for (unsigned i = 0; i < x->failures && longest < BACKOFF_MAX_MS; i++) {
        longest *= 2;
    }
    longest = i64_min(longest, BACKOFF_MAX_MS);
    x->failures++;
    wait(x, longest / 2 + (int64_t)rng_below(&x->rng, (uint64_t)(longest / 2 + 1)));
}

static void forget(struct otlp_export *x)
{
    x->told = NULL;
    x->scope = NULL;
    x->metric = NULL;
    arena_reset(&x->arena);
}

static void on_message(void *arg, struct span message)
{
    UNUSED(arg); /* partial success tells of nothing that could be done again */
    UNUSED(message);
}

static void on_end(void *arg, enum grpc_status status, struct span message)
{
    struct otlp_export *x = arg;
    x->call = NULL;
    if (status == GRPC_OK) {
        for (struct told *t = x->told; t != NULL; t = t->next) {
            metric_mark(t->series, &t->growth);
        }
        bool more = x->count == OTLP_EXPORT_POINTS_MAX;
        x->since_ms = more ? x->since_ms : x->collected_ms;
        x->failures = 0;
        forget(x);
        wait(x, more ? 0 : x->spec.every_ms);
        return;
    }
    forget(x);
    if (status == GRPC_UNIMPLEMENTED) {
        log_debug("report", "the control plane takes no metrics");
        wait(x, UNTAKEN_MS);
        return;
    }
    log_debug("report", "metrics not taken status=%s why=\"%.*s\"", grpc_status_name(status),
              SPAN_ARG(span_first(message, 200)));
    wait_after_failure(x);
}

static const struct grpc_events call_events = {.on_message = on_message, .on_end = on_end};

static void on_tick(struct deadline *d)
{
    struct otlp_export *x = container_of(d, struct otlp_export, tick);
    struct http_client *client = x->spec.client(x->spec.arg);
    if (client == NULL) {
        wait(x, x->spec.every_ms);
        return;
    }
    struct span report = collect(x);
    if (report.len == 0) {
        x->since_ms = x->collected_ms;
        forget(x);
        wait(x, x->spec.every_ms);
        return;
    }
    x->call = grpc_call(client, EXPORT_PATH, NULL, 0, CALL_MS, &call_events, x);
    if (grpc_send(x->call, report) >= 0) {
        grpc_half_close(x->call);
    } /* else on_end follows */
}

/* ---- life ---- */

struct otlp_export *otlp_export_new(const struct otlp_export_spec *spec)
{
    struct otlp_export *x = mem_new(struct otlp_export);
    x->spec = *spec;
    x->spec.every_ms = spec->every_ms > 0 ? spec->every_ms : OTLP_EXPORT_MS;
    x->spec.node_id =
        span_from(mem_strndup(spec->node_id.len > 0 ? spec->node_id.at : "", spec->node_id.len),
                  spec->node_id.len);
    x->since_ms = instant_mono_ms();
    rng_init(&x->rng);
    arena_init(&x->arena, 4096);
    deadline_init(&x->tick, on_tick);
    /* A fleet that starts as one does not report as one. */
    wait(x, (int64_t)rng_below(&x->rng, (uint64_t)x->spec.every_ms) + 1);
    return x;
}

void otlp_export_free(struct otlp_export *x)
{
    if (x == NULL) {
        return;
    }
    if (x->call != NULL) {
        grpc_cancel(x->call);
    }
    deadline_disarm(&x->tick);
    arena_dispose(&x->arena);
    mem_free((void *)(uintptr_t)x->spec.node_id.at);
    mem_free(x);
}
