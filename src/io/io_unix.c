/* Streams on unix sockets: as TCP, without its options. */
#include "io/io.h"
#include "io/io_tcp_int.h"

static const struct io_ops unix_ops = {
    .name = "unix",
    .read = io_tcp_read,
    .writev = io_tcp_writev,
    .shut = io_tcp_shut,
    .watch = io_tcp_watch,
    .pending = io_tcp_pending,
    .due = io_tcp_due,
    .fd = io_tcp_fd,
    .close = io_tcp_close,
};

struct io *io_unix_take(struct loop *loop, int fd)
{
    return io_tcp_new_take(loop, fd, &unix_ops);
}
