#ifndef CLI_HELP_H
#define CLI_HELP_H
/* The manual in the binary: the list of verbs by group, one page a topic (cli/help), and the version. */
#include "cli/commands.h"
#include "role.h"

/* mesh help [TOPIC|VERB] [-s WORD] */
int help_main(int argc, char **argv, const struct role *roles);
/* mesh version [-o json] */
int help_version(int argc, char **argv);
#endif
