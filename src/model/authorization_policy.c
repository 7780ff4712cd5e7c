/* AuthorizationPolicy. What is wrong here is told as an error even where it only never matches: a DENY that never matches
 * lets requests in. */
#include "model/authorization_policy.h"

#include "mesh/names.h"
#include "model/kinds_int.h"
#include "model/near.h"

static bool refuse(struct reader *r, const struct doc_node *node, unsigned code, const char *what,
                   const char *why, const char *fix)
{
    struct finding *found = reader_say(r, code, node, NULL, "'%s' is %s, which is not %s",
                                       reader_here(r), reader_show(r, node), what);
    found->why = span_of(why);
    found->fix = span_of(fix);
    return false;
}

/* --- patterns --- */

/* "x", "x*", "*x", "*". */
static bool check_pattern(struct reader *r, const struct doc_node *node, struct span text)
{
    struct span inner = text;
    if (text.len == 0) {
        return reader_text_not_empty(r, node, text);
    }
    if (span_starts(inner, SPAN("*"))) {
        inner = span_from_offset(inner, 1);
    } else if (span_ends(inner, SPAN("*"))) {
        inner = span_first(inner, inner.len - 1);
    }
    return span_find_byte(inner, '*') < 0 ||
           refuse(r, node, 2035, "a pattern",
                  "'*' stands for any text only as the first or last character",
                  "write several values instead");
}

static bool check_principal(struct reader *r, const struct doc_node *node, struct span text)
{
    if (span_starts(text, SPAN("spiffe://"))) {
        return refuse(r, node, 2035, "a principal", "principals are written without 'spiffe://'",
                      "write it like 'cluster.local/ns/default/sa/reviews'");
    }
    return check_pattern(r, node, text);
}

/* "{*}" is one segment, "{**}" the rest; nothing else in braces. With them '*' has no other meaning. */
static bool check_path(struct reader *r, const struct doc_node *node, struct span text)
{
    struct span rest = text;
    bool template = false, open = false;
    while (rest.len > 0) {
        if (span_starts(rest, SPAN("{*}")) || span_starts(rest, SPAN("{**}"))) {
            bool all = span_starts(rest, SPAN("{**}"));
            if (open) {
                return refuse(r, node, 2035, "a path template",
                              "nothing but text may follow '{**}'",
                              "write '{**}' once, as the last wildcard");
            }
            template = true;
            open = all;
            rest = span_from_offset(rest, all ? 4 : 3);
            continue;
        }
        if (rest.at[0] == '{' || rest.at[0] == '}' || (template && rest.at[0] == '*')) {
            return refuse(r, node, 2035, "a path template", "wildcards are '{*}' and '{**}'",
                          "write it like '/v1/{*}/items'");
        }
        rest = span_from_offset(rest, 1);
    }
    return template || check_pattern(r, node, text);
}

/* Methods are compared with case. Those that nobody else could mean are caught. */
static bool check_method(struct reader *r, const struct doc_node *node, struct span text)
{
    static const char *const methods[] = {"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                          "CONNECT", "OPTIONS", "TRACE", "PATCH"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        struct span method = span_of(methods[i]);
        if (span_eq_nocase(text, method) && !span_eq(text, method)) {
            return refuse(r, node, 2035, "a method",
                          "methods are written in capitals, and this one would never match",
                          arena_printf(r->findings->arena, "write '%s'", methods[i]));
        }
    }
    return check_pattern(r, node, text);
}

/* "sa" or "ns/sa", without wildcards. */
static bool check_account(struct reader *r, const struct doc_node *node, struct span text)
{
    ssize_t slash = span_find_byte(text, '/');
    struct span name = slash < 0 ? text : span_from_offset(text, (size_t)slash + 1);
    bool good = reader_text_is_subdomain(name) &&
                (slash < 0 || reader_text_is_label(span_first(text, (size_t)slash)));
    return good || refuse(r, node, 2035, "a service account",
                          "it is a name, or namespace/name, without '*'",
                          "write it like 'default/reviews'");
}

/* --- Source --- */

#define LIST(key, owner, member, verify) \
    READER_FIELD(key, TEXTS, owner, member, .min = 1, .check = (verify))
#define SOURCE(key, member, verify) LIST(key, struct authorization_policy_source, member, verify)

static const struct reader_field source_fields[] = {
    SOURCE("principals", principals, check_principal),
    SOURCE("notPrincipals", not_principals, check_principal),
    SOURCE("requestPrincipals", request_principals, check_pattern),
    SOURCE("notRequestPrincipals", not_request_principals, check_pattern),
    SOURCE("namespaces", namespaces, check_pattern),
    SOURCE("notNamespaces", not_namespaces, check_pattern),
    SOURCE("serviceAccounts", service_accounts, check_account),
    SOURCE("notServiceAccounts", not_service_accounts, check_account),
    SOURCE("ipBlocks", ip_blocks, reader_text_cidr),
    SOURCE("notIpBlocks", not_ip_blocks, reader_text_cidr),
    SOURCE("remoteIpBlocks", remote_ip_blocks, reader_text_cidr),
    SOURCE("notRemoteIpBlocks", not_remote_ip_blocks, reader_text_cidr),
    READER_REFUSE("trustDomains", "write 'principals', for example 'cluster.local/*'"),
    READER_REFUSE("notTrustDomains", "write 'notPrincipals', for example 'cluster.local/*'"),
};

static void say_empty(struct reader *r, const struct doc_node *node, const char *fix)
{
    struct finding *found = reader_say(r, 2032, node, NULL, "'%s' is empty", reader_here(r));
    found->why = SPAN("it would match everything");
    found->fix = span_of(fix);
}

/* JWTs are not looked at yet: no request has a request principal. */
static void warn_jwt(struct reader *r, const struct doc_node *node, const char *key, bool never)
{
    struct finding *found = reader_say(r, 2037, doc_get(node, key), key,
                                       never ? "'%s' never matches" : "'%s' always matches", key);
    found->why =
        SPAN("tokens (JWT) are not checked yet, so that no request has a principal from one");
    found->fix = SPAN("write 'principals': who the workload is");
}

static void check_source(struct reader *r, const struct doc_node *node, void *out)
{
    const struct authorization_policy_source *s = out;
    bool accounts = s->service_accounts.count + s->not_service_accounts.count > 0;
    bool others = s->principals.count + s->not_principals.count + s->namespaces.count +
                      s->not_namespaces.count >
                  0;
    if (node->count == 0) {
        say_empty(r, node, "add 'principals' or 'namespaces', or remove 'from'");
    }
    if (accounts && others) {
        const char *key = s->service_accounts.count ? "serviceAccounts" : "notServiceAccounts";
        struct finding *found = reader_say(r, 2024, doc_get(node, key), key,
                                           "'%s' stands beside principals or namespaces", key);
        found->why = SPAN("a service account is both already");
        found->fix = SPAN("keep one of them");
    }
    if (s->request_principals.count > 0) {
        warn_jwt(r, node, "requestPrincipals", true);
    }
    if (s->not_request_principals.count > 0) {
        warn_jwt(r, node, "notRequestPrincipals", false);
    }
}

static const struct reader_table source_table = {
    READER_TABLE(struct authorization_policy_source, source_fields), .strict = true,
    .check = check_source};

/* Rule.From wraps it: {source: ...}. */
static const struct reader_field from_fields[] = {
    {.name = "source",
     .type = READER_MAP,
     .required = true,
     .table = &source_table,
     .note = "add 'source' with 'principals' or 'namespaces'"},
};
static const struct reader_table from_table = {
    READER_TABLE(struct authorization_policy_source, from_fields), .strict = true};

/* --- Operation --- */

#define OPERATION(key, member, verify) \
    LIST(key, struct authorization_policy_operation, member, verify)

static const struct reader_field operation_fields[] = {
    OPERATION("hosts", hosts, check_pattern),
    OPERATION("notHosts", not_hosts, check_pattern),
    OPERATION("ports", ports, reader_text_port_number),
    OPERATION("notPorts", not_ports, reader_text_port_number),
    OPERATION("methods", methods, check_method),
    OPERATION("notMethods", not_methods, check_method),
    OPERATION("paths", paths, check_path),
    OPERATION("notPaths", not_paths, check_path),
};

static void check_operation(struct reader *r, const struct doc_node *node, void *out)
{
    UNUSED(out);
    if (node->count == 0) {
        say_empty(r, node, "add 'methods' or 'paths', or remove 'to'");
    }
}

static const struct reader_table operation_table = {
    READER_TABLE(struct authorization_policy_operation, operation_fields), .strict = true,
    .check = check_operation};

static const struct reader_field to_fields[] = {
    {.name = "operation",
     .type = READER_MAP,
     .required = true,
     .table = &operation_table,
     .note = "add 'operation' with 'methods' or 'paths'"},
};
static const struct reader_table to_table = {
    READER_TABLE(struct authorization_policy_operation, to_fields), .strict = true};

/* --- Condition --- */

enum condition_values { VALUES_PATTERN, VALUES_CIDR, VALUES_PORT, VALUES_JWT, VALUES_ACCOUNT };

/* istio.io "Authorization Policy Conditions". */
static const struct condition_key {
    const char *key;
    bool bracket; /* "key[name]" */
    enum condition_values values;
} condition_keys[] = {
    {"request.headers", true, VALUES_PATTERN},
    {"source.ip", false, VALUES_CIDR},
    {"remote.ip", false, VALUES_CIDR},
    {"source.namespace", false, VALUES_PATTERN},
    {"source.principal", false, VALUES_PATTERN},
    {"source.serviceAccount", false, VALUES_ACCOUNT},
    {"destination.ip", false, VALUES_CIDR},
    {"destination.port", false, VALUES_PORT},
    {"connection.sni", false, VALUES_PATTERN},
    {"request.auth.principal", false, VALUES_JWT},
    {"request.auth.audiences", false, VALUES_JWT},
    {"request.auth.presenter", false, VALUES_JWT},
    {"request.auth.claims", true, VALUES_JWT},
};

static bool is_key(struct span text, const struct condition_key *key)
{
    if (!key->bracket) {
        return span_is(text, key->key);
    }
    struct span rest = span_from_offset(text, strlen(key->key));
    return span_starts(text, span_of(key->key)) && rest.len > 2 && span_starts(rest, SPAN("[")) &&
           span_ends(rest, SPAN("]"));
}

static const struct condition_key *find_key(struct span text)
{
    for (size_t i = 0; i < ARRAY_LEN(condition_keys); i++) {
        if (is_key(text, &condition_keys[i])) {
            return &condition_keys[i];
        }
    }
    return NULL;
}

static bool check_key(struct reader *r, const struct doc_node *node, struct span text)
{
    struct near near;
    if (find_key(text) != NULL) {
        return true;
    }
    near_init(&near, text);
    for (size_t i = 0; i < ARRAY_LEN(condition_keys); i++) {
        near_try(&near, span_of(condition_keys[i].key));
    }
    struct finding *found =
        reader_say(r, 2036, node, NULL, "there is no condition %s", reader_show(r, node));
    found->why = SPAN("allowed: request.headers[NAME], source.ip, remote.ip, source.namespace, "
                      "source.principal, source.serviceAccount, destination.ip, destination.port, "
                      "connection.sni");
    found->fix = near.best.at
                     ? finding_text(r->findings, "did you mean '%.*s'?", SPAN_ARG(near.best))
                     : SPAN("write one of those");
    return false;
}

static void check_values(struct reader *r, const struct doc_node *list, const char *key,
                         enum condition_values values)
{
    static const reader_check checks[] = {
        [VALUES_PATTERN] = check_pattern,        [VALUES_CIDR] = reader_text_cidr,
        [VALUES_PORT] = reader_text_port_number, [VALUES_JWT] = check_pattern,
        [VALUES_ACCOUNT] = check_account,
    };
    struct spec_texts unused;
    const struct reader_field field = {
        .name = "", .type = READER_TEXTS, .min = 1, .check = checks[values]};
    if (list != NULL && list->kind != DOC_NULL) {
        reader_value_at(r, span_of(key), list, &field, &unused);
    }
}

static void check_condition(struct reader *r, const struct doc_node *node, void *out)
{
    const struct authorization_policy_condition *c = out;
    const struct condition_key *key = find_key(c->key);
    if (!reader_has(node, "values") && !reader_has(node, "notValues")) {
        reader_missing(r, node, "values", "add 'values' or 'notValues'");
        return;
    }
    if (key == NULL) {
        return; /* an empty text where a key is wanted was said */
    }
    check_values(r, doc_get(node, "values"), "values", key->values);
    check_values(r, doc_get(node, "notValues"), "notValues", key->values);
    if (key->values == VALUES_JWT) {
        warn_jwt(r, node, "key", reader_has(node, "values"));
    }
}

static const struct reader_field condition_fields[] = {
    READER_FIELD("key", TEXT, struct authorization_policy_condition, key, .required = true,
                 .check = check_key),
    READER_FIELD("values", TEXTS, struct authorization_policy_condition, values),
    READER_FIELD("notValues", TEXTS, struct authorization_policy_condition, not_values),
};
static const struct reader_table condition_table = {
    READER_TABLE(struct authorization_policy_condition, condition_fields), .strict = true,
    .check = check_condition};

/* --- the whole --- */

static const struct reader_field rule_fields[] = {
    READER_FIELD("from", LIST, struct authorization_policy_rule, from, .min = 1,
                 .table = &from_table),
    READER_FIELD("to", LIST, struct authorization_policy_rule, to, .min = 1, .table = &to_table),
    READER_FIELD("when", LIST, struct authorization_policy_rule, when, .table = &condition_table),
};
static const struct reader_table rule_table = {
    READER_TABLE(struct authorization_policy_rule, rule_fields), .strict = true};

#define ACTION_CUSTOM 100

static const struct reader_enum actions[] = {{"ALLOW", AUTHORIZATION_POLICY_ALLOW},
                                             {"DENY", AUTHORIZATION_POLICY_DENY},
                                             {"AUDIT", AUTHORIZATION_POLICY_AUDIT},
                                             {"CUSTOM", ACTION_CUSTOM},
                                             {NULL, 0}};

static void read_action(struct reader *r, const struct doc_node *node, void *to)
{
    const struct reader_field field = {.name = "", .type = READER_ENUM, .names = actions};
    int which = AUTHORIZATION_POLICY_ALLOW;
    reader_value(r, node, &field, &which);
    if (which == ACTION_CUSTOM) {
        struct finding *found = reader_say(r, 2012, node, NULL, "action CUSTOM is not supported");
        found->why =
            SPAN("there are no external authorizers, so that requests would not be asked about");
        found->fix = SPAN("write 'action: ALLOW' or 'action: DENY' with rules");
        which = AUTHORIZATION_POLICY_DENY;
    }
    *(enum authorization_policy_action *)to = (enum authorization_policy_action)which;
}

/* targetRef, the older form, is one of targetRefs. */
static void read_target(struct reader *r, const struct doc_node *node, void *to)
{
    struct spec_target *target = arena_new(r->arena, struct spec_target);
    reader_map(r, node, &spec_target_table, target);
    *(struct spec_targets *)to = (struct spec_targets){target, 1};
}

static void check_policy(struct reader *r, const struct doc_node *node, void *out)
{
    const struct authorization_policy_spec *s = out;
    if (s->rule_count > 0 || s->action == AUTHORIZATION_POLICY_ALLOW) {
        return;
    }
    struct finding *found =
        reader_say(r, 2014, node, "rules", "a policy without rules never matches");
    found->why = SPAN("only with action ALLOW no rules mean something: nothing is allowed");
    found->fix = SPAN("add 'rules'; one that is empty ({}) matches every request");
}

void authorization_policy_finish(struct reader *r, void *spec)
{
    struct authorization_policy_spec *s = spec;
    struct span dry = object_annotation(r->object, ANNOTATION_DRY_RUN);
    s->dry_run = span_is(dry, "true");
    if (dry.at == NULL || s->dry_run || span_is(dry, "false")) {
        return;
    }
    const struct reader_step *spec_step = r->at;
    r->at = spec_step->up;
    const struct doc_node *at =
        doc_get(doc_path(r->object->doc, "metadata.annotations"), ANNOTATION_DRY_RUN);
    struct finding *found =
        reader_say(r, 2015, at, "metadata.annotations[\"" ANNOTATION_DRY_RUN "\"]",
                   "'" ANNOTATION_DRY_RUN "' is %s, which is not allowed", reader_show(r, at));
    found->why = SPAN("allowed: \"true\" or \"false\"");
    found->fix = SPAN("write \"true\", in quotes");
    r->at = spec_step;
}

static const struct reader_field policy_fields[] = {
    READER_FIELD("action", CUSTOM, struct authorization_policy_spec, action, .read = read_action),
    READER_FIELD("selector", MAP, struct authorization_policy_spec, selector, .one_of = 1,
                 .table = &spec_selector_table),
    READER_FIELD("targetRefs", LIST, struct authorization_policy_spec, targets, .one_of = 1,
                 .min = 1, .max = 16, .table = &spec_target_table),
    READER_FIELD("targetRef", CUSTOM, struct authorization_policy_spec, targets, .one_of = 1,
                 .read = read_target),
    READER_FIELD("rules", LIST, struct authorization_policy_spec, rules, .table = &rule_table),
    READER_REFUSE("provider", "remove it: there are no external authorizers"),
};
const struct reader_table authorization_policy_table = {
    READER_TABLE(struct authorization_policy_spec, policy_fields), .strict = true,
    .check = check_policy};
