#ifndef PROXY_REQUEST_BODY_H
#define PROXY_REQUEST_BODY_H
/* One direction of a body: from a source stream (that wants its credit back) to a sink stream (that may be slow
 * or not there yet). While there is no sink the bytes are kept; for a retry they are kept on until they are too
 * many. Memory is bounded by the source's credit (http_limits.stream_window) and BODY_REPLAY_MAX. */
#include "base/buf.h"
#include "base/compiler.h"
#include "http/http_conn.h"

#define BODY_REPLAY_MAX 65536 /* a longer request body can not be sent again */
#define BODY_QUEUE_HIGH 65536 /* queued in the sink: hold the source's credit back above this */
#define BODY_KEEP_MAX \
    (1u << 20) /* most bytes kept while there is no sink; the source's credit is less */

struct body {
    struct http_stream *source; /* NULL when over */
    struct http_stream *sink;   /* NULL while there is none */
    size_t held;                /* bytes whose credit the source has not got back */
    bool ended;                 /* the source has said its last */
    bool keep;                  /* keep what was sent, for a retry */
    bool lost;                  /* bytes were sent and not kept: no replay */
    struct buf kept;            /* waiting for a sink, or kept for a retry */
};

void body_init(struct body *b, struct http_stream *source, bool keep);
void body_dispose(struct body *b);
/* Bytes from the source. Negative when the sink refused them (it is closing; its on_close comes). */
MUST_USE int body_push(struct body *b, struct span data, bool end);
/* A sink is there (again): sends what is kept. Not for a message whose head already went with `end`. */
MUST_USE int body_attach(struct body *b, struct http_stream *sink);
void body_detach(struct body *b);
/* The sink has sent what it had: credit goes back to the source. */
void body_drained(struct body *b);
/* No retry any more: what is kept and sent is dropped. */
void body_forget(struct body *b);
/* Can all bytes so far be sent again? */
bool body_can_replay(const struct body *b);
#endif
