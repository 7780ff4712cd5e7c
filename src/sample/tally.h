#ifndef SAMPLE_TALLY_H
#define SAMPLE_TALLY_H
/* What a load maker counts: requests by how they ended, and how long they took, within 3 percent. */
#include "base/buf.h"
#include "codec/doc.h"

/* Ends that are no answer. */
enum tally_end {
    TALLY_CONNECT, /* nobody took the connection */
    TALLY_RESET,   /* it broke before the answer was whole */
    TALLY_TIMEOUT,
    TALLY_CONTENT,  /* answered well, but not with what was asked for */
    TALLY_OVERLOAD, /* not sent: too many are out */
    TALLY_ENDS,
};

#define TALLY_STEPS 32 /* a power of two of time has so many buckets */
#define TALLY_BUCKETS (TALLY_STEPS * 32)

struct tally {
    uint64_t sent, ok;
    uint64_t status[600]; /* of answers that were not ok */
    uint64_t ends[TALLY_ENDS];
    uint64_t slowest_us;
    uint64_t took[TALLY_BUCKETS];
};

void tally_ok(struct tally *t, int64_t took_us);
/* 200 to 599; counts as failed. */
void tally_status(struct tally *t, unsigned status, int64_t took_us);
void tally_failed(struct tally *t, enum tally_end end);
uint64_t tally_failures(const struct tally *t);
/* The time within which `percent` of those that were answered were; 0 if none was. */
double tally_percentile_ms(const struct tally *t, double percent);
/* "1000 sent  998 ok  2 failed (503: 1, timeout: 1)  p50 1.20 ms  p95 3.10 ms  p99 4.00 ms" */
MUST_USE int tally_line(const struct tally *t, struct buf *out);
struct doc_node *tally_to_doc(const struct tally *t, double seconds, struct arena *arena);
#endif
