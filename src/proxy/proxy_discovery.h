#ifndef PROXY_PROXY_DISCOVERY_H
#define PROXY_PROXY_DISCOVERY_H
/* On-demand discovery in the proxy's process: what binds the learned names (discovery.h) to ingest, to the workers
 * that ask, and to the file in which they outlive the process. Main thread. */
#include "base/compiler.h"
#include "base/metric.h"
#include "proxy/config/ingest.h"
#include "proxy/discovery.h"
#include "proxy/dns_names.h"
#include "proxy/proxy_numbers.h"
#include "proxy/proxy_sources.h"
#include "proxy/proxy_worker.h"

#define PROXY_DISCOVERY_FILE "destinations" /* in the state folder; owner only */
#define PROXY_DISCOVERY_WRITE_MS 5000       /* so long after a change */

struct proxy_discovery;

struct proxy_discovery_spec { /* all borrowed */
    struct loop *loop;
    struct metric_registry *registry;
    struct ingest *ingest;
    struct proxy_sources *sources;
    struct dns_names *names; /* NULL: no DNS */
    const struct proxy_numbers *numbers;
    struct proxy_worker *const *workers;
    const unsigned *worker_count;
    const char *state_dir; /* NULL: nothing is kept */
    void (*on_moved)(void *arg);
    void *arg;
};

/* Reads the names of the last run, which are subscribed to at once. */
NONNULL_RETURN struct proxy_discovery *proxy_discovery_new(const struct proxy_discovery_spec *spec);
/* Before the workers and ingest; writes what is not written yet. NULL is fine. */
void proxy_discovery_free(struct proxy_discovery *p);
/* A worker's question. */
void proxy_discovery_ask(struct proxy_discovery *p, unsigned worker, enum conf_kind kind,
                         struct span name);
/* Hints of the control plane are in its listeners; taken until the proxy is ready. */
void proxy_discovery_hints(struct proxy_discovery *p, const struct snapshot *s);
void proxy_discovery_settled(struct proxy_discovery *p);
bool proxy_discovery_is_settled(const struct proxy_discovery *p);
/* For the DNS. */
struct discovery *proxy_discovery_learned(struct proxy_discovery *p);
#endif
