/* mesh samples: manifests to try a mesh with, out of examples/bookinfo/kubernetes. In: commands.def. */
#include <stdio.h>
#include <string.h>

#include "base/embed.h"
#include "cli/commands.h"
#include "cli/demo_files.h"
#include "cli/verb.h"

#define FOLDER "kubernetes/"

struct settings {
    struct verb_flags common;
};

static const struct opt rows[] = {
    VERB_OUTPUT_ROWS(struct settings),
    {.name = NULL},
};

static const struct opt_spec samples_spec = {
    .command = "mesh samples",
    .section = "cli",
    .summary = "Manifests to try a mesh with; without a name, which there are.",
    .examples = "mesh samples\n"
                "mesh samples bookinfo | kubectl apply -f -\n"
                "mesh samples bookinfo-gateway tasks/all-v1 | kubectl apply -f -\n",
    .operands = "NAME...",
    .rows = rows,
};

/* "tasks/all-v1" of "kubernetes/tasks/all-v1.yaml"; empty: it is no sample. */
static struct span name_of(const struct embed *file)
{
    struct span name = span_of(file->name);
    if (!span_starts(name, SPAN(FOLDER)) || !span_ends(name, SPAN(".yaml"))) {
        return SPAN_EMPTY;
    }
    name = span_from_offset(name, strlen(FOLDER));
    return span_first(name, name.len - strlen(".yaml"));
}

/* The first line says what it is: "# ...", up to a colon or a full stop. */
static const char *summary_of(struct verb *v, const struct embed *file)
{
    struct span rest = span_from(file->bytes, file->length);
    struct span line = span_from_offset(span_cut(&rest, '\n'), 2);
    struct span part = span_cut(&line, ':');
    return arena_cstr(&v->arena, span_cut(&part, '.'));
}

static int list(struct verb *v)
{
    static const struct table_column columns[] = {{.title = "NAME"}, {.title = "WHAT"}};
    struct doc_node *doc = doc_new_map(&v->arena);
    struct doc_node *items = doc_list_in(&v->arena, doc, "items");
    struct table *t = table_new(v, columns, ARRAY_LEN(columns));
    for (const struct embed *file = demo_files; file->name; file++) {
        struct span name = name_of(file);
        if (name.len > 0) {
            struct doc_node *one = doc_list_add(&v->arena, items, doc_new_map(&v->arena));
            doc_set_text(&v->arena, one, "name", name);
            doc_set(&v->arena, one, "summary", doc_cstr(&v->arena, summary_of(v, file)));
            table_cell(t, arena_cstr(&v->arena, name));
            table_cell(t, summary_of(v, file));
        }
    }
    if (!verb_print_doc(v, doc)) {
        table_print(t);
        verb_footer(v, "next: mesh samples bookinfo | kubectl apply -f -");
    }
    return EXIT_DONE;
}

static int print(struct verb *v, const char *name, bool is_first)
{
    for (const struct embed *file = demo_files; file->name; file++) {
        if (name_of(file).len > 0 && span_is(name_of(file), name)) {
            fputs(is_first ? "" : "---\n", stdout);
            fwrite(file->bytes, 1, file->length, stdout);
            return EXIT_DONE;
        }
    }
    return verb_fail(v, EXIT_MISSING, 1332, "mesh samples", "there is no sample '%s'", name);
}

int cmd_samples(int argc, char **argv)
{
    struct settings set = {.common.timeout_ms = 0};
    struct verb v;
    int status;
    if (verb_open(&v, &samples_spec, &set, argc, argv, &status) == 0) {
        status = v.operands.count == 0 ? list(&v) : EXIT_DONE;
        for (size_t i = 0; i < v.operands.count && status == EXIT_DONE; i++) {
            status = print(&v, v.operands.items[i], i == 0);
        }
    }
    verb_close(&v);
    return status;
}
