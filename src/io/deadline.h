#ifndef IO_DEADLINE_H
#define IO_DEADLINE_H
/* Deadlines on a hashed timing wheel: arming and disarming are O(1) and cost no system call, however
 * many there are. Resolution 1 ms; never early. */
#include "base/compiler.h"
#include "base/list.h"
#include "io/loop.h"

struct deadline {
    /* private */
    struct list node;
    void (*on_due)(struct deadline *d);
    int64_t due_ms;
};

void deadline_init(struct deadline *d, void (*on_due)(struct deadline *d));
/* In `after_ms` from now; an armed one moves. */
void deadline_arm(struct deadline *d, struct loop *loop, int64_t after_ms);
static inline void deadline_disarm(struct deadline *d)
{
    list_remove(&d->node);
}

static inline bool deadline_is_armed(const struct deadline *d)
{
    return list_is_linked(&d->node);
}
#endif
