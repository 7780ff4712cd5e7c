#ifndef CLI_CLI_H
#define CLI_CLI_H
/* The commands people type. */
struct role;

/* Runs the command in argv[1]. roles: what else the binary can be, for the help; it ends with a nameless one.
 * Returns the exit status: 2 for a command line that makes no sense. */
int cli_main(int argc, char **argv, const struct role *roles);
#endif
