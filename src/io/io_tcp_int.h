#ifndef IO_TCP_INT_H
#define IO_TCP_INT_H
/* A stream on a socket, for io_tcp.c and io_unix.c, which differ in name and options only. */
#include "io/io.h"

struct io *io_tcp_new_take(struct loop *loop, int fd, const struct io_ops *ops);
ssize_t io_tcp_read(struct io *io, char *to, size_t room);
ssize_t io_tcp_writev(struct io *io, const struct iovec *v, int n);
int io_tcp_shut(struct io *io);
void io_tcp_watch(struct io *io, unsigned events);
bool io_tcp_pending(const struct io *io);
bool io_tcp_due(const struct io *io);
int io_tcp_fd(const struct io *io);
void io_tcp_close(struct io *io);
void io_tcp_reset(struct io *io);
#endif
