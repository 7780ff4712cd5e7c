#ifndef MODEL_WORKLOAD_ENTRY_H
#define MODEL_WORKLOAD_ENTRY_H
/* networking.istio.io WorkloadEntry (istio/api networking/v1 WorkloadEntry): one workload that is not a pod. The same
 * message stands in a ServiceEntry's endpoints. */
#include "model/object.h"
#include "model/spec.h"

struct workload_entry_port {
    struct span name; /* of the service's port */
    uint16_t port;
};

struct workload_entry_spec {
    struct span address; /* an IP, a DNS name, or "unix:///path" */
    const struct workload_entry_port *ports;
    size_t port_count;
    struct spec_labels labels;
    struct span network;
    struct span locality; /* "region/zone/subzone" */
    uint32_t weight;      /* 0 = not told, which means 1 */
    struct span service_account;
};

static inline const struct workload_entry_spec *workload_entry_of(const struct object *o)
{
    ASSERT(o->kind == OBJECT_WORKLOAD_ENTRY);
    return o->spec;
}
#endif
