#ifndef KUBE_KUBE_PATH_H
#define KUBE_KUBE_PATH_H
/* Paths of the Kubernetes API (Kubernetes documentation "API Concepts", resource URIs). */
#include "base/arena.h"
#include "base/span.h"
#include "codec/doc.h"

struct kube_kind {       /* which collection */
    const char *group;   /* "" = core */
    const char *version; /* "v1" */
    const char *plural;  /* "pods" */
    bool namespaced;
};

/* "/api/v1/namespaces/NS/pods/NAME/status": `ns` empty = all namespaces (or a kind without), `name` empty = the collection, `sub` NULL = the
 * object itself. Terminated; of the arena. */
const char *kube_path(struct arena *arena, const struct kube_kind *kind, struct span ns,
                      struct span name, const char *sub);
/* For documents whose kind no table knows (a manifest of any kind): apiVersion and kind -> collection, by rules of English plurals and a table of
 * exceptions; false: not to be guessed (then ask discovery). Namespaced is told by a table of the kinds that are not. */
bool kube_kind_of(struct arena *arena, const struct doc_node *object, struct kube_kind *out);
#endif
