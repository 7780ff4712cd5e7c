/* Lines without end: a watch, or logs.
 * In: kube_stream_open. Out: kube_exchange. Next: on_line, on_end. */
#include "base/buf.h"
#include "base/mem.h"
#include "kube/kube_client_int.h"

#define IDLE_MS_DEFAULT 600000
#define HEAD_MS_MOST 60000 /* a busy server lets watches wait (API priority and fairness) */
#define LINE_MAX_DEFAULT (8UL << 20)
#define ERROR_BYTES_MAX (256UL << 10)

/* BEGIN --> ASKED --200--> LINES --> ended
 *             |  other status: its body --> ended */
struct kube_stream {
    struct list node;
    struct kube_client *client;
    struct kube_exchange x;
    struct kube_stream_spec spec; /* path in `arena` */
    struct arena arena;
    struct buf line; /* what is not yet a whole one; the body of an error */
    struct loop_task begin;
    struct deadline idle;
    bool is_good; /* 200 */
    bool renewed; /* once after a 401 */
    bool closed;
};

static void stream_free(void *obj)
{
    struct kube_stream *s = obj;
    arena_dispose(&s->arena);
    buf_dispose(&s->line);
    mem_free(s);
}

void kube_stream_close(struct kube_stream *s)
{
    if (s == NULL || s->closed) {
        return;
    }
    s->closed = true;
    list_remove(&s->node);
    kube_exchange_stop(&s->x);
    loop_task_cancel(&s->begin);
    deadline_disarm(&s->idle);
    loop_bury(s->client->loop, stream_free, s);
}

static void end(struct kube_stream *s, const struct kube_answer *a)
{
    kube_stream_close(s);
    if (s->spec.on_end != NULL) {
        s->spec.on_end(s->spec.arg, a);
    }
}

static void fail(struct kube_stream *s, const struct err *err)
{
    struct kube_answer a;
    kube_answer_fail(&a, &s->arena, err);
    end(s, &a);
}

/* ---- what comes ---- */

static void on_ready(void *arg)
{
    struct kube_stream *s = arg;
    deadline_arm(&s->idle, s->client->loop, i64_min(s->spec.idle_ms, HEAD_MS_MOST));
}

static void on_head(void *arg, const struct head *head)
{
    struct kube_stream *s = arg;
    s->is_good = head->status == 200;
    deadline_arm(&s->idle, s->client->loop, s->spec.idle_ms);
    if (s->is_good && s->spec.on_begin != NULL) {
        s->spec.on_begin(s->spec.arg);
    }
}

/* Whole lines are told where they lie; only one that is cut by the end of a read is kept. */
static int take_lines(struct kube_stream *s, struct span data)
{
    while (data.len > 0 && !s->closed) {
        ssize_t at = span_find_byte(data, '\n');
        struct span part = at < 0 ? data : span_first(data, (size_t)at);
        bool is_whole = at >= 0 && buf_len(&s->line) == 0;
        if (part.len > s->spec.line_max || (!is_whole && buf_append_span(&s->line, part) != 0)) {
            return -ERR_LIMIT;
        }
        if (at >= 0) {
            s->spec.on_line(s->spec.arg, is_whole ? part : buf_span(&s->line));
            buf_reset(&s->line);
        }
        data = at < 0 ? SPAN_EMPTY : span_from_offset(data, (size_t)at + 1);
    }
    return 0;
}

static void on_data(void *arg, struct span data)
{
    struct kube_stream *s = arg;
    deadline_arm(&s->idle, s->client->loop, s->spec.idle_ms);
    if (!s->is_good) {
        size_t room = ERROR_BYTES_MAX - size_min(buf_len(&s->line), ERROR_BYTES_MAX);
        if (buf_append_span(&s->line, span_first(data, room)) != 0) {
            buf_reset(&s->line); /* a small line_max; the status alone will do */
        }
    } else if (take_lines(s, data) != 0) {
        struct err err;
        (void)err_set(&err, -ERR_LIMIT, "a line is longer than %zu bytes", s->spec.line_max);
        fail(s, &err);
    }
}

static void begin_try(struct kube_stream *s)
{
    buf_reset(&s->line);
    kube_exchange_start(&s->x);
}

static void on_end(void *arg, const struct err *err)
{
    struct kube_stream *s = arg;
    struct kube_answer a;
    if (err != NULL) {
        fail(s, err);
        return;
    }
    if (s->is_good) {
        if (buf_len(&s->line) > 0) {
            s->spec.on_line(s->spec.arg, buf_span(&s->line));
        }
        if (!s->closed) {
            a = (struct kube_answer){
                .status = 200, .why = "", .retry_after_s = -1, .head = s->x.head};
            end(s, &a);
        }
        return;
    }
    kube_answer_read(&a, &s->arena, s->client, s->x.head, buf_span(&s->line));
    if (a.status == 401 && !s->renewed &&
        kube_credentials_renew(&s->client->credentials, s->x.generation)) {
        s->renewed = true;
        begin_try(s);
        return;
    }
    if (a.code == 0) { /* 2xx, but not 200 */
        a.code = -ERR_PROTO;
        a.why = "the API server did not begin a stream";
    }
    end(s, &a);
}

static const struct kube_exchange_events events = {
    .on_ready = on_ready, .on_head = on_head, .on_data = on_data, .on_end = on_end};

static void on_begin(struct loop_task *task)
{
    begin_try(container_of(task, struct kube_stream, begin));
}

static void on_idle(struct deadline *d)
{
    struct kube_stream *s = container_of(d, struct kube_stream, idle);
    struct err err;
    (void)err_set(&err, -ETIMEDOUT, "'%.*s' was silent for too long", SPAN_ARG(s->client->origin));
    fail(s, &err);
}

struct kube_stream *kube_stream_open(struct kube_client *c, const struct kube_stream_spec *spec)
{
    struct kube_stream *s = mem_new(struct kube_stream);
    s->client = c;
    s->spec = *spec;
    s->spec.idle_ms = spec->idle_ms > 0 ? spec->idle_ms : IDLE_MS_DEFAULT;
    s->spec.line_max = spec->line_max > 0 ? spec->line_max : LINE_MAX_DEFAULT;
    arena_init(&s->arena, 1024);
    s->spec.path = arena_strdup(&s->arena, spec->path);
    s->spec.fields = kube_exchange_fields(&s->arena, spec->fields, spec->field_count);
    buf_init(&s->line, s->spec.line_max);
    loop_task_init(&s->begin, on_begin);
    deadline_init(&s->idle, on_idle);
    s->x = (struct kube_exchange){
        .client = c,
        .events = &events,
        .arg = s,
        .method = "GET",
        .path = s->spec.path,
        .fields = s->spec.fields,
        .field_count = spec->field_count,
    };
    list_push_back(&c->streams, &s->node);
    loop_task_add(c->loop, &s->begin);
    return s;
}

void kube_stream_end_all(struct kube_client *c)
{
    struct err err;
    (void)err_set(&err, -ECANCELED, "the client was closed");
    while (!list_is_empty(&c->streams)) {
        fail(list_item(c->streams.next, struct kube_stream, node), &err);
    }
}
