#ifndef IO_RELAY_H
#define IO_RELAY_H
/* Opaque bytes both ways between two streams until both directions ended: half-close is passed on, a
 * slow reader stops the sender (at most LOOP_READ_BYTES waiting per direction, 256 KiB in the kernel while
 * splicing), splice where both ends have a descriptor and much flows. When one side fails, or what it
 * sent could not all be passed on, the other is reset and not ended. */
#include "base/compiler.h"
#include "io/io.h"

struct relay;
struct relay_done {
    int code;      /* 0 when both directions ended in order */
    bool failed_b; /* which side failed, if code is negative */
    uint64_t bytes_a_to_b, bytes_b_to_a;
};

struct relay_spec {
    struct io *a, *b;   /* taken */
    struct span from_a; /* bytes already read from a, to be sent to b first; copied */
    int64_t idle_ms;    /* ends the relay when nothing moved for so long; 0 = never */
    /* Called once, after both streams are closed; may be NULL. */
    void (*on_done)(void *arg, const struct relay_done *done);
    void *arg;
};

struct relay *relay_start_take(struct loop *loop, const struct relay_spec *spec);
/* Counters so far, for reports while it runs. */
void relay_count(const struct relay *r, uint64_t *bytes_a_to_b, uint64_t *bytes_b_to_a);
/* Ends it now; on_done comes with -ECANCELED. */
void relay_close(struct relay *r);
#endif
