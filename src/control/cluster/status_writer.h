#ifndef CONTROL_CLUSTER_STATUS_WRITER_H
#define CONTROL_CLUSTER_STATUS_WRITER_H
/* What the mesh thinks of people's objects, written into their `status`: conditions with observedGeneration, and lastTransitionTime that changes only with the
 * condition's status. Entries of other controllers in a route's status.parents are kept.
 * In: world, sources. Next: keeper. */
#include "control/cluster/keeper.h"
#include "control/sources/source.h"
#include "control/world/world.h"
#include "kube/kube_event.h"

#define STATUS_CONTROLLER "mesh.io/gateway-controller" /* GatewayClass.spec.controllerName */

struct status_writer;
/* `events` (may be NULL; borrowed): a condition that becomes False is also an Event of type Warning, as `kubectl describe` shows them. */
NONNULL_RETURN struct status_writer *status_writer_new(struct kube_events *events);
void status_writer_free(struct status_writer *w); /* NULL is fine */
/* One round's part, between keeper_begin and keeper_end. */
void status_writer_want(struct status_writer *w, struct keeper *k, const struct world *world,
                        const struct sources *sources);
#endif
