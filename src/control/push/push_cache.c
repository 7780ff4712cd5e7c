/* Translated resources that nodes share.
 * In: push_client. Out: translate. */
#include "control/push/push_cache.h"

#include "base/hash.h"
#include "xds/xds.h"

struct cached {
    struct push_resource resource;
};

void push_cache_init(struct push_cache *c)
{
    *c = (struct push_cache){.hits = 0};
    map_init(&c->map);
    arena_init(&c->arena, 65536);
}

void push_cache_dispose(struct push_cache *c)
{
    map_dispose(&c->map);
    arena_dispose(&c->arena);
}

void push_cache_reset(struct push_cache *c)
{
    map_reset(&c->map);
    arena_reset(&c->arena);
}

void push_cache_trim(struct push_cache *c)
{
    if (arena_used(&c->arena) > PUSH_CACHE_BYTES) {
        push_cache_reset(c);
    }
}

/* The same bytes have the same version in every control plane, so that a proxy that moves is told nothing twice. */
static struct span version_of(struct arena *arena, struct span value)
{
    static const struct hash_key key = {0x6d657368, 0x76657273};
    return span_of(arena_printf(arena, "%016llx", (unsigned long long)hash_span(&key, value)));
}

/* What a node is told of its workload's habits is news for nobody who has the rest: a proxy that comes back must not get its listeners
 * anew because others have learned something. */
static struct span without_hints(const struct world *w, const struct node *n, struct span type_url,
                                 struct span name, struct arena *arena, const struct translated *t)
{
    if (n->known_count == 0 || !span_is(type_url, XDS_LISTENER)) {
        return t->value;
    }
    struct node bare = *n;
    struct translated other = {.scope = TRANSLATE_FOR_NODE};
    bare.known_count = 0;
    return translate(w, &bare, type_url, name, arena, &other) ? other.value : t->value;
}

static struct span key_of(struct arena *arena, const struct node *n, struct span type_url,
                          struct span name)
{
    int sort = n->kind * 8 + n->hbone * 4 + n->on_demand * 2 + n->no_alpn_filter;
    return span_of(arena_printf(arena, "%d %.*s %.*s %.*s", sort, SPAN_ARG(n->namespace),
                                SPAN_ARG(type_url), SPAN_ARG(name)));
}

void push_cache_get(struct push_cache *c, const struct world *w, const struct node *n,
                    struct span type_url, struct span name, struct arena *arena,
                    struct push_resource *out)
{
    struct span key = key_of(arena, n, type_url, name);
    struct cached *hit = map_get(&c->map, key);
    if (hit) {
        c->hits++;
        *out = hit->resource;
        return;
    }
    c->misses++;
    struct translated t = {.scope = TRANSLATE_FOR_NODE};
    *out = (struct push_resource){.exists = translate(w, n, type_url, name, arena, &t)};
    if (!out->exists) {
        return;
    }
    out->service = t.service;
    if (t.scope == TRANSLATE_FOR_NODE) {
        out->value = t.value;
        out->version = version_of(arena, without_hints(w, n, type_url, name, arena, &t));
        return;
    }
    out->value = arena_dup(&c->arena, t.value);
    out->version = version_of(&c->arena, t.value);
    hit = arena_new(&c->arena, struct cached);
    hit->resource = *out;
    (void)map_put(&c->map, arena_dup(&c->arena, key), hit);
}
