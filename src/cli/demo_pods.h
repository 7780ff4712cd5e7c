#ifndef CLI_DEMO_PODS_H
#define CLI_DEMO_PODS_H
/* With --netns: what a pod gives the processes in it. A network namespace with the rules of `mesh init`, so that the
 * application knows nothing of the mesh; names by DNS, as Kubernetes' resolv.conf has it; a user of its own for the proxy. Without
 * --netns all of it is nothing (demo.net is NULL). */
#include "base/compiler.h"
#include "base/err.h"

struct demo;
enum demo_role {
    DEMO_TOOL, /* a namespace, without redirection */
    DEMO_APP,
    DEMO_PROXY,
};
/* Where a process of host N runs; NULL: where we are. Turns the loop until the rules are there. What fails is kept in
 * d->trouble, and the process will not start. */
const struct demo_seat *demo_pods_seat(struct demo *d, int host, enum demo_role role);
/* Makes the folder of a proxy's state, which only that user may read: "state/NAME". */
void demo_pods_state(struct demo *d, const char *name);
/* Lets proxies into the demo's folder, and writes resolv.conf. Before all others. */
MUST_USE int demo_pods_open(struct demo *d, struct err *err);
struct demo_volley;
/* A volley from within the pod of a host, as its application would ask: names by the pod's DNS, and redirected. */
MUST_USE int demo_pods_volley(struct demo *d, int host, const struct demo_volley *v,
                              struct err *err);
/* The authority's root where proxies may read it; when control is ready. */
MUST_USE int demo_pods_publish_root(struct demo *d, struct err *err);
#endif
