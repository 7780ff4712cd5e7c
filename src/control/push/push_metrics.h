#ifndef CONTROL_PUSH_PUSH_METRICS_H
#define CONTROL_PUSH_PUSH_METRICS_H
/* What is counted of pushes, under the names that Istio's dashboards know (pilot/pkg/xds/monitoring.go). Main thread. Types are told as Istio
 * does: "cds", "eds", "lds", "rds", "nds"; and "vhds". */
#include "base/metric.h"
#include "control/push/push_int.h"

struct push_metrics {
    struct metric_series *pushes[PROXIES_TYPE_COUNT], *rejects[PROXIES_TYPE_COUNT];
    struct metric_series *convergence, *trigger_config, *trigger_endpoint;
};

/* Without a registry nothing is counted. */
void push_metrics_init(struct push_metrics *m, struct metric_registry *r);
void push_metrics_count(struct push_metrics *m, const struct push_news *n, int64_t now_us);
void push_metrics_trigger(struct push_metrics *m, const struct world_change *change);
#endif
