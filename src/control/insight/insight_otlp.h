#ifndef CONTROL_INSIGHT_INSIGHT_OTLP_H
#define CONTROL_INSIGHT_INSIGHT_OTLP_H
/* An OTLP ExportMetricsServiceRequest as points that insight adds up. Only Istio's standard metrics are read, with Istio's
 * labels as attributes; others are passed over. Sources: opentelemetry-proto metrics/v1 (delta temporality), Istio
 * "Standard Metrics". */
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"
#include "control/insight/insight.h"
#include "control/insight/insight_ring.h"

/* A data point; spans point into the message, "unknown" is empty. */
struct insight_point {
    bool by_source;
    struct insight_end source, destination;
    struct span service_host, service_name, service_namespace, protocol;
    struct insight_sum sum;
    int64_t opened, closed; /* opaque connections */
    int mtls;               /* 1, 0, -1: unknown */
    int64_t covers_s;       /* how long the delta was gathered; at least 1 */
};

/* Calls `on_point` for each. -ERR_PROTO: not a request, cumulative, or a histogram whose counts do not fit its bounds;
 * points before the bad one have been told. */
MUST_USE int insight_otlp_read(struct span otlp,
                               void (*on_point)(void *arg, const struct insight_point *p),
                               void *arg, struct err *err);
#endif
