/* The handlers of the sample service.
 * In: complete requests from http_server. Out: answers, at once or when a deadline, the peer's window or
 * the upstream allows. */
#include "sample/sample_service.h"

#include "base/mem.h"
#include "io/deadline.h"
#include "sample/reply.h"

#define PIECE_BYTES 65536
#define PIECES_A_TURN 16

struct sample_service {
    struct loop *loop; /* borrowed */
    const char *name;
    struct http_client *upstream; /* borrowed, or NULL */
    struct list calls;            /* of struct call: out at the upstream */
};

/* An answer that takes more than one turn; lives in the stream's arena. */
struct later {
    struct http_stream *stream; /* borrowed */
    struct loop *loop;
    struct deadline due;
    struct loop_task more;
    uint64_t left;
};

/* A request at the upstream; outlives its stream when the caller goes away first. */
struct call {
    struct list node;
    struct sample_service *service; /* NULL once that is gone */
    struct http_stream *stream;     /* NULL once the caller is gone */
    struct reply_wait wait;
};

/* The number after the prefix of a path such as "/delay/250"; false is answered with 400. */
static bool number_in(const struct http_request *rq, size_t prefix, uint64_t max, uint64_t *n)
{
    if (span_to_u64(span_from_offset(rq->path, prefix), n) && *n <= max) {
        return true;
    }
    reply_text(rq->stream, 400, SPAN("the path must end in a number within limits\n"));
    return false;
}

static void on_health(void *arg, const struct http_request *rq)
{
    UNUSED(arg);
    reply_text(rq->stream, 200, SPAN("ok\n"));
}

static void on_status(void *arg, const struct http_request *rq)
{
    uint64_t status;
    UNUSED(arg);
    if (!number_in(rq, sizeof("/status/") - 1, 599, &status)) {
        return;
    }
    if (status < 200) {
        reply_text(rq->stream, 400, SPAN("a final status is 200 to 599\n"));
        return;
    }
    bool bare = status == 204 || status == 304; /* RFC 9110 section 6.4.1: these have no content */
    reply_text(rq->stream, (unsigned)status, bare ? SPAN_EMPTY : SPAN("as asked\n"));
}

static void on_echo(void *arg, const struct http_request *rq)
{
    UNUSED(arg);
    struct span type = head_get_known(rq->head, HEAD_CONTENT_TYPE);
    (void)http_stream_reply(rq->stream, 200, type.at ? type : SPAN("application/octet-stream"),
                            rq->body); /* on_close tells who is gone */
}

static void on_anything(void *arg, const struct http_request *rq)
{
    const struct sample_service *s = arg;
    struct arena *a = http_stream_arena(rq->stream);
    struct doc_node *doc = doc_new_map(a);
    struct doc_node *headers = doc_new_map(a);

    doc_set(a, doc, "name", doc_cstr(a, s->name));
    doc_set_text(a, doc, "method", rq->head->method);
    doc_set_text(a, doc, "path", rq->head->path);
    doc_set_text(a, headers, "host", rq->head->authority);
    for (size_t i = 0; i < rq->head->count; i++) {
        const struct header *h = &rq->head->fields[i];
        struct doc_node *before = doc_get_span(headers, h->name);
        struct span value = h->value;
        if (before != NULL) {
            /* Fields of one name are one list (RFC 9110 section 5.3). */
            value = span_of(arena_printf(a, "%.*s, %.*s", SPAN_ARG(before->text), SPAN_ARG(value)));
        }
        doc_set_span(a, headers, h->name, doc_text(a, value));
    }
    doc_set(a, doc, "headers", headers);
    doc_set(a, doc, "body_bytes", doc_int(a, (int64_t)rq->body.len));
    reply_json(rq->stream, 200, doc, true);
}

/* ---- answers that take time */

/* The request was whole before its handler ran: what else its stream may tell is of no interest. */
static void ignore_head(void *arg, struct head *head, bool end)
{
    UNUSED(arg);
    UNUSED(head);
    UNUSED(end);
}

static void ignore_data(void *arg, struct span data, bool end)
{
    UNUSED(arg);
    UNUSED(data);
    UNUSED(end);
}

static void ignore_trailers(void *arg, struct head *trailers)
{
    UNUSED(arg);
    UNUSED(trailers);
}

static void later_on_drained(void *arg)
{
    struct later *l = arg;
    if (l->left > 0) {
        loop_task_add(l->loop, &l->more);
    }
}

static void later_on_close(void *arg, enum http_reset why)
{
    struct later *l = arg;
    UNUSED(why);
    deadline_disarm(&l->due);
    loop_task_cancel(&l->more);
}

static const struct http_stream_events later_events = {
    .on_head = ignore_head,
    .on_data = ignore_data,
    .on_trailers = ignore_trailers,
    .on_drained = later_on_drained,
    .on_close = later_on_close,
};

static void later_on_due(struct deadline *d)
{
    struct later *l = container_of(d, struct later, due);
    reply_text(l->stream, 200, SPAN("late\n"));
}

/* Sends what the peer takes, some pieces a turn; the rest when it has drained. */
static void later_send(struct loop_task *task)
{
    static const char piece[PIECE_BYTES];
    struct later *l = container_of(task, struct later, more);

    for (int i = 0; i < PIECES_A_TURN && l->left > 0; i++) {
        if (http_stream_queued(l->stream) > 0) {
            return;
        }
        size_t n = l->left < PIECE_BYTES ? (size_t)l->left : PIECE_BYTES;
        l->left -= n;
        if (http_stream_data(l->stream, span_from(piece, n), l->left == 0) < 0) {
            l->left = 0;
        }
    }
    if (l->left > 0 && http_stream_queued(l->stream) == 0) {
        loop_task_add(l->loop, &l->more);
    }
}

static struct later *later_new(const struct sample_service *s, const struct http_request *rq)
{
    struct later *l = arena_new(http_stream_arena(rq->stream), struct later);
    l->stream = rq->stream;
    l->loop = s->loop;
    deadline_init(&l->due, later_on_due);
    loop_task_init(&l->more, later_send);
    http_stream_set_events(rq->stream, &later_events, l);
    return l;
}

static void on_delay(void *arg, const struct http_request *rq)
{
    const struct sample_service *s = arg;
    uint64_t ms;
    if (number_in(rq, sizeof("/delay/") - 1, SAMPLE_DELAY_MAX_MS, &ms)) {
        deadline_arm(&later_new(s, rq)->due, s->loop, (int64_t)ms);
    }
}

static void on_bytes(void *arg, const struct http_request *rq)
{
    const struct sample_service *s = arg;
    uint64_t n;
    if (!number_in(rq, sizeof("/bytes/") - 1, SAMPLE_BYTES_MAX, &n)) {
        return;
    }
    struct head head;
    head_init(&head, http_stream_arena(rq->stream));
    head.status = 200;
    head.content_length = (int64_t)n;
    bool bare = n == 0 || rq->head->method_id == METHOD_HEAD;
    struct later *l = later_new(s, rq);
    if (head_add_known(&head, HEAD_CONTENT_TYPE, SPAN("application/octet-stream")) < 0 ||
        http_stream_head(rq->stream, &head, bare) < 0 || bare) {
        return;
    }
    l->left = n;
    loop_task_add(s->loop, &l->more);
}

/* ---- the upstream */

static void call_on_close(struct reply_wait *w)
{
    container_of(w, struct call, wait)->stream = NULL;
}

static void on_answer(void *arg, const struct http_answer *answer)
{
    struct call *c = arg;
    struct http_stream *stream = c->stream;

    if (stream != NULL && c->service != NULL) {
        struct arena *a = http_stream_arena(stream);
        struct doc_node *doc = doc_new_map(a);
        struct doc_node *inner = NULL;
        reply_later(stream, NULL);
        doc_set(a, doc, "name", doc_cstr(a, c->service->name));
        if (answer->err != NULL) {
            doc_set(a, doc, "error", doc_cstr(a, answer->err->text));
            reply_json(stream, 502, doc, true);
        } else {
            doc_set(a, doc, "status", doc_int(a, answer->head->status));
            if (doc_parse_json(a, answer->body, "answer", &inner, NULL) < 0) {
                inner = doc_text(a, answer->body);
            }
            doc_set(a, doc, "answer", inner);
            reply_json(stream, answer->head->status, doc, true);
        }
    }
    list_remove(&c->node);
    mem_free(c);
}

/* What a service must hand on for its hops to be one trace (Istio's and Envoy's documentation of tracing). */
static bool is_handed_on(struct span name)
{
    static const char *const names[] = {"x-request-id", "traceparent", "tracestate", "b3",
                                        "user-agent"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (span_is(name, names[i])) {
            return true;
        }
    }
    return span_starts(name, SPAN("x-b3-"));
}

static void on_upstream(void *arg, const struct http_request *rq)
{
    static const size_t prefix = sizeof("/upstream") - 1;
    struct sample_service *s = arg;

    if (s->upstream == NULL) {
        reply_text(rq->stream, 404, SPAN("this service has no upstream\n"));
        return;
    }
    struct call *c = mem_new(struct call);
    c->service = s;
    c->stream = rq->stream;
    list_push_back(&s->calls, &c->node);
    c->wait.on_close = call_on_close;
    reply_later(rq->stream, &c->wait);
    struct header *fields =
        arena_array(http_stream_arena(rq->stream), rq->head->count + 1, sizeof(*fields));
    size_t count = 0;
    for (size_t i = 0; i < rq->head->count; i++) {
        if (is_handed_on(rq->head->fields[i].name)) {
            fields[count++] = rq->head->fields[i];
        }
    }
    const struct http_call call = {
        .method = rq->head->method,
        .fields = fields,
        .field_count = count,
        .path = span_from_offset(rq->head->path, prefix),
        .body = rq->body,
        .on_answer = on_answer,
        .arg = c,
    };
    http_client_call(s->upstream, &call);
}

struct sample_service *sample_service_new(struct loop *loop, const char *name,
                                          struct http_server *server, struct http_client *upstream)
{
    static const char any[] = "GET,HEAD,POST,PUT,DELETE,OPTIONS,PATCH";
    struct sample_service *s = mem_new(struct sample_service);

    s->loop = loop;
    s->name = name;
    s->upstream = upstream;
    list_init(&s->calls);
    http_server_route(server, "GET,HEAD", "/health", false, on_health, s);
    http_server_route(server, any, "/status/*", false, on_status, s);
    http_server_route(server, any, "/delay/*", false, on_delay, s);
    http_server_route(server, "GET,HEAD", "/bytes/*", false, on_bytes, s);
    http_server_route(server, any, "/echo", false, on_echo, s);
    http_server_route(server, any, "/upstream/*", false, on_upstream, s);
    http_server_route(server, any, "/*", false, on_anything, s);
    return s;
}

void sample_service_free(struct sample_service *s)
{
    if (s == NULL) {
        return;
    }
    struct list *node;
    while ((node = list_pop_front(&s->calls)) != NULL) {
        list_item(node, struct call, node)->service = NULL;
    }
    mem_free(s);
}
