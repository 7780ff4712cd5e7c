#ifndef BASE_OPT_INT_H
#define BASE_OPT_INT_H
/* What the parts of base/opt share: opt.c walks the layers, opt_value.c reads values, opt_help.c prints. */
#include "base/opt.h"

enum opt_layer { OPT_FROM_NONE, OPT_FROM_DEFAULT, OPT_FROM_INI, OPT_FROM_ENV, OPT_FROM_FLAG };

struct opt_parsing {
    const struct opt_spec *spec;
    char *target;
    struct arena *arena;
    uint8_t
        *layers; /* a row each: where a list's items came from, so that a later layer replaces */
    const char *ini_path;
    struct err *err;
};

/* Where a value stands, for messages: `mesh.ini:3: 'lb'`, `'--lb'`, `'MESH_LB'`. */
struct opt_place {
    const char *text;
    enum opt_layer layer;
};

/* Sets the row's field from text; -ERR_CONFIG with the message. */
int opt_set(struct opt_parsing *p, const struct opt *row, const struct opt_place *at,
            const char *value);
/* Appends; `item` lives as long as the arena. */
int opt_list_add(struct opt_parsing *p, struct opt_list *list, const char *item,
                 const struct opt_place *at);

/* The environment variable of a row; "" when it has none. */
void opt_env_name(const struct opt *row, char *to, size_t room);
#endif
