#ifndef HTTP_HTTP_CLIENT_H
#define HTTP_HTTP_CLIENT_H
/* A small client for our own ends (CLI, xDS and CSR over gRPC, telemetry export): one origin, a pool of at
 * most `conns` connections kept alive, TLS or plain, HTTP/1 or HTTP/2. Not used on the data path. */
#include "base/compiler.h"
#include "base/err.h"
#include "http/http_conn.h"
#include "io/resolver.h"
#include "io/sockopt.h"
#include "tls/tls_ctx.h"

struct http_client_spec {
    struct span origin;    /* "http://host:port", "https://...", "unix:/path" */
    struct span authority; /* :authority or Host; empty = from the origin ("localhost" for unix) */
    bool http2;            /* prior knowledge, or ALPN h2 only */
    struct tls_ctx *tls;   /* for https; a reference is kept */
    struct resolver *resolver;        /* borrowed; NULL = only IP addresses and unix sockets */
    int64_t connect_ms;               /* 0 = 5 s */
    unsigned conns;                   /* 0 = 1 */
    const struct http_limits *limits; /* borrowed while the client lives; NULL = the default */
    const struct sockopt_keepalive *keepalive; /* borrowed as well; NULL = none */
    struct addr from;                          /* our end; kind ADDR_NONE = the kernel's choice */
};

struct http_client;
MUST_USE int http_client_new(struct http_client **out, struct loop *loop,
                             const struct http_client_spec *spec, struct err *err);
/* NULL is fine. What is outstanding ends with an error, streams with on_close(HTTP_RESET_LOCAL). */
void http_client_free(struct http_client *c);

/* Streaming: `on_stream` gives the stream to send on, or NULL with why; once, never before this returned. */
struct http_client_wait;
struct http_client_wait *http_client_open(struct http_client *c,
                                          const struct http_stream_events *ev, void *arg,
                                          void (*on_stream)(void *arg, struct http_stream *s,
                                                            const struct err *err));
/* No answer will come; only before it has come. */
void http_client_cancel(struct http_client_wait *w);
/* For :authority or Host, and :scheme; as long as the client. */
struct span http_client_authority(const struct http_client *c);
struct span http_client_scheme(const struct http_client *c);
struct loop *http_client_loop(const struct http_client *c);

/* Whole: one answer, or an error. */
struct http_answer {
    const struct err *err; /* NULL when there is an answer */
    const struct head *head;
    struct span body;
};
struct http_call {
    struct span method, path;
    const struct header *fields;
    size_t field_count;
    struct span body;
    int64_t timeout_ms; /* 0 = 10 s */
    size_t body_max;    /* of the answer; 0 = 4 MiB */
    void (*on_answer)(void *arg, const struct http_answer *a);
    void *arg;
};
/* Spans are copied. on_answer comes once, never before this returned. */
void http_client_call(struct http_client *c, const struct http_call *call);
#endif
