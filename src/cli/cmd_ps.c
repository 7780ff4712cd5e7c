/* mesh ps: proxies that are connected, and whether they have what they should. */
#include "cli/commands.h"
#include "cli/verb.h"

static const struct opt_spec spec = {
    .command = "mesh ps",
    .section = "cli",
    .summary = "Proxies that are connected, and whether they have what they should.",
    .examples = "mesh ps\n"
                "mesh ps -o wide\n"
                "mesh ps --watch\n",
    .rows = verb_watch_rows,
};

static const struct table_column columns[] = {
    {"NAME", TABLE_LEFT, false, 0},       {"NAMESPACE", TABLE_LEFT, false, 1},
    {"KIND", TABLE_LEFT, false, 2},       {"CDS", TABLE_LEFT, false, 3},
    {"EDS", TABLE_LEFT, false, 3},        {"LDS", TABLE_LEFT, false, 3},
    {"RDS", TABLE_LEFT, false, 3},        {"VHDS", TABLE_LEFT, true, 3},
    {"CONNECTED", TABLE_RIGHT, false, 2}, {"DISCOVERY", TABLE_LEFT, true, 1},
    {"IDENTITY", TABLE_LEFT, true, 1},    {"ADDRESS", TABLE_LEFT, true, 1},
};

static void type_cell(struct verb *v, struct table *t, const struct doc_node *types,
                      const char *name)
{
    const struct doc_node *one = doc_get(types, name);
    const char *state = cell_text(v, one, "state");
    bool is_refused = span_is(span_of(state), "REFUSED");
    bool is_stale = span_is(span_of(state), "STALE");
    table_cell(t, state);
    table_tone(t, is_refused ? TONE_BAD : is_stale ? TONE_WARN : TONE_PLAIN);
}

static void row(struct verb *v, struct table *t, const struct doc_node *item)
{
    const struct doc_node *types = doc_get(item, "types");
    static const char *const names[] = {"CDS", "EDS", "LDS", "RDS", "VHDS"};
    table_cell(t, cell_text(v, item, "name"));
    table_cell(t, cell_text(v, item, "namespace"));
    table_cell(t, cell_text(v, item, "kind"));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        type_cell(v, t, types, names[i]);
    }
    table_cell(t, cell_age(v, item, "connected"));
    table_cell(t, cell_text(v, item, "discovery"));
    table_cell(t, cell_text(v, item, "identity"));
    table_cell(t, cell_text(v, item, "peer"));
}

int cmd_ps(int argc, char **argv)
{
    static const char *const order[] = {"namespace", "name", NULL};
    static const struct verb_list list = {.spec = &spec,
                                          .path = "/api/v1/proxies",
                                          .order = order,
                                          .columns = columns,
                                          .column_count = ARRAY_LEN(columns),
                                          .row = row,
                                          .footer = "next: mesh pc NAME"};
    return verb_list_main(&list, argc, argv);
}
