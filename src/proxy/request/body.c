/* One direction of a body, with credit: see body.h. */
#include "proxy/request/body.h"

void body_init(struct body *b, struct http_stream *source, bool keep)
{
    *b = (struct body){.source = source, .keep = keep};
    buf_init(&b->kept, BODY_KEEP_MAX);
}

void body_dispose(struct body *b)
{
    buf_dispose(&b->kept);
    b->source = NULL;
    b->sink = NULL;
}

static void give_back(struct body *b)
{
    if (b->held > 0 && b->source != NULL) {
        size_t bytes = b->held;
        b->held = 0;
        http_stream_consume(b->source, bytes);
    }
}

static int send_or_keep(struct body *b, struct span data, bool end)
{
    b->ended = end;
    if (b->sink == NULL) {
        return buf_append_span(&b->kept, data);
    }
    if (b->keep && buf_len(&b->kept) + data.len > BODY_REPLAY_MAX) {
        body_forget(b);
    }
    if (b->keep) {
        int code = buf_append_span(&b->kept, data);
        if (code != 0) {
            return code;
        }
    } else if (data.len > 0) {
        b->lost = true;
    }
    return http_stream_data(b->sink, data, end);
}

int body_emit(struct body *b, struct span data, bool end)
{
    int code = send_or_keep(b, data, end);
    if (b->tee != NULL) {
        b->tee(b, data, end);
    }
    return code;
}

static void give_back_if_low(struct body *b)
{
    if (b->sink != NULL && http_stream_queued(b->sink) <= BODY_QUEUE_HIGH) {
        give_back(b);
    }
}

int body_push(struct body *b, struct span data, bool end)
{
    b->held += data.len;
    int code =
        b->filter == NULL ? body_emit(b, data, end) : b->filter->push(b->filter, b, data, end);
    if (code == 0) {
        give_back_if_low(b);
    }
    return code;
}

int body_trailers(struct body *b, struct head *trailers, bool *pass)
{
    *pass = true;
    struct body_filter *f = b->filter;
    if (f == NULL) {
        return 0;
    }
    return f->trailers != NULL ? f->trailers(f, b, trailers, pass)
                               : f->push(f, b, SPAN_EMPTY, false);
}

bool body_refuses(const struct body *b, int code)
{
    return b->filter != NULL && (code == -ERR_PROTO || code == -ERR_LIMIT);
}

int body_attach(struct body *b, struct http_stream *sink)
{
    b->sink = sink;
    int code = 0;
    if (buf_len(&b->kept) > 0 || b->ended) {
        code = http_stream_data(sink, buf_span(&b->kept), b->ended);
    }
    if (!b->keep || buf_len(&b->kept) > BODY_REPLAY_MAX) {
        body_forget(b);
    }
    if (code == 0 && http_stream_queued(sink) <= BODY_QUEUE_HIGH) {
        give_back(b);
    }
    return code;
}

void body_detach(struct body *b)
{
    b->sink = NULL;
}

void body_drained(struct body *b)
{
    give_back(b);
}

void body_forget(struct body *b)
{
    b->lost = b->lost || buf_len(&b->kept) > 0;
    b->keep = false;
    buf_release(&b->kept);
}

bool body_can_replay(const struct body *b)
{
    return !b->lost;
}
