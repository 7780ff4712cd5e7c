#ifndef CONTROL_CLUSTER_ROOT_MAPS_H
#define CONTROL_CLUSTER_ROOT_MAPS_H
/* The mesh's root certificates as ConfigMaps in every namespace, which pods mount: "istio-ca-root-cert" (Istio's name, so that Istio's own
 * agents find it) and "mesh-ca-root-cert", key root-cert.pem. */
#include "control/cluster/keeper.h"
#include "control/world/world.h"

/* One round's part: those of all namespaces of the world that are not on their way out. */
void root_maps_want(struct keeper *k, const struct world *w, struct span roots_pem);
#endif
