/* HTTPRoute: parents, rules, matches, backends. Next: http_route_filter. */
#include "model/gateway_api.h"
#include "model/http_route_int.h"
#include "model/kinds_int.h"

#define GATEWAY_GROUP "gateway.networking.k8s.io"
#define MATCHES_MAX 128 /* of all rules of a route */

/* --- parents --- */

/* Gateway of the Gateway API, or Service of core (GEP-1426). */
static void check_parent(struct reader *r, const struct doc_node *node, void *out)
{
    struct http_route_parent *p = out;
    const struct doc_node *kind = doc_get(node, "kind");
    const struct doc_node *group = doc_get(node, "group");
    struct span kind_text = doc_is(kind, DOC_TEXT) ? kind->text : SPAN("Gateway");
    struct span group_text = doc_is(group, DOC_TEXT) ? group->text : SPAN(GATEWAY_GROUP);
    bool gateway = span_is(kind_text, "Gateway") && span_is(group_text, GATEWAY_GROUP);
    bool service =
        span_is(kind_text, "Service") && (group_text.len == 0 || span_is(group_text, "core"));
    p->kind = service ? HTTP_ROUTE_PARENT_SERVICE : HTTP_ROUTE_PARENT_GATEWAY;
    p->namespace = p->namespace.len > 0 ? p->namespace : r->object->namespace;
    if (gateway || service) {
        return;
    }
    bool is_service = span_is(kind_text, "Service");
    struct finding *found =
        reader_say(r, 2015, kind ? kind : node, "kind",
                   "a route can not have a parent of kind '%.*s' in group '%.*s'",
                   SPAN_ARG(kind_text), SPAN_ARG(group_text));
    found->why = SPAN("allowed: Gateway of " GATEWAY_GROUP ", or Service of the core group");
    found->fix = is_service ? SPAN("add 'group: \"\"'")
                            : SPAN("write 'kind: Gateway', or 'kind: Service' with 'group: \"\"'");
}

static const struct reader_field parent_fields[] = {
    READER_IGNORE("group"),
    READER_IGNORE("kind"),
    READER_FIELD("namespace", TEXT, struct http_route_parent, namespace,
                 .check = reader_text_label),
    READER_FIELD("name", TEXT, struct http_route_parent, name, .required = true,
                 .check = reader_text_subdomain),
    READER_FIELD("sectionName", TEXT, struct http_route_parent, section,
                 .check = reader_text_subdomain),
    READER_FIELD("port", PORT, struct http_route_parent, port),
};
static const struct reader_table parent_table = {
    READER_TABLE(struct http_route_parent, parent_fields), .strict = true, .check = check_parent};

/* --- matches --- */

static const struct reader_enum path_kinds[] = {{"PathPrefix", HTTP_ROUTE_PATH_PREFIX},
                                                {"Exact", HTTP_ROUTE_PATH_EXACT},
                                                {"RegularExpression", HTTP_ROUTE_PATH_REGEX},
                                                {NULL, 0}};

/* What HTTPPathMatch allows for Exact and PathPrefix; the reason why not, or NULL. */
static const char *path_fault(struct span path)
{
    static const char *const never[] = {"//", "/./", "/../", "%2f", "%2F", "#"};
    if (path.len == 0 || path.at[0] != '/') {
        return "it must begin with '/'";
    }
    for (size_t i = 0; i < ARRAY_LEN(never); i++) {
        if (span_find(path, span_of(never[i])) >= 0) {
            return "it must not have '//', '/./', '/../', '%2f' or '#'";
        }
    }
    if (span_ends(path, SPAN("/..")) || span_ends(path, SPAN("/."))) {
        return "it must not end with '/.' or '/..'";
    }
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.at[i];
        if (c <= ' ' || c >= 0x7f || strchr("\"<>\\^`{|}?[]", c) != NULL) {
            return "it has a character that must be written as %XX";
        }
    }
    return path.len > 1024 ? "it is longer than 1024 characters" : NULL;
}

static void check_path(struct reader *r, const struct doc_node *node, void *out)
{
    struct http_route_match *m = out;
    const struct doc_node *value = doc_get(node, "value");
    const struct reader_field regex = {.name = "", .type = READER_TEXT, .check = reader_text_regex};
    m->path = reader_has(node, "value") ? m->path : SPAN("/");
    if (m->path_kind == HTTP_ROUTE_PATH_REGEX && value != NULL) {
        reader_value_at(r, SPAN("value"), value, &regex, &m->path);
        return;
    }
    const char *fault = path_fault(m->path);
    if (fault == NULL) {
        return;
    }
    struct finding *found =
        reader_say(r, 2029, value, "value", "%s is not a path", reader_show(r, value));
    found->why = span_of(fault);
    found->fix = SPAN("write a path like '/reviews'");
}

static const struct reader_field path_fields[] = {
    READER_FIELD("type", ENUM, struct http_route_match, path_kind, .names = path_kinds),
    READER_FIELD("value", TEXT, struct http_route_match, path),
};
static const struct reader_table path_table = {READER_TABLE(struct http_route_match, path_fields),
                                               .strict = true, .check = check_path};

static void read_path(struct reader *r, const struct doc_node *node, void *to)
{
    struct http_route_match read;
    struct http_route_match *m = to;
    reader_map(r, node, &path_table, &read);
    m->path = read.path;
    m->path_kind = read.path_kind;
}

static const struct reader_enum methods[] = {
    {"GET", 0},     {"HEAD", 1},    {"POST", 2},  {"PUT", 3},   {"DELETE", 4},
    {"CONNECT", 5}, {"OPTIONS", 6}, {"TRACE", 7}, {"PATCH", 8}, {NULL, 0}};

static void read_method(struct reader *r, const struct doc_node *node, void *to)
{
    int which = -1;
    const struct reader_field field = {.name = "", .type = READER_ENUM, .names = methods};
    reader_value(r, node, &field, &which);
    if (which >= 0) {
        *(struct span *)to = span_of(methods[which].name);
    }
}

static const struct reader_enum value_kinds[] = {
    {"Exact", SPEC_MATCH_EXACT}, {"RegularExpression", SPEC_MATCH_REGEX}, {NULL, 0}};

static void start_named(void *out)
{
    ((struct spec_named_match *)out)->value.kind = SPEC_MATCH_EXACT;
}

static void check_named(struct reader *r, const struct doc_node *node, void *out)
{
    struct spec_named_match *m = out;
    const struct reader_field regex = {.name = "", .type = READER_TEXT, .check = reader_text_regex};
    const struct reader_field text = {
        .name = "", .type = READER_TEXT, .check = reader_text_not_empty};
    reader_value_at(r, SPAN("value"), doc_get(node, "value"),
                    m->value.kind == SPEC_MATCH_REGEX ? &regex : &text, &m->value.text);
}

static const struct reader_field named_fields[] = {
    READER_FIELD("type", ENUM, struct spec_named_match, value.kind, .names = value_kinds),
    READER_FIELD("name", TEXT, struct spec_named_match, name, .required = true,
                 .check = reader_text_header_name),
    READER_FIELD("value", TEXT, struct spec_named_match, value.text, .required = true),
};
static const struct reader_table named_table = {READER_TABLE(struct spec_named_match, named_fields),
                                                .strict = true, .start = start_named,
                                                .check = check_named};

static void start_match(void *out)
{
    ((struct http_route_match *)out)->path = SPAN("/");
}

/* Of entries with the same name only the first counts (Gateway API): more are a mistake. */
static void check_match(struct reader *r, const struct doc_node *node, void *out)
{
    UNUSED(out);
    reader_unique(r, doc_get(node, "headers"), "headers", "name", "header");
    reader_unique(r, doc_get(node, "queryParams"), "queryParams", "name", "query parameter");
}

static const struct reader_field match_fields[] = {
    {.name = "path", .type = READER_CUSTOM, .read = read_path},
    READER_FIELD("headers", LIST, struct http_route_match, headers, .max = 16,
                 .table = &named_table),
    READER_FIELD("queryParams", LIST, struct http_route_match, queries, .max = 16,
                 .table = &named_table),
    READER_FIELD("method", CUSTOM, struct http_route_match, method, .read = read_method),
};
static const struct reader_table match_table = {READER_TABLE(struct http_route_match, match_fields),
                                                .strict = true, .start = start_match,
                                                .check = check_match};

/* --- backends --- */

static void start_backend(void *out)
{
    ((struct http_route_backend *)out)->weight = 1;
}

static void check_backend(struct reader *r, const struct doc_node *node, void *out)
{
    struct http_route_backend *b = out;
    http_route_filter_check_ref(r, node, &b->ref);
    http_route_filters_check(r, doc_get(node, "filters"), &b->filters);
}

static const struct reader_field backend_fields[] = {
    READER_FIELD("group", TEXT, struct http_route_backend, ref.group),
    READER_FIELD("kind", TEXT, struct http_route_backend, ref.kind),
    READER_FIELD("namespace", TEXT, struct http_route_backend, ref.namespace,
                 .check = reader_text_label),
    READER_FIELD("name", TEXT, struct http_route_backend, ref.name, .required = true,
                 .check = reader_text_not_empty),
    READER_FIELD("port", PORT, struct http_route_backend, ref.port),
    READER_FIELD("weight", U32, struct http_route_backend, weight, .max = 1000000),
    READER_FIELD("filters", LIST, struct http_route_backend, filters, .max = 16,
                 .table = &http_route_filter_table),
};
static const struct reader_table backend_table = {
    READER_TABLE(struct http_route_backend, backend_fields), .start = start_backend,
    .check = check_backend};

/* --- rules --- */

static void start_timeouts(void *out)
{
    struct http_route_rule *rule = out;
    rule->request_timeout_ms = SPEC_UNSET;
    rule->backend_timeout_ms = SPEC_UNSET;
}

static void check_timeouts(struct reader *r, const struct doc_node *node, void *out)
{
    const struct http_route_rule *rule = out;
    if (rule->request_timeout_ms <= 0 || rule->backend_timeout_ms <= rule->request_timeout_ms) {
        return;
    }
    struct finding *found = reader_say(r, 2033, doc_get(node, "backendRequest"), "backendRequest",
                                       "one try may take longer than the whole request");
    found->why = finding_text(r->findings, "backendRequest is %s, request is %s",
                              reader_show(r, doc_get(node, "backendRequest")),
                              reader_show(r, doc_get(node, "request")));
    found->fix = SPAN("make backendRequest the shorter one");
}

static const struct reader_field timeout_fields[] = {
    READER_FIELD("request", SHORT_DURATION, struct http_route_rule, request_timeout_ms,
                 .zero = true),
    READER_FIELD("backendRequest", SHORT_DURATION, struct http_route_rule, backend_timeout_ms,
                 .zero = true),
};
static const struct reader_table timeouts_table = {
    READER_TABLE(struct http_route_rule, timeout_fields), .start = start_timeouts,
    .check = check_timeouts};

static void read_timeouts(struct reader *r, const struct doc_node *node, void *to)
{
    struct http_route_rule read;
    struct http_route_rule *rule = to;
    reader_map(r, node, &timeouts_table, &read);
    rule->request_timeout_ms = read.request_timeout_ms;
    rule->backend_timeout_ms = read.backend_timeout_ms;
}

static void read_codes(struct reader *r, const struct doc_node *node, void *to)
{
    if (node->kind != DOC_LIST || node->count > 200) {
        (void)reader_wrong_kind(r, node, "a list of at most 200 status codes"); /* is said */
        return;
    }
    uint16_t *codes = arena_array(r->arena, node->count, sizeof(codes[0]));
    const struct reader_field code = {.name = "", .type = READER_U16, .min = 400, .max = 599};
    for (size_t i = 0; i < node->count; i++) {
        struct reader_step step = {.up = r->at, .index = i};
        r->at = &step;
        reader_value(r, doc_at(node, i), &code, &codes[i]);
        r->at = step.up;
    }
    *(struct spec_ports *)to = (struct spec_ports){codes, node->count};
}

static void start_retry(void *out)
{
    struct http_route_rule *rule = out;
    rule->retry_attempts = SPEC_UNSET;
    rule->retry_backoff_ms = SPEC_UNSET;
}

static const struct reader_field retry_fields[] = {
    READER_FIELD("attempts", I64, struct http_route_rule, retry_attempts, .max = 100),
    READER_FIELD("backoff", SHORT_DURATION, struct http_route_rule, retry_backoff_ms),
    READER_FIELD("codes", CUSTOM, struct http_route_rule, retry_codes, .read = read_codes),
};
static const struct reader_table retry_table = {READER_TABLE(struct http_route_rule, retry_fields),
                                                .start = start_retry};

static void read_retry(struct reader *r, const struct doc_node *node, void *to)
{
    struct http_route_rule read;
    struct http_route_rule *rule = to;
    reader_map(r, node, &retry_table, &read);
    rule->has_retry = true;
    rule->retry_attempts = read.retry_attempts;
    rule->retry_backoff_ms = read.retry_backoff_ms;
    rule->retry_codes = read.retry_codes;
}

static void start_rule(void *out)
{
    start_timeouts(out);
    start_retry(out);
}

/* replacePrefixMatch needs to know which prefix: exactly one match, of a prefix. */
static bool replaces_prefix(const struct http_route_filters *filters)
{
    for (size_t i = 0; i < filters->count; i++) {
        if (filters->items[i].path_change == HTTP_ROUTE_PATH_PREFIX_MATCH) {
            return true;
        }
    }
    return false;
}

static void check_prefix(struct reader *r, const struct doc_node *node,
                         const struct http_route_rule *rule)
{
    bool replaces = replaces_prefix(&rule->filters);
    for (size_t i = 0; i < rule->backend_count; i++) {
        replaces |= replaces_prefix(&rule->backends[i].filters);
    }
    if (!replaces ||
        (rule->match_count == 1 && rule->matches[0].path_kind == HTTP_ROUTE_PATH_PREFIX)) {
        return;
    }
    struct finding *found =
        reader_say(r, 2033, node, "filters", "a prefix is replaced, and it is not clear which");
    found->why = SPAN("ReplacePrefixMatch wants exactly one match, of type PathPrefix");
    found->fix = SPAN("split the rule into one for each match, or write 'type: ReplaceFullPath'");
}

static void check_rule(struct reader *r, const struct doc_node *node, void *out)
{
    struct http_route_rule *rule = out;
    bool redirects = false;
    if (rule->match_count == 0) {
        struct http_route_match *all = arena_new(r->arena, struct http_route_match);
        start_match(all);
        rule->matches = all;
        rule->match_count = 1;
    }
    http_route_filters_check(r, doc_get(node, "filters"), &rule->filters);
    for (size_t i = 0; i < rule->filters.count; i++) {
        redirects |= rule->filters.items[i].kind == HTTP_ROUTE_REDIRECT;
    }
    if (redirects && rule->backend_count > 0) {
        struct finding *found = reader_say(r, 2024, doc_get(node, "backendRefs"), "backendRefs",
                                           "a rule redirects, and has backends too");
        found->why = SPAN("a redirected request is answered by the proxy");
        found->fix = SPAN("remove 'backendRefs', or the RequestRedirect filter");
    }
    check_prefix(r, node, rule);
}

static const struct reader_field rule_fields[] = {
    READER_FIELD("name", TEXT, struct http_route_rule, name, .check = reader_text_subdomain),
    READER_FIELD("matches", LIST, struct http_route_rule, matches, .max = 64,
                 .table = &match_table),
    READER_FIELD("filters", LIST, struct http_route_rule, filters, .max = 16,
                 .table = &http_route_filter_table),
    READER_FIELD("backendRefs", LIST, struct http_route_rule, backends, .max = 16,
                 .table = &backend_table),
    {.name = "timeouts", .type = READER_CUSTOM, .read = read_timeouts},
    {.name = "retry", .type = READER_CUSTOM, .read = read_retry},
    READER_WARN("sessionPersistence", "requests of one client may go to different endpoints"),
};
static const struct reader_table rule_table = {READER_TABLE(struct http_route_rule, rule_fields),
                                               .start = start_rule, .check = check_rule};

/* --- the whole --- */

static void check_route(struct reader *r, const struct doc_node *node, void *out)
{
    struct http_route_spec *s = out;
    size_t matches = 0;
    if (!reader_has(node, "rules")) { /* the API server puts one that takes everything */
        struct http_route_rule *rule = arena_new(r->arena, struct http_route_rule);
        struct doc_node *empty = doc_new_map(r->arena);
        reader_map(r, empty, &rule_table, rule);
        s->rules = rule;
        s->rule_count = 1;
    }
    for (size_t i = 0; i < s->rule_count; i++) {
        matches += s->rules[i].match_count;
    }
    if (matches > MATCHES_MAX) {
        struct finding *found = reader_say(r, 2032, doc_get(node, "rules"), "rules",
                                           "the rules have %zu matches", matches);
        found->why = finding_text(r->findings, "at most %d are allowed", MATCHES_MAX);
        found->fix = SPAN("split the object in two");
    }
    reader_unique(r, doc_get(node, "rules"), "rules", "name", "rule name");
    if (s->parent_count == 0) {
        struct finding *found =
            reader_say(r, 2034, node, "parentRefs", "the route is attached to nothing");
        found->why = SPAN("without parentRefs it has no effect");
        found->fix = SPAN("add 'parentRefs' with the name of a Gateway or Service");
    }
}

static const struct reader_field route_fields[] = {
    READER_FIELD("parentRefs", LIST, struct http_route_spec, parents, .max = 32,
                 .table = &parent_table),
    READER_FIELD("hostnames", TEXTS, struct http_route_spec, hostnames, .max = 16,
                 .check = reader_text_hostname),
    READER_FIELD("rules", LIST, struct http_route_spec, rules, .min = 1, .max = 16,
                 .table = &rule_table),
    READER_WARN("useDefaultGateways", "routes name their Gateways in parentRefs"),
};
const struct reader_table http_route_table = {READER_TABLE(struct http_route_spec, route_fields),
                                              .check = check_route};
