#ifndef PROXY_CONFIG_SLOTS_H
#define PROXY_CONFIG_SLOTS_H
/* Names -> numbers, for the proxy's life: whoever mentions a cluster, route table or secret first gives it
 * the next number, so that a mention resolves to an array index whatever comes first. A name that nothing
 * mentions any more keeps its number; the table is bounded by SLOTS_MAX. Main thread. */
#include "base/compiler.h"
#include "base/map.h"
#include "base/span.h"

#define SLOTS_MAX 262144 /* names in a proxy's life; then SLOT_NONE, which resolves to nothing */

struct slots {
    /* private */
    struct map by_name; /* -> number + 1 */
    char **names;       /* owned */
    size_t count, room;
};

void slots_init(struct slots *s);
uint32_t slots_take(struct slots *s, struct span name);
size_t slots_count(const struct slots *s);
void slots_dispose(struct slots *s);
#endif
