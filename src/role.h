#ifndef ROLE_H
#define ROLE_H
/* A role is what a process is for: the proxy, the control plane, ... They are listed in roles.def, one line each. */
struct role {
    const char *name; /* the word on the command line, and after "mesh-" in argv[0] */
    int (*main)(int argc, char **argv); /* argv[0] is the word; returns the exit status */
    const char *summary;                /* one line for the help */
};

#define ROLE(word, run, summary) int run(int argc, char **argv);
#include "roles.def"
#undef ROLE
#endif
