/* mesh certs: what the CA has issued. */
#include "cli/commands.h"
#include "cli/verb.h"

static const struct opt_spec spec = {
    .command = "mesh certs",
    .section = "cli",
    .summary = "Certificates that were issued, the newest first.",
    .examples = "mesh certs\n"
                "mesh certs -o wide\n"
                "mesh certs -o json\n",
    .rows = verb_plain_rows,
};

static const struct table_column columns[] = {
    {"IDENTITY", TABLE_LEFT, false, 0}, {"ISSUED", TABLE_RIGHT, false, 2},
    {"ENDS", TABLE_RIGHT, false, 0},    {"PROOF", TABLE_LEFT, false, 1},
    {"SERIAL", TABLE_LEFT, true, 1},    {"PEER", TABLE_LEFT, true, 1},
};

static void row(struct verb *v, struct table *t, const struct doc_node *item)
{
    table_cell(t, cell_text(v, item, "identity"));
    table_cell(t, cell_age(v, item, "issued"));
    table_cell(t, cell_age(v, item, "notAfter"));
    table_cell(t, cell_text(v, item, "proof"));
    table_cell(t, cell_text(v, item, "serial"));
    table_cell(t, cell_text(v, item, "peer"));
}

int cmd_certs(int argc, char **argv)
{
    static const struct verb_list list = {.spec = &spec,
                                          .path = "/api/v1/certs?limit=100",
                                          .columns = columns,
                                          .column_count = ARRAY_LEN(columns),
                                          .row = row};
    return verb_list_main(&list, argc, argv);
}
