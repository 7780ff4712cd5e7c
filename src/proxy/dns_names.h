#ifndef PROXY_DNS_NAMES_H
#define PROXY_DNS_NAMES_H
/* The names that the proxy's DNS answers by itself: NameTable resources of the control plane (Istio's name discovery,
 * istio.networking.nds.v1), one name each and asked for on demand; and which of them a question may mean. Main
 * thread; pure but for memory.
 * In: proxy_sources (updates), discovery (wishes). Next: dns_capture. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/span.h"
#include "codec/ip.h"
#include "proxy/config/ingest.h"
#include "xds/xds.h"

#define DNS_NAMES_TYPE "type.googleapis.com/istio.networking.nds.v1.NameTable"
#define DNS_NAMES_IPS_MAX 1024
#define DNS_NAMES_MEANINGS_MAX 3

struct dns_names;
/* "default", "cluster.local"; copied. */
NONNULL_RETURN struct dns_names *dns_names_new(struct span namespace, struct span domain);
/* NULL is fine. */
void dns_names_free(struct dns_names *d);

/* Names that a question may mean, the likeliest first; `name` is in lower case without the final dot. As Kubernetes'
 * search list has it: "reviews" -> reviews.NS.svc.DOMAIN; "reviews.prod" -> itself, reviews.prod.svc.DOMAIN;
 * "reviews.prod.svc" -> itself, with DOMAIN; a name that a search list was put behind ("example.com.NS.svc.DOMAIN")
 * -> itself, example.com. */
size_t dns_names_meanings(const struct dns_names *d, struct span name, struct arena *arena,
                          struct span out[DNS_NAMES_MEANINGS_MAX]);

/* Someone waits for this name; or nobody uses it any more. */
void dns_names_want(struct dns_names *d, struct span name, bool wanted);
enum ingest_state dns_names_look(const struct dns_names *d, struct span name);
/* Addresses of both families; NULL when the name is not known. Until the next update. */
struct dns_name {
    const struct ip *ips;
    size_t count;
};
const struct dns_name *dns_names_get(const struct dns_names *d, struct span name);
/* Calls for each name that is known. */
void dns_names_each(const struct dns_names *d,
                    void (*on_name)(void *arg, struct span name, const struct dns_name *known),
                    void *arg);
/* As xds_on_update. -ERR_CONFIG: a resource that can not be read; nothing is changed. */
MUST_USE int dns_names_update(struct dns_names *d, const struct xds_update *u, struct err *err);
#endif
