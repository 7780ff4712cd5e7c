/* Ring hash (ketama): every endpoint has points on a ring of 64-bit numbers, more of them the heavier it is; a
 * request belongs to the first point at or after its hash. When an endpoint goes, only what was its own moves.
 * Source: Envoy's ring_hash policy: points are XXH64 of "KEY_0", "KEY_1" ..., so many that the lightest endpoint has
 * a whole number of them and the ring at least minimum_ring_size, at most maximum_ring_size. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/xxh64.h"
#include "proxy/upstream/lb.h"
#include "proxy/upstream/lb_hash.h"

struct ring_point {
    uint64_t hash;
    uint32_t index; /* in `c->eligible` */
};

struct ring {
    size_t count, room;
    struct ring_point points[]; /* sorted */
};

static int by_hash(const void *a, const void *b)
{
    const struct ring_point *x = a;
    const struct ring_point *y = b;
    if (x->hash != y->hash) {
        return x->hash < y->hash ? -1 : 1;
    }
    return x->index < y->index ? -1 : x->index > y->index;
}

static double round_up(double number)
{
    double whole = (double)(uint64_t)number; /* not above the ring's size, so it fits */
    return whole < number ? whole + 1 : whole;
}

/* Points on the ring in all; not a whole number when weights differ. */
static double ring_scale(const struct conf_hash *conf, const struct lb_hash_set *set)
{
    double scale = round_up(set->lightest * conf->ring_min) / set->lightest;
    return scale < conf->ring_max ? scale : conf->ring_max;
}

/* "KEY_0" ... until the running count has reached `target`. */
static void add_points(struct ring *ring, const struct lb_hash_entry *e, double target,
                       struct arena *arena)
{
    char *text = arena_bytes(arena, e->key.len + 1 + SPAN_U64_BYTES);
    memcpy(text, e->key.at, e->key.len);
    text[e->key.len] = '_';
    for (uint64_t i = 0; (double)ring->count < target && ring->count < ring->room; i++) {
        char digits[SPAN_U64_BYTES];
        struct span number = span_of_u64(i, digits);
        memcpy(text + e->key.len + 1, number.at, number.len);
        ring->points[ring->count++] = (struct ring_point){
            .hash = xxh64(span_from(text, e->key.len + 1 + number.len), 0), .index = e->index};
    }
}

static struct ring *ring_new(const struct cluster *c)
{
    struct arena arena;
    arena_init(&arena, 4096);
    struct lb_hash_set set;
    lb_hash_set_make(&set, c, &arena);
    double scale = ring_scale(&c->hash, &set);
    size_t room = (size_t)round_up(scale) + 1; /* sums of fractions may end just above */
    struct ring *ring = mem_alloc(sizeof(*ring) + room * sizeof(ring->points[0]));
    *ring = (struct ring){.room = room};
    double target = 0;
    for (size_t i = 0; i < set.count; i++) {
        target += scale * set.entries[i].weight;
        add_points(ring, &set.entries[i], target, &arena);
    }
    qsort(ring->points, ring->count, sizeof(ring->points[0]), by_hash);
    arena_dispose(&arena);
    return ring;
}

static struct endpoint *pick(struct cluster *c, const struct cluster_want *want, uint32_t attempt)
{
    if (UNLIKELY(c->lb_table == NULL)) {
        c->lb_table = ring_new(c);
    }
    const struct ring *ring = c->lb_table;
    size_t count = ring->count;
    DEBUG_ASSERT(count > 0);
    uint64_t hash = lb_hash_wanted(c, want);
    size_t low = 0;
    for (size_t high = count; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (ring->points[middle].hash < hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    /* A retry that wants another endpoint looks at the points that follow. */
    return c->eligible[ring->points[(low + attempt) % count].index];
}

const struct lb_ops lb_ring_hash = {.name = "RING_HASH", .pick = pick};
