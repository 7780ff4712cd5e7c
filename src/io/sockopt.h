#ifndef IO_SOCKOPT_H
#define IO_SOCKOPT_H
/* Socket options by what they are for. 0 or -errno. */
#include "base/compiler.h"
#include "io/addr.h"

struct sockopt_keepalive {
    int64_t idle_ms;     /* 0 = kernel's default */
    int64_t interval_ms; /* 0 = kernel's default */
    unsigned probes;     /* 0 = kernel's default */
};

void sockopt_nodelay(int fd);
MUST_USE int sockopt_keepalive_set(int fd, const struct sockopt_keepalive *k);
MUST_USE int sockopt_mark(int fd, uint32_t mark);
MUST_USE int sockopt_transparent(int fd, bool v6);
/* Where the client meant to go before netfilter redirected it (SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST).
 * -ENOENT when the connection was not redirected. */
MUST_USE int sockopt_original_dst(int fd, struct addr *out);
#endif
