/* Open addressing with linear probing. A slot without a value is free, or a tomb that a search must
 * step over; the two differ in `hash`. At most three quarters of the slots are used or tombs. */
#include "base/map.h"

#include "base/hash.h"
#include "base/mem.h"

#define MAP_FIRST_SLOTS 8
#define MAP_TOMB 1U

void map_init(struct map *m)
{
    *m = (struct map){.slots = NULL};
}

static bool slot_is_free(const struct map_slot *slot)
{
    return slot->value == NULL && slot->hash != MAP_TOMB;
}

static uint64_t key_hash(struct span key)
{
    return hash_span(hash_process_key(), key);
}

static struct map_slot *map_find(const struct map *m, struct span key, uint64_t hash)
{
    if (m->count == 0) {
        return NULL;
    }
    for (size_t i = hash & m->mask;; i = (i + 1) & m->mask) {
        struct map_slot *slot = &m->slots[i];
        if (slot->value != NULL && slot->hash == hash && span_eq(slot->key, key)) {
            return slot;
        }
        if (slot_is_free(slot)) {
            return NULL;
        }
    }
}

/* The first slot that can take a new entry. */
static struct map_slot *map_place(const struct map *m, uint64_t hash)
{
    size_t i = hash & m->mask;
    while (m->slots[i].value != NULL) {
        i = (i + 1) & m->mask;
    }
    return &m->slots[i];
}

static void map_resize(struct map *m, size_t slots)
{
    struct map old = *m;
    m->slots = mem_array(slots, sizeof(m->slots[0]));
    m->mask = slots - 1;
    m->tombs = 0;
    for (struct map_slot *s = NULL; (s = map_next(&old, s)) != NULL;) {
        *map_place(m, s->hash) = *s;
    }
    mem_free(old.slots);
}

/* Before one more entry: grow when live entries fill half, else only sweep out the tombs. */
static void map_make_room(struct map *m)
{
    size_t slots = m->slots ? m->mask + 1 : 0;
    if (slots == 0) {
        map_resize(m, MAP_FIRST_SLOTS);
    } else if ((m->count + m->tombs + 1) * 4 > slots * 3) {
        map_resize(m, m->count * 2 >= slots ? slots * 2 : slots);
    }
}

void *map_get(const struct map *m, struct span key)
{
    if (m->count == 0) {
        return NULL;
    }
    const struct map_slot *slot = map_find(m, key, key_hash(key));
    return slot ? slot->value : NULL;
}

void *map_put(struct map *m, struct span key, void *value)
{
    ASSERT(value != NULL);
    uint64_t hash = key_hash(key);
    struct map_slot *slot = map_find(m, key, hash);
    if (slot != NULL) {
        void *old = slot->value;
        slot->key = key;
        slot->value = value;
        return old;
    }
    map_make_room(m);
    slot = map_place(m, hash);
    m->tombs -= slot->hash == MAP_TOMB;
    *slot = (struct map_slot){.key = key, .value = value, .hash = hash};
    m->count++;
    return NULL;
}

void *map_remove(struct map *m, struct span key)
{
    struct map_slot *slot = m->count ? map_find(m, key, key_hash(key)) : NULL;
    if (slot == NULL) {
        return NULL;
    }
    void *old = slot->value;
    *slot = (struct map_slot){.hash = MAP_TOMB};
    m->tombs++;
    m->count--;
    return old;
}

struct map_slot *map_next(const struct map *m, struct map_slot *after)
{
    if (m->slots == NULL) {
        return NULL;
    }
    struct map_slot *end = m->slots + m->mask + 1;
    for (struct map_slot *slot = after ? after + 1 : m->slots; slot < end; slot++) {
        if (slot->value != NULL) {
            return slot;
        }
    }
    return NULL;
}

void map_reset(struct map *m)
{
    if (m->slots != NULL) {
        memset(m->slots, 0, (m->mask + 1) * sizeof(m->slots[0]));
    }
    m->count = m->tombs = 0;
}

void map_dispose(struct map *m)
{
    mem_free(m->slots);
    map_init(m);
}
