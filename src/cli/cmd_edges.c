/* mesh edges: who calls whom, how it goes, and by which identities. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/verb.h"

struct settings {
    struct verb_flags common;
    int64_t window_ms;
};

#define AT(field) offsetof(struct settings, field)
static const struct opt rows[] = {
    {.name = "window",
     .letter = 't',
     .type = OPT_DURATION,
     .offset = AT(window_ms),
     .arg = "TIME",
     .fallback = "1m",
     .min = 1000,
     .max = 86400000,
     .help = "how far back the numbers go"},
    VERB_ROWS(struct settings),
    {.name = NULL},
};

static const struct opt_spec spec = {
    .command = "mesh edges",
    .section = "cli",
    .summary = "Who calls whom, how it goes, and by which identities.",
    .examples = "mesh edges\n"
                "mesh edges --window 10m -o wide\n"
                "mesh edges -o json\n",
    .rows = rows,
};

static const struct table_column columns[] = {
    {"SOURCE", TABLE_LEFT, false, 0},   {"DESTINATION", TABLE_LEFT, false, 0},
    {"PROTOCOL", TABLE_LEFT, false, 1}, {"SUCCESS", TABLE_RIGHT, false, 0},
    {"RPS", TABLE_RIGHT, false, 0},     {"P50", TABLE_RIGHT, false, 2},
    {"P99", TABLE_RIGHT, false, 3},     {"mTLS", TABLE_RIGHT, false, 0},
    {"FROM", TABLE_LEFT, true, 1},      {"TO", TABLE_LEFT, true, 1},
};

static const char *end_of(struct verb *v, const struct doc_node *end)
{
    const struct doc_node *name = doc_get(end, "workload");
    return doc_is(name, DOC_TEXT) && name->text.len > 0 ? arena_cstr(&v->arena, name->text)
                                                        : "unknown";
}

static void add_row(struct verb *v, struct table *t, const struct doc_node *item)
{
    const struct doc_node *from = doc_get(item, "source");
    const struct doc_node *to = doc_get(item, "destination");
    table_cell(t, end_of(v, from));
    table_cell(t, end_of(v, to));
    table_cell(t, cell_text(v, item, "protocol"));
    table_cell(t, cell_percent(v, item, "success"));
    table_cell(t, cell_rate(v, item, "rps"));
    table_cell(t, cell_ms(v, item, "p50Ms"));
    table_cell(t, cell_ms(v, item, "p99Ms"));
    table_cell(t, cell_percent(v, item, "mtls"));
    table_cell(t, cell_text(v, from, "principal"));
    table_cell(t, cell_text(v, to, "principal"));
}

int cmd_edges(int argc, char **argv)
{
    struct settings set = {.window_ms = 0};
    struct verb v;
    struct doc_node *answer = NULL;
    int status;
    if (verb_open(&v, &spec, &set, argc, argv, &status) == 0) {
        status = verb_get(
            &v,
            arena_printf(&v.arena, "/api/v1/edges?window=%lld", (long long)(set.window_ms / 1000)),
            &answer);
        if (status == 0 && !verb_print_doc(&v, answer)) {
            struct table *t = table_new(&v, columns, ARRAY_LEN(columns));
            const struct doc_node *items = doc_get(answer, "items");
            for (size_t i = 0; i < doc_count(items); i++) {
                add_row(&v, t, doc_at(items, i));
            }
            table_print(t);
            verb_footer(&v, "window %llds · next: mesh tap", (long long)(set.window_ms / 1000));
        }
    }
    verb_close(&v);
    return status;
}
