#ifndef PROXY_UPSTREAM_LB_H
#define PROXY_UPSTREAM_LB_H
/* Choices among equals: a table of functions over the eligible endpoints and the worker's memory. Adding a
 * balancer is adding one file and one line in lb.c.
 * Sources: Envoy Cluster.LbPolicy, LeastRequestLbConfig.choice_count. */
#include "proxy/upstream/cluster.h"

struct lb_ops {
    const char *name; /* as /clusters prints it */
    /* `c->eligible_count` is at least 1. `attempt`: how often it was asked before for the same try, because what it
     * gave is to be avoided. Never NULL. */
    struct endpoint *(*pick)(struct cluster *c, const struct cluster_want *want, uint32_t attempt);
};

const struct lb_ops *lb_ops_of(enum conf_lb lb);
extern const struct lb_ops lb_round_robin;
extern const struct lb_ops lb_least_request;
extern const struct lb_ops lb_random;
extern const struct lb_ops lb_ring_hash;
extern const struct lb_ops lb_maglev;
#endif
