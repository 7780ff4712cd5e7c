#ifndef CONTROL_PUSH_PUSH_CACHE_H
#define CONTROL_PUSH_PUSH_CACHE_H
/* What was translated for one world and may be shared between nodes of one namespace and kind, so that a push to 500 proxies costs
 * one translation of each resource. One a stream worker. */
#include "base/arena.h"
#include "base/map.h"
#include "control/translate/translate.h"

/* Over this it starts anew: it is a cache. */
#define PUSH_CACHE_BYTES (8u << 20)
#define PUSH_VERSION_BYTES 17

struct push_cache {
    struct map map;
    struct arena arena; /* of the map's entries */
    uint64_t hits, misses;
};

struct push_resource {
    bool exists;
    struct span value;
    struct span version; /* hash of the value: equal in every process and run */
    const struct world_service *service;
};

void push_cache_init(struct push_cache *c);
void push_cache_dispose(struct push_cache *c);
/* Another world: nothing of the old one holds. */
void push_cache_reset(struct push_cache *c);
/* Translates, or remembers. Texts live in `arena` or until the next reset of the cache, which this may do first when it has grown too
 * large: so `arena` gets a copy whenever that matters to the caller, who collects many. */
void push_cache_get(struct push_cache *c, const struct world *w, const struct node *n,
                    struct span type_url, struct span name, struct arena *arena,
                    struct push_resource *out);
/* To be called between collections: drops all when it is over PUSH_CACHE_BYTES. */
void push_cache_trim(struct push_cache *c);
#endif
