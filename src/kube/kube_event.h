#ifndef KUBE_KUBE_EVENT_H
#define KUBE_KUBE_EVENT_H
/* What people see in `kubectl describe` and `kubectl get events`: Events of events.k8s.io/v1, written and not waited for. */
#include "kube/kube_client.h"

struct kube_event {
    struct span namespace, kind, api_version, name, uid; /* what it regards */
    struct span reason;                                  /* "MeshRouteRefused" */
    struct span note;                                    /* at most 1 kB: what is longer is cut */
    bool warning;
};

struct kube_events;
/* `instance`: the pod that says it. */
NONNULL_RETURN struct kube_events *kube_events_new(struct kube_client *c, struct span instance);
/* Those under way go on. Before kube_client_free. NULL is fine. */
void kube_events_free(struct kube_events *e);
/* The same (regards, reason, note) at most once in 5 min; at most 16 under way, further ones are dropped (and may be said again). */
void kube_event_write(struct kube_events *e, const struct kube_event *event);
#endif
