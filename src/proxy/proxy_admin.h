#ifndef PROXY_PROXY_ADMIN_H
#define PROXY_PROXY_ADMIN_H
/* The proxy's pages for people and scripts, with Envoy's paths and shapes: /ready, /config_dump, /clusters,
 * /listeners, /stats, /stats/prometheus, /certs, /server_info, /logging, /memory, /healthcheck/fail, /drain_listeners,
 * /quitquitquit. Main thread. Source: Envoy "Administration interface".
 * In: http/admin. Out: what the main thread knows, and questions to workers. */
#include "base/compiler.h"
#include "base/err.h"
#include "base/metric.h"
#include "http/http_server.h"
#include "proxy/config/ingest.h"
#include "proxy/overload.h"
#include "proxy/proxy_numbers.h"
#include "proxy/proxy_worker.h"

enum proxy_state { PROXY_INITIALIZING, PROXY_LIVE, PROXY_DRAINING };

/* What the pages look at and what they can ask for; borrowed for the admin's life. */
struct proxy_admin_view {
    struct loop *loop;
    struct metric_registry *registry;
    struct ingest *ingest;
    struct proxy_worker *const *workers;
    unsigned worker_count;
    struct span node_id, node_cluster;
    int64_t started_us;
    const struct proxy_numbers *numbers;
    const struct overload *overload; /* NULL in tests */
    enum proxy_state (*state)(void *arg);
    const struct snapshot *(*snapshot)(void *arg); /* the newest; NULL before the first */
    void (*fail_health)(void *arg, bool failed);
    void (*drain)(void *arg);
    void (*quit)(void *arg);
    void *arg;
};

struct proxy_admin;
MUST_USE int proxy_admin_new(struct proxy_admin **out, const struct listener_spec *where,
                             const struct proxy_admin_view *view, struct err *err);
const struct addr *proxy_admin_addr(const struct proxy_admin *a);
void proxy_admin_free(struct proxy_admin *a);
#endif
