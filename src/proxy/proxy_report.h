#ifndef PROXY_PROXY_REPORT_H
#define PROXY_PROXY_REPORT_H
/* What the proxy tells the control plane of its own accord: metrics (report/otlp_export), and requests while somebody watches
 * (report/tap), both on the connection of the ADS stream. Main thread.
 * In: base/metric, and workers by mail. Out: http/grpc. */
#include "base/compiler.h"
#include "proxy/bootstrap.h"
#include "proxy/proxy_sources.h"
#include "proxy/proxy_worker.h"

struct proxy_report_spec { /* all borrowed */
    struct loop *loop;
    struct metric_registry *registry;
    const struct bootstrap *boot;
    struct proxy_sources *sources;
    struct proxy_worker *const *workers;
    unsigned worker_count;
};

struct proxy_report;
NONNULL_RETURN struct proxy_report *proxy_report_new(const struct proxy_report_spec *spec);
/* Stops telling; before sources and workers go. NULL is fine. */
void proxy_report_stop(struct proxy_report *r);
/* When no worker can answer any more. NULL is fine. */
void proxy_report_free(struct proxy_report *r);
#endif
