#ifndef HTTP_HTTP_SERVER_H
#define HTTP_HTTP_SERVER_H
/* A small server for our own ends (admin, metrics, API, gRPC services, sample): listener -> optional TLS ->
 * http_conn (protocol by ALPN, else the first bytes: HTTP/2 preface or HTTP/1) -> handler. Not used on the
 * data path. */
#include "base/compiler.h"
#include "base/err.h"
#include "http/http_conn.h"
#include "io/listener.h"
#include "tls/tls_ctx.h"

/* A complete request; a body over `body_max` is refused with 413 before the handler sees it. */
struct http_request {
    struct http_stream *stream;
    const struct head *head;
    struct span path;  /* without query */
    struct span query; /* without '?' */
    struct span body;  /* whole; empty for streaming handlers */
    bool end;          /* no body (more) follows */
};

struct http_server;
/* Answers with http_stream_reply, or keeps the stream (http_stream_set_events) and answers later. */
typedef void (*http_handler)(void *arg, const struct http_request *rq);

MUST_USE int http_server_new(struct http_server **out, struct loop *loop,
                             const struct listener_spec *where, struct tls_ctx *tls,
                             struct err *err);
/* Another certificate or trust for connections to come; those that are open keep theirs. A reference is kept. Only for a server that has TLS. */
void http_server_set_tls(struct http_server *s, struct tls_ctx *tls);
const struct addr *http_server_addr(const struct http_server *s);
/* `path` exact, or ending in '*' for a prefix; longest wins. `streaming`: called at the head, and the
 * handler takes over the stream's events. `methods`: comma-separated, others get 405. */
void http_server_route(struct http_server *s, const char *methods, const char *path, bool streaming,
                       http_handler handler, void *arg);
/* What answers when no route does; else 404, or 405 with Allow. Always streaming. */
void http_server_fallback(struct http_server *s, http_handler handler, void *arg);
/* Cleared memory that lives as long as the server: for what a handler's argument points to. */
NONNULL_RETURN void *http_server_keep(struct http_server *s, size_t bytes);
/* Largest body that a complete (not streaming) handler gets; default 4 MiB. */
void http_server_body_max(struct http_server *s, size_t bytes);
/* Stops accepting and drains; free closes what is left. */
void http_server_drain(struct http_server *s);
bool http_server_is_idle(const struct http_server *s);
/* NULL is fine. Streams get on_close(HTTP_RESET_LOCAL). */
void http_server_free(struct http_server *s);
#endif
