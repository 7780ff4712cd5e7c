/* Life of the per-resource objects. */
#include "proxy/config/conf.h"

#include "base/mem.h"

#define ARENA_BYTES 1024 /* most endpoints and clusters fit in one or two */

static const struct {
    size_t bytes;
    const char *name;
} kinds[CONF_KIND_COUNT] = {
    [CONF_LISTENER] = {sizeof(struct conf_listener), "listener"},
    [CONF_ROUTES] = {sizeof(struct conf_routes), "route table"},
    [CONF_CLUSTER] = {sizeof(struct conf_cluster), "cluster"},
    [CONF_ENDPOINTS] = {sizeof(struct conf_endpoints), "endpoints"},
    [CONF_SECRET] = {sizeof(struct conf_secret), "secret"},
    [CONF_VIRTUAL_HOST] = {sizeof(struct conf_virtual_host), "virtual host"},
};

void *conf_new(enum conf_kind kind)
{
    struct conf *c = mem_zalloc(kinds[kind].bytes);
    c->kind = kind;
    c->refs = 1;
    arena_init(&c->arena, ARENA_BYTES);
    return c;
}

void conf_get(struct conf *c)
{
    ASSERT(c->refs > 0);
    c->refs++;
}

static void wipe(struct span s)
{
    if (s.len > 0) {
        mem_wipe((void *)(uintptr_t)s.at, s.len);
    }
}

void conf_put(struct conf *c)
{
    if (!c) {
        return;
    }
    ASSERT(c->refs > 0);
    if (--c->refs > 0) {
        return;
    }
    if (c->kind == CONF_SECRET) {
        wipe(((struct conf_secret *)(void *)c)->key_pem);
        wipe(c->resource);
    }
    arena_dispose(&c->arena);
    mem_free(c);
}

const char *conf_kind_name(enum conf_kind kind)
{
    return kinds[kind].name;
}
