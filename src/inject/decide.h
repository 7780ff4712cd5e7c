#ifndef INJECT_DECIDE_H
#define INJECT_DECIDE_H
/* Whether a pod gets a proxy. The first that says something counts:
 *   never: system namespaces, hostNetwork, Windows, a proxy that is there already
 *   the pod's label (or annotation) mesh.io/inject, sidecar.istio.io/inject; its label istio.io/rev
 *   the namespace's label mesh-injection, istio-injection, istio.io/rev
 *   who asks, or the settings */
#include "inject/inject.h"

/* As inject_decide. */
void decide(const struct inject_subject *subject, const struct inject_settings *settings,
            struct arena *arena, struct inject_answer *out);
bool decide_is_system(struct span namespace);
#endif
