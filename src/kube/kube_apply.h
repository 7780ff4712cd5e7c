#ifndef KUBE_KUBE_APPLY_H
#define KUBE_KUBE_APPLY_H
/* Writing an object: server-side apply with field manager "mesh" (Kubernetes documentation "Server-Side Apply"), its status by the
 * subresource. What we sent once and leave out the next time, the server takes away. */
#include "kube/kube_client.h"
#include "kube/kube_path.h"

#define KUBE_FIELD_MANAGER "mesh"

/* PATCH of one object, which names itself (apiVersion, kind, metadata.name); without metadata.namespace that of kube_client_conf is meant. Conflicts are forced:
 * the fields we send are ours. */
struct kube_apply_spec {
    const struct doc_node *object; /* written before this returns */
    const struct kube_kind *kind;  /* NULL: kube_kind_of */
    const char *sub;               /* NULL, or "status" */
    bool dry_run;                  /* all is checked, nothing kept */
    /* A field that somebody else owns is then a conflict (-ESTALE) whose `why` names the owner. */
    bool no_force;
    int64_t timeout_ms;       /* 0 = that of kube_call */
    kube_on_answer on_answer; /* may be NULL */
    void *arg;
};
/* NULL: nothing was asked and no answer comes, since the object has no name, or `kind` is NULL and can not be guessed, or it is larger
 * than KUBE_APPLY_BYTES_MAX. */
#define KUBE_APPLY_BYTES_MAX (3UL << 20) /* what an API server takes */
struct kube_call *kube_apply(struct kube_client *c, const struct kube_apply_spec *spec);
/* "/apis/...?fieldManager=mesh&force=true", of the arena; NULL as kube_apply. For those who wait with kube_ask. */
const char *kube_apply_path(struct arena *arena, const struct kube_client *c,
                            const struct kube_apply_spec *spec);
#endif
