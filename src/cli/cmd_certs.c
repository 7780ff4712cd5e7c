/* mesh certs: what the CA has issued. */
#include "cli/commands.h"
#include "cli/verb.h"

static const struct opt_spec spec = {
    .command = "mesh certs",
    .section = "cli",
    .summary = "Certificates that were issued, the newest first.",
    .examples = "mesh certs\n"
                "mesh certs reviews\n"
                "mesh certs -o wide\n",
    .operands = "[WORKLOAD|SERVICEACCOUNT|SPIFFE-ID]",
    .rows = verb_plain_rows,
};

static const struct table_column columns[] = {
    {"IDENTITY", TABLE_LEFT, false, 0}, {"ISSUED", TABLE_RIGHT, false, 2},
    {"ENDS", TABLE_RIGHT, false, 0},    {"PROOF", TABLE_LEFT, false, 1},
    {"REVOKED", TABLE_LEFT, true, 1},   {"SERIAL", TABLE_LEFT, true, 1},
    {"PEER", TABLE_LEFT, true, 1},
};

static void row(struct verb *v, struct table *t, const struct doc_node *item)
{
    table_cell(t, cell_text(v, item, "identity"));
    table_cell(t, cell_age(v, item, "issued"));
    table_cell(t, cell_age(v, item, "notAfter"));
    table_cell(t, cell_text(v, item, "proof"));
    table_cell(t, cell_text(v, item, "revoked"));
    table_cell(t, cell_text(v, item, "serial"));
    table_cell(t, cell_text(v, item, "peer"));
}

/* The identity itself, or the service account at its end, or a word of that: bookinfo-reviews, reviews. */
static bool is_wanted(const struct verb *v, const struct doc_node *item)
{
    struct span name = span_of(v->operands.count > 0 ? v->operands.items[0] : "");
    struct span identity = item_text(item, "identity");
    ssize_t at = span_find(identity, SPAN("/sa/"));
    struct span account = at > 0 ? span_from_offset(identity, (size_t)at + 4) : identity;
    return name.len == 0 || span_eq(identity, name) || span_find(account, name) >= 0;
}

/* What a workload of that name proves to be is known of connected proxies. */
static int by_workload(struct verb *v)
{
    struct doc_node *answer = NULL;
    int status = verb_get(v, "/api/v1/proxies", &answer);
    const struct doc_node *items = doc_get(answer, "items");
    for (size_t i = 0; i < doc_count(items); i++) {
        if (span_is(item_text(doc_at(items, i), "workload"), v->operands.items[0])) {
            v->operands.items[0] = cell_text(v, doc_at(items, i), "identity");
            return status;
        }
    }
    return status;
}

static int show(struct verb *v)
{
    struct doc_node *answer = NULL;
    int status = v->operands.count > 0 ? by_workload(v) : EXIT_DONE;
    status = status == EXIT_DONE ? verb_get(v, "/api/v1/certs?limit=1000", &answer) : status;
    struct doc_node *items = doc_get(answer, "items");
    items_filter(items, is_wanted, v);
    if (status == EXIT_DONE && doc_count(items) == 0 && v->operands.count > 0) {
        return verb_fail(v, EXIT_MISSING, 1013, "mesh certs", "no certificate is for \"%s\"",
                         v->operands.items[0]);
    }
    if (status == EXIT_DONE && !verb_print_doc(v, answer)) {
        struct table *t = table_new(v, columns, ARRAY_LEN(columns));
        for (size_t i = 0; i < doc_count(items); i++) {
            row(v, t, doc_at(items, i));
        }
        table_print(t);
    }
    return status;
}

int cmd_certs(int argc, char **argv)
{
    struct verb_flags set = {.timeout_ms = 0};
    struct verb v;
    int status;
    if (verb_open(&v, &spec, &set, argc, argv, &status) == 0) {
        status = v.operands.count <= 1
                     ? show(&v)
                     : verb_fail(&v, EXIT_USAGE, 1004, "mesh certs --help", "certs takes one name");
    }
    verb_close(&v);
    return status;
}
