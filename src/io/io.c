/* What all byte streams share: telling the owner, pending bytes, closing. */
#include "io/io.h"

static void on_ready(struct loop_task *task)
{
    struct io *io = container_of(task, struct io, ready);
    if (io->ops->pending(io)) {
        io_tell(io, IO_READ);
    }
}

/* Bytes that no descriptor announces are told in the loop's next ready phase. */
static void note_pending(struct io *io)
{
    if ((io->watched & IO_READ) != 0 && io->ops->pending(io)) {
        loop_ready_add(io->loop, &io->ready);
    }
}

void io_init(struct io *io, const struct io_ops *ops, struct loop *loop)
{
    *io = (struct io){.ops = ops, .loop = loop};
    loop_task_init(&io->ready, on_ready);
}

void io_tell(struct io *io, unsigned events)
{
    events &= io->watched;
    if (events == 0) {
        return;
    }
    DEBUG_ASSERT(!io->closed && io->on_event != NULL);
    io->on_event(io->arg, events);
    note_pending(io); /* watches nothing when it was closed meanwhile */
}

void io_set_owner(struct io *io, io_on_event on_event, void *arg)
{
    ASSERT(!io->closed);
    io->on_event = on_event;
    io->arg = arg;
}

void io_watch(struct io *io, unsigned events)
{
    ASSERT(!io->closed && (events == 0 || io->on_event != NULL));
    io->watched = events;
    io->ops->watch(io, events);
    note_pending(io);
}

ssize_t io_write(struct io *io, const void *from, size_t len)
{
    const struct iovec part = {(void *)(uintptr_t)from, len};
    return io->ops->writev(io, &part, 1);
}

void io_close(struct io *io)
{
    if (io == NULL) {
        return;
    }
    ASSERT(!io->closed);
    io->closed = true;
    io->watched = 0;
    io->on_event = NULL;
    loop_task_cancel(&io->ready);
    io->ops->close(io);
}

void io_abort(struct io *io)
{
    if (io == NULL) {
        return;
    }
    struct io *bottom = io_bottom(io);
    if (bottom->ops->reset != NULL) {
        bottom->ops->reset(bottom);
    }
    io_close(io);
}

bool io_is_due(const struct io *io)
{
    while (io->lower != NULL) {
        io = io->lower;
    }
    return io->ops->due != NULL && io->ops->due(io);
}

struct io *io_bottom(struct io *io)
{
    while (io->lower != NULL) {
        io = io->lower;
    }
    return io;
}
