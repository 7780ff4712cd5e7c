/* Counting, and the percentiles of a log-linear histogram: TALLY_STEPS equal buckets for each power of two. */
#include "sample/tally.h"

static const char *const end_names[TALLY_ENDS] = {"connect", "reset", "timeout", "content",
                                                  "overload"};

static size_t bucket_of(uint64_t us)
{
    if (us < TALLY_STEPS) {
        return (size_t)us;
    }
    unsigned shift = 63U - (unsigned)__builtin_clzll(us) - 5U; /* 2^5 = TALLY_STEPS */
    size_t at = (size_t)(shift + 1) * TALLY_STEPS + (size_t)(us >> shift) - TALLY_STEPS;
    return size_min(at, TALLY_BUCKETS - 1);
}

/* The middle of a bucket. */
static double bucket_us(size_t at)
{
    if (at < TALLY_STEPS) {
        return (double)at;
    }
    size_t shift = at / TALLY_STEPS - 1;
    double width = (double)(1ULL << shift);
    return ((double)(at % TALLY_STEPS + TALLY_STEPS) + 0.5) * width;
}

static void add_time(struct tally *t, int64_t took_us)
{
    uint64_t us = took_us > 0 ? (uint64_t)took_us : 0;
    t->took[bucket_of(us)]++;
    t->slowest_us = us > t->slowest_us ? us : t->slowest_us;
}

void tally_ok(struct tally *t, int64_t took_us)
{
    t->ok++;
    add_time(t, took_us);
}

void tally_status(struct tally *t, unsigned status, int64_t took_us)
{
    t->status[status < ARRAY_LEN(t->status) ? status : 0]++;
    add_time(t, took_us);
}

void tally_failed(struct tally *t, enum tally_end end)
{
    t->ends[end]++;
}

uint64_t tally_failures(const struct tally *t)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(t->status); i++) {
        sum += t->status[i];
    }
    for (size_t i = 0; i < TALLY_ENDS; i++) {
        sum += t->ends[i];
    }
    return sum;
}

double tally_percentile_ms(const struct tally *t, double percent)
{
    uint64_t all = 0, seen = 0;
    for (size_t i = 0; i < TALLY_BUCKETS; i++) {
        all += t->took[i];
    }
    double want = (double)all * percent / 100;
    for (size_t i = 0; i < TALLY_BUCKETS && all > 0; i++) {
        seen += t->took[i];
        if ((double)seen >= want && seen > 0) {
            double us = bucket_us(i);
            return (us < (double)t->slowest_us ? us : (double)t->slowest_us) / 1000;
        }
    }
    return 0;
}

static int append_failures(const struct tally *t, struct buf *out)
{
    const char *sep = " (";
    int code = 0;
    for (size_t i = 0; i < ARRAY_LEN(t->status) && code == 0; i++) {
        if (t->status[i] > 0) {
            code = buf_printf(out, "%s%zu: %lu", sep, i, t->status[i]);
            sep = ", ";
        }
    }
    for (size_t i = 0; i < TALLY_ENDS && code == 0; i++) {
        if (t->ends[i] > 0) {
            code = buf_printf(out, "%s%s: %lu", sep, end_names[i], t->ends[i]);
            sep = ", ";
        }
    }
    return code == 0 && sep[0] == ',' ? buf_append_byte(out, ')') : code;
}

int tally_line(const struct tally *t, struct buf *out)
{
    int code = buf_printf(out, "%lu sent  %lu ok  %lu failed", t->sent, t->ok, tally_failures(t));
    code = code == 0 ? append_failures(t, out) : code;
    return code == 0 ? buf_printf(out, "  p50 %.2f ms  p95 %.2f ms  p99 %.2f ms  max %.2f ms",
                                  tally_percentile_ms(t, 50), tally_percentile_ms(t, 95),
                                  tally_percentile_ms(t, 99), (double)t->slowest_us / 1000)
                     : code;
}

struct doc_node *tally_to_doc(const struct tally *t, double seconds, struct arena *arena)
{
    static const double percents[] = {50, 95, 99};
    struct doc_node *doc = doc_new_map(arena);

    doc_set(arena, doc, "seconds", doc_double(arena, seconds));
    doc_set(arena, doc, "sent", doc_int(arena, (int64_t)t->sent));
    doc_set(arena, doc, "ok", doc_int(arena, (int64_t)t->ok));
    doc_set(arena, doc, "failed", doc_int(arena, (int64_t)tally_failures(t)));
    struct doc_node *errors = doc_map_in(arena, doc, "errors");
    for (size_t i = 0; i < ARRAY_LEN(t->status); i++) {
        if (t->status[i] > 0) {
            doc_set(arena, errors, arena_printf(arena, "%zu", i),
                    doc_int(arena, (int64_t)t->status[i]));
        }
    }
    for (size_t i = 0; i < TALLY_ENDS; i++) {
        if (t->ends[i] > 0) {
            doc_set(arena, errors, end_names[i], doc_int(arena, (int64_t)t->ends[i]));
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(percents); i++) {
        doc_set(arena, doc, arena_printf(arena, "p%.0fMs", percents[i]),
                doc_double(arena, tally_percentile_ms(t, percents[i])));
    }
    doc_set(arena, doc, "maxMs", doc_double(arena, (double)t->slowest_us / 1000));
    return doc;
}
