#ifndef PROXY_REPORT_OTLP_EXPORT_H
#define PROXY_REPORT_OTLP_EXPORT_H
/* Tells the control plane what Istio's metrics grew by, every second in which they did: OTLP over the HTTP/2 connection that
 * the proxy holds anyway. Counters stay in the registry and what was told is marked only when it was taken, so that nothing is lost
 * while control is away: it comes with the first report after. Main thread; the threads that count know nothing of it.
 * Source: opentelemetry-proto, collector/metrics/v1 (delta temporality). In: base/metric. Out: http/grpc. */
#include "base/compiler.h"
#include "base/metric.h"
#include "http/http_client.h"

#define OTLP_EXPORT_MS 1000
#define OTLP_EXPORT_POINTS_MAX 2000 /* of one report; the rest follows at once */

struct otlp_export_spec {
    struct loop *loop;
    struct metric_registry *registry; /* borrowed */
    /* The client of the stream to the control plane, or NULL while there is none. */
    struct http_client *(*client)(void *arg);
    void *arg;
    struct span node_id; /* copied: service.instance.id */
    int64_t every_ms;    /* 0 = OTLP_EXPORT_MS */
};

struct otlp_export;
NONNULL_RETURN struct otlp_export *otlp_export_new(const struct otlp_export_spec *spec);
/* NULL is fine. Before what gives the client. */
void otlp_export_free(struct otlp_export *x);
#endif
