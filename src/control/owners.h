#ifndef CONTROL_OWNERS_H
#define CONTROL_OWNERS_H
/* Which service account a workload has, by its name: an index of the world, made when it is first asked for. Main thread. */
#include "base/arena.h"
#include "base/map.h"
#include "control/world/world.h"

struct owners {
    struct map by_name; /* "namespace/name" -> const struct world_workload */
    struct arena arena;
    bool is_made;
};

void owners_init(struct owners *o);
void owners_dispose(struct owners *o);
/* Another world. */
void owners_reset(struct owners *o);
/* Empty: nobody knows. Lives as long as the world. */
struct span owners_find(struct owners *o, const struct world *w, struct span namespace,
                        struct span workload);
#endif
