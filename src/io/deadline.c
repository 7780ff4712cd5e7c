/* Deadlines: the timing wheel. Arming is a list insertion and a bit; an idle deadline that is moved with
 * every request never gets near the finer levels. */
#include "io/deadline.h"

#include "io/deadline_int.h"
#include "io/loop_int.h"

enum { NEAR_SHIFT = 8, FAR_SHIFT = 6 }; /* log2 of the slots of a level */

#define MAX_MS (INT64_C(10) * 366 * 24 * 3600 * 1000) /* keeps sums far from overflow */

static unsigned far_shift(unsigned level)
{
    return NEAR_SHIFT + FAR_SHIFT * level;
}

/* The first set bit at or after `from` in a ring of 64, as the distance from `from`; -1 if none. */
static int ring_find(uint64_t bits, unsigned from)
{
    from &= 63;
    uint64_t turned = from == 0 ? bits : (bits >> from) | (bits << (64 - from));
    return turned == 0 ? -1 : __builtin_ctzll(turned);
}

/* Puts `d` in the slot it belongs to and returns when that slot must be looked at. */
static int64_t place(struct deadline_wheel *w, struct deadline *d, struct list *overdue)
{
    int64_t ahead = d->due_ms - w->now_ms;
    if (ahead <= 0) {
        list_push_back(overdue, &d->node);
        return w->now_ms;
    }
    if (ahead < DEADLINE_NEAR_SLOTS) {
        unsigned slot = (unsigned)d->due_ms & (DEADLINE_NEAR_SLOTS - 1);
        w->near_bits[slot / 64] |= UINT64_C(1) << (slot % 64);
        list_push_back(&w->near[slot], &d->node);
        return d->due_ms;
    }
    unsigned level = 0;
    int64_t tick = d->due_ms >> NEAR_SHIFT;
    while (tick - (w->now_ms >> far_shift(level)) >= DEADLINE_FAR_SLOTS) {
        if (level == DEADLINE_FAR_LEVELS - 1) {
            tick = (w->now_ms >> far_shift(level)) + DEADLINE_FAR_SLOTS - 1;
            break;
        }
        level++;
        tick = d->due_ms >> far_shift(level);
    }
    unsigned slot = (unsigned)tick & (DEADLINE_FAR_SLOTS - 1);
    w->far_bits[level] |= UINT64_C(1) << slot;
    list_push_back(&w->far[level][slot], &d->node);
    return tick * (INT64_C(1) << far_shift(level));
}

/* The next millisecond after now whose near slot holds something, or INT64_MAX. */
static int64_t near_next(struct deadline_wheel *w)
{
    int64_t at = w->now_ms + 1;
    while (at < w->now_ms + DEADLINE_NEAR_SLOTS) {
        unsigned slot = (unsigned)at & (DEADLINE_NEAR_SLOTS - 1);
        uint64_t bits = w->near_bits[slot / 64] >> (slot % 64);
        if (bits == 0) {
            at += 64 - slot % 64;
            continue;
        }
        at += __builtin_ctzll(bits);
        if (at >= w->now_ms + DEADLINE_NEAR_SLOTS) {
            break;
        }
        slot = (unsigned)at & (DEADLINE_NEAR_SLOTS - 1);
        if (!list_is_empty(&w->near[slot])) {
            return at;
        }
        w->near_bits[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    }
    return INT64_MAX;
}

/* The number of the next tick of this level whose slot holds something, or -1. */
static int64_t far_next(struct deadline_wheel *w, unsigned level)
{
    int64_t first = (w->now_ms >> far_shift(level)) + 1;
    for (;;) {
        int ahead = ring_find(w->far_bits[level], (unsigned)first & 63);
        if (ahead < 0) {
            return -1;
        }
        unsigned slot = (unsigned)(first + ahead) & 63;
        if (!list_is_empty(&w->far[level][slot])) {
            return first + ahead;
        }
        w->far_bits[level] &= ~(UINT64_C(1) << slot);
    }
}

static int64_t next_wake(struct deadline_wheel *w)
{
    int64_t wake = near_next(w);
    for (unsigned level = 0; level < DEADLINE_FAR_LEVELS; level++) {
        int64_t tick = far_next(w, level);
        if (tick >= 0) {
            wake = i64_min(wake, tick * (INT64_C(1) << far_shift(level)));
        }
    }
    return wake;
}

static bool fire(struct list *due)
{
    bool any = false;
    struct list *node;
    while ((node = list_pop_front(due)) != NULL) {
        struct deadline *d = list_item(node, struct deadline, node);
        any = true;
        d->on_due(d);
    }
    return any;
}

/* Moves what the millisecond `w->now_ms` brings from the far levels to the near one, and what is due
 * now to `due`. */
static void collect(struct deadline_wheel *w, struct list *due)
{
    for (unsigned level = DEADLINE_FAR_LEVELS; level-- > 0;) {
        if ((w->now_ms & ((INT64_C(1) << far_shift(level)) - 1)) != 0) {
            continue;
        }
        unsigned slot = (unsigned)(w->now_ms >> far_shift(level)) & (DEADLINE_FAR_SLOTS - 1);
        struct list moved;
        list_init(&moved);
        list_splice(&moved, &w->far[level][slot]);
        struct list *node;
        while ((node = list_pop_front(&moved)) != NULL) {
            (void)place(w, list_item(node, struct deadline, node), due);
        }
    }
    list_splice(due, &w->near[w->now_ms & (DEADLINE_NEAR_SLOTS - 1)]);
}

void deadline_wheel_init(struct deadline_wheel *w, int64_t now_ms)
{
    *w = (struct deadline_wheel){.now_ms = now_ms, .wake_ms = INT64_MAX};
    list_init(&w->at_once);
    for (unsigned i = 0; i < DEADLINE_NEAR_SLOTS; i++) {
        list_init(&w->near[i]);
    }
    for (unsigned i = 0; i < DEADLINE_FAR_LEVELS * DEADLINE_FAR_SLOTS; i++) {
        list_init(&w->far[i / DEADLINE_FAR_SLOTS][i % DEADLINE_FAR_SLOTS]);
    }
}

bool deadline_wheel_run(struct deadline_wheel *w, int64_t now_ms)
{
    if (LIKELY(now_ms < w->wake_ms)) {
        return false;
    }
    struct list due;
    list_init(&due);
    list_splice(&due, &w->at_once);
    bool any = fire(&due);
    int64_t tick;
    while ((tick = next_wake(w)) <= now_ms) {
        w->now_ms = tick;
        collect(w, &due);
        any = fire(&due) || any;
    }
    w->now_ms = i64_max(w->now_ms, now_ms);
    w->wake_ms = list_is_empty(&w->at_once) ? next_wake(w) : w->now_ms;
    return any;
}

static int64_t list_earliest(const struct list *head, int64_t earliest)
{
    for (const struct list *node = head->next; node != head; node = node->next) {
        earliest = i64_min(earliest, list_item(node, const struct deadline, node)->due_ms);
    }
    return earliest;
}

int64_t deadline_wheel_next_due(const struct deadline_wheel *w)
{
    int64_t earliest = list_earliest(&w->at_once, INT64_MAX);
    for (unsigned i = 0; i < DEADLINE_NEAR_SLOTS; i++) {
        earliest = list_earliest(&w->near[i], earliest);
    }
    for (unsigned i = 0; i < DEADLINE_FAR_LEVELS * DEADLINE_FAR_SLOTS; i++) {
        earliest = list_earliest(&w->far[i / DEADLINE_FAR_SLOTS][i % DEADLINE_FAR_SLOTS], earliest);
    }
    return earliest == INT64_MAX ? -1 : earliest;
}

static void forget(struct list *head)
{
    while (list_pop_front(head) != NULL) {
    }
}

void deadline_wheel_dispose(struct deadline_wheel *w)
{
    forget(&w->at_once);
    for (unsigned i = 0; i < DEADLINE_NEAR_SLOTS; i++) {
        forget(&w->near[i]);
    }
    for (unsigned i = 0; i < DEADLINE_FAR_LEVELS * DEADLINE_FAR_SLOTS; i++) {
        forget(&w->far[i / DEADLINE_FAR_SLOTS][i % DEADLINE_FAR_SLOTS]);
    }
}

void deadline_init(struct deadline *d, void (*on_due)(struct deadline *d))
{
    list_init(&d->node);
    d->on_due = on_due;
    d->due_ms = 0;
}

void deadline_arm(struct deadline *d, struct loop *loop, int64_t after_ms)
{
    struct deadline_wheel *w = loop_wheel(loop);
    list_remove(&d->node);
    /* Rounded up, so that the part of a millisecond which has passed never makes it early. */
    int64_t now_ms = (loop_fresh_ns(loop) + 999999) / 1000000;
    d->due_ms = after_ms <= 0 ? w->now_ms : now_ms + i64_min(after_ms, MAX_MS);
    if (w->wake_ms == INT64_MAX) {
        w->now_ms =
            i64_max(w->now_ms, loop_now_ms(loop)); /* it stood still while nothing was armed */
    }
    w->wake_ms = i64_min(w->wake_ms, place(w, d, &w->at_once));
}
