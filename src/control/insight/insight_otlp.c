/* OTLP metrics to points: see insight_otlp.h.
 * In: the body of MetricsService/Export. Out: on_point. Next: insight.c. */
#include "control/insight/insight_otlp.h"

#include "base/arena.h"
#include "mesh/names.h"
#include "proto/otlp_metrics_service.pb.h"

#define COUNT_MAX (UINT64_C(1) << 48) /* of one point: sums of them do not overflow */
#define COVERS_MAX_S 300              /* what a proxy kept for longer than the finest ring lasts */

/* ---- attributes ---- */

/* Attributes as they come, before it is known what they mean together. */
struct labels {
    struct span reporter, flags, code, grpc, security;
    struct span canonical_source, canonical_source_revision;
    struct span canonical_destination, canonical_destination_revision;
    struct insight_point *p;
};

#define OF_POINT(member) true, offsetof(struct insight_point, member)
#define OF_LABELS(member) false, offsetof(struct labels, member)

static const struct attribute {
    struct span name;
    bool in_point;
    size_t offset;
} attributes[] = {
    {SPAN_INIT("reporter"), OF_LABELS(reporter)},
    {SPAN_INIT("source_workload"), OF_POINT(source.workload)},
    {SPAN_INIT("source_workload_namespace"), OF_POINT(source.namespace)},
    {SPAN_INIT("source_principal"), OF_POINT(source.principal)},
    {SPAN_INIT("source_app"), OF_POINT(source.app)},
    {SPAN_INIT("source_version"), OF_POINT(source.version)},
    {SPAN_INIT("source_canonical_service"), OF_LABELS(canonical_source)},
    {SPAN_INIT("source_canonical_revision"), OF_LABELS(canonical_source_revision)},
    {SPAN_INIT("destination_workload"), OF_POINT(destination.workload)},
    {SPAN_INIT("destination_workload_namespace"), OF_POINT(destination.namespace)},
    {SPAN_INIT("destination_principal"), OF_POINT(destination.principal)},
    {SPAN_INIT("destination_app"), OF_POINT(destination.app)},
    {SPAN_INIT("destination_version"), OF_POINT(destination.version)},
    {SPAN_INIT("destination_canonical_service"), OF_LABELS(canonical_destination)},
    {SPAN_INIT("destination_canonical_revision"), OF_LABELS(canonical_destination_revision)},
    {SPAN_INIT("destination_service"), OF_POINT(service_host)},
    {SPAN_INIT("destination_service_name"), OF_POINT(service_name)},
    {SPAN_INIT("destination_service_namespace"), OF_POINT(service_namespace)},
    {SPAN_INIT("request_protocol"), OF_POINT(protocol)},
    {SPAN_INIT("response_flags"), OF_LABELS(flags)},
    {SPAN_INIT("response_code"), OF_LABELS(code)},
    {SPAN_INIT("grpc_response_status"), OF_LABELS(grpc)},
    {SPAN_INIT("connection_security_policy"), OF_LABELS(security)},
};

static void attribute_take(struct labels *l, const struct pb_otlp_KeyValue *kv)
{
    if (kv->value == NULL || span_is(kv->value->string_value, "unknown")) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++) {
        if (span_eq(kv->key, attributes[i].name)) {
            char *at = attributes[i].in_point ? (char *)l->p : (char *)l;
            *(struct span *)(void *)(at + attributes[i].offset) = kv->value->string_value;
            return;
        }
    }
}

/* Is one of the comma-separated flags one of these? */
static bool has_flag(struct span flags, const char *const *names)
{
    while (flags.at != NULL) {
        struct span flag = span_cut(&flags, ',');
        for (size_t i = 0; names[i] != NULL; i++) {
            if (span_is(flag, names[i])) {
                return true;
            }
        }
    }
    return false;
}

/* Response flags of requests that the destination's proxy never saw, or of which it can not tell any more: no endpoint, no
 * connection, or the connection ended with the process behind it (Envoy's "Response flags"). */
static const char *const lost_flags[] = {"UH", "UF", "UO", "NR", "NC", "UC", "FI", "RL", NULL};

/* OpenTelemetry's semantic conventions: the statuses that are the server's fault. */
static bool grpc_failed(struct span status)
{
    uint64_t n;
    return span_to_u64(status, &n) &&
           (n == 2 || n == 4 || n == 12 || n == 13 || n == 14 || n == 15);
}

static void requests_count(const struct labels *l, uint64_t n)
{
    struct insight_point *p = l->p;
    uint64_t code;
    bool failed = !span_to_u64(l->code, &code) || code == 0 || code >= 500 || grpc_failed(l->grpc);
    bool lost = p->by_source && has_flag(l->flags, lost_flags);
    p->sum.fields[INSIGHT_REQUESTS] = n;
    p->sum.fields[INSIGHT_FAILURES] = failed ? n : 0;
    p->sum.fields[INSIGHT_LOST] = lost ? n : 0;
    p->sum.fields[INSIGHT_LOST_FAILURES] = lost && failed ? n : 0;
}

/* The attributes of a point together; false when it is of no reporter. */
static bool labels_read(struct labels *l, struct pb_otlp_KeyValue *const *at, uint32_t count)
{
    struct insight_point *p = l->p;
    for (uint32_t i = 0; i < count; i++) {
        attribute_take(l, at[i]);
    }
    p->by_source = span_is(l->reporter, "source");
    if (!p->by_source && !span_is(l->reporter, "destination")) {
        return false;
    }
    if (p->source.app.len == 0) {
        p->source.app = l->canonical_source;
    }
    if (p->source.version.len == 0 && !span_is(l->canonical_source_revision, "latest")) {
        p->source.version = l->canonical_source_revision;
    }
    if (p->destination.app.len == 0) {
        p->destination.app = l->canonical_destination;
    }
    if (p->destination.version.len == 0 && !span_is(l->canonical_destination_revision, "latest")) {
        p->destination.version = l->canonical_destination_revision;
    }
    /* A source proves its peer by the certificate it saw. */
    bool proven = p->by_source && p->destination.principal.len > 0;
    p->mtls = span_is(l->security, "mutual_tls") || proven ? 1
              : span_is(l->security, "none")               ? 0
                                                           : -1;
    return true;
}

static void mtls_count(struct insight_point *p, uint64_t n)
{
    if (p->mtls >= 0) {
        p->sum.fields[p->mtls == 1 ? INSIGHT_TLS : INSIGHT_PLAIN] = n;
    }
}

static int64_t covers_s(uint64_t start_ns, uint64_t end_ns)
{
    if (start_ns == 0 || end_ns <= start_ns) {
        return 1;
    }
    uint64_t s = (end_ns - start_ns + 500000000) / 1000000000;
    return s > COVERS_MAX_S ? COVERS_MAX_S : (int64_t)(s > 0 ? s : 1);
}

/* ---- metrics ---- */

enum what { REQUESTS, OPENED, CLOSED, SENT, RECEIVED };
static const struct {
    const char *name;
    enum what what;
} sums[] = {
    {METRIC_REQUESTS, REQUESTS}, {METRIC_TCP_OPENED, OPENED},     {METRIC_TCP_CLOSED, CLOSED},
    {METRIC_TCP_SENT, SENT},     {METRIC_TCP_RECEIVED, RECEIVED},
};

struct reader {
    void (*on_point)(void *arg, const struct insight_point *p);
    void *arg;
};

static void number_read(const struct reader *r, const struct pb_otlp_NumberDataPoint *d,
                        enum what what)
{
    struct insight_point p = {0};
    struct labels l = {.p = &p};
    if (d->as_int < 0 || !labels_read(&l, d->attributes.at, d->attributes.count)) {
        return;
    }
    uint64_t n = d->value_case == 4 && d->as_double > 0 && d->as_double < 1e18
                     ? (uint64_t)d->as_double
                     : (uint64_t)d->as_int;
    n = n < COUNT_MAX ? n : COUNT_MAX;
    p.covers_s = covers_s(d->start_time_unix_nano, d->time_unix_nano);
    switch (what) {
    case REQUESTS:
        requests_count(&l, n);
        break;
    case OPENED:
        p.opened = (int64_t)n;
        break;
    case CLOSED:
        p.closed = (int64_t)n;
        break;
    case SENT:
        p.sum.fields[INSIGHT_SENT] = n;
        break;
    case RECEIVED:
        p.sum.fields[INSIGHT_RECEIVED] = n;
        break;
    }
    mtls_count(&p, what == REQUESTS ? n : 1);
    r->on_point(r->arg, &p);
}

/* Which of our buckets holds what lies at or below `bound`. */
static size_t bucket_of(double bound)
{
    size_t i = 0;
    while (i < INSIGHT_BOUNDS && bound > insight_bounds[i]) {
        i++;
    }
    return i;
}

static int histogram_read(const struct reader *r, const struct pb_otlp_HistogramDataPoint *d,
                          struct err *err)
{
    struct insight_point p = {0};
    struct labels l = {.p = &p};
    if (d->bucket_counts.count != d->explicit_bounds.count + 1) {
        return err_set(err, -ERR_PROTO, "a histogram has %u counts for %u bounds",
                       d->bucket_counts.count, d->explicit_bounds.count);
    }
    if (!labels_read(&l, d->attributes.at, d->attributes.count)) {
        return 0;
    }
    for (uint32_t i = 0; i < d->bucket_counts.count; i++) {
        size_t to = i < d->explicit_bounds.count ? bucket_of(d->explicit_bounds.at[i])
                                                 : INSIGHT_BUCKETS - 1;
        p.sum.buckets[to] += d->bucket_counts.at[i];
    }
    p.covers_s = covers_s(d->start_time_unix_nano, d->time_unix_nano);
    r->on_point(r->arg, &p);
    return 0;
}

static int metric_read_one(const struct reader *r, const struct pb_otlp_Metric *m, struct err *err)
{
    if (m->histogram != NULL && span_is(m->name, METRIC_REQUEST_DURATION)) {
        if (m->histogram->aggregation_temporality !=
            PB_OTLP_AGGREGATION_TEMPORALITY_AGGREGATION_TEMPORALITY_DELTA) {
            return err_set(err, -ERR_PROTO, "'%.*s' is not delta", SPAN_ARG(m->name));
        }
        for (uint32_t i = 0; i < m->histogram->data_points.count; i++) {
            int rc = histogram_read(r, m->histogram->data_points.at[i], err);
            if (rc < 0) {
                return rc;
            }
        }
    }
    for (size_t k = 0; m->sum != NULL && k < ARRAY_LEN(sums); k++) {
        if (!span_is(m->name, sums[k].name)) {
            continue;
        }
        if (m->sum->aggregation_temporality !=
            PB_OTLP_AGGREGATION_TEMPORALITY_AGGREGATION_TEMPORALITY_DELTA) {
            return err_set(err, -ERR_PROTO, "'%.*s' is not delta", SPAN_ARG(m->name));
        }
        for (uint32_t i = 0; i < m->sum->data_points.count; i++) {
            number_read(r, m->sum->data_points.at[i], sums[k].what);
        }
    }
    return 0;
}

int insight_otlp_read(struct span otlp, void (*on_point)(void *arg, const struct insight_point *p),
                      void *arg, struct err *err)
{
    struct arena arena;
    arena_init(&arena, 65536);
    struct reader r = {.on_point = on_point, .arg = arg};
    const struct pb_otlp_ExportMetricsServiceRequest *rq =
        pb_decode(&pb_otlp_ExportMetricsServiceRequest_desc, &arena, otlp, err);
    int rc = rq == NULL ? -ERR_PROTO : 0;
    for (uint32_t i = 0; rc == 0 && i < rq->resource_metrics.count; i++) {
        const struct pb_otlp_ResourceMetrics *rm = rq->resource_metrics.at[i];
        for (uint32_t j = 0; rc == 0 && j < rm->scope_metrics.count; j++) {
            const struct pb_otlp_ScopeMetrics *sm = rm->scope_metrics.at[j];
            for (uint32_t k = 0; rc == 0 && k < sm->metrics.count; k++) {
                rc = metric_read_one(&r, sm->metrics.at[k], err);
            }
        }
    }
    arena_dispose(&arena);
    return rc;
}
