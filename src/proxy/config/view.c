/* A worker's hold on snapshots. */
#include "proxy/config/view.h"

#include "base/mem.h"

struct view *view_new(const struct snapshot *s, void (*on_unused)(void *arg, struct view *v),
                      void *arg)
{
    struct view *v = mem_new(struct view);
    v->snapshot = s;
    v->users = 1;
    v->on_unused = on_unused;
    v->arg = arg;
    return v;
}

void view_get(struct view *v)
{
    ASSERT(v->users > 0);
    v->users++;
}

void view_put(struct view *v)
{
    ASSERT(v->users > 0);
    v->users--;
    if (v->users == 0) {
        v->on_unused(v->arg, v);
    }
}

void view_retire(struct view *v)
{
    ASSERT(!v->retired);
    v->retired = true;
    view_put(v);
}

void view_free(struct view *v)
{
    mem_free(v);
}
