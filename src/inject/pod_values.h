#ifndef INJECT_POD_VALUES_H
#define INJECT_POD_VALUES_H
/* The values that templates are filled in with. */
#include "inject/pod_wish.h"

/* What the workload behind a pod is called: by whoever made it (a Deployment, not its ReplicaSet; a CronJob, not its Jobs), or the pod's own
 * name. Also the word for its kind, "Pod" when nobody made it. */
struct pod_values_workload {
    struct span kind, name;
};
struct pod_values_workload pod_values_workload(const struct inject_subject *subject,
                                               struct arena *arena);
/* All names that templates/proxy.yaml (and those of the settings) may use. */
NONNULL_RETURN struct doc_node *pod_values(const struct pod_wish *w,
                                           const struct inject_subject *subject,
                                           const struct inject_settings *settings,
                                           struct arena *arena);
#endif
