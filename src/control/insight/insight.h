#ifndef CONTROL_INSIGHT_INSIGHT_H
#define CONTROL_INSIGHT_INSIGHT_H
/* What proxies report (OTLP metrics, delta temporality, Istio's names and attributes), added up per edge and kept in rings: 5 min at 1 s, 2 h at
 * 10 s, 24 h at 2 min. Main thread. An edge is told once by its source and once by its destination; the destination's word counts when it has a
 * proxy, the source's otherwise and for what never arrived (response flags). How long it took is the source's word, when that has a proxy: retries,
 * injected delays and the way are part of what a caller waits for.
 * In: push/telemetry (an OTLP ExportMetricsServiceRequest from a proxy whose identity is proven). Out: api. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"

struct insight;
NONNULL_RETURN struct insight *insight_new(void);
void insight_free(struct insight *i);
/* Whose a workload is: its service account, or empty when nobody knows. Asked for ends whose principal is not told (plaintext), so that nobody
 * tells of others then either. */
typedef struct span (*insight_owner)(void *arg, struct span namespace, struct span workload);
void insight_set_owner(struct insight *i, insight_owner owner, void *arg);

/* Adds one report. `identity`: SPIFFE ID of the proxy that sent it, or empty (plaintext port): a proxy may only report edges of which it is
 * one end. `now_us`: wall time of arrival. -ERR_PROTO when it does not parse; -ERR_DENIED when it told of others' edges too, which were left
 * out. A delta that was gathered for longer (control was away) is spread over that time. */
MUST_USE int insight_take(struct insight *i, struct span otlp, struct span identity, int64_t now_us,
                          struct err *err);

#define INSIGHT_EDGES_MAX 10000
#define INSIGHT_BYTES_MAX 50331648 /* all rings together; then the oldest history goes first */
#define INSIGHT_SPARK 15           /* points of a sparkline */

struct insight_numbers {
    double rps;
    double
        success; /* 0..1; -1: no traffic. 5xx, failed gRPC and requests without an answer are failures; 4xx are not */
    double p50_ms, p95_ms, p99_ms;                  /* -1: none */
    double bytes_sent, bytes_received, connections; /* TCP: a second, open */
    double mtls;                                    /* 0..1; -1: unknown */
    float spark[INSIGHT_SPARK];                     /* rps, oldest first, over `spark_s` seconds */
};
struct insight_end { /* one end of an edge; empty spans: unknown */
    struct span workload, namespace, app, version, principal;
};
struct insight_edge {
    struct insight_end source, destination;
    struct span service_host, service_name, service_namespace;
    struct span protocol; /* "http", "grpc", "tcp" */
    struct insight_numbers numbers;
};
/* Every edge with traffic or connections in the last `window_s` (1..86400), in no order. The spans live as long as `arena`. */
size_t insight_edges(struct insight *i, int64_t now_us, int window_s, int spark_s,
                     struct arena *arena, struct insight_edge **out);
/* The same added up by destination workload (and version), as `mesh stat` shows it. */
struct insight_workload {
    struct insight_end workload;
    struct insight_numbers in, out; /* what it serves, what it calls */
};
size_t insight_workloads(struct insight *i, int64_t now_us, int window_s, int spark_s,
                         struct arena *arena, struct insight_workload **out);
/* Requests of a service by the workload and version that answered, for real shares: `in` only. */
size_t insight_shares(struct insight *i, int64_t now_us, int window_s, struct span service_host,
                      struct arena *arena, struct insight_workload **out);
#endif
