#ifndef PROXY_PROXY_WORKER_H
#define PROXY_PROXY_WORKER_H
/* One data-plane thread: listeners, connections, clusters, numbers. It gets snapshots by mail and mails them back;
 * nothing else comes in from the main thread but questions and the word to drain.
 *
 *   main --snapshot mail--> view, clusters[], entries      worker --snapshot mail--> main (done with it)
 * In: config/snapshot by mail. Next: downstream/entry.                                                        */
#include "base/compiler.h"
#include "base/err.h"
#include "io/worker.h"
#include "proxy/config/ask.h"
#include "proxy/config/snapshot.h"
#include "proxy/report/peers.h"
#include "proxy/report/stats.h"
#include "proxy/report/tap.h"
#include "proxy/upstream/shared.h"

struct proxy_worker;

struct proxy_worker_spec {
    unsigned index;
    bool several;                    /* more than one worker: listeners share their address */
    struct mailbox *main;            /* where answers go; its owner is the `arg` of the callbacks */
    struct shared *shared;           /* borrowed */
    struct stats_families *families; /* borrowed */
    struct metric_shard *shard;      /* of this worker */
    const struct peer_self *self;    /* borrowed; NULL: other sidecars are not told who we are */
    /* On the main thread. */
    void (*on_snapshot_done)(void *arg, struct snapshot *s);
    /* The worker has taken a snapshot and its listeners are open (or have failed: err.code). */
    void (*on_applied)(void *arg, unsigned index, uint64_t number, const struct err *err);
    /* Draining and no connection is left. */
    void (*on_idle)(void *arg, unsigned index);
    /* On-demand discovery: it wants to know this (config/ask.h); the name is borrowed. NULL: no discovery. */
    void (*on_question)(void *arg, unsigned index, enum conf_kind kind, struct span name);
};

MUST_USE int proxy_worker_start(struct proxy_worker **out, const struct proxy_worker_spec *spec,
                                struct err *err);
/* Main thread. */
void proxy_worker_apply(struct proxy_worker *w, struct snapshot *s);
/* New requests end their connections; with `stop_accepting` listeners close too. */
void proxy_worker_drain(struct proxy_worker *w, bool stop_accepting);
void proxy_worker_reopen_logs(struct proxy_worker *w);
/* What overload.h asks of it, until told otherwise; `idle`: ends a quarter of the connections, of those
 * that carry nothing; `connections`: also after each exchange. */
struct proxy_shed {
    bool idle, connections, requests;
};
void proxy_worker_shed(struct proxy_worker *w, struct proxy_shed what);

/* The answer to a question; what was found is in the snapshot that was applied last. */
void proxy_worker_answer(struct proxy_worker *w, enum conf_kind kind, struct span name,
                         enum ask_answer answer);

/* What one worker knows of an endpoint, for /clusters. */
struct proxy_endpoint_state {
    uint32_t slot;
    struct addr addr;
    bool usable;
    bool ejected; /* by outlier detection of a worker */
    uint32_t weight, priority, rq_active, cx_active;
    uint64_t rq_total, rq_error, cx_total, cx_connect_fail;
};
/* Asks; `on_answer` comes on the main thread with an array that is borrowed for the call. */
void proxy_worker_ask_endpoints(struct proxy_worker *w,
                                void (*on_answer)(void *arg,
                                                  const struct proxy_endpoint_state *states,
                                                  size_t count),
                                void *arg);
/* What a worker used since it was asked last. */
struct proxy_use {
    const struct span *listeners; /* names: connections came, or are there */
    size_t listener_count;
    const bool *slots; /* clusters: something was sent to one of its endpoints */
    size_t slot_count;
};
/* As proxy_worker_ask_endpoints. */
void proxy_worker_ask_use(struct proxy_worker *w,
                          void (*on_use)(void *arg, const struct proxy_use *use), void *arg);
/* Finished requests that were gathered for tap since the last call (report/tap.h); with `on` it gathers from now on. `batch` is borrowed
 * for the call. As proxy_worker_ask_endpoints. */
void proxy_worker_ask_tap(struct proxy_worker *w, bool on,
                          void (*on_batch)(void *arg, const struct tap_batch *batch), void *arg);
/* Joins the thread; connections are closed. */
void proxy_worker_stop(struct proxy_worker *w);
#endif
