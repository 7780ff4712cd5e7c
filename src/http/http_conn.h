#ifndef HTTP_HTTP_CONN_H
#define HTTP_HTTP_CONN_H
/* One HTTP connection over a struct io, HTTP/1 (h1_conn) or HTTP/2 (h2_conn) behind one face, server or
 * client side. A connection carries exchanges, each seen as a stream: the peer's head, body and trailers
 * arrive as events, ours are sent by calls. HTTP/1 has one stream at a time (pipelined requests wait).
 *
 *    server:  conn --on_open--> stream   events: on_head(request) on_data* on_trailers? ...
 *    client:  http_conn_request --> stream   events: on_head(1xx)* on_head(response) on_data* ...
 *
 * Credit: what on_data brought counts as held by the receiver until http_stream_consume; the connection
 * stops reading (h1) or withholds WINDOW_UPDATE (h2) when too much is held. What http_stream_data could
 * not send at once is queued (copied) and on_drained tells when it is gone: a slow reader stops the
 * sender, and memory stays bounded on both sides.
 *
 * The peer's message ends with `end` of on_head or on_data, or with on_trailers. An exchange is over when
 * both messages have ended; and earlier: on a server when our response has been sent (what is left of the
 * request is discarded), on a client when the response has arrived (what is left of our request is
 * dropped). Opaque streams (CONNECT answered 2xx, upgrade answered 101) end when both directions have.
 * A stream ends with exactly one on_close, after which it must not be touched; it never comes from within
 * http_stream_* calls. http_stream_reset is silent: no event comes after it.
 *
 * A server connection answers by itself what is not HTTP (400, 408, 414, 431, 501, 505) and closes; such
 * requests are never opened, only told by on_bad.
 * Sources: RFC 9110, 9112 (strict against smuggling: reject, never guess), 9113. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/span.h"
#include "http/head.h"
#include "http/limits.h"
#include "io/io.h"

struct http_conn;
struct http_stream;

/* Why a stream or connection ended early. http_reset_name gives the text. */
enum http_reset {
    HTTP_RESET_NONE,    /* both directions ended in order */
    HTTP_RESET_PEER,    /* RST_STREAM, or the connection was reset or closed in the middle */
    HTTP_RESET_REFUSED, /* REFUSED_STREAM, GOAWAY below our id, or an idle connection was closed before
                              the first byte of the response: the request may be sent again safely */
    HTTP_RESET_PROTO, /* the peer broke HTTP */
    HTTP_RESET_LIMIT, /* one of our limits */
    HTTP_RESET_TIMEOUT,
    HTTP_RESET_LOCAL, /* we closed the connection */
};
const char *http_reset_name(enum http_reset why);

struct http_stream_events {
    /* `head` lives in the stream's arena until on_close. `end`: no body, no trailers. 1xx responses come
     * here too (client), end = false; 101 means that the stream is now opaque bytes both ways. A request
     * with head->upgrade set has end = false: bytes come if it is answered with 101. */
    void (*on_head)(void *arg, struct head *head, bool end);
    /* Borrowed for the call. */
    void (*on_data)(void *arg, struct span data, bool end);
    /* The end of a message that has trailers; may be NULL: then on_data(empty, end) comes instead. */
    void (*on_trailers)(void *arg, struct head *trailers);
    /* All that was queued has been handed to the kernel; may be NULL. Only after http_stream_data left
     * something queued. */
    void (*on_drained)(void *arg);
    void (*on_close)(void *arg, enum http_reset why);
};

struct http_conn_events {
    /* Server: the peer began an exchange. Answer the events and their argument through `*ev, *arg`.
     * on_head follows at once. */
    void (*on_open)(void *arg, struct http_stream *s, const struct http_stream_events **ev,
                    void **stream_arg);
    /* Server: a request was refused with `status` (0 = without an answer); `why` is static
     * text. May be NULL. */
    void (*on_bad)(void *arg, unsigned status, const char *why);
    /* Client: a stream slot became free, or the peer's limits changed. May be NULL. */
    void (*on_room)(void *arg);
    /* The connection is over: streams have had their on_close; it is freed at the turn's end. */
    void (*on_gone)(void *arg, enum http_reset why);
};

/* HTTP_PROTO_RAW, client: the peer speaks no HTTP. A CONNECT is answered with 200 by ourselves, and what follows are
 * the bytes of the stream below (RFC 9110 section 9.3.6: the end of a tunnel). */
enum http_proto { HTTP_PROTO_1, HTTP_PROTO_2, HTTP_PROTO_RAW, HTTP_PROTO_COUNT };

struct http_conn_spec {
    struct io *io; /* taken */
    enum http_proto proto;
    bool server;
    struct span first_bytes;          /* already read from io; copied if needed */
    const struct http_limits *limits; /* borrowed for the connection's life */
    const struct http_conn_events *events;
    void *arg;
    struct span scheme; /* of requests that arrive: "http" or "https"; static */
};

/* Never NULL: a failure is told by on_gone in this turn or later. */
struct http_conn *http_conn_new_take(struct loop *loop, const struct http_conn_spec *spec);
struct io *http_conn_io(struct http_conn *c); /* borrowed: for peer address and identity */
enum http_proto http_conn_proto(const struct http_conn *c);
/* Client: streams that can be opened now (h1: 0 or 1). */
unsigned http_conn_room(const struct http_conn *c);
unsigned http_conn_streams(const struct http_conn *c);
/* Nothing has been going on for a second at least, or nothing ever: draining it takes nothing away. */
bool http_conn_is_idle(const struct http_conn *c);
/* Requests that this connection has carried before. */
uint64_t http_conn_served(const struct http_conn *c);
/* It has ended: in on_close this tells the connection's end from a stream's own. */
bool http_conn_is_gone(const struct http_conn *c);
/* Which rule the peer broke, in static text, or NULL. */
const char *http_conn_why(const struct http_conn *c);
/* Which limit the peer broke, or LIMIT_NONE; told in on_bad and on_gone. */
enum limit http_conn_broke(const struct http_conn *c);
/* Client: opens a stream; send the head next. NULL when there is no room. */
struct http_stream *http_conn_request(struct http_conn *c, const struct http_stream_events *ev,
                                      void *arg);
/* No new streams (Connection: close on the next response, or GOAWAY); closes when the last has ended. */
void http_conn_drain(struct http_conn *c);
/* Closes now: streams get on_close(HTTP_RESET_LOCAL), then on_gone. */
void http_conn_close(struct http_conn *c);

/* Memory of the exchange: reset when it ends. */
struct arena *http_stream_arena(struct http_stream *s);
struct http_conn *http_stream_conn(struct http_stream *s);
/* Replaces who is told: for hand-over between stages. */
void http_stream_set_events(struct http_stream *s, const struct http_stream_events *ev, void *arg);
/* Sends our head (request, response, or 1xx). `head` is borrowed for the call. Framing is chosen here:
 * content-length as declared, else chunked or until-close for HTTP/1.0. With `end` nothing follows. The
 * bytes may leave together with the first data of the same turn. 0, or a negative code when the stream is
 * no longer writable (on_close follows or has come, so a caller may leave the answer unread). */
int http_stream_head(struct http_stream *s, const struct head *head, bool end);
/* Body bytes; copied if they can not leave now. Takes all, whatever is queued: the caller watches
 * http_stream_queued and waits for on_drained above its limit. */
int http_stream_data(struct http_stream *s, struct span data, bool end);
int http_stream_trailers(struct http_stream *s, const struct head *trailers);
size_t http_stream_queued(const struct http_stream *s);
/* Gives credit back for `bytes` that on_data brought. */
void http_stream_consume(struct http_stream *s, size_t bytes);
/* Ends the stream now, without on_close: RST_STREAM, or closing an HTTP/1 connection whose framing can
 * not be kept. */
void http_stream_reset(struct http_stream *s, enum http_reset why);
/* Server, complete answers in one call: used for errors and small handlers. */
int http_stream_reply(struct http_stream *s, unsigned status, struct span content_type,
                      struct span body);
#endif
