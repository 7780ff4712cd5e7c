/* Messages that stand in specs of several kinds. */
#include "model/spec.h"

#include "model/kinds_int.h"

/* --- selectors --- */

static const struct reader_field selector_fields[] = {
    READER_FIELD("matchLabels", LABELS, struct spec_labels, items),
    READER_REFUSE("matchExpressions", "write 'matchLabels': policies select by equal labels only"),
};
const struct reader_table spec_selector_table = {READER_TABLE(struct spec_labels, selector_fields),
                                                 .strict = true};

static const struct reader_enum operators[] = {{"In", SELECTOR_IN},
                                               {"NotIn", SELECTOR_NOT_IN},
                                               {"Exists", SELECTOR_EXISTS},
                                               {"DoesNotExist", SELECTOR_ABSENT},
                                               {NULL, 0}};

struct expression {
    struct span key;
    enum selector_op op;
    struct spec_texts values;
};

static bool check_label_key(struct reader *r, const struct doc_node *node, struct span text)
{
    const char *fault = reader_text_label_key_fault(text);
    if (fault == NULL) {
        return true;
    }
    struct finding *found =
        reader_say(r, 2022, node, NULL, "label key %s is not valid", reader_show(r, node));
    found->why = span_of(fault);
    found->fix = SPAN("write [prefix/]name, of letters, digits, '-', '_' and '.'");
    return false;
}

/* In and NotIn want values, the others none (LabelSelectorRequirement). */
static void check_expression(struct reader *r, const struct doc_node *node, void *out)
{
    const struct expression *e = out;
    bool wants = e->op == SELECTOR_IN || e->op == SELECTOR_NOT_IN;
    if (wants == (e->values.count > 0)) {
        return;
    }
    struct finding *found =
        reader_say(r, 2033, node, "values", "operator %s %s values",
                   reader_show(r, doc_get(node, "operator")), wants ? "has no" : "has");
    found->why =
        wants ? SPAN("it compares with them") : SPAN("it only asks whether the label is there");
    found->fix = wants ? SPAN("add 'values'") : SPAN("remove 'values'");
}

static const struct reader_field expression_fields[] = {
    READER_FIELD("key", TEXT, struct expression, key, .required = true, .check = check_label_key),
    READER_FIELD("operator", ENUM, struct expression, op, .required = true, .names = operators),
    READER_FIELD("values", TEXTS, struct expression, values),
};
static const struct reader_table expression_table = {
    READER_TABLE(struct expression, expression_fields), .strict = true, .check = check_expression};

struct label_selector {
    struct selector selector; /* first: what is kept */
    struct spec_labels labels;
    const struct expression *expressions;
    size_t expression_count;
};

static const struct reader_field label_selector_fields[] = {
    READER_FIELD("matchLabels", LABELS, struct label_selector, labels),
    READER_FIELD("matchExpressions", LIST, struct label_selector, expressions,
                 .table = &expression_table),
};
static const struct reader_table label_selector_table = {
    READER_TABLE(struct label_selector, label_selector_fields), .strict = true};

void spec_read_label_selector(struct reader *r, const struct doc_node *node, void *to)
{
    struct label_selector s;
    reader_map(r, node, &label_selector_table, &s);
    size_t count = s.labels.count + s.expression_count;
    struct selector_term *terms = arena_array(r->arena, count, sizeof(terms[0]));
    for (size_t i = 0; i < s.labels.count; i++) {
        terms[i] =
            (struct selector_term){s.labels.items[i].key, SELECTOR_IN, &s.labels.items[i].value, 1};
    }
    for (size_t i = 0; i < s.expression_count; i++) {
        const struct expression *e = &s.expressions[i];
        terms[s.labels.count + i] =
            (struct selector_term){e->key, e->op, e->values.items, e->values.count};
    }
    *(struct selector *)to = (struct selector){terms, count};
}

/* PolicyTargetReference (istio/api type/v1beta1): group and kind belong together. */
static void check_target(struct reader *r, const struct doc_node *node, void *out)
{
    struct spec_target *t = out;
    const char *want = span_is(t->kind, "Gateway")        ? "gateway.networking.k8s.io"
                       : span_is(t->kind, "ServiceEntry") ? "networking.istio.io"
                       : span_is(t->kind, "Service")      ? ""
                                                          : NULL;
    struct finding *found;
    if (want == NULL) {
        found = reader_say(r, 2015, doc_get(node, "kind"), "kind", "a policy can not target a %.*s",
                           SPAN_ARG(t->kind));
        found->why = SPAN("allowed: Service, Gateway or ServiceEntry");
        found->fix = SPAN("write 'kind: Service', or use a selector");
    } else if (!span_is(t->group, want) && !(want[0] == '\0' && span_is(t->group, "core"))) {
        const struct doc_node *group = doc_get(node, "group");
        found =
            reader_say(r, 2015, group ? group : node, "group", "kind %.*s is not in group '%.*s'",
                       SPAN_ARG(t->kind), SPAN_ARG(t->group));
        found->why = finding_text(r->findings, "its group is '%s'", want);
        found->fix = finding_text(r->findings, "write 'group: %s'", want[0] ? want : "\"\"");
    } else {
        t->group = span_of(want);
    }
}

static const struct reader_field target_fields[] = {
    READER_FIELD("group", TEXT, struct spec_target, group),
    READER_FIELD("kind", TEXT, struct spec_target, kind, .required = true),
    READER_FIELD("name", TEXT, struct spec_target, name, .required = true,
                 .check = reader_text_subdomain),
    READER_REFUSE("namespace", "remove it: a policy targets objects of its own namespace"),
};
const struct reader_table spec_target_table = {READER_TABLE(struct spec_target, target_fields),
                                               .strict = true, .check = check_target};

/* --- Istio's small messages --- */

static const struct reader_field port_fields[] = {
    {.name = "number", .type = READER_PORT, .required = true},
};
const struct reader_table spec_port_table = {READER_TABLE(uint16_t, port_fields)};

static const struct reader_field percent_fields[] = {
    {.name = "value", .type = READER_DOUBLE, .max = 100},
};
const struct reader_table spec_percent_table = {READER_TABLE(double, percent_fields)};

/* --- header operations --- */

/* "host" and ":authority" can be set, as Istio allows; other pseudo headers can not. */
static bool check_header(struct reader *r, const struct doc_node *node, struct span name)
{
    return span_is(name, ":authority") || reader_text_header_name(r, node, name);
}

static void read_header_map(struct reader *r, const struct doc_node *node, void *to)
{
    if (node->kind != DOC_MAP) {
        (void)reader_wrong_kind(r, node, "a map of texts"); /* is said */
        return;
    }
    struct spec_header *items = arena_array(r->arena, node->count, sizeof(items[0]));
    const struct reader_field value = {
        .name = "", .type = READER_TEXT, .check = reader_text_header_value};
    for (size_t i = 0; i < node->count; i++) {
        const struct doc_entry *entry = &node->entries[i];
        struct span key = entry->key.at ? entry->key : SPAN("");
        struct doc_node name = {
            .kind = DOC_TEXT, .line = entry->value->line, .file = entry->value->file};
        name.text = key;
        items[i].name = key;
        struct reader_step step = {.up = r->at, .key = key};
        r->at = &step;
        if (check_header(r, &name, key)) {
            reader_value(r, entry->value, &value, &items[i].value);
        }
        r->at = step.up;
    }
    *(struct spec_headers *)to = (struct spec_headers){items, node->count};
}

static const struct reader_field header_ops_fields[] = {
    READER_FIELD("set", CUSTOM, struct spec_header_ops, set, .read = read_header_map),
    READER_FIELD("add", CUSTOM, struct spec_header_ops, add, .read = read_header_map),
    READER_FIELD("remove", TEXTS, struct spec_header_ops, remove, .check = reader_text_header_name),
};
const struct reader_table spec_header_ops_table = {
    READER_TABLE(struct spec_header_ops, header_ops_fields)};

/* --- matches --- */

struct string_match {
    struct span exact, prefix, regex;
};

static const struct reader_field match_fields[] = {
    READER_FIELD("exact", TEXT, struct string_match, exact, .one_of = 1),
    READER_FIELD("prefix", TEXT, struct string_match, prefix, .one_of = 1),
    READER_FIELD("regex", TEXT, struct string_match, regex, .one_of = 1),
};
static const struct reader_table match_table = {READER_TABLE(struct string_match, match_fields),
                                                .strict = true};

/* Istio takes an empty text and the regex "*" for "any": of a header, that it is there. */
static bool read_match(struct reader *r, const struct doc_node *node, struct spec_match *to)
{
    struct string_match m;
    size_t errors = r->findings->errors;
    *to = (struct spec_match){.kind = SPEC_MATCH_NONE};
    reader_map(r, node, &match_table, &m);
    const struct doc_node *regex = doc_get(node, "regex");
    if (m.exact.len > 0) {
        *to = (struct spec_match){SPEC_MATCH_EXACT, m.exact};
    } else if (m.prefix.len > 0) {
        *to = (struct spec_match){SPEC_MATCH_PREFIX, m.prefix};
    } else if (m.regex.len > 0 && !span_is(m.regex, "*")) {
        struct reader_step step = {.up = r->at, .key = SPAN("regex")};
        r->at = &step;
        *to = (struct spec_match){SPEC_MATCH_REGEX, m.regex};
        (void)reader_text_regex(r, regex, m.regex); /* is said */
        r->at = step.up;
    }
    return errors == r->findings->errors;
}

void spec_read_match(struct reader *r, const struct doc_node *node, void *to)
{
    struct spec_match *match = to;
    if (!read_match(r, node, match) || match->kind != SPEC_MATCH_NONE) {
        return;
    }
    struct finding *found =
        reader_say(r, 2025, node, NULL, "'%s' compares with nothing", reader_here(r));
    found->why = SPAN("it wants one of exact, prefix or regex, with a text");
    found->fix =
        finding_text(r->findings, "write '%s: {exact: TEXT}', or remove it", reader_here(r));
}

/* Istio routes by claims of tokens with "@request.auth.claims.x" for a header. */
static bool check_header_match(struct reader *r, const struct doc_node *node, struct span name)
{
    if (!span_starts(name, SPAN("@request.auth.claims"))) {
        return reader_text_header_name(r, node, name);
    }
    struct finding *found = reader_say(r, 2012, node, NULL, "routing by claims is not supported");
    found->why = SPAN("tokens (JWT) are not checked yet");
    found->fix = SPAN("match a header that the application sets");
    return false;
}

static void read_named(struct reader *r, const struct doc_node *node, struct spec_named_matches *to,
                       bool header)
{
    if (node->kind != DOC_MAP) {
        (void)reader_wrong_kind(r, node, "a map"); /* is said */
        return;
    }
    struct spec_named_match *items = arena_array(r->arena, node->count, sizeof(items[0]));
    for (size_t i = 0; i < node->count; i++) {
        const struct doc_entry *entry = &node->entries[i];
        struct reader_step step = {.up = r->at, .key = entry->key.at ? entry->key : SPAN("")};
        struct doc_node name = {
            .kind = DOC_TEXT, .line = entry->value->line, .file = entry->value->file};
        struct span bare =
            span_starts(entry->key, SPAN(":")) ? span_from_offset(entry->key, 1) : entry->key;
        name.text = entry->key;
        items[i].name = entry->key;
        r->at = &step;
        bool good = header ? check_header_match(r, &name, bare)
                           : reader_text_not_empty(r, &name, entry->key);
        if (good && entry->value->kind != DOC_NULL) {           /* `x-user:` alone: is there */
            (void)read_match(r, entry->value, &items[i].value); /* is said */
        }
        r->at = step.up;
    }
    *to = (struct spec_named_matches){items, node->count};
}

void spec_read_named_matches(struct reader *r, const struct doc_node *node, void *to)
{
    read_named(r, node, to, true);
}

void spec_read_query_matches(struct reader *r, const struct doc_node *node, void *to)
{
    read_named(r, node, to, false);
}
