/* Whole answers, and waiting to give one. */
#include "sample/reply.h"

#define JSON_MAX (8u << 20)

void reply_text(struct http_stream *s, unsigned status, struct span body)
{
    (void)http_stream_reply(s, status, SPAN("text/plain"), body); /* see the header */
}

void reply_html(struct http_stream *s, unsigned status, struct span body)
{
    (void)http_stream_reply(s, status, SPAN("text/html; charset=utf-8"), body); /* see the header */
}

void reply_json_text(struct http_stream *s, unsigned status, struct span body)
{
    (void)http_stream_reply(s, status, SPAN("application/json"), body); /* see the header */
}

void reply_json(struct http_stream *s, unsigned status, const struct doc_node *doc, bool pretty)
{
    struct buf text;
    buf_init(&text, JSON_MAX);
    if (doc_write_json(doc, pretty, &text) == 0 && buf_append_byte(&text, '\n') == 0) {
        reply_json_text(s, status, buf_span(&text));
    } else {
        reply_text(s, 500, SPAN("the answer is too large\n"));
    }
    buf_dispose(&text);
}

static void on_head(void *arg, struct head *head, bool end)
{
    UNUSED(arg);
    UNUSED(head);
    UNUSED(end);
}

static void on_data(void *arg, struct span data, bool end)
{
    UNUSED(arg);
    UNUSED(data);
    UNUSED(end);
}

static void on_close(void *arg, enum http_reset why)
{
    struct reply_wait *w = arg;
    UNUSED(why);
    if (w != NULL) {
        w->on_close(w);
    }
}

void reply_later(struct http_stream *s, struct reply_wait *w)
{
    static const struct http_stream_events events = {
        .on_head = on_head, .on_data = on_data, .on_close = on_close};
    http_stream_set_events(s, &events, w);
}
