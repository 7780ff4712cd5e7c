/* Filters of HTTPRoutes: each has a type and one member of the type's name. */
#include "model/http_route_int.h"
#include "model/kinds_int.h"

#define TYPE_UNSUPPORTED 100

/* --- references --- */

void http_route_filter_check_ref(struct reader *r, const struct doc_node *node,
                                 struct http_route_ref *ref)
{
    ref->kind = ref->kind.len > 0 ? ref->kind : SPAN("Service");
    ref->namespace = ref->namespace.len > 0 ? ref->namespace : r->object->namespace;
    ref->is_service = ref->group.len == 0 && span_is(ref->kind, "Service");
    if (ref->is_service && ref->port == 0) {
        reader_missing(r, node, "port", "add 'port', the port of the Service");
    }
    if (ref->is_service && !reader_text_is_label(ref->name)) {
        const struct reader_field label = {
            .name = "", .type = READER_TEXT, .check = reader_text_label};
        struct span unused;
        reader_value_at(r, SPAN("name"), doc_get(node, "name"), &label, &unused);
    }
}

/* --- headers --- */

static const struct reader_field header_fields[] = {
    READER_FIELD("name", TEXT, struct spec_header, name, .required = true,
                 .check = reader_text_header_name),
    READER_FIELD("value", TEXT, struct spec_header, value, .required = true,
                 .check = reader_text_header_value),
};
static const struct reader_table header_table = {READER_TABLE(struct spec_header, header_fields)};

static void check_headers(struct reader *r, const struct doc_node *node, void *out)
{
    UNUSED(out);
    reader_unique(r, doc_get(node, "set"), "set", "name", "header");
    reader_unique(r, doc_get(node, "add"), "add", "name", "header");
    reader_unique(r, doc_get(node, "remove"), "remove", NULL, "header");
}

static const struct reader_field headers_fields[] = {
    READER_FIELD("set", LIST, struct spec_header_ops, set, .max = 16, .table = &header_table),
    READER_FIELD("add", LIST, struct spec_header_ops, add, .max = 16, .table = &header_table),
    READER_FIELD("remove", TEXTS, struct spec_header_ops, remove, .max = 16,
                 .check = reader_text_header_name),
};
static const struct reader_table headers_table = {
    READER_TABLE(struct spec_header_ops, headers_fields), .check = check_headers};

/* --- paths of redirects and rewrites --- */

static const struct reader_enum path_types[] = {
    {"ReplaceFullPath", HTTP_ROUTE_PATH_FULL},
    {"ReplacePrefixMatch", HTTP_ROUTE_PATH_PREFIX_MATCH},
    {NULL, 0}};
struct path_change {
    enum http_route_path_change type;
    struct span full, prefix;
};

/* An empty prefix takes the prefix away. */
static bool check_replacement(struct reader *r, const struct doc_node *node, struct span text)
{
    return text.len == 0 || reader_text_path(r, node, text);
}

static void check_path(struct reader *r, const struct doc_node *node, void *out)
{
    const struct path_change *p = out;
    bool full = p->type == HTTP_ROUTE_PATH_FULL;
    const char *mine = full ? "replaceFullPath" : "replacePrefixMatch";
    const char *other = full ? "replacePrefixMatch" : "replaceFullPath";
    if (!reader_has(node, mine)) {
        reader_missing(r, node, mine,
                       full ? "add 'replaceFullPath' with a path"
                            : "add 'replacePrefixMatch' with a path");
    }
    if (reader_has(node, other)) {
        struct finding *found =
            reader_say(r, 2033, doc_get(node, other), other, "'%s' does not fit type %s", other,
                       full ? "ReplaceFullPath" : "ReplacePrefixMatch");
        found->why = finding_text(r->findings, "the type wants '%s'", mine);
        found->fix = finding_text(r->findings, "remove '%s', or write the other type", other);
    }
}

static const struct reader_field path_fields[] = {
    READER_FIELD("type", ENUM, struct path_change, type, .required = true, .names = path_types),
    READER_FIELD("replaceFullPath", TEXT, struct path_change, full, .check = check_replacement),
    READER_FIELD("replacePrefixMatch", TEXT, struct path_change, prefix,
                 .check = check_replacement),
};
static const struct reader_table path_table = {READER_TABLE(struct path_change, path_fields),
                                               .check = check_path};

static void read_path(struct reader *r, const struct doc_node *node, void *to)
{
    struct http_route_filter *f = to;
    struct path_change p;
    reader_map(r, node, &path_table, &p);
    f->path_change = p.type;
    f->path = p.type == HTTP_ROUTE_PATH_FULL ? p.full : p.prefix;
}

/* --- redirect, rewrite --- */

static const struct reader_enum schemes[] = {{"http", 0}, {"https", 1}, {NULL, 0}};

static void read_scheme(struct reader *r, const struct doc_node *node, void *to)
{
    int which = -1;
    const struct reader_field field = {.name = "", .type = READER_ENUM, .names = schemes};
    reader_value(r, node, &field, &which);
    if (which >= 0) {
        *(struct span *)to = span_of(schemes[which].name);
    }
}

static void read_status(struct reader *r, const struct doc_node *node, void *to)
{
    static const int allowed[] = {301, 302, 303, 307, 308};
    for (size_t i = 0; node->kind == DOC_INT && i < ARRAY_LEN(allowed); i++) {
        if (node->integer == allowed[i]) {
            *(unsigned *)to = (unsigned)allowed[i];
            return;
        }
    }
    struct finding *found = reader_say(
        r, 2030, node, NULL, "'statusCode' is %s, which is no redirect", reader_show(r, node));
    found->why = SPAN("allowed: 301, 302, 303, 307 or 308");
    found->fix = SPAN("write 301 (for ever) or 302 (for now)");
}

static void start_redirect(void *out)
{
    ((struct http_route_filter *)out)->status = 302;
}

static const struct reader_field redirect_fields[] = {
    READER_FIELD("scheme", CUSTOM, struct http_route_filter, scheme, .read = read_scheme),
    READER_FIELD("hostname", TEXT, struct http_route_filter, hostname,
                 .check = reader_text_precise_hostname),
    {.name = "path", .type = READER_CUSTOM, .read = read_path},
    READER_FIELD("port", PORT, struct http_route_filter, port),
    READER_FIELD("statusCode", CUSTOM, struct http_route_filter, status, .read = read_status),
};
static const struct reader_table redirect_table = {
    READER_TABLE(struct http_route_filter, redirect_fields), .start = start_redirect};

static const struct reader_field rewrite_fields[] = {
    READER_FIELD("hostname", TEXT, struct http_route_filter, hostname,
                 .check = reader_text_precise_hostname),
    {.name = "path", .type = READER_CUSTOM, .read = read_path},
};
static const struct reader_table rewrite_table = {
    READER_TABLE(struct http_route_filter, rewrite_fields)};

/* --- mirror --- */

static void check_ref(struct reader *r, const struct doc_node *node, void *out)
{
    http_route_filter_check_ref(r, node, out);
}

static const struct reader_field ref_fields[] = {
    READER_FIELD("group", TEXT, struct http_route_ref, group),
    READER_FIELD("kind", TEXT, struct http_route_ref, kind),
    READER_FIELD("namespace", TEXT, struct http_route_ref, namespace, .check = reader_text_label),
    READER_FIELD("name", TEXT, struct http_route_ref, name, .required = true,
                 .check = reader_text_not_empty),
    READER_FIELD("port", PORT, struct http_route_ref, port),
};
static const struct reader_table ref_table = {READER_TABLE(struct http_route_ref, ref_fields),
                                              .check = check_ref};

struct fraction {
    uint32_t numerator, denominator;
};

static void start_fraction(void *out)
{
    ((struct fraction *)out)->denominator = 100;
}

static void check_fraction(struct reader *r, const struct doc_node *node, void *out)
{
    const struct fraction *f = out;
    if (f->numerator <= f->denominator) {
        return;
    }
    struct finding *found = reader_say(r, 2033, doc_get(node, "numerator"), "numerator",
                                       "the fraction is more than one");
    found->why = finding_text(r->findings, "%u of %u", f->numerator, f->denominator);
    found->fix = finding_text(r->findings, "write at most %u", f->denominator);
}

static const struct reader_field fraction_fields[] = {
    READER_FIELD("numerator", U32, struct fraction, numerator, .required = true),
    READER_FIELD("denominator", U32, struct fraction, denominator, .min = 1, .max = INT32_MAX),
};
static const struct reader_table fraction_table = {READER_TABLE(struct fraction, fraction_fields),
                                                   .start = start_fraction,
                                                   .check = check_fraction};

static void read_fraction(struct reader *r, const struct doc_node *node, void *to)
{
    struct fraction f;
    reader_map(r, node, &fraction_table, &f);
    *(double *)to = 100.0 * f.numerator / f.denominator;
}

static void start_mirror(void *out)
{
    ((struct http_route_filter *)out)->mirror_percent = 100;
}

static const struct reader_field mirror_fields[] = {
    READER_FIELD("backendRef", MAP, struct http_route_filter, mirror, .required = true,
                 .table = &ref_table),
    READER_FIELD("percent", DOUBLE, struct http_route_filter, mirror_percent, .max = 100,
                 .one_of = 1),
    READER_FIELD("fraction", CUSTOM, struct http_route_filter, mirror_percent, .one_of = 1,
                 .read = read_fraction),
};
static const struct reader_table mirror_table = {
    READER_TABLE(struct http_route_filter, mirror_fields), .start = start_mirror};

/* --- one filter --- */

static const struct filter_type {
    const char *name, *member;
    enum http_route_filter_kind kind;
    const struct reader_table *table;
} types[] = {
    {"RequestHeaderModifier", "requestHeaderModifier", HTTP_ROUTE_REQUEST_HEADERS, &headers_table},
    {"ResponseHeaderModifier", "responseHeaderModifier", HTTP_ROUTE_RESPONSE_HEADERS,
     &headers_table},
    {"RequestRedirect", "requestRedirect", HTTP_ROUTE_REDIRECT, &redirect_table},
    {"URLRewrite", "urlRewrite", HTTP_ROUTE_REWRITE, &rewrite_table},
    {"RequestMirror", "requestMirror", HTTP_ROUTE_MIRROR, &mirror_table},
};

static const struct reader_enum type_names[] = {{"RequestHeaderModifier", 0},
                                                {"ResponseHeaderModifier", 1},
                                                {"RequestRedirect", 2},
                                                {"URLRewrite", 3},
                                                {"RequestMirror", 4},
                                                {"CORS", TYPE_UNSUPPORTED},
                                                {"ExternalAuth", TYPE_UNSUPPORTED},
                                                {"ExtensionRef", TYPE_UNSUPPORTED},
                                                {NULL, 0}};

static void read_member(struct reader *r, const struct doc_node *value,
                        const struct filter_type *type, struct http_route_filter *out)
{
    struct reader_step step = {.up = r->at, .key = span_of(type->member)};
    r->at = &step;
    if (type->table == &headers_table) {
        reader_map(r, value, type->table, &out->headers);
    } else {
        reader_map(r, value, type->table, out);
    }
    out->kind = type->kind;
    r->at = step.up;
}

/* The type tells which member must be there, and that no other may be. */
static void check_filter(struct reader *r, const struct doc_node *node, void *out)
{
    int which = -1;
    const struct doc_node *type = doc_get(node, "type");
    const struct reader_field field = {.name = "", .type = READER_ENUM, .names = type_names};
    reader_value_at(r, SPAN("type"), type, &field, &which);
    if (which < 0) {
        return;
    }
    if (which == TYPE_UNSUPPORTED) {
        struct finding *found =
            reader_say(r, 2012, type, "type", "filter %s is not supported", reader_show(r, type));
        found->why = SPAN("without it requests would be treated in another way");
        found->fix = span_is(type->text, "CORS") ? SPAN("write a VirtualService with corsPolicy")
                                                 : SPAN("remove the filter");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        const struct doc_node *value = doc_get(node, types[i].member);
        bool there = reader_has(node, types[i].member);
        if ((int)i == which && there) {
            read_member(r, value, &types[i], out);
        } else if ((int)i == which) {
            reader_missing(r, node, types[i].member,
                           arena_printf(r->findings->arena, "add '%s'", types[i].member));
        } else if (there) {
            struct finding *found =
                reader_say(r, 2033, value, types[i].member, "'%s' does not fit type %s",
                           types[i].member, types[which].name);
            found->why = finding_text(r->findings, "the type wants '%s'", types[which].member);
            found->fix = finding_text(r->findings, "remove '%s', or write 'type: %s'",
                                      types[i].member, types[i].name);
        }
    }
}

static const struct reader_field filter_fields[] = {
    {.name = "type",
     .type = READER_SILENT,
     .required = true,
     .note = "add 'type', for example 'type: URLRewrite'"},
    READER_IGNORE("requestHeaderModifier"),
    READER_IGNORE("responseHeaderModifier"),
    READER_IGNORE("requestRedirect"),
    READER_IGNORE("urlRewrite"),
    READER_IGNORE("requestMirror"),
    READER_IGNORE("cors"),
    READER_IGNORE("externalAuth"),
    READER_IGNORE("extensionRef"),
};
const struct reader_table http_route_filter_table = {
    READER_TABLE(struct http_route_filter, filter_fields), .check = check_filter};

/* Each but RequestMirror once, and not both redirect and rewrite. */
void http_route_filters_check(struct reader *r, const struct doc_node *list,
                              const struct http_route_filters *filters)
{
    for (size_t i = 1; i < filters->count; i++) {
        for (size_t k = 0; k < i; k++) {
            enum http_route_filter_kind a = filters->items[i].kind;
            enum http_route_filter_kind b = filters->items[k].kind;
            bool both = (a == HTTP_ROUTE_REDIRECT && b == HTTP_ROUTE_REWRITE) ||
                        (a == HTTP_ROUTE_REWRITE && b == HTTP_ROUTE_REDIRECT);
            if (!both && (a != b || a == HTTP_ROUTE_MIRROR)) {
                continue;
            }
            struct finding *found =
                reader_say(r, both ? 2024 : 2023, doc_at(list, i),
                           arena_printf(r->findings->arena, "filters[%zu]", i),
                           "filter %s stands beside %s", types[a].name, types[b].name);
            found->why = both ? SPAN("a redirected request goes nowhere else")
                              : finding_text(r->findings, "filters[%zu] is of this type too", k);
            found->fix = both ? SPAN("remove one of the two") : SPAN("put both into one filter");
            return;
        }
    }
}
