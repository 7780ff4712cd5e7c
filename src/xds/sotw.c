/* State-of-the-world xDS (envoy/service/discovery/v3/discovery.proto; xds_protocol, "Basic Protocol
 * Overview"): every request lists all names; a response for listeners or clusters lists all of them, for
 * other types at least what changed; a type has one version. */
#include "base/mem.h"
#include "codec/pb.h"
#include "proto/discovery.pb.h"
#include "xds/xds_protocol.h"

#define ARENA_BYTES 4096
#define STATUS_INVALID_ARGUMENT 3 /* google.rpc.Code */

/* ---- client ---- */

static void sotw_start(struct xds_subs *s)
{
    s->node_is_told = false;
    LIST_EACH(node, next, &s->acks) {
        xds_protocol_ack_free(list_item(node, struct xds_ack, node));
    }
    for (unsigned i = 0; i < s->table.count; i++) {
        struct xds_type *type = &s->table.types[i];
        xds_table_set(&type->nonce, SPAN_EMPTY);
        type->is_open = false;
        type->changed = false;
        XDS_TABLE_EACH(n, type)
        {
            type->changed = type->changed || (n->flags & XDS_ASKED);
        }
    }
}

/* All names; none stands for the wildcard alone. What is no longer asked for is forgotten. */
static void say_names(struct arena *a, struct xds_type *type,
                      struct pb_discovery_DiscoveryRequest *rq)
{
    XDS_TABLE_EACH(n, type)
    {
        if (n->flags & XDS_ASKED) {
            n->flags |= XDS_TOLD;
            PB_ADD(a, &rq->resource_names, xds_table_text(n));
        } else {
            xds_table_drop(type, n);
        }
    }
    if (rq->resource_names.count == 1 && span_eq(rq->resource_names.at[0], XDS_WILDCARD)) {
        rq->resource_names.count = 0;
    }
}

static int say(struct xds_subs *s, struct xds_type *type, const struct xds_ack *ack,
               struct buf *out)
{
    struct arena a;
    arena_init(&a, ARENA_BYTES);
    struct pb_discovery_DiscoveryRequest rq = {.type_url = type->url,
                                               .version_info = span_of(type->version),
                                               .response_nonce = span_of(type->nonce)};
    struct pb_rpc_Status status = {.code = STATUS_INVALID_ARGUMENT};
    if (!s->node_is_told) {
        rq.node = s->node;
        s->node_is_told = true;
    }
    say_names(&a, type, &rq);
    if (ack) {
        rq.response_nonce = span_of(ack->nonce);
        status.message = span_of(ack->why);
        rq.error_detail = ack->why ? &status : NULL;
    }
    int rc = pb_encode(&pb_discovery_DiscoveryRequest_desc, &rq, out);
    type->changed = false;
    type->is_open = true;
    arena_dispose(&a);
    return rc < 0 ? rc : 1;
}

static int sotw_next(struct xds_subs *s, struct buf *out)
{
    for (unsigned i = 0; i < s->table.count; i++) {
        struct xds_type *type = &s->table.types[i];
        struct xds_ack *ack = xds_protocol_ack_take(s, type);
        if (ack || type->changed) {
            int rc = say(s, type, ack, out);
            xds_protocol_ack_free(ack);
            return rc;
        }
    }
    return 0;
}

static int gather(struct arena *a, const struct xds_type *type,
                  const struct pb_discovery_DiscoveryResponse *rs, struct xds_update *u,
                  struct err *err)
{
    struct xds_resource *added = arena_array(a, rs->resources.count + 1, sizeof *added);
    bool is_full = xds_type_is_full(type->url);
    *u = (struct xds_update){
        .type_url = type->url, .version = rs->version_info, .added = added, .full = is_full};
    for (uint32_t i = 0; i < rs->resources.count; i++) {
        struct xds_resource r = {.version = rs->version_info};
        int rc = xds_unwrap(a, rs->resources.at[i]->type_url, rs->resources.at[i]->value, &r, err);
        if (rc < 0) {
            return rc;
        }
        if (rc > 0 && !span_eq(r.type_url, type->url)) {
            return err_set(err, -ERR_CONFIG, "resource '%.*s' is of type '%.*s'", SPAN_ARG(r.name),
                           SPAN_ARG(r.type_url));
        }
        bool is_wanted = rc > 0 && (xds_table_asks_all(type) || xds_table_asks(type, r.name));
        if (is_wanted) { /* servers may send more than was asked for */
            added[u->added_count++] = r;
        }
    }
    return 0;
}

static int sotw_receive(struct xds_subs *s, struct span wire, struct err *err)
{
    struct arena a;
    arena_init(&a, ARENA_BYTES);
    struct err why;
    err_clear(&why);
    const struct pb_discovery_DiscoveryResponse *rs =
        pb_decode(&pb_discovery_DiscoveryResponse_desc, &a, wire, &why);
    int rc = rs ? 0 : why.code;
    struct xds_type *type = rs ? xds_table_find(&s->table, rs->type_url) : NULL;
    if (type && type->is_open) { /* else not asked for: not ours to answer */
        struct xds_update u;
        rc = gather(&a, type, rs, &u, &why);
        rc = rc < 0 ? rc : s->on_update(s->arg, &u, &why);
        if (rc < 0) {
            rc = -ERR_CONFIG;
        } else {
            xds_table_set(&type->version, rs->version_info);
        }
        xds_table_set(&type->nonce, rs->nonce);
        xds_protocol_ack(s, type, rs->nonce, rc, &why);
    }
    if (rc < 0) {
        (void)err_set(err, rc, "%s", why.text); /* the code is rc */
    }
    arena_dispose(&a);
    return rc;
}

/* ---- server ---- */

/* A name that is new to us makes an answer due. */
static int hear_name(struct xds_type *type, struct span name, struct xds_ask *ask)
{
    struct xds_name *n = xds_table_need_name(type, name);
    if (!n) {
        return -ERR_LIMIT;
    }
    if (!(n->flags & XDS_ASKED)) {
        ask->wants_answer = true;
    }
    n->flags |= XDS_ASKED | XDS_SEEN;
    return 0;
}

/* The list replaces the one before. An empty list means all, unless names were given before in this
 * stream: then it means none. */
static int hear_names(struct xds_type *type, const struct pb_discovery_DiscoveryRequest *rq,
                      struct xds_ask *ask)
{
    bool is_all = rq->resource_names.count == 0 && (ask->is_first || xds_table_asks_all(type));
    if (is_all && hear_name(type, XDS_WILDCARD, ask) < 0) {
        return -ERR_LIMIT;
    }
    for (uint32_t i = 0; i < rq->resource_names.count; i++) {
        if (hear_name(type, rq->resource_names.at[i], ask) < 0) {
            return -ERR_LIMIT;
        }
    }
    XDS_TABLE_EACH(n, type)
    {
        if (!(n->flags & XDS_SEEN)) {
            n->flags &= ~(unsigned)XDS_ASKED;
        }
        n->flags &= ~(unsigned)XDS_SEEN;
    }
    if (!xds_table_asks_all(type)) {
        XDS_TABLE_EACH(n, type)
        {
            if (!(n->flags & XDS_ASKED)) {
                xds_table_drop(type, n);
            }
        }
    }
    return 0;
}

static int sotw_hear(struct xds_session *s, struct span wire, struct xds_ask *ask, struct err *err)
{
    memset(ask, 0, sizeof *ask);
    arena_reset(&s->arena);
    wire = arena_dup(&s->arena, wire);
    const struct pb_discovery_DiscoveryRequest *rq =
        pb_decode(&pb_discovery_DiscoveryRequest_desc, &s->arena, wire, err);
    if (!rq) {
        return err ? err->code : -ERR_PROTO;
    }
    struct xds_type *type = xds_table_need(&s->table, rq->type_url);
    if (!type) {
        return err_set(err, -ERR_LIMIT, "type_url is missing, too long, or over XDS_TYPES_MAX");
    }
    ask->type_url = type->url;
    ask->node = xds_protocol_begin(s, rq->node);
    ask->is_first = !type->is_open;
    type->is_open = true;
    bool is_current = type->nonce && span_is(rq->response_nonce, type->nonce);
    if (type->nonce && rq->response_nonce.len && !is_current) {
        return 0; /* stale: it crossed a newer response, and another request will follow */
    }
    if (is_current && type->is_waiting) {
        type->is_waiting = false;
        ask->is_nack = rq->error_detail != NULL;
        ask->is_ack = !ask->is_nack;
        ask->why = ask->is_nack ? rq->error_detail->message : SPAN_EMPTY;
    }
    type->changed = type->changed || ask->is_first;
    if (hear_names(type, rq, ask) < 0) {
        return err_set(err, -ERR_LIMIT,
                       "more names than XDS_NAMES_MAX, or a longer one than "
                       "XDS_NAME_BYTES_MAX");
    }
    ask->wants_answer = ask->wants_answer || ask->is_first;
    return 0;
}

static void tell(struct arena *a, struct pb_discovery_DiscoveryResponse *rs,
                 const struct xds_resource *r)
{
    struct pb_protobuf_Any *any = arena_new(a, struct pb_protobuf_Any);
    any->type_url = r->type_url;
    any->value = r->value;
    PB_ADD(a, &rs->resources, any);
}

/* Of a full type all that is wanted goes into the response, of others what is new to the client. Tells
 * whether anything is. */
static int tell_resources(struct arena *a, struct xds_type *type, const struct xds_answer *answer,
                          struct pb_discovery_DiscoveryResponse *rs, bool *is_news)
{
    bool is_full = xds_type_is_full(type->url);
    bool asks_all = xds_table_asks_all(type);
    for (size_t i = 0; i < answer->count; i++) {
        const struct xds_resource *r = &answer->resources[i];
        struct xds_name *n = xds_table_name(type, r->name);
        if (!asks_all && !(n && (n->flags & XDS_ASKED))) {
            continue;
        }
        n = n ? n : xds_table_need_name(type, r->name);
        if (!n) {
            return -ERR_LIMIT;
        }
        n->flags |= XDS_SEEN;
        bool is_new = !(n->flags & XDS_HELD) || !span_eq(xds_table_version(n), r->version);
        if (is_new) {
            xds_table_hold(n, r->version);
        }
        if (is_new || is_full) {
            tell(a, rs, r);
        }
        *is_news = *is_news || is_new;
    }
    return 0;
}

/* After a complete answer: what was not in it is gone. Only a full type can say so. */
static void sweep(struct xds_type *type, const struct xds_answer *answer, bool *is_news)
{
    XDS_TABLE_EACH(n, type)
    {
        bool is_gone = answer->is_complete && !(n->flags & XDS_SEEN) && (n->flags & XDS_HELD);
        n->flags &= ~(unsigned)XDS_SEEN;
        if (is_gone) {
            xds_table_release(n);
            *is_news = *is_news || xds_type_is_full(type->url);
        }
        if (!(n->flags & (XDS_ASKED | XDS_HELD))) {
            xds_table_drop(type, n);
        }
    }
}

static int sotw_answer(struct xds_session *s, const struct xds_answer *answer, struct buf *out)
{
    struct xds_type *type = xds_table_find(&s->table, answer->type_url);
    if (!type || !type->is_open) {
        return 0;
    }
    ASSERT(answer->is_complete || !xds_type_is_full(type->url));
    struct arena a;
    arena_init(&a, ARENA_BYTES);
    struct pb_discovery_DiscoveryResponse rs = {.type_url = type->url,
                                                .version_info = answer->version};
    bool is_news = type->changed && answer->is_complete; /* the first answer, also if it is empty */
    int rc = tell_resources(&a, type, answer, &rs, &is_news);
    if (rc == 0) {
        sweep(type, answer, &is_news);
        if (is_news) {
            rs.nonce = xds_protocol_nonce(s, type);
            rc = pb_encode(&pb_discovery_DiscoveryResponse_desc, &rs, out);
            rc = rc < 0 ? rc : 1;
            type->changed = false;
        }
    }
    arena_dispose(&a);
    return rc;
}

const struct xds_protocol sotw_protocol = {
    .name = "sotw",
    .path = PB_DISCOVERY_AGGREGATED_DISCOVERY_SERVICE_STREAM_AGGREGATED_RESOURCES_PATH,
    .start = sotw_start,
    .next = sotw_next,
    .receive = sotw_receive,
    .hear = sotw_hear,
    .answer = sotw_answer,
};
