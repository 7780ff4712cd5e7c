#ifndef CONTROL_SOURCES_FROM_KUBE_PRUNE_H
#define CONTROL_SOURCES_FROM_KUBE_PRUNE_H
/* An object of the Kubernetes API without what nobody here looks at: what changes without meaning (resourceVersion, managedFields, heartbeats) would
 * make worlds for nothing, and thousands of Pods would fill the memory. */
#include "base/compiler.h"
#include "model/object.h"

/* A copy in the arena; without lines, as it was never a text of anybody's. Kept are: of Pods, Nodes, EndpointSlices, Secrets, ServiceAccounts and Namespaces what
 * their readers read; of the others all but noise and `status`, and that too where it says what others wrote (Gateway, HTTPRoute, GatewayClass: conditions of other
 * controllers; Service: its load balancer). */
NONNULL_RETURN struct doc_node *from_kube_prune(struct arena *arena, enum object_kind kind,
                                                const struct doc_node *doc);
#endif
