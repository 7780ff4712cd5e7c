#ifndef PROXY_UPSTREAM_ATTEMPT_H
#define PROXY_UPSTREAM_ATTEMPT_H
/* One try of a request against one endpoint: gets a connection, sends, and tells what came back. It knows
 * nothing of retries or of the downstream; its owner (request/sending) decides what a failure means.
 *
 *   WAITING (for a connection) --> OPEN (head sent) --> over
 *                    on_fail            on_head, on_data, on_trailers, then on_end or on_fail
 * In: request/sending. Out: upstream/pool, http/http_conn. Next: back to request/sending.                */
#include "base/compiler.h"
#include "http/http_conn.h"
#include "proxy/report/outcome.h"
#include "proxy/upstream/cluster.h"

struct attempt;
struct attempt_events {
    /* The connection is there: send the head, then what is there of the body. */
    void (*on_open)(void *arg);
    void (*on_head)(void *arg, struct head *head, bool end);
    void (*on_data)(void *arg, struct span data, bool end);
    void (*on_trailers)(void *arg, struct head *trailers);
    void (*on_drained)(void *arg);
    /* Both directions ended in order; the attempt is over. */
    void (*on_end)(void *arg);
    /* It failed; over. `replayable`: the upstream can not have processed it (never sent, refused, or an idle
     * connection that was closed before a byte of an answer). */
    void (*on_fail)(void *arg, enum outcome why, struct span failure, bool replayable);
};

struct attempt {
    const struct attempt_events *ev;
    void *arg;
    struct endpoint *endpoint; /* a reference is held while not idle */
    struct pool *pool;
    struct pool_waiter waiter;
    struct http_stream *stream; /* when open */
    bool busy;                  /* between start and over */
    bool counted;               /* holds a place of the cluster's request breaker */
    bool reused;                /* the connection had served before */
    bool priority_high;
    int64_t opened_ns; /* when the head was sent */
    struct addr local; /* our end of the connection, for the access log */
};

void attempt_init(struct attempt *a, const struct attempt_events *ev, void *arg);
/* `proto`: what the cluster wants, or the downstream's. `fresh`: on a connection that has not served before.
 * OUTCOME_OK when under way: the events tell, maybe before this returned; else why not. */
enum outcome attempt_start(struct attempt *a, struct endpoint *e, enum http_proto proto, bool fresh,
                           bool priority_high);
/* Both messages have ended, and nobody wants to be told when the last bytes have left. */
void attempt_let_go(struct attempt *a);
/* Gives it up, silently. */
void attempt_cancel(struct attempt *a, enum http_reset why);
#endif
