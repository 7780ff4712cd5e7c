/* mesh stat: golden numbers of every workload. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/verb.h"

struct settings {
    struct verb_flags common;
    int64_t window_ms;
    bool out;
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
    {.name = "out",
     .type = OPT_BOOL,
     .offset = AT(out),
     .help = "what workloads call, not what they serve"},
    VERB_ROWS(struct settings),
    {.name = NULL},
};

static const struct opt_spec spec = {
    .command = "mesh stat",
    .section = "cli",
    .summary = "Golden numbers of every workload: success, rate, latency.",
    .examples = "mesh stat\n"
                "mesh stat -A --window 10m\n"
                "mesh stat reviews -o json\n",
    .operands = "WORKLOAD...",
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
    const struct doc_node *name = doc_get(item, "workload");
    const struct doc_node *app = doc_get(item, "app");
    for (size_t i = 0; i < v->operands.count; i++) {
        struct span wanted = span_of(v->operands.items[i]);
        if ((doc_is(name, DOC_TEXT) && span_eq(name->text, wanted)) ||
            (doc_is(app, DOC_TEXT) && span_eq(app->text, wanted))) {
            return true;
        }
    }
    return v->operands.count == 0;
}

static void add_row(struct verb *v, struct table *t, const struct doc_node *item, bool out)
{
    const struct doc_node *n = doc_get(item, out ? "outbound" : "inbound");
    const struct doc_node *success = n ? doc_get(n, "success") : NULL;
    bool is_bad = (doc_is(success, DOC_DOUBLE) && success->number < 0.99) ||
                  (doc_is(success, DOC_INT) && success->integer == 0);
    table_cell(t, cell_text(v, item, "namespace"));
    table_cell(t, cell_text(v, item, "workload"));
    table_cell(t, cell_text(v, item, "version"));
    table_cellf(t, "%s/%s", cell_text(v, item, "meshed"), cell_text(v, item, "instances"));
    table_cell(t, cell_percent(v, n, "success"));
    table_tone(t, is_bad ? TONE_BAD : TONE_PLAIN);
    table_cell(t, cell_rate(v, n, "rps"));
    table_cell(t, cell_ms(v, n, "p50Ms"));
    table_cell(t, cell_ms(v, n, "p95Ms"));
    table_cell(t, cell_ms(v, n, "p99Ms"));
    table_cell(t, cell_spark(v, n, "spark"));
    table_cell(t, cell_percent(v, n, "mtls"));
}

int cmd_stat(int argc, char **argv)
{
    struct settings set = {.window_ms = 0};
    struct verb v;
    struct doc_node *answer = NULL;
    int status;
    if (verb_open(&v, &spec, &set, argc, argv, &status) == 0) {
        const char *query = verb_namespace_query(&v);
        status = verb_get(&v,
                          arena_printf(&v.arena, "/api/v1/stat%s%swindow=%lld", query,
                                       *query ? "&" : "?", (long long)(set.window_ms / 1000)),
                          &answer);
        if (status == 0 && !verb_print_doc(&v, answer)) {
            struct table *t = table_new(&v, columns, ARRAY_LEN(columns));
            const struct doc_node *items = doc_get(answer, "items");
            for (size_t i = 0; i < doc_count(items); i++) {
                if (is_wanted(&v, doc_at(items, i))) {
                    add_row(&v, t, doc_at(items, i), set.out);
                }
            }
            table_print(t);
            verb_footer(&v, "window %llds · success excludes 4xx · next: mesh edges",
                        (long long)(set.window_ms / 1000));
        }
    }
    verb_close(&v);
    return status;
}
