#ifndef INJECTOR_INJECTOR_CLUSTER_H
#define INJECTOR_INJECTOR_CLUSTER_H
/* What the injector has to know of the cluster it is in, kept up to date: the labels of namespaces, and the settings in ConfigMap
 * mesh-system/mesh-injector. Settings that are not good are told in the log, and those before them stay. */
#include "base/compiler.h"
#include "inject/inject_settings.h"
#include "kube/kube_client.h"

struct host;
struct injector_cluster;
struct injector_cluster_spec {
    struct kube_client *client; /* borrowed */
    struct host *host;          /* gets a readiness check; NULL = none */
    bool no_namespaces;         /* somebody else knows them: only settings */
    /* They are others now; borrowed until the next call, or the end. */
    void (*on_settings)(void *arg, const struct inject_settings *settings);
    void *arg;
};
NONNULL_RETURN struct injector_cluster *injector_cluster_new(
    const struct injector_cluster_spec *spec);
/* Before the host. NULL is fine. */
void injector_cluster_free(struct injector_cluster *c);
/* For struct injector_spec: `arg` is the cluster. */
const struct doc_node *injector_cluster_labels(void *arg, struct span name);
#endif
