#ifndef PROXY_LAST_GOOD_H
#define PROXY_LAST_GOOD_H
/* A restart while the control plane is away: the configuration in use is kept on disk, and taken from there when the control plane says
 * nothing for LAST_GOOD_AFTER_MS after a start. Then the proxy is ready with what it knew, and goes on asking; the control plane
 * is told which versions are held, so that it sends what changed since and takes away what is gone. With an identity from disk
 * (node_identity) nothing else is needed to carry the traffic of known destinations.
 *
 *   ingest, dns_names --changes, LAST_GOOD_WRITE_MS--> file "configuration": one DeltaDiscoveryResponse with resources of all types, their
 *   names and versions; system_version_info is the node's id, and what another node left is not taken.
 *
 * It may hold secrets that came by SDS, so it is its owner's only. Main thread.
 * In: config/ingest. Out: proxy_sources (proxy_sources_restore). */
#include "base/compiler.h"
#include "proxy/config/ingest.h"
#include "proxy/dns_names.h"
#include "proxy/proxy_discovery.h"
#include "proxy/proxy_sources.h"

#define LAST_GOOD_FILE "configuration" /* in the state folder */
#define LAST_GOOD_AFTER_MS 500
#define LAST_GOOD_WRITE_MS 2000         /* so long after a change */
#define LAST_GOOD_AGAIN_MS 20000        /* and so long after the last time */
#define LAST_GOOD_BYTES_MAX (64u << 20) /* what is larger is not kept */

struct last_good;
struct last_good_spec { /* all borrowed */
    struct loop *loop;
    struct ingest *ingest;
    struct proxy_sources *sources;
    struct proxy_discovery *discovery; /* NULL: full discovery */
    struct dns_names *names;           /* NULL: no DNS */
    struct span node_id;
    const char *state_dir;
};
NONNULL_RETURN struct last_good *last_good_new(const struct last_good_spec *spec);
/* Waits for the control plane from now on. */
void last_good_start(struct last_good *l);
/* The configuration may have changed. NULL is fine. */
void last_good_changed(struct last_good *l);
/* What is in use is that of the last run, for want of another. False for NULL. */
bool last_good_is_restored(const struct last_good *l);
/* Writes what is not written; before what it borrows. NULL is fine. */
void last_good_free(struct last_good *l);
#endif
