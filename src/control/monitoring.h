#ifndef CONTROL_MONITORING_H
#define CONTROL_MONITORING_H
/* Metrics of control itself on its own server, "monitoring" (port 15014 elsewhere): GET /metrics as Prometheus text, /livez, /readyz. Names
 * that dashboards for Istio and Kiali know (pilot_*, galley_*, citadel_*, istio_build, process_*), and ours, mesh_control_*. Main thread.
 * In: http_server. Next: push/push_metrics. */
#include "base/metric.h"

struct control;
struct http_server;

struct monitoring {
    struct metric_registry *registry; /* what is counted while it happens */
    struct metric_series *worlds, *build_time;
    struct metric_series *reports, *reports_refused, *tap_messages;
};

void monitoring_init(struct monitoring *m);
void monitoring_dispose(struct monitoring *m);
void monitoring_attach(struct http_server *s, struct control *c);
void monitoring_world_built(struct monitoring *m, int64_t took_us);
#endif
