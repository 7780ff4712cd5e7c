#ifndef MODEL_SERVICE_ENTRY_H
#define MODEL_SERVICE_ENTRY_H
/* networking.istio.io ServiceEntry (istio/api networking/v1 ServiceEntry): a service that Kubernetes does not know. */
#include "model/object.h"
#include "model/spec.h"
#include "model/workload_entry.h"

enum service_entry_resolution {
    SERVICE_ENTRY_NONE,
    SERVICE_ENTRY_STATIC,
    SERVICE_ENTRY_DNS,
    SERVICE_ENTRY_DNS_ROUND_ROBIN
};

struct service_entry_port {
    uint16_t number;
    uint16_t target_port; /* the same as `number` when not told */
    struct span name;
    struct span protocol; /* upper case: HTTP, HTTPS, GRPC, HTTP2, MONGO, TCP, TLS ... */
};

struct service_entry_spec {
    struct spec_texts hosts;     /* at least one; may be "*.x" */
    struct spec_texts addresses; /* IPs and CIDRs */
    const struct service_entry_port *ports;
    size_t port_count;
    bool
        internal; /* location MESH_INTERNAL; MESH_EXTERNAL is what Istio takes when it is not told */
    enum service_entry_resolution resolution;
    const struct workload_entry_spec *endpoints;
    size_t endpoint_count;
    struct spec_labels workload_selector; /* instead of endpoints: WorkloadEntries and pods */
    bool has_workload_selector;
    struct spec_texts export_to; /* "*", ".", a namespace; none = "*" */
    struct spec_texts subject_alt_names;
};

static inline const struct service_entry_spec *service_entry_of(const struct object *o)
{
    ASSERT(o->kind == OBJECT_SERVICE_ENTRY);
    return o->spec;
}
#endif
