/* Server-sent events: a response that stays open.
 * In: events of the owner. Out: text/event-stream. Source: WHATWG HTML section 9.2.5. */
#include "http/sse.h"

#include "base/buf.h"
#include "base/mem.h"
#include "io/deadline.h"

#define BEAT_MS_DEFAULT 15000
#define QUEUE_MAX_DEFAULT (1u << 20)

struct sse {
    struct http_stream *stream; /* NULL once it has closed */
    struct loop *loop;          /* borrowed */
    struct deadline beat;
    int64_t beat_ms;
    size_t queue_max;
    void (*on_gone)(void *arg);
    void *arg;
};

static void sse_free(void *obj)
{
    mem_free(obj);
}

static void retire(struct sse *e)
{
    deadline_disarm(&e->beat);
    e->stream = NULL;
    loop_bury(e->loop, sse_free, e);
}

/* The reader went, or reads too slowly: not within a call of the owner. */
static void lose(struct sse *e)
{
    retire(e);
    e->on_gone(e->arg);
}

static void on_head(void *arg, struct head *head, bool end)
{
    UNUSED(arg); /* it came before these events were set */
    UNUSED(head);
    UNUSED(end);
}

static void on_data(void *arg, struct span data, bool end)
{
    UNUSED(end); /* a body of the request means nothing here */
    http_stream_consume(((struct sse *)arg)->stream, data.len);
}

static void on_close(void *arg, enum http_reset why)
{
    UNUSED(why);
    lose(arg);
}

static const struct http_stream_events stream_events = {
    .on_head = on_head,
    .on_data = on_data,
    .on_close = on_close,
};

static void put(struct sse *e, struct span text)
{
    if (e->stream) {
        http_stream_data(e->stream, text, false); /* on_close follows if it can not */
    }
}

/* Also where a reader that fell behind is let go, so that it never happens within sse_send. */
static void on_beat(struct deadline *d)
{
    struct sse *e = container_of(d, struct sse, beat);
    if (http_stream_queued(e->stream) > e->queue_max) {
        http_stream_reset(e->stream, HTTP_RESET_LIMIT);
        lose(e);
        return;
    }
    put(e, SPAN(":\n\n"));
    deadline_arm(&e->beat, e->loop, e->beat_ms);
}

struct sse *sse_start(struct http_stream *s, struct loop *loop, const struct sse_spec *spec)
{
    struct sse *e = mem_new(struct sse);
    struct head head;
    e->stream = s;
    e->loop = loop;
    e->beat_ms = spec->beat_ms > 0 ? spec->beat_ms : BEAT_MS_DEFAULT;
    e->queue_max = spec->queue_max > 0 ? spec->queue_max : QUEUE_MAX_DEFAULT;
    e->on_gone = spec->on_gone;
    e->arg = spec->arg;
    deadline_init(&e->beat, on_beat);
    deadline_arm(&e->beat, loop, e->beat_ms);
    http_stream_set_events(s, &stream_events, e);
    head_init(&head, http_stream_arena(s));
    head.status = 200;
    int code = head_add_known(&head, HEAD_CONTENT_TYPE, SPAN("text/event-stream"));
    code = code != 0 ? code : head_add(&head, SPAN("cache-control"), SPAN("no-store"));
    for (size_t i = 0; i < spec->field_count && code == 0; i++) {
        code = head_add(&head, spec->fields[i].name, spec->fields[i].value);
    }
    ASSERT(code == 0); /* the owner's few fields */
    http_stream_head(s, &head, false);
    put(e, SPAN(":\n\n")); /* lets the reader see that it is connected */
    return e;
}

/* "name: text\n"; a line break, which would begin another field, ends it. */
static void put_line(struct buf *b, const char *name, struct span text)
{
    if (buf_printf(b, "%s: ", name) != 0 || buf_append_span(b, text) != 0 ||
        buf_append_byte(b, '\n') != 0) {
        ASSERT(false); /* the buffer has no ceiling that a caller of ours reaches */
    }
}

void sse_send(struct sse *e, struct span event, struct span id, struct span text)
{
    struct buf b;
    if (!e->stream) {
        return;
    }
    if (http_stream_queued(e->stream) > e->queue_max) {
        deadline_arm(&e->beat, e->loop, 0); /* fell behind: closed in a moment, and this is lost */
        return;
    }
    ASSERT(span_find_byte(event, '\n') < 0 && span_find_byte(id, '\n') < 0);
    buf_init(&b, SIZE_MAX / 2);
    if (event.len > 0) {
        put_line(&b, "event", event);
    }
    if (id.len > 0) {
        put_line(&b, "id", id);
    }
    struct span rest = text.at ? text : SPAN("");
    while (rest.at) {
        struct span line = span_cut(&rest, '\n');
        if (span_ends(line, SPAN("\r"))) {
            line.len--;
        }
        put_line(&b, "data", line);
    }
    if (buf_append_byte(&b, '\n') == 0) {
        put(e, buf_span(&b));
    }
    buf_dispose(&b);
}

struct span sse_last_id(const struct head *request)
{
    return head_get(request, SPAN("last-event-id"));
}

void sse_end(struct sse *e)
{
    if (e->stream) {
        http_stream_set_events(e->stream, NULL, NULL);
        http_stream_data(e->stream, SPAN_EMPTY, true);
        retire(e);
    }
}
