#ifndef PROXY_UPSTREAM_SHARED_H
#define PROXY_UPSTREAM_SHARED_H
/* What is promised per proxy and not per worker: the counts behind circuit breakers, as relaxed atomics per
 * cluster slot, and the clients' connections, in all and per peer. Nothing else is shared between workers and mutable. Any worker's thread.
 * Source: Envoy CircuitBreakers.Thresholds (limits are checked, then taken: a race may overshoot by the number
 * of workers, as in Envoy). */
#include <stdatomic.h>

#include "base/compiler.h"
#include "codec/ip.h"
#include "proxy/config/slots.h"

struct shared_cluster {
    _Atomic uint32_t connections;
    _Atomic uint32_t pending;
    _Atomic uint32_t requests[2]; /* by priority */
    _Atomic uint32_t retries;
};

struct shared;
struct shared *shared_new(void);
void shared_free(struct shared *s); /* when no worker runs any more */
/* The same for every worker that asks; never moves. NULL past SHARED_SLOTS_MAX clusters. */
#define SHARED_SLOTS_MAX SLOTS_MAX
struct shared_cluster *shared_cluster_get(struct shared *s, uint32_t slot);

/* ---- connections of clients ---- */
enum shared_entry { SHARED_ENTERED, SHARED_FULL, SHARED_PEER_FULL };
/* Before workers start. `max`: at once, in all; `peer_max`: of one address (an IPv6 peer is its /64). 0 = no limit.
 * Peers are counted by two keyed hashes, so a collision may refuse one early, with 1:1000 at 60 full peers. */
void shared_set_connections(struct shared *s, uint32_t max, uint32_t peer_max);
/* One connection more, for which `*ticket` is given back by shared_leave; or why not. `peer` NULL: a unix socket. */
enum shared_entry shared_enter(struct shared *s, const struct ip *peer, uint64_t *ticket);
/* 0 is fine: it was not counted. */
void shared_leave(struct shared *s, uint64_t ticket);
uint32_t shared_connections(const struct shared *s);
uint32_t shared_connections_max(const struct shared *s);

/* Adds one unless `limit` is reached. */
static inline bool shared_take(_Atomic uint32_t *count, uint32_t limit)
{
    if (atomic_load_explicit(count, memory_order_relaxed) >= limit) {
        return false;
    }
    atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
    return true;
}

static inline void shared_force(_Atomic uint32_t *count)
{
    atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

static inline void shared_give(_Atomic uint32_t *count)
{
    uint32_t before = atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
    DEBUG_ASSERT(before > 0);
    UNUSED(before);
}
#endif
