#ifndef PROXY_UPSTREAM_LB_HASH_H
#define PROXY_UPSTREAM_LB_HASH_H
/* What the two consistent-hashing balancers share: the keys under which endpoints are placed, and the hash of what is
 * to be placed. Both keep a table over `c->eligible` in `c->lb_table`, one block of memory that the first pick after a
 * change makes: a worker that does not use a cluster has none.
 * Source: Envoy's ring_hash and maglev policies, whose choices are the same for the same endpoints. */
#include "base/arena.h"
#include "proxy/upstream/cluster.h"

struct lb_hash_entry {
    struct span key;   /* "10.0.0.1:80", or the host name; in the arena */
    uint32_t index;    /* in `c->eligible` */
    double weight;     /* of a sum of 1 */
    uint64_t at, skip; /* Maglev's memory */
    double target;
};

struct lb_hash_set {
    struct lb_hash_entry *entries; /* one for each eligible endpoint, in their order */
    size_t count;
    double lightest, heaviest;
};
void lb_hash_set_make(struct lb_hash_set *set, const struct cluster *c, struct arena *arena);

/* What was asked for, or a random one. */
uint64_t lb_hash_wanted(const struct cluster *c, const struct cluster_want *want);
/* Of a client's address, as policies by source IP want it. */
uint64_t lb_hash_ip(const struct ip *ip);
#endif
