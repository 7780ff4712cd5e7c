/* Datagram sockets. In: packets. Out: on_packet. Next: proxy/dns_capture, proxy/dns_forward, proxy/downstream/udp_session. */
#include "io/udp.h"

#include <errno.h>
#include <unistd.h>

#include "base/mem.h"

struct udp {
    struct loop *loop; /* borrowed */
    struct loop_fd fd;
    struct addr local;
    udp_on_packet on_packet;
    void *arg;
    bool is_closed;
};

static void on_readable(struct loop_fd *w, unsigned events)
{
    struct udp *u = container_of(w, struct udp, fd);
    UNUSED(events);
    for (int i = 0; i < UDP_BATCH && !u->is_closed; i++) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof(peer);
        char *to = loop_read_buffer(u->loop, 0);
        ssize_t n = recvfrom(w->fd, to, LOOP_READ_BYTES, 0, (struct sockaddr *)&peer, &len);
        if (n == -1 && errno != ECONNREFUSED && errno != EINTR) {
            return; /* ECONNREFUSED tells of a packet sent before; others may still be here */
        }
        if (n >= 0) {
            struct addr from;
            addr_from_sockaddr(&from, (struct sockaddr *)&peer, len);
            u->on_packet(u->arg, &from, span_from(to, (size_t)n));
        }
    }
}

static int bind_and_connect(int fd, const struct udp_spec *spec)
{
    struct sockaddr_storage at;
    int on = 1;
    if (spec->reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == -1) {
        return -errno;
    }
    if (spec->local.kind != ADDR_NONE) {
        socklen_t len = addr_to_sockaddr(&spec->local, &at);
        if (bind(fd, (struct sockaddr *)&at, len) == -1) {
            return -errno;
        }
    }
    if (spec->remote.kind != ADDR_NONE) {
        socklen_t len = addr_to_sockaddr(&spec->remote, &at);
        if (connect(fd, (struct sockaddr *)&at, len) == -1) {
            return -errno;
        }
    }
    return 0;
}

static int open_socket(const struct udp_spec *spec)
{
    const struct addr *either = spec->local.kind != ADDR_NONE ? &spec->local : &spec->remote;
    if (either->kind != ADDR_IP) {
        return -EINVAL;
    }
    int fd = socket(either->ip.family == 6 ? AF_INET6 : AF_INET,
                    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1) {
        return -errno;
    }
    int code = bind_and_connect(fd, spec);
    if (code != 0) {
        (void)close(fd); /* the first failure is the one to tell */
        return code;
    }
    return fd;
}

int udp_open(struct udp **out, struct loop *loop, const struct udp_spec *spec, struct err *err)
{
    int fd = open_socket(spec);
    if (fd < 0) {
        char text[ADDR_TEXT_BYTES];
        const struct addr *a = spec->local.kind != ADDR_NONE ? &spec->local : &spec->remote;
        return err_set(err, fd, "can not open UDP '%s': %s", addr_format(a, text), err_name(fd));
    }
    struct udp *u = mem_new(struct udp);
    u->loop = loop;
    u->local = spec->local;
    u->on_packet = spec->on_packet;
    u->arg = spec->arg;
    struct sockaddr_storage at;
    socklen_t len = sizeof(at);
    if (getsockname(fd, (struct sockaddr *)&at, &len) == 0) {
        addr_from_sockaddr(&u->local, (struct sockaddr *)&at, len);
    }
    loop_fd_init(&u->fd, loop, fd, on_readable);
    loop_fd_watch(&u->fd, IO_READ);
    *out = u;
    return 0;
}

int udp_send(struct udp *u, const struct addr *to, struct span bytes)
{
    struct sockaddr_storage at;
    socklen_t len = to != NULL ? addr_to_sockaddr(to, &at) : 0;
    ssize_t n = sendto(u->fd.fd, bytes.at, bytes.len, MSG_NOSIGNAL,
                       to != NULL ? (struct sockaddr *)&at : NULL, len);
    return n == -1 ? -errno : 0;
}

const struct addr *udp_addr(const struct udp *u)
{
    return &u->local;
}

static void free_udp(void *obj)
{
    mem_free(obj);
}

void udp_close(struct udp *u)
{
    if (u == NULL) {
        return;
    }
    ASSERT(!u->is_closed);
    u->is_closed = true;
    loop_fd_dispose(&u->fd);
    (void)close(u->fd.fd); /* nothing of it is left to write */
    loop_bury(u->loop, free_udp, u);
}
