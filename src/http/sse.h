#ifndef HTTP_SSE_H
#define HTTP_SSE_H
/* Server-sent events: a response of text/event-stream that stays open. Source: WHATWG HTML section 9.2. */
#include "base/compiler.h"
#include "http/http_conn.h"

struct sse;
struct sse_spec {
    const struct header *fields; /* more response fields */
    size_t field_count;
    int64_t beat_ms;            /* a comment line keeps intermediaries from closing; 0 = 15 s */
    size_t queue_max;           /* a reader that falls behind by more is closed; 0 = 1 MiB */
    void (*on_gone)(void *arg); /* once; `sse` is gone. Not after sse_end */
    void *arg;
};

/* Takes over the stream of a streaming handler and sends the head. */
struct sse *sse_start(struct http_stream *s, struct loop *loop, const struct sse_spec *spec);
/* One event. `event` and `id` may be empty and hold no line break; line breaks in `text` become several
 * data lines. */
void sse_send(struct sse *e, struct span event, struct span id, struct span text);
/* The Last-Event-ID of a request head, or empty. */
struct span sse_last_id(const struct head *request);
/* Ends the response; `e` is gone. */
void sse_end(struct sse *e);
#endif
