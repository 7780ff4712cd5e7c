/* Connecting, with a deadline.
 * In: an address from upstream/endpoint.c.  Out: a stream, or the code of what failed.  Next: io_tcp.c,
 * tls/io_tls.c. */
#include "io/dial.h"

#include <errno.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/deadline.h"

enum {
    TIMEOUT_MS = 10000,
    RETRY_MS = 10, /* a unix listener's queue is full: the kernel does not say when to come again */
};

struct dial {
    struct loop *loop; /* borrowed */
    struct loop_fd fd; /* fd.fd is -1 when the socket could not be made */
    struct addr to;
    struct deadline timeout;
    struct deadline retry;
    struct loop_task answer; /* for what is known at once: the caller has its `dial` by then */
    int code;
    dial_on_done on_done;
    void *arg;
};

/* Ends the dial and gives its descriptor back to who wants it. */
static int finish(struct dial *d)
{
    int fd = d->fd.fd;
    loop_task_cancel(&d->answer);
    deadline_disarm(&d->timeout);
    deadline_disarm(&d->retry);
    if (fd >= 0) {
        loop_fd_dispose(&d->fd);
    }
    loop_bury(d->loop, mem_free, d);
    return fd;
}

static void fail(struct dial *d, int code)
{
    int fd = finish(d);
    if (fd >= 0) {
        (void)close(fd); /* the dial's code is the one to tell */
    }
    d->on_done(d->arg, NULL, code);
}

static void succeed(struct dial *d)
{
    int fd = finish(d);
    struct io *io = d->to.kind == ADDR_UNIX ? io_unix_take(d->loop, fd) : io_tcp_take(d->loop, fd);
    struct sockaddr_storage local;
    socklen_t len = sizeof(local);
    io->peer = d->to;
    if (getsockname(fd, (struct sockaddr *)&local, &len) == 0) {
        addr_from_sockaddr(&io->local, (struct sockaddr *)&local, len);
    }
    d->on_done(d->arg, io, 0);
}

static void on_answer(struct loop_task *task)
{
    struct dial *d = container_of(task, struct dial, answer);
    if (d->code == 0) {
        succeed(d);
    } else {
        fail(d, d->code);
    }
}

static void on_writable(struct loop_fd *fd, unsigned events)
{
    struct dial *d = container_of(fd, struct dial, fd);
    int error = 0;
    socklen_t len = sizeof(error);
    UNUSED(events);
    if (getsockopt(fd->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1) {
        error = errno;
    }
    if (error == 0) {
        succeed(d);
    } else {
        fail(d, -error);
    }
}

static void on_timeout(struct deadline *deadline)
{
    fail(container_of(deadline, struct dial, timeout), -ERR_TIMEOUT);
}

static void connect_now(struct dial *d)
{
    struct sockaddr_storage to;
    socklen_t len = addr_to_sockaddr(&d->to, &to);
    d->code = connect(d->fd.fd, (struct sockaddr *)&to, len) == -1 ? -errno : 0;
    if (d->code == -EINPROGRESS) {
        loop_fd_watch(&d->fd, IO_WRITE);
    } else if (d->code == -EAGAIN && d->to.kind == ADDR_UNIX) {
        deadline_arm(&d->retry, d->loop, RETRY_MS);
    } else {
        loop_task_add(d->loop, &d->answer);
    }
}

static void on_retry(struct deadline *deadline)
{
    connect_now(container_of(deadline, struct dial, retry));
}

static int bind_from(int fd, const struct dial_spec *spec)
{
    struct sockaddr_storage from;
    socklen_t len = addr_to_sockaddr(&spec->from, &from);
    int code = spec->transparent ? sockopt_transparent(fd, spec->from.ip.family == 6) : 0;
    if (code == 0 && spec->from.port == 0) {
        /* The port is chosen at connect, where another destination can share it. */
        const int on = 1;
        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    }
    if (code == 0 && bind(fd, (struct sockaddr *)&from, len) == -1) {
        code = -errno;
    }
    return code;
}

/* A socket ready to connect, or -errno. */
static int open_socket(const struct dial_spec *spec)
{
    struct sockaddr_storage to;
    if (addr_to_sockaddr(&spec->to, &to) == 0) {
        return -EINVAL;
    }
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1) {
        return -errno;
    }
    int code = spec->mark != 0 ? sockopt_mark(fd, spec->mark) : 0;
    if (code == 0 && spec->keepalive != NULL && spec->to.kind == ADDR_IP) {
        code = sockopt_keepalive_set(fd, spec->keepalive);
    }
    if (code == 0 && spec->from.kind == ADDR_IP) {
        code = bind_from(fd, spec);
    }
    if (code != 0) {
        (void)close(fd); /* the option's code is the one to tell */
        return code;
    }
    return fd;
}

struct dial *dial_start(struct loop *loop, const struct dial_spec *spec, dial_on_done on_done,
                        void *arg)
{
    struct dial *d = mem_new(struct dial);
    d->loop = loop;
    d->to = spec->to;
    d->on_done = on_done;
    d->arg = arg;
    deadline_init(&d->timeout, on_timeout);
    deadline_init(&d->retry, on_retry);
    loop_task_init(&d->answer, on_answer);
    int fd = open_socket(spec);
    if (fd < 0) {
        d->fd.fd = -1;
        d->code = fd;
        loop_task_add(loop, &d->answer);
        return d;
    }
    loop_fd_init(&d->fd, loop, fd, on_writable);
    deadline_arm(&d->timeout, loop, spec->timeout_ms > 0 ? spec->timeout_ms : TIMEOUT_MS);
    connect_now(d);
    return d;
}

void dial_cancel(struct dial *d)
{
    int fd = finish(d);
    if (fd >= 0) {
        (void)close(fd); /* nobody waits for it */
    }
}
