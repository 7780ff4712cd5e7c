/* The help page of a command: examples first, then a line for each flag. */
#include <string.h>

#include "base/opt.h"
#include "base/span.h"

#define HELP_COLUMN 32

/* What a flag's value is called: its own word, its choices, or its type. */
static void value_name(const struct opt *row, char *to, size_t room)
{
    static const char *const types[] = {
        [OPT_BOOL] = "",         [OPT_INT] = "N",      [OPT_TEXT] = "TEXT", [OPT_LIST] = "TEXT",
        [OPT_DURATION] = "TIME", [OPT_BYTES] = "SIZE", [OPT_CHOICE] = ""};
    size_t len = 0;
    to[0] = '\0';
    if (row->type != OPT_CHOICE || row->arg != NULL) {
        (void)snprintf(to, room, "%s", row->arg ? row->arg : types[row->type]);
        return;
    }
    for (size_t i = 0; row->choices[i] != NULL && len < room; i++) {
        len += (size_t)snprintf(to + len, room - len, "%s%s", i ? "|" : "", row->choices[i]);
    }
}

static void help_row(const struct opt *row, FILE *to)
{
    char value[80];
    char flag[160];
    char letter[8] = "    ";
    value_name(row, value, sizeof(value));
    if (row->letter != 0) {
        (void)snprintf(letter, sizeof(letter), "-%c, ", row->letter);
    }
    int len =
        snprintf(flag, sizeof(flag), "  %s--%s%s%s", letter, row->name, value[0] ? " " : "", value);
    bool long_flag = len >= HELP_COLUMN - 1;
    (void)fprintf(to, "%-*s%s%*s%s", HELP_COLUMN, flag, long_flag ? "\n" : "",
                  long_flag ? HELP_COLUMN : 0, "", row->help);
    bool told = row->fallback != NULL && row->fallback[0] != '\0' &&
                !(row->type == OPT_BOOL && strcmp(row->fallback, "false") == 0);
    (void)fprintf(to, told ? " (%s)\n" : "\n", told ? row->fallback : "");
}

/* Output errors are not handled: help that nobody can read concerns nobody. */
void opt_help(const struct opt_spec *spec, FILE *to)
{
    (void)fprintf(to, "%s: %s\n", spec->command, spec->summary);
    if (spec->examples != NULL) {
        (void)fprintf(to, "\nExamples:\n");
        for (struct span rest = span_of(spec->examples); rest.at != NULL;) {
            struct span line = span_cut(&rest, '\n');
            if (line.len > 0) {
                (void)fprintf(to, "  %.*s\n", SPAN_ARG(line));
            }
        }
    }
    (void)fprintf(to, "\nUsage: %s [FLAGS]%s%s\n\nFlags:\n", spec->command,
                  spec->operands ? " " : "", spec->operands ? spec->operands : "");
    for (const struct opt *row = spec->rows; row->name != NULL; row++) {
        help_row(row, to);
    }
    (void)fprintf(to, "      --config FILE             INI file; the section is [%s]\n",
                  spec->section);
    (void)fprintf(to, "  -h, --help                    this page\n");
    (void)fprintf(to, "\n--some-flag is also the key some-flag in the INI file and the variable "
                      "MESH_SOME_FLAG.\n");
}
