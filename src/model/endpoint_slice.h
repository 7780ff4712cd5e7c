#ifndef MODEL_ENDPOINT_SLICE_H
#define MODEL_ENDPOINT_SLICE_H
/* discovery.k8s.io/v1 EndpointSlice: its fields stand at the top of the document, not in a spec. The service is named
 * by the label kubernetes.io/service-name (LABEL_SLICE_SERVICE). */
#include "model/object.h"
#include "model/spec.h"

enum endpoint_slice_type { ENDPOINT_SLICE_IPV4, ENDPOINT_SLICE_IPV6, ENDPOINT_SLICE_FQDN };

struct endpoint_slice_endpoint {
    struct spec_texts addresses; /* at least one; all mean the same endpoint: the first counts */
    bool ready;                  /* conditions.ready, true when not told */
    bool serving;                /* as ready when not told */
    bool terminating;
    struct span hostname;
    struct span node_name;
    struct span zone;
    struct span target_kind, target_namespace, target_name; /* targetRef: the pod */
};

struct endpoint_slice_port {
    struct span name; /* of the service's port; may be empty */
    uint16_t port;    /* the target; 0: not told */
    struct span protocol;
    struct span app_protocol;
};

struct endpoint_slice_spec {
    enum endpoint_slice_type type;
    struct span service; /* from the label; empty: of none */
    const struct endpoint_slice_endpoint *endpoints;
    size_t endpoint_count;
    const struct endpoint_slice_port *ports;
    size_t port_count;
};

static inline const struct endpoint_slice_spec *endpoint_slice_of(const struct object *o)
{
    ASSERT(o->kind == OBJECT_ENDPOINT_SLICE);
    return o->spec;
}
#endif
