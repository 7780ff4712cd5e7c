/* Virtual addresses for services that say none: out of 240.240.0.0/16 (reserved by RFC 1112 section 4, so nobody's; Istio takes
 * the same). The place is a hash of the key, so that it is the same after a restart and on another control plane; who
 * finds it taken goes on to the next free one. */
#include "base/hash.h"
#include "base/mem.h"
#include "control/world/world_int.h"

#define VIP_COUNT 65536U
#define VIP_FIRST 1U /* not 240.240.0.0 */
#define VIP_LAST (VIP_COUNT - 2)

struct vip {
    uint16_t place;
    unsigned round; /* the last in which it was asked for */
    struct span key;
    char text[];
};

struct world_vips {
    struct map by_key; /* owns the vips */
    unsigned round;
    uint8_t taken[VIP_COUNT / 8];   /* given by us */
    uint8_t claimed[VIP_COUNT / 8]; /* said by objects, in this round */
};

static bool has(const uint8_t *bits, unsigned place)
{
    return (bits[place / 8] >> (place % 8) & 1) != 0;
}

static void set(uint8_t *bits, unsigned place, bool value)
{
    uint8_t bit = (uint8_t)(1U << (place % 8));
    bits[place / 8] = (uint8_t)(value ? bits[place / 8] | bit : bits[place / 8] & ~bit);
}

struct world_vips *world_vips_new(void)
{
    struct world_vips *v = mem_new(struct world_vips);
    map_init(&v->by_key);
    return v;
}

void world_vips_free(struct world_vips *v)
{
    if (v == NULL) {
        return;
    }
    for (struct map_slot *slot = NULL; (slot = map_next(&v->by_key, slot)) != NULL;) {
        mem_free(slot->value);
    }
    map_dispose(&v->by_key);
    mem_free(v);
}

void world_vips_begin(struct world_vips *v)
{
    v->round++;
    memset(v->claimed, 0, sizeof(v->claimed));
}

void world_vips_claim(struct world_vips *v, const struct ip *ip)
{
    if (ip->family == 4 && ip->bytes[0] == 240 && ip->bytes[1] == 240) {
        set(v->claimed, (unsigned)ip->bytes[2] << 8 | ip->bytes[3], true);
    }
}

static bool find_place(const struct world_vips *v, struct span key, uint16_t *place)
{
    static const struct hash_key fixed = {0x6d657368, 0x76697073};
    unsigned at = (unsigned)(hash_span(&fixed, key) % (VIP_LAST - VIP_FIRST + 1));
    for (unsigned i = 0; i < VIP_LAST - VIP_FIRST + 1; i++) {
        unsigned candidate = VIP_FIRST + (at + i) % (VIP_LAST - VIP_FIRST + 1);
        if (!has(v->taken, candidate) && !has(v->claimed, candidate)) {
            *place = (uint16_t)candidate;
            return true;
        }
    }
    return false;
}

bool world_vips_give(struct world_vips *v, struct span key, struct ip *out)
{
    struct vip *vip = map_get(&v->by_key, key);
    uint16_t place = vip != NULL ? vip->place : 0;
    if (vip == NULL || has(v->claimed, place)) {
        if (!find_place(v, key, &place)) {
            return false;
        }
    }
    if (vip == NULL) {
        vip = mem_zalloc(sizeof(*vip) + key.len);
        memcpy(vip->text, key.at, key.len);
        vip->key = span_from(vip->text, key.len);
        (void)map_put(&v->by_key, vip->key, vip);
    } else {
        set(v->taken, vip->place, false);
    }
    set(v->taken, place, true);
    vip->place = place;
    vip->round = v->round;
    uint8_t bytes[4] = {240, 240, (uint8_t)(place >> 8), (uint8_t)place};
    *out = ip_from_bytes(bytes, sizeof(bytes));
    return true;
}

void world_vips_end(struct world_vips *v)
{
    for (struct map_slot *slot = NULL; (slot = map_next(&v->by_key, slot)) != NULL;) {
        struct vip *vip = slot->value;
        if (vip->round != v->round) {
            set(v->taken, vip->place, false);
            (void)map_remove(&v->by_key, vip->key);
            mem_free(vip);
        }
    }
}
