#ifndef CLI_HELP_H
#define CLI_HELP_H
/* The manual in the binary: the list of verbs by group, one page a topic (cli/help), and the version. */
#include "cli/commands.h"
#include "role.h"

/* `topic` NULL: the verbs. 4 when there is no such page. */
int help_main(const char *topic, const struct role *roles);
/* mesh version [-o json] */
int help_version(int argc, char **argv);
#endif
