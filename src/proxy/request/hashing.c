/* Which endpoint a request belongs to, when the cluster's balancer hashes: one number from what the route's
 * hash_policy names, and cookies for clients that come without. Computed as Envoy does, so that both sides of a
 * migration choose alike. Source: RouteAction.HashPolicy.
 * In: request/rewrite, for routes that have policies. Out: rq->hash; set-cookie on the answer. Next: request/sending. */
#include <inttypes.h>

#include "base/xxh64.h"
#include "codec/url.h"
#include "policy/cookie_match.h"
#include "policy/query_match.h"
#include "proxy/request/steps.h"
#include "proxy/upstream/lb_hash.h"

/* Several fields of one name count whatever their order is. */
static bool of_header(struct request *rq, struct span name, uint64_t *hash)
{
    const struct head *h = rq->head;
    struct span *values = arena_array(rq->arena, h->count, sizeof(*values));
    size_t count = 0;
    for (size_t i = 0; i < h->count; i++) {
        if (!span_eq(h->fields[i].name, name)) {
            continue;
        }
        size_t at = count++;
        for (; at > 0 && span_cmp(values[at - 1], h->fields[i].value) > 0; at--) {
            values[at] = values[at - 1];
        }
        values[at] = h->fields[i].value;
    }
    *hash = 0;
    for (size_t i = 0; i < count; i++) {
        *hash = xxh64(values[i], *hash);
    }
    return count > 0;
}

/* ":authority" and the like are no fields of the head. */
static bool of_named(struct request *rq, struct span name, uint64_t *hash)
{
    struct span value;
    if (span_is(name, ":authority") || span_is(name, "host")) {
        value = rq->head->authority;
    } else if (span_is(name, ":path")) {
        value = rq->head->path;
    } else if (span_is(name, ":method")) {
        value = rq->head->method;
    } else {
        return of_header(rq, name, hash);
    }
    *hash = xxh64(value, 0);
    return value.len > 0;
}

static bool of_query(const struct request *rq, struct span name, uint64_t *hash)
{
    struct span rest = query_match_query(rq->head->path);
    struct span key;
    struct span value;
    while (url_query_next(&rest, &key, &value)) {
        if (span_eq(key, name)) {
            *hash = xxh64(value, 0);
            return true;
        }
    }
    return false;
}

/* The same for all requests of a connection, which may be under way together. */
static struct span fresh_cookie(struct request *rq)
{
    char peer[ADDR_TEXT_BYTES];
    char local[ADDR_TEXT_BYTES];
    struct span ends = span_of(arena_printf(rq->arena, "%s%s", addr_format(&rq->place->peer, peer),
                                            addr_format(&rq->place->local, local)));
    return span_of(arena_printf(rq->arena, "%016" PRIx64, xxh64(ends, 0)));
}

/* Whether the client has to be given one. */
static bool is_cookie_due(const struct request *rq, const struct route_hash *h, struct span *value)
{
    *value = SPAN_EMPTY;
    bool has = cookie_match_find(rq->head->fields, rq->head->count, h->name, value);
    return (!has || value->len == 0) && h->cookie_make;
}

static bool of_cookie(struct request *rq, const struct route_hash *h, uint64_t *hash)
{
    struct span value;
    if (is_cookie_due(rq, h, &value)) {
        value = fresh_cookie(rq);
    }
    *hash = xxh64(value, 0);
    return value.len > 0;
}

static bool of_one(struct request *rq, const struct route_hash *h, uint64_t *hash)
{
    switch (h->kind) {
    case ROUTE_HASH_HEADER:
        return of_named(rq, h->name, hash);
    case ROUTE_HASH_COOKIE:
        return of_cookie(rq, h, hash);
    case ROUTE_HASH_QUERY:
        return of_query(rq, h->name, hash);
    case ROUTE_HASH_SOURCE_IP:
        break;
    }
    *hash = lb_hash_ip(&rq->traffic.remote_ip);
    return rq->traffic.remote_ip.family != 0;
}

void hashing_take(struct request *rq)
{
    for (size_t i = 0; i < rq->route->hash_count; i++) {
        const struct route_hash *h = &rq->route->hash[i];
        uint64_t hash;
        if (of_one(rq, h, &hash)) { /* turned, so that two that are the same do not cancel out */
            rq->hash = (rq->hash << 1 | rq->hash >> 63) ^ hash;
            rq->has_hash = true;
        }
        if (h->terminal && rq->has_hash) {
            return;
        }
    }
}

static void hand_out(struct request *rq, const struct route_hash *h, struct head *response)
{
    struct arena *a = rq->arena;
    struct span value = fresh_cookie(rq);
    const char *text = arena_printf(a, "%.*s=\"%.*s\"", SPAN_ARG(h->name), SPAN_ARG(value));
    if (h->cookie_ttl_s > 0) {
        text = arena_printf(a, "%s; Max-Age=%" PRId64, text, h->cookie_ttl_s);
    }
    if (h->cookie_path.len > 0) {
        text = arena_printf(a, "%s; Path=%.*s", text, SPAN_ARG(h->cookie_path));
    }
    for (size_t i = 0; i < h->cookie_attribute_count; i++) {
        const struct header *attribute = &h->cookie_attributes[i];
        text = arena_printf(a, "%s; %.*s%s%.*s", text, SPAN_ARG(attribute->name),
                            attribute->value.len > 0 ? "=" : "", SPAN_ARG(attribute->value));
    }
    int code =
        head_add(response, SPAN("set-cookie"), span_of(arena_printf(a, "%s; HttpOnly", text)));
    UNUSED(code); /* at the limit of fields the client is known by no cookie */
}

/* The policies that were looked at, again: a terminal one ends the list once there is a hash. */
void hashing_answer(struct request *rq, struct head *response)
{
    bool found = false;
    for (size_t i = 0; i < rq->route->hash_count; i++) {
        const struct route_hash *h = &rq->route->hash[i];
        struct span value;
        uint64_t hash;
        if (h->kind == ROUTE_HASH_COOKIE && is_cookie_due(rq, h, &value)) {
            hand_out(rq, h, response);
        }
        found = of_one(rq, h, &hash) || found;
        if (h->terminal && found) {
            return;
        }
    }
}
