#ifndef POLICY_EXPLAIN_H
#define POLICY_EXPLAIN_H
/* Why a decision fell as it did, one line per step, for `routes`, `authz explain` and the API. On the data
 * path the pointer is NULL and nothing is formatted. */
#include <stdarg.h>

#include "base/buf.h"
#include "base/compiler.h"

struct explain {
    struct buf text; /* born by the caller with a ceiling; lines past it are dropped */
    unsigned depth;
};
/* One line, indented by depth. */
void explain_write(struct explain *ex, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Nothing, and nothing evaluated, when ex is NULL. */
#define explain_line(ex, ...)               \
    do {                                    \
        if (UNLIKELY((ex) != NULL)) {       \
            explain_write(ex, __VA_ARGS__); \
        }                                   \
    } while (0)
#endif
