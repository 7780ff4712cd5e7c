/* mesh authz check|explain|list: would a call be allowed, and which policy says so. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/verb.h"

struct settings {
    struct verb_flags common;
    const char *method, *path;
    int64_t port;
};

#define AT(field) offsetof(struct settings, field)
static const struct opt rows[] = {
    {.name = "method",
     .type = OPT_TEXT,
     .offset = AT(method),
     .arg = "METHOD",
     .fallback = "GET",
     .help = "of the request"},
    {.name = "path",
     .type = OPT_TEXT,
     .offset = AT(path),
     .arg = "PATH",
     .fallback = "/",
     .help = "of the request"},
    {.name = "port",
     .type = OPT_INT,
     .offset = AT(port),
     .arg = "N",
     .fallback = "0",
     .min = 0,
     .max = 65535,
     .help = "of the workload; 0 = its first"},
    VERB_ROWS(struct settings),
    {.name = NULL},
};

static const struct opt_spec spec = {
    .command = "mesh authz",
    .section = "cli",
    .summary = "Would a call be allowed, and which policy says so? The proxy's own code decides.",
    .examples = "mesh authz check productpage reviews --path /reviews/0\n"
                "mesh authz explain ratings reviews --method POST\n"
                "mesh authz list reviews\n",
    .operands = "check|explain|list [SOURCE] DESTINATION",
    .rows = rows,
};

static const struct table_column columns[] = {
    {"NAMESPACE", TABLE_LEFT, false, 0}, {"POLICY", TABLE_LEFT, false, 0},
    {"ACTION", TABLE_LEFT, false, 0},    {"RULES", TABLE_RIGHT, false, 1},
    {"DRY RUN", TABLE_LEFT, false, 1},
};

static int decide(struct verb *v, const struct settings *set, bool is_long)
{
    struct doc_node *answer = NULL;
    struct arena *a = &v->arena;
    const char *path = arena_printf(
        a, "/api/v1/authz?namespace=%s&source=%s&destination=%s&method=%s&path=%s%s",
        verb_escape(v, span_of(verb_namespace(v))), verb_escape(v, span_of(v->operands.items[1])),
        verb_escape(v, span_of(v->operands.items[2])), verb_escape(v, span_of(set->method)),
        verb_escape(v, span_of(set->path)),
        set->port ? arena_printf(a, "&port=%lld", (long long)set->port) : "");
    int status = verb_get(v, path, &answer);
    if (status != EXIT_DONE) {
        return status;
    }
    const struct doc_node *allowed = doc_get(answer, "allowed");
    bool is_allowed = doc_is(allowed, DOC_BOOL) && allowed->boolean;
    if (!verb_print_doc(v, answer)) {
        struct span source = item_text(answer, "source");
        ssize_t at = span_find(source, SPAN("/sa/"));
        source = is_long || at < 0 ? source : span_from_offset(source, (size_t)at + 4);
        printf("%s  %.*s -> %s%s%s %s: %s", is_allowed ? "allowed" : "denied", SPAN_ARG(source),
               cell_text(v, answer, "workload"), is_long ? "\n  " : "  ", set->method, set->path,
               cell_text(v, answer, "why"));
        const struct doc_node *policy = doc_get(answer, "policy");
        if (policy) {
            printf(" (%s)", cell_text(v, answer, "policy"));
        }
        putchar('\n');
        const struct doc_node *text = doc_get(answer, "explanation");
        if (is_long && doc_is(text, DOC_TEXT)) {
            printf("%.*s", SPAN_ARG(text->text));
        }
    }
    return is_allowed ? EXIT_DONE : EXIT_NEGATIVE;
}

static int list(struct verb *v)
{
    struct doc_node *answer = NULL;
    const char *destination =
        v->operands.count > 1 ? verb_escape(v, span_of(v->operands.items[1])) : "";
    int status =
        verb_get(v,
                 arena_printf(&v->arena, "/api/v1/authz/policies?namespace=%s&destination=%s",
                              verb_escape(v, span_of(verb_namespace(v))), destination),
                 &answer);
    if (status == EXIT_DONE && !verb_print_doc(v, answer)) {
        struct table *t = table_new(v, columns, ARRAY_LEN(columns));
        const struct doc_node *items = doc_get(answer, "items");
        for (size_t i = 0; i < doc_count(items); i++) {
            const struct doc_node *one = doc_at(items, i);
            table_cell(t, cell_text(v, one, "namespace"));
            table_cell(t, cell_text(v, one, "name"));
            table_cell(t, cell_text(v, one, "action"));
            table_cell(t, cell_text(v, one, "rules"));
            table_cell(t, cell_text(v, one, "dryRun"));
        }
        if (doc_count(items) == 0 && v->flags->output != OUTPUT_CSV) {
            printf("no policy applies: every call is allowed\n");
        } else {
            table_print(t);
        }
    }
    return status;
}

int cmd_authz(int argc, char **argv)
{
    struct settings set = {.port = 0};
    struct verb v;
    int status;
    if (verb_open(&v, &spec, &set, argc, argv, &status) == 0) {
        const char *word = v.operands.count > 0 ? v.operands.items[0] : "";
        bool is_explain = strcmp(word, "explain") == 0;
        if ((is_explain || strcmp(word, "check") == 0) && v.operands.count == 3) {
            status = decide(&v, &set, is_explain);
        } else if (strcmp(word, "list") == 0 && v.operands.count <= 2) {
            status = list(&v);
        } else {
            status = verb_fail(&v, EXIT_USAGE, 1004, "mesh authz --help",
                               "authz needs check or explain with SOURCE and DESTINATION, or list");
        }
    }
    verb_close(&v);
    return status;
}
