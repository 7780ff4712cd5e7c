#ifndef BASE_MAP_H
#define BASE_MAP_H
/* Seeded hash map from a span to a pointer; open addressing. Keys are borrowed: they usually live in
 * the value, and must outlive their entry. Not thread-safe; concurrent reads without a writer are
 * fine, which is what a snapshot relies on. */
#include "base/compiler.h"
#include "base/span.h"

struct map_slot {
    struct span key; /* borrowed */
    void *value;
    uint64_t hash;
};

struct map {
    /* private */
    struct map_slot *slots; /* owned; NULL while empty */
    size_t mask;
    size_t count;
    size_t tombs;
};

void map_init(struct map *m);
/* The value, or NULL. */
void *map_get(const struct map *m, struct span key);
/* Sets and returns the value that was there before, or NULL. With an old entry the key is replaced
 * too. `value` must not be NULL. */
void *map_put(struct map *m, struct span key, void *value);
/* Removes; returns the value that was there, or NULL. */
void *map_remove(struct map *m, struct span key);
static inline size_t map_count(const struct map *m)
{
    return m->count;
}
/* Iteration in no order: for (struct map_slot *s = NULL; (s = map_next(m, s));) ... The entry in hand
 * may be removed in the body; nothing may be added. */
struct map_slot *map_next(const struct map *m, struct map_slot *after);
void map_reset(struct map *m);
void map_dispose(struct map *m);
#endif
