/* Round robin: each endpoint in turn; with different weights the smooth form, which spreads the picks of a
 * heavy endpoint instead of bunching them (each pick adds every weight, takes the largest sum and subtracts
 * the total from it). */
#include "proxy/upstream/lb.h"

static struct endpoint *pick_weighted(struct cluster *c)
{
    struct endpoint *best = c->eligible[0];
    int64_t total = 0;
    for (size_t i = 0; i < c->eligible_count; i++) {
        struct endpoint *e = c->eligible[i];
        e->wrr += e->weight;
        total += e->weight;
        if (e->wrr > best->wrr) {
            best = e;
        }
    }
    best->wrr -= total;
    return best;
}

static struct endpoint *pick(struct cluster *c, const struct cluster_want *want, uint32_t attempt)
{
    UNUSED(want);
    UNUSED(attempt);
    if (c->weighted) {
        return pick_weighted(c);
    }
    if (c->next >= c->eligible_count) {
        c->next = 0;
    }
    return c->eligible[c->next++];
}

const struct lb_ops lb_round_robin = {.name = "ROUND_ROBIN", .pick = pick};
