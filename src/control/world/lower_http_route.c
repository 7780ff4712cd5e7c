/* An HTTPRoute becomes a virtual host with one route for each match of each rule, so that those of several objects can be put into
 * the order that Gateway API asks for (HTTPRouteRule.matches: exact path, longest prefix, method, most headers, most query
 * parameters; then the oldest, then the name; then the order of the text).
 * In: the object, services. Out: world_virtual_host. Next: world_routes. */
#include <stdlib.h>

#include "base/mem.h"
#include "control/world/lower.h"
#include "model/gateway_api.h"

/* ---- backends ---- */

/* One that may not be taken (HTTPRoute: RefNotPermitted) is as good as one that is not there. */
static struct world_backend lower_ref(struct world_config *c, const struct object *o,
                                      const struct http_route_ref *ref)
{
    struct world_backend b = {.port = ref->port, .weight = 1};
    b.host = span_of(arena_printf(&c->arena, "%.*s.%.*s.svc.%.*s", SPAN_ARG(ref->name),
                                  SPAN_ARG(ref->namespace), SPAN_ARG(c->mesh.domain)));
    if (ref->is_service && world_backend_is_granted(c, o, ref)) {
        const struct world_service *s = map_get(&c->by_host, b.host);
        while (s != NULL && !span_eq(s->namespace, ref->namespace)) {
            s = s->same_host;
        }
        /* a port that the service does not have makes the reference invalid, as if there were no service */
        b.service = s != NULL && world_port_of(s, ref->port) != NULL ? s : NULL;
    }
    return b;
}

static const struct spec_header_ops no_ops;

static void lower_backends(struct world_config *c, const struct object *o,
                           const struct http_route_rule *rule, struct world_route *to)
{
    struct world_backend *backends = arena_array(&c->arena, rule->backend_count, sizeof(*backends));
    for (size_t i = 0; i < rule->backend_count; i++) {
        const struct http_route_backend *from = &rule->backends[i];
        if (from->weight == 0) {
            continue;
        }
        struct world_backend *b = &backends[to->backend_count++];
        const struct spec_header_ops *request = &no_ops, *response = &no_ops;
        for (size_t k = 0; k < from->filters.count; k++) {
            const struct http_route_filter *f = &from->filters.items[k];
            request = f->kind == HTTP_ROUTE_REQUEST_HEADERS ? &f->headers : request;
            response = f->kind == HTTP_ROUTE_RESPONSE_HEADERS ? &f->headers : response;
        }
        *b = lower_ref(c, o, &from->ref);
        b->weight = from->weight;
        b->headers = lower_header_ops(c, request, response);
    }
    to->backends = backends;
    if (to->backend_count == 0 && to->action == WORLD_FORWARD) {
        to->action = WORLD_DIRECT; /* nothing to send it to: 500 (HTTPRouteRule.backendRefs) */
        to->direct_status = 500;
    }
}

/* ---- filters ---- */

static void lower_redirect(const struct http_route_filter *f, struct world_route *to)
{
    to->action = WORLD_REDIRECT;
    to->redirect_code = f->status;
    to->redirect_scheme = f->scheme;
    to->redirect_host = f->hostname;
    to->redirect_has_path = f->path_change == HTTP_ROUTE_PATH_FULL;
    to->redirect_has_prefix = f->path_change == HTTP_ROUTE_PATH_PREFIX_MATCH;
    if (to->redirect_has_path) {
        to->redirect_path = f->path;
    } else if (to->redirect_has_prefix) {
        to->redirect_prefix = f->path;
    }
    to->redirect_port = f->port;
    to->redirect_port_by_scheme = f->port == 0 && f->scheme.len > 0;
}

static void lower_rewrite(const struct http_route_filter *f, struct world_route *to)
{
    to->rewrite_authority = f->hostname;
    to->rewrite_has_path = f->path_change == HTTP_ROUTE_PATH_FULL;
    to->rewrite_has_prefix = f->path_change == HTTP_ROUTE_PATH_PREFIX_MATCH;
    to->rewrite_path = f->path;
}

static void lower_filters(struct world_config *c, const struct object *o,
                          const struct http_route_filters *filters, struct world_route *to)
{
    const struct spec_header_ops *request = &no_ops, *response = &no_ops;
    struct world_mirror *mirrors = arena_array(&c->arena, filters->count, sizeof(*mirrors));
    for (size_t i = 0; i < filters->count; i++) {
        const struct http_route_filter *f = &filters->items[i];
        switch (f->kind) {
        case HTTP_ROUTE_REQUEST_HEADERS:
            request = &f->headers;
            break;
        case HTTP_ROUTE_RESPONSE_HEADERS:
            response = &f->headers;
            break;
        case HTTP_ROUTE_REDIRECT:
            lower_redirect(f, to);
            break;
        case HTTP_ROUTE_REWRITE:
            lower_rewrite(f, to);
            break;
        case HTTP_ROUTE_MIRROR:
            mirrors[to->mirror_count].to = lower_ref(c, o, &f->mirror);
            mirrors[to->mirror_count++].percent = f->mirror_percent;
            break;
        }
    }
    to->mirrors = mirrors;
    to->headers = lower_header_ops(c, request, response);
}

/* ---- rules ---- */

static void lower_retry(const struct http_route_rule *rule, struct world_retry *to)
{
    if (!rule->has_retry) {
        return;
    }
    *to = (struct world_retry){.set = true,
                               .attempts =
                                   rule->retry_attempts < 0 ? 2 : (uint32_t)rule->retry_attempts,
                               .backoff_ms = i64_max(rule->retry_backoff_ms, 0),
                               .codes = rule->retry_codes.items,
                               .code_count = rule->retry_codes.count};
    if (to->code_count > 0) {
        to->on =
            SPAN("connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes");
    }
}

static void lower_route_match(struct world_config *c, const struct http_route_match *from,
                              struct world_match *to)
{
    static const enum world_match_kind kinds[] = {
        [HTTP_ROUTE_PATH_PREFIX] = WORLD_MATCH_PREFIX,
        [HTTP_ROUTE_PATH_EXACT] = WORLD_MATCH_EXACT,
        [HTTP_ROUTE_PATH_REGEX] = WORLD_MATCH_REGEX,
    };
    to->has_path = true;
    to->path.kind = kinds[from->path_kind];
    to->path.text = from->path;
    to->path_segments = from->path_kind == HTTP_ROUTE_PATH_PREFIX;
    /* "/a/" says the same as "/a" (HTTPPathMatch) */
    if (to->path_segments && to->path.text.len > 1 &&
        to->path.text.at[to->path.text.len - 1] == '/') {
        to->path.text.len--;
    }
    if (from->method.len > 0) {
        to->has_method = true;
        to->method.kind = WORLD_MATCH_EXACT;
        to->method.text = from->method;
    }
    to->headers = lower_named_matches(c, &from->headers, true);
    to->header_count = from->headers.count;
    to->queries = lower_named_matches(c, &from->queries, false);
    to->query_count = from->queries.count;
}

/* ---- precedence ---- */

struct ranked {
    struct world_route route;
    size_t place;
};

/* Where Gateway API leaves the place of regular expressions open, they come before prefixes, as else the prefix "/" of any
 * rule would hide them. */
static int path_rank(const struct world_match *m)
{
    switch (m->path.kind) {
    case WORLD_MATCH_EXACT:
        return 3;
    case WORLD_MATCH_REGEX:
        return 2;
    case WORLD_MATCH_PREFIX:
        return 1;
    case WORLD_MATCH_PRESENT:
    case WORLD_MATCH_ABSENT:
        break;
    }
    return 0;
}

static int by_precedence(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    const struct world_match *m = x->route.matches, *n = y->route.matches;
    if (path_rank(m) != path_rank(n)) {
        return path_rank(n) - path_rank(m);
    }
    if (m->path.text.len != n->path.text.len) {
        return m->path.text.len > n->path.text.len ? -1 : 1;
    }
    if (m->has_method != n->has_method) {
        return m->has_method ? -1 : 1;
    }
    if (m->header_count != n->header_count) {
        return m->header_count > n->header_count ? -1 : 1;
    }
    if (m->query_count != n->query_count) {
        return m->query_count > n->query_count ? -1 : 1;
    }
    return (x->place > y->place) - (x->place < y->place);
}

void lower_http_route_sort(struct world_route *routes, size_t count)
{
    if (count < 2) {
        return;
    }
    struct ranked *all = mem_array(count, sizeof(*all));
    for (size_t i = 0; i < count; i++) {
        all[i] = (struct ranked){routes[i], i};
    }
    qsort(all, count, sizeof(*all), by_precedence);
    for (size_t i = 0; i < count; i++) {
        routes[i] = all[i].route;
    }
    mem_free(all);
}

/* ---- the object ---- */

void lower_http_route(struct world_config *c, const struct object *o,
                      struct world_virtual_host *out)
{
    const struct http_route_spec *spec = http_route_of(o);
    size_t most = 0;
    for (size_t i = 0; i < spec->rule_count; i++) {
        most += spec->rules[i].match_count;
    }
    struct world_route *routes = arena_array(&c->arena, most, sizeof(*routes));
    struct world_match *matches = arena_array(&c->arena, most, sizeof(*matches));
    struct span *hosts = arena_array(&c->arena, spec->hostnames.count, sizeof(*hosts));
    for (size_t i = 0; i < spec->rule_count; i++) {
        const struct http_route_rule *rule = &spec->rules[i];
        struct world_route route = {.name = rule->name,
                                    .timeout_ms = rule->request_timeout_ms,
                                    .backend_timeout_ms = rule->backend_timeout_ms,
                                    .fault.abort_grpc = -1,
                                    .match_count = 1};
        lower_filters(c, o, &rule->filters, &route);
        lower_backends(c, o, rule, &route);
        lower_retry(rule, &route.retry);
        for (size_t k = 0; k < rule->match_count; k++) {
            struct world_match *match = &matches[out->route_count];
            lower_route_match(c, &rule->matches[k], match);
            route.matches = match;
            routes[out->route_count++] = route;
        }
    }
    for (size_t i = 0; i < spec->hostnames.count; i++) {
        hosts[i] = lower_case(c, spec->hostnames.items[i]);
    }
    lower_http_route_sort(routes, out->route_count);
    out->hosts = hosts;
    out->host_count = spec->hostnames.count;
    out->routes = routes;
    out->namespace = o->namespace;
    out->object = o;
}
