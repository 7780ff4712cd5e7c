#ifndef POD_POD_PORTS_H
#define POD_POD_PORTS_H
/* What a proxy in a pod shows the cluster, on ports that are not intercepted and take plain HTTP whatever the mesh demands of others:
 *
 *   status (15020)  /healthz/ready  /stats/prometheus (with the application's)  /app-health/...  POST /quitquitquit, /drain (from the pod itself only)
 *   ready  (15021)  /healthz/ready
 *   stats  (15090)  /stats/prometheus (the proxy's alone)
 *
 * Main thread. Source: Istio's agent (pilot/cmd/pilot-agent/status/server.go) and ports.
 * In: kubelet, Prometheus. Next: app_probe, app_metrics. */
#include "base/compiler.h"
#include "base/err.h"
#include "base/metric.h"
#include "io/addr.h"
#include "io/loop.h"
#include "proxy/pod/app_reach.h"

struct pod_ports;

struct pod_ports_spec {
    struct loop *loop;                /* borrowed */
    struct metric_registry *registry; /* borrowed */
    const char *status_addr, *ready_addr,
        *stats_addr;         /* "ADDR:PORT", ":PORT" = all addresses; NULL = off */
    const char *app_probes;  /* app_probe.h; NULL = none */
    const char *app_metrics; /* app_metrics.h; NULL = none */
    const struct ip *own;    /* the pod's addresses */
    size_t own_count;
    const char *(*why_not_ready)(void *arg); /* NULL: it is ready */
    void (*quit)(void *arg);
    void (*drain)(void *arg);
    void *arg;
};

/* *out is NULL when all are off. -ERR_CONFIG, -errno: which one. */
MUST_USE int pod_ports_new(struct pod_ports **out, const struct pod_ports_spec *spec,
                           struct err *err);
/* NULL is fine. */
void pod_ports_free(struct pod_ports *p);
#endif
