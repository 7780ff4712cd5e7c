#ifndef CONTROL_CLUSTER_CLUSTER_OBJECT_H
#define CONTROL_CLUSTER_CLUSTER_OBJECT_H
/* What all objects that we make in a cluster have in common, so that uninstall finds them. */
#include "base/arena.h"
#include "codec/doc.h"

/* apiVersion, kind, metadata {name, namespace if any, labels app.kubernetes.io/managed-by and part-of: mesh}. */
struct doc_node *cluster_object(struct arena *arena, const char *api_version, const char *kind,
                                struct span ns, struct span name);
#endif
