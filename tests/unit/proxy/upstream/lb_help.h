#ifndef UNIT_PROXY_LB_HELP_H
#define UNIT_PROXY_LB_HELP_H
/* A set of endpoints on 127.0.0.1 for tests of consistent hashing. */
#include "unit/cm.h"

#include "base/mem.h"
#include "proxy/upstream/lb.h"

#define HASH_MOST 64

struct hash_set {
    struct rng rng;
    struct upstream up;
    struct endpoint endpoints[HASH_MOST]; /* ports 90, 91 ... */
    struct endpoint *eligible[HASH_MOST];
    struct cluster cluster;
};

static inline struct hash_set *hash_set_new(const struct conf_hash *conf, size_t count)
{
    struct hash_set *set = mem_new(struct hash_set);
    rng_seed(&set->rng, 7);
    set->up.rng = &set->rng;
    set->cluster = (struct cluster){
        .up = &set->up, .eligible = set->eligible, .eligible_count = count, .hash = *conf};
    for (size_t i = 0; i < count; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "127.0.0.1:%zu", 90 + i);
        assert_int_equal(addr_parse(span_of(text), &set->endpoints[i].addr, NULL), 0);
        set->endpoints[i].weight = 1;
        set->eligible[i] = &set->endpoints[i];
    }
    return set;
}

/* Somebody was ejected or taken back: as cluster.c does. */
static inline void hash_set_changed(struct hash_set *set)
{
    mem_free(set->cluster.lb_table);
    set->cluster.lb_table = NULL;
}

static inline void hash_set_free(struct hash_set *set)
{
    hash_set_changed(set);
    mem_free(set);
}

/* The index of the endpoint. */
static inline size_t hash_set_pick(struct hash_set *set, const struct lb_ops *lb, uint64_t hash,
                                   uint32_t attempt)
{
    struct cluster_want want = {.has_hash = true, .hash = hash};
    return (size_t)(lb->pick(&set->cluster, &want, attempt) - set->endpoints);
}

/* Of many keys, how many are each endpoint's. */
static inline void hash_set_spread(struct hash_set *set, const struct lb_ops *lb, size_t keys,
                                   size_t counts[HASH_MOST])
{
    memset(counts, 0, HASH_MOST * sizeof(counts[0]));
    struct rng rng;
    rng_seed(&rng, 3);
    for (size_t i = 0; i < keys; i++) {
        counts[hash_set_pick(set, lb, rng_u64(&rng), 0)]++;
    }
}

/* One of `count` leaves: what was its own moves, and of the rest at most `most_moved` of 10,000; it comes back: all is
 * as before. */
static inline void hash_set_check_leaving(const struct lb_ops *lb, const struct conf_hash *conf,
                                          size_t count, size_t most_moved)
{
    enum { KEYS = 10000 };
    struct hash_set *set = hash_set_new(conf, count);
    static size_t before[KEYS];
    struct rng rng;
    rng_seed(&rng, 5);
    for (size_t i = 0; i < KEYS; i++) {
        before[i] = hash_set_pick(set, lb, rng_u64(&rng), 0);
    }
    hash_set_changed(set);
    set->eligible[2] = set->eligible[--set->cluster.eligible_count];
    size_t own = 0;
    size_t moved = 0;
    rng_seed(&rng, 5);
    for (size_t i = 0; i < KEYS; i++) {
        size_t now = hash_set_pick(set, lb, rng_u64(&rng), 0);
        assert_int_not_equal(now, 2);
        own += before[i] == 2;
        moved += before[i] != 2 && now != before[i];
    }
    assert_in_range(own, 1, 2 * KEYS / count);
    assert_in_range(moved, 0, most_moved);
    hash_set_changed(set);
    set->eligible[set->cluster.eligible_count++] = set->eligible[2];
    set->eligible[2] = &set->endpoints[2];
    rng_seed(&rng, 5);
    for (size_t i = 0; i < KEYS; i++) {
        assert_int_equal(hash_set_pick(set, lb, rng_u64(&rng), 0), before[i]);
    }
    hash_set_free(set);
}
#endif
