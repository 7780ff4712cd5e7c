/* envoy.config.rbac.v3.RBAC -> struct rbac. */
#include "policy/known.h"
#include "policy/pb_value.h"
#include "policy/rbac_int.h"
#include "proto/matcher.pb.h"
#include "proto/rbac.pb.h"

#define PEER_PRINCIPAL_KEY "io.istio.peer_principal" /* filter state that newer Istio matches on */

/* ---- conditions that both trees have ---- */

static int header_node(struct rbac_node *out, struct arena *arena,
                       const struct pb_route_HeaderMatcher *config, struct err *err)
{
    out->kind = RBAC_HEADER;
    return header_match_compile(&out->header, arena, config, err);
}

static int path_node(struct rbac_node *out, struct arena *arena,
                     const struct pb_matcher_PathMatcher *config, struct err *err)
{
    out->kind = RBAC_PATH;
    if (!config->path) {
        return err_set(err, -ERR_CONFIG, "url_path: path is missing");
    }
    int rc = string_match_compile(&out->text, arena, config->path, err);
    return rc != 0 ? err_prefix(err, "url_path") : 0;
}

static int cidr_node(struct rbac_node *out, enum rbac_kind kind,
                     const struct pb_core_CidrRange *config, const char *field, struct err *err)
{
    out->kind = kind;
    int rc = pb_value_cidr(config, &out->cidr, err);
    return rc != 0 ? err_prefix(err, "%s", field) : 0;
}

static struct rbac_node *set_node(struct rbac_node *out, enum rbac_kind kind, struct arena *arena,
                                  size_t count)
{
    struct rbac_node *items = arena_array(arena, count, sizeof(*items));
    *out = (struct rbac_node){.kind = kind, .set = {items, count}};
    return items;
}

static int too_deep(struct err *err)
{
    return err_set(err, -ERR_CONFIG, "more than %d conditions inside each other", RBAC_DEPTH_MAX);
}

/* ---- permissions ---- */

static int permission(struct rbac_node *out, struct arena *arena,
                      const struct pb_rbac_Permission *config, unsigned depth, struct err *err);

static int permissions(struct rbac_node *out, enum rbac_kind kind, struct arena *arena,
                       struct pb_rbac_Permission *const *list, size_t count, unsigned depth,
                       struct err *err)
{
    if (count == 0) { /* Permission.Set.rules: min_items 1 */
        return err_set(err, -ERR_CONFIG, "a set of permissions is empty");
    }
    struct rbac_node *items = set_node(out, kind, arena, count);
    for (size_t i = 0; i < count; i++) {
        int rc = permission(&items[i], arena, list[i], depth + 1, err);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int port_range(struct rbac_node *out, const struct pb_type_Int32Range *range,
                      struct err *err)
{
    out->kind = RBAC_PORTS;
    if (range->start < 0 || range->end > 65536 || range->start >= range->end) {
        return err_set(err, -ERR_CONFIG,
                       "destination_port_range is %d to %d; use 0 to 65536, start first",
                       (int)range->start, (int)range->end);
    }
    out->ports.start = (uint32_t)range->start;
    out->ports.end = (uint32_t)range->end;
    return 0;
}

static int port(struct rbac_node *out, uint32_t number, struct err *err)
{
    out->kind = RBAC_PORTS;
    out->ports.start = number;
    out->ports.end = number + 1;
    return number <= 65535 ? 0
                           : err_set(err, -ERR_CONFIG, "destination_port %u is not a port", number);
}

static int permission(struct rbac_node *out, struct arena *arena,
                      const struct pb_rbac_Permission *config, unsigned depth, struct err *err)
{
    if (depth > RBAC_DEPTH_MAX) {
        return too_deep(err);
    }
    switch (config->rule_case) {
    case PB_RBAC_PERMISSION_RULE_AND_RULES:
        return permissions(out, RBAC_AND, arena, config->and_rules->rules.at,
                           config->and_rules->rules.count, depth, err);
    case PB_RBAC_PERMISSION_RULE_OR_RULES:
        return permissions(out, RBAC_OR, arena, config->or_rules->rules.at,
                           config->or_rules->rules.count, depth, err);
    case PB_RBAC_PERMISSION_RULE_NOT_RULE:
        return permission(set_node(out, RBAC_NOT, arena, 1), arena, config->not_rule, depth + 1,
                          err);
    case PB_RBAC_PERMISSION_RULE_ANY:
        out->kind = RBAC_ANY;
        return config->any ? 0 : err_set(err, -ERR_CONFIG, "any is false");
    case PB_RBAC_PERMISSION_RULE_HEADER:
        return header_node(out, arena, config->header, err);
    case PB_RBAC_PERMISSION_RULE_URL_PATH:
        return path_node(out, arena, config->url_path, err);
    case PB_RBAC_PERMISSION_RULE_DESTINATION_IP:
        return cidr_node(out, RBAC_DESTINATION, config->destination_ip, "destination_ip", err);
    case PB_RBAC_PERMISSION_RULE_DESTINATION_PORT:
        return port(out, config->destination_port, err);
    case PB_RBAC_PERMISSION_RULE_DESTINATION_PORT_RANGE:
        return port_range(out, config->destination_port_range, err);
    case PB_RBAC_PERMISSION_RULE_REQUESTED_SERVER_NAME: {
        out->kind = RBAC_SNI;
        int rc = string_match_compile(&out->text, arena, config->requested_server_name, err);
        return rc != 0 ? err_prefix(err, "requested_server_name") : 0;
    }
    case PB_RBAC_PERMISSION_RULE_METADATA:
        return err_set(err, -ERR_CONFIG, "metadata of '%.*s' can not be evaluated",
                       SPAN_ARG(config->metadata->filter));
    case PB_RBAC_PERMISSION_RULE_SOURCED_METADATA:
        return err_set(err, -ERR_CONFIG, "sourced_metadata can not be evaluated");
    case PB_RBAC_PERMISSION_RULE_MATCHER:
        return err_set(err, -ERR_CONFIG, "matcher '%.*s' is not known",
                       SPAN_ARG(config->matcher->name));
    case PB_RBAC_PERMISSION_RULE_URI_TEMPLATE:
        return err_set(err, -ERR_CONFIG, "uri_template '%.*s' is not supported",
                       SPAN_ARG(config->uri_template->name));
    default:
        return err_set(err, -ERR_CONFIG, "rule is not set");
    }
}

/* ---- principals ---- */

static int principal(struct rbac_node *out, struct arena *arena,
                     const struct pb_rbac_Principal *config, unsigned depth, struct err *err);

static int principals(struct rbac_node *out, enum rbac_kind kind, struct arena *arena,
                      struct pb_rbac_Principal *const *list, size_t count, unsigned depth,
                      struct err *err)
{
    if (count == 0) {
        return err_set(err, -ERR_CONFIG, "a set of principals is empty");
    }
    struct rbac_node *items = set_node(out, kind, arena, count);
    for (size_t i = 0; i < count; i++) {
        int rc = principal(&items[i], arena, list[i], depth + 1, err);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int peer(struct rbac_node *out, struct arena *arena,
                const struct pb_matcher_StringMatcher *config, const char *field, struct err *err)
{
    out->kind = RBAC_PEER;
    int rc = string_match_compile(&out->text, arena, config, err);
    return rc != 0 ? err_prefix(err, "%s", field) : 0;
}

static int filter_state(struct rbac_node *out, struct arena *arena,
                        const struct pb_matcher_FilterStateMatcher *config, struct err *err)
{
    if (!span_is(config->key, PEER_PRINCIPAL_KEY)) {
        return err_set(err, -ERR_CONFIG, "filter_state '%.*s' is not known; only '%s' is",
                       SPAN_ARG(config->key), PEER_PRINCIPAL_KEY);
    }
    if (!config->string_match) {
        return err_set(err, -ERR_CONFIG, "filter_state '%s': only string_match is supported",
                       PEER_PRINCIPAL_KEY);
    }
    return peer(out, arena, config->string_match, "filter_state", err);
}

static int principal(struct rbac_node *out, struct arena *arena,
                     const struct pb_rbac_Principal *config, unsigned depth, struct err *err)
{
    if (depth > RBAC_DEPTH_MAX) {
        return too_deep(err);
    }
    switch (config->identifier_case) {
    case PB_RBAC_PRINCIPAL_IDENTIFIER_AND_IDS:
        return principals(out, RBAC_AND, arena, config->and_ids->ids.at, config->and_ids->ids.count,
                          depth, err);
    case PB_RBAC_PRINCIPAL_IDENTIFIER_OR_IDS:
        return principals(out, RBAC_OR, arena, config->or_ids->ids.at, config->or_ids->ids.count,
                          depth, err);
    case PB_RBAC_PRINCIPAL_IDENTIFIER_NOT_ID:
        return principal(set_node(out, RBAC_NOT, arena, 1), arena, config->not_id, depth + 1, err);
    case PB_RBAC_PRINCIPAL_IDENTIFIER_ANY:
        out->kind = RBAC_ANY;
        return config->any ? 0 : err_set(err, -ERR_CONFIG, "any is false");
    case PB_RBAC_PRINCIPAL_IDENTIFIER_AUTHENTICATED:
        if (!config->authenticated->principal_name) {
            out->kind = RBAC_PEER_ANY;
            return 0;
        }
        return peer(out, arena, config->authenticated->principal_name, "authenticated", err);
    case PB_RBAC_PRINCIPAL_IDENTIFIER_FILTER_STATE:
        return filter_state(out, arena, config->filter_state, err);
    case PB_RBAC_PRINCIPAL_IDENTIFIER_SOURCE_IP:
        return cidr_node(out, RBAC_SOURCE_IP, config->source_ip, "source_ip", err);
    case PB_RBAC_PRINCIPAL_IDENTIFIER_DIRECT_REMOTE_IP:
        return cidr_node(out, RBAC_DIRECT_IP, config->direct_remote_ip, "direct_remote_ip", err);
    case PB_RBAC_PRINCIPAL_IDENTIFIER_REMOTE_IP:
        return cidr_node(out, RBAC_REMOTE_IP, config->remote_ip, "remote_ip", err);
    case PB_RBAC_PRINCIPAL_IDENTIFIER_HEADER:
        return header_node(out, arena, config->header, err);
    case PB_RBAC_PRINCIPAL_IDENTIFIER_URL_PATH:
        return path_node(out, arena, config->url_path, err);
    case PB_RBAC_PRINCIPAL_IDENTIFIER_METADATA:
        return err_set(err, -ERR_CONFIG, "metadata of '%.*s' can not be evaluated",
                       SPAN_ARG(config->metadata->filter));
    case PB_RBAC_PRINCIPAL_IDENTIFIER_SOURCED_METADATA:
        return err_set(err, -ERR_CONFIG, "sourced_metadata can not be evaluated");
    case PB_RBAC_PRINCIPAL_IDENTIFIER_CUSTOM:
        return err_set(err, -ERR_CONFIG, "custom '%.*s' is not known",
                       SPAN_ARG(config->custom->name));
    default:
        return err_set(err, -ERR_CONFIG, "identifier is not set");
    }
}

/* ---- policies ---- */

static int compile_policy(struct rbac_policy *out, struct arena *arena, struct span name,
                          const struct pb_rbac_Policy *config, struct err *err)
{
    out->name = name;
    if (!config) {
        return err_set(err, -ERR_CONFIG, "the policy is empty");
    }
    int rc = permissions(&out->permission, RBAC_OR, arena, config->permissions.at,
                         config->permissions.count, 0, err);
    if (rc != 0) {
        return err_prefix(err, "permission");
    }
    rc = principals(&out->principal, RBAC_OR, arena, config->principals.at,
                    config->principals.count, 0, err);
    return rc != 0 ? err_prefix(err, "principal") : 0;
}

static int by_name(const void *a, const void *b)
{
    return span_cmp(((const struct rbac_policy *)a)->name, ((const struct rbac_policy *)b)->name);
}

static int check_audit(const struct pb_rbac_RBAC_AuditLoggingOptions *audit, struct err *err)
{
    if (!audit ||
        audit->audit_condition == PB_RBAC_RBAC_AUDIT_LOGGING_OPTIONS_AUDIT_CONDITION_NONE) {
        return 0;
    }
    for (uint32_t i = 0; i < audit->logger_configs.count; i++) {
        if (!audit->logger_configs.at[i]->is_optional) {
            return err_set(err, -ERR_CONFIG, "audit_logging_options is not supported");
        }
    }
    return 0;
}

static int action_of(struct rbac *r, int32_t action, struct err *err)
{
    switch (action) {
    case PB_RBAC_RBAC_ACTION_ALLOW:
        r->action = RBAC_ALLOW;
        return 0;
    case PB_RBAC_RBAC_ACTION_DENY:
        r->action = RBAC_DENY;
        return 0;
    case PB_RBAC_RBAC_ACTION_LOG:
        r->action = RBAC_LOG;
        return 0;
    default:
        return err_set(err, -ERR_CONFIG, "action %d is not known", (int)action);
    }
}

int rbac_compile(struct rbac **out, struct arena *arena, const struct pb_rbac_RBAC *config,
                 bool opaque, struct err *err)
{
    struct rbac *r = arena_new(arena, struct rbac);
    r->opaque = opaque;
    int rc = action_of(r, config->action, err);
    rc = rc != 0 ? rc : check_audit(config->audit_logging_options, err);
    rc = rc != 0 ? rc : known_check(&pb_rbac_RBAC_desc, config, err);
    if (rc != 0) {
        return rc;
    }
    struct rbac_policy *policies = arena_array(arena, config->policies.count, sizeof(*policies));
    for (uint32_t i = 0; i < config->policies.count; i++) {
        struct span name = config->policies.at[i]->key;
        rc = compile_policy(&policies[i], arena, name, config->policies.at[i]->value, err);
        if (rc != 0) {
            return err_prefix(err, "policy '%.*s'", SPAN_ARG(name));
        }
    }
    /* Envoy keeps them in a map by name: the first by name that matches is the one that is told. */
    if (config->policies.count > 1) {
        qsort(policies, config->policies.count, sizeof(*policies), by_name);
    }
    r->policies = policies;
    r->count = config->policies.count;
    r->index = rbac_index_build(arena, policies, r->count);
    *out = r;
    return 0;
}
