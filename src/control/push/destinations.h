#ifndef CONTROL_PUSH_DESTINATIONS_H
#define CONTROL_PUSH_DESTINATIONS_H
/* What the proxies of each workload use: the names that on-demand proxies subscribed to. A new proxy of the workload is told them when it
 * connects and asks for them before it is ready, so that a new replica has no first-use delay. A name is forgotten when a
 * proxy gives it up (it was long unused there) and no other one holds it; not when proxies go. Kept in the store,
 * behind the truth by DESTINATIONS_WRITE_MS: what is lost is learned again. Main thread.
 * In: push_client, by mail. Out: hints (translate's `known`). Next: proxy/discovery. */
#include "base/compiler.h"
#include "base/span.h"
#include "store/store.h"

#define DESTINATIONS_SPACE "known-destinations"
#define DESTINATIONS_NAMES_MAX 1000 /* of a workload: as many as a proxy learns */
#define DESTINATIONS_WORKLOADS_MAX \
    10000 /* then the one heard of longest ago that no proxy is of goes */
#define DESTINATIONS_NAME_BYTES_MAX 1024
#define DESTINATIONS_WRITE_MS 3000

struct destinations;
/* Asks the store for what was known. `store` NULL: nothing is kept. */
NONNULL_RETURN struct destinations *destinations_new(struct loop *loop, struct store *store);
/* A proxy of the workload ("namespace/account/name") uses this ("VirtualHost|9080/reviews:9080"), or no longer: `unused` when it gave it
 * up, else the proxy itself is gone. Calls come in pairs. What is beyond a limit is not remembered. */
void destinations_hold(struct destinations *d, struct span workload, struct span name);
void destinations_release(struct destinations *d, struct span workload, struct span name,
                          bool unused);
/* In the order in which they were learned. */
void destinations_each(const struct destinations *d, struct span workload,
                       void (*on_name)(void *arg, struct span name), void *arg);
/* Writes what is not written. NULL is fine. */
void destinations_free(struct destinations *d);
#endif
