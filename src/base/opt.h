#ifndef BASE_OPT_H
#define BASE_OPT_H
/* One table row an option gives its flag, environment variable, INI key, default, check and help line.
 * Later wins: default, INI file, environment, flag. */
#include <stdio.h>

#include "base/compiler.h"
#include "base/err.h"

enum opt_type {
    OPT_BOOL,     /* bool; --name, --name=false */
    OPT_INT,      /* int64_t within min..max */
    OPT_TEXT,     /* const char *, kept in the set's arena */
    OPT_LIST,     /* struct opt_list: repeatable flag, comma-separated in INI and environment */
    OPT_DURATION, /* int64_t milliseconds: 5s, 100ms, 1m30s, 2h */
    OPT_BYTES,    /* int64_t: 512, 64KiB, 4MiB, 1GiB */
    OPT_CHOICE,   /* int: index into choices */
};

struct opt_list {
    const char **items; /* owned by the set's arena */
    size_t count;
};

struct opt {
    const char *name; /* long flag without dashes, also the INI key; the INI section is the role */
    char letter;      /* short flag, or 0 */
    enum opt_type type;
    size_t offset;              /* of the target field */
    const char *fallback;       /* default in text form, or NULL */
    const char *arg;            /* what the value is called in help: FILE, ADDR:PORT */
    const char *help;           /* one line */
    const char *const *choices; /* OPT_CHOICE, NULL-terminated */
    int64_t min, max;           /* OPT_INT, OPT_DURATION, OPT_BYTES; both 0 = any */
    const char *env;            /* environment variable; NULL = MESH_<NAME>; "" = none */
};

struct opt_spec {
    const char *command;    /* "mesh proxy" */
    const char *section;    /* INI section: "proxy" */
    const char *summary;    /* one line */
    const char *examples;   /* shown first in help */
    const char *operands;   /* "SERVICE...", or NULL if none are taken */
    const struct opt *rows; /* ends with a row whose name is NULL */
};

struct arena;
/* Fills `target` from defaults, the INI file (`--config FILE`, or MESH_CONFIG), the environment and
 * argv; texts live in `arena`. argv[0] is the command itself. Operands are left in `*operands`.
 * Returns 0; 1 when --help was printed to stdout (the caller exits 0); -ERR_CONFIG with file:line or
 * flag, the offending value and what is allowed, with a suggestion for a misspelt flag. */
MUST_USE int opt_parse(const struct opt_spec *spec, void *target, int argc, char **argv,
                       struct arena *arena, struct opt_list *operands, struct err *err);
void opt_help(const struct opt_spec *spec, FILE *to);
/* The value forms, for others who read durations and sizes. */
MUST_USE int opt_duration_ms(const char *text, int64_t *ms);
MUST_USE int opt_bytes(const char *text, int64_t *bytes);
#endif
