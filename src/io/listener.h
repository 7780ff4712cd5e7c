#ifndef IO_LISTENER_H
#define IO_LISTENER_H
/* Accepting sockets: TCP and unix, one a worker with SO_REUSEPORT. Accepts a bounded batch a turn; when
 * descriptors run out it backs off for 100 ms and says so once. */
#include "base/compiler.h"
#include "base/err.h"
#include "io/io.h"

struct listener_spec {
    struct addr addr;
    int backlog; /* 0 = 1024 */
    bool reuse_port;
    bool transparent; /* IP_TRANSPARENT, for TPROXY */
    bool v6_only;
    unsigned unix_mode; /* permissions of the socket file; 0 = 0600 */
};

struct listener;
/* Takes `io`, with peer and local set. */
typedef void (*listener_on_accept)(void *arg, struct io *io);

MUST_USE int listener_open(struct listener **out, struct loop *loop,
                           const struct listener_spec *spec, listener_on_accept on_accept,
                           void *arg, struct err *err);
/* The bound address (port 0 resolved). */
const struct addr *listener_addr(const struct listener *l);
void listener_pause(struct listener *l);
void listener_resume(struct listener *l);
/* NULL is fine. A unix socket's file is removed. */
void listener_close(struct listener *l);
#endif
