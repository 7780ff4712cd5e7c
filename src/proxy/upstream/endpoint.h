#ifndef PROXY_UPSTREAM_ENDPOINT_H
#define PROXY_UPSTREAM_ENDPOINT_H
/* One address of a cluster, as one worker knows it: its pools, its load, its metric edges. It outlives its
 * place in the configuration while requests or connections still use it.
 *
 *   cluster --owns--> endpoint --owns--> pool (HTTP/1), pool (HTTP/2)
 *                        ^ refs: requests in flight, pooled connections                                     */
#include "base/compiler.h"
#include "proxy/config/snapshot.h"
#include "proxy/report/peers.h"
#include "proxy/report/stats.h"
#include "proxy/upstream/pool.h"

struct cluster;

#define DYNAMIC_KEY_BYTES 19

struct endpoint {
    struct cluster *cluster; /* borrowed; a reference is held */
    struct addr addr;
    uint32_t weight;
    uint32_t priority;
    bool usable;          /* health allows it */
    bool removed;         /* no longer configured: no new requests */
    bool ejected;         /* left out for a while (outlier.h) */
    uint32_t active;      /* requests and opaque connections now */
    int64_t wrr;          /* weighted round robin's memory */
    struct tls_bind *tls; /* borrowed from cluster: which of its transports; NULL = plaintext */
    struct pool pools[HTTP_PROTO_COUNT]; /* by enum http_proto */
    /* outlier.c's memory: failures in a row, how often it was left out, since when it is */
    uint32_t fails_5xx, fails_gateway, fails_local, ejections;
    int64_t ejected_ms;
    /* labels, for metric edges; in `arena` */
    struct arena arena;
    struct stats_workload labels;
    struct span hostname;                /* for auto_host_rewrite; may be empty */
    struct span tunnel, tunnel_identity; /* as in conf_endpoint */
    struct span tunnel_local;            /* by which certificate we speak in tunnels; learned */
    struct stats_edge *edges[3];         /* by stats_protocol, made on first use */
    /* counters for /clusters */
    uint64_t rq_total, rq_error, cx_total, cx_connect_fail;
    uint32_t cx_active;
    /* for those made on demand (ORIGINAL_DST) */
    int64_t last_used_ms;
    char dynamic_key[DYNAMIC_KEY_BYTES]; /* family, address, port */
    /* private */
    unsigned refs;
};

struct endpoint *endpoint_new(struct cluster *c, const struct conf_endpoint *conf);
/* Takes over weight, health and labels; same address. */
void endpoint_update(struct endpoint *e, const struct conf_endpoint *conf);
void endpoint_get(struct endpoint *e);
void endpoint_put(struct endpoint *e);
/* The configuration no longer has it: idle connections close now, busy ones when they are done; requests that wait
 * for a connection to it are served. */
void endpoint_remove(struct endpoint *e);
/* Who answered on a connection: becomes destination_principal of its edges. */
void endpoint_learn(struct endpoint *e, struct span principal);
/* What it says of itself, where the configuration says nothing; true when something was new. */
bool endpoint_learn_peer(struct endpoint *e, const struct peer *told);
/* The same of tunnels to it: by which certificate we speak. */
void endpoint_learn_tunnel(struct endpoint *e, struct span local_uri);
/* Mutual TLS, on the connection or on the one that carries it; empty where there is none, or not yet. */
struct span endpoint_local_uri(const struct endpoint *e);
static inline bool endpoint_is_secure(const struct endpoint *e)
{
    return e->tls != NULL || e->tunnel.len > 0;
}
struct stats_edge *endpoint_edge(struct endpoint *e, enum stats_protocol protocol);
#endif
