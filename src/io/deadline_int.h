#ifndef IO_DEADLINE_INT_H
#define IO_DEADLINE_INT_H
/* The timing wheel under struct deadline, for loop.c, which turns it, and for deadline.c.
 *
 *   near: 256 slots of 1 ms        due within 256 ms
 *   far[0]: 64 slots of 256 ms     within 16 s
 *   far[1]: 64 slots of 16 s       within 17 min
 *   far[2]: 64 slots of 17 min     within 18 h; what is later waits in its last slot and is placed again
 *
 * A far slot is emptied into the finer levels when its first millisecond comes. A bit says that a slot
 * may hold something; it is set by arming and cleared by who finds the slot empty. */
#include "base/compiler.h"
#include "base/list.h"
#include "io/deadline.h"

enum { DEADLINE_NEAR_SLOTS = 256, DEADLINE_FAR_SLOTS = 64, DEADLINE_FAR_LEVELS = 3 };

struct deadline_wheel {
    int64_t now_ms;      /* everything due up to here has run */
    int64_t wake_ms;     /* when to run next, or earlier; INT64_MAX = nothing armed */
    struct list at_once; /* armed when already due: run next turn */
    uint64_t near_bits[DEADLINE_NEAR_SLOTS / 64];
    uint64_t far_bits[DEADLINE_FAR_LEVELS];
    struct list near[DEADLINE_NEAR_SLOTS];
    struct list far[DEADLINE_FAR_LEVELS][DEADLINE_FAR_SLOTS];
};

void deadline_wheel_init(struct deadline_wheel *w, int64_t now_ms);
/* Runs what is due at `now_ms`; returns whether anything was. */
bool deadline_wheel_run(struct deadline_wheel *w, int64_t now_ms);
/* When the earliest armed one is due, or -1; walks all slots, so for simulations only. */
int64_t deadline_wheel_next_due(const struct deadline_wheel *w);
/* Disarms all. */
void deadline_wheel_dispose(struct deadline_wheel *w);
#endif
