#ifndef KUBE_LEASE_H
#define KUBE_LEASE_H
/* Who among equals may write: a coordination.k8s.io/v1 Lease, as client-go's leaderelection does it (15 s lease, renewed every 2 s, given up when it could not be
 * renewed for 10 s; released when freed). Needs the verbs get, create and patch. Never two lead, as long as nobody deletes the object and monotonic clocks do not differ in speed by half; a
 * process that was stopped for long must ask lease_is_leading before each write, not only hear on_leading. */
#include "kube/kube_client.h"

struct lease_spec {
    struct kube_client *client;
    struct span namespace, name;
    struct span holder;                          /* who we are: the pod's name */
    int64_t duration_ms;                         /* 0 = 15 s */
    void (*on_leading)(void *arg, bool leading); /* it became so; may be NULL */
    void *arg;
};
struct lease;
/* All texts are copied. */
NONNULL_RETURN struct lease *lease_new(const struct lease_spec *spec);
/* Releases it, if it is ours: the call is made and not waited for, so let the loop run before kube_client_free. Tells nothing any more. NULL is fine. */
void lease_free(struct lease *l);
bool lease_is_leading(const struct lease *l); /* by the clock, now */
/* Who leads, as last seen; empty = nobody, or not yet known. Valid until the loop's next turn. */
struct span lease_holder(const struct lease *l);
#endif
