/* Policies by the principal or the path they need, so that a thousand of them cost two look-ups and not a
 * thousand comparisons. A policy is filed under exact principals when no other peer can match it, or under exact paths when no
 * other path can, whichever fewer policies share; the rest are tried for everybody. */
#include "base/mem.h"
#include "policy/rbac_int.h"

#define NAMES_MAX 256 /* principals or paths of one policy; more are not worth filing */

struct names {
    struct span at[NAMES_MAX];
    size_t count;
};

/* Does `n` hold only for a principal (`kind` RBAC_PEER) or path (RBAC_PATH) among a set of exact ones? They are added to
 * `out`. Conservative: false is always right. Depth as limited at compile time. */
static bool needs(const struct rbac_node *n, enum rbac_kind kind, struct names *out)
{
    size_t before = out->count;
    if (n->kind == kind) {
        if (n->text.kind != STRING_EXACT || n->text.nocase || out->count == NAMES_MAX) {
            return false;
        }
        out->at[out->count++] = n->text.text;
        return true;
    }
    if (n->kind == RBAC_OR) { /* every branch must be bound to names */
        for (size_t i = 0; i < n->set.count; i++) {
            if (!needs(&n->set.items[i], kind, out)) {
                out->count = before;
                return false;
            }
        }
        return true;
    }
    if (n->kind == RBAC_AND) { /* one bound branch is enough */
        for (size_t i = 0; i < n->set.count; i++) {
            if (needs(&n->set.items[i], kind, out)) {
                return true;
            }
        }
    }
    return false;
}

struct growing { /* a bucket while it is being filled */
    struct rbac_bucket bucket;
    size_t wanted; /* how many policies could be filed here */
    uint32_t *items;
    size_t room;
};

static void push(struct growing *g, uint32_t policy)
{
    if (g->bucket.count > 0 && g->items[g->bucket.count - 1] == policy) {
        return; /* named twice in one policy */
    }
    if (g->bucket.count == g->room) {
        g->room = g->room == 0 ? 4 : g->room * 2;
        g->items = mem_realloc(g->items, g->room * sizeof(*g->items));
    }
    g->items[g->bucket.count++] = policy;
}

static struct growing *bucket_of(struct map *buckets, struct arena *arena, struct span name)
{
    struct growing *g = map_get(buckets, name);
    if (!g) {
        g = arena_new(arena, struct growing);
        (void)map_put(buckets, name, g); /* there was none */
    }
    return g;
}

/* What the policy needs in one respect; false if it is not bound. */
static bool bound(const struct rbac_policy *p, enum rbac_kind kind, struct names *names)
{
    names->count = 0;
    return needs(kind == RBAC_PEER ? &p->principal : &p->permission, kind, names);
}

static void want(struct map *buckets, struct arena *arena, const struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        bucket_of(buckets, arena, names->at[i])->wanted++;
    }
}

/* The fullest of the buckets that it would be in. */
static size_t crowd(struct map *buckets, struct arena *arena, const struct names *names)
{
    size_t most = 0;
    for (size_t i = 0; i < names->count; i++) {
        most = size_max(most, bucket_of(buckets, arena, names->at[i])->wanted);
    }
    return most;
}

static void file(struct map *buckets, struct arena *arena, const struct names *names,
                 uint32_t policy)
{
    for (size_t i = 0; i < names->count; i++) {
        push(bucket_of(buckets, arena, names->at[i]), policy);
    }
}

static void settle(struct growing *g, struct arena *arena)
{
    uint32_t *items = arena_array(arena, g->bucket.count, sizeof(*items));
    if (g->bucket.count > 0) {
        memcpy(items, g->items, g->bucket.count * sizeof(*items));
    }
    mem_free(g->items);
    g->items = NULL;
    g->bucket.items = items;
}

static void settle_all(struct map *buckets, struct arena *arena)
{
    for (struct map_slot *s = NULL; (s = map_next(buckets, s));) {
        settle(s->value, arena); /* its first member is what look-ups read */
    }
}

static void dispose(void *arg)
{
    struct rbac_index *x = arg;
    map_dispose(&x->by_peer);
    map_dispose(&x->by_path);
}

static void file_all(struct rbac_index *x, struct arena *arena, const struct rbac_policy *policies,
                     size_t count)
{
    struct names *peers = mem_new(struct names);
    struct names *paths = mem_new(struct names);
    struct growing rest = {0};
    for (uint32_t i = 0; i < count; i++) {
        if (bound(&policies[i], RBAC_PEER, peers)) {
            want(&x->by_peer, arena, peers);
        }
        if (bound(&policies[i], RBAC_PATH, paths)) {
            want(&x->by_path, arena, paths);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        bool peer = bound(&policies[i], RBAC_PEER, peers);
        bool path = bound(&policies[i], RBAC_PATH, paths);
        if (peer && path) {
            peer = crowd(&x->by_peer, arena, peers) <= crowd(&x->by_path, arena, paths);
        }
        if (peer) {
            file(&x->by_peer, arena, peers, i);
        } else if (path) {
            file(&x->by_path, arena, paths, i);
        } else {
            push(&rest, i);
        }
    }
    mem_free(peers);
    mem_free(paths);
    settle(&rest, arena);
    x->rest = rest.bucket;
}

const struct rbac_index *rbac_index_build(struct arena *arena, const struct rbac_policy *policies,
                                          size_t count)
{
    if (count < RBAC_INDEX_MIN) {
        return NULL;
    }
    struct rbac_index *x = arena_new(arena, struct rbac_index);
    map_init(&x->by_peer);
    map_init(&x->by_path);
    arena_defer(arena, dispose, x);
    file_all(x, arena, policies, count);
    settle_all(&x->by_peer, arena);
    settle_all(&x->by_path, arena);
    return x;
}
