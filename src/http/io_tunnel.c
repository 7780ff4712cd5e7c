/* A byte stream over an opaque HTTP exchange: see io_tunnel.h.
 *
 *   OPEN --close in order--> LINGERING (what was written leaves) --> gone
 *     |  stream's on_close: what came is still read, then 0 or -ERR_RESET; writes fail
 * In: stream events. Out: bytes for the owner. Next: what the owner does with them. */
#include "http/io_tunnel.h"

#include "base/buf.h"
#include "base/mem.h"
#include "io/deadline.h"
#include "tls/io_tls.h"

#define HELD_MAX (16u << 20) /* far above any window that we announce */
#define QUEUE_BYTES 65536u   /* a window of the peer */
#define LINGER_MS 30000
#define PIECE_BYTES 4095u /* h2_send copies what is shorter than its DIRECT_BYTES */

struct io_tunnel {
    struct io io;
    struct http_stream *stream; /* NULL after its on_close, or our reset */
    struct buf in;              /* told and not yet read */
    int end_code;               /* what is read after `in`: 0, or why it was cut off */
    bool in_ended;
    bool out_ended;
    bool resets;            /* the close to come is a reset */
    struct deadline linger; /* after close */
    struct tls_peer *below; /* a copy, in `texts`; NULL = plain */
    struct arena texts;
};

static struct io_tunnel *of(const struct io *io)
{
    return container_of((uintptr_t)io, struct io_tunnel, io);
}

/* ---- readiness ---- */

static unsigned ready_events(const struct io_tunnel *t)
{
    unsigned events = 0;
    if (buf_len(&t->in) > 0 || t->in_ended) {
        events |= IO_READ;
    }
    if (t->stream == NULL || http_stream_queued(t->stream) < QUEUE_BYTES) {
        events |= IO_WRITE;
    }
    return events;
}

static void note_ready(struct io_tunnel *t)
{
    if ((ready_events(t) & t->io.watched) != 0) {
        loop_ready_add(t->io.loop, &t->io.ready);
    }
}

static void on_ready(struct loop_task *task)
{
    struct io_tunnel *t = of(container_of(task, struct io, ready));
    io_tell(&t->io, ready_events(t));
    if (!t->io.closed) {
        note_ready(t);
    }
}

/* ---- the end ---- */

static void tunnel_free(void *obj)
{
    struct io_tunnel *t = obj;
    buf_dispose(&t->in);
    arena_dispose(&t->texts);
    mem_free(t);
}

static void bury(struct io_tunnel *t)
{
    deadline_disarm(&t->linger);
    loop_bury(t->io.loop, tunnel_free, t);
}

static void reset(struct io_tunnel *t)
{
    struct http_stream *s = t->stream;
    t->stream = NULL;
    if (s != NULL) {
        http_stream_reset(s, HTTP_RESET_PEER);
    }
}

static void on_linger(struct deadline *d)
{
    struct io_tunnel *t = container_of(d, struct io_tunnel, linger);
    reset(t);
    bury(t);
}

/* ---- the stream's events ---- */

static void end_input(struct io_tunnel *t, int code)
{
    if (!t->in_ended) {
        t->in_ended = true;
        t->end_code = code;
    }
}

static void on_head(void *arg, struct head *head, bool end)
{
    struct io_tunnel *t = arg;
    UNUSED(head);
    if (end) {
        end_input(t, 0);
        note_ready(t);
    }
}

static void on_data(void *arg, struct span data, bool end)
{
    struct io_tunnel *t = arg;
    if (t->io.closed) { /* nobody reads any more: as a closed socket answers */
        http_stream_consume(t->stream, data.len);
        if (!end && http_stream_queued(t->stream) == 0) {
            reset(t);
            bury(t);
        }
        return;
    }
    if (buf_append_span(&t->in, data) != 0) {
        end_input(t, -ERR_LIMIT); /* the connection below did not keep to its windows */
    }
    if (end) {
        end_input(t, 0);
    }
    note_ready(t);
}

static void on_drained(void *arg)
{
    struct io_tunnel *t = arg;
    if (!t->io.closed) {
        note_ready(t);
    }
}

static void on_close(void *arg, enum http_reset why)
{
    struct io_tunnel *t = arg;
    UNUSED(why); /* what ended in order has told so */
    t->stream = NULL;
    if (t->io.closed) {
        bury(t);
        return;
    }
    end_input(t, -ERR_RESET);
    note_ready(t);
}

static const struct http_stream_events tunnel_events = {
    .on_head = on_head,
    .on_data = on_data,
    .on_drained = on_drained,
    .on_close = on_close,
};

/* ---- ops ---- */

static ssize_t tunnel_read(struct io *io, char *to, size_t room)
{
    struct io_tunnel *t = of(io);
    struct span have = span_first(buf_span(&t->in), room);
    if (have.len == 0 || have.at == NULL) {
        return t->in_ended ? t->end_code : -EAGAIN;
    }
    memcpy(to, have.at, have.len);
    buf_consume(&t->in, have.len);
    if (buf_len(&t->in) == 0) {
        buf_release(&t->in);
    }
    if (t->stream != NULL) {
        http_stream_consume(t->stream, have.len);
    }
    return (ssize_t)have.len;
}

/* TLS in the tunnel lends bytes in the buffer that TLS below will write to: such ones must be copied first. */
static bool is_sealed(struct loop *loop, const char *at)
{
    const char *buffer = loop_read_buffer(loop, 1);
    return at >= buffer && at < buffer + LOOP_READ_BYTES + LOOP_SEAL_BYTES;
}

static int send_part(struct io_tunnel *t, struct span part)
{
    bool sealed = is_sealed(t->io.loop, part.at);
    int code = 0;
    while (part.len > 0 && code == 0 && t->stream != NULL) {
        struct span piece = sealed ? span_first(part, PIECE_BYTES) : part;
        code = http_stream_data(t->stream, piece, false);
        part = span_from_offset(part, piece.len);
    }
    return code;
}

static ssize_t tunnel_writev(struct io *io, const struct iovec *v, int n)
{
    struct io_tunnel *t = of(io);
    size_t taken = 0;
    if (t->stream == NULL || t->out_ended) {
        return -ERR_RESET;
    }
    for (int i = 0; i < n; i++) {
        size_t queued = http_stream_queued(t->stream);
        size_t room = queued < QUEUE_BYTES ? QUEUE_BYTES - queued : 0;
        size_t len = size_min(v[i].iov_len, room);
        if (len == 0) {
            if (v[i].iov_len == 0) {
                continue;
            }
            break;
        }
        if (send_part(t, span_from(v[i].iov_base, len)) != 0 || t->stream == NULL) {
            return -ERR_RESET;
        }
        taken += len;
        if (len < v[i].iov_len) {
            break;
        }
    }
    size_t wanted = 0;
    for (int i = 0; i < n && taken == 0; i++) {
        wanted += v[i].iov_len;
    }
    return taken == 0 && wanted > 0 ? -EAGAIN : (ssize_t)taken;
}

static int tunnel_shut(struct io *io)
{
    struct io_tunnel *t = of(io);
    if (t->out_ended) {
        return 0;
    }
    if (t->stream == NULL) {
        return -ERR_RESET;
    }
    t->out_ended = true;
    return http_stream_data(t->stream, SPAN_EMPTY, true) == 0 ? 0 : -ERR_RESET;
}

static void tunnel_watch(struct io *io, unsigned events)
{
    UNUSED(events); /* already in io->watched */
    note_ready(of(io));
}

static bool tunnel_pending(const struct io *io)
{
    return (ready_events(of(io)) & IO_READ) != 0;
}

static int tunnel_fd(const struct io *io)
{
    UNUSED(io);
    return -1;
}

/* As a socket: what was written still leaves; bytes that nobody has read mean a reset. */
static void tunnel_close(struct io *io)
{
    struct io_tunnel *t = of(io);
    bool lost = t->resets || buf_len(&t->in) > 0;
    if (t->stream != NULL && !lost && tunnel_shut(io) == 0) {
        deadline_arm(&t->linger, io->loop, LINGER_MS);
        return; /* on_close or on_linger ends it */
    }
    reset(t);
    bury(t);
}

static void tunnel_reset(struct io *io)
{
    of(io)->resets = true;
}

const struct io_ops io_tunnel_ops = {
    .name = "tunnel",
    .read = tunnel_read,
    .writev = tunnel_writev,
    .shut = tunnel_shut,
    .watch = tunnel_watch,
    .pending = tunnel_pending,
    .fd = tunnel_fd,
    .close = tunnel_close,
    .reset = tunnel_reset,
};

/* ---- start ---- */

/* The stream's connection may end before the tunnel's bytes are read: their sender is kept with them. */
static void keep_peer(struct io_tunnel *t, const struct tls_peer *from)
{
    t->below = arena_new(&t->texts, struct tls_peer);
    *t->below = *from;
    t->below->spiffe_id = arena_dup(&t->texts, from->spiffe_id);
    t->below->dns_san = arena_dup(&t->texts, from->dns_san);
    t->below->subject = arena_dup(&t->texts, from->subject);
    t->below->serial = arena_dup(&t->texts, from->serial);
    t->below->alpn = arena_dup(&t->texts, from->alpn);
    t->below->sni = arena_dup(&t->texts, from->sni);
}

struct io *io_tunnel_take(struct http_stream *s, const struct addr *peer, const struct addr *local)
{
    struct io *carrier = http_conn_io(http_stream_conn(s));
    struct io_tunnel *t = mem_new(struct io_tunnel);
    io_init(&t->io, &io_tunnel_ops, carrier->loop);
    loop_task_init(&t->io.ready, on_ready);
    deadline_init(&t->linger, on_linger);
    buf_init(&t->in, HELD_MAX);
    arena_init(&t->texts, 512);
    t->io.peer = *peer;
    t->io.local = *local;
    t->stream = s;
    if (io_is_tls(carrier)) {
        keep_peer(t, io_tls_peer(carrier));
    } else if (io_is_tunnel(carrier) && io_tunnel_peer(carrier) != NULL) {
        keep_peer(t, io_tunnel_peer(carrier));
    }
    http_stream_set_events(s, &tunnel_events, t);
    return &t->io;
}

const struct tls_peer *io_tunnel_peer(const struct io *io)
{
    ASSERT(io_is_tunnel(io));
    return of(io)->below;
}
