/* mesh apply -f FILE: objects through the API.
 * What is applied is taken whole or not at all; findings are printed as the API tells them. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/input.h"
#include "cli/verb.h"

struct settings {
    struct verb_flags common;
    struct opt_list files;
    bool dry_run;
};

#define AT(field) offsetof(struct settings, field)
static const struct opt rows[] = {
    {.name = "filename",
     .letter = 'f',
     .type = OPT_LIST,
     .offset = AT(files),
     .arg = "FILE",
     .help = "YAML or JSON, - for stdin; may be given again"},
    {.name = "dry-run",
     .type = OPT_BOOL,
     .offset = AT(dry_run),
     .help = "say what would change, and change nothing"},
    VERB_ROWS(struct settings),
    {.name = NULL},
};

static const struct opt_spec apply_spec = {
    .command = "mesh apply",
    .section = "cli",
    .summary = "Creates or changes objects; all of what is given, or nothing.",
    .examples = "mesh apply -f reviews.yaml\n"
                "mesh apply -f reviews.yaml --dry-run\n"
                "cat reviews.yaml | mesh apply -f -\n",
    .rows = rows,
};

static void print_results(struct verb *v, const struct doc_node *answer)
{
    const struct doc_node *items = doc_get(answer, "items");
    const struct doc_node *warnings = doc_get(answer, "warnings");
    for (size_t i = 0; i < doc_count(warnings); i++) {
        verb_print_finding(v, doc_at(warnings, i));
    }
    for (size_t i = 0; i < doc_count(items); i++) {
        const struct doc_node *one = doc_at(items, i);
        printf("%s %s/%s %s\n", cell_text(v, one, "kind"), cell_text(v, one, "namespace"),
               cell_text(v, one, "name"), cell_text(v, one, "result"));
    }
}

static int apply_file(struct verb *v, const char *path, bool dry_run)
{
    struct buf text;
    struct doc_node *answer = NULL;
    buf_init(&text, INPUT_MAX);
    int code = input_read(path, &text);
    if (code != 0) {
        buf_dispose(&text);
        return verb_fail(v, EXIT_INVALID, 1007, NULL, "'%s' can not be read: %s", path,
                         err_name(code));
    }
    const char *to = arena_printf(&v->arena, "/api/v1/apply?file=%s%s",
                                  verb_escape(v, span_of(path)), dry_run ? "&dryRun=true" : "");
    int status = verb_try(v, "POST", to, buf_span(&text), &answer);
    buf_dispose(&text);
    const struct doc_node *findings = answer ? doc_get(answer, "findings") : NULL;
    if (status != EXIT_DONE && doc_count(findings) > 0 && v->flags->output == OUTPUT_TABLE) {
        for (size_t i = 0; i < doc_count(findings); i++) {
            verb_print_finding(v, doc_at(findings, i));
        }
    } else if (status != EXIT_DONE && answer) {
        verb_print_finding(v, answer);
    } else if (status == EXIT_DONE && !verb_print_doc(v, answer)) {
        print_results(v, answer);
    }
    return status;
}

int cmd_apply(int argc, char **argv)
{
    struct settings set = {.dry_run = false};
    struct verb v;
    int status = EXIT_DONE;
    if (verb_open(&v, &apply_spec, &set, argc, argv, &status) == 0) {
        if (set.files.count == 0) {
            status = verb_fail(&v, EXIT_USAGE, 1004, "mesh apply -f FILE", "apply needs -f FILE");
        }
        for (size_t i = 0; i < set.files.count && status == EXIT_DONE; i++) {
            status = apply_file(&v, set.files.items[i], set.dry_run);
        }
    }
    verb_close(&v);
    return status;
}
