/* HTTP/2: frames in.
 * In: the loop's read buffer, through nghttp2. Out: stream events. Next: the owner's handlers; what became of
 * streams and connection is settled in h2_conn.c. */
#include "base/err.h"
#include "http/h2_conn_int.h"

#define NOISE_PAID 10u       /* by a frame that brings something */
#define NOISE_PER_SECOND 100 /* paid by time: keep-alives of a quiet connection are no flood */
#define LINGER_BYTES 262144

/* An error code of RFC 9113 section 7 as a reason. */
static enum http_reset reset_of(uint32_t code)
{
    switch (code) {
    case NGHTTP2_REFUSED_STREAM:
        return HTTP_RESET_REFUSED;
    case NGHTTP2_PROTOCOL_ERROR:
    case NGHTTP2_FLOW_CONTROL_ERROR:
    case NGHTTP2_FRAME_SIZE_ERROR:
    case NGHTTP2_COMPRESSION_ERROR:
    case NGHTTP2_STREAM_CLOSED:
        return HTTP_RESET_PROTO;
    default:
        return HTTP_RESET_PEER;
    }
}

/* Client: the answer is complete; what is left of our request is not wanted (RFC 9113 section 8.1). */
static void drop_request_rest(struct h2_conn *c, struct h2_stream *s)
{
    bool rest = !s->out_end || buf_len(&s->out) > 0;
    if (!c->gone && !c->base.server && s->in_end && rest && !s->opaque && !s->closed) {
        (void)nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
    }
}

/* Bytes of body, once it is known whether more come in their frame. */
static void tell_data(struct h2_conn *c, bool end)
{
    struct h2_stream *s = c->data_to;
    struct span data = c->data;
    c->data_to = NULL;
    c->data = SPAN_EMPTY;
    if (s && !s->bad && (data.len > 0 || end)) {
        s->in_end = s->in_end || end;
        http_stream_tell_data(&s->base, data, end);
        drop_request_rest(c, s);
    }
}

/* A frame that brings nothing, of the kind that `limit` bounds at `most`; all kinds count together. */
static void count_noise(struct h2_conn *c, enum limit limit, uint32_t most)
{
    if (++c->noise <= most) {
        return;
    }
    int64_t now = loop_now_ms(c->base.loop);
    int64_t paid = (now - c->noise_ms) * NOISE_PER_SECOND / 1000;
    c->noise_ms = now;
    c->noise -= paid < c->noise ? (unsigned)paid : c->noise;
    if (c->noise > most) {
        h2_conn_calm(c, limit, "too many frames that bring nothing");
    }
}

static void pay_noise(struct h2_conn *c)
{
    c->noise -= c->noise < NOISE_PAID ? c->noise : NOISE_PAID;
}

static void stream_error(struct h2_conn *c, struct h2_stream *s, uint32_t code, const char *why)
{
    s->bad = true;
    c->base.why = why;
    (void)nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, s->id,
                                    code); /* no memory = exit */
}

/* ---- heads ---- */

/* RFC 9113 section 5.1.1: ids grow; nghttp2 ignores a head on one that was passed over. Late trailers of a
 * stream that was reset a moment ago are for a stream that nghttp2 still remembers. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *arg)
{
    struct h2_conn *c = arg;
    if (c->gone) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    bool passed = c->base.server && hd->type == NGHTTP2_HEADERS && (hd->stream_id & 1) == 1 &&
                  hd->stream_id < c->last_id;
    if (passed && !nghttp2_session_find_stream(session, hd->stream_id)) {
        c->base.why = "a stream id that is not larger than the last";
        (void)nghttp2_session_terminate_session(session, NGHTTP2_PROTOCOL_ERROR);
    }
    return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct h2_conn *c = arg;
    if (c->gone) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (frame->hd.type != NGHTTP2_HEADERS) {
        return 0;
    }
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!s && c->base.server) {
        s = h2_conn_add_stream(c);
        s->id = frame->hd.stream_id;
        c->last_id = s->id;
        (void)nghttp2_session_set_stream_user_data(session, s->id,
                                                   s); /* it is there: we are told of it */
    }
    c->head_open = true;
    if (s) {
        s->head = arena_new(&s->base.arena, struct head);
        s->head_bytes = 0;
        head_init(s->head, &s->base.arena);
        s->head->http2 = true;
    }
    return 0;
}

/* Pseudo-header fields; nghttp2 has checked which may come, their order and form. */
static void take_pseudo(struct head *h, struct span name, struct span value)
{
    uint64_t number;
    if (span_is(name, ":method")) {
        h->method = value;
        h->method_id = head_method_of(value);
    } else if (span_is(name, ":path")) {
        h->path = value;
    } else if (span_is(name, ":authority")) {
        h->authority = value;
    } else if (span_is(name, ":status") && span_to_u64(value, &number)) {
        h->status = (unsigned)number;
    } else if (span_is(name, ":scheme")) {
        h->scheme = value;
    }
}

/* RFC 9113 section 8.2.3: crumbs of Cookie become one field again. Room doubles, so that many small ones
 * cost no more than one large. */
static void take_cookie(struct h2_stream *s, struct span crumb)
{
    size_t need = s->cookie_len + crumb.len + 2;
    if (need > s->cookie_room) {
        s->cookie_room = need * 2;
        char *room = arena_bytes(&s->base.arena, s->cookie_room);
        memcpy(room, s->cookie_len > 0 ? s->cookie : "", s->cookie_len);
        s->cookie = room;
    }
    if (s->cookie_len > 0) {
        memcpy(s->cookie + s->cookie_len, "; ", 2);
        s->cookie_len += 2;
    }
    memcpy(s->cookie + s->cookie_len, crumb.at, crumb.len);
    s->cookie_len += crumb.len;
}

/* False when `host` names another than :authority (section 8.3.1). */
static bool take_field(struct h2_stream *s, struct span name, struct span value)
{
    struct head *h = s->head;
    uint64_t number;
    enum head_known id = head_known_of(name);
    switch (id) { /* the other identities are ordinary here */
    case HEAD_HOST:
        if (h->authority.len > 0 && !span_eq_nocase(h->authority, value)) {
            return false;
        }
        h->authority = value;
        return true;
    case HEAD_CONTENT_LENGTH:
        if (span_to_u64(value, &number) && number <= INT64_MAX) {
            h->content_length = (int64_t)number;
        }
        return true;
    case HEAD_COOKIE:
        take_cookie(s, value);
        return true;
    case HEAD_HTTP2_SETTINGS:
        return true;
    default:
        return head_add_as(h, id, name, value) == 0;
    }
}

static struct span copy(struct arena *a, nghttp2_rcbuf *b)
{
    nghttp2_vec v = nghttp2_rcbuf_get_buf(b);
    char *to = arena_bytes(a, v.len + 1);
    memcpy(to, v.base, v.len);
    return span_from(to, v.len);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *arg)
{
    UNUSED(flags);
    struct h2_conn *c = arg;
    if (c->gone ||
        c->end_why == HTTP_RESET_LIMIT) { /* what one frame unpacks to may be megabytes */
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!s || s->bad || !s->head) {
        return 0;
    }
    s->head_bytes += nghttp2_rcbuf_get_buf(name).len + nghttp2_rcbuf_get_buf(value).len + 32;
    size_t most = size_min(c->base.limits->fields, HEAD_FIELDS_MAX - 1);
    if (s->too_large || s->head_bytes > c->base.limits->head_bytes || s->head->count >= most) {
        s->too_large = true; /* HPACK still has to be followed; nothing is kept of it */
        size_t flood = size_max(c->base.limits->head_flood_bytes, c->base.limits->head_bytes);
        if (s->head_bytes > flood) {
            h2_conn_calm(c, LIMIT_head_flood_bytes, "a head far above the limit");
        }
        return 0;
    }
    struct span n = copy(&s->base.arena, name);
    struct span v = copy(&s->base.arena, value);
    if (n.at[0] == ':') {
        take_pseudo(s->head, n, v);
    } else if (!take_field(s, n, v)) {
        stream_error(c, s, NGHTTP2_PROTOCOL_ERROR, "host is not :authority");
        http_conn_tell_bad(&c->base, 0, c->base.why);
    }
    return 0;
}

/* nghttp2 would leave an invalid field out and go on; RFC 9113 section 8.2.1 calls the message malformed. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags, void *arg)
{
    UNUSED(name);
    UNUSED(value);
    UNUSED(flags);
    struct h2_conn *c = arg;
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (s && !s->bad && !c->gone) {
        stream_error(c, s, NGHTTP2_PROTOCOL_ERROR, "invalid byte in a header field");
        http_conn_tell_bad(&c->base, 0, c->base.why);
    }
    return c->gone ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* Answers by itself; the owner never sees the stream. */
static void refuse(struct h2_conn *c, struct h2_stream *s, unsigned status, const char *why)
{
    struct head answer;
    s->bad = true;
    c->base.why = why;
    head_init(&answer, &s->base.arena);
    answer.status = status;
    answer.content_length = 0;
    (void)h2_send_head(&s->base, &answer, true); /* the stream ends in any case */
    http_conn_tell_bad(&c->base, status, why);
}

static const char *request_fault(const struct head *h)
{
    if (h->method_id == METHOD_CONNECT) {
        return head_authority_is_valid(h->authority) && span_find_byte(h->authority, ':') > 0
                   ? NULL
                   : "the authority of CONNECT is not host:port";
    }
    if (!head_authority_is_valid(h->authority)) {
        return h->authority.len == 0 ? "no authority" : "invalid authority";
    }
    if (!span_is(h->scheme, "http") && !span_is(h->scheme, "https")) {
        return "the scheme is not http or https";
    }
    return span_find_byte(h->path, '#') >= 0 ? "invalid byte in the path" : NULL;
}

static void take_request(struct h2_conn *c, struct h2_stream *s, bool end)
{
    struct head *h = s->head;
    s->in_end = end;
    if (s->too_large) {
        c->base.broke = LIMIT_head_bytes;
        refuse(c, s, 431, "the head is too large");
        c->base.broke = c->end_why == HTTP_RESET_NONE ? LIMIT_NONE : c->base.broke;
        return;
    }
    const char *fault = request_fault(h);
    if (fault) {
        refuse(c, s, 400, fault);
        return;
    }
    s->asked = h->method_id;
    s->opaque = h->method_id == METHOD_CONNECT;
    s->open = true;
    h->scheme = c->base.scheme;
    c->base.served++;
    c->base.events->on_open(c->base.arg, &s->base, &s->base.ev, &s->base.arg);
    if (!c->gone) {
        http_stream_tell_head(&s->base, h, end);
    }
}

static void take_response(struct h2_conn *c, struct h2_stream *s, bool end)
{
    struct head *h = s->head;
    if (s->too_large) {
        s->why = HTTP_RESET_LIMIT;
        stream_error(c, s, NGHTTP2_CANCEL, "the head is too large");
        return;
    }
    if (h->status >= 200) {
        s->head_in = true;
        s->opaque = s->asked == METHOD_CONNECT && h->status < 300;
        s->in_end = end;
    }
    http_stream_tell_head(&s->base, h, end);
}

static void take_trailers(struct h2_conn *c, struct h2_stream *s)
{
    if (s->too_large) {
        s->why = HTTP_RESET_LIMIT;
        stream_error(c, s, NGHTTP2_CANCEL, "the trailers are too large");
        return;
    }
    s->in_end = true;
    http_stream_tell_trailers(&s->base, s->head);
}

static void take_head(struct h2_conn *c, const nghttp2_frame *frame)
{
    struct h2_stream *s = nghttp2_session_get_stream_user_data(c->session, frame->hd.stream_id);
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    pay_noise(c);
    if (!s || s->bad || !s->head) {
        return;
    }
    if (s->cookie_len > 0) {
        struct span cookie = span_from(s->cookie, s->cookie_len);
        s->cookie_len = s->cookie_room = 0;
        s->too_large = s->too_large || head_add_known(s->head, HEAD_COOKIE, cookie) != 0;
    }
    if (c->base.server ? s->open : s->head_in) {
        take_trailers(c, s);
    } else if (c->base.server) {
        take_request(c, s, end);
    } else {
        take_response(c, s, end);
    }
    s->head = NULL;
    drop_request_rest(c, s);
}

/* ---- frames ---- */

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t len, void *arg)
{
    UNUSED(flags);
    struct h2_conn *c = arg;
    tell_data(c, false);
    if (c->gone) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    /* The window of the connection is given back at once: what is held is bounded by the windows of the
     * streams, and a stream that is not read can not stop the others. */
    (void)nghttp2_session_consume_connection(session, len);
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);
    if (!s || s->bad || !s->base.ev) {
        (void)nghttp2_session_consume_stream(session, id, len);
        return 0;
    }
    s->held += len;
    c->data_to = s;
    c->data = span_from(data, len);
    return 0;
}

static void take_data_end(struct h2_conn *c, const nghttp2_frame *frame)
{
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (end && !c->data_to) {
        c->data_to = nghttp2_session_get_stream_user_data(c->session, frame->hd.stream_id);
    }
    if (frame->hd.length > frame->data.padlen || end) {
        pay_noise(c);
    } else {
        count_noise(c, LIMIT_empty_frames, c->base.limits->empty_frames);
    }
    tell_data(c, end);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    UNUSED(session);
    struct h2_conn *c = arg;
    if (c->gone) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    c->head_open = false; /* nothing comes within a header block */
    switch (frame->hd.type) {
    case NGHTTP2_DATA:
        take_data_end(c, frame);
        break;
    case NGHTTP2_HEADERS:
        take_head(c, frame);
        break;
    case NGHTTP2_RST_STREAM:
        h2_conn_count_reset(c);
        break;
    case NGHTTP2_SETTINGS:
        count_noise(c, LIMIT_control_frames, c->base.limits->control_frames);
        c->settled = true;
        c->room_told = true;
        break;
    case NGHTTP2_GOAWAY:
        count_noise(c, LIMIT_control_frames, c->base.limits->control_frames);
        c->peer_going = true;
        if (frame->goaway.error_code != NGHTTP2_NO_ERROR) {
            c->base.why = nghttp2_http2_strerror(frame->goaway.error_code);
        }
        break;
    case NGHTTP2_PRIORITY:
        count_noise(c, LIMIT_priority_frames, c->base.limits->priority_frames);
        break;
    case NGHTTP2_WINDOW_UPDATE:
        count_noise(c, LIMIT_window_frames, c->base.limits->window_frames);
        break;
    default: /* PING, unknown */
        count_noise(c, LIMIT_control_frames, c->base.limits->control_frames);
        break;
    }
    return c->gone ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int code,
                            void *arg)
{
    UNUSED(session);
    struct h2_conn *c = arg;
    if (!c->gone) {
        c->head_open = c->head_open && frame->hd.type != NGHTTP2_HEADERS;
        c->base.why = nghttp2_strerror(code);
        c->bad_told = true;
        http_conn_tell_bad(&c->base, 0, c->base.why);
    }
    return c->gone ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
    struct h2_conn *c = arg;
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);
    if (!s || c->gone) {
        return 0;
    }
    if (c->data_to == s) {
        tell_data(c, false);
    }
    bool ended = s->in_end && (c->base.server ? s->out_end : !s->opaque || s->out_end);
    enum http_reset why = s->why;
    if (why == HTTP_RESET_NONE && !(ended && code == NGHTTP2_NO_ERROR)) {
        bool early = c->base.server && s->out_end && code == NGHTTP2_NO_ERROR;
        bool unsent = !c->base.server && !s->sent;
        why = early ? HTTP_RESET_NONE : unsent ? HTTP_RESET_REFUSED : reset_of(code);
    }
    h2_conn_stream_closed(c, s, why);
    return 0;
}

void h2_recv_callbacks(nghttp2_session_callbacks *set)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(set, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(set, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(set, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(set, on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(set, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(set, on_frame_recv);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(set, on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(set, on_stream_close);
}

void h2_recv_bytes(struct h2_conn *c, struct span bytes)
{
    c->in_session = true;
    nghttp2_ssize n = nghttp2_session_mem_recv2(c->session, (const uint8_t *)bytes.at, bytes.len);
    if (!c->gone) {
        tell_data(c, false);
    }
    c->in_session = false;
    if (c->gone || n >= 0 || c->end_why == HTTP_RESET_LIMIT) { /* GOAWAY is on its way */
        return;
    }
    bool flooded = n == NGHTTP2_ERR_FLOODED;
    if ((flooded || n == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS) && buf_len(&c->out) == 0) {
        h2_conn_calm(c, flooded ? LIMIT_control_queue : LIMIT_continuations,
                     nghttp2_strerror((int)n));
        return;
    }
    c->base.why = nghttp2_strerror((int)n);
    c->base.broke = flooded ? LIMIT_control_queue : LIMIT_NONE;
    http_conn_tell_bad(&c->base, 0, c->base.why);
    if (!c->gone) {
        h2_conn_end(c, flooded ? HTTP_RESET_LIMIT : HTTP_RESET_PROTO, false);
    }
}

void h2_recv(struct h2_conn *c)
{
    char *room = loop_read_buffer(c->base.loop, 0);
    ssize_t n = io_read(c->base.io, room, LOOP_READ_BYTES);
    if (n == -EAGAIN) {
        return;
    }
    if (c->lingering) {
        c->linger_bytes += n > 0 ? n : 0;
        if (n <= 0 || c->linger_bytes > LINGER_BYTES) {
            h2_conn_end(c, c->end_why, false);
        }
    } else if (n > 0) {
        c->heard_ms = loop_now_ms(c->base.loop);
        c->pinged = false;
        h2_recv_bytes(c, span_from(room, (size_t)n));
    } else {
        bool idle = n == 0 && c->stream_count == 0;
        h2_conn_end(c, idle ? HTTP_RESET_NONE : HTTP_RESET_PEER, false);
    }
}
