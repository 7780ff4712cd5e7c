#ifndef IO_WORKER_H
#define IO_WORKER_H
/* A thread with a loop and a mailbox. What runs on it belongs to it. */
#include "base/compiler.h"
#include "base/err.h"
#include "io/loop.h"
#include "io/mailbox.h"

struct worker;
struct worker_ops {
    /* On the new thread, before its loop runs; may use loop and mailbox. Negative = could not start. */
    int (*on_start)(struct worker *w, void *arg, struct err *err);
    /* On the thread, after its loop has stopped: give everything back. */
    void (*on_stop)(struct worker *w, void *arg);
};

/* Waits until on_start has answered. `arg` is handed to the ops and to each mail's on_arrive. */
MUST_USE int worker_start(struct worker **out, unsigned index, const struct worker_ops *ops,
                          void *arg, struct err *err);
struct loop *worker_loop(struct worker *w);
struct mailbox *worker_mailbox(struct worker *w); /* any thread may post */
unsigned worker_index(const struct worker *w);
/* Any thread but its own: stops the loop, joins the thread, frees the worker. */
void worker_stop(struct worker *w);
/* CPUs this process may use: min of affinity and the cgroup's quota, at least 1. */
unsigned worker_cpu_quota(void);
/* Bytes that the control groups of this process may use: the smallest limit; 0 = none is set. */
uint64_t worker_memory_quota(void);
#endif
