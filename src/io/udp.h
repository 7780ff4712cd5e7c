#ifndef IO_UDP_H
#define IO_UDP_H
/* Datagram sockets: DNS, and what UDP listeners pass on. A batch of packets is read a turn; what can not be sent at once is
 * dropped, as the network would. */
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"
#include "io/addr.h"
#include "io/loop.h"

#define UDP_BATCH 64 /* packets read a turn */

struct udp;
/* `bytes` is borrowed for the call, in which the socket may be closed. */
typedef void (*udp_on_packet)(void *arg, const struct addr *from, struct span bytes);

struct udp_spec {
    struct addr local;  /* kind ADDR_NONE: the kernel's choice, a random port */
    struct addr remote; /* kind ADDR_NONE: anybody; else packets of others are not seen */
    udp_on_packet on_packet;
    void *arg;
    bool reuse_port; /* several workers share the address */
};

MUST_USE int udp_open(struct udp **out, struct loop *loop, const struct udp_spec *spec,
                      struct err *err);
/* `to` NULL: the remote of the spec. Dropped when it can not be sent now: -errno says why. */
int udp_send(struct udp *u, const struct addr *to, struct span bytes);
/* The bound address (port 0 resolved). */
const struct addr *udp_addr(const struct udp *u);
/* NULL is fine. */
void udp_close(struct udp *u);
#endif
