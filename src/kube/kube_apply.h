#ifndef KUBE_KUBE_APPLY_H
#define KUBE_KUBE_APPLY_H
/* Writing: server-side apply with field manager "mesh" (Kubernetes "Server-Side Apply"), status by its subresource, Events (events.k8s.io/v1). */
#include "kube/kube_client.h"
#include "kube/kube_path.h"

#define KUBE_FIELD_MANAGER "mesh"

/* PATCH of one object, which names itself (apiVersion, kind, metadata); `sub` NULL or "status". Conflicts are forced: the fields we send are ours. */
struct kube_apply_spec {
    const struct doc_node *object; /* written before this returns */
    const struct kube_kind *kind;  /* NULL: kube_kind_of */
    const char *sub;
    bool dry_run;
    bool
        no_force; /* a field that somebody else owns is then a conflict (-ESTALE) that names the owner */
    kube_on_answer on_answer; /* may be NULL */
    void *arg;
};
struct kube_call *kube_apply(struct kube_client *c, const struct kube_apply_spec *spec);

struct kube_event {
    struct span namespace, kind, api_version, name, uid; /* what it regards */
    struct span reason;                                  /* "MeshRouteRefused" */
    struct span note;                                    /* at most 1 kB */
    bool warning;
};
/* Written and not waited for. The same (regards, reason, note) at most once in 5 min. */
struct kube_events;
NONNULL_RETURN struct kube_events *kube_events_new(struct kube_client *c, struct span instance);
void kube_events_free(struct kube_events *e);
void kube_event_write(struct kube_events *e, const struct kube_event *event);
#endif
