#ifndef MEASURE_H
#define MEASURE_H
/* What a load measures: answers and their latency within a window, and the CPU time that watched processes used in
 * it, read from /proc at its two edges by the program that counts the answers. */
#include <stdbool.h>
#include <stdint.h>

#define MEASURE_WATCH_MAX 16

/* Log-linear: 128 steps each power of two, so that a percentile is off by less than 1 %. */
#define MEASURE_STEP_BITS 7
#define MEASURE_STEPS (1 << MEASURE_STEP_BITS)
#define MEASURE_BUCKETS ((64 - MEASURE_STEP_BITS + 1) * MEASURE_STEPS)

struct measure {
    int64_t warmup_ns, measure_ns;
    int watch[MEASURE_WATCH_MAX];
    int watch_count;
    int64_t from_ns, to_ns; /* moved to the nearest answer */
    uint64_t answered;      /* all */
    uint64_t measured;      /* within the window */
    bool measuring, over;
    int64_t cpu_ns;
    uint64_t count[MEASURE_BUCKETS];
    uint64_t total;
    int64_t max_ns;
};

void measure_start(struct measure *m, int64_t now_ns);
/* An answer has come: moves the window on. */
void measure_answer(struct measure *m, int64_t now_ns);
void measure_latency(struct measure *m, int64_t ns);
/* --warmup-ms, --measure-ms, --watch of getopt_long's 'w', 'm', 't'; false if it is another. */
bool measure_option(struct measure *m, int option, const char *value);
/* One JSON object. */
void measure_print(const struct measure *m, uint64_t unanswered);
#endif
