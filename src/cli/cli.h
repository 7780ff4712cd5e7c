#ifndef CLI_CLI_H
#define CLI_CLI_H
/* The commands people type. */
struct role;

/* The environment variable that says that we run as a plugin of kubectl: a cluster is asked, whatever else runs on this machine. */
#define CLI_PLUGIN "MESH_PLUGIN"

/* Runs the command in argv[1]. roles: what else the binary can be, for the help; it ends with a nameless one.
 * Returns the exit status: 2 for a command line that makes no sense. */
int cli_main(int argc, char **argv, const struct role *roles);
#endif
