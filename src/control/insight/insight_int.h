#ifndef CONTROL_INSIGHT_INSIGHT_INT_H
#define CONTROL_INSIGHT_INSIGHT_INT_H
/* What insight.c (taking reports) and insight_query.c (answering) share. */
#include "base/list.h"
#include "base/map.h"
#include "control/insight/insight.h"
#include "control/insight/insight_ring.h"

/* Reports of the two ends of an edge need not come in the same moment: one that is no older than this is of now. */
#define INSIGHT_NOW_S 10

/* What one end tells. */
struct insight_side {
    struct insight_ring *ring; /* owned; NULL until it tells something */
    int64_t first_s, last_s;   /* wall time of the first and last report */
    int64_t opened, closed;    /* opaque connections, since ever */
    struct telling *telling;   /* of the message in hand */
};

enum { INSIGHT_SOURCE, INSIGHT_DESTINATION };

/* A pair of workloads, a protocol and a service. Edges of one pair and protocol hang together, because the two ends may know the
 * same service by different names. */
struct insight_record {
    struct list by_age;          /* least recently told first */
    struct insight_record *next; /* same pair; the first one is in the map */
    struct span key;             /* owned; of the pair */
    char *texts;                 /* owned: what the spans below point to */
    struct insight_end source, destination;
    struct span service_host, service_name, service_namespace, protocol;
    struct insight_side sides[2];
    int mtls; /* last heard: 1, 0, -1 */
};

struct insight {
    struct map pairs;
    struct list by_age;
    size_t count;       /* of records */
    size_t bytes;       /* of rings */
    int64_t started_us; /* since when there are numbers; 0 = there are none */
    int64_t swept_s;
    uint64_t refused;    /* points for which there was no room */
    insight_owner owner; /* may be NULL */
    void *owner_arg;
};
#endif
