/* HTTP/1: bytes in.
 * In: the loop's read buffer, or bytes stashed in the connection. Out: stream events. Next: the owner's
 * handlers; what follows an exchange is decided in h1_conn.c. */
#include "base/err.h"
#include "http/h1_conn_int.h"

#define INTERIM_MAX 100 /* 1xx answers to one request: more is a flood */

/* The peer broke the protocol while its message came. */
static void message_bad(struct h1_conn *c, const struct h1_bad *bad)
{
    c->base.why = bad->why;
    c->base.broke = bad->status == 431   ? LIMIT_head_bytes
                    : bad->status == 414 ? LIMIT_uri_bytes
                                         : LIMIT_NONE;
    enum http_reset why =
        bad->status == 431 || bad->status == 414 ? HTTP_RESET_LIMIT : HTTP_RESET_PROTO;
    if (!c->base.server) {
        h1_conn_end(c, why, true);
        return;
    }
    http_conn_tell_bad(&c->base, bad->status, bad->why);
    if (h1_is_over(c)) {
        return;
    }
    bool answered = c->open ? c->out_state != H1_OUT_HEAD : c->in_state != H1_IN_HEAD;
    if (c->open) {
        c->open = false;
        c->telling = true;
        http_stream_tell_close(&c->stream, why);
        c->telling = false;
    }
    if (h1_is_over(c)) {
        return;
    }
    if (answered) {
        h1_conn_end(c, why, true);
        return;
    }
    if (bad->status == 0) { /* no answer to wait for */
        h1_conn_end(c, why, false);
        return;
    }
    h1_send_refusal(c, bad->status);
    c->end_why = why;
    c->lingering = true;
}

static void tell_data(struct h1_conn *c, struct span piece, bool end)
{
    if (c->open) {
        c->held += piece.len;
        http_stream_tell_data(&c->stream, piece, end);
        return;
    }
    c->discarded += piece.len;
    if (c->discarded > H1_DISCARD_MAX) {
        h1_conn_end(c, HTTP_RESET_NONE, false);
    }
}

static void begin_body(struct h1_conn *c, const struct h1_framing *f)
{
    c->left = (uint64_t)f->length;
    c->chunks = (struct h1_chunks){0};
    switch (f->body) {
    case H1_BODY_NONE:
        c->in_state = H1_IN_DONE;
        break;
    case H1_BODY_LENGTH:
        c->in_state = H1_IN_LENGTH;
        break;
    case H1_BODY_CHUNKED:
        c->in_state = H1_IN_CHUNKED;
        break;
    case H1_BODY_UNTIL_CLOSE:
        c->in_state = H1_IN_UNTIL_CLOSE;
        break;
    case H1_BODY_OPAQUE:
        c->in_state = c->base.server ? H1_IN_HELD : H1_IN_OPAQUE;
        break;
    }
}

static void take_request(struct h1_conn *c, char *block, size_t len)
{
    struct head *head = head_new(&c->stream.arena);
    struct h1_framing framing;
    struct h1_bad bad;
    head_reserve(head, size_min(c->scan.lines + 8, HEAD_FIELDS_MAX)); /* and what a proxy adds */
    c->scan = (struct h1_scan){0};
    if (h1_parse_request(head, block, len, &framing, &bad) != 0) {
        message_bad(c, &bad);
        return;
    }
    head->scheme = c->base.scheme;
    c->open = true;
    c->keep = framing.keep_alive;
    c->peer_minor = head->http_minor;
    c->asked = head->method_id;
    c->upgrade = head->upgrade.len > 0;
    c->expect = head->slot[HEAD_EXPECT] != 0;
    c->te_trailers = head->slot[HEAD_TE] != 0;
    c->out_state = H1_OUT_HEAD;
    begin_body(c, &framing);
    c->base.events->on_open(c->base.arg, &c->stream, &c->stream.ev, &c->stream.arg);
    if (!h1_is_over(c)) {
        http_stream_tell_head(&c->stream, head, c->in_state == H1_IN_DONE);
    }
}

static void take_response(struct h1_conn *c, char *block, size_t len)
{
    struct head *head = head_new(&c->stream.arena);
    struct h1_framing framing;
    struct h1_bad bad;
    head_reserve(head, size_min(c->scan.lines + 8, HEAD_FIELDS_MAX));
    c->scan = (struct h1_scan){0};
    if (h1_parse_response(head, block, len, c->asked, c->upgrade, &framing, &bad) != 0) {
        message_bad(c, &bad);
        return;
    }
    if (head->status < 200 && head->status != 101) {
        if (++c->interim > INTERIM_MAX) {
            c->base.why = "too many interim answers";
            h1_conn_end(c, HTTP_RESET_LIMIT, true);
            return;
        }
        http_stream_tell_head(&c->stream, head, false);
        return;
    }
    c->keep = c->keep && framing.keep_alive;
    c->opaque = framing.body == H1_BODY_OPAQUE;
    if (c->out_state == H1_OUT_OPAQUE && !c->opaque) { /* refused: an ordinary exchange after all */
        c->out_state = H1_OUT_DONE;
    }
    begin_body(c, &framing);
    http_stream_tell_head(&c->stream, head, c->in_state == H1_IN_DONE);
}

void h1_recv_raw(struct h1_conn *c)
{
    if (!c->open || c->in_state != H1_IN_HEAD || c->out_state != H1_OUT_OPAQUE) {
        return;
    }
    struct head *head = arena_new(&c->stream.arena, struct head);
    head_init(head, &c->stream.arena);
    head->status = 200;
    head->http_minor = 1;
    c->opaque = true;
    c->in_state = H1_IN_OPAQUE;
    http_stream_tell_head(&c->stream, head, false);
}

/* The take_ functions use bytes at the front of `rest` and say whether to go on. */
static bool take_head(struct h1_conn *c, struct span *rest)
{
    if (!c->base.server) {
        if (!c->open || c->out_state == H1_OUT_HEAD) {
            c->base.why = "bytes without a request";
            h1_conn_end(c, HTTP_RESET_PROTO, false);
            return false;
        }
        if (UNLIKELY(c->raw)) {
            h1_recv_raw(c);
            return true;
        }
    } else if (c->scan.at == 0) { /* RFC 9112 section 2.2: empty lines before a request */
        while (rest->len >= 2 && rest->at[0] == '\r' && rest->at[1] == '\n') {
            *rest = span_from_offset(*rest, 2);
        }
        if (rest->len == 0 || (rest->len == 1 && rest->at[0] == '\r')) {
            return false;
        }
    }
    struct h1_bad bad;
    enum h1_block kind = c->base.server ? H1_REQUEST : H1_RESPONSE;
    ssize_t len = h1_parse_head_end(&c->scan, kind, *rest, c->base.limits, &bad);
    if (len <= 0) {
        if (len < 0) {
            message_bad(c, &bad);
        } else if (c->base.server) {
            h1_conn_arm(c, H1_TIMER_HEAD);
        }
        return false;
    }
    if (c->timer == H1_TIMER_HEAD) {
        h1_conn_arm(c, H1_TIMER_NONE);
    }
    char *block = arena_bytes(&c->stream.arena, (size_t)len);
    memcpy(block, rest->at, (size_t)len);
    *rest = span_from_offset(*rest, (size_t)len);
    if (c->base.server) {
        take_request(c, block, (size_t)len);
    } else {
        take_response(c, block, (size_t)len);
    }
    return true;
}

static bool take_length(struct h1_conn *c, struct span *rest)
{
    size_t n = c->left < rest->len ? (size_t)c->left : rest->len;
    struct span piece = span_first(*rest, n);
    *rest = span_from_offset(*rest, n);
    c->left -= n;
    if (c->left == 0) {
        c->in_state = H1_IN_DONE;
    }
    tell_data(c, piece, c->left == 0);
    return true;
}

static bool take_chunks(struct h1_conn *c, struct span *rest)
{
    struct span piece;
    struct h1_bad bad;
    switch (h1_parse_chunks(&c->chunks, rest, &piece, &bad)) {
    case H1_CHUNKS_MORE:
        return false;
    case H1_CHUNKS_BAD:
        message_bad(c, &bad);
        return false;
    case H1_CHUNKS_LAST:
        c->in_state = H1_IN_TRAILERS;
        return true;
    case H1_CHUNKS_DATA:
        break;
    }
    /* The usual end comes with the last data: telling both at once lets them leave in one write. */
    bool end = c->chunks.left == 0 && span_starts(*rest, SPAN("\r\n0\r\n\r\n"));
    if (end) {
        *rest = span_from_offset(*rest, 7);
        c->in_state = H1_IN_DONE;
    }
    tell_data(c, piece, end);
    return true;
}

static bool take_trailers(struct h1_conn *c, struct span *rest)
{
    struct h1_bad bad;
    ssize_t len = h1_parse_head_end(&c->scan, H1_TRAILERS, *rest, c->base.limits, &bad);
    if (len == 0) {
        return false;
    }
    c->scan = (struct h1_scan){0};
    if (len < 0) {
        message_bad(c, &bad);
        return false;
    }
    struct head *trailers = NULL;
    if (len > 2 && c->open) {
        trailers = head_new(&c->stream.arena);
        char *block = arena_bytes(&c->stream.arena, (size_t)len);
        memcpy(block, rest->at, (size_t)len);
        if (h1_parse_trailers(trailers, block, (size_t)len, &bad) != 0) {
            message_bad(c, &bad);
            return false;
        }
    }
    *rest = span_from_offset(*rest, (size_t)len);
    c->in_state = H1_IN_DONE;
    if (trailers && trailers->count > 0) {
        http_stream_tell_trailers(&c->stream, trailers);
    } else {
        tell_data(c, SPAN_EMPTY, true);
    }
    return true;
}

static bool take_some(struct h1_conn *c, struct span *rest)
{
    struct span all = *rest;
    switch (c->in_state) {
    case H1_IN_HEAD:
        return take_head(c, rest);
    case H1_IN_LENGTH:
        return take_length(c, rest);
    case H1_IN_CHUNKED:
        return take_chunks(c, rest);
    case H1_IN_TRAILERS:
        return take_trailers(c, rest);
    case H1_IN_UNTIL_CLOSE:
    case H1_IN_OPAQUE:
        *rest = SPAN_EMPTY;
        tell_data(c, all, false);
        return true;
    case H1_IN_HELD:
    case H1_IN_DONE:
        return false;
    }
    return false;
}

/* What is left over. */
static struct span take_all(struct h1_conn *c, struct span rest)
{
    while (rest.len > 0 && !h1_is_over(c) && !c->lingering && take_some(c, &rest)) {
    }
    return rest;
}

bool h1_recv_stash(struct h1_conn *c)
{
    size_t before = buf_len(&c->in);
    struct span rest = take_all(c, buf_span(&c->in));
    if (c->gone) {
        return true;
    }
    buf_consume(&c->in, before - rest.len);
    if (buf_len(&c->in) == 0) {
        buf_release(&c->in);
    }
    return rest.len < before || c->ending;
}

static void take_bytes(struct h1_conn *c, struct span bytes)
{
    bool stashed = buf_len(&c->in) > 0;
    struct span rest = stashed ? bytes : take_all(c, bytes);
    if (rest.len == 0 || h1_is_over(c) || c->lingering) {
        return;
    }
    if (buf_append_span(&c->in, rest) != 0) {
        h1_conn_end(c, HTTP_RESET_LIMIT, true);
        return;
    }
    if (stashed) {
        (void)h1_recv_stash(c); /* whether it helped shows in the states */
    }
}

static bool is_idempotent(enum head_method method)
{
    return method != METHOD_POST && method != METHOD_PATCH && method != METHOD_CONNECT &&
           method != METHOD_OTHER;
}

/* A request was sent and nothing of an answer came back: on a used connection the peer had just closed it,
 * as a rule, and has not seen the request. That is no proof: what is not idempotent a proxy must not send
 * twice (RFC 9110 section 9.2.2). */
static enum http_reset lost_why(const struct h1_conn *c)
{
    bool untouched = c->in_state == H1_IN_HEAD && buf_len(&c->in) == 0 && c->interim == 0;
    bool unsent = c->out_state == H1_OUT_HEAD;
    return !c->base.server && untouched && c->base.served > 0 && (unsent || is_idempotent(c->asked))
               ? HTTP_RESET_REFUSED
               : HTTP_RESET_PEER;
}

static void take_end(struct h1_conn *c)
{
    if (UNLIKELY(c->raw)) { /* it took the connection, and had nothing to say */
        h1_recv_raw(c);
        if (h1_is_over(c)) {
            return;
        }
    }
    c->eof = true;
    if (c->in_state == H1_IN_UNTIL_CLOSE || c->in_state == H1_IN_OPAQUE) {
        c->in_state = H1_IN_DONE;
        c->keep = false;
        tell_data(c, SPAN_EMPTY, true);
    } else if (c->base.server && c->open &&
               (c->in_state == H1_IN_DONE || c->in_state == H1_IN_HELD)) {
        c->keep = false; /* may have ended only its side: it gets its answer */
        h1_conn_arm(c, H1_TIMER_HALF_CLOSE);
    } else if (!c->open) {
        h1_conn_end(c, buf_len(&c->in) > 0 ? HTTP_RESET_PEER : HTTP_RESET_NONE, false);
    } else {
        h1_conn_end(c, lost_why(c), false);
    }
}

void h1_recv(struct h1_conn *c)
{
    char *room = loop_read_buffer(c->base.loop, 0);
    ssize_t n = io_read(c->base.io, room, LOOP_READ_BYTES);
    if (n == -EAGAIN) {
        return;
    }
    if (c->lingering) {
        c->discarded += n > 0 ? (size_t)n : 0;
        if (n <= 0 || c->discarded > H1_DISCARD_MAX) {
            h1_conn_end(c, c->end_why, false);
        }
    } else if (n > 0) {
        take_bytes(c, span_from(room, (size_t)n));
    } else if (n == 0) {
        take_end(c);
    } else {
        h1_conn_end(c, c->open ? lost_why(c) : HTTP_RESET_PEER, false);
    }
}
