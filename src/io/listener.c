/* Accepting sockets.
 * In: connections.  Out: the owner's on_accept, with a stream.  Next: proxy/downstream/entry.c,
 * http/http_server.c. */
#include "io/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/deadline.h"
#include "io/sockopt.h"

enum {
    BACKLOG = 1024,
    BATCH = 32,        /* connections accepted a turn: the ones already open have their share */
    BACK_OFF_MS = 100, /* when descriptors or memory ran out */
    UNIX_MODE = 0600,
};

struct listener {
    struct loop *loop; /* borrowed */
    struct loop_fd fd;
    struct addr addr;
    listener_on_accept on_accept;
    void *arg;
    struct deadline back_off;
    bool is_paused;
    bool is_closed;
    bool is_starved; /* the last accept failed for want of descriptors */
};

static void watch(struct listener *l)
{
    bool on = !l->is_paused && !l->is_closed && !deadline_is_armed(&l->back_off);
    loop_fd_watch(&l->fd, on ? IO_READ : 0);
}

static void on_back_off_over(struct deadline *d)
{
    watch(container_of(d, struct listener, back_off));
}

static void back_off(struct listener *l, int error)
{
    if (!l->is_starved) {
        char text[ADDR_TEXT_BYTES];
        l->is_starved = true;
        log_warn("io", "listener backs off address=%s reason=\"%s\"", addr_format(&l->addr, text),
                 err_name(-error));
    }
    deadline_arm(&l->back_off, l->loop, BACK_OFF_MS);
    watch(l);
}

static bool is_starvation(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Whether to go on after this failure: accept(2) also tells errors of the connection it would give. */
static bool accept_failed(struct listener *l, int error)
{
    if (error == EAGAIN) {
        return false;
    }
    if (is_starvation(error)) {
        back_off(l, error);
        return false;
    }
    return true;
}

static void set_addrs(struct listener *l, struct io *io, int fd,
                      const struct sockaddr_storage *peer, socklen_t peer_len)
{
    addr_from_sockaddr(&io->peer, (const struct sockaddr *)peer, peer_len);
    if (l->addr.kind == ADDR_IP) {
        struct sockaddr_storage local;
        socklen_t len = sizeof(local);
        if (getsockname(fd, (struct sockaddr *)&local, &len) == 0) {
            addr_from_sockaddr(&io->local, (const struct sockaddr *)&local, len);
            return;
        }
    }
    io->local = l->addr;
}

static void on_readable(struct loop_fd *w, unsigned events)
{
    struct listener *l = container_of(w, struct listener, fd);
    UNUSED(events);
    for (int i = 0; i < BATCH && !l->is_closed && !l->is_paused; i++) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof(peer);
        int fd = accept4(w->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd == -1) {
            if (accept_failed(l, errno)) {
                continue;
            }
            return;
        }
        l->is_starved = false;
        struct io *io =
            l->addr.kind == ADDR_UNIX ? io_unix_take(l->loop, fd) : io_tcp_take(l->loop, fd);
        set_addrs(l, io, fd, &peer, len);
        l->on_accept(l->arg, io);
    }
}

/* A socket file that nobody listens on any more is removed; -EADDRINUSE when somebody does. */
static int remove_stale(const struct addr *addr)
{
    struct stat status;
    if (addr->path[0] == '@' || lstat(addr->path, &status) == -1 || !S_ISSOCK(status.st_mode)) {
        return 0; /* what else is in the way, bind will say */
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1) {
        return -errno;
    }
    struct sockaddr_storage to;
    socklen_t len = addr_to_sockaddr(addr, &to);
    bool is_stale = connect(fd, (struct sockaddr *)&to, len) == -1 && errno == ECONNREFUSED;
    (void)close(fd); /* was only to ask */
    if (!is_stale) {
        return -EADDRINUSE;
    }
    return unlink(addr->path) == -1 && errno != ENOENT ? -errno : 0;
}

static int set_on(int fd, int level, int name, bool on)
{
    int value = on;
    return setsockopt(fd, level, name, &value, sizeof(value)) == -1 ? -errno : 0;
}

static int set_options(int fd, const struct listener_spec *spec)
{
    bool v6 = spec->addr.ip.family == 6;
    int code = set_on(fd, SOL_SOCKET, SO_REUSEADDR, true);
    if (code == 0 && spec->reuse_port) {
        code = set_on(fd, SOL_SOCKET, SO_REUSEPORT, true);
    }
    if (code == 0 && v6) {
        code = set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY, spec->v6_only);
    }
    if (code == 0 && spec->transparent) {
        code = sockopt_transparent(fd, v6);
        if (code == 0 && v6 && !spec->v6_only) {
            code = sockopt_transparent(fd, false);
        }
    }
    return code;
}

static int bind_unix(int fd, const struct listener_spec *spec, const struct sockaddr_storage *at,
                     socklen_t len)
{
    mode_t mode = spec->unix_mode != 0 ? spec->unix_mode : UNIX_MODE;
    bool has_file = spec->addr.path[0] != '@';
    int code = remove_stale(&spec->addr);
    if (code != 0) {
        return code;
    }
    /* The new file takes its mode from the socket (less the umask): never open wider, not for a moment. */
    if ((has_file && fchmod(fd, mode) == -1) || bind(fd, (const struct sockaddr *)at, len) == -1 ||
        (has_file && chmod(spec->addr.path, mode) == -1)) {
        return -errno;
    }
    return 0;
}

/* A bound, listening, non-blocking socket, or -errno. */
static int open_socket(const struct listener_spec *spec)
{
    struct sockaddr_storage at;
    socklen_t len = addr_to_sockaddr(&spec->addr, &at);
    if (len == 0) {
        return -EINVAL;
    }
    int fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1) {
        return -errno;
    }
    int code = 0;
    if (spec->addr.kind == ADDR_UNIX) {
        code = bind_unix(fd, spec, &at, len);
    } else {
        code = set_options(fd, spec);
        if (code == 0 && bind(fd, (struct sockaddr *)&at, len) == -1) {
            code = -errno;
        }
    }
    if (code == 0 && listen(fd, spec->backlog > 0 ? spec->backlog : BACKLOG) == -1) {
        code = -errno;
    }
    if (code != 0) {
        (void)close(fd); /* the first failure is the one to tell */
        return code;
    }
    return fd;
}

int listener_open(struct listener **out, struct loop *loop, const struct listener_spec *spec,
                  listener_on_accept on_accept, void *arg, struct err *err)
{
    char text[ADDR_TEXT_BYTES];
    int fd = open_socket(spec);
    if (fd < 0) {
        return err_set(err, fd, "can not listen on '%s': %s", addr_format(&spec->addr, text),
                       err_name(fd));
    }
    struct listener *l = mem_new(struct listener);
    l->loop = loop;
    l->addr = spec->addr;
    l->on_accept = on_accept;
    l->arg = arg;
    deadline_init(&l->back_off, on_back_off_over);
    if (spec->addr.kind == ADDR_IP && spec->addr.port == 0) {
        struct sockaddr_storage at;
        socklen_t len = sizeof(at);
        int code = getsockname(fd, (struct sockaddr *)&at, &len);
        ASSERT(code == 0); /* a socket that is bound */
        addr_from_sockaddr(&l->addr, (struct sockaddr *)&at, len);
    }
    loop_fd_init(&l->fd, loop, fd, on_readable);
    watch(l);
    *out = l;
    return 0;
}

const struct addr *listener_addr(const struct listener *l)
{
    return &l->addr;
}

void listener_pause(struct listener *l)
{
    l->is_paused = true;
    watch(l);
}

void listener_resume(struct listener *l)
{
    l->is_paused = false;
    watch(l);
}

void listener_close(struct listener *l)
{
    if (l == NULL) {
        return;
    }
    ASSERT(!l->is_closed);
    l->is_closed = true;
    deadline_disarm(&l->back_off);
    loop_fd_dispose(&l->fd);
    if (l->addr.kind == ADDR_UNIX && l->addr.path[0] != '@') {
        (void)unlink(l->addr.path); /* somebody may have been quicker */
    }
    (void)close(l->fd.fd); /* nothing is left to do about a failure */
    loop_bury(l->loop, mem_free, l);
}
