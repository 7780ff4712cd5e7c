#ifndef PROXY_DNS_CAPTURE_H
#define PROXY_DNS_CAPTURE_H
/* The proxy's DNS server, to which the workload's questions are redirected: names of the mesh are answered here
 * (Services that only the mesh knows, ServiceEntry hosts), everything else is passed on as it is. UDP and TCP.
 *
 *   question --A, AAAA--> meanings (dns_names) --asked on demand (discovery)--> answer
 *                                 \--none is known, or other types--> dns_forward --> answer
 * Main thread. In: the workload. Next: dns_names, dns_forward. */
#include "base/compiler.h"
#include "base/err.h"
#include "base/metric.h"
#include "io/addr.h"
#include "proxy/discovery.h"
#include "proxy/dns_names.h"

#define DNS_CAPTURE_ADDRESS "127.0.0.1:15053" /* as Istio */
#define DNS_CAPTURE_TTL_S 30                  /* as Istio */
#define DNS_CAPTURE_QUERIES_MAX 1000 /* in hand; further ones are dropped, and clients ask again */
#define DNS_CAPTURE_CONNS_MAX 64
#define DNS_CAPTURE_IDLE_MS 10000 /* RFC 7766 section 6.2.3: of a TCP connection, in seconds */
#define DNS_CAPTURE_UDP_BYTES \
    1232 /* largest answer over UDP: fits every path (DNS flag day 2020) */

struct dns_capture;
struct dns_capture_spec { /* all borrowed */
    struct addr
        addr; /* 127.0.0.1 means ::1 too, where there is IPv6: what came by IPv6 is redirected there */
    const char *upstream;    /* servers, as dns_forward_spec; NULL = resolv.conf */
    const char *resolv_conf; /* NULL = /etc/resolv.conf */
    struct dns_names *names;
    struct discovery *discovery;
    struct metric_registry *registry;
};

/* -errno: an address can not be bound; -ERR_CONFIG. */
MUST_USE int dns_capture_new(struct dns_capture **out, struct loop *loop,
                             const struct dns_capture_spec *spec, struct err *err);
/* Before the discovery. NULL is fine. */
void dns_capture_free(struct dns_capture *d);
/* The bound address, of both UDP and TCP. */
const struct addr *dns_capture_addr(const struct dns_capture *d);
#endif
