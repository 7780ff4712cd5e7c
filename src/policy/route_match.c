/* One route's conditions.
 * Source: envoy.config.route.v3.RouteMatch; Envoy source/common/router/config_impl.cc (matchRoute). */
#include "policy/pb_value.h"
#include "policy/route_int.h"

static int compile_path(struct route_match *out, struct arena *arena,
                        const struct pb_route_RouteMatch *config, struct err *err)
{
    out->nocase = !pb_value_bool(config->case_sensitive, true);
    switch (config->path_specifier_case) {
    case PB_ROUTE_ROUTE_MATCH_PATH_SPECIFIER_PREFIX:
        out->kind = ROUTE_PATH_PREFIX;
        out->path = config->prefix;
        return 0;
    case PB_ROUTE_ROUTE_MATCH_PATH_SPECIFIER_PATH:
        out->kind = ROUTE_PATH_EXACT;
        out->path = config->path;
        return 0;
    case PB_ROUTE_ROUTE_MATCH_PATH_SPECIFIER_PATH_SEPARATED_PREFIX:
        out->kind = ROUTE_PATH_SEPARATED;
        out->path = config->path_separated_prefix;
        if (out->path.len == 0 || out->path.at[out->path.len - 1] == '/' ||
            query_match_path(out->path).len != out->path.len) {
            return err_set(
                err, -ERR_CONFIG,
                "path_separated_prefix '%.*s' must not be empty, end in '/' or hold '?' or '#'",
                SPAN_ARG(out->path));
        }
        return 0;
    case PB_ROUTE_ROUTE_MATCH_PATH_SPECIFIER_SAFE_REGEX: {
        struct string_match m;
        int rc = string_match_compile_regex(&m, arena, config->safe_regex, err);
        out->kind = ROUTE_PATH_REGEX;
        out->path = m.text;
        out->regex = m.regex;
        return rc;
    }
    case PB_ROUTE_ROUTE_MATCH_PATH_SPECIFIER_CONNECT_MATCHER:
        out->kind = ROUTE_PATH_CONNECT;
        return 0;
    case PB_ROUTE_ROUTE_MATCH_PATH_SPECIFIER_PATH_MATCH_POLICY:
        return err_set(err, -ERR_CONFIG, "path_match_policy '%.*s' is not known",
                       SPAN_ARG(config->path_match_policy->name));
    default:
        return err_set(
            err, -ERR_CONFIG,
            "path_specifier is not set; use prefix, path, safe_regex, connect_matcher or "
            "path_separated_prefix");
    }
}

static int compile_headers(struct route_match *out, struct arena *arena,
                           const struct pb_route_RouteMatch *config, struct err *err)
{
    struct header_match *headers = arena_array(arena, config->headers.count, sizeof(*headers));
    struct query_match *queries =
        arena_array(arena, config->query_parameters.count, sizeof(*queries));
    struct cookie_match *cookies = arena_array(arena, config->cookies.count, sizeof(*cookies));
    int rc = 0;
    for (uint32_t i = 0; i < config->headers.count && rc == 0; i++) {
        rc = header_match_compile(&headers[i], arena, config->headers.at[i], err);
    }
    for (uint32_t i = 0; i < config->query_parameters.count && rc == 0; i++) {
        rc = query_match_compile(&queries[i], arena, config->query_parameters.at[i], err);
    }
    for (uint32_t i = 0; i < config->cookies.count && rc == 0; i++) {
        rc = cookie_match_compile(&cookies[i], arena, config->cookies.at[i], err);
    }
    out->headers = headers;
    out->header_count = config->headers.count;
    out->queries = queries;
    out->query_count = config->query_parameters.count;
    out->cookies = cookies;
    out->cookie_count = config->cookies.count;
    return rc;
}

static enum route_want want_of(const struct pb_protobuf_BoolValue *v)
{
    return !v ? ROUTE_WANT_ANY : v->value ? ROUTE_WANT_TRUE : ROUTE_WANT_FALSE;
}

int route_match_compile(struct route_match *out, struct arena *arena,
                        const struct pb_route_RouteMatch *config, struct err *err)
{
    *out = (struct route_match){.grpc = config->grpc != NULL};
    if (config->dynamic_metadata.count > 0) {
        return err_set(err, -ERR_CONFIG, "dynamic_metadata is not supported");
    }
    if (config->filter_state.count > 0) {
        return err_set(err, -ERR_CONFIG, "filter_state is not supported");
    }
    if (config->tls_context) {
        out->presented = want_of(config->tls_context->presented);
        out->validated = want_of(config->tls_context->validated);
    }
    if (config->runtime_fraction) {
        const struct pb_type_FractionalPercent *f = config->runtime_fraction->default_value;
        out->fraction_of = f ? pb_value_denominator(f) : 0;
        if (out->fraction_of == 0) {
            return err_set(err, -ERR_CONFIG,
                           "runtime_fraction: default_value is missing or not known");
        }
        out->fraction = f->numerator;
    }
    int rc = compile_path(out, arena, config, err);
    return rc != 0 ? rc : compile_headers(out, arena, config, err);
}

/* ---- matching ---- */

static bool is_prefix(const struct route_match *m, struct span path)
{
    return m->nocase ? span_starts_nocase(path, m->path) : span_starts(path, m->path);
}

static bool path_holds(const struct route_match *m, const struct route_ask *ask)
{
    struct span path = ask->path;
    if (m->kind == ROUTE_PATH_CONNECT) {
        return span_is(ask->traffic->method, "CONNECT");
    }
    if (ask->traffic->path.len == 0) { /* CONNECT has no path: only connect_matcher takes it */
        return false;
    }
    switch (m->kind) {
    case ROUTE_PATH_PREFIX:
        return is_prefix(m, path);
    case ROUTE_PATH_EXACT:
        return m->nocase ? span_eq_nocase(path, m->path) : span_eq(path, m->path);
    case ROUTE_PATH_SEPARATED:
        return is_prefix(m, path) && (path.len == m->path.len || path.at[m->path.len] == '/');
    case ROUTE_PATH_REGEX:
        return regex_full(m->regex, path);
    case ROUTE_PATH_CONNECT:
        break;
    }
    return false;
}

static const char *path_name(const struct route_match *m)
{
    switch (m->kind) {
    case ROUTE_PATH_PREFIX:
        return "prefix";
    case ROUTE_PATH_EXACT:
        return "path";
    case ROUTE_PATH_SEPARATED:
        return "path separated prefix";
    case ROUTE_PATH_REGEX:
        return "regex";
    case ROUTE_PATH_CONNECT:
        break;
    }
    return "CONNECT";
}

/* Content-type application/grpc, or application/grpc+proto and the like. */
static bool is_grpc(const struct traffic *tr)
{
    const struct header *type = header_find(tr->fields, tr->field_count, SPAN("content-type"));
    return type && span_starts(type->value, SPAN("application/grpc")) &&
           (type->value.len == sizeof("application/grpc") - 1 ||
            type->value.at[sizeof("application/grpc") - 1] == '+');
}

static bool want_holds(enum route_want want, bool is)
{
    return want == ROUTE_WANT_ANY || (want == ROUTE_WANT_TRUE) == is;
}

static bool tls_holds(const struct route_match *m, const struct traffic *tr)
{
    /* Only verified certificates are presented as a principal; Envoy's two conditions fall together. */
    bool has_certificate = tr->tls && tr->principal.len > 0;
    return want_holds(m->presented, has_certificate) && want_holds(m->validated, has_certificate);
}

static bool fields_hold(const struct route_match *m, const struct route_ask *ask)
{
    for (size_t i = 0; i < m->header_count; i++) {
        if (!header_match_holds(&m->headers[i], ask->traffic, ask->scratch)) {
            header_match_explain(&m->headers[i], ask->traffic, ask->scratch, ask->explain);
            return false;
        }
    }
    for (size_t i = 0; i < m->query_count; i++) {
        if (!query_match_holds(&m->queries[i], ask->query)) {
            explain_line(ask->explain, "query parameter '%.*s' does not match",
                         SPAN_ARG(m->queries[i].name));
            return false;
        }
    }
    for (size_t i = 0; i < m->cookie_count; i++) {
        if (!cookie_match_holds(&m->cookies[i], ask->traffic)) {
            explain_line(ask->explain, "cookie '%.*s' does not match",
                         SPAN_ARG(m->cookies[i].name));
            return false;
        }
    }
    return true;
}

bool route_match_holds(const struct route_match *m, const struct route_ask *ask)
{
    if (!path_holds(m, ask)) {
        explain_line(ask->explain, "path '%.*s' is not %s '%.*s'%s", SPAN_ARG(ask->path),
                     path_name(m), SPAN_ARG(m->path), m->nocase ? " (any case)" : "");
        return false;
    }
    if (m->grpc && !is_grpc(ask->traffic)) {
        explain_line(ask->explain, "the request is not gRPC");
        return false;
    }
    if (m->fraction_of != 0 && ask->traffic->random % m->fraction_of >= m->fraction) {
        explain_line(ask->explain, "the draw fell outside runtime_fraction %u of %u", m->fraction,
                     m->fraction_of);
        return false;
    }
    if ((m->presented != ROUTE_WANT_ANY || m->validated != ROUTE_WANT_ANY) &&
        !tls_holds(m, ask->traffic)) {
        explain_line(ask->explain, "tls_context: the client's certificate is not as wanted");
        return false;
    }
    return fields_hold(m, ask);
}
