/* Two ends joined by memory, for tests and simulations: they behave as sockets do (level-triggered, bounded,
 * half-close, reset), through the loop's ready phase instead of a descriptor. */
#include "io/io.h"

#include "base/buf.h"
#include "base/mem.h"

struct io_mem {
    struct io io;
    struct io_mem *other; /* NULL once that end is closed */
    struct buf in;        /* what the other end wrote */
    size_t room;          /* of `in` */
    bool in_ended;        /* nothing more comes into `in` ... */
    int end_code;         /* ... and this is read then: 0, or why it was cut off */
    bool out_ended;
    bool resets; /* the close to come is a reset */
    int broken;  /* by io_mem_break */
};

static struct io_mem *of(const struct io *io)
{
    return container_of(io, struct io_mem, io);
}

static unsigned ready_events(const struct io_mem *m)
{
    unsigned events = 0;
    if (m->broken != 0 || buf_len(&m->in) > 0 || m->in_ended) {
        events |= IO_READ;
    }
    if (m->broken != 0 || m->other == NULL || buf_len(&m->other->in) < m->other->room) {
        events |= IO_WRITE;
    }
    return events;
}

static void note_ready(struct io_mem *m)
{
    if ((ready_events(m) & m->io.watched) != 0) {
        loop_ready_add(m->io.loop, &m->io.ready);
    }
}

static void on_ready(struct loop_task *task)
{
    struct io_mem *m = of(container_of(task, struct io, ready));
    io_tell(&m->io, ready_events(m));
    if (!m->io.closed) {
        note_ready(m);
    }
}

static ssize_t mem_read(struct io *io, char *to, size_t room)
{
    struct io_mem *m = of(io);
    if (m->broken != 0) {
        return m->broken;
    }
    struct span have = buf_span(&m->in);
    if (have.at == NULL || have.len == 0) {
        return m->in_ended ? m->end_code : -EAGAIN;
    }
    size_t n = size_min(have.len, room);
    memcpy(to, have.at, n);
    buf_consume(&m->in, n);
    if (m->other != NULL) {
        note_ready(m->other);
    }
    return (ssize_t)n;
}

static ssize_t mem_writev(struct io *io, const struct iovec *v, int n)
{
    struct io_mem *m = of(io);
    if (m->broken != 0) {
        return m->broken;
    }
    if (m->other == NULL || m->out_ended) {
        return -ERR_RESET;
    }
    size_t wanted = 0;
    size_t taken = 0;
    for (int i = 0; i < n; i++) {
        size_t part = size_min(v[i].iov_len, m->other->room - buf_len(&m->other->in));
        int code = buf_append(&m->other->in, v[i].iov_base, part);
        ASSERT(code == 0);
        wanted += v[i].iov_len;
        taken += part;
    }
    note_ready(m->other);
    return taken == 0 && wanted > 0 ? -EAGAIN : (ssize_t)taken;
}

/* Nothing more comes into `m`; what is there can still be read, then `code`. */
static void end_input(struct io_mem *m, int code)
{
    if (!m->in_ended || code != 0) {
        m->in_ended = true;
        m->end_code = code;
    }
    note_ready(m);
}

static int mem_shut(struct io *io)
{
    struct io_mem *m = of(io);
    if (m->broken != 0) {
        return m->broken;
    }
    m->out_ended = true;
    if (m->other != NULL) {
        end_input(m->other, 0);
    }
    return 0;
}

static void mem_watch(struct io *io, unsigned events)
{
    UNUSED(events); /* already in io->watched */
    note_ready(of(io));
}

static bool mem_pending(const struct io *io)
{
    return (ready_events(of(io)) & IO_READ) != 0;
}

static int mem_fd(const struct io *io)
{
    UNUSED(io);
    return -1;
}

static void mem_free_end(void *obj)
{
    struct io_mem *m = obj;
    buf_dispose(&m->in);
    mem_free(m);
}

static void mem_close(struct io *io)
{
    struct io_mem *m = of(io);
    if (m->other != NULL) {
        m->other->other = NULL;
        /* As TCP: closing with bytes unread tells the writer that they were lost. */
        end_input(m->other, m->resets || buf_len(&m->in) > 0 ? -ERR_RESET : 0);
    }
    loop_bury(io->loop, mem_free_end, m);
}

static void mem_reset(struct io *io)
{
    of(io)->resets = true;
}

static const struct io_ops mem_ops = {
    .name = "mem",
    .read = mem_read,
    .writev = mem_writev,
    .shut = mem_shut,
    .watch = mem_watch,
    .pending = mem_pending,
    .fd = mem_fd,
    .close = mem_close,
    .reset = mem_reset,
};

static struct io_mem *new_end(struct loop *loop, size_t room)
{
    struct io_mem *m = mem_new(struct io_mem);
    io_init(&m->io, &mem_ops, loop);
    loop_task_init(&m->io.ready, on_ready);
    buf_init(&m->in, room);
    m->room = room;
    return m;
}

void io_mem_pair(struct loop *loop, size_t room, struct io **a, struct io **b)
{
    struct io_mem *first = new_end(loop, room);
    struct io_mem *second = new_end(loop, room);
    first->other = second;
    second->other = first;
    *a = &first->io;
    *b = &second->io;
}

void io_mem_break(struct io *io, int code)
{
    ASSERT(io->ops == &mem_ops && code < 0);
    of(io)->broken = code;
    note_ready(of(io));
}
