#ifndef CONTROL_CLUSTER_GATEWAY_DEPLOYER_H
#define CONTROL_CLUSTER_GATEWAY_DEPLOYER_H
/* A Gateway of Gateway API gets proxies of its own, as Istio's automated deployment gives them: Deployment, Service and ServiceAccount
 * "NAME-CLASS" in its namespace, owned by it, so that they go with it. Annotation networking.istio.io/service-type chooses the Service's type (LoadBalancer);
 * spec.infrastructure's labels and annotations are passed on. A Gateway whose spec.addresses names a host is served by proxies that exist: none are made.
 * Replicas are not ours to say: scale it, or let an autoscaler.
 * Source: Istio "Kubernetes Gateway API", automated deployment (pilot/pkg/config/kube/gateway/deploymentcontroller.go), in meaning.
 * In: world. Next: inject/inject (the pod), keeper. */
#include "control/cluster/keeper.h"
#include "control/world/world.h"
#include "inject/inject_settings.h"

/* One round's part, between keeper_begin and keeper_end. */
void gateway_deployer_want(struct keeper *k, const struct world *w,
                           const struct inject_settings *settings);
#endif
