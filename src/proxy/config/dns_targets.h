#ifndef PROXY_CONFIG_DNS_TARGETS_H
#define PROXY_CONFIG_DNS_TARGETS_H
/* The addresses of a STRICT_DNS or LOGICAL_DNS cluster: its names are looked up on the main thread, again
 * after dns_refresh_rate or the answer's TTL (respect_dns_ttl), and each change gives a new endpoints
 * object. A look-up that fails leaves the last good addresses. Main thread. */
#include "proxy/config/snapshot.h"

struct dns_targets;
struct loop;
struct resolver;

/* `cluster` is kept by reference. `resolver` NULL: every look-up fails. */
struct dns_targets *dns_targets_new(struct loop *loop, struct resolver *resolver,
                                    struct conf_cluster *cluster, void (*on_change)(void *arg),
                                    void *arg);
/* NULL until each name has had an answer or a failure; borrowed. */
struct conf_endpoints *dns_targets_endpoints(const struct dns_targets *d);
/* NULL is fine. */
void dns_targets_free(struct dns_targets *d);
#endif
