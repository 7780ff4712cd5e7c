/* mesh edges: who calls whom, how it goes, and by which identities. */
#include "cli/commands.h"
#include "cli/verb.h"

struct settings {
    struct verb_flags common;
    int64_t window_ms;
};

#define AT(field) offsetof(struct settings, field)
static const struct opt rows[] = {
    VERB_WINDOW_ROW(struct settings),
    VERB_WATCH_ROW(struct settings),
    VERB_ROWS(struct settings),
    {.name = NULL},
};

static const struct opt_spec spec = {
    .command = "mesh edges",
    .section = "cli",
    .summary = "Who calls whom, how it goes, and by which identities.",
    .examples = "mesh edges\n"
                "mesh edges productpage reviews\n"
                "mesh edges --window 10m -o wide\n",
    .operands = "[SOURCE [DESTINATION]]",
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
    struct span name = item_text(end, "workload");
    return name.len > 0 ? arena_cstr(&v->arena, name) : "unknown";
}

static void add_row(struct verb *v, struct table *t, const struct doc_node *item)
{
    const struct doc_node *from = doc_get(item, "source");
    const struct doc_node *to = doc_get(item, "destination");
    table_cell(t, end_of(v, from));
    table_cell(t, end_of(v, to));
    table_cell(t, cell_text(v, item, "protocol"));
    table_cell(t, cell_success(v, item, "success"));
    table_tone(t, cell_is_bad(item, "success") ? TONE_BAD : TONE_PLAIN);
    table_cell(t, cell_rate(v, item, "rps"));
    table_cell(t, cell_ms(v, item, "p50Ms"));
    table_cell(t, cell_ms(v, item, "p99Ms"));
    table_cell(t, cell_percent(v, item, "mtls"));
    table_tone(t, cell_is_bad(item, "mtls") ? TONE_WARN : TONE_PLAIN);
    table_cell(t, cell_text(v, from, "principal"));
    table_cell(t, cell_text(v, to, "principal"));
}

/* One operand: all edges of that workload; two: from the one to the other. */
static bool is_wanted(const struct verb *v, const struct doc_node *item)
{
    const struct doc_node *from = doc_get(item, "source");
    const struct doc_node *to = doc_get(item, "destination");
    struct span first = span_of(v->operands.count > 0 ? v->operands.items[0] : "");
    return v->operands.count == 0 ? true
           : v->operands.count == 1
               ? item_is_called(from, first) || item_is_called(to, first)
               : item_is_called(from, first) && item_is_called(to, span_of(v->operands.items[1]));
}

static int draw(struct verb *v, void *arg)
{
    static const char *const order[] = {"source.workload", "destination.workload", NULL};
    const struct settings *set = arg;
    struct doc_node *answer = NULL;
    long long seconds = (long long)(set->window_ms / 1000);
    int status =
        verb_get(v, arena_printf(&v->arena, "/api/v1/edges?window=%lld", seconds), &answer);
    struct doc_node *items = doc_get(answer, "items");
    items_filter(items, is_wanted, v);
    items_sort(items, order);
    if (status == EXIT_DONE && doc_count(items) == 0 && v->operands.count > 0) {
        return verb_fail(v, EXIT_MISSING, 1012, "mesh edges",
                         "no edge fits: nobody called in the last %s",
                         cell_window(v, set->window_ms));
    }
    if (status == EXIT_DONE && !verb_print_doc(v, answer)) {
        struct table *t = table_new(v, columns, ARRAY_LEN(columns));
        for (size_t i = 0; i < doc_count(items); i++) {
            add_row(v, t, doc_at(items, i));
        }
        table_print(t);
        verb_footer(v, "window %s \u00b7 next: mesh tap WORKLOAD", cell_window(v, set->window_ms));
    }
    return status;
}

int cmd_edges(int argc, char **argv)
{
    struct settings set = {.window_ms = 0};
    struct verb v;
    int status;
    if (verb_open(&v, &spec, &set, argc, argv, &status) == 0) {
        status = v.operands.count <= 2 ? verb_watch(&v, draw, &set)
                                       : verb_fail(&v, EXIT_USAGE, 1004, "mesh edges --help",
                                                   "edges takes a source and a destination");
    }
    verb_close(&v);
    return status;
}
