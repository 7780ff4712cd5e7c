#ifndef PROXY_UPSTREAM_CLUSTER_H
#define PROXY_UPSTREAM_CLUSTER_H
/* A set of endpoints as one worker uses it: balancer memory, pools, limits, numbers. Kept over snapshots by
 * its slot; what did not change in the configuration is not touched.
 * In: config/view. Out: an endpoint for a request. Next: upstream/attempt and downstream/session_tcp. */
#include "base/compiler.h"
#include "base/map.h"
#include "base/rng.h"
#include "http/http_conn.h"
#include "io/deadline.h"
#include "io/sockopt.h"
#include "proxy/config/snapshot.h"
#include "proxy/config/tls_bind.h"
#include "proxy/report/outcome.h"
#include "proxy/report/peers.h"
#include "proxy/report/stats.h"
#include "proxy/upstream/endpoint.h"
#include "proxy/upstream/shared.h"

/* What clusters share in a worker. */
struct upstream {
    struct loop *loop;
    struct rng *rng;
    struct stats *stats;
    struct shared *shared;
    struct peers *peers;          /* what other sidecars say of themselves */
    const struct peer_self *self; /* what we say to them; NULL: nothing */
    struct packers *packers;      /* what answers are compressed with; request/compress's */
    struct mirrors *mirrors;      /* copies of requests under way; request/mirror's */
    struct tap *tap;              /* NULL while nobody watches */
    bool shedding;                /* overload: new requests are answered 503 */
    /* Through which cluster the internal listener of this name makes its tunnels; NULL: it does not, or is not there. */
    struct cluster *(*tunnel_via)(void *arg, struct span listener);
    void *arg; /* of tunnel_via */
};

struct cluster {
    struct upstream *up; /* borrowed from the worker */
    uint32_t slot;
    struct span name; /* owned copy */
    /* Settings that connections need after the configuration has gone; copied from the snapshot. */
    bool gone; /* not in the current snapshot */
    enum conf_discovery discovery;
    enum conf_lb lb;
    uint32_t choices, panic_percent;
    struct conf_hash hash;
    bool http2, use_downstream_protocol, alpn_auto;
    int64_t connect_ms, idle_ms, max_connection_ms;
    uint32_t max_requests_per_connection, max_streams;
    bool locality_weighted, close_on_change;
    uint16_t port_override; /* ORIGINAL_DST: this port in place of the original one */
    struct conf_limits limits[2];
    struct conf_outlier outlier;
    struct deadline outlier_look; /* see outlier.h */
    struct sockopt_keepalive keepalive;
    bool has_keepalive;
    struct addr bind_from;
    unsigned proxy_version;         /* PROXY protocol, 1 or 2; 0 = none */
    struct http_limits http_limits; /* for its connections */
    struct stats_service service;   /* texts in `texts` */
    struct arena texts;
    /* transports */
    struct tls_bind tls;        /* the cluster's own */
    struct tls_bind *match_tls; /* owned array, one for each conf_tls_match */
    size_t match_count;
    /* endpoints */
    const struct conf_cluster *conf; /* in the worker's current snapshot, or NULL */
    const struct conf_endpoints *conf_endpoints;
    struct endpoint **endpoints; /* owned array of references */
    size_t endpoint_count;
    uint64_t uses_told; /* sum of their numbers when uses were last asked for */
    struct endpoint *
        *eligible; /* those of the chosen priority that may be picked; rebuilt on change */
    size_t eligible_count;
    void
        *lb_table; /* owned by it: what a hash balancer made of the eligible, or NULL (lb_hash.h) */
    bool weighted; /* weights differ among the eligible */
    bool panic;
    uint32_t next;                 /* round robin's memory */
    struct map by_addr;            /* ORIGINAL_DST: made on demand */
    struct shared_cluster *shared; /* borrowed */
    struct stats_cluster stats;
    /* private */
    unsigned refs;
};

struct cluster *cluster_new(struct upstream *up, const struct conf_cluster *conf);
/* Brings it up to the snapshot: `conf` NULL when it is gone. */
void cluster_update(struct cluster *c, const struct snapshot *s, const struct conf_cluster *conf,
                    const struct conf_endpoints *endpoints);
void cluster_get(struct cluster *c);
void cluster_put(struct cluster *c);

/* Who may be picked has changed: endpoints were ejected or taken back. */
void cluster_health_changed(struct cluster *c);

struct cluster_want {
    const struct addr *original_dst; /* for ORIGINAL_DST; may be NULL */
    const struct endpoint *avoid;    /* a retry wants another one, if there is any; may be NULL */
    uint32_t tries;                  /* how often to draw again for that; 0 = once */
    bool has_hash;                   /* for consistent hashing; else a random place is taken */
    uint64_t hash;
};
/* The endpoint to try, borrowed until the next turn (take a reference to keep it); NULL = none. */
struct endpoint *cluster_pick(struct cluster *c, const struct cluster_want *want);

/* Settings of a transport for this endpoint changed, or it has none though it must: fail closed. */
bool cluster_tls_missing(const struct cluster *c, const struct endpoint *e);
#endif
