/* Conditions of a route.
 * Source: Istio pilot/pkg/networking/core/route/route.go (TranslateRouteMatch, translateHeaderMatch). */
#include "control/translate/translate_int.h"
#include "proto/route.pb.h"

struct pb_matcher_StringMatcher *vhost_match_text(struct translation *t,
                                                  const struct world_string_match *m)
{
    struct pb_matcher_StringMatcher *s =
        m->kind == WORLD_MATCH_PREFIX  ? message_prefix(t->arena, m->text)
        : m->kind == WORLD_MATCH_REGEX ? message_regex_text(t->arena, m->text)
                                       : message_exact(t->arena, m->text);
    s->ignore_case = m->ignore_case && m->kind != WORLD_MATCH_REGEX;
    return s;
}

static void add_header(struct translation *t, struct pb_route_RouteMatch *out, struct span name,
                       const struct world_string_match *value)
{
    struct pb_route_HeaderMatcher *h = arena_new(t->arena, struct pb_route_HeaderMatcher);
    h->name = name;
    if (value->kind == WORLD_MATCH_PRESENT || value->kind == WORLD_MATCH_ABSENT) {
        h->header_match_specifier_case =
            PB_ROUTE_HEADER_MATCHER_HEADER_MATCH_SPECIFIER_PRESENT_MATCH;
        h->present_match = true;
        h->invert_match = (value->kind == WORLD_MATCH_ABSENT) != value->inverted;
    } else {
        h->header_match_specifier_case =
            PB_ROUTE_HEADER_MATCHER_HEADER_MATCH_SPECIFIER_STRING_MATCH;
        h->string_match = vhost_match_text(t, value);
        h->invert_match = value->inverted;
        h->treat_missing_header_as_empty = value->inverted; /* no header is not that header */
    }
    PB_ADD(t->arena, &out->headers, h);
}

static void add_query(struct translation *t, struct pb_route_RouteMatch *out,
                      const struct world_named_match *m)
{
    struct pb_route_QueryParameterMatcher *q =
        arena_new(t->arena, struct pb_route_QueryParameterMatcher);
    q->name = m->name;
    if (m->value.kind == WORLD_MATCH_PRESENT || m->value.kind == WORLD_MATCH_ABSENT) {
        q->query_parameter_match_specifier_case =
            PB_ROUTE_QUERY_PARAMETER_MATCHER_QUERY_PARAMETER_MATCH_SPECIFIER_PRESENT_MATCH;
        q->present_match = m->value.kind == WORLD_MATCH_PRESENT;
    } else {
        q->query_parameter_match_specifier_case =
            PB_ROUTE_QUERY_PARAMETER_MATCHER_QUERY_PARAMETER_MATCH_SPECIFIER_STRING_MATCH;
        q->string_match = vhost_match_text(t, &m->value);
    }
    PB_ADD(t->arena, &out->query_parameters, q);
}

static void everything(struct pb_route_RouteMatch *out)
{
    out->path_specifier_case = PB_ROUTE_ROUTE_MATCH_PATH_SPECIFIER_PREFIX;
    out->prefix = SPAN("/");
}

static void set_prefix(struct pb_route_RouteMatch *out, const struct world_match *m)
{
    struct span path = m->path.text;
    while (m->path_segments && path.len > 1 && path.at[path.len - 1] == '/') {
        path.len--;
    }
    if (!m->path_segments || path.len <= 1) {
        out->path_specifier_case = PB_ROUTE_ROUTE_MATCH_PATH_SPECIFIER_PREFIX;
        out->prefix = path.len > 0 ? path : SPAN("/");
    } else {
        out->path_specifier_case = PB_ROUTE_ROUTE_MATCH_PATH_SPECIFIER_PATH_SEPARATED_PREFIX;
        out->path_separated_prefix = path;
    }
}

static void set_path(struct translation *t, struct pb_route_RouteMatch *out,
                     const struct world_match *m)
{
    switch (m->path.kind) {
    case WORLD_MATCH_EXACT:
        out->path_specifier_case = PB_ROUTE_ROUTE_MATCH_PATH_SPECIFIER_PATH;
        out->path = m->path.text;
        break;
    case WORLD_MATCH_PREFIX:
        set_prefix(out, m);
        break;
    case WORLD_MATCH_REGEX:
        out->path_specifier_case = PB_ROUTE_ROUTE_MATCH_PATH_SPECIFIER_SAFE_REGEX;
        out->safe_regex = message_regex(t->arena, m->path.text);
        return;
    case WORLD_MATCH_PRESENT:
    case WORLD_MATCH_ABSENT:
        everything(out);
        return;
    }
    if (m->path.ignore_case) {
        out->case_sensitive = message_bool(t->arena, false);
    }
}

struct pb_route_RouteMatch *vhost_match(struct translation *t, const struct world_match *m)
{
    struct pb_route_RouteMatch *out = arena_new(t->arena, struct pb_route_RouteMatch);
    if (!m || !m->has_path) {
        everything(out);
    } else {
        set_path(t, out, m);
    }
    if (!m) {
        return out;
    }
    for (size_t i = 0; i < m->header_count; i++) {
        add_header(t, out, m->headers[i].name, &m->headers[i].value);
    }
    if (m->has_method) {
        add_header(t, out, SPAN(":method"), &m->method);
    }
    if (m->has_authority) {
        add_header(t, out, SPAN(":authority"), &m->authority);
    }
    if (m->has_scheme) {
        add_header(t, out, SPAN(":scheme"), &m->scheme);
    }
    for (size_t i = 0; i < m->query_count; i++) {
        add_query(t, out, &m->queries[i]);
    }
    return out;
}
