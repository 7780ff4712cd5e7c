#ifndef POD_METRICS_MERGE_H
#define POD_METRICS_MERGE_H
/* Two scrapes in one text: the proxy's numbers, then the application's. Both are Prometheus text 0.0.4, or both OpenMetrics 1.0. What is said twice of
 * a family (# HELP, # TYPE, # UNIT) stays where it was said first, and "# EOF" stands once, at the end, where the format has one. Pure.
 * Source: prometheus "Exposition formats", OpenMetrics 1.0 (metric metadata at most once a family). */
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"

/* Appends to `out`. -ERR_PROTO: a line of the application's is of neither format; -ERR_LIMIT: no room. Nothing is appended then. */
MUST_USE int metrics_merge(struct span own, struct span application, bool open_metrics,
                           struct buf *out, struct err *err);
#endif
