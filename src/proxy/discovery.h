#ifndef PROXY_DISCOVERY_H
#define PROXY_DISCOVERY_H
/* On-demand discovery, as the main thread keeps it: the names that this proxy has learned, because something asked
 * for them. A name is subscribed to when it is first used and given up when it is long unused, so that what a
 * proxy knows is what it uses; limits keep a port scan from hurting the control plane.
 *
 *   (nothing) --ask--> PENDING --there, with all it needs--> KNOWN --unused for DISCOVERY_UNUSED_MS--> (nothing)
 *                         |  \--none, or too late--> UNKNOWN --DISCOVERY_UNKNOWN_MS--> (nothing)
 *                         '--a name from the last run or a hint of the control plane: not ready before it is settled
 *
 * In: proxy/config/ask by mail, dns_capture. Out: ops.want (subscriptions). Next: config/ingest, whose settling
 * (discovery_settled) gives the answer. */
#include "base/compiler.h"
#include "base/list.h"
#include "base/metric.h"
#include "base/span.h"
#include "proxy/config/ask.h"
#include "proxy/config/ingest.h"

#define DISCOVERY_NAMES_MAX 1000  /* learned names of a proxy; beyond: unknown at once */
#define DISCOVERY_PER_SECOND 50   /* new look-ups of traffic, and as many of DNS */
#define DISCOVERY_UNKNOWN_MS 5000 /* what nobody knows is not asked again for so long */
#define DISCOVERY_FIRST_MS 15000  /* names of the last run: as ConfigSource.initial_fetch_timeout */
#define DISCOVERY_UNUSED_MS 600000    /* then a name is given up */
#define DISCOVERY_SWEEP_MS 60000      /* how often uses are looked at */
#define DISCOVERY_NAME_BYTES_MAX 1024 /* of one name */

enum discovery_type {                         /* each by its xDS resource's name */
                      DISCOVERY_LISTENER,     /* "10.0.0.1:80", "[fd00::1]:80" */
                      DISCOVERY_VIRTUAL_HOST, /* "9080/reviews:9080" */
                      DISCOVERY_NAME_TABLE,   /* "reviews.default.svc.cluster.local" */
                      DISCOVERY_TYPE_COUNT
};
/* "Listener", "VirtualHost", "NameTable": as hints and the file have it. */
const char *discovery_type_name(enum discovery_type type);

struct discovery;
struct loop;

struct discovery_ops {
    /* Subscribes or unsubscribes. */
    void (*want)(void *arg, enum discovery_type type, struct span name, bool wanted);
    enum ingest_state (*look)(void *arg, enum discovery_type type, struct span name);
    bool (*is_connected)(void *arg);
    /* Every DISCOVERY_SWEEP_MS: whoever knows what was in use says so by discovery_touch, soon. */
    void (*on_sweep)(void *arg);
    /* The set of known names has changed; or discovery_is_settled may have. */
    void (*on_known)(void *arg);
};

struct discovery_wait {
    /* Once; the wait may be freed in it. The name is borrowed. */
    void (*on_answer)(struct discovery_wait *w, struct span name, enum ask_answer answer);
    struct list node; /* private */
};

NONNULL_RETURN struct discovery *discovery_new(struct loop *loop, struct metric_registry *registry,
                                               const struct discovery_ops *ops, void *arg);
/* Nobody is told. NULL is fine. */
void discovery_free(struct discovery *d, void (*drop)(struct discovery_wait *w));

/* Someone needs this name; the answer comes now or later. */
void discovery_ask(struct discovery *d, enum discovery_type type, struct span name,
                   struct discovery_wait *w);
/* A name that was used before: subscribed to now, and awaited before the proxy is ready. False: no room. */
bool discovery_add(struct discovery *d, enum discovery_type type, struct span name);
/* The same as text, "VirtualHost|9080/reviews:9080"; what can not be read is left out. */
void discovery_add_text(struct discovery *d, struct span text);
/* It was used lately. */
void discovery_touch(struct discovery *d, enum discovery_type type, struct span name);
/* What was asked for may have come: ingest's on_settled. */
void discovery_settled(struct discovery *d);
/* No name of discovery_add is awaited. */
bool discovery_is_settled(const struct discovery *d);
/* Known names, one a line as discovery_add_text reads it. -ERR_LIMIT. */
MUST_USE int discovery_write(const struct discovery *d, struct buf *out);
void discovery_each_known(const struct discovery *d,
                          void (*on_name)(void *arg, enum discovery_type type, struct span name),
                          void *arg);
#endif
