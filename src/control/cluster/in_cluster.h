#ifndef CONTROL_CLUSTER_IN_CLUSTER_H
#define CONTROL_CLUSTER_IN_CLUSTER_H
/* Control inside Kubernetes: the client, the authority's root and the API's token kept as Secrets, leadership, and what the leader writes (root
 * certificates, Gateways' Deployments, status).
 *
 *   at start:  in_cluster_open -> in_cluster_bring_root -> (ca_new) -> in_cluster_keep_root, in_cluster_api_token
 *   then:      lease --leading--> keeper;  world -> in_cluster_world -> root_maps, gateway_deployer, status_writer -> keeper
 *
 * Main thread. In: control_kube.c. */
#include "base/compiler.h"
#include "base/err.h"
#include "control/sources/source.h"
#include "control/world/world.h"
#include "inject/inject_settings.h"
#include "io/loop.h"
#include "kube/kube_client.h"

#define CLUSTER_NAMESPACE "mesh-system" /* where we live unless the pod's account says otherwise */
#define CLUSTER_ROOT_SECRET "mesh-ca-secret"
#define CLUSTER_ISTIO_ROOT_SECRET "cacerts" /* Istio's plugged-in authority: counts before ours */
#define CLUSTER_TOKEN_SECRET "mesh-api-token"
#define CLUSTER_LEASE "mesh-leader"
#define CLUSTER_WEBHOOK "mesh-injector"

struct in_cluster;
struct in_cluster_spec {
    struct loop *loop;
    const char *kubeconfig, *context; /* NULL = the pod's account, else as kubectl finds it */
};
/* Connects and asks for the server's version; tries for a minute while nobody answers. Runs the loop. */
MUST_USE int in_cluster_open(struct in_cluster **out, const struct in_cluster_spec *spec,
                             struct err *err);
void in_cluster_free(struct in_cluster *c); /* NULL is fine */
struct kube_client *in_cluster_client(struct in_cluster *c);
struct span in_cluster_namespace(const struct in_cluster *c);
unsigned in_cluster_minor(const struct in_cluster *c); /* 34 of "1.34" */

/* Writes the authority's files of the Secret, if there is one, into `folder` (as ca/root.h wants them). */
MUST_USE int in_cluster_bring_root(struct in_cluster *c, const char *folder, struct err *err);
/* Makes the Secret of the files in `folder`, unless they came from it. -EEXIST: another control was first; ours must not be used. */
MUST_USE int in_cluster_keep_root(struct in_cluster *c, const char *folder, struct err *err);
/* The token that callers of the API show; made at the first start. Lives as long as the cluster. */
MUST_USE int in_cluster_api_token(struct in_cluster *c, struct span *token, struct err *err);

/* From now on stands for leader; both are borrowed. */
void in_cluster_begin(struct in_cluster *c, struct span roots_pem, const struct sources *sources);
/* What Gateways' proxies are made with; borrowed until the next. NULL: none are made. */
void in_cluster_settings(struct in_cluster *c, const struct inject_settings *settings);
/* The world of now, which the leader's writings follow (some 100 ms later). A reference is taken. */
void in_cluster_world(struct in_cluster *c, struct world *w);
bool in_cluster_is_leading(const struct in_cluster *c);

struct in_cluster_numbers {
    bool leading;
    uint64_t written, write_failures;
    size_t waiting;
};
struct in_cluster_numbers in_cluster_numbers(const struct in_cluster *c);
#endif
