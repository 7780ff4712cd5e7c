#ifndef CONTROL_PUSH_PUSH_H
#define CONTROL_PUSH_PUSH_H
/* Worlds to proxies: N stream workers, each a thread with its own loop and servers, translate for their clients and send what
 * changed. The main thread gives them worlds and hears who is connected and what is reported; between the threads goes only mail.
 * In: world/world_build. Out: xds/xds_server. Next: push_worker, push_client. */
#include "base/compiler.h"
#include "base/err.h"
#include "base/metric.h"
#include "control/push/destinations.h"
#include "control/push/proxies.h"
#include "control/world/world.h"
#include "http/host.h"
#include "io/mailbox.h"

#define PUSH_WORKERS_MAX 16

struct push_events {
    /* On the worker's thread, the next three. The TLS of its server; without it no TLS address may be given. */
    int (*make_tls)(void *arg, struct tls_ctx **out, struct err *err);
    /* Before its servers are heard: for roles that attach themselves (the CA). Servers are named "xds-tls" and, if there is one,
     * "xds-plain". `own` is kept for on_host_end. May be NULL. */
    int (*on_host)(void *arg, struct host *host, void **own, struct err *err);
    /* Before the host is freed. May be NULL. */
    void (*on_host_end)(void *arg, void *own);
    /* Main thread: an OTLP report of a proxy; `identity` is empty on the plain port. */
    void (*on_report)(void *arg, struct span message, struct span identity);
    /* Main thread: an access-log message of a tapped proxy (ALS). */
    void (*on_tap)(void *arg, struct span message, struct span identity);
};

struct push_spec {
    struct loop *loop;       /* main's */
    struct mailbox *mailbox; /* main's */
    unsigned workers;        /* 1..PUSH_WORKERS_MAX */
    struct addr tls_addr;    /* ADDR_NONE: off */
    struct addr plain_addr;  /* ADDR_NONE: off */
    struct world *world;     /* of now; a reference is taken */
    struct metric_registry
        *metrics; /* pilot_* of pushes are added to it; outlives push. NULL: none */
    struct destinations *destinations; /* borrowed; NULL: nothing is remembered */
    struct push_events events;
    void *arg;
};

struct push;
/* -errno with the address when it can not be bound, or somebody else listens there. */
MUST_USE int push_new(struct push **out, const struct push_spec *spec, struct err *err);
/* A new world for everybody; takes a reference. */
void push_world(struct push *p, struct world *w, const struct world_change *change);
/* Which workloads are watched: workload names "ns/name", "ns/" for a whole namespace, "" for all. */
void push_set_tap(struct push *p, const struct span *targets, size_t count);
/* Who is connected. Main thread. */
const struct proxies *push_proxies(const struct push *p);
/* Where the TLS and the plain port are; port 0 resolved. */
const struct addr *push_tls_addr(const struct push *p);
const struct addr *push_plain_addr(const struct push *p);
/* Ends all streams; NULL is fine. */
void push_free(struct push *p);
#endif
