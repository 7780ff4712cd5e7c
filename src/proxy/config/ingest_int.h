#ifndef PROXY_CONFIG_INGEST_INT_H
#define PROXY_CONFIG_INGEST_INT_H
/* What the files of ingest share: the table of resources by kind and name.
 *
 *   entry:  (mentioned, nothing there) --arrives--> warming --what it needs is there--> active
 *              ^                                      a newer one takes its place         |
 *              '-------------------------- removed, no longer mentioned ------------------'
 * An update waits as `warming` beside the `active` one until all that it mentions (route tables, endpoints,
 * secrets, DNS answers) is there, or known to be missing, or WARM_MS have passed: what is in use is never
 * replaced by something that can not work yet. */
#include "base/list.h"
#include "base/map.h"
#include "io/deadline.h"
#include "io/loop.h"
#include "proxy/config/conf.h"
#include "proxy/config/dns_targets.h"
#include "proxy/config/ingest.h"
#include "proxy/config/slots.h"

#define INGEST_WARM_MS 15000 /* ConfigSource.initial_fetch_timeout */

struct ingest_failed { /* what was refused last */
    struct span bytes; /* owned */
    char *details;     /* owned */
    char *version;     /* owned */
    int64_t at_us;
};

struct ingest_entry {
    enum conf_kind kind;
    struct span name; /* owned */
    uint32_t slot;
    char *version; /* owned: of what is there; NULL = nothing came yet */
    bool is_static;
    bool missing;                                 /* the control plane said that there is none */
    unsigned mentions;                            /* by active and warming resources */
    struct conf *active, *warming;                /* a reference each */
    struct dns_targets *active_dns, *warming_dns; /* of DNS clusters; owned */
    struct list warming_node;
    int64_t warm_until_ms;
    struct ingest_failed *failed; /* owned; NULL = the last update was taken */
    bool wanted;                  /* by ingest_want: counts as a mention */
    /* Of a route table that learns: `active` with its virtual hosts; a reference. NULL = to be made. */
    struct conf *with_hosts;
    uint64_t seen; /* number of the state-of-the-world answer that listed it */
};

struct ingest {
    struct loop *loop;                              /* borrowed */
    struct resolver *resolver;                      /* borrowed */
    const struct pb_bootstrap_Bootstrap *bootstrap; /* borrowed; NULL = none */
    int64_t bootstrap_us;
    struct ingest_events events;
    void *arg;
    struct slots slots;
    struct map entries[CONF_KIND_COUNT]; /* name -> struct ingest_entry */
    char *versions[CONF_KIND_COUNT];     /* owned: of the last answer; NULL = none */
    struct list warming;                 /* entries */
    bool by_name;                        /* clusters are mentioned, and come by name */
    struct loop_task settle;
    struct deadline warm;
    bool changed;
    uint64_t answers;
    uint64_t numbers;
    struct snapshot *current; /* one hold */
    struct list snapshots;    /* all that somebody holds */
};

/* The active resources as a snapshot with one hold. */
struct snapshot *ingest_snapshot_new(struct ingest *g);
void ingest_snapshot_put(struct snapshot *s);
/* Entries of a kind, sorted by name; mem_free the array. */
struct ingest_entry **ingest_snapshot_sorted(const struct ingest *g, enum conf_kind kind,
                                             size_t *count);
#endif
