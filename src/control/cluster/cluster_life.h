#ifndef CONTROL_CLUSTER_CLUSTER_LIFE_H
#define CONTROL_CLUSTER_CLUSTER_LIFE_H
/* Control inside Kubernetes: the client, the authority's root and the API's token kept as Secrets, leadership, and what the leader writes (root
 * certificates, Gateways' Deployments, status).
 *
 *   at start:  cluster_open -> cluster_bring_root -> (ca_new) -> cluster_keep_root, cluster_api_token
 *   then:      lease --leading--> keeper;  world -> cluster_world -> root_maps, gateway_deployer, status_writer -> keeper
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

struct cluster;
struct cluster_spec {
    struct loop *loop;
    const char *kubeconfig, *context; /* NULL = the pod's account, else as kubectl finds it */
};
/* Connects and asks for the server's version; tries for a minute while nobody answers. Runs the loop. */
MUST_USE int cluster_open(struct cluster **out, const struct cluster_spec *spec, struct err *err);
void cluster_free(struct cluster *c); /* NULL is fine */
struct kube_client *cluster_client(struct cluster *c);
struct span cluster_namespace(const struct cluster *c);
unsigned cluster_minor(const struct cluster *c); /* 34 of "1.34" */

/* Writes the authority's files of the Secret, if there is one, into `folder` (as ca/root.h wants them). */
MUST_USE int cluster_bring_root(struct cluster *c, const char *folder, struct err *err);
/* Makes the Secret of the files in `folder`, unless they came from it. -EEXIST: another control was first; ours must not be used. */
MUST_USE int cluster_keep_root(struct cluster *c, const char *folder, struct err *err);
/* The token that callers of the API show; made at the first start. Lives as long as the cluster. */
MUST_USE int cluster_api_token(struct cluster *c, struct span *token, struct err *err);

/* From now on stands for leader; both are borrowed. */
void cluster_begin(struct cluster *c, struct span roots_pem, const struct sources *sources);
/* What Gateways' proxies are made with; borrowed until the next. NULL: none are made. */
void cluster_settings(struct cluster *c, const struct inject_settings *settings);
/* The world of now, which the leader's writings follow (some 100 ms later). A reference is taken. */
void cluster_world(struct cluster *c, struct world *w);
bool cluster_is_leading(const struct cluster *c);

struct cluster_numbers {
    bool leading;
    uint64_t written, write_failures;
    size_t waiting;
};
struct cluster_numbers cluster_numbers(const struct cluster *c);
#endif
