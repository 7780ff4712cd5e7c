#ifndef MODEL_PEER_AUTHENTICATION_H
#define MODEL_PEER_AUTHENTICATION_H
/* security.istio.io PeerAuthentication (istio/api security/v1beta1 peer_authentication.proto): what a workload accepts.
 * In the root namespace without selector it is of the mesh, elsewhere without selector of the namespace. */
#include "model/object.h"
#include "model/spec.h"

enum peer_authentication_mode {
    PEER_AUTHENTICATION_UNSET, /* as the level above says */
    PEER_AUTHENTICATION_DISABLE,
    PEER_AUTHENTICATION_PERMISSIVE,
    PEER_AUTHENTICATION_STRICT
};

struct peer_authentication_port {
    uint16_t port; /* of the workload, not of the service */
    enum peer_authentication_mode mode;
};

struct peer_authentication_spec {
    struct spec_labels selector;
    enum peer_authentication_mode mode;
    const struct peer_authentication_port *ports; /* portLevelMtls; only with a selector */
    size_t port_count;
};

static inline const struct peer_authentication_spec *peer_authentication_of(const struct object *o)
{
    ASSERT(o->kind == OBJECT_PEER_AUTHENTICATION);
    return o->spec;
}
#endif
