/* RouteConfiguration -> route_table: virtual hosts, their domains, and what routes inherit.
 * Source: envoy.config.route.v3.RouteConfiguration, VirtualHost, Route. */
#include "policy/known.h"
#include "policy/pb_value.h"
#include "policy/route_int.h"

#define DIRECT_BODY_MAX 4096 /* RouteConfiguration.max_direct_response_body_size_bytes */
#define DIRECT_BODY_ALONE_MAX \
    1048576 /* of a virtual host that comes alone: as Istio's tables say */

/* ---- routes ---- */

/* Ops from the most specific level to the least, or the other way round; NULL-terminated. */
static const struct route_header_ops *const *header_chain(const struct route_scope *scope,
                                                          const struct route_header_ops *own)
{
    const struct route_header_ops *levels[] = {own, scope->host_headers, scope->table_headers};
    const struct route_header_ops **chain =
        arena_array(scope->with->arena, 4, sizeof(const void *));
    bool is_turned = scope->config->most_specific_header_mutations_wins;
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        const struct route_header_ops *ops = levels[is_turned ? ARRAY_LEN(levels) - 1 - i : i];
        if (ops && route_headers_any(ops)) {
            chain[count++] = ops;
        }
    }
    return chain;
}

/* What prefix_rewrite replaces: the matched prefix, or all of the path for other kinds of match. */
static size_t matched_len(const struct route_match *m)
{
    return m->kind == ROUTE_PATH_PREFIX || m->kind == ROUTE_PATH_SEPARATED ? m->path.len : SIZE_MAX;
}

static int inherit(struct route *r, const struct route_scope *scope,
                   const struct pb_route_Route *config, struct err *err)
{
    struct arena *arena = scope->with->arena;
    struct route_header_ops own;
    int rc = route_headers_compile(&own, arena, ROUTE_HEADER_LISTS(config), err);
    if (rc != 0) {
        return rc;
    }
    r->headers = scope->host_chain;
    if (route_headers_any(&own)) {
        struct route_header_ops *kept = arena_new(arena, struct route_header_ops);
        *kept = own;
        r->headers = header_chain(scope, kept);
    }
    r->cluster_headers_last = scope->config->most_specific_header_mutations_wins;
    struct route_override_list overrides;
    rc = route_overrides_compile(&overrides, arena,
                                 ROUTE_OVERRIDE_ENTRIES(arena, &config->typed_per_filter_config),
                                 config->typed_per_filter_config.count, &scope->overrides, err);
    r->overrides = overrides.at;
    r->override_count = overrides.count;
    return rc;
}

static int compile_route(struct route_entry *e, const struct route_scope *scope,
                         const struct pb_route_Route *config, struct err *err)
{
    struct route *r = &e->route;
    r->name = config->name;
    r->virtual_host = scope->host->name;
    r->attempt_count = scope->host->include_request_attempt_count;
    r->attempt_count_response = scope->host->include_attempt_count_in_response;
    if (config->decorator) {
        r->operation = config->decorator->operation;
        r->operation_hidden = !pb_value_bool(config->decorator->propagate, true);
    }
    if (!config->match) {
        return err_set(err, -ERR_CONFIG, "match is missing");
    }
    int rc = route_match_compile(&e->match, scope->with->arena, config->match, err);
    if (rc != 0) {
        return err_prefix(err, "match");
    }
    r->matched_prefix_len = matched_len(&e->match);
    rc = route_action_compile(r, scope, config, err);
    return rc != 0 ? rc : inherit(r, scope, config, err);
}

/* ---- virtual hosts ---- */

static int require_tls(struct virtual_host *host, const struct route_scope *scope, struct err *err)
{
    switch (scope->host->require_tls) {
    case PB_ROUTE_VIRTUAL_HOST_TLS_REQUIREMENT_TYPE_NONE:
        return 0;
    case PB_ROUTE_VIRTUAL_HOST_TLS_REQUIREMENT_TYPE_ALL: {
        struct route *r = arena_new(scope->with->arena, struct route);
        r->virtual_host = scope->host->name;
        r->action = ROUTE_REDIRECT;
        r->redirect_status = 301;
        r->redirect_https = true;
        r->headers = scope->host_chain;
        host->https_redirect = r;
        return 0;
    }
    default:
        return err_set(err, -ERR_CONFIG, "require_tls: only NONE and ALL are supported");
    }
}

static int host_scope(struct route_scope *scope, struct route_override_list *table_overrides,
                      struct err *err)
{
    const struct pb_route_VirtualHost *config = scope->host;
    struct arena *arena = scope->with->arena;
    if (config->retry_policy_typed_config) {
        return err_set(err, -ERR_CONFIG, "retry_policy_typed_config is not supported");
    }
    if (config->hedge_policy) {
        return err_set(err, -ERR_CONFIG, "hedge_policy is not supported");
    }
    if (config->include_is_timeout_retry_header) {
        return err_set(err, -ERR_CONFIG, "include_is_timeout_retry_header is not supported");
    }
    struct route_header_ops *ops = arena_new(arena, struct route_header_ops);
    int rc = route_headers_compile(ops, arena, ROUTE_HEADER_LISTS(config), err);
    scope->host_headers = ops;
    scope->host_chain = header_chain(scope, NULL);
    return rc != 0 ? rc
                   : route_overrides_compile(
                         &scope->overrides, arena,
                         ROUTE_OVERRIDE_ENTRIES(arena, &config->typed_per_filter_config),
                         config->typed_per_filter_config.count, table_overrides, err);
}

static int compile_host(struct virtual_host *host, struct route_scope *scope, struct err *err)
{
    const struct pb_route_VirtualHost *config = scope->host;
    struct arena *arena = scope->with->arena;
    host->name = config->name;
    host->count = config->routes.count;
    struct route_entry *entries = arena_array(arena, host->count, sizeof(*entries));
    for (uint32_t i = 0; i < config->routes.count; i++) {
        const struct pb_route_Route *route = config->routes.at[i];
        int rc = compile_route(&entries[i], scope, route, err);
        if (rc != 0) {
            return route->name.len > 0
                       ? err_prefix(err, "route %u '%.*s'", i, SPAN_ARG(route->name))
                       : err_prefix(err, "route %u", i);
        }
    }
    host->entries = entries;
    if (host->count >= ROUTE_INDEX_MIN) {
        struct route_index *x = arena_new(arena, struct route_index);
        route_index_build(x, arena, entries, host->count);
        host->index = x;
    }
    return require_tls(host, scope, err);
}

/* ---- domains ---- */

static int add_domain(struct route_table *t, struct arena *arena, struct span domain,
                      struct virtual_host *host, struct err *err)
{
    struct span d = header_match_lower(arena, domain);
    void *before = NULL;
    if (span_is(d, "*")) {
        before = t->any;
        t->any = host;
    } else if (d.len > 0 && d.at[0] == '*') {
        before = map_put(&t->suffixes.map, span_from_offset(d, 1), host);
    } else if (d.len > 0 && d.at[d.len - 1] == '*') {
        before = map_put(&t->prefixes.map, span_first(d, d.len - 1), host);
    } else {
        before = map_put(&t->exact, d, host);
    }
    if (before) {
        return err_set(err, -ERR_CONFIG, "domain '%.*s' is also in virtual host '%.*s'",
                       SPAN_ARG(domain), SPAN_ARG(((struct virtual_host *)before)->name));
    }
    return 0;
}

static int longer_first(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void wildcard_lengths(struct host_wildcards *w, struct arena *arena)
{
    size_t count = map_count(&w->map);
    if (count == 0) {
        return;
    }
    uint32_t *lengths = arena_array(arena, count, sizeof(*lengths));
    size_t at = 0;
    for (struct map_slot *s = NULL; (s = map_next(&w->map, s));) {
        lengths[at++] = (uint32_t)s->key.len;
    }
    qsort(lengths, count, sizeof(*lengths), longer_first);
    w->lengths = lengths;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || lengths[i] != lengths[i - 1]) {
            lengths[w->length_count++] = lengths[i];
        }
    }
}

/* ---- the table ---- */

static int refuse_unsupported(const struct pb_route_RouteConfiguration *config, struct err *err)
{
    const char *field = NULL;
    if (config->internal_only_headers.count > 0) {
        field = "internal_only_headers";
    } else if (config->cluster_specifier_plugins.count > 0) {
        field = "cluster_specifier_plugins";
    } else if (config->vhost_header.len > 0) {
        field = "vhost_header";
    }
    return field ? err_set(err, -ERR_CONFIG, "'%s' is not supported", field)
                 : known_check(&pb_route_RouteConfiguration_desc, config, err);
}

/* A virtual host that comes alone is compiled alone: nothing of its table may hold for it. */
static int refuse_with_vhds(const struct pb_route_RouteConfiguration *config, struct err *err)
{
    const char *field = NULL;
    if (config->request_headers_to_add.count > 0) {
        field = "request_headers_to_add";
    } else if (config->request_headers_to_remove.count > 0) {
        field = "request_headers_to_remove";
    } else if (config->response_headers_to_add.count > 0) {
        field = "response_headers_to_add";
    } else if (config->response_headers_to_remove.count > 0) {
        field = "response_headers_to_remove";
    } else if (config->typed_per_filter_config.count > 0) {
        field = "typed_per_filter_config";
    } else if (config->most_specific_header_mutations_wins) {
        field = "most_specific_header_mutations_wins";
    }
    return field != NULL && config->vhds != NULL
               ? err_set(err, -ERR_CONFIG, "'%s' is not supported together with vhds", field)
               : 0;
}

static void dispose(void *arg)
{
    struct route_table *t = arg;
    map_dispose(&t->exact);
    map_dispose(&t->suffixes.map);
    map_dispose(&t->prefixes.map);
}

static struct route_table *new_table(struct arena *arena,
                                     const struct pb_route_RouteConfiguration *config)
{
    struct route_table *t = arena_new(arena, struct route_table);
    t->name = config->name;
    t->ignore_port = config->ignore_port_in_host_matching;
    t->ignore_path_parameters = config->ignore_path_parameters_in_path_matching;
    t->learns = config->vhds != NULL;
    map_init(&t->learned);
    map_init(&t->exact);
    map_init(&t->suffixes.map);
    map_init(&t->prefixes.map);
    arena_defer(arena, dispose, t);
    return t;
}

static int compile_hosts(struct route_table *t, struct route_scope *scope,
                         struct route_override_list *table_overrides, struct err *err)
{
    struct arena *arena = scope->with->arena;
    for (uint32_t i = 0; i < scope->config->virtual_hosts.count; i++) {
        scope->host = scope->config->virtual_hosts.at[i];
        struct virtual_host *host = arena_new(arena, struct virtual_host);
        int rc = host_scope(scope, table_overrides, err);
        rc = rc != 0 ? rc : compile_host(host, scope, err);
        if (rc == 0 && scope->host->domains.count == 0) {
            rc = err_set(err, -ERR_CONFIG, "domains is empty");
        }
        for (uint32_t d = 0; d < scope->host->domains.count && rc == 0; d++) {
            rc = add_domain(t, arena, scope->host->domains.at[d], host, err);
        }
        if (rc != 0) {
            return err_prefix(err, "virtual host '%.*s'", SPAN_ARG(scope->host->name));
        }
    }
    wildcard_lengths(&t->suffixes, arena);
    wildcard_lengths(&t->prefixes, arena);
    return 0;
}

int route_table_compile(struct route_table **out, const struct route_compile *with,
                        const struct pb_route_RouteConfiguration *config, struct err *err)
{
    int rc = refuse_unsupported(config, err);
    rc = rc != 0 ? rc : refuse_with_vhds(config, err);
    if (rc != 0) {
        return rc;
    }
    struct route_scope scope = {
        .with = with,
        .config = config,
        .direct_body_max =
            pb_value_u32(config->max_direct_response_body_size_bytes, DIRECT_BODY_MAX),
    };
    struct route_header_ops *ops = arena_new(with->arena, struct route_header_ops);
    rc = route_headers_compile(ops, with->arena, ROUTE_HEADER_LISTS(config), err);
    scope.table_headers = ops;
    struct route_override_list overrides = {0};
    if (rc == 0) {
        rc = route_overrides_compile(
            &overrides, with->arena,
            ROUTE_OVERRIDE_ENTRIES(with->arena, &config->typed_per_filter_config),
            config->typed_per_filter_config.count, NULL, err);
    }
    struct route_table *t = new_table(with->arena, config);
    rc = rc != 0 ? rc : compile_hosts(t, &scope, &overrides, err);
    if (rc == 0) {
        *out = t;
    }
    return rc;
}

/* ---- virtual hosts on demand ---- */

int route_host_compile(const struct virtual_host **out, const struct route_compile *with,
                       const struct pb_route_VirtualHost *config, struct err *err)
{
    static const struct pb_route_RouteConfiguration none;
    struct route_scope scope = {
        .with = with, .config = &none, .host = config, .direct_body_max = DIRECT_BODY_ALONE_MAX};
    struct virtual_host *host = arena_new(with->arena, struct virtual_host);
    int rc = known_check(&pb_route_VirtualHost_desc, config, err);
    rc = rc != 0 ? rc : host_scope(&scope, NULL, err);
    rc = rc != 0 ? rc : compile_host(host, &scope, err);
    *out = host;
    return rc;
}

bool route_table_learns(const struct route_table *t)
{
    return t->learns;
}

static void dispose_learned(void *arg)
{
    map_dispose(arg);
}

struct route_table *route_table_with(const struct route_table *base, struct arena *arena,
                                     const struct route_learned *hosts, size_t count)
{
    struct route_table *t = arena_new(arena, struct route_table);
    *t = *base; /* shares its maps */
    map_init(&t->learned);
    for (size_t i = 0; i < count; i++) {
        (void)map_put(&t->learned, hosts[i].authority,
                      (void *)(uintptr_t)hosts[i].host); /* only read */
    }
    arena_defer(arena, dispose_learned, &t->learned);
    return t;
}
