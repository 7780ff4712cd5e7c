/* Policies by the principal they need, so that a thousand of them cost a look-up and not a thousand
 * comparisons. A policy is filed under exact principals when no other peer can match it; the rest are tried
 * for everybody. */
#include "base/mem.h"
#include "policy/rbac_int.h"

#define NAMES_MAX 256 /* principals of one policy; more are not worth filing */

struct names {
    struct span at[NAMES_MAX];
    size_t count;
};

/* Does `n` hold only for peers among a set of exact names? They are added to `out`. Conservative: false is
 * always right. Depth as limited at compile time. */
static bool needs_peer(const struct rbac_node *n, struct names *out)
{
    size_t before = out->count;
    switch (n->kind) {
    case RBAC_PEER:
        if (n->text.kind != STRING_EXACT || n->text.nocase || out->count == NAMES_MAX) {
            return false;
        }
        out->at[out->count++] = n->text.text;
        return true;
    case RBAC_OR: /* every branch must be bound to names */
        for (size_t i = 0; i < n->set.count; i++) {
            if (!needs_peer(&n->set.items[i], out)) {
                out->count = before;
                return false;
            }
        }
        return true;
    case RBAC_AND: /* one bound branch is enough */
        for (size_t i = 0; i < n->set.count; i++) {
            if (needs_peer(&n->set.items[i], out)) {
                return true;
            }
        }
        return false;
    case RBAC_ANY:
    case RBAC_NOT:
    case RBAC_HEADER:
    case RBAC_PATH:
    case RBAC_DESTINATION:
    case RBAC_PORTS:
    case RBAC_SNI:
    case RBAC_PEER_ANY:
    case RBAC_DIRECT_IP:
    case RBAC_SOURCE_IP:
    case RBAC_REMOTE_IP:
        break;
    }
    return false;
}

struct growing { /* a bucket while it is being filled */
    struct rbac_bucket bucket;
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

static void file(struct map *by_peer, struct arena *arena, const struct names *names,
                 uint32_t policy)
{
    for (size_t i = 0; i < names->count; i++) {
        struct growing *g = map_get(by_peer, names->at[i]);
        if (!g) {
            g = arena_new(arena, struct growing);
            (void)map_put(by_peer, names->at[i], g); /* there was none */
        }
        push(g, policy);
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

static void dispose(void *arg)
{
    map_dispose(&((struct rbac_index *)arg)->by_peer);
}

const struct rbac_index *rbac_index_build(struct arena *arena, const struct rbac_policy *policies,
                                          size_t count)
{
    if (count < RBAC_INDEX_MIN) {
        return NULL;
    }
    struct rbac_index *x = arena_new(arena, struct rbac_index);
    map_init(&x->by_peer);
    arena_defer(arena, dispose, x);
    struct names *names = mem_new(struct names);
    struct growing rest = {0};
    for (uint32_t i = 0; i < count; i++) {
        names->count = 0;
        if (needs_peer(&policies[i].principal, names)) {
            file(&x->by_peer, arena, names, i);
        } else {
            push(&rest, i);
        }
    }
    mem_free(names);
    for (struct map_slot *s = NULL; (s = map_next(&x->by_peer, s));) {
        settle(s->value, arena); /* its first member is what look-ups read */
    }
    settle(&rest, arena);
    x->rest = rest.bucket;
    return x;
}
