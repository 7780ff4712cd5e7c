#ifndef CONTROL_CONTROL_KUBE_H
#define CONTROL_CONTROL_KUBE_H
/* What `mesh control --kubernetes` has more than on a plain machine: objects from the API server, the authority's root and the API's token in
 * Secrets, proofs by ServiceAccount tokens, the injector, and what the leader writes. Main thread.
 *
 *   control_kube_open -> (store, ca_new) -> control_kube_join -> on_synced -> (first world) -> control_kube_serve
 */
#include "base/compiler.h"
#include "base/err.h"

struct control;
struct control_kube;
struct world;

/* Connects; brings the authority's root into the data folder. Runs the loop for it. */
MUST_USE int control_kube_open(struct control *c, const char *data_dir, struct err *err);
/* The authority is there: keeps its root, takes ServiceAccount tokens, begins to follow the objects; `on_synced` once they are all there. */
MUST_USE int control_kube_join(struct control *c, const char *data_dir,
                               void (*on_synced)(void *arg), void *arg, struct err *err);
/* The first world is there: webhook, leadership. */
MUST_USE int control_kube_serve(struct control *c, struct err *err);
/* Each further one. */
void control_kube_world(struct control *c, struct world *w);
/* Before the host is freed; then, after it, the rest. Both: nothing to do outside Kubernetes. */
void control_kube_end(struct control *c);
void control_kube_free(struct control *c);
#endif
