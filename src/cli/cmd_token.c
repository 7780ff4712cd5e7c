/* mesh token create|list|revoke: what lets a machine or workload join. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/verb.h"

struct settings {
    struct verb_flags common;
    const char *service_account, *ttl;
    int64_t uses;
};

#define AT(field) offsetof(struct settings, field)
static const struct opt rows[] = {
    {.name = "service-account",
     .type = OPT_TEXT,
     .offset = AT(service_account),
     .arg = "NAME",
     .fallback = "default",
     .help = "whom the token makes; * = any of the namespace"},
    {.name = "uses",
     .type = OPT_INT,
     .offset = AT(uses),
     .arg = "N",
     .fallback = "1",
     .min = -1,
     .max = 1000000,
     .help = "how often it may be used; -1 = without limit"},
    {.name = "ttl",
     .type = OPT_TEXT,
     .offset = AT(ttl),
     .arg = "TIME",
     .fallback = "1h",
     .help = "how long it lives"},
    VERB_ROWS(struct settings),
    {.name = NULL},
};

static const struct opt_spec spec = {
    .command = "mesh token",
    .section = "cli",
    .summary = "Join tokens: what lets a machine or workload prove who it is for the first time.",
    .examples = "mesh token create --service-account bookinfo-reviews --ttl 1h\n"
                "mesh token list\n"
                "mesh token revoke 7q2kd4\n",
    .operands = "create|list|revoke [ID]",
    .rows = rows,
};

static const struct table_column columns[] = {
    {"ID", TABLE_LEFT, false, 0},
    {"NAMESPACE", TABLE_LEFT, false, 1},
    {"SERVICEACCOUNT", TABLE_LEFT, false, 0},
    {"USES LEFT", TABLE_RIGHT, false, 0},
    {"EXPIRES", TABLE_RIGHT, false, 0},
    {"REVOKED", TABLE_LEFT, false, 1},
};

static int create(struct verb *v, const struct settings *set)
{
    struct arena *a = &v->arena;
    struct doc_node *rq = doc_new_map(a);
    struct doc_node *answer = NULL;
    struct buf body;
    doc_set(a, rq, "namespace", doc_cstr(a, verb_namespace(v)));
    doc_set(a, rq, "serviceAccount", doc_cstr(a, set->service_account));
    doc_set(a, rq, "uses", doc_int(a, set->uses));
    doc_set(a, rq, "ttl", doc_cstr(a, set->ttl));
    buf_init(&body, 65536);
    int status = doc_write_json(rq, false, &body) != 0
                     ? EXIT_USAGE
                     : verb_send(v, "POST", "/api/v1/tokens", buf_span(&body), &answer);
    buf_dispose(&body);
    if (status == EXIT_DONE && !verb_print_doc(v, answer)) {
        printf("%s\n", cell_text(v, answer, "token"));
        fprintf(stderr, "pin %s\n", cell_text(v, answer, "pin"));
    }
    return status;
}

static int list(struct verb *v)
{
    struct doc_node *answer = NULL;
    int status = verb_get(v, "/api/v1/tokens", &answer);
    if (status == EXIT_DONE && !verb_print_doc(v, answer)) {
        struct table *t = table_new(v, columns, ARRAY_LEN(columns));
        const struct doc_node *items = doc_get(answer, "items");
        for (size_t i = 0; i < doc_count(items); i++) {
            const struct doc_node *one = doc_at(items, i);
            const struct doc_node *uses = doc_get(one, "usesLeft");
            table_cell(t, cell_text(v, one, "id"));
            table_cell(t, cell_text(v, one, "namespace"));
            table_cell(t, cell_text(v, one, "serviceAccount"));
            table_cell(t, doc_is(uses, DOC_INT) && uses->integer < 0
                              ? "any"
                              : cell_text(v, one, "usesLeft"));
            table_cell(t, cell_age(v, one, "expires"));
            table_cell(t, cell_text(v, one, "revoked"));
        }
        table_print(t);
    }
    return status;
}

int cmd_token(int argc, char **argv)
{
    struct settings set = {.uses = 0};
    struct verb v;
    struct doc_node *answer = NULL;
    int status;
    if (verb_open(&v, &spec, &set, argc, argv, &status) == 0) {
        const char *word = v.operands.count > 0 ? v.operands.items[0] : "list";
        if (strcmp(word, "create") == 0 && v.operands.count == 1) {
            status = create(&v, &set);
        } else if (strcmp(word, "list") == 0 && v.operands.count <= 1) {
            status = list(&v);
        } else if (strcmp(word, "revoke") == 0 && v.operands.count == 2) {
            const char *id = verb_escape(&v, span_of(v.operands.items[1]));
            status = verb_send(&v, "DELETE", arena_printf(&v.arena, "/api/v1/tokens/%s", id),
                               SPAN_EMPTY, &answer);
            if (status == EXIT_DONE && !verb_print_doc(&v, answer)) {
                printf("token %s revoked\n", v.operands.items[1]);
            }
        } else {
            status = verb_fail(&v, EXIT_USAGE, 1004, "mesh token --help",
                               "token does not take these words");
        }
    }
    verb_close(&v);
    return status;
}
