#ifndef CONTROL_INSIGHT_INSIGHT_RING_H
#define CONTROL_INSIGHT_INSIGHT_RING_H
/* What one end of an edge told, over time, in three resolutions: 5 min at 1 s, 2 h at 10 s, 24 h at 2 min. The slot that
 * is being filled is a plain struct; closed ones are records of varints in a chain of small chunks, where an idle
 * second costs nothing and a busy one about ten bytes. */
#include "base/compiler.h"

/* Upper bounds of the buckets of durations in ms: those of the proxy's own histogram; one more is above the last. */
#define INSIGHT_BOUNDS 19
#define INSIGHT_BUCKETS (INSIGHT_BOUNDS + 1)
extern const double insight_bounds[INSIGHT_BOUNDS];

enum insight_field {
    INSIGHT_REQUESTS, /* HTTP: requests; TCP: connections opened */
    INSIGHT_FAILURES,
    INSIGHT_LOST, /* of the requests: never arrived at the destination; only its source knows of them */
    INSIGHT_LOST_FAILURES,
    INSIGHT_TLS,   /* known to have come over mutual TLS */
    INSIGHT_PLAIN, /* known not to */
    INSIGHT_SENT,  /* bytes of opaque connections */
    INSIGHT_RECEIVED,
    INSIGHT_FIELDS
};

struct insight_sum {
    uint64_t fields[INSIGHT_FIELDS];
    uint64_t buckets[INSIGHT_BUCKETS];
};
void insight_sum_add(struct insight_sum *to, const struct insight_sum *from);
bool insight_sum_is_empty(const struct insight_sum *s);
/* Prometheus's histogram_quantile: linear inside the bucket; the last bound when it lies above. -1: no observations. */
double insight_sum_quantile(const struct insight_sum *s, double q);

#define INSIGHT_LEVELS 3
struct insight_level {
    int64_t slot_s, keep_s;
};
extern const struct insight_level insight_levels[INSIGHT_LEVELS];
/* The finest level that reaches back so far. */
int insight_level_for(int64_t window_s);

struct insight_chunk;
struct insight_ring {
    size_t *bytes; /* borrowed: what rings hold together */
    struct insight_lane {
        struct insight_chunk *first, *last; /* owned; oldest first */
        struct insight_sum open;
        int64_t slot; /* of `open`: wall time / slot_s; 0 = nothing yet */
    } lanes[INSIGHT_LEVELS];
};

/* `bytes` counts what this ring allocates, and outlives it. */
struct insight_ring *insight_ring_new(size_t *bytes);
void insight_ring_free(struct insight_ring *r);
/* Adds at second `wall_s`; time does not go backwards: what comes later for an older slot counts in the newest. */
void insight_ring_add(struct insight_ring *r, int64_t wall_s, const struct insight_sum *sum);
/* Each slot of a level that begins at `from_s` or later, oldest first; `begin_s` is its first second. */
void insight_ring_each(const struct insight_ring *r, int level, int64_t from_s,
                       void (*on_slot)(void *arg, int64_t begin_s, const struct insight_sum *sum),
                       void *arg);
/* Frees what is too old at `now_s`; true when nothing is left. */
bool insight_ring_expire(struct insight_ring *r, int64_t now_s);
/* Frees the oldest chunk of the coarsest level that has one; false when there is none. */
bool insight_ring_shed(struct insight_ring *r);
#endif
