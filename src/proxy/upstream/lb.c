/* Which balancer serves which policy: see lb.h. */
#include "proxy/upstream/lb.h"

static struct endpoint *pick_random(struct cluster *c, const struct cluster_want *want,
                                    uint32_t attempt)
{
    UNUSED(want);
    UNUSED(attempt);
    return c->eligible[rng_below(c->up->rng, c->eligible_count)];
}

const struct lb_ops lb_random = {.name = "RANDOM", .pick = pick_random};

const struct lb_ops *lb_ops_of(enum conf_lb lb)
{
    switch (lb) {
    case CONF_LB_LEAST_REQUEST:
        return &lb_least_request;
    case CONF_LB_RANDOM:
        return &lb_random;
    case CONF_LB_RING_HASH:
        return &lb_ring_hash;
    case CONF_LB_MAGLEV:
        return &lb_maglev;
    case CONF_LB_ROUND_ROBIN:
    case CONF_LB_CLUSTER_PROVIDED:
        break;
    }
    return &lb_round_robin;
}
