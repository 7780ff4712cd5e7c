/* See record.h. */
#include "unit/http/record.h"

static void say(struct record *r, struct span s)
{
    ASSERT(buf_append_span(&r->text, s) == 0);
}

static void say_head(struct record *r, const struct head *h)
{
    char number[32];
    if (h->status) {
        snprintf(number, sizeof(number), "%u", h->status);
        say(r, span_of(number));
    } else {
        say(r, h->method);
        say(r, SPAN(" "));
        say(r, h->authority);
        say(r, SPAN(" "));
        say(r, h->path);
    }
    if (h->content_length >= 0) {
        snprintf(number, sizeof(number), " #%lld", (long long)h->content_length);
        say(r, span_of(number));
    }
    if (h->upgrade.len > 0) {
        say(r, SPAN(" ^"));
        say(r, h->upgrade);
    }
}

static void say_fields(struct record *r, const struct head *h)
{
    for (size_t i = 0; i < h->count; i++) {
        say(r, SPAN(" "));
        say(r, h->fields[i].name);
        say(r, SPAN("="));
        say(r, h->fields[i].value);
        ASSERT(h->known[i] == head_known_of(h->fields[i].name));
    }
}

static void finish_message(struct record *r)
{
    if (buf_len(&r->body) > 0) {
        say(r, SPAN(" <"));
        say(r, buf_span(&r->body));
        say(r, SPAN(">"));
    }
    buf_reset(&r->body);
    if (r->reply != 0 && !r->granted) {
        http_stream_reply(r->stream, r->reply, SPAN("text/plain"),
                          r->reply == 204 ? SPAN_EMPTY : SPAN("ok")); /* may be over already */
    }
}

static void on_head(void *arg, struct head *h, bool end)
{
    struct record *r = arg;
    say_head(r, h);
    say_fields(r, h);
    if (end) {
        finish_message(r);
    } else if (r->reply == 200 && (h->method_id == METHOD_CONNECT || h->upgrade.len > 0) &&
               !h->status) {
        struct head answer;
        head_init(&answer, http_stream_arena(r->stream));
        answer.status = h->upgrade.len > 0 ? 101 : 200;
        answer.upgrade = h->upgrade;
        ASSERT(http_stream_head(r->stream, &answer, false) == 0);
        r->granted = true;
    }
}

static void on_data(void *arg, struct span data, bool end)
{
    struct record *r = arg;
    ASSERT(buf_append_span(&r->body, data) == 0);
    size_t kept = size_min(r->keep, data.len);
    r->keep -= kept;
    http_stream_consume(r->stream, data.len - kept);
    if (end) {
        finish_message(r);
    }
    if (end && r->granted) {
        http_stream_data(r->stream, SPAN("bye"), true);
    }
}

static void on_trailers(void *arg, struct head *h)
{
    struct record *r = arg;
    say(r, SPAN(" +"));
    say_fields(r, h);
    finish_message(r);
}

static void on_drained(void *arg)
{
    struct record *r = arg;
    r->drained++;
}

static void on_close(void *arg, enum http_reset why)
{
    struct record *r = arg;
    r->closes++;
    r->close_why = why;
    r->granted = false;
    r->stream = NULL;
    buf_reset(&r->body);
    say(r, why == HTTP_RESET_NONE ? SPAN(";") : SPAN("!"));
}

static const struct http_stream_events stream_events = {
    .on_head = on_head,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_drained = on_drained,
    .on_close = on_close,
};

static void on_open(void *arg, struct http_stream *s, const struct http_stream_events **ev,
                    void **stream_arg)
{
    struct record *r = arg;
    r->stream = s;
    *ev = &stream_events;
    *stream_arg = r;
}

static void on_bad(void *arg, unsigned status, const char *why)
{
    struct record *r = arg;
    char text[32];
    ASSERT(why != NULL);
    buf_reset(&r->body);
    snprintf(text, sizeof(text), "?%u", status);
    say(r, span_of(text));
}

static void on_gone(void *arg, enum http_reset why)
{
    struct record *r = arg;
    r->w.conn = NULL;
    r->w.gone = why;
}

static void on_room(void *arg)
{
    struct record *r = arg;
    r->rooms++;
}

static const struct http_conn_events conn_events = {
    .on_open = on_open, .on_bad = on_bad, .on_room = on_room, .on_gone = on_gone};

void record_init(struct record *r, const struct record_spec *spec)
{
    memset(r, 0, sizeof(*r));
    wire_init(&r->w, spec->room ? spec->room : WIRE_ROOM);
    buf_init(&r->text, 1u << 20);
    buf_init(&r->body, 1u << 28);
    r->reply = spec->reply;
    struct http_conn_spec conn = {
        .io = r->w.ours,
        .proto = spec->proto,
        .server = spec->server,
        .limits = spec->limits,
        .events = &conn_events,
        .arg = r,
        .scheme = SPAN("http"),
    };
    r->w.conn = http_conn_new_take(r->w.loop, &conn);
}

void record_dispose(struct record *r)
{
    wire_dispose(&r->w);
    buf_dispose(&r->text);
    buf_dispose(&r->body);
}

void record_ask(struct record *r, const char *method, bool end)
{
    r->stream = http_conn_request(r->w.conn, &stream_events, r);
    ASSERT(r->stream != NULL);
    struct head head;
    head_init(&head, http_stream_arena(r->stream));
    bool upgrade = strcmp(method, "UPGRADE") == 0;
    head.method = span_of(upgrade ? "GET" : method);
    head.method_id = head_method_of(head.method);
    head.authority = SPAN("a:1");
    head.path = head.method_id == METHOD_CONNECT ? SPAN_EMPTY : SPAN("/");
    head.upgrade = upgrade ? SPAN("websocket") : SPAN_EMPTY;
    bool tunnel = upgrade || head.method_id == METHOD_CONNECT;
    ASSERT(http_stream_head(r->stream, &head, end && !tunnel) == 0);
    wire_run(&r->w);
}

static const char *text_of(struct buf *b)
{
    const char *text = buf_cstr(b);
    ASSERT(text != NULL);
    return text;
}

const char *record_text(struct record *r)
{
    return text_of(&r->text);
}

const char *record_got(struct record *r)
{
    return text_of(&r->w.got);
}
