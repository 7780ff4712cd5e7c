#ifndef MODEL_SERVICE_H
#define MODEL_SERVICE_H
/* v1 Service and Namespace (Kubernetes core/v1 ServiceSpec). What only kube-proxy or a cloud reads (session affinity,
 * node ports, load balancer addresses, traffic policies) has no effect here, and says nothing. */
#include "model/object.h"
#include "model/spec.h"

enum service_type {
    SERVICE_CLUSTER_IP,
    SERVICE_NODE_PORT,
    SERVICE_LOAD_BALANCER,
    SERVICE_EXTERNAL_NAME
};

struct service_port {
    struct span name; /* may be empty when it is the only one */
    uint16_t port;
    uint16_t target_port;    /* 0: see target_name; the same as `port` when none is told */
    struct span target_name; /* of a port of the pod or workload; else empty */
    struct span protocol;    /* "TCP", "UDP", "SCTP" */
    struct span app_protocol;
};

struct service_spec {
    enum service_type type;
    bool headless;                 /* clusterIP: None */
    struct spec_texts cluster_ips; /* valid addresses, without "None"; none: not given yet */
    struct spec_labels selector;   /* none: endpoints come from EndpointSlices only */
    struct span external_name;     /* SERVICE_EXTERNAL_NAME: a DNS name */
    const struct service_port *ports;
    size_t port_count;
    bool publish_not_ready;
};

/* metadata.name and labels are in the object. */
struct namespace_spec {
    struct spec_texts finalizers;
};

static inline const struct service_spec *service_of(const struct object *o)
{
    ASSERT(o->kind == OBJECT_SERVICE);
    return o->spec;
}
#endif
