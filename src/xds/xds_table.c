/* Names by type: what one end of an xDS stream remembers. */
#include "xds/xds_table.h"

#include "base/mem.h"

void xds_table_init(struct xds_table *t)
{
    memset(t, 0, sizeof *t);
}

static void type_dispose(struct xds_type *type)
{
    XDS_TABLE_EACH(n, type)
    {
        xds_table_drop(type, n);
    }
    map_dispose(&type->by_name);
    mem_free((void *)(uintptr_t)type->url.at);
    mem_free(type->nonce);
    mem_free(type->version);
}

void xds_table_dispose(struct xds_table *t)
{
    for (unsigned i = 0; i < t->count; i++) {
        type_dispose(&t->types[i]);
    }
    t->count = 0;
}

struct xds_type *xds_table_find(struct xds_table *t, struct span url)
{
    for (unsigned i = 0; i < t->count; i++) {
        if (span_eq(t->types[i].url, url)) {
            return &t->types[i];
        }
    }
    return NULL;
}

struct xds_type *xds_table_need(struct xds_table *t, struct span url)
{
    struct xds_type *type = xds_table_find(t, url);
    if (type || t->count == XDS_TYPES_MAX || url.len == 0 || url.len > XDS_NAME_BYTES_MAX) {
        return type;
    }
    type = &t->types[t->count++];
    type->url = span_from(mem_strndup(url.at, url.len), url.len);
    list_init(&type->names);
    map_init(&type->by_name);
    return type;
}

struct xds_name *xds_table_name(const struct xds_type *type, struct span name)
{
    return map_get(&type->by_name, name);
}

struct xds_name *xds_table_need_name(struct xds_type *type, struct span name)
{
    struct xds_name *n = xds_table_name(type, name);
    if (n || map_count(&type->by_name) >= XDS_NAMES_MAX || name.len > XDS_NAME_BYTES_MAX) {
        return n;
    }
    n = mem_zalloc(sizeof *n + name.len + 1);
    n->len = name.len;
    if (name.len) {
        memcpy(n->text, name.at, name.len);
    }
    list_push_back(&type->names, &n->node);
    (void)map_put(&type->by_name, xds_table_text(n), n); /* it was not there */
    return n;
}

void xds_table_drop(struct xds_type *type, struct xds_name *name)
{
    (void)map_remove(&type->by_name, xds_table_text(name)); /* it is there */
    list_remove(&name->node);
    mem_free(name->version);
    mem_free(name);
}

bool xds_table_asks(const struct xds_type *type, struct span name)
{
    const struct xds_name *n = xds_table_name(type, name);
    return n && (n->flags & XDS_ASKED);
}

bool xds_table_asks_all(const struct xds_type *type)
{
    return xds_table_asks(type, XDS_WILDCARD);
}

void xds_table_hold(struct xds_name *name, struct span version)
{
    mem_free(name->version);
    name->version = mem_strndup(version.len ? version.at : "", version.len);
    name->version_len = version.len;
    name->flags |= XDS_HELD;
}

void xds_table_release(struct xds_name *name)
{
    mem_free(name->version);
    name->version = NULL;
    name->version_len = 0;
    name->flags &= ~(unsigned)XDS_HELD;
}

void xds_table_set(char **text, struct span value)
{
    mem_free(*text);
    *text = value.at ? mem_strndup(value.at, value.len) : NULL;
}
