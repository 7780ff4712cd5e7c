/* Keys and hashes of consistent hashing: see lb_hash.h. */
#include "proxy/upstream/lb_hash.h"

#include "base/xxh64.h"

static struct span key_of(const struct cluster *c, const struct endpoint *e, struct arena *arena)
{
    if (c->hash.by_hostname && e->hostname.len > 0) {
        return e->hostname;
    }
    return span_of(addr_format(&e->addr, arena_bytes(arena, ADDR_TEXT_BYTES)));
}

void lb_hash_set_make(struct lb_hash_set *set, const struct cluster *c, struct arena *arena)
{
    double sum = 0;
    for (size_t i = 0; i < c->eligible_count; i++) {
        sum += c->eligible[i]->weight;
    }
    *set = (struct lb_hash_set){.count = c->eligible_count, .lightest = 1};
    set->entries = arena_array(arena, set->count, sizeof(*set->entries));
    for (size_t i = 0; i < set->count; i++) {
        double weight = c->eligible[i]->weight / sum;
        set->entries[i] = (struct lb_hash_entry){
            .key = key_of(c, c->eligible[i], arena), .index = (uint32_t)i, .weight = weight};
        set->lightest = weight < set->lightest ? weight : set->lightest;
        set->heaviest = weight > set->heaviest ? weight : set->heaviest;
    }
}

uint64_t lb_hash_wanted(const struct cluster *c, const struct cluster_want *want)
{
    return want->has_hash ? want->hash : rng_u64(c->up->rng);
}

uint64_t lb_hash_ip(const struct ip *ip)
{
    char text[IP_TEXT_BYTES];
    return xxh64(span_of(ip_format(ip, text)), 0);
}
