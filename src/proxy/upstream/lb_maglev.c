/* Maglev: a table of a prime number of places; endpoints take turns, each along an order of places of its own, until
 * all are taken. One look finds the endpoint of a hash, and when an endpoint goes, little but its own moves.
 * Sources: Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", section 3.4; Envoy's maglev
 * policy: orders from XXH64 of the key with seeds 0 and 1, turns in the order of the keys, lighter endpoints pass. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/xxh64.h"
#include "proxy/upstream/lb.h"
#include "proxy/upstream/lb_hash.h"

struct maglev {
    uint32_t size;
    uint32_t width;   /* bytes of a place, by the number of endpoints */
    uint8_t places[]; /* index in `c->eligible` + 1; 0 = not taken yet */
};

static uint32_t place_get(const struct maglev *m, uint64_t at)
{
    uint16_t two;
    uint32_t four;
    switch (m->width) {
    case 1:
        return m->places[at];
    case sizeof(two):
        memcpy(&two, &m->places[at * sizeof(two)], sizeof(two));
        return two;
    default:
        memcpy(&four, &m->places[at * sizeof(four)], sizeof(four));
        return four;
    }
}

static void place_set(struct maglev *m, uint64_t at, uint32_t value)
{
    uint16_t two = (uint16_t)value;
    switch (m->width) {
    case 1:
        m->places[at] = (uint8_t)value;
        break;
    case sizeof(two):
        memcpy(&m->places[at * sizeof(two)], &two, sizeof(two));
        break;
    default:
        memcpy(&m->places[at * sizeof(value)], &value, sizeof(value));
    }
}

static int by_key(const void *a, const void *b)
{
    const struct lb_hash_entry *x = a;
    const struct lb_hash_entry *y = b;
    int order = span_cmp(x->key, y->key);
    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

static void take_next_free(struct maglev *m, struct lb_hash_entry *e)
{
    while (place_get(m, e->at) != 0) {
        e->at += e->skip; /* both are below the size */
        e->at -= e->at >= m->size ? m->size : 0;
    }
    place_set(m, e->at, e->index + 1);
}

/* An endpoint as heavy as the heaviest takes a place each turn, one of a third of that weight each third. */
static void fill(struct maglev *m, struct lb_hash_set *set)
{
    uint32_t taken = 0;
    for (uint32_t turn = 1; taken < m->size; turn++) {
        for (size_t i = 0; i < set->count && taken < m->size; i++) {
            struct lb_hash_entry *e = &set->entries[i];
            if (turn * e->weight < e->target) {
                continue;
            }
            e->target += set->heaviest;
            take_next_free(m, e);
            taken++;
        }
    }
}

static struct maglev *maglev_new(const struct cluster *c)
{
    struct arena arena;
    arena_init(&arena, 4096);
    struct lb_hash_set set;
    lb_hash_set_make(&set, c, &arena);
    uint32_t size = c->hash.table_size;
    uint32_t width = set.count < UINT8_MAX ? 1 : set.count < UINT16_MAX ? 2 : 4;
    struct maglev *m = mem_zalloc(sizeof(*m) + (size_t)size * width);
    m->size = size;
    m->width = width;
    for (size_t i = 0; i < set.count; i++) {
        set.entries[i].at = xxh64(set.entries[i].key, 0) % size;
        set.entries[i].skip = xxh64(set.entries[i].key, 1) % (size - 1) + 1;
    }
    qsort(set.entries, set.count, sizeof(*set.entries), by_key);
    fill(m, &set);
    arena_dispose(&arena);
    return m;
}

static struct endpoint *pick(struct cluster *c, const struct cluster_want *want, uint32_t attempt)
{
    if (UNLIKELY(c->lb_table == NULL)) {
        c->lb_table = maglev_new(c);
    }
    const struct maglev *m = c->lb_table;
    uint64_t hash = lb_hash_wanted(c, want);
    hash ^= -(uint64_t)attempt; /* a retry that wants another endpoint looks far away */
    return c->eligible[place_get(m, hash % m->size) - 1];
}

const struct lb_ops lb_maglev = {.name = "MAGLEV", .pick = pick};
