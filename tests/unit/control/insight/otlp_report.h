#ifndef UNIT_CONTROL_INSIGHT_OTLP_REPORT_H
#define UNIT_CONTROL_INSIGHT_OTLP_REPORT_H
/* Makes the reports that proxies send. */
#include "base/arena.h"
#include "base/mem.h"
#include "proto/otlp_metrics_service.pb.h"

#define MS_BOUNDS 19
static const double report_bounds[MS_BOUNDS] = {
    0.5,  1,    5,     10,    25,    50,     100,    250,     500,    1000,
    2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000};

struct report {
    struct arena arena;
    struct pb_otlp_ExportMetricsServiceRequest rq;
    struct pb_otlp_ScopeMetrics *scope;
    uint64_t covers_s;
    int32_t temporality;
};

/* What stands on a point; NULL is left off. Namespace "default" on both ends where there is a workload. */
struct told {
    const char *reporter, *source, *destination, *host, *code, *flags, *grpc, *version, *principal,
        *security, *protocol, *source_namespace;
};

static inline void report_init(struct report *r)
{
    memset(r, 0, sizeof(*r));
    arena_init(&r->arena, 16384);
    struct pb_otlp_ResourceMetrics *rm = arena_new(&r->arena, struct pb_otlp_ResourceMetrics);
    r->scope = arena_new(&r->arena, struct pb_otlp_ScopeMetrics);
    PB_ADD(&r->arena, &r->rq.resource_metrics, rm);
    PB_ADD(&r->arena, &rm->scope_metrics, r->scope);
    r->covers_s = 1;
    r->temporality = PB_OTLP_AGGREGATION_TEMPORALITY_AGGREGATION_TEMPORALITY_DELTA;
}

static inline void report_label(struct report *r, void *list, const char *key, const char *value)
{
    if (value == NULL) {
        return;
    }
    struct pb_otlp_KeyValue *kv = arena_new(&r->arena, struct pb_otlp_KeyValue);
    kv->key = span_of(key);
    kv->value = arena_new(&r->arena, struct pb_otlp_AnyValue);
    kv->value->value_case = PB_OTLP_ANY_VALUE_VALUE_STRING_VALUE;
    kv->value->string_value = span_of(value);
    *(struct pb_otlp_KeyValue **)pb_list_add(&r->arena, list, sizeof(kv)) = kv;
}

static inline void report_labels(struct report *r, void *list, const struct told *t)
{
    report_label(r, list, "reporter", t->reporter);
    report_label(r, list, "source_workload", t->source != NULL ? t->source : "unknown");
    report_label(r, list, "source_workload_namespace",
                 t->source_namespace != NULL ? t->source_namespace
                 : t->source != NULL         ? "default"
                                             : "unknown");
    report_label(r, list, "destination_workload", t->destination);
    report_label(r, list, "destination_workload_namespace",
                 t->destination != NULL ? "default" : "unknown");
    report_label(r, list, "destination_service", t->host);
    report_label(r, list, "destination_canonical_revision", t->version);
    report_label(r, list,
                 strcmp(t->reporter, "source") == 0 ? "destination_principal" : "source_principal",
                 t->principal);
    report_label(r, list, "connection_security_policy", t->security);
    report_label(r, list, "request_protocol", t->protocol != NULL ? t->protocol : "http");
    report_label(r, list, "response_code", t->code);
    report_label(r, list, "response_flags", t->flags);
    report_label(r, list, "grpc_response_status", t->grpc);
}

static inline void report_sum(struct report *r, const char *name, const struct told *t, int64_t n)
{
    struct pb_otlp_Metric *m = arena_new(&r->arena, struct pb_otlp_Metric);
    struct pb_otlp_NumberDataPoint *d = arena_new(&r->arena, struct pb_otlp_NumberDataPoint);
    m->name = span_of(name);
    m->data_case = PB_OTLP_METRIC_DATA_SUM;
    m->sum = arena_new(&r->arena, struct pb_otlp_Sum);
    m->sum->aggregation_temporality = r->temporality;
    m->sum->is_monotonic = true;
    d->start_time_unix_nano = 1000000000;
    d->time_unix_nano = (1 + r->covers_s) * 1000000000;
    d->value_case = PB_OTLP_NUMBER_DATA_POINT_VALUE_AS_INT;
    d->as_int = n;
    report_labels(r, &d->attributes, t);
    PB_ADD(&r->arena, &m->sum->data_points, d);
    PB_ADD(&r->arena, &r->scope->metrics, m);
}

/* `n` requests that took about `ms`. */
static inline void report_requests(struct report *r, const struct told *t, unsigned n, double ms)
{
    report_sum(r, "istio_requests_total", t, n);
    struct pb_otlp_Metric *m = arena_new(&r->arena, struct pb_otlp_Metric);
    struct pb_otlp_HistogramDataPoint *d = arena_new(&r->arena, struct pb_otlp_HistogramDataPoint);
    m->name = SPAN("istio_request_duration_milliseconds");
    m->data_case = PB_OTLP_METRIC_DATA_HISTOGRAM;
    m->histogram = arena_new(&r->arena, struct pb_otlp_Histogram);
    m->histogram->aggregation_temporality = r->temporality;
    d->start_time_unix_nano = 1000000000;
    d->time_unix_nano = (1 + r->covers_s) * 1000000000;
    d->count = n;
    uint64_t *counts = arena_array(&r->arena, MS_BOUNDS + 1, sizeof(*counts));
    double *bounds = arena_array(&r->arena, MS_BOUNDS, sizeof(*bounds));
    size_t at = 0;
    while (at < MS_BOUNDS && ms > report_bounds[at]) {
        at++;
    }
    counts[at] = n;
    memcpy(bounds, report_bounds, sizeof(report_bounds));
    d->bucket_counts.at = counts;
    d->bucket_counts.count = d->bucket_counts.room = MS_BOUNDS + 1;
    d->explicit_bounds.at = bounds;
    d->explicit_bounds.count = d->explicit_bounds.room = MS_BOUNDS;
    report_labels(r, &d->attributes, t);
    PB_ADD(&r->arena, &m->histogram->data_points, d);
    PB_ADD(&r->arena, &r->scope->metrics, m);
}

/* The message; the report is ready for the next one. The answer lives until report_dispose or the second call after this one. */
static inline struct span report_encode(struct report *r)
{
    return pb_encode_in(&pb_otlp_ExportMetricsServiceRequest_desc, &r->rq, &r->arena);
}
#endif
