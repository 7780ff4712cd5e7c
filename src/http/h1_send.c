/* HTTP/1: bytes out.
 * In: calls of the owner. Out: one writev where possible: head, chunk lines and data together. Next: the
 * socket; what it refuses waits in `out`. */
#include "base/err.h"
#include "http/h1_conn_int.h"
#include "http/h1_write.h"

#define PIECES_MAX 5 /* head, chunk line, data, line end, last chunk */

/* Writes all, or leaves the rest in `out`. */
static void write_pieces(struct h1_conn *c, struct iovec *v, int count)
{
    if (c->out_dead) {
        return;
    }
    while (count > 0 && buf_len(&c->out) == 0) {
        if (v->iov_len == 0) {
            v++;
            count--;
            continue;
        }
        ssize_t n = io_writev(c->base.io, v, count);
        if (n == -EAGAIN || n == 0) {
            break;
        }
        if (n < 0) {
            /* A server that answers early may have closed: its answer is still to be read. */
            c->out_dead = !c->base.server;
            if (c->base.server) {
                h1_conn_end(c, HTTP_RESET_PEER, false);
            } else {
                h1_conn_kick(c);
            }
            return;
        }
        for (size_t left = (size_t)n; left > 0;) {
            size_t part = size_min(left, v->iov_len);
            v->iov_base = (char *)v->iov_base + part;
            v->iov_len -= part;
            left -= part;
            if (v->iov_len == 0) {
                v++;
                count--;
            }
        }
    }
    for (; count > 0; v++, count--) {
        if (buf_append(&c->out, v->iov_base, v->iov_len) != 0) {
            h1_conn_end(c, HTTP_RESET_LIMIT, true);
            return;
        }
    }
}

static struct iovec piece_of(struct span s)
{
    return (struct iovec){.iov_base = (void *)(uintptr_t)s.at, .iov_len = s.len};
}

static void write_span(struct h1_conn *c, struct span s)
{
    struct iovec v = piece_of(s);
    write_pieces(c, &v, 1);
}

static void flush_head(struct h1_conn *c)
{
    struct span head = c->head_out;
    c->head_out = SPAN_EMPTY;
    if (head.len > 0) {
        write_span(c, head);
    }
}

static void flush_queue(struct h1_conn *c)
{
    while (buf_len(&c->out) > 0 && !c->gone) {
        struct iovec v = piece_of(buf_span(&c->out));
        ssize_t n = io_writev(c->base.io, &v, 1);
        if (n == -EAGAIN || n == 0) {
            return;
        }
        if (n < 0) {
            buf_reset(&c->out);
            c->out_dead = !c->base.server;
            if (c->base.server) {
                h1_conn_end(c, HTTP_RESET_PEER, false);
            }
            return;
        }
        buf_consume(&c->out, (size_t)n);
    }
}

void h1_send_flush(struct h1_conn *c)
{
    flush_head(c);
    flush_queue(c);
    if (buf_len(&c->out) > 0) {
        return;
    }
    buf_release(&c->out);
    if (c->queued && !h1_is_over(c)) {
        c->queued = false;
        if (c->open && c->out_state != H1_OUT_DONE) {
            http_stream_tell_drained(&c->stream);
        }
    }
}

/* Keeps a head until data or the end of the turn; with `now` it leaves at once. */
static void put_head(struct h1_conn *c, const struct head *head, const struct h1_shape *out,
                     bool now)
{
    flush_head(c); /* an interim one that still waits */
    c->head_out = h1_write_head(&c->stream.arena, head, out);
    if (now) {
        flush_head(c);
    }
    loop_task_add(c->base.loop, &c->task);
}

static int server_interim(struct h1_conn *c, const struct head *head)
{
    static const struct h1_shape out = {.length = HEAD_LENGTH_UNKNOWN};
    if (c->peer_minor == 0) {
        return 0; /* RFC 9110 section 15.2: not to HTTP/1.0 */
    }
    c->expect = c->expect && head->status != 100;
    put_head(c, head, &out, false);
    return 0;
}

static void become_opaque(struct h1_conn *c)
{
    c->opaque = true;
    c->out_state = H1_OUT_OPAQUE;
    c->in_state = H1_IN_OPAQUE;
    if (c->eof) { /* the client ended its side while it waited */
        c->in_state = H1_IN_DONE;
    }
}

static int server_head(struct h1_conn *c, const struct head *head, bool end)
{
    unsigned status = head->status;
    if (status < 200 && status != 101) {
        return server_interim(c, head);
    }
    struct h1_shape out = {.length = HEAD_LENGTH_UNKNOWN};
    if (status == 101 && !c->upgrade) {
        return -ERR_PROTO;
    }
    if (status == 101 || (c->asked == METHOD_CONNECT && status < 300)) {
        become_opaque(c);
        c->keep = false;
        put_head(c, head, &out, end);
        return end ? h1_send_data(&c->stream, SPAN_EMPTY, true) : 0;
    }
    if (c->in_state == H1_IN_HELD) {
        c->in_state = H1_IN_DONE; /* upgrade refused */
    }
    if (c->asked == METHOD_HEAD || status == 204 || status == 304) {
        out.length = status == 204 ? HEAD_LENGTH_UNKNOWN : head->content_length;
        c->out_state = H1_OUT_EMPTY;
    } else if (end || head->content_length >= 0) {
        out.length = end ? 0 : head->content_length;
        c->out_left = (uint64_t)out.length;
        c->out_state = H1_OUT_LENGTH;
    } else if (c->peer_minor >= 1) {
        out.chunked = true;
        c->out_state = H1_OUT_CHUNKED;
    } else {
        c->keep = false;
        c->out_state = H1_OUT_UNTIL_CLOSE;
    }
    uint32_t most = c->base.limits->requests;
    /* Will the client send its body, and would we read so much of it for nothing (RFC 9112 section 9.3)? An answer
     * whose end is not known may be made of the body as it comes. */
    bool unsure = c->in_state != H1_IN_DONE &&
                  (c->expect || (c->in_state == H1_IN_LENGTH && c->left > H1_DISCARD_MAX &&
                                 c->out_state != H1_OUT_CHUNKED));
    c->keep =
        c->keep && !c->drain && !c->eof && !unsure && !(most > 0 && c->base.served + 1 >= most);
    out.close = !c->keep;
    out.keep_alive = c->keep && c->peer_minor == 0;
    if (end) {
        c->out_state = H1_OUT_DONE;
    }
    put_head(c, head, &out, end);
    return 0;
}

static int client_head(struct h1_conn *c, const struct head *head, bool end)
{
    struct h1_shape out = {.request = true, .length = HEAD_LENGTH_UNKNOWN};
    c->asked = head->method_id;
    c->upgrade = head->upgrade.len > 0;
    if (c->asked == METHOD_CONNECT || c->upgrade) {
        c->out_state = H1_OUT_OPAQUE;
        if (UNLIKELY(c->raw)) {
            h1_conn_kick(c);
            return end ? h1_send_data(&c->stream, SPAN_EMPTY, true) : 0;
        }
        put_head(c, head, &out, end);
        return end ? h1_send_data(&c->stream, SPAN_EMPTY, true) : 0;
    }
    if (end) {
        bool usual = c->asked == METHOD_POST || c->asked == METHOD_PUT || c->asked == METHOD_PATCH;
        out.length =
            usual || head->content_length == 0 ? 0 : HEAD_LENGTH_UNKNOWN; /* RFC 9110 8.6 */
        c->out_state = H1_OUT_DONE;
    } else if (head->content_length >= 0) {
        out.length = head->content_length;
        c->out_left = (uint64_t)head->content_length;
        c->out_state = H1_OUT_LENGTH;
    } else {
        out.chunked = true;
        c->out_state = H1_OUT_CHUNKED;
    }
    if (c->drain) {
        c->keep = false;
    }
    out.close = !c->keep;
    put_head(c, head, &out, end);
    return 0;
}

static bool is_writable(const struct h1_conn *c)
{
    return !h1_is_over(c) && c->open && !c->out_dead && !c->telling;
}

int h1_send_head(struct http_stream *s, const struct head *head, bool end)
{
    struct h1_conn *c = h1_of(s->conn);
    if (!is_writable(c)) {
        return -EPIPE;
    }
    if (c->out_state != H1_OUT_HEAD) {
        return -ERR_PROTO;
    }
    return c->base.server ? server_head(c, head, end) : client_head(c, head, end);
}

/* Takes data of a declared length into account; false when it does not fit the declaration. */
static bool count_length(struct h1_conn *c, size_t len, bool end)
{
    if (len > c->out_left || (end && len < c->out_left)) {
        return false;
    }
    c->out_left -= len;
    return true;
}

int h1_send_data(struct http_stream *s, struct span data, bool end)
{
    struct h1_conn *c = h1_of(s->conn);
    if (!is_writable(c)) {
        return -EPIPE;
    }
    struct iovec v[PIECES_MAX];
    char line[H1_CHUNK_LINE_BYTES];
    int n = 0;
    v[n++] = piece_of(c->head_out);
    switch (c->out_state) {
    case H1_OUT_HEAD:
    case H1_OUT_DONE:
        return -ERR_PROTO;
    case H1_OUT_EMPTY:
        break;
    case H1_OUT_LENGTH:
        if (!count_length(c, data.len, end)) {
            c->base.why = "the body does not have its declared length";
            h1_conn_end(c, HTTP_RESET_LOCAL, true); /* the peer must not take it for complete */
            return -ERR_PROTO;
        }
        v[n++] = piece_of(data);
        break;
    case H1_OUT_CHUNKED:
        if (data.len > 0) {
            v[n++] = piece_of(span_from(line, h1_write_chunk_line(line, data.len)));
            v[n++] = piece_of(data);
            v[n++] = piece_of(end ? SPAN("\r\n0\r\n\r\n") : SPAN("\r\n"));
        } else if (end) {
            v[n++] = piece_of(SPAN("0\r\n\r\n"));
        }
        break;
    case H1_OUT_UNTIL_CLOSE:
    case H1_OUT_OPAQUE:
        v[n++] = piece_of(data);
        break;
    }
    if (n > 1 || end) {
        c->head_out = SPAN_EMPTY;
        write_pieces(c, v, n);
    }
    c->queued = c->queued || buf_len(&c->out) > 0;
    if (end) {
        c->out_state = H1_OUT_DONE;
    }
    if (end || buf_len(&c->out) > 0) {
        h1_conn_kick(c);
    }
    return c->ending ? -EPIPE : 0;
}

int h1_send_trailers(struct http_stream *s, const struct head *trailers)
{
    struct h1_conn *c = h1_of(s->conn);
    bool wanted = !c->base.server || c->te_trailers;
    if (c->out_state != H1_OUT_CHUNKED || !wanted || trailers->count == 0) {
        return h1_send_data(s, SPAN_EMPTY, true);
    }
    if (!is_writable(c)) {
        return -EPIPE;
    }
    struct iovec v[2] = {piece_of(c->head_out), piece_of(h1_write_trailers(&s->arena, trailers))};
    c->head_out = SPAN_EMPTY;
    write_pieces(c, v, 2);
    c->queued = c->queued || buf_len(&c->out) > 0;
    c->out_state = H1_OUT_DONE;
    h1_conn_kick(c);
    return c->ending ? -EPIPE : 0;
}

void h1_send_refusal(struct h1_conn *c, unsigned status)
{
    struct head head;
    head_init(&head, &c->stream.arena);
    head.status = status;
    static const struct h1_shape out = {.length = 0, .close = true};
    c->out_state = H1_OUT_DONE;
    put_head(c, &head, &out, true);
}
