#ifndef HTTP_H1_CONN_INT_H
#define HTTP_H1_CONN_INT_H
/* What the three files of an HTTP/1 connection share: h1_conn (life, timers, what comes after an exchange),
 * h1_recv (bytes in -> events) and h1_send (calls -> bytes out).
 *
 *   in:   HEAD --> LENGTH | CHUNKED -> TRAILERS | UNTIL_CLOSE --> DONE      the peer's message
 *              \-> HELD -> OPAQUE ------------------------------/
 *   out:  HEAD --> LENGTH | CHUNKED | UNTIL_CLOSE | OPAQUE | EMPTY --> DONE  ours
 *
 * An exchange is open from the request's head to its end (h1_settle says when); then both go back to HEAD,
 * or the connection ends: at once, or by lingering where an answer could still be lost to a reset. */
#include "base/buf.h"
#include "http/h1_parse.h"
#include "http/http_conn_int.h"
#include "io/deadline.h"

/* Of a request that was answered early, before we hang up. */
#define H1_DISCARD_MAX (256u * 1024)

enum h1_in {
    H1_IN_HEAD,   /* waits for a head, or for the rest of one */
    H1_IN_LENGTH, /* `left` bytes of body */
    H1_IN_CHUNKED,
    H1_IN_TRAILERS,
    H1_IN_UNTIL_CLOSE, /* client */
    H1_IN_HELD,        /* server: CONNECT or upgrade; bytes wait for our answer */
    H1_IN_OPAQUE,
    H1_IN_DONE, /* bytes wait for the next exchange */
};

enum h1_out {
    H1_OUT_HEAD, /* waits for our head */
    H1_OUT_LENGTH,
    H1_OUT_CHUNKED,
    H1_OUT_UNTIL_CLOSE, /* server, to HTTP/1.0 */
    H1_OUT_OPAQUE,
    H1_OUT_EMPTY, /* a body is not sent (HEAD, 204, 304): what comes is dropped */
    H1_OUT_DONE,
};

enum h1_timer {
    H1_TIMER_NONE,
    H1_TIMER_TRIM, /* just idle: give memory back */
    H1_TIMER_IDLE,
    H1_TIMER_HEAD, /* the rest of a head, or of a request that was answered early */
    H1_TIMER_HALF_CLOSE,
    H1_TIMER_LINGER,
};

struct h1_conn {
    struct http_conn base;
    struct http_stream stream; /* of the open exchange */
    struct loop_task task;
    struct deadline deadline;
    int64_t rested_ms; /* when the last exchange ended, for TRIM */
    struct buf in;     /* an incomplete head, or bytes that came too early */
    struct buf out;    /* what the socket refused */
    struct span
        head_out; /* our head, waiting for data or the end of the turn; in the stream's arena */
    struct h1_scan scan;
    struct h1_chunks chunks;
    uint64_t left;     /* of the body coming in */
    uint64_t out_left; /* of the body going out */
    size_t held;       /* told by on_data, not yet consumed */
    size_t discarded;  /* bytes of a request that nobody reads any more */
    enum h1_in in_state;
    enum h1_out out_state;
    enum h1_timer timer;
    enum head_method asked; /* method of the exchange */
    enum http_reset end_why;
    uint8_t peer_minor;
    uint8_t interim;      /* 1xx answers so far */
    bool open : 1;        /* an exchange is running */
    bool keep : 1;        /* another may follow */
    bool upgrade : 1;     /* the request asked for one */
    bool opaque : 1;      /* CONNECT or upgrade was granted */
    bool raw : 1;         /* client: no HTTP below, see HTTP_PROTO_RAW */
    bool te_trailers : 1; /* the client wants trailers */
    bool expect : 1;      /* the client waits for 100 */
    bool queued : 1;      /* on_drained is owed */
    bool out_dead : 1;    /* client: the peer reads no more */
    bool eof : 1;         /* the peer has ended its direction */
    bool shut : 1;        /* so have we */
    bool drain : 1;
    bool lingering : 1;
    bool in_event : 1; /* h1_settle will run when the event has been handled */
    bool telling : 1;  /* within on_close: no new exchange yet */
    bool ending : 1;   /* ends with end_why at the next settle */
    bool abort : 1;    /* ... by a reset */
    bool gone : 1;
};

static inline struct h1_conn *h1_of(struct http_conn *c)
{
    return container_of(c, struct h1_conn, base);
}

static inline bool h1_is_flushed(const struct h1_conn *c)
{
    return c->head_out.len == 0 && buf_len(&c->out) == 0;
}

static inline bool h1_is_over(const struct h1_conn *c)
{
    return c->gone || c->ending;
}

/* h1_recv: one read, its bytes, and the end of the stream (code 0) or its failure. */
void h1_recv(struct h1_conn *c);
/* HTTP_PROTO_RAW: answers the CONNECT, if that is still to be done. */
void h1_recv_raw(struct h1_conn *c);
/* Takes stashed bytes; whether any were used. */
bool h1_recv_stash(struct h1_conn *c);

/* h1_send */
int h1_send_head(struct http_stream *s, const struct head *head, bool end);
int h1_send_data(struct http_stream *s, struct span data, bool end);
int h1_send_trailers(struct http_stream *s, const struct head *trailers);
/* An answer of our own to what is not HTTP. */
void h1_send_refusal(struct h1_conn *c, unsigned status);
/* Our head, if it still waits; then what is queued. */
void h1_send_flush(struct h1_conn *c);

/* h1_conn: the connection ends at the next settle. `abort`: by a reset. */
void h1_conn_end(struct h1_conn *c, enum http_reset why, bool abort);
/* Settles now or at the turn's end. */
void h1_conn_kick(struct h1_conn *c);
void h1_conn_arm(struct h1_conn *c, enum h1_timer timer);
#endif
