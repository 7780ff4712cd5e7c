#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H
/* The commands, one file each; argv[0] is the word. They return the exit status (cli/verb.h). Listed in commands.def. */

struct command {
    const char *word;
    int (*run)(int argc, char **argv);
    const char *group; /* of `mesh help` */
    const char *summary;
};
/* Ends with a row without a word. */
extern const struct command cli_commands[];

/* mesh alone: the state of the mesh that is found, and the commands people use. */
int cmd_status_home(void);

#define COMMAND(word, run, group, summary) int run(int argc, char **argv);
#include "cli/commands.def"
#undef COMMAND
#endif
