#ifndef MODEL_POD_H
#define MODEL_POD_H
/* v1 Pod, and what it refers to: Node and ServiceAccount (Kubernetes core/v1 PodSpec, PodStatus). Read for what a mesh asks: which workload it
 * is, as whom it runs, and at which addresses; all else of them is left alone. They are written by Kubernetes; in a file a Pod counts when it
 * has a status with its address. */
#include "codec/ip.h"
#include "model/object.h"
#include "model/spec.h"

struct pod_port {
    struct span name; /* may be empty */
    uint16_t port;
};

struct pod_spec {
    struct span service_account;  /* "default" when not told */
    struct span node;             /* empty: not scheduled */
    bool host_network;            /* its addresses are the node's */
    const struct pod_port *ports; /* of all containers */
    size_t port_count;
    const struct ip *ips; /* status.podIPs; none: not yet */
    size_t ip_count;
    bool ready;  /* status.conditions Ready */
    bool ended;  /* phase Succeeded or Failed: its address may be another's by now */
    bool leaves; /* metadata.deletionTimestamp */
    /* Who made it, as Istio names workloads: a ReplicaSet's Deployment, a Job's CronJob, else the owner; without one the pod itself. */
    struct span workload, workload_kind;
};

/* metadata.labels say region, zone and sub-zone. */
struct pod_node_spec {
    struct span region, zone, sub_zone; /* empty: not told */
};

struct pod_account_spec {
    bool unused; /* metadata is all there is */
};

static inline const struct pod_spec *pod_of(const struct object *o)
{
    ASSERT(o->kind == OBJECT_POD);
    return o->spec;
}
static inline const struct pod_node_spec *pod_node_of(const struct object *o)
{
    ASSERT(o->kind == OBJECT_NODE);
    return o->spec;
}
/* Both say the same of everything but readiness, which EndpointSlices tell. */
bool pod_is_same(const struct object *a, const struct object *b);
#endif
