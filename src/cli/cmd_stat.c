/* mesh stat: golden numbers of every workload. */
#include <string.h>

#include "cli/commands.h"
#include "cli/verb.h"

struct settings {
    struct verb_flags common;
    int64_t window_ms;
    bool out;
};

#define AT(field) offsetof(struct settings, field)
static const struct opt rows[] = {
    VERB_WINDOW_ROW(struct settings),
    {.name = "out",
     .type = OPT_BOOL,
     .offset = AT(out),
     .help = "what workloads call, not what they serve"},
    VERB_WATCH_ROW(struct settings),
    VERB_ROWS(struct settings),
    {.name = NULL},
};

static const struct opt_spec spec = {
    .command = "mesh stat",
    .section = "cli",
    .summary = "Golden numbers of every workload: success, rate, latency.",
    .examples = "mesh stat\n"
                "mesh stat reviews --window 10m\n"
                "mesh stat -A --watch\n",
    .operands = "[WORKLOAD...]",
    .rows = rows,
};

static const struct table_column columns[] = {
    {"NAMESPACE", TABLE_LEFT, true, 3}, {"WORKLOAD", TABLE_LEFT, false, 0},
    {"VERSION", TABLE_LEFT, false, 4},  {"MESHED", TABLE_RIGHT, false, 5},
    {"SUCCESS", TABLE_RIGHT, false, 0}, {"RPS", TABLE_RIGHT, false, 0},
    {"P50", TABLE_RIGHT, false, 6},     {"P95", TABLE_RIGHT, false, 7},
    {"P99", TABLE_RIGHT, false, 8},     {"LAST 10 MIN", TABLE_LEFT, false, 1},
    {"mTLS", TABLE_RIGHT, false, 2},
};

static bool is_wanted(const struct verb *v, const struct doc_node *item)
{
    for (size_t i = 0; i < v->operands.count; i++) {
        if (item_is_called(item, span_of(v->operands.items[i]))) {
            return true;
        }
    }
    return v->operands.count == 0;
}

/* What a gateway serves is what it passes on: nobody reports the way to it. */
static const char *side_of(const struct doc_node *item, bool out)
{
    const struct doc_node *gateway = doc_get(item, "gateway");
    return out || (doc_is(gateway, DOC_BOOL) && gateway->boolean) ? "outbound" : "inbound";
}

static void add_row(struct verb *v, struct table *t, const struct doc_node *item, bool out)
{
    const struct doc_node *n = doc_get(item, side_of(item, out));
    table_cell(t, cell_text(v, item, "namespace"));
    table_cell(t, cell_text(v, item, "workload"));
    table_cell(t, cell_text(v, item, "version"));
    table_cellf(t, "%s/%s", cell_text(v, item, "meshed"), cell_text(v, item, "instances"));
    table_cell(t, cell_success(v, n, "success"));
    table_tone(t, cell_is_bad(n, "success") ? TONE_BAD : TONE_PLAIN);
    table_cell(t, cell_rate(v, n, "rps"));
    table_cell(t, cell_ms(v, n, "p50Ms"));
    table_cell(t, cell_ms(v, n, "p95Ms"));
    table_cell(t, cell_ms(v, n, "p99Ms"));
    table_cell(t, cell_spark(v, n, "spark"));
    table_cell(t, cell_percent(v, n, "mtls"));
    table_tone(t, cell_is_bad(n, "mtls") ? TONE_WARN : TONE_PLAIN);
}

static void print(struct verb *v, const struct settings *set, const struct doc_node *items)
{
    struct table_column shown[ARRAY_LEN(columns)];
    memcpy(shown, columns, sizeof columns);
    shown[0].wide_only = !v->flags->all_namespaces;
    shown[9].wide_only = v->flags->all_namespaces; /* for 100 columns */
    struct table *t = table_new(v, shown, ARRAY_LEN(columns));
    for (size_t i = 0; i < doc_count(items); i++) {
        add_row(v, t, doc_at(items, i), set->out);
    }
    table_print(t);
    verb_footer(v, "window %s \u00b7 success excludes 4xx \u00b7 next: mesh edges",
                cell_window(v, set->window_ms));
}

static int draw(struct verb *v, void *arg)
{
    const struct settings *set = arg;
    struct doc_node *answer = NULL;
    const char *query = verb_namespace_query(v);
    int status = verb_get(v,
                          arena_printf(&v->arena, "/api/v1/stat%s%swindow=%lld", query,
                                       *query ? "&" : "?", (long long)(set->window_ms / 1000)),
                          &answer);
    struct doc_node *items = doc_get(answer, "items");
    items_filter(items, is_wanted, v);
    if (status == EXIT_DONE && doc_count(items) == 0 && v->operands.count > 0) {
        return verb_fail(v, EXIT_MISSING, 1008, "mesh stat -A",
                         "there is no workload \"%s\" in namespace %s", v->operands.items[0],
                         v->flags->all_namespaces ? "any" : verb_namespace(v));
    }
    if (status == EXIT_DONE && !verb_print_doc(v, answer)) {
        print(v, set, items);
    }
    return status;
}

int cmd_stat(int argc, char **argv)
{
    struct settings set = {.window_ms = 0};
    struct verb v;
    int status;
    if (verb_open(&v, &spec, &set, argc, argv, &status) == 0) {
        status = verb_watch(&v, draw, &set);
    }
    verb_close(&v);
    return status;
}
