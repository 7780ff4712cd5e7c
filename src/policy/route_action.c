/* What a route does: forward, redirect or answer.
 * Source: envoy.config.route.v3.RouteAction, RedirectAction, DirectResponseAction. */
#include "policy/pb_value.h"
#include "policy/route_int.h"

#define TIMEOUT_MS 15000 /* RouteAction.timeout */

/* ---- clusters ---- */

static unsigned slot_of(const struct route_scope *scope, struct span cluster)
{
    return scope->with->slot_of(scope->with->arg, cluster);
}

static int weighted_one(struct route_cluster *c, const struct route_scope *scope,
                        const struct pb_route_WeightedCluster_ClusterWeight *config,
                        struct err *err)
{
    if (config->cluster_header.len > 0) {
        return err_set(err, -ERR_CONFIG, "cluster_header is not supported among weighted clusters");
    }
    if (config->name.len == 0) {
        return err_set(err, -ERR_CONFIG, "name is empty");
    }
    c->name = config->name;
    c->slot = slot_of(scope, config->name);
    c->weight = pb_value_u32(config->weight, 0);
    c->host_rewrite = config->host_rewrite_literal;
    int rc =
        route_headers_compile(&c->headers, scope->with->arena, ROUTE_HEADER_LISTS(config), err);
    if (rc != 0) {
        return rc;
    }
    struct route_override_list list;
    rc = route_overrides_compile(
        &list, scope->with->arena,
        ROUTE_OVERRIDE_ENTRIES(scope->with->arena, &config->typed_per_filter_config),
        config->typed_per_filter_config.count, NULL, err);
    c->overrides = list.at;
    c->override_count = list.count;
    return rc;
}

static int weighted(struct route *out, const struct route_scope *scope,
                    const struct pb_route_WeightedCluster *config, struct err *err)
{
    if (config->random_value_specifier_case != 0) {
        return err_set(err, -ERR_CONFIG,
                       "weighted_clusters: random_value_specifier is not supported");
    }
    uint32_t count = config->clusters.count;
    struct route_cluster *clusters = arena_array(scope->with->arena, count, sizeof(*clusters));
    for (uint32_t i = 0; i < count; i++) {
        int rc = weighted_one(&clusters[i], scope, config->clusters.at[i], err);
        if (rc != 0) {
            return err_prefix(err, "weighted_clusters: cluster %u '%.*s'", i,
                              SPAN_ARG(config->clusters.at[i]->name));
        }
        out->total_weight += clusters[i].weight;
    }
    if (out->total_weight == 0 || out->total_weight > UINT32_MAX) {
        return err_set(err, -ERR_CONFIG, "weighted_clusters: the weights' sum is %llu; use 1 to %u",
                       (unsigned long long)out->total_weight, UINT32_MAX);
    }
    out->clusters = clusters;
    out->cluster_count = count;
    return 0;
}

static int clusters(struct route *out, const struct route_scope *scope,
                    const struct pb_route_RouteAction *config, struct err *err)
{
    switch (config->cluster_specifier_case) {
    case PB_ROUTE_ROUTE_ACTION_CLUSTER_SPECIFIER_CLUSTER: {
        if (config->cluster.len == 0) {
            return err_set(err, -ERR_CONFIG, "cluster is empty");
        }
        struct route_cluster *c = arena_new(scope->with->arena, struct route_cluster);
        *c = (struct route_cluster){
            .name = config->cluster, .slot = slot_of(scope, config->cluster), .weight = 1};
        out->clusters = c;
        out->cluster_count = 1;
        out->total_weight = 1;
        return 0;
    }
    case PB_ROUTE_ROUTE_ACTION_CLUSTER_SPECIFIER_CLUSTER_HEADER:
        out->cluster_header = header_match_lower(scope->with->arena, config->cluster_header);
        return out->cluster_header.len > 0 ? 0
                                           : err_set(err, -ERR_CONFIG, "cluster_header is empty");
    case PB_ROUTE_ROUTE_ACTION_CLUSTER_SPECIFIER_WEIGHTED_CLUSTERS:
        return weighted(out, scope, config->weighted_clusters, err);
    case PB_ROUTE_ROUTE_ACTION_CLUSTER_SPECIFIER_CLUSTER_SPECIFIER_PLUGIN:
    case PB_ROUTE_ROUTE_ACTION_CLUSTER_SPECIFIER_INLINE_CLUSTER_SPECIFIER_PLUGIN:
        return err_set(err, -ERR_CONFIG, "cluster_specifier_plugin is not supported");
    default:
        return err_set(
            err, -ERR_CONFIG,
            "cluster_specifier is not set; use cluster, weighted_clusters or cluster_header");
    }
}

/* ---- rewrites ---- */

static int regex_rewrite(struct route *out, struct arena *arena,
                         const struct pb_matcher_RegexMatchAndSubstitute *config, struct err *err)
{
    if (!config->pattern) {
        return err_set(err, -ERR_CONFIG, "regex_rewrite: pattern is missing");
    }
    struct string_match m;
    int rc = string_match_compile_regex(&m, arena, config->pattern, err);
    rc = rc != 0 ? rc : regex_check_substitution(m.regex, config->substitution, err);
    if (rc != 0) {
        return err_prefix(err, "regex_rewrite");
    }
    out->rewrite_regex = m.regex;
    out->rewrite_substitution = config->substitution;
    return 0;
}

static int host_rewrite(struct route *out, const struct pb_route_RouteAction *config,
                        struct err *err)
{
    switch (config->host_rewrite_specifier_case) {
    case 0:
        return 0;
    case PB_ROUTE_ROUTE_ACTION_HOST_REWRITE_SPECIFIER_HOST_REWRITE_LITERAL:
        out->host_rewrite = config->host_rewrite_literal;
        return 0;
    case PB_ROUTE_ROUTE_ACTION_HOST_REWRITE_SPECIFIER_AUTO_HOST_REWRITE:
        out->auto_host_rewrite = pb_value_bool(config->auto_host_rewrite, false);
        return 0;
    case PB_ROUTE_ROUTE_ACTION_HOST_REWRITE_SPECIFIER_HOST_REWRITE_HEADER:
        return err_set(err, -ERR_CONFIG, "host_rewrite_header is not supported");
    case PB_ROUTE_ROUTE_ACTION_HOST_REWRITE_SPECIFIER_HOST_REWRITE_PATH_REGEX:
        return err_set(err, -ERR_CONFIG, "host_rewrite_path_regex is not supported");
    default:
        return err_set(err, -ERR_CONFIG, "host_rewrite is not supported");
    }
}

static int rewrites(struct route *out, struct arena *arena,
                    const struct pb_route_RouteAction *config, struct err *err)
{
    if (config->path_rewrite_policy) {
        return err_set(err, -ERR_CONFIG, "path_rewrite_policy '%.*s' is not known",
                       SPAN_ARG(config->path_rewrite_policy->name));
    }
    if (config->path_rewrite.len > 0) {
        return err_set(err, -ERR_CONFIG, "path_rewrite is not supported");
    }
    if (config->prefix_rewrite.len > 0 && config->regex_rewrite) {
        return err_set(err, -ERR_CONFIG, "both prefix_rewrite and regex_rewrite are set");
    }
    out->prefix_rewrite = config->prefix_rewrite;
    if (config->regex_rewrite) {
        int rc = regex_rewrite(out, arena, config->regex_rewrite, err);
        if (rc != 0) {
            return rc;
        }
    }
    out->append_forwarded_host = config->append_x_forwarded_host;
    return host_rewrite(out, config, err);
}

/* ---- limits, mirrors, upgrades ---- */

static int timeouts(struct route *out, const struct pb_route_RouteAction *config, struct err *err)
{
    const struct pb_route_RouteAction_MaxStreamDuration *m = config->max_stream_duration;
    int rc = pb_value_ms(config->timeout, TIMEOUT_MS, "timeout", &out->timeout_ms, err);
    rc = rc != 0 ? rc : pb_value_ms(config->idle_timeout, -1, "idle_timeout", &out->idle_ms, err);
    if (rc == 0 && config->max_grpc_timeout) {
        out->grpc_timeout = true;
        rc = pb_value_ms(config->max_grpc_timeout, 0, "max_grpc_timeout", &out->grpc_timeout_max_ms,
                         err);
    }
    rc = rc != 0 ? rc
                 : pb_value_ms(config->grpc_timeout_offset, 0, "grpc_timeout_offset",
                               &out->grpc_timeout_offset_ms, err);
    if (rc == 0 && m) {
        rc =
            pb_value_ms(m->max_stream_duration, 0, "max_stream_duration", &out->max_stream_ms, err);
        out->grpc_stream = m->grpc_timeout_header_max != NULL;
        rc = rc != 0 ? rc
                     : pb_value_ms(m->grpc_timeout_header_max, 0, "grpc_timeout_header_max",
                                   &out->grpc_stream_max_ms, err);
        rc = rc != 0 ? rc
                     : pb_value_ms(m->grpc_timeout_header_offset, 0, "grpc_timeout_header_offset",
                                   &out->grpc_stream_offset_ms, err);
    }
    return rc;
}

static int mirror_one(struct route_mirror *m, const struct route_scope *scope,
                      const struct pb_route_RouteAction_RequestMirrorPolicy *config,
                      struct err *err)
{
    if (config->cluster_header.len > 0) {
        return err_set(err, -ERR_CONFIG, "cluster_header is not supported");
    }
    if (config->cluster.len == 0) {
        return err_set(err, -ERR_CONFIG, "cluster is empty");
    }
    m->name = config->cluster;
    m->slot = slot_of(scope, config->cluster);
    m->keep_host = config->disable_shadow_host_suffix_append;
    m->host_rewrite = config->host_rewrite_literal;
    m->parts_per_million = 1000000;
    const struct pb_core_RuntimeFractionalPercent *f = config->runtime_fraction;
    return f && f->default_value ? pb_value_fraction(f->default_value, &m->parts_per_million, err)
                                 : 0;
}

/* The nearest list counts: the route's, else the virtual host's, else the table's. */
static int mirrors(struct route *out, const struct route_scope *scope,
                   const struct pb_route_RouteAction *config, struct err *err)
{
    struct pb_route_RouteAction_RequestMirrorPolicy *const *list =
        config->request_mirror_policies.at;
    uint32_t count = config->request_mirror_policies.count;
    if (count == 0) {
        list = scope->host->request_mirror_policies.at;
        count = scope->host->request_mirror_policies.count;
    }
    if (count == 0) {
        list = scope->config->request_mirror_policies.at;
        count = scope->config->request_mirror_policies.count;
    }
    struct route_mirror *mirror = arena_array(scope->with->arena, count, sizeof(*mirror));
    for (uint32_t i = 0; i < count; i++) {
        int rc = mirror_one(&mirror[i], scope, list[i], err);
        if (rc != 0) {
            return err_prefix(err, "request_mirror_policies %u", i);
        }
    }
    out->mirrors = mirror;
    out->mirror_count = count;
    return 0;
}

static int upgrades(struct route *out, const struct pb_route_RouteAction *config, struct err *err)
{
    for (uint32_t i = 0; i < config->upgrade_configs.count; i++) {
        const struct pb_route_RouteAction_UpgradeConfig *u = config->upgrade_configs.at[i];
        bool enabled = pb_value_bool(u->enabled, true);
        if (span_eq_nocase(u->upgrade_type, SPAN("websocket"))) {
            out->websocket = enabled;
            out->websocket_off = !enabled;
        } else if (span_eq_nocase(u->upgrade_type, SPAN("CONNECT"))) {
            if (u->connect_config &&
                (u->connect_config->proxy_protocol_config || u->connect_config->allow_post)) {
                return err_set(err, -ERR_CONFIG, "connect_config: only an empty one is supported");
            }
            out->connect = enabled;
            out->connect_off = !enabled;
            out->connect_ends = enabled && u->connect_config;
        } else if (enabled) {
            return err_set(err, -ERR_CONFIG,
                           "upgrade_type '%.*s' is not supported; use websocket or CONNECT",
                           SPAN_ARG(u->upgrade_type));
        }
    }
    return 0;
}

static int refuse_unsupported(const struct pb_route_RouteAction *config, struct err *err)
{
    if (config->internal_redirect_policy || config->internal_redirect_action != 0) {
        return err_set(err, -ERR_CONFIG, "internal_redirect_policy is not supported");
    }
    if (config->hedge_policy) {
        return err_set(err, -ERR_CONFIG, "hedge_policy is not supported");
    }
    if (config->retry_policy_typed_config) {
        return err_set(err, -ERR_CONFIG, "retry_policy_typed_config is not supported");
    }
    return 0;
}

static unsigned no_cluster_status(int32_t code)
{
    switch (code) {
    case PB_ROUTE_ROUTE_ACTION_CLUSTER_NOT_FOUND_RESPONSE_CODE_NOT_FOUND:
        return 404;
    case PB_ROUTE_ROUTE_ACTION_CLUSTER_NOT_FOUND_RESPONSE_CODE_INTERNAL_SERVER_ERROR:
        return 500;
    default:
        return 503;
    }
}

static int forward(struct route *out, const struct route_scope *scope,
                   const struct pb_route_RouteAction *config, struct err *err)
{
    struct arena *arena = scope->with->arena;
    out->action = ROUTE_FORWARD;
    out->priority_high = config->priority == PB_CORE_ROUTING_PRIORITY_HIGH;
    out->no_cluster_status = no_cluster_status(config->cluster_not_found_response_code);
    int rc = refuse_unsupported(config, err);
    rc = rc != 0 ? rc : clusters(out, scope, config, err);
    rc = rc != 0 ? rc : rewrites(out, arena, config, err);
    rc = rc != 0 ? rc : timeouts(out, config, err);
    rc = rc != 0 ? rc : mirrors(out, scope, config, err);
    rc = rc != 0 ? rc : upgrades(out, config, err);
    rc = rc != 0 ? rc : route_hash_compile(out, arena, config, err);
    const struct pb_route_RetryPolicy *retry =
        config->retry_policy ? config->retry_policy : scope->host->retry_policy;
    if (rc == 0 && retry) {
        rc = route_retry_compile(&out->retry, arena, retry, err);
    }
    return rc;
}

/* ---- redirects and answers ---- */

static unsigned redirect_status(int32_t code)
{
    switch (code) {
    case PB_ROUTE_REDIRECT_ACTION_REDIRECT_RESPONSE_CODE_MOVED_PERMANENTLY:
        return 301;
    case PB_ROUTE_REDIRECT_ACTION_REDIRECT_RESPONSE_CODE_FOUND:
        return 302;
    case PB_ROUTE_REDIRECT_ACTION_REDIRECT_RESPONSE_CODE_SEE_OTHER:
        return 303;
    case PB_ROUTE_REDIRECT_ACTION_REDIRECT_RESPONSE_CODE_TEMPORARY_REDIRECT:
        return 307;
    case PB_ROUTE_REDIRECT_ACTION_REDIRECT_RESPONSE_CODE_PERMANENT_REDIRECT:
        return 308;
    default:
        return 0;
    }
}

static int redirect(struct route *out, struct arena *arena,
                    const struct pb_route_RedirectAction *config, struct err *err)
{
    out->action = ROUTE_REDIRECT;
    out->redirect_status = redirect_status(config->response_code);
    if (out->redirect_status == 0) {
        return err_set(err, -ERR_CONFIG, "redirect: response_code %d is not known",
                       (int)config->response_code);
    }
    if (config->port_redirect > 65535) {
        return err_set(err, -ERR_CONFIG, "redirect: port_redirect %u is not a port",
                       config->port_redirect);
    }
    out->redirect_https = config->https_redirect;
    out->redirect_scheme = config->scheme_redirect;
    out->redirect_host = config->host_redirect;
    out->redirect_port = config->port_redirect;
    out->redirect_path = config->path_redirect;
    out->redirect_prefix = config->prefix_rewrite;
    out->strip_query = config->strip_query;
    return config->regex_rewrite ? regex_rewrite(out, arena, config->regex_rewrite, err) : 0;
}

static int direct(struct route *out, const struct route_scope *scope,
                  const struct pb_route_DirectResponseAction *config, struct err *err)
{
    out->action = ROUTE_DIRECT;
    out->direct_status = config->status;
    if (config->status < 200 || config->status > 599) {
        return err_set(err, -ERR_CONFIG, "direct_response: status %u; use 200 to 599",
                       config->status);
    }
    if (config->body_format) {
        return err_set(err, -ERR_CONFIG, "direct_response: body_format is not supported");
    }
    const struct pb_core_DataSource *body = config->body;
    if (!body) {
        return 0;
    }
    if (body->specifier_case == PB_CORE_DATA_SOURCE_SPECIFIER_INLINE_STRING) {
        out->direct_body = body->inline_string;
    } else if (body->specifier_case == PB_CORE_DATA_SOURCE_SPECIFIER_INLINE_BYTES) {
        out->direct_body = body->inline_bytes;
    } else {
        return err_set(err, -ERR_CONFIG,
                       "direct_response: body: only inline_string and inline_bytes are supported");
    }
    if (out->direct_body.len > scope->direct_body_max) {
        return err_set(
            err, -ERR_CONFIG,
            "direct_response: the body has %zu bytes; max_direct_response_body_size_bytes is %zu",
            out->direct_body.len, scope->direct_body_max);
    }
    return 0;
}

int route_action_compile(struct route *out, const struct route_scope *scope,
                         const struct pb_route_Route *config, struct err *err)
{
    out->idle_ms = -1;
    switch (config->action_case) {
    case PB_ROUTE_ROUTE_ACTION_ROUTE:
        return forward(out, scope, config->route, err);
    case PB_ROUTE_ROUTE_ACTION_REDIRECT:
        return redirect(out, scope->with->arena, config->redirect, err);
    case PB_ROUTE_ROUTE_ACTION_DIRECT_RESPONSE:
        return direct(out, scope, config->direct_response, err);
    case PB_ROUTE_ROUTE_ACTION_FILTER_ACTION:
        return err_set(err, -ERR_CONFIG, "filter_action is not supported");
    case PB_ROUTE_ROUTE_ACTION_NON_FORWARDING_ACTION:
        return err_set(err, -ERR_CONFIG, "non_forwarding_action is not supported");
    default:
        return err_set(err, -ERR_CONFIG,
                       "action is not set; use route, redirect or direct_response");
    }
}
