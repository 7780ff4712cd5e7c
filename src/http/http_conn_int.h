#ifndef HTTP_HTTP_CONN_INT_H
#define HTTP_HTTP_CONN_INT_H
/* What http_conn shares with its two kinds, h1_conn and h2_conn, and nobody else includes. */
#include "http/http_conn.h"

struct http_conn_ops {
    unsigned (*room)(const struct http_conn *c);
    unsigned (*streams)(const struct http_conn *c);
    bool (*is_idle)(const struct http_conn *c);
    struct http_stream *(*request)(struct http_conn *c);
    void (*drain)(struct http_conn *c);
    void (*close)(struct http_conn *c);
    int (*head)(struct http_stream *s, const struct head *head, bool end);
    int (*data)(struct http_stream *s, struct span data, bool end);
    int (*trailers)(struct http_stream *s, const struct head *trailers);
    size_t (*queued)(const struct http_stream *s);
    void (*consume)(struct http_stream *s, size_t bytes);
    void (*reset)(struct http_stream *s, enum http_reset why);
};

struct http_conn {
    const struct http_conn_ops *ops;
    struct loop *loop;                     /* borrowed */
    struct io *io;                         /* owned; closed with the connection */
    const struct http_limits *limits;      /* borrowed from the owner */
    const struct http_conn_events *events; /* borrowed from the owner */
    void *arg;                             /* of the owner */
    struct span scheme;
    const char *why;  /* the rule that the peer broke */
    enum limit broke; /* the limit, if it is one; set before on_bad or the end */
    uint64_t served;  /* exchanges begun before the present ones */
    bool server;
    bool is_gone; /* streams are having their on_close, then on_gone comes */
    enum http_proto proto;
};

struct http_stream {
    struct http_conn *conn;
    const struct http_stream_events *ev; /* NULL = nobody listens: events are dropped */
    void *arg;
    struct arena arena;
};

struct http_conn *h1_conn_new_take(struct loop *loop, const struct http_conn_spec *spec);
struct http_conn *h2_conn_new_take(struct loop *loop, const struct http_conn_spec *spec);
/* Fields that both kinds have. */
void http_conn_init(struct http_conn *c, struct loop *loop, const struct http_conn_spec *spec,
                    const struct http_conn_ops *ops);

/* Events, if somebody listens. */
void http_stream_tell_head(struct http_stream *s, struct head *head, bool end);
void http_stream_tell_data(struct http_stream *s, struct span data, bool end);
void http_stream_tell_trailers(struct http_stream *s, struct head *trailers);
void http_stream_tell_drained(struct http_stream *s);
/* The last one: nobody listens afterwards. */
void http_stream_tell_close(struct http_stream *s, enum http_reset why);
void http_conn_tell_bad(struct http_conn *c, unsigned status, const char *why);
#endif
