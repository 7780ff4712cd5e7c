#ifndef CLI_IMAGE_LOAD_H
#define CLI_IMAGE_LOAD_H
/* The image of the program that runs, and the way of an archive into a cluster that has no registry: the tool of its kind, told by the context's name and by
 * what is in PATH. */
#include "base/compiler.h"
#include "base/err.h"
#include "cli/verb.h"

/* Writes the archive of `program` (NULL: of this process) to `path`. Exit code. */
MUST_USE int image_load_write(struct verb *v, const char *program, const char *name,
                              const char *path);

struct image_load {
    const char *tool;        /* "kind"; NULL = none is known here */
    const char *const *argv; /* NULL-terminated; argv[0] is a path */
    const char *command;     /* for people */
};
/* How `path` gets to the nodes of the cluster that `context` names. */
void image_load_choose(struct verb *v, const char *context, const char *path, const char *name,
                       struct image_load *out);
/* Runs it; what it says goes to stderr. 0, or -ERR_UNAVAILABLE with how it ended. */
MUST_USE int image_load_run(struct verb *v, const struct image_load *load, struct err *err);
#endif
