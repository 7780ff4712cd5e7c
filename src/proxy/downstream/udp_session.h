#ifndef PROXY_DOWNSTREAM_UDP_SESSION_H
#define PROXY_DOWNSTREAM_UDP_SESSION_H
/* A UDP listener as one worker serves it. A session is a peer's address: its first datagram picks an endpoint, which all that
 * follow go to, and what comes back goes to the peer; it ends when nothing has moved for idle_timeout, or when its endpoint is
 * gone. Sessions count as connections of the cluster's circuit breaker, which bounds them. Nothing is kept back: what can not be
 * sent at once is dropped, as the network would.
 * Source: Envoy UdpProxyConfig. In: io/udp. Out: io/udp, upstream/cluster. Next: report/stats. */
#include "base/compiler.h"
#include "base/err.h"

struct entry;
struct udp_front;

/* For the entry's configuration, whose UDP part it looks into as long as it lives. NULL: `err` says why. */
struct udp_front *udp_session_listen(struct entry *e, struct err *err);
/* Ends all its sessions. NULL is fine. */
void udp_session_stop(struct udp_front *f);
#endif
