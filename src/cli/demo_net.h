#ifndef CLI_DEMO_NET_H
#define CLI_DEMO_NET_H
/* The network of `mesh demo --netns`: a network namespace for each who takes part, as a pod has one, on a bridge that is in a
 * namespace of its own, and one cable to where the demo was started.
 *
 *   where we are: mesh-demo-N 10.66.N.254 ---- | bridge | ---- eth0 10.66.N.1    control
 *                                              |        | ---- eth0 10.66.N.2    gateway
 *                                              |        | ---- eth0 10.66.N.11   productpage-v1 and its proxy ...
 *
 * Namespaces have no names: descriptors and processes hold them, and with the last of these they vanish, cables too; so
 * nothing is left of a demo that was killed. Made by rtnetlink, no program is needed. Needs CAP_SYS_ADMIN, CAP_NET_ADMIN. */
#include "base/compiler.h"
#include "base/err.h"

#define DEMO_NET_HOSTS 254

struct demo_net;
/* -EPERM: the sentence says what is needed. */
MUST_USE int demo_net_new(struct demo_net **out, struct err *err);
/* NULL is fine. */
void demo_net_free(struct demo_net *n);
/* N. */
int demo_net_number(const struct demo_net *n);
/* The namespace of 10.66.N.host, made when it is first asked for: a descriptor, borrowed; -errno. Other addresses than those on
 * the bridge are reached nowhere, but routed there: what leaves is either redirected or lost. */
MUST_USE int demo_net_at(struct demo_net *n, int host, struct err *err);
/* The calling thread goes into one (sockets made there stay there), or with -1 back to where it was. */
MUST_USE int demo_net_enter(struct demo_net *n, int fd);
#endif
