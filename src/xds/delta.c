/* Incremental xDS (envoy/service/discovery/v3/discovery.proto; xds_protocol, "Incremental xDS"): only what
 * changes is said, by name, and each resource has a version of its own. */
#include "base/mem.h"
#include "codec/pb.h"
#include "proto/discovery.pb.h"
#include "xds/xds_protocol.h"

#define ARENA_BYTES 4096
#define STATUS_INVALID_ARGUMENT 3 /* google.rpc.Code */

/* ---- client ---- */

static void delta_start(struct xds_subs *s)
{
    s->node_is_told = false;
    LIST_EACH(node, next, &s->acks) {
        xds_protocol_ack_free(list_item(node, struct xds_ack, node));
    }
    for (unsigned i = 0; i < s->table.count; i++) {
        struct xds_type *type = &s->table.types[i];
        type->is_open = false;
        type->changed = false;
        bool asks_all = xds_table_asks_all(type);
        XDS_TABLE_EACH(n, type)
        {
            n->flags &= ~(unsigned)XDS_TOLD;
            type->changed = type->changed || (n->flags & XDS_ASKED);
            if (!(n->flags & XDS_ASKED) && !asks_all) {
                xds_table_drop(type, n);
            }
        }
    }
}

/* Nothing but the wildcard, of a type where the empty first request has always meant all: said so, for
 * servers from before it had a name. */
static bool is_implicit(const struct xds_type *type)
{
    if (!xds_type_is_full(type->url) || !xds_table_asks_all(type)) {
        return false;
    }
    unsigned asked = 0;
    XDS_TABLE_EACH(n, type)
    {
        asked += (n->flags & XDS_ASKED) != 0;
    }
    return asked == 1;
}

/* The first request for a type in this stream: all that we want, and what of it we have. */
static void say_all(struct arena *a, struct xds_type *type,
                    struct pb_discovery_DeltaDiscoveryRequest *rq)
{
    bool is_quiet = is_implicit(type);
    XDS_TABLE_EACH(n, type)
    {
        if (n->flags & XDS_HELD) {
            struct pb_discovery_DeltaDiscoveryRequest_InitialResourceVersionsEntry *e = arena_new(
                a, struct pb_discovery_DeltaDiscoveryRequest_InitialResourceVersionsEntry);
            e->key = xds_table_text(n);
            e->value = xds_table_version(n);
            PB_ADD(a, &rq->initial_resource_versions, e);
        }
        if (n->flags & XDS_ASKED) {
            n->flags |= XDS_TOLD;
            if (!is_quiet) {
                PB_ADD(a, &rq->resource_names_subscribe, xds_table_text(n));
            }
        }
    }
    type->is_open = true;
}

/* What changed since the last request. Names given up are forgotten after the request is encoded. */
static void say_changes(struct arena *a, const struct xds_type *type,
                        struct pb_discovery_DeltaDiscoveryRequest *rq)
{
    XDS_TABLE_EACH(n, type)
    {
        bool asked = n->flags & XDS_ASKED;
        bool told = n->flags & XDS_TOLD;
        if (asked && !told) {
            PB_ADD(a, &rq->resource_names_subscribe, xds_table_text(n));
            n->flags |= XDS_TOLD;
        } else if (!asked && told) {
            PB_ADD(a, &rq->resource_names_unsubscribe, xds_table_text(n));
            n->flags &= ~(unsigned)XDS_TOLD;
            xds_table_release(n); /* if it is also part of "*", the server sends it again */
        }
    }
}

static void forget_unasked(struct xds_type *type)
{
    bool asks_all = xds_table_asks_all(type);
    XDS_TABLE_EACH(n, type)
    {
        if (!(n->flags & XDS_ASKED) && !(asks_all && (n->flags & XDS_HELD))) {
            xds_table_drop(type, n);
        }
    }
}

static int say(struct xds_subs *s, struct xds_type *type, const struct xds_ack *ack,
               struct buf *out)
{
    struct arena a;
    arena_init(&a, ARENA_BYTES);
    struct pb_discovery_DeltaDiscoveryRequest rq = {.type_url = type->url};
    struct pb_rpc_Status status = {.code = STATUS_INVALID_ARGUMENT};
    if (!s->node_is_told) {
        rq.node = s->node;
        s->node_is_told = true;
    }
    if (type->is_open) {
        say_changes(&a, type, &rq);
    } else {
        say_all(&a, type, &rq);
    }
    if (ack) {
        rq.response_nonce = span_of(ack->nonce);
        status.message = span_of(ack->why);
        rq.error_detail = ack->why ? &status : NULL;
    }
    int rc = pb_encode(&pb_discovery_DeltaDiscoveryRequest_desc, &rq, out);
    forget_unasked(type);
    type->changed = false;
    arena_dispose(&a);
    return rc < 0 ? rc : 1;
}

static int delta_next(struct xds_subs *s, struct buf *out)
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

static bool is_wanted(const struct xds_type *type, const struct pb_discovery_Resource *r,
                      struct span name)
{
    if (xds_table_asks_all(type) || xds_table_asks(type, name)) {
        return true;
    }
    for (uint32_t i = 0; i < r->aliases.count; i++) {
        if (xds_table_asks(type, r->aliases.at[i])) {
            return true;
        }
    }
    return false;
}

/* Fills `u` with what of the response concerns us: an answer may cross an unsubscription. */
static int gather(struct arena *a, const struct xds_type *type,
                  const struct pb_discovery_DeltaDiscoveryResponse *rs, struct xds_update *u,
                  struct err *err)
{
    struct xds_resource *added = arena_array(a, rs->resources.count + 1, sizeof *added);
    struct span *removed = arena_array(a, rs->removed_resources.count + 1, sizeof *removed);
    *u = (struct xds_update){.type_url = type->url,
                             .version = rs->system_version_info,
                             .added = added,
                             .removed = removed};
    for (uint32_t i = 0; i < rs->resources.count; i++) {
        const struct pb_discovery_Resource *r = rs->resources.at[i];
        if (!r->resource) {
            continue; /* a heartbeat: only its time to live is extended */
        }
        struct span name = r->name.len ? r->name : xds_name_of(r->resource->value);
        if (!span_eq(r->resource->type_url, type->url)) {
            return err_set(err, -ERR_CONFIG, "resource '%.*s' is of type '%.*s'", SPAN_ARG(name),
                           SPAN_ARG(r->resource->type_url));
        }
        if (is_wanted(type, r, name)) {
            added[u->added_count++] = (struct xds_resource){.name = name,
                                                            .version = r->version,
                                                            .type_url = type->url,
                                                            .value = r->resource->value};
        }
    }
    for (uint32_t i = 0; i < rs->removed_resources.count; i++) {
        if (xds_table_name(type, rs->removed_resources.at[i])) {
            removed[u->removed_count++] = rs->removed_resources.at[i];
        }
    }
    if (map_count(&type->by_name) + u->added_count > XDS_NAMES_MAX) {
        return err_set(err, -ERR_CONFIG, "more resources than XDS_NAMES_MAX");
    }
    return 0;
}

/* The consumer has taken it: this is what we hold now. */
static void hold(struct xds_type *type, const struct xds_update *u)
{
    for (size_t i = 0; i < u->removed_count; i++) {
        struct xds_name *n = xds_table_name(type, u->removed[i]);
        if (n) {
            xds_table_release(n);
            if (!(n->flags & (XDS_ASKED | XDS_TOLD))) {
                xds_table_drop(type, n);
            }
        }
    }
    for (size_t i = 0; i < u->added_count; i++) {
        struct xds_name *n = xds_table_need_name(type, u->added[i].name);
        if (n) { /* a name over the limit only comes again after a reconnect */
            xds_table_hold(n, u->added[i].version);
        }
    }
}

static int delta_receive(struct xds_subs *s, struct span wire, struct err *err)
{
    struct arena a;
    arena_init(&a, ARENA_BYTES);
    struct err why;
    err_clear(&why);
    const struct pb_discovery_DeltaDiscoveryResponse *rs =
        pb_decode(&pb_discovery_DeltaDiscoveryResponse_desc, &a, wire, &why);
    int rc = rs ? 0 : why.code;
    struct xds_type *type = rs ? xds_table_find(&s->table, rs->type_url) : NULL;
    if (type && type->is_open) { /* else not asked for: not ours to answer */
        struct xds_update u;
        rc = gather(&a, type, rs, &u, &why);
        rc = rc < 0 ? rc : s->on_update(s->arg, &u, &why);
        if (rc < 0) {
            rc = -ERR_CONFIG;
        } else {
            hold(type, &u);
        }
        xds_protocol_ack(s, type, rs->nonce, rc, &why);
    }
    if (rc < 0) {
        (void)err_set(err, rc, "%s", why.text); /* the code is rc */
    }
    arena_dispose(&a);
    return rc;
}

/* ---- server ---- */

static void hear_answer(struct xds_type *type, const struct pb_discovery_DeltaDiscoveryRequest *rq,
                        struct xds_ask *ask)
{
    if (!type->is_waiting || !span_is(rq->response_nonce, type->nonce)) {
        return; /* none, or to an older response: of no consequence (unlike its subscriptions) */
    }
    type->is_waiting = false;
    ask->is_nack = rq->error_detail != NULL;
    ask->is_ack = !ask->is_nack;
    ask->why = ask->is_nack ? rq->error_detail->message : SPAN_EMPTY;
}

static int hear_subscribe(struct xds_type *type, struct span name, bool is_first)
{
    struct xds_name *n = xds_table_need_name(type, name);
    if (!n) {
        return -ERR_LIMIT;
    }
    n->flags = (n->flags | XDS_ASKED) & ~(unsigned)XDS_TOLD;
    if (!is_first) {
        xds_table_release(n); /* who asks again gets it again */
    }
    return 0;
}

static void hear_unsubscribe(struct xds_type *type, struct span name, struct xds_ask *ask)
{
    struct xds_name *n = xds_table_name(type, name);
    if (!n) {
        return;
    }
    n->flags &= ~(unsigned)XDS_ASKED;
    if (span_eq(name, XDS_WILDCARD)) {
        forget_unasked(type);
    } else if (xds_table_asks_all(type)) {
        xds_table_release(n); /* it stays by the wildcard, and is told so */
        n->flags |= XDS_TOLD;
        ask->wants_answer = true;
    } else {
        xds_table_drop(type, n);
    }
}

static int hear_names(struct xds_type *type, const struct pb_discovery_DeltaDiscoveryRequest *rq,
                      struct xds_ask *ask)
{
    if (ask->is_first) {
        for (uint32_t i = 0; i < rq->initial_resource_versions.count; i++) {
            struct xds_name *n =
                xds_table_need_name(type, rq->initial_resource_versions.at[i]->key);
            if (!n) {
                return -ERR_LIMIT;
            }
            xds_table_hold(n, rq->initial_resource_versions.at[i]->value);
        }
        bool is_all =
            rq->resource_names_subscribe.count == 0 && rq->resource_names_unsubscribe.count == 0;
        if (is_all && hear_subscribe(type, XDS_WILDCARD, true) < 0) {
            return -ERR_LIMIT;
        }
    }
    for (uint32_t i = 0; i < rq->resource_names_subscribe.count; i++) {
        if (hear_subscribe(type, rq->resource_names_subscribe.at[i], ask->is_first) < 0) {
            return -ERR_LIMIT;
        }
    }
    for (uint32_t i = 0; i < rq->resource_names_unsubscribe.count; i++) {
        hear_unsubscribe(type, rq->resource_names_unsubscribe.at[i], ask);
    }
    if (ask->is_first || rq->resource_names_subscribe.count) {
        ask->wants_answer = true;
    }
    return 0;
}

static int delta_hear(struct xds_session *s, struct span wire, struct xds_ask *ask, struct err *err)
{
    memset(ask, 0, sizeof *ask);
    arena_reset(&s->arena);
    wire = arena_dup(&s->arena, wire);
    const struct pb_discovery_DeltaDiscoveryRequest *rq =
        pb_decode(&pb_discovery_DeltaDiscoveryRequest_desc, &s->arena, wire, err);
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
    type->changed = type->changed || ask->is_first;
    hear_answer(type, rq, ask);
    if (hear_names(type, rq, ask) < 0) {
        return err_set(err, -ERR_LIMIT,
                       "more names than XDS_NAMES_MAX, or a longer one than "
                       "XDS_NAME_BYTES_MAX");
    }
    return 0;
}

static void tell(struct arena *a, struct pb_discovery_DeltaDiscoveryResponse *rs,
                 const struct xds_resource *r)
{
    struct pb_protobuf_Any *any = arena_new(a, struct pb_protobuf_Any);
    any->type_url = r->type_url;
    any->value = r->value;
    struct pb_discovery_Resource *to = arena_new(a, struct pb_discovery_Resource);
    to->name = r->name;
    to->version = r->version;
    to->resource = any;
    PB_ADD(a, &rs->resources, to);
}

static int tell_resources(struct arena *a, struct xds_type *type, const struct xds_answer *answer,
                          struct pb_discovery_DeltaDiscoveryResponse *rs)
{
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
        n->flags |= XDS_SEEN | XDS_TOLD;
        if (!(n->flags & XDS_HELD) || !span_eq(xds_table_version(n), r->version)) {
            xds_table_hold(n, r->version);
            tell(a, rs, r);
        }
    }
    return 0;
}

/* Says that it is not there, if the client thinks so or waits to hear of it. */
static void tell_gone(struct arena *a, struct xds_name *n,
                      struct pb_discovery_DeltaDiscoveryResponse *rs)
{
    bool is_waited_for = (n->flags & XDS_ASKED) && !(n->flags & XDS_TOLD);
    if ((n->flags & XDS_HELD) || is_waited_for) {
        PB_ADD(a, &rs->removed_resources, arena_dup(a, xds_table_text(n)));
        xds_table_release(n);
        n->flags |= XDS_TOLD;
    }
}

static void tell_absent(struct arena *a, struct xds_type *type, const struct xds_answer *answer,
                        struct pb_discovery_DeltaDiscoveryResponse *rs)
{
    if (!answer->is_complete) {
        for (size_t i = 0; i < answer->gone_count; i++) {
            struct xds_name *n = xds_table_name(type, answer->gone[i]);
            if (n) {
                tell_gone(a, n, rs);
            }
        }
    }
    XDS_TABLE_EACH(n, type)
    {
        bool is_seen = n->flags & XDS_SEEN;
        n->flags &= ~(unsigned)XDS_SEEN;
        if (answer->is_complete && !is_seen && !span_eq(xds_table_text(n), XDS_WILDCARD)) {
            tell_gone(a, n, rs);
        }
        if (!(n->flags & (XDS_ASKED | XDS_HELD))) {
            xds_table_drop(type, n);
        }
    }
}

static int delta_answer(struct xds_session *s, const struct xds_answer *answer, struct buf *out)
{
    struct xds_type *type = xds_table_find(&s->table, answer->type_url);
    if (!type || !type->is_open) {
        return 0;
    }
    struct arena a;
    arena_init(&a, ARENA_BYTES);
    struct pb_discovery_DeltaDiscoveryResponse rs = {.type_url = type->url,
                                                     .system_version_info = answer->version};
    int rc = tell_resources(&a, type, answer, &rs);
    if (rc == 0) {
        tell_absent(&a, type, answer, &rs);
        bool is_due = type->changed && answer->is_complete; /* also if it is empty */
        if (rs.resources.count || rs.removed_resources.count || is_due) {
            rs.nonce = xds_protocol_nonce(s, type);
            rc = pb_encode(&pb_discovery_DeltaDiscoveryResponse_desc, &rs, out);
            rc = rc < 0 ? rc : 1;
            type->changed = false;
        }
    }
    arena_dispose(&a);
    return rc;
}

const struct xds_protocol delta_protocol = {
    .name = "delta",
    .path = PB_DISCOVERY_AGGREGATED_DISCOVERY_SERVICE_DELTA_AGGREGATED_RESOURCES_PATH,
    .start = delta_start,
    .next = delta_next,
    .receive = delta_receive,
    .hear = delta_hear,
    .answer = delta_answer,
};
