/* The commands people type: help, and the table of the others.
 * In: main.c. Next: cmd_*.c, through commands.def; verb.h is what they share. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/verb.h"
#include "role.h"
#include "version.h"

const struct command cli_commands[] = {
#define COMMAND(word, run, group, summary) {word, run, group, summary},
#include "cli/commands.def"
#undef COMMAND
    {NULL, NULL, NULL, NULL},
};

/* What peers call it: it is run, and said. */
static const struct {
    const char *theirs, *ours;
} others[] = {
    {"proxy-status", "ps"},  {"proxy-config", "pc"}, {"viz", "stat"},
    {"dump", "pc"},          {"identity", "certs"},  {"intention", "authz"},
    {"create", "apply"},     {"rm", "delete"},       {"config", "apply"},
    {"validate", "analyze"}, {"precheck", "check"},  {"verify-install", "check"},
    {"top", "stat"},         {"members", "ps"},      {"monitor", "tap"},
    {"inspect", "describe"},
};
static const struct command *find(const char *word)
{
    for (const struct command *c = cli_commands; c->word; c++) {
        if (strcmp(word, c->word) == 0) {
            return c;
        }
    }
    return NULL;
}

/* One letter too many, too few, another, or two that changed places. */
static bool is_near(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return strcmp(a, b + (*b != '\0')) == 0 || strcmp(a + (*a != '\0'), b) == 0 ||
           (*a && *b && strcmp(a + 1, b + 1) == 0) ||
           (*a && a[0] == b[1] && a[1] == b[0] && a[1] && strcmp(a + 2, b + 2) == 0);
}

static const char *ours_of(const char *word)
{
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        if (strcmp(word, others[i].theirs) == 0) {
            return others[i].ours;
        }
    }
    return NULL;
}

static const char *nearest(const char *word, const struct role *roles)
{
    for (const struct command *c = cli_commands; c->word; c++) {
        if (is_near(word, c->word)) {
            return c->word;
        }
    }
    for (const struct role *r = roles; r->name; r++) {
        if (is_near(word, r->name)) {
            return r->name;
        }
    }
    return NULL;
}

static int unknown(const char *word, const struct role *roles)
{
    const char *near = nearest(word, roles);
    if (near) {
        fprintf(stderr, "error[MESH1003]: unknown verb \"%s\": did you mean %s?\n", word, near);
    } else {
        fprintf(stderr, "error[MESH1003]: unknown verb \"%s\"\n", word);
    }
    fprintf(stderr, "  fix     mesh %s\n  more    mesh explain MESH1003\n", near ? near : "help");
    return EXIT_USAGE;
}

/* `mesh analyze` has no verb of its own yet: findings are what it looks for. */
static int run_ours(const char *theirs, const char *ours, int argc, char **argv)
{
    fprintf(stderr, "%s: here it is `mesh %s`\n", theirs, ours);
    return find(ours)->run(argc, argv);
}

int cli_main(int argc, char **argv, const struct role *roles)
{
    if (argc < 2) {
        return cmd_status_home();
    }
    const char *word = argv[1];
    if (strcmp(word, "version") == 0 || strcmp(word, "--version") == 0) {
        return help_version(argc - 1, argv + 1);
    }
    if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        return help_main(argc - 1, argv + 1, roles);
    }
    const struct command *c = find(word);
    const char *ours = c ? NULL : ours_of(word);
    return c      ? c->run(argc - 1, argv + 1)
           : ours ? run_ours(word, ours, argc - 1, argv + 1)
                  : unknown(word, roles);
}
