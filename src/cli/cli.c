#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "cli/cmd_demo.h"
#include "role.h"
#include "version.h"

/* Commands other than help and version; in the form of roles, because both are words with a main. */
static const struct role commands[] = {
    {"demo", cmd_demo, "two services, two sidecars, mutual TLS, on this machine"},
    {NULL, NULL, NULL},
};

static void print_help(const struct role *roles)
{
    printf("usage: mesh COMMAND|ROLE [OPTION]...\n\n"
           "commands:\n"
           "  help      this text\n"
           "  version   the version of this binary\n");
    for (const struct role *c = commands; c->name; c++) {
        printf("  %-9s %s\n", c->name, c->summary);
    }
    if (roles->name) {
        printf("\nroles:\n");
    }
    for (const struct role *r = roles; r->name; r++) {
        printf("  %-9s %s\n", r->name, r->summary);
    }
}

int cli_main(int argc, char **argv, const struct role *roles)
{
    const char *word = argc > 1 ? argv[1] : "help";

    if (strcmp(word, "version") == 0 || strcmp(word, "--version") == 0) {
        printf("mesh %s\n", MESH_VERSION);
        return 0;
    }
    if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        print_help(roles);
        return 0;
    }
    for (const struct role *c = commands; c->name; c++) {
        if (strcmp(word, c->name) == 0) {
            return c->main(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "mesh: no command '%s'; 'mesh help' lists them\n", word);
    return 2;
}
