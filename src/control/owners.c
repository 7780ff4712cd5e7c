/* Which service account a workload has. In: control, for insight. */
#include "control/owners.h"

#include <stdio.h>

void owners_init(struct owners *o)
{
    *o = (struct owners){.is_made = false};
    map_init(&o->by_name);
    arena_init(&o->arena, 4096);
}

void owners_dispose(struct owners *o)
{
    map_dispose(&o->by_name);
    arena_dispose(&o->arena);
}

void owners_reset(struct owners *o)
{
    map_reset(&o->by_name);
    arena_reset(&o->arena);
    o->is_made = false;
}

static struct span key_of(struct arena *arena, struct span namespace, struct span name)
{
    return span_of(arena_printf(arena, "%.*s/%.*s", SPAN_ARG(namespace), SPAN_ARG(name)));
}

static void add(void *arg, const struct world_workload *w)
{
    struct owners *o = arg;
    (void)map_put(&o->by_name, key_of(&o->arena, w->namespace, w->name),
                  (void *)w); /* any will do */
}

struct span owners_find(struct owners *o, const struct world *w, struct span namespace,
                        struct span workload)
{
    if (w && !o->is_made) {
        world_each_workload(w, add, o);
        o->is_made = true;
    }
    char key[512];
    int len = snprintf(key, sizeof key, "%.*s/%.*s", SPAN_ARG(namespace), SPAN_ARG(workload));
    const struct world_workload *found = len > 0 && (size_t)len < sizeof key
                                             ? map_get(&o->by_name, span_from(key, (size_t)len))
                                             : NULL;
    return found ? found->service_account : SPAN_EMPTY;
}
