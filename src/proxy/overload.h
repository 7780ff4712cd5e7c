#ifndef PROXY_OVERLOAD_H
#define PROXY_OVERLOAD_H
/* Overload: near its limit of memory or connections the proxy sheds load, in an order that costs the least first,
 * and takes it on again by itself.
 *
 *   pressure = used / limit                    from          back below
 *   SHED_IDLE         idle connections end      85 %          80 %   (a quarter every 250 ms)
 *   SHED_CONNECTIONS  new connections closed,   92 %          87 %   connections: 100 %, each by itself (shared_enter)
                     keep-alive ends
 *   SHED_REQUESTS     new requests get 503      97 %          92 %   x-envoy-overloaded, flag OM, details "overload"
 *
 * Memory: what is resident, of the control group's limit or --memory-limit-mb; connections: those of clients, of
 * --max-connections. Connections alone never lead past SHED_IDLE: at 100 % further ones are refused as they come.
 * Looked at every 250 ms on the main thread; workers are told by mail, and read plain flags of their own.
 * Each change is logged once. Listener.bypass_overload_manager and ignore_global_conn_limit exempt a listener's
 * connections from being refused or ended. Gauges have the names of Envoy's resource monitors and actions.
 * Sources: Envoy "Overload manager" (fixed_heap, global_downstream_max_connections; reduce_timeouts,
 * disable_http_keepalive, stop_accepting_connections, stop_accepting_requests). Main thread.
 * In: base/mem, upstream/shared. Next: proxy_worker_shed. */
#include "base/compiler.h"
#include "base/metric.h"
#include "io/loop.h"
#include "proxy/proxy_worker.h"

enum overload_level { OVERLOAD_NONE, OVERLOAD_IDLE, OVERLOAD_CONNECTIONS, OVERLOAD_REQUESTS };

struct overload_spec {
    struct loop *loop;
    struct metric_registry *registry;    /* gets the gauge mesh_overload_level */
    struct shared *shared;               /* its connection limits are set here */
    struct proxy_worker *const *workers; /* borrowed; they come later */
    const unsigned *worker_count;
    uint32_t max_connections; /* 0 = half of the open files, which are raised to the hard limit */
    uint32_t max_connections_per_peer; /* 0 = no limit */
    uint64_t memory_bytes;             /* 0 = the control group's, if it has one */
};

struct overload;
struct overload *overload_new(const struct overload_spec *spec);
void overload_free(struct overload *o);

/* Pure: the level that follows `now` at these pressures, in thousandths. */
enum overload_level overload_next(enum overload_level now, unsigned memory, unsigned connections);

/* For /stats. NULL: none. */
#define OVERLOAD_GAUGES 6
struct overload_gauge {
    const char *name;
    int64_t value;
};
size_t overload_gauges(const struct overload *o, struct overload_gauge to[OVERLOAD_GAUGES]);
#endif
