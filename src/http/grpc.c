/* gRPC calls: both sides of a stream of messages.
 * In: HTTP/2 stream events. Out: messages and the status. Next: the service, or the caller. */
#include "http/grpc.h"

#include "base/mem.h"
#include "http/grpc_int.h"
#include "io/deadline.h"

#define QUEUE_MAX (4 * GRPC_MESSAGE_MAX) /* before the connection is up */
#define PREFIX_BYTES 5
#define CONTENT_TYPE SPAN("application/grpc")

/* Client: WAITING --on_stream--> OPEN --status, reset, deadline--> gone
 * Server: OPEN --grpc_finish, reset, deadline--> gone                             */
struct grpc_stream {
    bool server;
    bool head_sent;
    bool half_closed; /* we have ended our side, or will when the stream is there */
    bool gone;
    struct loop *loop;            /* borrowed */
    const struct grpc_events *ev; /* borrowed */
    void *arg;
    struct http_stream *stream; /* NULL while waiting */
    const struct head *head;    /* request's; in the stream's arena */
    struct grpc_frames frames;
    struct deadline deadline;
    /* client */
    struct http_client *client;
    struct http_client_wait *wait;
    struct arena arena; /* path, fields, texts of the end */
    struct span path;
    struct header *fields;
    size_t field_count;
    int64_t due_ms; /* 0 = none */
    struct buf out; /* sent before there was a stream */
};

static void stream_free(void *obj)
{
    struct grpc_stream *g = obj;
    grpc_frames_dispose(&g->frames);
    buf_dispose(&g->out);
    arena_dispose(&g->arena);
    mem_free(g);
}

/* Lets go of everything; nobody is told. */
static void retire(struct grpc_stream *g)
{
    g->gone = true;
    g->stream = NULL;
    deadline_disarm(&g->deadline);
    loop_bury(g->loop, stream_free, g);
}

/* The call is over: once, last. The HTTP stream, if there still is one, is left to end by itself when
 * `in_order`, else reset. */
static void end(struct grpc_stream *g, enum grpc_status status, struct span message, bool in_order)
{
    struct http_stream *s = g->stream;
    if (g->gone) {
        return;
    }
    if (g->wait) {
        http_client_cancel(g->wait);
        g->wait = NULL;
    }
    if (s && in_order) {
        http_stream_set_events(s, NULL, NULL);
    }
    message = arena_dup(&g->arena, message); /* it may live in the stream */
    if (s && !in_order) {
        http_stream_reset(s,
                          status == GRPC_DEADLINE_EXCEEDED ? HTTP_RESET_TIMEOUT : HTTP_RESET_LOCAL);
    }
    retire(g);
    g->ev->on_end(g->arg, status, message);
}

/* Server: status instead of an answer (trailers-only), or after it. The stream goes on by itself. */
static void send_status(struct grpc_stream *g, enum grpc_status status, struct span message)
{
    struct http_stream *s = g->stream;
    struct arena *a = http_stream_arena(s);
    struct head head;
    head_init(&head, a);
    struct span number = span_of(arena_printf(a, "%d", (int)status));
    int code = 0;
    if (!g->head_sent) {
        head.status = 200;
        code = head_add_known(&head, HEAD_CONTENT_TYPE, CONTENT_TYPE);
    }
    code = code != 0 ? code : head_add_known(&head, HEAD_GRPC_STATUS, number);
    if (code == 0 && message.len > 0) {
        code = head_add_known(&head, HEAD_GRPC_MESSAGE, grpc_message_encode(a, message));
    }
    ASSERT(code == 0); /* three fields */
    if (g->head_sent) {
        http_stream_trailers(s, &head);
    } else {
        http_stream_head(s, &head, true);
    }
}

/* The peer broke the framing of messages. */
static void end_bad(struct grpc_stream *g, enum grpc_status status, struct span why)
{
    if (g->server) {
        struct http_stream *s = g->stream;
        send_status(g, status, why);
        http_stream_set_events(s, NULL, NULL);
        end(g, status, why, true);
    } else {
        end(g, status, why, false);
    }
}

static void half_closed_by_peer(struct grpc_stream *g)
{
    if (!grpc_frames_is_empty(&g->frames)) {
        end_bad(g, GRPC_INTERNAL, SPAN("the stream ended within a message"));
    } else if (g->server) {
        g->ev->on_half_close(g->arg);
    } else {
        end(g, GRPC_UNKNOWN, SPAN("the server ended the stream without a status"), false);
    }
}

static void on_data(void *arg, struct span data, bool last)
{
    struct grpc_stream *g = arg;
    struct http_stream *s = g->stream;
    struct span rest = data;
    struct span message;
    for (bool more = true; more && !g->gone;) {
        switch (grpc_frames_next(&g->frames, &rest, &message)) {
        case GRPC_FRAME_MORE:
            more = false;
            break;
        case GRPC_FRAME_MESSAGE:
            g->ev->on_message(g->arg, message);
            break;
        case GRPC_FRAME_COMPRESSED:
            end_bad(g, g->server ? GRPC_UNIMPLEMENTED : GRPC_INTERNAL,
                    SPAN("compressed messages are not supported"));
            break;
        case GRPC_FRAME_TOO_LARGE:
            end_bad(g, GRPC_RESOURCE_EXHAUSTED, SPAN("the message is too large"));
            break;
        case GRPC_FRAME_BAD:
            end_bad(g, GRPC_INTERNAL, SPAN("malformed message prefix"));
            break;
        }
    }
    if (g->gone) {
        return; /* and the stream perhaps with it */
    }
    http_stream_consume(s, data.len);
    if (last) {
        half_closed_by_peer(g);
    }
}

static void on_drained(void *arg)
{
    struct grpc_stream *g = arg;
    if (g->ev->on_drained) {
        g->ev->on_drained(g->arg);
    }
}

static void on_close(void *arg, enum http_reset why)
{
    struct grpc_stream *g = arg;
    g->stream = NULL;
    enum grpc_status status = GRPC_UNAVAILABLE;
    if (g->server) {
        status = GRPC_CANCELLED;
    } else if (why == HTTP_RESET_PROTO || why == HTTP_RESET_LIMIT) {
        status = GRPC_INTERNAL;
    }
    end(g, status, span_of(http_reset_name(why)), true);
}

static void on_due(struct deadline *d)
{
    struct grpc_stream *g = container_of(d, struct grpc_stream, deadline);
    if (g->server) {
        end_bad(g, GRPC_DEADLINE_EXCEEDED, SPAN("the deadline has passed"));
    } else {
        end(g, GRPC_DEADLINE_EXCEEDED, SPAN("the deadline has passed"), false);
    }
}

static void put_prefix(char *to, size_t len)
{
    to[0] = 0;
    to[1] = (char)(len >> 24);
    to[2] = (char)(len >> 16);
    to[3] = (char)(len >> 8);
    to[4] = (char)len;
}

static struct grpc_stream *stream_new(struct loop *loop, const struct grpc_events *ev, void *arg)
{
    struct grpc_stream *g = mem_new(struct grpc_stream);
    g->loop = loop;
    g->ev = ev;
    g->arg = arg;
    arena_init(&g->arena, 512);
    grpc_frames_init(&g->frames);
    buf_init(&g->out, QUEUE_MAX);
    deadline_init(&g->deadline, on_due);
    return g;
}

/* ---- client ---- */

/* The status in trailers, or in the head of a trailers-only answer. */
static void end_by_status(struct grpc_stream *g, const struct head *h)
{
    uint64_t status;
    struct span text = head_get_known(h, HEAD_GRPC_STATUS);
    struct span message = head_get_known(h, HEAD_GRPC_MESSAGE);
    if (!text.at) {
        end(g, GRPC_UNKNOWN, SPAN("the server sent no grpc-status"), true);
        return;
    }
    if (!span_to_u64(text, &status) || status > GRPC_UNAUTHENTICATED) {
        status = GRPC_UNKNOWN;
    }
    end(g, (enum grpc_status)status, grpc_message_decode(&g->arena, message), true);
}

static void client_on_head(void *arg, struct head *h, bool last)
{
    struct grpc_stream *g = arg;
    if (h->status < 200) {
        return;
    }
    bool grpc = grpc_is_content_type(head_get_known(h, HEAD_CONTENT_TYPE));
    if (h->status != 200 || !grpc) {
        if (head_get_known(h, HEAD_GRPC_STATUS).at) {
            end_by_status(g, h);
            return;
        }
        const char *text = arena_printf(&g->arena, "the server answered with HTTP status %u%s",
                                        h->status, grpc ? "" : " and no gRPC");
        end(g, grpc_status_of_http(h->status), span_of(text), last);
    } else if (last) {
        end_by_status(g, h);
    } else if (g->ev->on_head) {
        g->ev->on_head(g->arg, h);
    }
}

static void client_on_trailers(void *arg, struct head *trailers)
{
    struct grpc_stream *g = arg;
    if (!grpc_frames_is_empty(&g->frames)) {
        end(g, GRPC_INTERNAL, SPAN("the stream ended within a message"), true);
    } else {
        end_by_status(g, trailers);
    }
}

static const struct http_stream_events client_events = {
    .on_head = client_on_head,
    .on_data = on_data,
    .on_trailers = client_on_trailers,
    .on_drained = on_drained,
    .on_close = on_close,
};

static int send_request(struct grpc_stream *g)
{
    struct arena *a = http_stream_arena(g->stream);
    struct head h;
    head_init(&h, a);
    h.method = SPAN("POST");
    h.method_id = METHOD_POST;
    h.scheme = http_client_scheme(g->client);
    h.authority = http_client_authority(g->client);
    h.path = g->path;
    int code = head_add_known(&h, HEAD_TE, SPAN("trailers"));
    code = code != 0 ? code : head_add_known(&h, HEAD_CONTENT_TYPE, CONTENT_TYPE);
    code = code != 0 ? code : head_add_known(&h, HEAD_USER_AGENT, SPAN("grpc-c-mesh/1.0"));
    if (code == 0 && g->due_ms > 0) {
        int64_t left = g->due_ms - loop_now_ms(g->loop);
        code = head_add_known(&h, HEAD_GRPC_TIMEOUT, grpc_timeout_format(a, left));
    }
    for (size_t i = 0; i < g->field_count && code == 0; i++) {
        code = head_add(&h, g->fields[i].name, g->fields[i].value);
    }
    return code != 0 ? code : http_stream_head(g->stream, &h, false);
}

static void on_stream(void *arg, struct http_stream *s, const struct err *err)
{
    struct grpc_stream *g = arg;
    g->wait = NULL;
    g->stream = s;
    if (!s) {
        end(g, GRPC_UNAVAILABLE, span_of(err->text), true);
        return;
    }
    int code = send_request(g);
    g->head_sent = true;
    if (code == -ERR_LIMIT) {
        end(g, GRPC_INTERNAL, SPAN("too much metadata"), false);
        return;
    }
    if (code == 0 && (buf_len(&g->out) > 0 || g->half_closed)) {
        http_stream_data(s, buf_span(&g->out), g->half_closed);
    } /* else: on_close follows */
    buf_release(&g->out);
}

struct grpc_stream *grpc_call(struct http_client *c, const char *path, const struct header *fields,
                              size_t field_count, int64_t deadline_ms, const struct grpc_events *ev,
                              void *arg)
{
    struct loop *loop = http_client_loop(c);
    struct grpc_stream *g = stream_new(loop, ev, arg);
    g->client = c;
    g->path = span_of(arena_strdup(&g->arena, path));
    g->fields = arena_array(&g->arena, field_count + 1, sizeof(*g->fields));
    g->field_count = field_count;
    for (size_t i = 0; i < field_count; i++) {
        g->fields[i].name = arena_dup(&g->arena, fields[i].name);
        g->fields[i].value = arena_dup(&g->arena, fields[i].value);
    }
    if (deadline_ms > 0) {
        g->due_ms = loop_now_ms(loop) + deadline_ms;
        deadline_arm(&g->deadline, loop, deadline_ms);
    }
    g->wait = http_client_open(c, &client_events, g, on_stream);
    return g;
}

/* ---- both ---- */

static int send_server_head(struct grpc_stream *g)
{
    struct head h;
    head_init(&h, http_stream_arena(g->stream));
    h.status = 200;
    g->head_sent = true;
    int code = head_add_known(&h, HEAD_CONTENT_TYPE, CONTENT_TYPE);
    return code != 0 ? code : http_stream_head(g->stream, &h, false);
}

int grpc_send(struct grpc_stream *g, struct span message)
{
    char prefix[PREFIX_BYTES];
    put_prefix(prefix, message.len);
    if (g->gone || g->half_closed || message.len > GRPC_MESSAGE_MAX) {
        return -EPIPE;
    }
    if (!g->stream) {
        int code = buf_append(&g->out, prefix, sizeof(prefix));
        return code != 0 ? code : buf_append_span(&g->out, message);
    }
    int code = g->head_sent ? 0 : send_server_head(g);
    code = code != 0 ? code : http_stream_data(g->stream, span_from(prefix, sizeof(prefix)), false);
    return code != 0 || message.len == 0 ? code : http_stream_data(g->stream, message, false);
}

size_t grpc_queued(const struct grpc_stream *g)
{
    return g->stream ? http_stream_queued(g->stream) : buf_len(&g->out);
}

void grpc_message_max(struct grpc_stream *g, size_t bytes)
{
    g->frames.limit = size_min(bytes, GRPC_MESSAGE_MAX);
}

void grpc_half_close(struct grpc_stream *g)
{
    if (g->gone || g->half_closed) {
        return;
    }
    g->half_closed = true;
    if (g->stream) {
        http_stream_data(g->stream, SPAN_EMPTY, true);
    }
}

void grpc_cancel(struct grpc_stream *g)
{
    if (g->gone) {
        return;
    }
    if (g->wait) {
        http_client_cancel(g->wait);
        g->wait = NULL;
    }
    if (g->stream) {
        http_stream_reset(g->stream, HTTP_RESET_LOCAL);
    }
    retire(g);
}

struct http_stream *grpc_http(struct grpc_stream *g)
{
    return g->stream;
}

const struct head *grpc_head(const struct grpc_stream *g)
{
    return g->head;
}

/* ---- server ---- */

struct service {
    grpc_on_call on_call;
    void *arg;
};

static void server_on_head(void *arg, struct head *h, bool last)
{
    UNUSED(arg); /* it came before these events were set */
    UNUSED(h);
    UNUSED(last);
}

static void server_on_trailers(void *arg, struct head *trailers)
{
    UNUSED(trailers);
    half_closed_by_peer(arg);
}

static const struct http_stream_events server_events = {
    .on_head = server_on_head,
    .on_data = on_data,
    .on_trailers = server_on_trailers,
    .on_drained = on_drained,
    .on_close = on_close,
};

void grpc_finish(struct grpc_stream *g, enum grpc_status status, struct span message)
{
    if (g->gone) {
        return;
    }
    if (g->stream) {
        send_status(g, status, message);
        http_stream_set_events(g->stream, NULL, NULL);
    }
    retire(g);
}

/* An answer to what is no call of a method of ours. */
static void refuse(struct http_stream *s, enum grpc_status status, struct span message)
{
    struct grpc_stream g = {.stream = s};
    send_status(&g, status, message);
}

static void on_unknown(void *arg, const struct http_request *rq)
{
    UNUSED(arg);
    if (grpc_is_content_type(head_get_known(rq->head, HEAD_CONTENT_TYPE))) {
        refuse(rq->stream, GRPC_UNIMPLEMENTED, SPAN("unknown service or method"));
    } else {
        http_stream_reply(rq->stream, 404, SPAN("text/plain"), SPAN("not found\n"));
    }
}

static void on_request(void *arg, const struct http_request *rq)
{
    const struct service *service = arg;
    if (!rq->head->http2 || !grpc_is_content_type(head_get_known(rq->head, HEAD_CONTENT_TYPE))) {
        http_stream_reply(rq->stream, 415, SPAN("text/plain"), SPAN("gRPC over HTTP/2 only\n"));
        return;
    }
    struct span encoding = head_get_known(rq->head, HEAD_GRPC_ENCODING);
    if (encoding.len > 0 && !span_is(encoding, "identity")) {
        refuse(rq->stream, GRPC_UNIMPLEMENTED, SPAN("compressed messages are not supported"));
        return;
    }
    int64_t ms = 0;
    struct span timeout = head_get_known(rq->head, HEAD_GRPC_TIMEOUT);
    if (timeout.at && !grpc_timeout_parse(timeout, &ms)) {
        refuse(rq->stream, GRPC_INTERNAL, SPAN("malformed grpc-timeout"));
        return;
    }
    struct io *io = http_conn_io(http_stream_conn(rq->stream));
    struct grpc_stream *g = stream_new(io->loop, NULL, NULL);
    g->server = true;
    g->stream = rq->stream;
    g->head = rq->head;
    if (ms > 0) {
        deadline_arm(&g->deadline, g->loop, ms);
    }
    http_stream_set_events(rq->stream, &server_events, g);
    service->on_call(service->arg, g, &g->ev, &g->arg);
    if (!g->gone && !g->ev) {
        grpc_finish(g, GRPC_UNIMPLEMENTED, SPAN("not served"));
    } else if (!g->gone && rq->end) {
        half_closed_by_peer(g);
    }
}

void grpc_serve(struct http_server *s, const char *path, grpc_on_call on_call, void *service)
{
    struct service *entry = http_server_keep(s, sizeof(*entry));
    *entry = (struct service){on_call, service};
    http_server_route(s, "POST", path, true, on_request, entry);
    http_server_fallback(s, on_unknown, NULL);
}
