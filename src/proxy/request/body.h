#ifndef PROXY_REQUEST_BODY_H
#define PROXY_REQUEST_BODY_H
/* One direction of a body: from a source stream (that wants its credit back) to a sink stream (that may be slow
 * or not there yet). While there is no sink the bytes are kept; for a retry they are kept on until they are too
 * many. Memory is bounded by the source's credit (http_limits.stream_window) and BODY_REPLAY_MAX. */
#include "base/buf.h"
#include "base/compiler.h"
#include "http/http_conn.h"

struct body;

/* What changes the bytes of one direction on their way (gzip, gRPC-Web): a step puts it on before the first of them has come. It lives in
 * the request's arena; what it holds elsewhere goes in the step's on_done. */
struct body_filter {
    /* Bytes of the source, borrowed; what comes out goes to body_emit, now or later, in any pieces. The last call has `end`, unless
     * trailers come; the filter then emits with `end`. A response that has no body gets one call, empty, with `end`.
     * -ERR_PROTO: the source's bytes are wrong, and the request fails; else what body_emit said. */
    int (*push)(struct body_filter *f, struct body *b, struct span data, bool end);
    /* The source has ended with trailers: what is left is emitted. With `*pass` (true at the call) they are sent on, and nothing was
     * emitted with `end`; without, the filter has emitted the end itself. NULL: push(empty, end = false), and they pass. */
    int (*trailers)(struct body_filter *f, struct body *b, struct head *trailers, bool *pass);
};

#define BODY_REPLAY_MAX 65536 /* a longer request body can not be sent again */
#define BODY_QUEUE_HIGH \
    32768 /* http/limits.def: queue_bytes; queued in the sink: hold the source's credit back above this */
#define BODY_KEEP_MAX \
    (1u << 20) /* most bytes kept while there is no sink; the source's credit is less */

struct body {
    struct http_stream *source; /* NULL when over */
    struct http_stream *sink;   /* NULL while there is none */
    size_t held;                /* bytes whose credit the source has not got back */
    bool ended;                 /* the end has been emitted */
    bool keep;                  /* keep what was sent, for a retry */
    bool lost;                  /* bytes were sent and not kept: no replay */
    struct buf kept;            /* waiting for a sink, or kept for a retry */
    struct body_filter *filter; /* borrowed; NULL: bytes as they are */
    /* Sees what is emitted, for copies of the message; NULL: nobody. */
    void (*tee)(struct body *b, struct span data, bool end);
};

void body_init(struct body *b, struct http_stream *source, bool keep);
void body_dispose(struct body *b);
/* Bytes from the source. Negative when the sink refused them (it is closing; its on_close comes), and see body_refuses. */
MUST_USE int body_push(struct body *b, struct span data, bool end);
/* Trailers of the source; `*pass`: they are to be sent on as such. */
MUST_USE int body_trailers(struct body *b, struct head *trailers, bool *pass);
/* For filters: bytes to the sink, or kept while there is none. */
MUST_USE int body_emit(struct body *b, struct span data, bool end);
/* Is this code of body_push or body_trailers the filter's word (or more was emitted than may be kept), and not the sink's end? */
bool body_refuses(const struct body *b, int code);
/* A sink is there (again): sends what is kept. Not for a message whose head already went with `end`. */
MUST_USE int body_attach(struct body *b, struct http_stream *sink);
void body_detach(struct body *b);
/* The sink has sent what it had: credit goes back to the source. */
void body_drained(struct body *b);
/* The source may send: nothing of what it sent is held back. */
static inline bool body_is_wanted(const struct body *b)
{
    return b->held == 0;
}
/* No retry any more: what is kept and sent is dropped. */
void body_forget(struct body *b);
/* Can all bytes so far be sent again? */
bool body_can_replay(const struct body *b);
#endif
