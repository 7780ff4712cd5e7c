#ifndef PROXY_CONFIG_INGEST_H
#define PROXY_CONFIG_INGEST_H
/* Turns xDS resources into snapshots. Main thread. A resource that can not be taken is refused with type,
 * name, field and reason, and the old one stays; a required extension that we do not know is refused by
 * name, an optional one (is_optional) is skipped and listed. Resources that arrive before what they mention
 * are fine (slots).
 * In: xds/xds_client or a file source. Out: config/view of each worker, through on_snapshot.
 * Next: config/view. */
#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "proxy/config/snapshot.h"

struct ingest;
struct loop;
struct resolver;

struct ingest_events {
    /* A complete new snapshot; the receiver passes it to the workers (snapshot_get for each). Comes at most
     * once a turn. */
    void (*on_snapshot)(void *arg, struct snapshot *s);
    /* Names now mentioned and not yet known, so that somebody brings them (RDS, EDS, SDS): the control plane, or
     * the file at `path` when there is one. */
    void (*on_interest)(void *arg, enum conf_kind kind, struct span name, struct span path,
                        bool wanted);
    /* What came in this turn has found its place, after on_snapshot if there is one. May be NULL. */
    void (*on_settled)(void *arg);
};

struct ingest *ingest_new(struct loop *loop, struct resolver *resolver,
                          const struct ingest_events *ev, void *arg);
void ingest_free(struct ingest *g);
/* Before anything is applied. On-demand discovery: clusters are wanted by name (on_interest) from the listeners,
 * route tables and virtual hosts that lead to them, and route tables may have `vhds`. */
void ingest_set_by_name(struct ingest *g);

struct pb_bootstrap_Bootstrap;
/* What the process began with, for /config_dump; borrowed for the ingest's life. */
void ingest_set_bootstrap(struct ingest *g, const struct pb_bootstrap_Bootstrap *bootstrap);

struct ingest_resource {
    struct span name; /* may be empty in state-of-the-world answers: then the resource's own */
    struct span
        version; /* empty: a static resource, which `full` never removes and no update replaces */
    struct span type_url;
    struct span value; /* the Any's bytes; copied */
};
/* All or nothing. Removed names disappear from the next snapshot, but for secrets in use. -ERR_CONFIG is what
 * the NACK says. `full`: state of the world, names not listed are removed (listeners and clusters). */
MUST_USE int ingest_apply(struct ingest *g, const struct ingest_resource *added, size_t added_count,
                          struct span type_url, const struct span *removed, size_t removed_count,
                          bool full, struct err *err);
/* A name that is wanted (or no more) though nothing mentions it. What is no longer wanted and not mentioned goes. */
void ingest_want(struct ingest *g, enum conf_kind kind, struct span name, bool wanted);
enum ingest_state {
    INGEST_COMING,  /* no answer yet, or not yet all that it needs */
    INGEST_MISSING, /* there is none, or it was refused */
    INGEST_ACTIVE,  /* in the newest snapshot */
};
enum ingest_state ingest_look(const struct ingest *g, enum conf_kind kind, struct span name);
/* Whether what is active under this name leads to one of these clusters (by slot) itself. */
bool ingest_leads_to(const struct ingest *g, enum conf_kind kind, struct span name,
                     const bool *slots, size_t count);
/* A worker gave a snapshot back. */
void ingest_snapshot_done(struct ingest *g, struct snapshot *s);
/* Everything mentioned is there (or known to be missing) and nothing is warming: the proxy may say it is
 * ready, once it has had its first answers for listeners and clusters. */
bool ingest_is_complete(const struct ingest *g);
/* Calls for all that came from the control plane and is in use, with its name, version, type and bytes. */
void ingest_each(const struct ingest *g,
                 void (*on_resource)(void *arg, const struct ingest_resource *r), void *arg);
/* Envoy's /config_dump (admin v3 ConfigDump as JSON; secrets redacted). `resource_mask`: the name of one list
 * (dynamic_active_clusters ...), whose members are then all there is; or empty. -ERR_LIMIT when `out` is full. */
MUST_USE int ingest_config_dump(struct ingest *g, struct span resource_mask, bool with_endpoints,
                                struct buf *out);
#endif
