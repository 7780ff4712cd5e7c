/* A small server: accept, TLS, protocol, routing to handlers.
 * In: listener. Out: calls of handlers. Next: http_conn for what they answer. */
#include "http/http_server.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "io/deadline.h"
#include "tls/io_tls.h"

#define BODY_MAX_DEFAULT (4u << 20)
#define SNIFF_MS 10000
#define PREFACE SPAN("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") /* RFC 9113 section 3.4 */
#define PREFACE_BYTES 24

struct route {
    const char *methods;
    struct span path; /* without the '*' */
    bool prefix;
    bool streaming;
    http_handler handler;
    void *arg;
};

struct http_server {
    struct loop *loop;         /* borrowed */
    struct listener *listener; /* owned; NULL once drained */
    struct tls_ctx *tls;       /* counted, or NULL */
    struct addr addr;
    struct arena arena; /* http_server_keep */
    struct list conns;
    struct route *routes; /* owned */
    size_t route_count;
    struct route fallback; /* handler NULL = none */
    size_t body_max;
};

/* ACCEPTED --TLS--> SNIFFING (no ALPN, or plain) --> OPEN (conn) */
struct server_conn {
    struct list node;
    struct http_server *server;
    struct io *io;          /* owned until there is a conn */
    struct http_conn *conn; /* owned by itself: until on_gone */
    struct deadline deadline;
    char sniffed[PREFACE_BYTES];
    size_t sniffed_bytes;
};

/* One request to a handler that wants it whole; in the stream's arena. */
struct exchange {
    struct http_server *server;
    struct http_request rq;
    const struct route *route;
    struct buf body;
    bool done; /* the handler has it, or it was refused */
};

/* ---- routing ---- */

static bool method_is_in(const char *methods, struct span method)
{
    struct span rest = span_of(methods);
    while (rest.at) {
        struct span one = span_trim(span_cut(&rest, ','));
        if (span_eq(one, method) || (span_is(one, "GET") && span_is(method, "HEAD")) ||
            span_is(one, "*")) {
            return true;
        }
    }
    return false;
}

/* The longest path that fits and takes the method; `allow`: methods of one that does not take it. */
static const struct route *find_route(const struct http_server *s, struct span path,
                                      struct span method, const char **allow)
{
    const struct route *best = NULL;
    *allow = NULL;
    for (size_t i = 0; i < s->route_count; i++) {
        const struct route *r = &s->routes[i];
        if (!(r->prefix ? span_starts(path, r->path) : span_eq(path, r->path))) {
            continue;
        }
        if (!method_is_in(r->methods, method)) {
            *allow = r->methods;
        } else if (!best || r->path.len > best->path.len || !r->prefix) {
            best = r;
        }
    }
    return best;
}

static void answer_no_route(struct http_stream *stream, const char *allow)
{
    struct head answer;
    struct span text = allow ? SPAN("method not allowed\n") : SPAN("not found\n");
    head_init(&answer, http_stream_arena(stream));
    answer.status = allow ? 405 : 404;
    answer.content_length = (int64_t)text.len;
    if (head_add_known(&answer, HEAD_CONTENT_TYPE, SPAN("text/plain")) == 0 &&
        (!allow || head_add(&answer, SPAN("allow"), span_of(allow)) == 0) &&
        http_stream_head(stream, &answer, false) == 0) {
        http_stream_data(stream, text, true);
    }
}

static void call_handler(struct exchange *x)
{
    x->done = true;
    x->rq.body = buf_span(&x->body);
    x->route->handler(x->route->arg, &x->rq);
}

static void refuse_body(struct exchange *x)
{
    x->done = true;
    http_stream_reply(x->rq.stream, 413, SPAN("text/plain"), SPAN("body too large\n"));
}

static void dispose_body(void *arg)
{
    buf_dispose(arg);
}

/* RFC 9110 section 10.1.1: the client waits for a sign before it sends its body. */
static void send_continue(struct http_stream *stream)
{
    struct head go_on;
    head_init(&go_on, http_stream_arena(stream));
    go_on.status = 100;
    http_stream_head(stream, &go_on, false);
}

static void on_head(void *arg, struct head *head, bool end)
{
    struct exchange *x = arg;
    struct span rest = head->path;
    const char *allow;
    x->rq.head = head;
    x->rq.path = span_cut(&rest, '?');
    x->rq.query = rest.at ? rest : SPAN("");
    x->route = find_route(x->server, x->rq.path, head->method, &allow);
    if (!x->route && x->server->fallback.handler) {
        x->route = &x->server->fallback;
    }
    if (!x->route) {
        x->done = true;
        answer_no_route(x->rq.stream, allow);
        return;
    }
    x->rq.end = end;
    if (x->route->streaming || end) {
        call_handler(x);
        return;
    }
    if (head->content_length > (int64_t)x->server->body_max) {
        refuse_body(x);
        return;
    }
    if (span_eq_nocase(head_get_known(head, HEAD_EXPECT), SPAN("100-continue"))) {
        send_continue(x->rq.stream);
    }
    buf_init(&x->body, x->server->body_max);
    arena_defer(http_stream_arena(x->rq.stream), dispose_body, &x->body);
}

static void on_data(void *arg, struct span data, bool end)
{
    struct exchange *x = arg;
    http_stream_consume(x->rq.stream, data.len);
    if (x->done) {
        return;
    }
    if (buf_append_span(&x->body, data) != 0) {
        refuse_body(x);
    } else if (end) {
        x->rq.end = true;
        call_handler(x);
    }
}

static void on_close(void *arg, enum http_reset why)
{
    UNUSED(arg); /* all of it is in the stream's arena */
    UNUSED(why);
}

static const struct http_stream_events exchange_events = {
    .on_head = on_head,
    .on_data = on_data,
    .on_close = on_close,
};

/* ---- connections ---- */

static void conn_free(void *obj)
{
    mem_free(obj);
}

static void conn_drop(struct server_conn *sc)
{
    list_remove(&sc->node);
    deadline_disarm(&sc->deadline);
    io_close(sc->io);
    sc->io = NULL;
    loop_bury(sc->server->loop, conn_free, sc);
}

static void on_open(void *arg, struct http_stream *stream, const struct http_stream_events **ev,
                    void **stream_arg)
{
    struct server_conn *sc = arg;
    struct exchange *x = arena_new(http_stream_arena(stream), struct exchange);
    x->server = sc->server;
    x->rq.stream = stream;
    *ev = &exchange_events;
    *stream_arg = x;
}

static void on_gone(void *arg, enum http_reset why)
{
    UNUSED(why);
    struct server_conn *sc = arg;
    sc->conn = NULL;
    conn_drop(sc);
}

static const struct http_conn_events conn_events = {.on_open = on_open, .on_gone = on_gone};

static void conn_open(struct server_conn *sc, enum http_proto proto)
{
    struct http_conn_spec spec = {
        .io = sc->io,
        .proto = proto,
        .server = true,
        .first_bytes = span_from(sc->sniffed, sc->sniffed_bytes),
        .events = &conn_events,
        .arg = sc,
        .scheme = sc->server->tls ? SPAN("https") : SPAN("http"),
    };
    sc->io = NULL;
    deadline_disarm(&sc->deadline);
    sc->conn = http_conn_new_take(sc->server->loop, &spec);
    if (!sc->server->listener) { /* it drains already */
        http_conn_drain(sc->conn);
    }
}

static void on_sniff(void *arg, unsigned events)
{
    UNUSED(events);
    struct server_conn *sc = arg;
    size_t room = sizeof(sc->sniffed) - sc->sniffed_bytes;
    ssize_t n = io_read(sc->io, sc->sniffed + sc->sniffed_bytes, room);
    if (n == -EAGAIN) {
        return;
    }
    if (n <= 0) {
        conn_drop(sc);
        return;
    }
    sc->sniffed_bytes += (size_t)n;
    struct span got = span_from(sc->sniffed, sc->sniffed_bytes);
    if (!span_starts(PREFACE, got)) {
        conn_open(sc, HTTP_PROTO_1);
    } else if (got.len == PREFACE_BYTES) {
        conn_open(sc, HTTP_PROTO_2);
    }
}

static void sniff(struct server_conn *sc)
{
    deadline_arm(&sc->deadline, sc->server->loop, SNIFF_MS);
    io_set_owner(sc->io, on_sniff, sc);
    io_watch(sc->io, IO_READ);
}

static void on_sniff_late(struct deadline *d)
{
    conn_drop(container_of(d, struct server_conn, deadline));
}

static void on_tls(void *arg, struct io *io, int code, const char *why)
{
    UNUSED(why); /* told by the handshake's own counters */
    struct server_conn *sc = arg;
    sc->io = io;
    if (code != 0) {
        conn_drop(sc);
        return;
    }
    struct span alpn = io_tls_peer(io)->alpn;
    if (span_is(alpn, "h2")) {
        conn_open(sc, HTTP_PROTO_2);
    } else if (alpn.len > 0) {
        conn_open(sc, HTTP_PROTO_1);
    } else {
        sniff(sc);
    }
}

static void on_accept(void *arg, struct io *io)
{
    struct http_server *s = arg;
    struct server_conn *sc = mem_new(struct server_conn);
    sc->server = s;
    sc->io = io;
    deadline_init(&sc->deadline, on_sniff_late);
    list_push_back(&s->conns, &sc->node);
    if (!s->tls) {
        sniff(sc);
        return;
    }
    struct io_tls_spec spec = {.lower = io, .ctx = s->tls, .on_done = on_tls, .arg = sc};
    sc->io = io_tls_start_take(s->loop, &spec);
}

/* ---- the server ---- */

int http_server_new(struct http_server **out, struct loop *loop, const struct listener_spec *where,
                    struct tls_ctx *tls, struct err *err)
{
    struct http_server *s = mem_new(struct http_server);
    s->loop = loop;
    s->body_max = BODY_MAX_DEFAULT;
    arena_init(&s->arena, 512);
    list_init(&s->conns);
    int code = listener_open(&s->listener, loop, where, on_accept, s, err);
    if (code != 0) {
        arena_dispose(&s->arena);
        mem_free(s);
        return code;
    }
    s->addr = *listener_addr(s->listener);
    s->tls = tls;
    if (tls) {
        tls_ctx_get(tls);
    }
    *out = s;
    return 0;
}

void http_server_set_tls(struct http_server *s, struct tls_ctx *tls)
{
    ASSERT(s->tls != NULL && tls != NULL);
    tls_ctx_get(tls);
    tls_ctx_put(s->tls);
    s->tls = tls;
}

const struct addr *http_server_addr(const struct http_server *s)
{
    return &s->addr;
}

void http_server_route(struct http_server *s, const char *methods, const char *path, bool streaming,
                       http_handler handler, void *arg)
{
    struct span text = span_of(path);
    bool prefix = span_ends(text, SPAN("*"));
    s->routes = mem_realloc(s->routes, (s->route_count + 1) * sizeof(*s->routes));
    s->routes[s->route_count++] = (struct route){
        .methods = methods,
        .path = prefix ? span_first(text, text.len - 1) : text,
        .prefix = prefix,
        .streaming = streaming,
        .handler = handler,
        .arg = arg,
    };
}

void http_server_fallback(struct http_server *s, http_handler handler, void *arg)
{
    s->fallback = (struct route){.streaming = true, .handler = handler, .arg = arg};
}

void *http_server_keep(struct http_server *s, size_t bytes)
{
    return arena_zalloc(&s->arena, bytes);
}

void http_server_body_max(struct http_server *s, size_t bytes)
{
    s->body_max = bytes;
}

void http_server_drain(struct http_server *s)
{
    listener_close(s->listener);
    s->listener = NULL;
    LIST_EACH(node, next, &s->conns) {
        struct server_conn *sc = list_item(node, struct server_conn, node);
        if (sc->conn) {
            http_conn_drain(sc->conn);
        } else {
            conn_drop(sc); /* has not asked for anything yet */
        }
    }
}

bool http_server_is_idle(const struct http_server *s)
{
    return list_is_empty(&s->conns);
}

static void server_free(void *obj)
{
    struct http_server *s = obj;
    tls_ctx_put(s->tls);
    mem_free(s->routes);
    arena_dispose(&s->arena);
    mem_free(s);
}

void http_server_free(struct http_server *s)
{
    if (!s) {
        return;
    }
    listener_close(s->listener);
    s->listener = NULL;
    struct list *node;
    while (!list_is_empty(&s->conns)) {
        node = s->conns.next;
        struct server_conn *sc = list_item(node, struct server_conn, node);
        if (sc->conn) {
            http_conn_close(sc->conn); /* on_gone unlinks it */
        } else {
            conn_drop(sc);
        }
    }
    loop_bury(s->loop, server_free, s);
}
