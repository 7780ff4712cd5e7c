/* What the two protocols have in common: subscriptions, answers that are due, sessions. */
#include "xds/xds_protocol.h"

#include "base/mem.h"

struct xds_subs *xds_protocol_subs_new(const struct pb_core_Node *node, xds_on_update on_update,
                                       void *arg)
{
    struct xds_subs *s = mem_new(struct xds_subs);
    xds_table_init(&s->table);
    list_init(&s->acks);
    arena_init(&s->node_arena, 1024);
    s->on_update = on_update;
    s->arg = arg;
    if (node) {
        struct span wire = pb_encode_in(&pb_core_Node_desc, node, &s->node_arena);
        ASSERT(wire.at);
        s->node = pb_decode(&pb_core_Node_desc, &s->node_arena, wire, NULL);
        ASSERT(s->node); /* our own node is UTF-8 and small */
    }
    return s;
}

void xds_protocol_ack_free(struct xds_ack *ack)
{
    if (ack) {
        list_remove(&ack->node);
        mem_free(ack->nonce);
        mem_free(ack->why);
        mem_free(ack);
    }
}

void xds_protocol_subs_free(struct xds_subs *s)
{
    if (!s) {
        return;
    }
    LIST_EACH(node, next, &s->acks) {
        xds_protocol_ack_free(list_item(node, struct xds_ack, node));
    }
    xds_table_dispose(&s->table);
    arena_dispose(&s->node_arena);
    mem_free(s);
}

int xds_protocol_subscribe(struct xds_subs *s, struct span type_url, struct span name)
{
    struct xds_type *type = xds_table_need(&s->table, type_url);
    struct xds_name *n = type ? xds_table_need_name(type, name) : NULL;
    if (!n) {
        return -ERR_LIMIT;
    }
    if (!(n->flags & XDS_ASKED)) {
        /* one that was given up but not yet told is asked for anew, and comes again */
        n->flags = (n->flags | XDS_ASKED) & ~(unsigned)XDS_TOLD;
        type->changed = true;
    }
    return 0;
}

void xds_protocol_unsubscribe(struct xds_subs *s, struct span type_url, struct span name)
{
    struct xds_type *type = xds_table_find(&s->table, type_url);
    struct xds_name *n = type ? xds_table_name(type, name) : NULL;
    if (!n || !(n->flags & XDS_ASKED)) {
        return;
    }
    n->flags &= ~(unsigned)XDS_ASKED;
    if (n->flags & XDS_TOLD) {
        type->changed = true;
    } else if (!(n->flags & XDS_HELD)) {
        xds_table_drop(type, n);
    }
}

void xds_protocol_hold(struct xds_subs *s, const struct xds_update *u)
{
    struct xds_type *type = xds_table_find(&s->table, u->type_url);
    for (size_t i = 0; type && i < u->added_count; i++) {
        struct span name = u->added[i].name;
        bool wanted = xds_table_asks_all(type) || xds_table_asks(type, name);
        struct xds_name *n =
            wanted && u->added[i].version.len > 0 ? xds_table_need_name(type, name) : NULL;
        if (n) {
            xds_table_hold(n, u->added[i].version);
        }
    }
}

void xds_protocol_ack(struct xds_subs *s, struct xds_type *type, struct span nonce, int rc,
                      const struct err *err)
{
    struct xds_ack *ack = mem_new(struct xds_ack);
    ack->type = type;
    ack->nonce = mem_strndup(nonce.len ? nonce.at : "", nonce.len);
    if (rc < 0) {
        ack->why = mem_strdup(err->text[0] ? err->text : err_name(rc));
    }
    list_push_back(&s->acks, &ack->node);
}

struct xds_ack *xds_protocol_ack_take(struct xds_subs *s, const struct xds_type *type)
{
    LIST_EACH(node, next, &s->acks) {
        struct xds_ack *ack = list_item(node, struct xds_ack, node);
        if (ack->type == type) {
            list_remove(&ack->node);
            return ack;
        }
    }
    return NULL;
}

struct xds_session *xds_protocol_session_new(void)
{
    struct xds_session *s = mem_new(struct xds_session);
    xds_table_init(&s->table);
    arena_init(&s->arena, 4096);
    return s;
}

void xds_protocol_session_free(struct xds_session *s)
{
    if (s) {
        xds_table_dispose(&s->table);
        arena_dispose(&s->arena);
        mem_free(s);
    }
}

bool xds_protocol_is_waiting(struct xds_session *s, struct span type_url)
{
    const struct xds_type *type = xds_table_find(&s->table, type_url);
    return type && type->is_waiting;
}

bool xds_protocol_asks(struct xds_session *s, struct span type_url, struct span name)
{
    const struct xds_type *type = xds_table_find(&s->table, type_url);
    return type && (xds_table_asks_all(type) || xds_table_asks(type, name));
}

void xds_protocol_each(struct xds_session *s, struct span type_url,
                       void (*on_name)(void *arg, struct span name), void *arg)
{
    const struct xds_type *type = xds_table_find(&s->table, type_url);
    if (!type) {
        return;
    }
    XDS_TABLE_EACH(n, type)
    {
        if (n->flags & XDS_ASKED) {
            on_name(arg, xds_table_text(n));
        }
    }
}

struct span xds_protocol_nonce(struct xds_session *s, struct xds_type *type)
{
    char text[32];
    int len = snprintf(text, sizeof text, "%llu", (unsigned long long)++s->nonces);
    xds_table_set(&type->nonce, span_from(text, (size_t)len));
    type->is_waiting = true;
    return span_of(type->nonce);
}

const struct pb_core_Node *xds_protocol_begin(struct xds_session *s,
                                              const struct pb_core_Node *node)
{
    if (s->has_begun) {
        return NULL;
    }
    s->has_begun = true;
    return node;
}
