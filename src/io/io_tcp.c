/* The bottom of most stacks: a connected socket. One system call a read or write, and no memory beside
 * the struct itself.
 * In: readiness from loop.c.  Out: the owner's on_event.  Next: tls/io_tls.c, or the owner. */
#include "io/io.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/io_tcp_int.h"
#include "io/sockopt.h"

struct io_tcp {
    struct io io;
    struct loop_fd fd;
};

static struct io_tcp *of(const struct io *io)
{
    return container_of(io, struct io_tcp, io);
}

static int code_of(int error)
{
    return error == ECONNRESET || error == EPIPE ? -ERR_RESET : -error;
}

ssize_t io_tcp_read(struct io *io, char *to, size_t room)
{
    for (;;) {
        ssize_t n = recv(of(io)->fd.fd, to, room, 0);
        if (n >= 0) {
            return n;
        }
        if (errno != EINTR) {
            return code_of(errno);
        }
    }
}

ssize_t io_tcp_writev(struct io *io, const struct iovec *v, int n)
{
    const struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)v,
                                   .msg_iovlen = (size_t)n};
    for (;;) {
        ssize_t sent = n == 1 ? send(of(io)->fd.fd, v->iov_base, v->iov_len, MSG_NOSIGNAL)
                              : sendmsg(of(io)->fd.fd, &message, MSG_NOSIGNAL);
        if (sent >= 0) {
            return sent;
        }
        if (errno != EINTR) {
            return code_of(errno);
        }
    }
}

int io_tcp_shut(struct io *io)
{
    if (shutdown(of(io)->fd.fd, SHUT_WR) == 0) {
        return 0;
    }
    return errno == ENOTCONN ? -ERR_RESET : -errno; /* reset while nobody looked */
}

void io_tcp_watch(struct io *io, unsigned events)
{
    loop_fd_watch(&of(io)->fd, events);
}

bool io_tcp_pending(const struct io *io)
{
    UNUSED(io);
    return false; /* the kernel announces what it holds */
}

bool io_tcp_due(const struct io *io)
{
    return loop_fd_is_due(&of(io)->fd);
}

int io_tcp_fd(const struct io *io)
{
    return of(io)->fd.fd;
}

void io_tcp_close(struct io *io)
{
    struct io_tcp *tcp = of(io);
    loop_fd_dispose(&tcp->fd);
    (void)close(tcp->fd.fd); /* nothing is left to do about a failure */
    loop_bury(io->loop, mem_free, tcp);
}

void io_tcp_reset(struct io *io)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    /* Fails on what is already reset only. */
    (void)setsockopt(of(io)->fd.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static void on_fd(struct loop_fd *fd, unsigned events)
{
    struct io_tcp *tcp = container_of(fd, struct io_tcp, fd);
    io_tell(&tcp->io, events);
}

struct io *io_tcp_new_take(struct loop *loop, int fd, const struct io_ops *ops)
{
    struct io_tcp *tcp = mem_new(struct io_tcp);
    io_init(&tcp->io, ops, loop);
    loop_fd_init(&tcp->fd, loop, fd, on_fd);
    return &tcp->io;
}

static const struct io_ops tcp_ops = {
    .name = "tcp",
    .read = io_tcp_read,
    .writev = io_tcp_writev,
    .shut = io_tcp_shut,
    .watch = io_tcp_watch,
    .pending = io_tcp_pending,
    .due = io_tcp_due,
    .fd = io_tcp_fd,
    .close = io_tcp_close,
    .reset = io_tcp_reset,
};

struct io *io_tcp_take(struct loop *loop, int fd)
{
    sockopt_nodelay(fd);
    return io_tcp_new_take(loop, fd, &tcp_ops);
}
