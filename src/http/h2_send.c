/* HTTP/2: frames out.
 * In: calls of the owner. Out: frames of all streams of a turn in one writev; bodies are not copied on the
 * way when they can leave at once. Next: the socket; what it refuses waits in `out`. */
#include "base/err.h"
#include "base/mem.h"
#include "http/h2_conn_int.h"

#define GATHER_BYTES 16384 /* frame headers and small frames of one writev */
#define GATHER_PIECES 64
#define DIRECT_BYTES 4096u     /* bodies from this size leave in the call, without a copy */
#define QUEUE_MAX (256u << 20) /* far above what an owner that waits for on_drained ever queues */

/* One writev in the making: pieces point into `bytes` or into bodies. */
struct h2_gather {
    struct iovec v[GATHER_PIECES];
    int count;
    size_t used;
    bool blocked; /* the socket refused something */
    char bytes[GATHER_BYTES];
};

static void keep_rest(struct h2_conn *c, const struct iovec *v, int count)
{
    for (; count > 0; v++, count--) {
        if (buf_append(&c->out, v->iov_base, v->iov_len) != 0) {
            h2_conn_end(c, HTTP_RESET_LIMIT, true);
        }
    }
}

/* Takes `n` written bytes off the front; how many pieces are through. */
static int skip_written(struct iovec *v, int count, size_t n)
{
    int done = 0;
    while (done < count && n >= v[done].iov_len) {
        n -= v[done].iov_len;
        done++;
    }
    if (done < count) {
        v[done].iov_base = (char *)v[done].iov_base + n;
        v[done].iov_len -= n;
    }
    return done;
}

static void gather_write(struct h2_conn *c)
{
    struct h2_gather *g = c->gather;
    struct iovec *v = g->v;
    int count = g->count;
    while (count > 0 && !g->blocked) {
        ssize_t n = io_writev(c->base.io, v, count);
        if (n == -EAGAIN || n == 0) {
            g->blocked = true;
        } else if (n < 0) {
            g->blocked = true;
            count = 0;
            h2_conn_end(c, HTTP_RESET_PEER, false);
        } else {
            int done = skip_written(v, count, (size_t)n);
            v += done;
            count -= done;
        }
    }
    if (count > 0) {
        c->wrote_ms = loop_now_ms(c->base.loop);
        keep_rest(c, v, count);
    }
    g->count = 0;
    g->used = 0;
}

static void gather_piece(struct h2_gather *g, const void *at, size_t len)
{
    struct iovec *last = g->count > 0 ? &g->v[g->count - 1] : NULL;
    if (last && (char *)last->iov_base + last->iov_len == at) {
        last->iov_len += len;
        return;
    }
    g->v[g->count++] = (struct iovec){.iov_base = (void *)(uintptr_t)at, .iov_len = len};
}

static void gather_copy(struct h2_gather *g, const void *from, size_t len)
{
    char *to = g->bytes + g->used;
    memcpy(to, from, len);
    g->used += len;
    gather_piece(g, to, len);
}

/* Room for a frame of `len` bytes here and two pieces; writes what is there if need be. */
static bool gather_room(struct h2_conn *c, size_t len)
{
    struct h2_gather *g = c->gather;
    if (!g->blocked && (GATHER_BYTES - g->used < len || g->count + 3 > GATHER_PIECES)) {
        gather_write(c);
    }
    return !g->blocked;
}

static nghttp2_ssize on_send(nghttp2_session *session, const uint8_t *data, size_t len, int flags,
                             void *arg)
{
    UNUSED(session);
    UNUSED(flags);
    struct h2_conn *c = arg;
    bool large = len > GATHER_BYTES; /* a head of several KiB: it is valid for this call only */
    if (!gather_room(c, large ? 0 : len)) {
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    if (large) {
        gather_piece(c->gather, data, len);
        gather_write(c);
    } else {
        gather_copy(c->gather, data, len);
    }
    return (nghttp2_ssize)len;
}

/* A DATA frame whose body stays where it is until the writev. */
static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                        size_t len, nghttp2_data_source *source, void *arg)
{
    UNUSED(session);
    UNUSED(frame); /* never padded */
    struct h2_conn *c = arg;
    struct h2_stream *s = source->ptr;
    if (!gather_room(c, 9)) {
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    gather_copy(c->gather, head, 9);
    size_t queued = size_min(buf_len(&s->out), len);
    if (queued > 0) {
        gather_piece(c->gather, buf_span(&s->out).at, queued);
        buf_consume(&s->out, queued); /* the bytes stay: nothing is appended before the writev */
    }
    if (len > queued) {
        gather_piece(c->gather, s->direct.at, len - queued);
        s->direct = span_from_offset(s->direct, len - queued);
    }
    return 0;
}

static nghttp2_ssize on_read(nghttp2_session *session, int32_t id, uint8_t *buf, size_t room,
                             uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    UNUSED(buf);
    UNUSED(arg);
    struct h2_stream *s = source->ptr;
    size_t have = buf_len(&s->out) + s->direct.len;
    if (have == 0 && !s->out_end) {
        return NGHTTP2_ERR_DEFERRED;
    }
    size_t n = size_min(have, room);
    *flags |= n > 0 ? (uint32_t)NGHTTP2_DATA_FLAG_NO_COPY : 0;
    if (n == have && s->out_end) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (s->trailers) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            (void)nghttp2_submit_trailer(session, id, s->trailers,
                                         s->trailer_count); /* no memory = exit */
        }
    }
    return (nghttp2_ssize)n;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct h2_conn *c = arg;
    struct h2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    uint32_t code;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        if (s) {
            s->sent = true;
            c->noise -= c->noise < 4 ? c->noise : 4; /* the peer answers data with WINDOW_UPDATE */
            bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
            if (end && c->base.server && !s->in_end && !s->opaque) {
                /* RFC 9113 section 8.1: an answer before the whole request; the rest is not wanted. */
                (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                                NGHTTP2_NO_ERROR);
            }
        }
        break;
    case NGHTTP2_RST_STREAM:
        code = frame->rst_stream.error_code;
        if (code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_FLOW_CONTROL_ERROR ||
            code == NGHTTP2_STREAM_CLOSED || code == NGHTTP2_FRAME_SIZE_ERROR) {
            h2_conn_count_reset(c); /* provoked: costs us the same as one by the peer */
        }
        break;
    case NGHTTP2_GOAWAY:
        if (frame->goaway.error_code != NGHTTP2_NO_ERROR && c->end_why == HTTP_RESET_NONE) {
            c->end_why = frame->goaway.error_code == NGHTTP2_ENHANCE_YOUR_CALM ? HTTP_RESET_LIMIT
                                                                               : HTTP_RESET_PROTO;
            c->bad_owed = true;
            c->base.why =
                c->base.why ? c->base.why : nghttp2_http2_strerror(frame->goaway.error_code);
        }
        break;
    default:
        break;
    }
    return 0;
}

void h2_send_callbacks(nghttp2_session_callbacks *set)
{
    nghttp2_session_callbacks_set_send_callback2(set, on_send);
    nghttp2_session_callbacks_set_send_data_callback(set, on_send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(set, on_frame_send);
}

static bool flush_out(struct h2_conn *c)
{
    while (buf_len(&c->out) > 0) {
        struct span left = buf_span(&c->out);
        ssize_t n = io_write(c->base.io, left.at, left.len);
        if (n == -EAGAIN || n == 0) {
            return false;
        }
        if (n < 0) {
            buf_reset(&c->out);
            h2_conn_end(c, HTTP_RESET_PEER, false);
            return false;
        }
        buf_consume(&c->out, (size_t)n);
        c->wrote_ms = loop_now_ms(c->base.loop);
    }
    buf_release(&c->out);
    return true;
}

void h2_send_flush(struct h2_conn *c)
{
    if (c->gone || c->in_session || !flush_out(c)) {
        return;
    }
    struct h2_gather gather;
    gather.count = 0;
    gather.used = 0;
    gather.blocked = false;
    c->gather = &gather;
    c->in_session = true;
    int code = nghttp2_session_send(c->session);
    gather_write(c);
    c->in_session = false;
    c->gather = NULL;
    if (code != 0) {
        c->base.why = nghttp2_strerror(code);
        h2_conn_end(c, code == NGHTTP2_ERR_FLOODED ? HTTP_RESET_LIMIT : HTTP_RESET_LOCAL, true);
    }
}

/* ---- calls ---- */

#define NV_MAX (HEAD_FIELDS_MAX + 6)

static nghttp2_nv nv_of(struct span name, struct span value)
{
    return (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name.at,
        .namelen = name.len,
        .value = (uint8_t *)(uintptr_t)value.at,
        .valuelen = value.len,
        .flags = NGHTTP2_NV_FLAG_NONE, /* copied, and names made lower case, by nghttp2 */
    };
}

static size_t put_fields(nghttp2_nv *nv, const struct head *h)
{
    for (size_t i = 0; i < h->count; i++) {
        nv[i] = nv_of(h->fields[i].name, h->fields[i].value);
    }
    return h->count;
}

/* `number` has room for the decimal digits that an nv points to. */
static struct span decimal(char *number, size_t room, uint64_t n)
{
    size_t i = room;
    do {
        number[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return span_from(number + i, room - i);
}

static bool is_writable(const struct h2_conn *c, const struct h2_stream *s)
{
    return !c->gone && !c->ending && !s->closed;
}

static const nghttp2_data_provider2 *provider_of(struct h2_stream *s, nghttp2_data_provider2 *room)
{
    room->source.ptr = s;
    room->read_callback = on_read;
    return room;
}

static int submit_request(struct h2_conn *c, struct h2_stream *s, const struct head *h, bool end)
{
    nghttp2_nv nv[NV_MAX];
    nghttp2_data_provider2 provider;
    char number[20];
    size_t n = 0;
    if (s->id != 0) {
        return -ERR_PROTO;
    }
    s->asked = h->method_id;
    nv[n++] = nv_of(SPAN(":method"), h->method);
    if (h->method_id != METHOD_CONNECT) {
        nv[n++] = nv_of(SPAN(":scheme"), h->scheme.len > 0 ? h->scheme : c->base.scheme);
        nv[n++] = nv_of(SPAN(":path"), h->path);
    }
    nv[n++] = nv_of(SPAN(":authority"), h->authority);
    if (h->content_length >= 0 && h->method_id != METHOD_CONNECT) {
        struct span length = decimal(number, sizeof(number), (uint64_t)h->content_length);
        nv[n++] = nv_of(SPAN("content-length"), length);
    }
    n += put_fields(nv + n, h);
    s->out_end = end;
    s->head_out = true;
    s->id =
        nghttp2_submit_request2(c->session, NULL, nv, n, end ? NULL : provider_of(s, &provider), s);
    if (s->id < 0) { /* no more ids, or a GOAWAY between */
        s->id = 0;
        h2_conn_stream_closed(c, s, HTTP_RESET_REFUSED);
        return -EPIPE;
    }
    c->base.served++;
    return 0;
}

static int submit_response(struct h2_conn *c, struct h2_stream *s, const struct head *h, bool end)
{
    nghttp2_nv nv[NV_MAX];
    nghttp2_data_provider2 provider;
    char status[20];
    char number[20];
    size_t n = 0;
    bool interim = h->status < 200;
    if (s->head_out || h->status == 101) { /* RFC 9113 section 8.6: no 101 in HTTP/2 */
        return -ERR_PROTO;
    }
    nv[n++] = nv_of(SPAN(":status"), decimal(status, sizeof(status), h->status));
    if (h->content_length >= 0 && !interim && !s->opaque && h->status != 204) {
        struct span length = decimal(number, sizeof(number), (uint64_t)h->content_length);
        nv[n++] = nv_of(SPAN("content-length"), length);
    }
    n += put_fields(nv + n, h);
    if (interim) {
        int code = nghttp2_submit_headers(c->session, NGHTTP2_FLAG_NONE, s->id, NULL, nv, n, NULL);
        return code == 0 ? 0 : -ERR_PROTO;
    }
    s->head_out = true;
    s->opaque = s->opaque && h->status < 300;
    s->empty_out = s->asked == METHOD_HEAD || h->status == 204 || h->status == 304;
    s->out_end = end || s->empty_out;
    bool body = !s->out_end;
    int code =
        nghttp2_submit_response2(c->session, s->id, nv, n, body ? provider_of(s, &provider) : NULL);
    return code == 0 ? 0 : -ERR_PROTO;
}

int h2_send_head(struct http_stream *base, const struct head *head, bool end)
{
    struct h2_conn *c = h2_of(base->conn);
    struct h2_stream *s = h2_stream_of(base);
    if (!is_writable(c, s)) {
        return -EPIPE;
    }
    if (head->upgrade.len > 0) {
        return -ERR_PROTO;
    }
    int code = c->base.server ? submit_response(c, s, head, end) : submit_request(c, s, head, end);
    h2_conn_kick(c);
    return code;
}

/* Lets nghttp2 ask for the body again. */
static void resume(struct h2_conn *c, struct h2_stream *s)
{
    if (s->id != 0) {
        (void)nghttp2_session_resume_data(c->session, s->id); /* fails when it was not deferred */
    }
    h2_conn_kick(c);
}

int h2_send_data(struct http_stream *base, struct span data, bool end)
{
    struct h2_conn *c = h2_of(base->conn);
    struct h2_stream *s = h2_stream_of(base);
    if (!is_writable(c, s)) {
        return -EPIPE;
    }
    if (s->empty_out) {
        return 0;
    }
    if (!s->head_out || s->out_end) {
        return -ERR_PROTO;
    }
    s->out_end = end;
    if (data.len >= DIRECT_BYTES && buf_len(&c->out) == 0 && !c->in_session) {
        s->direct = data;
        resume(c, s);
        h2_send_flush(c);
        data = s->direct; /* what the windows or the socket did not let go */
        s->direct = SPAN_EMPTY;
    } else {
        resume(c, s);
    }
    if (data.len > 0 && !s->closed) {
        if (buf_append_span(&s->out, data) != 0) {
            h2_conn_end(c, HTTP_RESET_LIMIT, true);
            return -EPIPE;
        }
        if (!list_is_linked(&s->queued_node)) {
            list_push_back(&c->queued, &s->queued_node);
        }
    }
    return c->ending ? -EPIPE : 0;
}

int h2_send_trailers(struct http_stream *base, const struct head *trailers)
{
    struct h2_conn *c = h2_of(base->conn);
    struct h2_stream *s = h2_stream_of(base);
    if (trailers->count == 0 || s->empty_out || !is_writable(c, s)) {
        return h2_send_data(base, SPAN_EMPTY, true);
    }
    if (!s->head_out || s->out_end) {
        return -ERR_PROTO;
    }
    s->trailers = arena_array(&base->arena, trailers->count, sizeof(*s->trailers));
    for (size_t i = 0; i < trailers->count; i++) { /* lent to us for this call only */
        s->trailers[i] = nv_of(arena_dup(&base->arena, trailers->fields[i].name),
                               arena_dup(&base->arena, trailers->fields[i].value));
    }
    s->trailer_count = trailers->count;
    s->out_end = true;
    resume(c, s);
    return 0;
}

size_t h2_send_queued(const struct http_stream *base)
{
    return buf_len(&container_of(base, const struct h2_stream, base)->out);
}
