#ifndef CLI_KUBE_SERVICE_H
#define CLI_KUBE_SERVICE_H
/* A Service of a cluster as people name it, and which of its ports is meant: for expose and open. */
#include "cli/kube_verb.h"

struct kube_service {
    const struct doc_node *doc;
    const char *ns, *name;
    int64_t port;
    bool is_tls; /* by its name, appProtocol or number */
};
/* "NAME[.NAMESPACE]", "svc/NAME"; `port` 0: the one that is HTTP by its name or number, else the only one. Exit code; prints what is wrong, with the
 * services or ports that there are. */
MUST_USE int kube_service_find(struct kube_verb *k, const char *text, int64_t port,
                               struct kube_service *out);
/* The same without the cluster: picks the port of out->doc; false: `port` is none of its, or several may be meant. */
bool kube_service_pick_port(struct kube_service *out, int64_t port);
/* How many of its endpoints are ready. Exit code. */
MUST_USE int kube_service_ready(struct kube_verb *k, const struct kube_service *s, size_t *ready);
/* Where the load balancer has put it: an address or a name; "" while it has none. */
const char *kube_service_address(struct kube_verb *k, const struct doc_node *service);
#endif
