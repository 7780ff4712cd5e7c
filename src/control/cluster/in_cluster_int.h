#ifndef CONTROL_CLUSTER_IN_CLUSTER_INT_H
#define CONTROL_CLUSTER_IN_CLUSTER_INT_H
/* What in_cluster.c and in_cluster_secrets.c share. */
#include "base/arena.h"
#include "control/cluster/in_cluster.h"
#include "control/cluster/gateway_deployer.h"
#include "control/cluster/keeper.h"
#include "control/cluster/root_maps.h"
#include "control/cluster/status_writer.h"
#include "control/cluster/webhook_bundle.h"
#include "io/deadline.h"
#include "kube/kube_conf.h"
#include "kube/lease.h"

struct in_cluster {
    struct loop *loop; /* borrowed */
    struct arena arena;
    struct kube_conf conf;
    struct kube_client *client; /* owned */
    struct span name, namespace;
    unsigned minor;
    bool has_root; /* the Secret was there */
    struct span roots_pem;
    struct lease *lease;                    /* owned; NULL before in_cluster_begin */
    struct keeper *keeper;                  /* owned */
    struct webhook_bundle *bundle;          /* owned; NULL before in_cluster_begin */
    struct kube_events *events;             /* owned */
    struct status_writer *status;           /* owned */
    const struct sources *sources;          /* borrowed; NULL before in_cluster_begin */
    const struct inject_settings *settings; /* borrowed; NULL: not known */
    struct world *world;                    /* a reference; NULL before the first */
    struct deadline look;
};

/* kube_ask, again while nobody answers. */
MUST_USE int in_cluster_ask(struct in_cluster *c, struct arena *arena,
                            const struct kube_call_spec *spec, struct kube_answer *a,
                            struct err *err);
#endif
