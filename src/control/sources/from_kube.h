#ifndef CONTROL_SOURCES_FROM_KUBE_H
#define CONTROL_SOURCES_FROM_KUBE_H
/* Objects from the Kubernetes API: one reflector for each kind of model/kinds.def that Kubernetes has, of the newest version that the
 * server serves. Kinds that the server does not know (no CRDs yet) count as empty and are asked for again. Before an object is read, what no reader
 * looks at is left out (managedFields, the last-applied annotation, most of Pods and Nodes), so that many of them stay small. When the API server is away
 * everything stays as it was last told.
 *
 *   kube/reflector --document--> from_kube --object--> sources (origin "kubernetes")
 *
 * An object that can not be read leaves a finding; what it last said while it was good stays in force.
 * Sources: kube/reflector.h; Kubernetes "API Concepts". On the thread of the client's loop. */
#include "base/compiler.h"
#include "control/sources/source.h"
#include "kube/kube_client.h"
#include "kube/reflector.h"

struct from_kube_spec {
    struct kube_client *client; /* borrowed while it lives */
    struct sources *sources;    /* borrowed */
    int64_t relist_ms;          /* as reflector_spec */
    /* Once: every kind was listed, or is absent or denied. Sources are settled. Before it nothing is settled, so that nobody is told of half a
     * mesh. Later each batch settles by itself. */
    void (*on_synced)(void *arg);
    void *arg;
};
struct from_kube;
NONNULL_RETURN struct from_kube *from_kube_new(const struct from_kube_spec *spec);
/* Stops following; what was told stays in `sources`. NULL is fine. */
void from_kube_free(struct from_kube *f);
bool from_kube_is_synced(const struct from_kube *f);

/* How one kind stands: for `mesh status` and metrics. Secrets are followed by type, so that their kind comes more than once. */
struct from_kube_state {
    enum object_kind kind;
    const char *version;  /* asked for, or served: "v1beta1" */
    const char *selector; /* of fields; NULL = all of the kind */
    enum reflector_state state;
    const char *why; /* "" when SYNCED */
    size_t count;    /* objects that the server has */
    size_t bad;      /* of them, those that could not be read */
};
void from_kube_each_state(const struct from_kube *f,
                          void (*on_state)(void *arg, const struct from_kube_state *s), void *arg);
/* "synced", "listing", "behind", "absent", "denied". */
const char *from_kube_state_name(enum reflector_state state);
#endif
