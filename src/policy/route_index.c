/* Finding the first route that matches a path among many. */
#include "base/mem.h"
#include "policy/route_int.h"

#define FNV_BASIS 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u
#define WHOLE_SALT \
    0x9e3779b97f4a7c15u /* a whole path and a prefix of the same text are two groups */

static uint64_t hash_step(uint64_t h, char c)
{
    return (h ^ (uint8_t)c) * FNV_PRIME;
}

static uint64_t hash_text(struct span text, bool whole)
{
    uint64_t h = FNV_BASIS;
    for (size_t i = 0; i < text.len; i++) {
        h = hash_step(h, text.at[i]);
    }
    return whole ? h ^ WHOLE_SALT : h;
}

/* The high half is the better mixed one. */
static uint32_t slot_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32) ^ (uint32_t)hash;
}

/* ---- building ---- */

static bool is_indexed(const struct route_match *m)
{
    return !m->nocase && (m->kind == ROUTE_PATH_PREFIX || m->kind == ROUTE_PATH_EXACT ||
                          m->kind == ROUTE_PATH_SEPARATED);
}

struct building {
    struct route_index *index;
    struct route_group *groups;
    uint32_t *slots;
    uint32_t *group_of; /* entry -> group, or UINT32_MAX */
};

static uint32_t group_for(struct building *b, struct span text, bool whole)
{
    uint64_t hash = hash_text(text, whole);
    uint32_t at = slot_of(hash) & b->index->slot_mask;
    for (; b->slots[at] != 0; at = (at + 1) & b->index->slot_mask) {
        const struct route_group *g = &b->groups[b->slots[at] - 1];
        if (g->hash == hash && g->whole == whole && span_eq(g->text, text)) {
            return b->slots[at] - 1;
        }
    }
    uint32_t number = (uint32_t)b->index->group_count++;
    b->groups[number] = (struct route_group){.hash = hash, .text = text, .whole = whole};
    b->slots[at] = number + 1;
    return number;
}

static void build_items(struct building *b, struct arena *arena, size_t count)
{
    struct route_index *x = b->index;
    uint32_t *items = arena_array(arena, count, sizeof(*items));
    uint32_t at = 0;
    for (size_t g = 0; g < x->group_count; g++) {
        b->groups[g].first = at;
        at += b->groups[g].count;
        b->groups[g].count = 0;
    }
    x->rest = at;
    for (uint32_t i = 0; i < count; i++) {
        if (b->group_of[i] == UINT32_MAX) {
            items[x->rest + x->rest_count++] = i;
        } else {
            struct route_group *g = &b->groups[b->group_of[i]];
            items[g->first + g->count++] = i;
        }
    }
    x->items = items;
}

static void build_lengths(struct building *b, struct arena *arena)
{
    struct route_index *x = b->index;
    size_t longest = 0;
    for (size_t g = 0; g < x->group_count; g++) {
        if (!b->groups[g].whole) {
            longest = size_max(longest, b->groups[g].text.len);
        }
    }
    bool *seen = mem_array(longest + 1, sizeof(*seen));
    size_t distinct = 0;
    for (size_t g = 0; g < x->group_count; g++) {
        if (!b->groups[g].whole && !seen[b->groups[g].text.len]) {
            seen[b->groups[g].text.len] = true;
            distinct++;
        }
    }
    uint32_t *lengths = arena_array(arena, distinct, sizeof(*lengths));
    for (size_t len = 0; len <= longest; len++) {
        if (seen[len]) {
            lengths[x->length_count++] = (uint32_t)len;
        }
    }
    x->lengths = lengths;
    mem_free(seen);
}

void route_index_build(struct route_index *x, struct arena *arena,
                       const struct route_entry *entries, size_t count)
{
    *x = (struct route_index){0};
    uint32_t slots = 16;
    while (slots < count * 2) {
        slots *= 2;
    }
    x->slot_mask = slots - 1;
    struct building b = {
        .index = x,
        .groups = arena_array(arena, count, sizeof(*b.groups)),
        .slots = arena_array(arena, slots, sizeof(*b.slots)),
        .group_of = mem_array(count, sizeof(*b.group_of)),
    };
    for (size_t i = 0; i < count; i++) {
        const struct route_match *m = &entries[i].match;
        b.group_of[i] = UINT32_MAX;
        if (is_indexed(m)) {
            b.group_of[i] = group_for(&b, m->path, m->kind == ROUTE_PATH_EXACT);
            b.groups[b.group_of[i]].count++;
        }
    }
    build_items(&b, arena, count);
    build_lengths(&b, arena);
    x->groups = b.groups;
    x->slots = b.slots;
    mem_free(b.group_of);
}

/* ---- finding ---- */

struct stream { /* what is left of one group */
    const uint32_t *at, *end;
};

static const struct route_group *probe(const struct route_index *x, uint64_t hash, struct span text,
                                       bool whole)
{
    for (uint32_t at = slot_of(hash) & x->slot_mask; x->slots[at] != 0;
         at = (at + 1) & x->slot_mask) {
        const struct route_group *g = &x->groups[x->slots[at] - 1];
        if (g->hash == hash && g->whole == whole && span_eq(g->text, text)) {
            return g;
        }
    }
    return NULL;
}

static size_t add_stream(struct stream *streams, size_t count, const uint32_t *items,
                         uint32_t length)
{
    streams[count] = (struct stream){items, items + length};
    return count + (length > 0);
}

/* How many streams the path has, or ROUTE_INDEX_STREAMS + 1 when too many. */
static size_t collect(const struct route_index *x, struct span path, struct stream *streams)
{
    size_t count = add_stream(streams, 0, x->items + x->rest, x->rest_count);
    uint64_t h = FNV_BASIS;
    size_t at = 0;
    for (size_t l = 0; l < x->length_count && x->lengths[l] <= path.len; l++) {
        for (; at < x->lengths[l]; at++) {
            h = hash_step(h, path.at[at]);
        }
        const struct route_group *g = probe(x, h, span_first(path, at), false);
        if (g) {
            if (count + 1 >= ROUTE_INDEX_STREAMS) {
                return ROUTE_INDEX_STREAMS + 1;
            }
            count = add_stream(streams, count, x->items + g->first, g->count);
        }
    }
    for (; at < path.len; at++) {
        h = hash_step(h, path.at[at]);
    }
    const struct route_group *g = probe(x, h ^ WHOLE_SALT, path, true);
    return g ? add_stream(streams, count, x->items + g->first, g->count) : count;
}

static const struct route_entry *scan(const struct route_entry *entries, size_t count,
                                      const struct route_ask *ask)
{
    for (size_t i = 0; i < count; i++) {
        explain_line(ask->explain, "route %zu '%.*s'", i, SPAN_ARG(entries[i].route.name));
        if (ask->explain) {
            ask->explain->depth++;
        }
        bool holds = route_match_holds(&entries[i].match, ask);
        if (ask->explain) {
            ask->explain->depth--;
        }
        if (holds) {
            return &entries[i];
        }
    }
    return NULL;
}

const struct route_entry *route_index_find(const struct route_index *x,
                                           const struct route_entry *entries, size_t count,
                                           const struct route_ask *ask)
{
    if (!x || ask->explain) {
        return scan(entries, count, ask);
    }
    struct stream streams[ROUTE_INDEX_STREAMS + 1];
    size_t left = collect(x, ask->path, streams);
    if (left > ROUTE_INDEX_STREAMS) {
        return scan(entries, count, ask);
    }
    while (left > 0) {
        size_t first = 0;
        for (size_t i = 1; i < left; i++) {
            if (*streams[i].at < *streams[first].at) {
                first = i;
            }
        }
        const struct route_entry *e = &entries[*streams[first].at++];
        if (route_match_holds(&e->match, ask)) {
            return e;
        }
        if (streams[first].at == streams[first].end) {
            streams[first] = streams[--left];
        }
    }
    return NULL;
}
