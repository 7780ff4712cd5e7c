/* Least request: of a few random endpoints (two by default) the one with the fewest requests in flight for its
 * weight. Two choices are enough to keep the longest queue short, and cost the same for 3 or 3,000. */
#include "proxy/upstream/lb.h"

/* a is less loaded than b: (active_a + 1) / weight_a < (active_b + 1) / weight_b, without division. */
static bool is_less_loaded(const struct endpoint *a, const struct endpoint *b)
{
    return ((uint64_t)a->active + 1) * b->weight < ((uint64_t)b->active + 1) * a->weight;
}

static struct endpoint *pick(struct cluster *c, const struct cluster_want *want, uint32_t attempt)
{
    UNUSED(want);
    UNUSED(attempt);
    struct endpoint *best = c->eligible[rng_below(c->up->rng, c->eligible_count)];
    for (uint32_t i = 1; i < c->choices && c->eligible_count > 1; i++) {
        struct endpoint *other = c->eligible[rng_below(c->up->rng, c->eligible_count)];
        if (is_less_loaded(other, best)) {
            best = other;
        }
    }
    return best;
}

const struct lb_ops lb_least_request = {.name = "LEAST_REQUEST", .pick = pick};
