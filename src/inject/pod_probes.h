#ifndef INJECT_POD_PROBES_H
#define INJECT_POD_PROBES_H
/* What others ask an application goes through its proxy, because only that can tell them from strangers where mutual TLS is demanded: kubelet's
 * probes (all kinds become httpGet :STATUS_PORT/app-health/CONTAINER/{livez,readyz,startupz}), and the scrape of metrics.
 * Sources: Istio pkg/kube/inject/app_probe.go (DumpAppProbers, the form of ISTIO_KUBE_APP_PROBERS), webhook.go (applyPrometheusMerge). */
#include "inject/pod_wish.h"

/* Changes the pod's probes; the originals, keyed by their new paths, with ports as numbers; NULL when there are none. A probe that names a port which its container
 * does not have, or another host, stays. */
struct doc_node *pod_probes_rewrite(struct doc_node *pod, int64_t status_port, struct arena *arena);
/* Points the annotations prometheus.io at the proxy; {"port": .., "path": ..} of the application's own, or NULL when it has none or wants no scrape. */
struct doc_node *pod_probes_metrics(struct doc_node *pod, int64_t status_port, struct arena *arena);
#endif
