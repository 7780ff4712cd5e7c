#ifndef PROXY_CONFIG_ASK_H
#define PROXY_CONFIG_ASK_H
/* What a worker does not find in its view and the control plane may know: it asks the main thread, once for each
 * name, and whoever needs the answer waits. A short memory keeps the main thread from being asked for every
 * connection to what nobody knows. Owner thread only.
 *
 *   (nothing) --ask_wait--> ASKED --asks_answer, or 2 s--> told; what was not found is REMEMBERED --5 s--> (nothing)
 *
 * In: downstream/arrival (listener "ip:port"), request/routing (virtual host "table/authority"). Out: `post`, by
 * mail. Next: proxy/discovery, whose answer comes back after the snapshot that has what was asked for. */
#include "base/compiler.h"
#include "base/list.h"
#include "base/span.h"
#include "proxy/config/snapshot.h"

#define ASK_WAIT_MS 2000     /* nobody waits longer for the control plane */
#define ASK_REMEMBER_MS 5000 /* so long is not asked again for what is unknown */
#define ASK_RETRY_MS 1000    /* and so long when there was no answer */
#define ASK_NAMES_MAX 2000   /* asked or remembered; beyond: unknown at once */

struct asks;
struct loop;

enum ask_answer {
    ASK_FOUND,   /* the newest view has it, and all that it needs */
    ASK_UNKNOWN, /* the control plane knows of none, or too much was asked */
    ASK_AWAY,    /* the control plane is not there, or did not answer in time */
};

struct ask_wait {
    /* Once, unless it is cancelled. The wait is no longer in any list. */
    void (*on_answer)(struct ask_wait *w, enum ask_answer answer);
    struct list node; /* private; empty = waits for nothing */
};

/* `post` sends the question to the main thread; the name is borrowed for the call. */
NONNULL_RETURN struct asks *asks_new(struct loop *loop,
                                     void (*post)(void *arg, enum conf_kind kind, struct span name),
                                     void *arg);
/* Nobody waits any more. NULL is fine. */
void asks_free(struct asks *a);
void ask_wait_init(struct ask_wait *w, void (*on_answer)(struct ask_wait *, enum ask_answer));
/* CONF_LISTENER or CONF_VIRTUAL_HOST. True: `w` waits. False: `*answer` is known already. */
bool ask_wait(struct asks *a, enum conf_kind kind, struct span name, struct ask_wait *w,
              enum ask_answer *answer);
/* Fine when it does not wait. */
void ask_cancel(struct ask_wait *w);
/* The main thread's answer; the view is up to date. Those who wait are told at once. */
void asks_answer(struct asks *a, enum conf_kind kind, struct span name, enum ask_answer answer);
#endif
