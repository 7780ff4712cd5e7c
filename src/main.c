/* Where every process starts: the name it was called by, or the first word, picks a role; any other word is a command
 * of the CLI.
 *   mesh-proxy --port 1      mesh proxy --port 1      mesh status      kubectl-mesh status */
#include "role.h"

#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

#define ROLE(word, run, summary) {word, run, summary},
static const struct role roles[] = {
#include "roles.def"
    {NULL, NULL, NULL},
};
#undef ROLE

static const struct role *role_named(const char *word)
{
    for (const struct role *r = roles; r->name; r++) {
        if (strcmp(r->name, word) == 0) {
            return r;
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static const char prefix[] = "mesh-";
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *called = slash ? slash + 1 : argc > 0 ? argv[0] : "mesh";
    const struct role *role = NULL;

    if (strcmp(called, "kubectl-mesh") == 0) { /* `kubectl mesh stat`: the cluster is meant */
        (void)setenv(CLI_PLUGIN, "kubectl", 1);
    }
    if (strncmp(called, prefix, sizeof(prefix) - 1) == 0) {
        role = role_named(called + sizeof(prefix) - 1);
        if (role) {
            return role->main(argc, argv);
        }
    }
    role = argc > 1 ? role_named(argv[1]) : NULL;
    if (role) {
        return role->main(argc - 1, argv + 1);
    }
    return cli_main(argc, argv, roles);
}
