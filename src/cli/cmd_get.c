/* mesh get KIND [NAME]: objects, as they were written. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/verb.h"

static const struct opt_spec spec = {
    .command = "mesh get",
    .section = "cli",
    .summary = "Objects of a kind, as they were written; or findings.",
    .examples = "mesh get services\n"
                "mesh get destinationrule/reviews -o yaml\n"
                "mesh get findings\n",
    .operands = "KIND[/NAME]|all|findings [NAME]",
    .rows = verb_plain_rows,
};

static const struct table_column columns[] = {
    {"NAMESPACE", TABLE_LEFT, false, 1},  {"KIND", TABLE_LEFT, false, 0},
    {"NAME", TABLE_LEFT, false, 0},       {"AGE", TABLE_RIGHT, false, 1},
    {"GENERATION", TABLE_RIGHT, true, 1}, {"API", TABLE_LEFT, true, 1},
    {"LABELS", TABLE_LEFT, true, 1},
};

static const char *labels_of(struct verb *v, const struct doc_node *meta)
{
    const struct doc_node *labels = doc_get(meta, "labels");
    const char *text = "";
    for (size_t i = 0; i < doc_count(labels); i++) {
        const struct doc_entry *e = &labels->entries[i];
        text = arena_printf(&v->arena, "%s%s%.*s=%.*s", text, i ? "," : "", SPAN_ARG(e->key),
                            SPAN_ARG(doc_is(e->value, DOC_TEXT) ? e->value->text : SPAN_EMPTY));
    }
    return text;
}

static void print_table(struct verb *v, const struct doc_node *items)
{
    struct table *t = table_new(v, columns, ARRAY_LEN(columns));
    for (size_t i = 0; i < doc_count(items); i++) {
        const struct doc_node *one = doc_at(items, i);
        const struct doc_node *meta = doc_get(one, "metadata");
        table_cell(t, cell_text(v, meta, "namespace"));
        table_cell(t, cell_text(v, one, "kind"));
        table_cell(t, cell_text(v, meta, "name"));
        table_cell(t, cell_age(v, meta, "creationTimestamp"));
        table_cell(t, cell_text(v, meta, "generation"));
        table_cell(t, cell_text(v, one, "apiVersion"));
        table_cell(t, labels_of(v, meta));
    }
    table_print(t);
}

/* The findings go to stdout here: they are what was asked for. */
static int get_findings(struct verb *v)
{
    struct doc_node *answer = NULL;
    int status = verb_get(v, "/api/v1/findings", &answer);
    if (status != EXIT_DONE || verb_print_doc(v, answer)) {
        return status;
    }
    const struct doc_node *items = doc_get(answer, "items");
    for (size_t i = 0; i < doc_count(items); i++) {
        verb_print_finding_to(v, stdout, doc_at(items, i));
    }
    printf("%zu findings\n", doc_count(items));
    return EXIT_DONE;
}

static int get_objects(struct verb *v, const char *kind, const char *name)
{
    struct doc_node *answer = NULL;
    struct arena *a = &v->arena;
    const char *query = verb_namespace_query(v);
    const char *sign = *query ? "&" : "?";
    bool is_all = span_is(span_of(kind), "all");
    const char *path =
        arena_printf(a, "/api/v1/objects%s%s%s%s%s", query, sign,
                     is_all ? "" : arena_printf(a, "kind=%s&", verb_escape(v, span_of(kind))),
                     name ? "name=" : "", name ? verb_escape(v, span_of(name)) : "");
    int status = verb_get(v, path, &answer);
    if (status != EXIT_DONE) {
        return status;
    }
    const struct doc_node *items = doc_get(answer, "items");
    if (name && doc_count(items) == 0) {
        return verb_fail(v, EXIT_MISSING, 1006, arena_printf(a, "mesh get %s -A", kind),
                         "there is no %s \"%s\" in namespace %s", kind, name,
                         v->flags->all_namespaces ? "any" : verb_namespace(v));
    }
    bool is_one = name && doc_count(items) == 1;
    if (!verb_print_doc(v, is_one ? doc_at(items, 0) : answer)) {
        print_table(v, items);
    }
    return EXIT_DONE;
}

int cmd_get(int argc, char **argv)
{
    struct verb_flags set = {.timeout_ms = 0};
    struct verb v;
    int status;
    if (verb_open(&v, &spec, &set, argc, argv, &status) == 0) {
        verb_split_name(&v);
        if (v.operands.count == 0 || v.operands.count > 2) {
            status = verb_fail(&v, EXIT_USAGE, 1004, "mesh get --help",
                               "get needs a kind, and may have a name");
        } else if (span_is(span_of(v.operands.items[0]), "findings")) {
            status = get_findings(&v);
        } else {
            status = get_objects(&v, v.operands.items[0],
                                 v.operands.count == 2 ? v.operands.items[1] : NULL);
        }
    }
    verb_close(&v);
    return status;
}
