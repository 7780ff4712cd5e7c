#ifndef HTTP_H2_CONN_INT_H
#define HTTP_H2_CONN_INT_H
/* What the three files of an HTTP/2 connection share: h2_conn (life, timers, drain), h2_recv (frames in ->
 * events) and h2_send (calls -> frames out). nghttp2 does framing, HPACK, flow control and the rules of
 * RFC 9113 section 8; it is included by these three files and nowhere else.
 *
 *   read event -> nghttp2 -> h2_recv's callbacks -> stream events
 *   calls -> nghttp2's queue -> (end of turn) h2_send_flush: all frames of all streams in one writev
 *
 * Nothing is told, sent or freed inside nghttp2 that could call back into it: closed streams wait in
 * `closed` until h2_conn settles. */
#include <nghttp2/nghttp2.h>

#include "base/buf.h"
#include "base/list.h"
#include "http/http_conn_int.h"
#include "io/deadline.h"

struct h2_stream {
    struct http_stream base;
    struct list node;        /* in streams, closed or spare */
    struct list queued_node; /* in queued: on_drained is owed */
    struct buf out;          /* body waiting for the peer's window or for the turn's end */
    struct span direct;      /* lent by the http_stream_data call in hand, after `out` */
    struct head *head;       /* being received */
    nghttp2_nv *trailers;    /* ours, in the arena; sent when `out` is empty */
    size_t trailer_count;
    size_t head_bytes; /* of `head` so far, as RFC 9113 section 6.5.2 counts */
    char *cookie;      /* crumbs so far, in the arena */
    size_t cookie_len;
    size_t cookie_room;
    size_t held; /* told by on_data, not yet consumed */
    int32_t id;  /* 0 = our request has not been submitted */
    enum head_method asked;
    enum http_reset why; /* of the close */
    bool open : 1;       /* told to the owner, or made by it */
    bool head_in : 1;    /* the final head has come */
    bool head_out : 1;   /* ... has been sent */
    bool sent : 1;       /* its first frame has left nghttp2 */
    bool in_end : 1;
    bool out_end : 1;
    bool empty_out : 1; /* a body is not sent (HEAD, 204, 304): what comes is dropped */
    bool bad : 1;       /* malformed or too large: nothing more is told */
    bool too_large : 1;
    bool opaque : 1; /* CONNECT */
    bool closed : 1; /* nghttp2 knows it no more */
};

enum h2_timer {
    H2_TIMER_NONE,
    H2_TIMER_TRIM, /* just idle: give memory back */
    H2_TIMER_IDLE,
    H2_TIMER_HEAD,   /* the peer's preface, or a head that is not complete */
    H2_TIMER_DRAIN,  /* between the two GOAWAYs */
    H2_TIMER_LINGER, /* for the peer to read our GOAWAY */
    H2_TIMER_WRITE,  /* `out` waits for the peer to read */
    H2_TIMER_PING,   /* streams are open: is the peer still there */
};

struct h2_conn {
    struct http_conn base;
    nghttp2_session *session; /* owned */
    struct loop_task task;
    struct deadline deadline;
    struct list streams; /* that nghttp2 knows, or that are not submitted yet */
    struct list closed;  /* waiting for their on_close */
    struct list spare;   /* for reuse */
    struct list queued;
    struct buf out;            /* what the socket refused; nothing more is gathered meanwhile */
    struct buf first;          /* first_bytes, until the first turn's end */
    struct h2_stream *data_to; /* of `data`: told when its frame turns out to be the last or not */
    struct span data;          /* in the read buffer */
    struct h2_gather *gather;  /* of the flush in hand */
    int64_t resets_ms;         /* when resets was last lowered */
    int64_t linger_bytes;
    int64_t wrote_ms; /* while `out` waits: when the socket last took something */
    int64_t heard_ms; /* when the peer's last bytes came */
    int32_t last_id;  /* server: of the latest stream that the peer opened */
    unsigned stream_count;
    unsigned spare_count;
    unsigned resets;     /* by the peer, or provoked by it; falls by 20 a second */
    uint64_t resets_all; /* in the connection's life */
    unsigned noise;      /* frames that bring nothing, less those that do */
    int64_t noise_ms;    /* when time last paid for some */
    enum h2_timer timer;
    enum http_reset end_why;
    bool settled : 1;   /* the peer's SETTINGS have come */
    bool head_open : 1; /* within a header block */
    bool was_busy : 1;  /* a stream began since the idle wait did */
    bool bad_owed : 1;  /* on_bad is: a connection error of which no frame was told */
    bool bad_told : 1;
    bool room_told : 1;   /* on_room is owed */
    bool pinged : 1;      /* and not heard since */
    bool draining : 1;    /* a GOAWAY of ours has been asked for */
    bool drain_final : 1; /* ... and the final one */
    bool peer_going : 1;  /* the peer has sent GOAWAY */
    bool lingering : 1;
    bool shut : 1;
    bool in_event : 1;   /* h2_conn will settle when the event has been handled */
    bool in_session : 1; /* within nghttp2: no flush now */
    bool ending : 1;
    bool abort : 1;
    bool gone : 1;
};

static inline struct h2_conn *h2_of(struct http_conn *c)
{
    return container_of(c, struct h2_conn, base);
}

static inline struct h2_stream *h2_stream_of(struct http_stream *s)
{
    return container_of(s, struct h2_stream, base);
}

/* h2_recv */
void h2_recv_callbacks(nghttp2_session_callbacks *set);
/* One read. */
void h2_recv(struct h2_conn *c);
/* Bytes that were read already. */
void h2_recv_bytes(struct h2_conn *c, struct span bytes);

/* h2_send */
void h2_send_callbacks(nghttp2_session_callbacks *set);
int h2_send_head(struct http_stream *s, const struct head *head, bool end);
int h2_send_data(struct http_stream *s, struct span data, bool end);
int h2_send_trailers(struct http_stream *s, const struct head *trailers);
size_t h2_send_queued(const struct http_stream *s);
/* All frames that may leave; not within nghttp2. */
void h2_send_flush(struct h2_conn *c);

/* h2_conn: the connection ends at the next settle. */
void h2_conn_end(struct h2_conn *c, enum http_reset why, bool abort);
/* Settles, with a flush, at the turn's end. */
void h2_conn_kick(struct h2_conn *c);
struct h2_stream *h2_conn_add_stream(struct h2_conn *c);
/* nghttp2 knows it no more: its on_close comes when we settle. */
void h2_conn_stream_closed(struct h2_conn *c, struct h2_stream *s, enum http_reset why);
/* Another reset by the peer or through its fault; too many end the connection. */
void h2_conn_count_reset(struct h2_conn *c);
/* GOAWAY(ENHANCE_YOUR_CALM), then the end. */
void h2_conn_calm(struct h2_conn *c, enum limit broke, const char *why);
#endif
