/* Frames of the metadata exchange: see exchange.h.
 *
 *   read:  HEAD --8 bytes, magic--> BODY --all there: on_peer--> OPEN: what is left, then the lower stream's own
 *            | no magic, or the stream ends: on_peer(empty)--------^
 *   write: our frame, then the owner's bytes */
#include "proxy/downstream/exchange.h"

#include "base/buf.h"
#include "base/mem.h"

struct exchange {
    struct io io;
    bool is_open;     /* reading: the frame is off, or there is none */
    struct buf in;    /* while not open: what came; then what came behind the frame */
    struct span left; /* of our frame */
    void (*on_peer)(void *arg, struct span any);
    void *arg;
};

static struct exchange *of(const struct io *io)
{
    return container_of((uintptr_t)io, struct exchange, io);
}

/* ---- reading ---- */

static void open_up(struct exchange *x, struct span any)
{
    x->is_open = true;
    if (x->on_peer != NULL) {
        x->on_peer(x->arg, any);
        x->on_peer = NULL;
    }
}

/* Looks at what came so far. */
static int take_frame(struct exchange *x)
{
    struct span got = buf_span(&x->in);
    ssize_t len = peers_frame_read(got);
    if (len == PEER_MORE) {
        return 0;
    }
    if (len == PEER_BAD) {
        open_up(x, SPAN_EMPTY);
        return 0;
    }
    if (len > PEER_VALUE_MAX) {
        return -ERR_LIMIT;
    }
    size_t whole = PEER_FRAME_HEAD + (size_t)len;
    if (got.len >= whole) {
        open_up(x, span_from(got.at + PEER_FRAME_HEAD, (size_t)len));
        buf_consume(&x->in, whole);
    }
    return 0;
}

static ssize_t hand_out(struct exchange *x, char *to, size_t room)
{
    struct span got = span_first(buf_span(&x->in), room);
    if (got.at != NULL) {
        memcpy(to, got.at, got.len);
        buf_consume(&x->in, got.len);
    }
    if (buf_len(&x->in) == 0) {
        buf_release(&x->in);
    }
    return (ssize_t)got.len;
}

static ssize_t exchange_read(struct io *io, char *to, size_t room)
{
    struct exchange *x = of(io);
    while (UNLIKELY(!x->is_open)) {
        ssize_t n = io_read(io->lower, to, size_min(room, LOOP_READ_BYTES));
        if (n == -EAGAIN) {
            return n;
        }
        if (n <= 0) { /* it ends before it said who it is */
            open_up(x, SPAN_EMPTY);
            return buf_len(&x->in) > 0 ? hand_out(x, to, room) : n;
        }
        int code = buf_append(&x->in, to, (size_t)n);
        code = code ? code : take_frame(x);
        if (code != 0) {
            return code;
        }
    }
    return buf_len(&x->in) > 0 ? hand_out(x, to, room) : io_read(io->lower, to, room);
}

static bool exchange_pending(const struct io *io)
{
    const struct exchange *x = of(io);
    return (x->is_open && buf_len(&x->in) > 0) || io->lower->ops->pending(io->lower);
}

/* ---- writing ---- */

static int send_frame(struct exchange *x)
{
    while (x->left.len > 0) {
        ssize_t n = io_write(x->io.lower, x->left.at, x->left.len);
        if (n < 0) {
            return (int)n;
        }
        x->left = span_from_offset(x->left, (size_t)n);
    }
    return 0;
}

static ssize_t exchange_writev(struct io *io, const struct iovec *v, int n)
{
    int code = send_frame(of(io));
    return code != 0 ? code : io_writev(io->lower, v, n);
}

static int exchange_shut(struct io *io)
{
    int code = send_frame(of(io));
    return code != 0 ? code : io_shut(io->lower);
}

/* ---- the rest of a stream ---- */

static void exchange_watch(struct io *io, unsigned events)
{
    io_watch(io->lower, events | (of(io)->left.len > 0 ? IO_WRITE : 0));
}

static int exchange_fd(const struct io *io)
{
    UNUSED(io);
    return -1;
}

static void exchange_free(void *obj)
{
    struct exchange *x = obj;
    buf_dispose(&x->in);
    mem_free(x);
}

static void exchange_close(struct io *io)
{
    io_close(io->lower);
    io->lower = NULL;
    loop_bury(io->loop, exchange_free, of(io));
}

static const struct io_ops exchange_ops = {
    .name = "exchange",
    .read = exchange_read,
    .writev = exchange_writev,
    .shut = exchange_shut,
    .watch = exchange_watch,
    .pending = exchange_pending,
    .fd = exchange_fd,
    .close = exchange_close,
};

static void on_lower(void *arg, unsigned events)
{
    struct exchange *x = arg;
    if ((events & IO_WRITE) != 0 && x->left.len > 0) {
        int code = send_frame(x); /* a failure is told by the owner's next read or write */
        if (code != -EAGAIN) {
            exchange_watch(&x->io, x->io.watched);
        }
    }
    io_tell(&x->io, events);
}

struct io *exchange_start_take(struct loop *loop, const struct exchange_spec *spec)
{
    struct exchange *x = mem_new(struct exchange);
    io_init(&x->io, &exchange_ops, loop);
    x->io.lower = spec->lower;
    x->io.peer = spec->lower->peer;
    x->io.local = spec->lower->local;
    x->left = spec->frame;
    x->on_peer = spec->on_peer;
    x->arg = spec->arg;
    buf_init(&x->in, PEER_FRAME_HEAD + PEER_VALUE_MAX + LOOP_READ_BYTES);
    io_set_owner(spec->lower, on_lower, x);
    (void)send_frame(x); /* what does not fit goes later */
    exchange_watch(&x->io, 0);
    return &x->io;
}
