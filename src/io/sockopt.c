/* Socket options by what they are for. */
#include "io/sockopt.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* From the kernel's netfilter headers, which do not agree with libc's about struct sockaddr_in6. */
enum { ORIGINAL_DST_V4 = 80, ORIGINAL_DST_V6 = 80 };

static int set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) == -1 ? -errno : 0;
}

void sockopt_nodelay(int fd)
{
    (void)set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1); /* not a TCP socket: nothing to do */
}

/* The kernel counts in whole seconds, at least one. */
static int set_seconds(int fd, int name, int64_t ms)
{
    return ms <= 0 ? 0 : set_int(fd, IPPROTO_TCP, name, (int)i64_min((ms + 999) / 1000, 32767));
}

int sockopt_keepalive_set(int fd, const struct sockopt_keepalive *k)
{
    int code = set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (code == 0) {
        code = set_seconds(fd, TCP_KEEPIDLE, k->idle_ms);
    }
    if (code == 0) {
        code = set_seconds(fd, TCP_KEEPINTVL, k->interval_ms);
    }
    if (code == 0 && k->probes > 0) {
        code = set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, (int)(k->probes < 127 ? k->probes : 127));
    }
    return code;
}

int sockopt_mark(int fd, uint32_t mark)
{
    return setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == -1 ? -errno : 0;
}

int sockopt_transparent(int fd, bool v6)
{
    return v6 ? set_int(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
              : set_int(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
}

int sockopt_original_dst(int fd, struct addr *out)
{
    struct sockaddr_storage to;
    socklen_t len = sizeof(struct sockaddr_in);
    /* A v4 client of a dual-stack socket is found by the v4 call only, so that is tried first. */
    if (getsockopt(fd, IPPROTO_IP, ORIGINAL_DST_V4, &to, &len) == -1) {
        len = sizeof(struct sockaddr_in6);
        if (getsockopt(fd, IPPROTO_IPV6, ORIGINAL_DST_V6, &to, &len) == -1) {
            /* ENOPROTOOPT: connection tracking is not loaded, so nothing was redirected. */
            return errno == ENOPROTOOPT || errno == EOPNOTSUPP ? -ENOENT : -errno;
        }
    }
    addr_from_sockaddr(out, (const struct sockaddr *)&to, len);
    /* Connection tracking knows every connection; one that was not redirected has its own address. */
    struct addr local;
    len = sizeof(to);
    if (getsockname(fd, (struct sockaddr *)&to, &len) == -1) {
        return -errno;
    }
    addr_from_sockaddr(&local, (const struct sockaddr *)&to, len);
    return addr_eq(&local, out) ? -ENOENT : 0;
}
