#ifndef BASE_METRIC_H
#define BASE_METRIC_H
/* Counters, gauges and histograms with labels. Families are declared once on the main thread; each
 * thread has a shard in which it alone creates and updates series, so updating is a plain add with no
 * lock and no atomic read-modify-write. Reading sums the shards and may run on the main thread
 * meanwhile. A hot path looks a series up once, keeps the pointer, and only adds.
 *
 *   registry --- family (name, labels, buckets)
 *      |
 *    shard (one a thread) --- map: family + label values -> series (never moves, never freed before
 *                                                            the shard)
 * A shard holds at most METRIC_SERIES_MAX series; further ones fold into one series whose label values
 * are all "overflow", counted in mesh_metric_overflow_total. */
#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"

#define METRIC_LABELS_MAX 32
#define METRIC_SERIES_MAX 50000

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_family_spec {
    const char *name; /* as exported, with _total where OpenMetrics wants it */
    const char *help;
    enum metric_kind kind;
    const char *const *labels; /* borrowed, NULL-terminated; static */
    const double *buckets;     /* histogram upper bounds, ascending; static */
    size_t bucket_count;
};

struct metric_registry;
struct metric_family;
struct metric_shard;
struct metric_series;

struct metric_registry *metric_registry_new(void);
void metric_registry_free(struct metric_registry *r);
/* Main thread, before shards are used by other threads. `spec` is borrowed for the registry's life. */
struct metric_family *metric_family_add(struct metric_registry *r,
                                        const struct metric_family_spec *spec);
/* Main thread. The registry owns the shard; a thread that ends leaves its sums behind. */
struct metric_shard *metric_shard_new(struct metric_registry *r);
/* Owner thread: finds or makes the series with these label values (one for each label, borrowed). */
struct metric_series *metric_series_get(struct metric_shard *shard, struct metric_family *family,
                                        const struct span *label_values);
/* Owner thread. */
void metric_add(struct metric_series *s, uint64_t n);
void metric_gauge_set(struct metric_series *s, int64_t value);
void metric_gauge_add(struct metric_series *s, int64_t delta);
void metric_observe(struct metric_series *s, double value);

enum metric_format { METRIC_PROMETHEUS, METRIC_OPENMETRICS };
/* Main thread: everything summed over shards, as text. -ERR_LIMIT if `out` is too small. Only
 * families whose name starts with `prefix` (may be empty). */
MUST_USE int metric_write(struct metric_registry *r, enum metric_format format, struct span prefix,
                          struct buf *out);
/* Main thread: one summed value (counter or gauge; count of a histogram), or 0 if there is none. */
int64_t metric_read(struct metric_registry *r, const char *name, const struct span *label_values);
/* Main thread: counters and histograms are read from 0 again; gauges stay. */
void metric_reset(struct metric_registry *r);
/* Main thread: calls `on_series` for each summed series, families in the order they were added. */
struct metric_sample {
    const struct metric_family_spec *family;
    const struct span *label_values;
    int64_t value; /* counter, gauge; count of a histogram */
    double sum;    /* histogram */
    const uint64_t
        *buckets; /* histogram: per bucket, not cumulative, with the one above the last bound */
};
void metric_each(struct metric_registry *r,
                 void (*on_series)(void *arg, const struct metric_sample *sample), void *arg);
/* Main thread: calls `on_change` for each series of these families (names, NULL-terminated; counters and histograms) that grew since
 * it was last marked, with the growth; shard by shard, not summed. What was taken well is marked with the same growth; what is not
 * marked is told again, with what came meanwhile. One reader a registry. false from `on_change` ends the walk. */
void metric_each_change(struct metric_registry *r, const char *const *families,
                        bool (*on_change)(void *arg, struct metric_series *series,
                                          const struct metric_sample *growth),
                        void *arg);
void metric_mark(struct metric_series *series, const struct metric_sample *growth);
#endif
