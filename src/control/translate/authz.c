/* AuthorizationPolicy -> Envoy's RBAC.
 *
 *   each rule: when any of `from` (principals) and any of `to` (permissions) and all of `when` hold
 *   filters in order: AUDIT (log), DENY, ALLOW; a dry run goes into shadow rules
 *   opaque ports: a condition on HTTP makes an ALLOW rule void, and is left out of a DENY rule
 *
 * Policies are named "ns[default]-policy[name]-rule[0]", so that a denial can name its reason.
 * Source: Istio pilot/pkg/security/authz (builder/builder.go, model/model.go, model/generator.go, matcher/). */
#include "control/translate/translate_int.h"
#include "proto/hcm.pb.h"
#include "proto/http_rbac.pb.h"
#include "proto/listener.pb.h"
#include "proto/network_rbac.pb.h"
#include "proto/rbac.pb.h"
#include "proto/route.pb.h"

#define DEFAULT_TRUST_DOMAIN "cluster.local" /* stands for the mesh's own, whatever it is called */

struct rule {
    struct arena *arena;
    const struct world *w;
    bool opaque;
    bool tunnelled; /* principals are told by filter state */
    bool allow;
    bool is_void; /* an ALLOW rule with a condition that can not be asked here */
};

/* ---- text ---- */

/* "*" anything, "*x" suffix, "x*" prefix, else exact; `before` stands before all of them. */
static struct pb_matcher_StringMatcher *text(struct arena *arena, struct span value,
                                             struct span before)
{
    if (span_is(value, "*")) {
        return message_regex_text(arena, SPAN(".+"));
    }
    if (value.len > 0 && value.at[0] == '*') {
        struct span rest = span_from_offset(value, 1);
        return before.len == 0 ? message_suffix(arena, rest)
                               : message_regex_text(
                                     arena, MESSAGE_JOIN(arena, message_quote(arena, before),
                                                         SPAN(".*"), message_quote(arena, rest)));
    }
    if (value.len > 0 && value.at[value.len - 1] == '*') {
        return message_prefix(arena, MESSAGE_JOIN(arena, before, span_first(value, value.len - 1)));
    }
    return message_exact(arena, MESSAGE_JOIN(arena, before, value));
}

static struct pb_route_HeaderMatcher *header(struct arena *arena, struct span name,
                                             struct span value, bool ignore_case)
{
    struct pb_route_HeaderMatcher *h = arena_new(arena, struct pb_route_HeaderMatcher);
    h->name = name;
    if (span_is(value, "*")) {
        h->header_match_specifier_case =
            PB_ROUTE_HEADER_MATCHER_HEADER_MATCH_SPECIFIER_PRESENT_MATCH;
        h->present_match = true;
        return h;
    }
    h->header_match_specifier_case = PB_ROUTE_HEADER_MATCHER_HEADER_MATCH_SPECIFIER_STRING_MATCH;
    h->string_match = text(arena, value, SPAN_EMPTY);
    h->string_match->ignore_case = ignore_case;
    return h;
}

/* "/shop/{*}/items/{**}": one segment, any rest. Characters are those of Envoy's uri_template. */
static struct pb_matcher_StringMatcher *path_template(struct arena *arena, struct span value)
{
    static const struct span one = SPAN_INIT("[a-zA-Z0-9-._~%!$&'()+,;:@=]+");
    static const struct span all = SPAN_INIT("[a-zA-Z0-9-._~%!$&'()+,;:@=/]*");
    struct span pattern = SPAN_EMPTY;
    struct span rest = value;
    while (rest.len > 0) {
        ssize_t at = span_find(rest, SPAN("{*"));
        struct span before = at < 0 ? rest : span_first(rest, (size_t)at);
        pattern = MESSAGE_JOIN(arena, pattern, message_quote(arena, before));
        if (at < 0) {
            break;
        }
        rest = span_from_offset(rest, (size_t)at);
        bool is_all = span_starts(rest, SPAN("{**}"));
        pattern = MESSAGE_JOIN(arena, pattern, is_all ? all : one);
        rest = span_from_offset(rest, is_all ? 4 : 3);
    }
    return message_regex_text(arena, pattern);
}

static bool is_template(struct span value)
{
    return span_find(value, SPAN("{*}")) >= 0 || span_find(value, SPAN("{**}")) >= 0;
}

/* ---- one value of one condition; NULL: it can not be asked here ---- */

static struct pb_rbac_Permission *permission(struct arena *arena, int32_t rule)
{
    struct pb_rbac_Permission *p = arena_new(arena, struct pb_rbac_Permission);
    p->rule_case = rule;
    return p;
}

static struct pb_rbac_Permission *permission_any(struct arena *arena)
{
    struct pb_rbac_Permission *p = permission(arena, PB_RBAC_PERMISSION_RULE_ANY);
    p->any = true;
    return p;
}

static struct pb_rbac_Permission *permission_not(struct arena *arena, struct pb_rbac_Permission *of)
{
    struct pb_rbac_Permission *p = permission(arena, PB_RBAC_PERMISSION_RULE_NOT_RULE);
    p->not_rule = of;
    return p;
}

static struct pb_rbac_Principal *principal(struct arena *arena, int32_t identifier)
{
    struct pb_rbac_Principal *p = arena_new(arena, struct pb_rbac_Principal);
    p->identifier_case = identifier;
    return p;
}

static struct pb_rbac_Principal *principal_any(struct arena *arena)
{
    struct pb_rbac_Principal *p = principal(arena, PB_RBAC_PRINCIPAL_IDENTIFIER_ANY);
    p->any = true;
    return p;
}

static struct pb_rbac_Principal *principal_not(struct arena *arena, struct pb_rbac_Principal *of)
{
    struct pb_rbac_Principal *p = principal(arena, PB_RBAC_PRINCIPAL_IDENTIFIER_NOT_ID);
    p->not_id = of;
    return p;
}

typedef struct pb_rbac_Permission *(*permission_fn)(const struct rule *r, struct span value);
typedef struct pb_rbac_Principal *(*principal_fn)(const struct rule *r, struct span key,
                                                  struct span value);

static struct pb_rbac_Permission *of_host(const struct rule *r, struct span value)
{
    if (r->opaque) {
        return NULL;
    }
    struct pb_rbac_Permission *p = permission(r->arena, PB_RBAC_PERMISSION_RULE_HEADER);
    p->header = header(r->arena, SPAN(":authority"), value, true);
    return p;
}

static struct pb_rbac_Permission *of_method(const struct rule *r, struct span value)
{
    if (r->opaque) {
        return NULL;
    }
    struct pb_rbac_Permission *p = permission(r->arena, PB_RBAC_PERMISSION_RULE_HEADER);
    p->header = header(r->arena, SPAN(":method"), value, false);
    return p;
}

static struct pb_rbac_Permission *of_path(const struct rule *r, struct span value)
{
    if (r->opaque) {
        return NULL;
    }
    struct pb_rbac_Permission *p = permission(r->arena, PB_RBAC_PERMISSION_RULE_URL_PATH);
    p->url_path = arena_new(r->arena, struct pb_matcher_PathMatcher);
    p->url_path->rule_case = PB_MATCHER_PATH_MATCHER_RULE_PATH;
    p->url_path->path =
        is_template(value) ? path_template(r->arena, value) : text(r->arena, value, SPAN_EMPTY);
    return p;
}

static struct pb_rbac_Permission *of_port(const struct rule *r, struct span value)
{
    uint64_t number;
    if (!span_to_u64(value, &number) || number > 65535) {
        return NULL;
    }
    struct pb_rbac_Permission *p = permission(r->arena, PB_RBAC_PERMISSION_RULE_DESTINATION_PORT);
    p->destination_port = (uint32_t)number;
    return p;
}

static struct pb_rbac_Permission *of_destination_ip(const struct rule *r, struct span value)
{
    struct cidr range;
    if (cidr_parse(value, &range) != 0) {
        return NULL;
    }
    struct pb_rbac_Permission *p = permission(r->arena, PB_RBAC_PERMISSION_RULE_DESTINATION_IP);
    p->destination_ip = message_cidr(r->arena, &range);
    return p;
}

static struct pb_rbac_Permission *of_sni(const struct rule *r, struct span value)
{
    struct pb_rbac_Permission *p =
        permission(r->arena, PB_RBAC_PERMISSION_RULE_REQUESTED_SERVER_NAME);
    p->requested_server_name = text(r->arena, value, SPAN_EMPTY);
    return p;
}

static struct pb_rbac_Principal *peer(const struct rule *r, struct pb_matcher_StringMatcher *name)
{
    struct pb_rbac_Principal *p;
    if (r->tunnelled) { /* an Envoy's inner listener has no TLS: connect_terminate leaves the name for it */
        p = principal(r->arena, PB_RBAC_PRINCIPAL_IDENTIFIER_FILTER_STATE);
        p->filter_state = arena_new(r->arena, struct pb_matcher_FilterStateMatcher);
        p->filter_state->key = SPAN(FILTER_STATE_PEER);
        p->filter_state->matcher_case = PB_MATCHER_FILTER_STATE_MATCHER_MATCHER_STRING_MATCH;
        p->filter_state->string_match = name;
        return p;
    }
    p = principal(r->arena, PB_RBAC_PRINCIPAL_IDENTIFIER_AUTHENTICATED);
    p->authenticated = arena_new(r->arena, struct pb_rbac_Principal_Authenticated);
    p->authenticated->principal_name = name;
    return p;
}

static struct pb_rbac_Principal *of_principal(const struct rule *r, struct span key,
                                              struct span value)
{
    UNUSED(key);
    const struct span own = SPAN(DEFAULT_TRUST_DOMAIN "/");
    if (span_starts(value, own)) {
        value = MESSAGE_JOIN(r->arena, r->w->config->mesh.trust_domain,
                             span_from_offset(value, own.len - 1));
    }
    return peer(r, text(r->arena, value, SPAN("spiffe://")));
}

static struct pb_rbac_Principal *of_namespace(const struct rule *r, struct span key,
                                              struct span value)
{
    UNUSED(key);
    struct span pattern = SPAN(".*/ns/");
    struct span rest = value;
    while (rest.at) {
        struct span part = span_cut(&rest, '*');
        pattern = MESSAGE_JOIN(r->arena, pattern, message_quote(r->arena, part),
                               rest.at ? SPAN(".*") : SPAN("/.*"));
    }
    return peer(r, message_regex_text(r->arena, pattern));
}

static struct pb_rbac_Principal *of_ip(const struct rule *r, struct span key, struct span value)
{
    struct cidr range;
    if (cidr_parse(value, &range) != 0) {
        return NULL;
    }
    bool remote = span_is(key, "remote.ip");
    struct pb_rbac_Principal *p =
        principal(r->arena, remote ? PB_RBAC_PRINCIPAL_IDENTIFIER_REMOTE_IP
                                   : PB_RBAC_PRINCIPAL_IDENTIFIER_DIRECT_REMOTE_IP);
    if (remote) {
        p->remote_ip = message_cidr(r->arena, &range);
    } else {
        p->direct_remote_ip = message_cidr(r->arena, &range);
    }
    return p;
}

/* "request.headers[User-Agent]" */
static struct pb_rbac_Principal *of_header(const struct rule *r, struct span key, struct span value)
{
    size_t start = sizeof("request.headers[") - 1;
    if (r->opaque || key.len <= start + 1 || key.at[key.len - 1] != ']') {
        return NULL;
    }
    struct pb_rbac_Principal *p = principal(r->arena, PB_RBAC_PRINCIPAL_IDENTIFIER_HEADER);
    p->header = header(r->arena, span_from(key.at + start, key.len - start - 1), value, false);
    return p;
}

/* Claims of a token: no token is checked, so no request has any. */
static struct pb_rbac_Principal *of_token(const struct rule *r, struct span key, struct span value)
{
    UNUSED(key);
    UNUSED(value);
    return r->opaque ? NULL : principal_not(r->arena, principal_any(r->arena));
}

/* ---- all values of one condition: any of them, and none of the others ---- */

struct permissions {
    struct pb_rbac_Permission **at;
    uint32_t count, room;
};
struct principals {
    struct pb_rbac_Principal **at;
    uint32_t count, room;
};

static struct pb_rbac_Permission *permission_set(struct arena *arena,
                                                 const struct permissions *list, bool all)
{
    if (list->count == 1) {
        return list->at[0];
    }
    struct pb_rbac_Permission_Set *set = arena_new(arena, struct pb_rbac_Permission_Set);
    for (uint32_t i = 0; i < list->count; i++) {
        PB_ADD(arena, &set->rules, list->at[i]);
    }
    struct pb_rbac_Permission *p = permission(arena, all ? PB_RBAC_PERMISSION_RULE_AND_RULES
                                                         : PB_RBAC_PERMISSION_RULE_OR_RULES);
    if (all) {
        p->and_rules = set;
    } else {
        p->or_rules = set;
    }
    return p;
}

static struct pb_rbac_Principal *principal_set(struct arena *arena, const struct principals *list,
                                               bool all)
{
    if (list->count == 1) {
        return list->at[0];
    }
    struct pb_rbac_Principal_Set *set = arena_new(arena, struct pb_rbac_Principal_Set);
    for (uint32_t i = 0; i < list->count; i++) {
        PB_ADD(arena, &set->ids, list->at[i]);
    }
    struct pb_rbac_Principal *p = principal(arena, all ? PB_RBAC_PRINCIPAL_IDENTIFIER_AND_IDS
                                                       : PB_RBAC_PRINCIPAL_IDENTIFIER_OR_IDS);
    if (all) {
        p->and_ids = set;
    } else {
        p->or_ids = set;
    }
    return p;
}

struct values {
    const struct span *at;
    size_t count;
};
#define VALUES(list, number) ((struct values){(list), (number)})

static void ask_permission(struct rule *r, struct permissions *all, permission_fn fn,
                           struct values values, bool negated)
{
    struct permissions any = {0};
    for (size_t i = 0; i < values.count; i++) {
        struct pb_rbac_Permission *p = fn(r, values.at[i]);
        if (p) {
            PB_ADD(r->arena, &any, p);
        } else {
            r->is_void = r->is_void || r->allow;
        }
    }
    if (any.count > 0) {
        struct pb_rbac_Permission *p = permission_set(r->arena, &any, false);
        PB_ADD(r->arena, all, negated ? permission_not(r->arena, p) : p);
    }
}

static void ask_principal(struct rule *r, struct principals *all, principal_fn fn, struct span key,
                          struct values values, bool negated)
{
    struct principals any = {0};
    for (size_t i = 0; i < values.count; i++) {
        struct pb_rbac_Principal *p = fn(r, key, values.at[i]);
        if (p) {
            PB_ADD(r->arena, &any, p);
        } else {
            r->is_void = r->is_void || r->allow;
        }
    }
    if (any.count > 0) {
        struct pb_rbac_Principal *p = principal_set(r->arena, &any, false);
        PB_ADD(r->arena, all, negated ? principal_not(r->arena, p) : p);
    }
}

/* ---- `when` ---- */

static const struct permission_key {
    const char *key;
    permission_fn fn;
} permission_keys[] = {
    {"destination.ip", of_destination_ip},
    {"destination.port", of_port},
    {"connection.sni", of_sni},
};

static const struct principal_key {
    const char *key;
    bool is_prefix;
    principal_fn fn;
} principal_keys[] = {
    {"source.ip", false, of_ip},
    {"remote.ip", false, of_ip},
    {"source.namespace", false, of_namespace},
    {"source.principal", false, of_principal},
    {"request.headers[", true, of_header},
    {"request.auth.", true, of_token},
};

static permission_fn permission_of(struct span key)
{
    for (size_t i = 0; i < ARRAY_LEN(permission_keys); i++) {
        if (span_is(key, permission_keys[i].key)) {
            return permission_keys[i].fn;
        }
    }
    return NULL;
}

static principal_fn principal_of(struct span key)
{
    for (size_t i = 0; i < ARRAY_LEN(principal_keys); i++) {
        const struct principal_key *k = &principal_keys[i];
        if (k->is_prefix ? span_starts(key, span_of(k->key)) : span_is(key, k->key)) {
            return k->fn;
        }
    }
    return NULL;
}

static void when_permissions(struct rule *r, struct permissions *all,
                             const struct world_authz_rule *rule)
{
    for (size_t i = 0; i < rule->when_count; i++) {
        const struct world_condition *c = &rule->when[i];
        permission_fn fn = permission_of(c->key);
        if (fn) {
            ask_permission(r, all, fn, VALUES(c->values, c->value_count), false);
            ask_permission(r, all, fn, VALUES(c->not_values, c->not_value_count), true);
        }
    }
}

static void when_principals(struct rule *r, struct principals *all,
                            const struct world_authz_rule *rule)
{
    for (size_t i = 0; i < rule->when_count; i++) {
        const struct world_condition *c = &rule->when[i];
        principal_fn fn = principal_of(c->key);
        if (fn) {
            ask_principal(r, all, fn, c->key, VALUES(c->values, c->value_count), false);
            ask_principal(r, all, fn, c->key, VALUES(c->not_values, c->not_value_count), true);
        }
    }
}

/* An attribute that nobody knows makes the rule void, whatever its action: as in Istio. */
static bool knows_all_keys(const struct world_authz_rule *rule)
{
    for (size_t i = 0; i < rule->when_count; i++) {
        if (!permission_of(rule->when[i].key) && !principal_of(rule->when[i].key)) {
            return false;
        }
    }
    return true;
}

/* ---- `to`, `from` ---- */

static struct pb_rbac_Permission *operation(struct rule *r, const struct world_authz_rule *rule,
                                            const struct world_authz_operation *o)
{
    struct permissions all = {0};
    if (o) {
        ask_permission(r, &all, of_host, VALUES(o->hosts, o->host_count), false);
        ask_permission(r, &all, of_host, VALUES(o->not_hosts, o->not_host_count), true);
        ask_permission(r, &all, of_method, VALUES(o->methods, o->method_count), false);
        ask_permission(r, &all, of_method, VALUES(o->not_methods, o->not_method_count), true);
        ask_permission(r, &all, of_path, VALUES(o->paths, o->path_count), false);
        ask_permission(r, &all, of_path, VALUES(o->not_paths, o->not_path_count), true);
        ask_permission(r, &all, of_port, VALUES(o->ports, o->port_count), false);
        ask_permission(r, &all, of_port, VALUES(o->not_ports, o->not_port_count), true);
    }
    when_permissions(r, &all, rule);
    return all.count > 0 ? permission_set(r->arena, &all, true) : permission_any(r->arena);
}

static struct pb_rbac_Principal *source(struct rule *r, const struct world_authz_rule *rule,
                                        const struct world_authz_source *s)
{
    struct principals all = {0};
    struct span ip = SPAN("source.ip");
    struct span remote = SPAN("remote.ip");
    if (s) {
        ask_principal(r, &all, of_principal, SPAN_EMPTY, VALUES(s->principals, s->principal_count),
                      false);
        ask_principal(r, &all, of_principal, SPAN_EMPTY,
                      VALUES(s->not_principals, s->not_principal_count), true);
        ask_principal(r, &all, of_namespace, SPAN_EMPTY, VALUES(s->namespaces, s->namespace_count),
                      false);
        ask_principal(r, &all, of_namespace, SPAN_EMPTY,
                      VALUES(s->not_namespaces, s->not_namespace_count), true);
        ask_principal(r, &all, of_ip, ip, VALUES(s->ip_blocks, s->ip_block_count), false);
        ask_principal(r, &all, of_ip, ip, VALUES(s->not_ip_blocks, s->not_ip_block_count), true);
        ask_principal(r, &all, of_ip, remote, VALUES(s->remote_ip_blocks, s->remote_ip_block_count),
                      false);
        ask_principal(r, &all, of_ip, remote,
                      VALUES(s->not_remote_ip_blocks, s->not_remote_ip_block_count), true);
    }
    when_principals(r, &all, rule);
    return all.count > 0 ? principal_set(r->arena, &all, true) : principal_any(r->arena);
}

/* ---- policies ---- */

/* NULL: void. */
static struct pb_rbac_Policy *policy_of(struct rule *r, const struct world_authz_rule *rule)
{
    if (!knows_all_keys(rule)) {
        return NULL;
    }
    struct pb_rbac_Policy *p = arena_new(r->arena, struct pb_rbac_Policy);
    size_t i = 0;
    do {
        PB_ADD(r->arena, &p->permissions,
               operation(r, rule, rule->to_count > 0 ? &rule->to[i] : NULL));
    } while (++i < rule->to_count);
    i = 0;
    do {
        PB_ADD(r->arena, &p->principals,
               source(r, rule, rule->from_count > 0 ? &rule->from[i] : NULL));
    } while (++i < rule->from_count);
    return r->is_void ? NULL : p;
}

static struct pb_rbac_Policy *never(struct arena *arena)
{
    struct pb_rbac_Policy *p = arena_new(arena, struct pb_rbac_Policy);
    PB_ADD(arena, &p->permissions, permission_not(arena, permission_any(arena)));
    PB_ADD(arena, &p->principals, principal_not(arena, principal_any(arena)));
    return p;
}

static void add_policy(struct arena *arena, struct pb_rbac_RBAC *to, const struct world_authz *from,
                       size_t index, struct pb_rbac_Policy *policy)
{
    struct pb_rbac_RBAC_PoliciesEntry *e = arena_new(arena, struct pb_rbac_RBAC_PoliciesEntry);
    e->key = MESSAGE_JOIN(arena, SPAN("ns["), from->namespace, SPAN("]-policy["), from->name,
                          SPAN("]-rule["), message_number(arena, index), SPAN("]"));
    e->value = policy;
    PB_ADD(arena, &to->policies, e);
}

struct collect {
    const struct world *w;
    struct arena *arena;
    const struct authz_for *to;
    struct pb_rbac_RBAC *rules[3][2]; /* by WORLD_..., then: dry run */
};

/* A policy for a named Gateway concerns the proxies of that gateway only. */
static bool targets(const struct collect *c, const struct world_authz *p)
{
    struct span gateway =
        selector_label(c->to->labels, c->to->label_count, SPAN(LABEL_GATEWAY_NAME));
    for (size_t i = 0; i < p->target_count; i++) {
        if (gateway.at && span_eq(p->target_services[i], gateway)) {
            return true;
        }
    }
    return p->target_count == 0;
}

static void on_policy(void *arg, const struct world_authz *p)
{
    static const int32_t actions[] = {[WORLD_ALLOW] = PB_RBAC_RBAC_ACTION_ALLOW,
                                      [WORLD_DENY] = PB_RBAC_RBAC_ACTION_DENY,
                                      [WORLD_AUDIT] = PB_RBAC_RBAC_ACTION_LOG};
    struct collect *c = arg;
    if (!targets(c, p)) {
        return;
    }
    struct pb_rbac_RBAC **to = &c->rules[p->action][p->dry_run];
    if (!*to) {
        *to = arena_new(c->arena, struct pb_rbac_RBAC);
        (*to)->action = actions[p->action];
    }
    for (size_t i = 0; i < p->rule_count; i++) {
        struct rule r = {.arena = c->arena,
                         .w = c->w,
                         .opaque = c->to->opaque,
                         .tunnelled = c->to->tunnelled,
                         .allow = p->action == WORLD_ALLOW};
        struct pb_rbac_Policy *policy = policy_of(&r, &p->rules[i]);
        if (policy) {
            add_policy(c->arena, *to, p, i, policy);
        }
    }
    if (p->rule_count == 0) { /* "allow-nothing" */
        add_policy(c->arena, *to, p, 0, never(c->arena));
    }
}

void authz_build(const struct world *w, struct arena *arena, const struct authz_for *to,
                 struct authz_filters *out)
{
    struct collect c = {.w = w, .arena = arena, .to = to};
    world_authz_of(w, to->namespace, to->labels, to->label_count, on_policy, &c);
    *out = (struct authz_filters){
        .audit = c.rules[WORLD_AUDIT][false],
        .deny = c.rules[WORLD_DENY][false],
        .allow = c.rules[WORLD_ALLOW][false],
        .deny_shadow = c.rules[WORLD_DENY][true],
        .allow_shadow = c.rules[WORLD_ALLOW][true],
    };
}
