#ifndef INJECT_POD_MERGE_H
#define INJECT_POD_MERGE_H
/* Pods put together, as Kubernetes' strategic merge has it: maps by key; containers, volumes, variables and the like by name, mounts by path; other
 * lists as a whole.
 * Source: Kubernetes "Update API Objects in Place Using kubectl patch" (strategic merge), patchMergeKey of core/v1. */
#include "base/arena.h"
#include "base/compiler.h"
#include "codec/doc.h"

enum pod_merge_rule {
    POD_MERGE_KEEP,   /* what is there stays: a template into a pod */
    POD_MERGE_REPLACE /* what comes wins: a template over another */
};
/* `from` into `into`; values are shared with `from`. An image that is "auto" counts as not there. The proxy's container is the same one, whether it is called
 * mesh-proxy or istio-proxy, and wherever the pod has it. */
void pod_merge(struct doc_node *into, const struct doc_node *from, enum pod_merge_rule rule,
               struct arena *arena);
/* How entries of a list of that name are told apart: "name", "mountPath"; NULL: they are not. */
const char *pod_merge_key(struct span list);
/* The proxy's container, in initContainers or containers; NULL. `*list` and `*index`: where it is; may be NULL. */
struct doc_node *pod_merge_proxy(const struct doc_node *pod, struct doc_node **list, size_t *index);
bool pod_merge_is_proxy(const struct doc_node *container);
/* Moves entry `at` of a list so that it is at `to`. */
void pod_merge_move(struct doc_node *list, size_t at, size_t to);
#endif
