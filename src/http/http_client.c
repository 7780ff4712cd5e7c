/* A small client: one origin, few connections, whole calls or streams.
 * In: calls. Out: dial, TLS, http_conn. Next: the answer to the caller. */
#include "http/http_client.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "codec/url.h"
#include "io/deadline.h"
#include "io/dial.h"
#include "tls/io_tls.h"

#define CONNECT_MS_DEFAULT 5000
#define CALL_MS_DEFAULT 10000
#define BODY_MAX_DEFAULT (4u << 20)

struct http_client {
    struct loop *loop;         /* borrowed */
    struct resolver *resolver; /* borrowed */
    struct tls_ctx *tls;       /* counted, or NULL */
    struct arena arena;        /* texts of the spec */
    struct span host;
    struct span authority;
    struct addr addr; /* when the origin names one; else kind ADDR_NONE and port only */
    struct addr from;
    bool http2;
    const struct http_limits *limits;          /* borrowed, or NULL */
    const struct sockopt_keepalive *keepalive; /* borrowed, or NULL */
    int64_t connect_ms;
    unsigned conns_max;
    unsigned conn_count;
    struct list conns;
    struct list waits;
    struct list calls;
    struct loop_task task;
    struct err err; /* why no connection could be made last */
    bool failed;    /* waits are answered with `err` */
};

/* RESOLVING --> DIALING (next address on failure) --> (TLS) --> OPEN */
struct client_conn {
    struct list node;
    struct http_client *client;
    struct resolver_lookup *lookup;
    struct dial *dial;
    struct io *io; /* in the handshake */
    struct http_conn *conn;
    struct ip ips[8];
    size_t ip_count;
    size_t ip_next;
};

struct http_client_wait {
    struct list node;
    struct http_client *client;
    const struct http_stream_events *ev;
    void *arg;
    void (*on_stream)(void *arg, struct http_stream *s, const struct err *err);
};

/* ---- connections ---- */

static void pump(struct http_client *c);

static void kick(struct http_client *c)
{
    loop_task_add(c->loop, &c->task);
}

static void conn_free(void *obj)
{
    mem_free(obj);
}

static void conn_drop(struct client_conn *cc)
{
    struct http_client *c = cc->client;
    if (cc->lookup) {
        resolver_cancel(cc->lookup);
    }
    if (cc->dial) {
        dial_cancel(cc->dial);
    }
    io_close(cc->io);
    list_remove(&cc->node);
    c->conn_count--;
    loop_bury(c->loop, conn_free, cc);
}

/* Another connection will have room, or is being made. An HTTP/2 one without room is full or, more likely, leaving. */
static bool another_serves(const struct http_client *c)
{
    LIST_EACH(node, next, &c->conns) {
        const struct client_conn *cc = list_item(node, struct client_conn, node);
        if (!cc->conn || http_conn_room(cc->conn) > 0 ||
            http_conn_proto(cc->conn) == HTTP_PROTO_1) {
            return true;
        }
    }
    return false;
}

/* No connection can be made: those who wait are told, unless another one serves them. It is not tried again at once: whoever asks next, or
 * room elsewhere, makes us try. */
static void conn_failed(struct client_conn *cc)
{
    struct http_client *c = cc->client;
    conn_drop(cc);
    if (!another_serves(c)) {
        c->failed = true;
        kick(c);
    }
}

static void on_room(void *arg)
{
    kick(((struct client_conn *)arg)->client);
}

static void on_gone(void *arg, enum http_reset why)
{
    UNUSED(why); /* its streams have been told */
    struct client_conn *cc = arg;
    struct http_client *c = cc->client;
    cc->conn = NULL;
    conn_drop(cc);
    kick(c);
}

static const struct http_conn_events conn_events = {.on_room = on_room, .on_gone = on_gone};

static void conn_open(struct client_conn *cc, struct io *io, enum http_proto proto)
{
    struct http_client *c = cc->client;
    struct http_conn_spec spec = {
        .io = io,
        .proto = proto,
        .events = &conn_events,
        .arg = cc,
        .scheme = http_client_scheme(c),
        .limits = c->limits,
    };
    cc->io = NULL;
    cc->conn = http_conn_new_take(c->loop, &spec);
    kick(c);
}

static void on_tls(void *arg, struct io *io, int code, const char *why)
{
    struct client_conn *cc = arg;
    struct http_client *c = cc->client;
    if (code != 0) {
        err_set(&c->err, code, "tls handshake with '%.*s' failed: %s", SPAN_ARG(c->authority),
                why ? why : err_name(code));
        conn_failed(cc);
        return;
    }
    bool h2 = span_is(io_tls_peer(io)->alpn, "h2");
    if (c->http2 && !h2) {
        err_set(&c->err, -ERR_PROTO, "'%.*s' does not speak HTTP/2", SPAN_ARG(c->authority));
        conn_failed(cc);
        return;
    }
    conn_open(cc, io, h2 ? HTTP_PROTO_2 : HTTP_PROTO_1);
}

static void dial_next(struct client_conn *cc);

static void on_dial(void *arg, struct io *io, int code)
{
    struct client_conn *cc = arg;
    struct http_client *c = cc->client;
    cc->dial = NULL;
    if (!io) {
        err_set(&c->err, code, "can not connect to '%.*s': %s", SPAN_ARG(c->authority),
                err_name(code));
        dial_next(cc);
        return;
    }
    if (!c->tls) {
        conn_open(cc, io, c->http2 ? HTTP_PROTO_2 : HTTP_PROTO_1);
        return;
    }
    struct io_tls_spec spec = {
        .lower = io, .ctx = c->tls, .handshake_ms = c->connect_ms, .on_done = on_tls, .arg = cc};
    cc->io = io_tls_start_take(c->loop, &spec);
}

/* The next address of those the name has; the last failure stands when there is none. */
static void dial_next(struct client_conn *cc)
{
    struct http_client *c = cc->client;
    if (cc->ip_next >= cc->ip_count && !(c->addr.kind != ADDR_NONE && cc->ip_next == 0)) {
        conn_failed(cc);
        return;
    }
    struct dial_spec spec = {
        .to = c->addr, .from = c->from, .timeout_ms = c->connect_ms, .keepalive = c->keepalive};
    if (c->addr.kind == ADDR_NONE) {
        spec.to.kind = ADDR_IP;
        spec.to.ip = cc->ips[cc->ip_next];
    }
    cc->ip_next++;
    cc->dial = dial_start(c->loop, &spec, on_dial, cc);
}

static void on_resolved(void *arg, const struct resolver_answer *answer)
{
    struct client_conn *cc = arg;
    struct http_client *c = cc->client;
    cc->lookup = NULL;
    cc->ip_count = size_min(answer->count, ARRAY_LEN(cc->ips));
    memcpy(cc->ips, answer->ips, cc->ip_count * sizeof(cc->ips[0]));
    if (cc->ip_count == 0) {
        err_set(&c->err, answer->code != 0 ? answer->code : -ENOENT, "can not resolve '%.*s': %s",
                SPAN_ARG(c->host), err_name(answer->code != 0 ? answer->code : -ENOENT));
    }
    dial_next(cc);
}

static void conn_start(struct http_client *c)
{
    struct client_conn *cc = mem_new(struct client_conn);
    cc->client = c;
    list_push_back(&c->conns, &cc->node);
    c->conn_count++;
    if (c->addr.kind != ADDR_NONE) {
        dial_next(cc);
    } else {
        cc->lookup = resolver_start(c->resolver, c->host, RESOLVER_ANY, on_resolved, cc);
    }
}

/* ---- waiting for a stream ---- */

static void answer_wait(struct http_client_wait *w, struct http_stream *s, const struct err *err)
{
    list_remove(&w->node);
    w->on_stream(w->arg, s, err);
    mem_free(w);
}

static struct http_conn *conn_with_room(struct http_client *c, bool *connecting)
{
    LIST_EACH(node, next, &c->conns) {
        struct client_conn *cc = list_item(node, struct client_conn, node);
        *connecting = *connecting || !cc->conn;
        if (cc->conn && http_conn_room(cc->conn) > 0) {
            return cc->conn;
        }
    }
    return NULL;
}

static void fail_waits(struct http_client *c)
{
    struct err err = c->err;
    struct list now; /* those who ask again are not told twice */
    list_init(&now);
    list_splice(&now, &c->waits);
    while (!list_is_empty(&now)) {
        answer_wait(list_item(now.next, struct http_client_wait, node), NULL, &err);
    }
}

/* Gives streams to those who wait, in order, and makes connections that are lacking. */
static void pump(struct http_client *c)
{
    if (c->failed) {
        c->failed = false;
        fail_waits(c);
    }
    while (!list_is_empty(&c->waits)) {
        bool connecting = false;
        struct http_conn *conn = conn_with_room(c, &connecting);
        struct http_client_wait *w = list_item(c->waits.next, struct http_client_wait, node);
        struct http_stream *s = conn ? http_conn_request(conn, w->ev, w->arg) : NULL;
        if (!s) {
            if (!connecting && c->conn_count < c->conns_max) {
                conn_start(c);
            }
            return;
        }
        answer_wait(w, s, NULL);
    }
}

static void on_task(struct loop_task *task)
{
    pump(container_of(task, struct http_client, task));
}

struct http_client_wait *http_client_open(struct http_client *c,
                                          const struct http_stream_events *ev, void *arg,
                                          void (*on_stream)(void *arg, struct http_stream *s,
                                                            const struct err *err))
{
    struct http_client_wait *w = mem_new(struct http_client_wait);
    w->client = c;
    w->ev = ev;
    w->arg = arg;
    w->on_stream = on_stream;
    list_push_back(&c->waits, &w->node);
    kick(c);
    return w;
}

void http_client_cancel(struct http_client_wait *w)
{
    list_remove(&w->node);
    mem_free(w);
}

/* ---- whole calls ---- */

struct call {
    struct list node;
    struct http_client *client;
    struct arena arena;
    struct http_call spec; /* spans in the arena */
    struct http_client_wait *wait;
    struct http_stream *stream;
    struct deadline deadline;
    struct head *head; /* in the stream's arena */
    struct buf body;
    bool again; /* sent a second time */
    bool complete;
};

static void call_free(void *obj)
{
    struct call *k = obj;
    arena_dispose(&k->arena);
    buf_dispose(&k->body);
    mem_free(k);
}

static void call_end(struct call *k, const struct err *err)
{
    struct http_answer answer = {
        .err = err, .head = err ? NULL : k->head, .body = buf_span(&k->body)};
    list_remove(&k->node);
    deadline_disarm(&k->deadline);
    if (k->wait) {
        http_client_cancel(k->wait);
        k->wait = NULL;
    }
    if (k->stream) {
        http_stream_reset(k->stream, HTTP_RESET_LOCAL);
        k->stream = NULL;
    }
    k->spec.on_answer(k->spec.arg, &answer);
    loop_bury(k->client->loop, call_free, k);
}

static void call_fail(struct call *k, int code, const char *why)
{
    struct err err;
    err_set(&err, code, "%.*s %.*s: %s", SPAN_ARG(k->spec.method), SPAN_ARG(k->spec.path), why);
    call_end(k, &err);
}

static void call_on_head(void *arg, struct head *head, bool end)
{
    struct call *k = arg;
    k->complete = end;
    if (head->status >= 200) {
        k->head = head;
    }
}

static void call_on_data(void *arg, struct span data, bool end)
{
    struct call *k = arg;
    k->complete = end;
    if (buf_append_span(&k->body, data) != 0) {
        call_fail(k, -ERR_LIMIT, "the answer is too large");
        return;
    }
    http_stream_consume(k->stream, data.len);
}

static void call_on_trailers(void *arg, struct head *trailers)
{
    UNUSED(trailers);
    ((struct call *)arg)->complete = true;
}

static void call_start(struct call *k);

static void call_on_close(void *arg, enum http_reset why)
{
    struct call *k = arg;
    k->stream = NULL;
    if (k->complete && k->head) {
        call_end(k, NULL);
    } else if (why == HTTP_RESET_REFUSED && !k->again) { /* nobody has seen it: once more */
        k->again = true;
        call_start(k);
    } else {
        call_fail(k, why == HTTP_RESET_LOCAL ? -ECANCELED : -ERR_RESET, http_reset_name(why));
    }
}

static const struct http_stream_events call_events = {
    .on_head = call_on_head,
    .on_data = call_on_data,
    .on_trailers = call_on_trailers,
    .on_close = call_on_close,
};

static void call_on_stream(void *arg, struct http_stream *s, const struct err *err)
{
    struct call *k = arg;
    k->wait = NULL;
    k->stream = s;
    if (!s) {
        call_fail(k, err->code, err->text);
        return;
    }
    struct head head;
    head_init(&head, http_stream_arena(s));
    head.method = k->spec.method;
    head.method_id = head_method_of(head.method);
    head.scheme = http_client_scheme(k->client);
    head.authority = k->client->authority;
    head.path = k->spec.path;
    if (k->spec.body.len > 0) {
        head.content_length = (int64_t)k->spec.body.len;
    }
    for (size_t i = 0; i < k->spec.field_count; i++) {
        if (head_add(&head, k->spec.fields[i].name, k->spec.fields[i].value) != 0) {
            call_fail(k, -ERR_LIMIT, "too many header fields");
            return;
        }
    }
    if (http_stream_head(s, &head, k->spec.body.len == 0) == 0 && k->spec.body.len > 0) {
        http_stream_data(s, k->spec.body, true);
    } /* else: on_close follows */
}

static void call_start(struct call *k)
{
    k->wait = http_client_open(k->client, &call_events, k, call_on_stream);
}

static void call_on_due(struct deadline *d)
{
    call_fail(container_of(d, struct call, deadline), -ERR_TIMEOUT, "no answer in time");
}

void http_client_call(struct http_client *c, const struct http_call *call)
{
    struct call *k = mem_new(struct call);
    k->client = c;
    arena_init(&k->arena, 1024);
    k->spec = *call;
    k->spec.method = arena_dup(&k->arena, call->method);
    k->spec.path = arena_dup(&k->arena, call->path);
    k->spec.body = arena_dup(&k->arena, call->body);
    struct header *fields = arena_array(&k->arena, call->field_count + 1, sizeof(*fields));
    for (size_t i = 0; i < call->field_count; i++) {
        fields[i].name = arena_dup(&k->arena, call->fields[i].name);
        fields[i].value = arena_dup(&k->arena, call->fields[i].value);
    }
    k->spec.fields = fields;
    buf_init(&k->body, call->body_max > 0 ? call->body_max : BODY_MAX_DEFAULT);
    deadline_init(&k->deadline, call_on_due);
    deadline_arm(&k->deadline, c->loop, call->timeout_ms > 0 ? call->timeout_ms : CALL_MS_DEFAULT);
    list_push_back(&c->calls, &k->node);
    call_start(k);
}

/* ---- the client ---- */

static int read_origin(struct http_client *c, const struct http_client_spec *spec, struct err *err)
{
    struct span origin = arena_dup(&c->arena, spec->origin);
    if (span_starts(origin, SPAN("unix:"))) {
        c->authority = SPAN("localhost");
        return addr_parse(origin, &c->addr, err);
    }
    struct url url;
    if (url_parse(origin, &url) != 0 || url.host.len == 0 ||
        !(span_is(url.scheme, "http") || span_is(url.scheme, "https"))) {
        return err_set(err, -ERR_CONFIG,
                       "'%.*s' is not http://host:port, https://host:port or unix:/path",
                       SPAN_ARG(spec->origin));
    }
    if (span_is(url.scheme, "https") != (spec->tls != NULL)) {
        return err_set(err, -ERR_CONFIG, "'%.*s' %s", SPAN_ARG(spec->origin),
                       spec->tls ? "is not https" : "needs tls settings");
    }
    c->host = url.host;
    c->authority = url.authority;
    c->addr.port = url_port(&url);
    if (ip_parse(url.host, &c->addr.ip) == 0) {
        c->addr.kind = ADDR_IP;
    } else if (!spec->resolver) {
        return err_set(err, -ERR_CONFIG, "'%.*s' has a name, and no resolver was given",
                       SPAN_ARG(spec->origin));
    }
    return 0;
}

int http_client_new(struct http_client **out, struct loop *loop,
                    const struct http_client_spec *spec, struct err *err)
{
    struct http_client *c = mem_new(struct http_client);
    c->loop = loop;
    c->resolver = spec->resolver;
    c->http2 = spec->http2;
    c->limits = spec->limits;
    c->keepalive = spec->keepalive;
    c->from = spec->from;
    c->connect_ms = spec->connect_ms > 0 ? spec->connect_ms : CONNECT_MS_DEFAULT;
    c->conns_max = spec->conns > 0 ? spec->conns : 1;
    arena_init(&c->arena, 512);
    list_init(&c->conns);
    list_init(&c->waits);
    list_init(&c->calls);
    loop_task_init(&c->task, on_task);
    int code = read_origin(c, spec, err);
    if (code != 0) {
        arena_dispose(&c->arena);
        mem_free(c);
        return code;
    }
    if (spec->authority.len > 0) {
        c->authority = arena_dup(&c->arena, spec->authority);
    }
    c->tls = spec->tls;
    if (c->tls) {
        tls_ctx_get(c->tls);
    }
    *out = c;
    return 0;
}

struct span http_client_authority(const struct http_client *c)
{
    return c->authority;
}

struct span http_client_scheme(const struct http_client *c)
{
    return c->tls ? SPAN("https") : SPAN("http");
}

struct loop *http_client_loop(const struct http_client *c)
{
    return c->loop;
}

static void client_free(void *obj)
{
    struct http_client *c = obj;
    tls_ctx_put(c->tls);
    arena_dispose(&c->arena);
    mem_free(c);
}

void http_client_free(struct http_client *c)
{
    if (!c) {
        return;
    }
    c->conns_max = 0;
    err_set(&c->err, -ECANCELED, "the client was closed");
    while (!list_is_empty(&c->calls)) {
        call_fail(list_item(c->calls.next, struct call, node), -ECANCELED, "the client was closed");
    }
    fail_waits(c);
    while (!list_is_empty(&c->conns)) {
        struct client_conn *cc = list_item(c->conns.next, struct client_conn, node);
        if (cc->conn) {
            http_conn_close(cc->conn); /* on_gone unlinks it */
        } else {
            conn_drop(cc);
        }
    }
    loop_task_cancel(&c->task);
    loop_bury(c->loop, client_free, c);
}
