#ifndef MODEL_ISTIO_GATEWAY_H
#define MODEL_ISTIO_GATEWAY_H
/* networking.istio.io Gateway (istio/api networking/v1 Gateway, Server, ServerTLSSettings). */
#include "model/object.h"
#include "model/spec.h"

enum istio_gateway_tls {
    ISTIO_GATEWAY_TLS_NONE, /* no tls at all */
    ISTIO_GATEWAY_TLS_PASSTHROUGH,
    ISTIO_GATEWAY_TLS_SIMPLE,
    ISTIO_GATEWAY_TLS_MUTUAL,
    ISTIO_GATEWAY_TLS_AUTO_PASSTHROUGH,
    ISTIO_GATEWAY_TLS_ISTIO_MUTUAL,
    ISTIO_GATEWAY_TLS_OPTIONAL_MUTUAL
};

struct istio_gateway_server {
    struct span name;
    uint16_t port;
    struct span port_name;
    struct span protocol; /* upper case: HTTP, HTTPS, GRPC, HTTP2, TCP, TLS, MONGO, GRPC-WEB */
    struct span bind;
    struct spec_texts hosts; /* "ns/host", "./host"; "host" alone is of any namespace */
    enum istio_gateway_tls tls;
    bool https_redirect;
    struct span certificate_file, key_file, ca_file;
    struct span credential; /* name of a Secret in the gateway proxy's namespace */
    struct spec_texts subject_alt_names;
    struct span min_version, max_version; /* "TLSV1_2" ...; empty = auto */
    struct spec_texts cipher_suites;
};

struct istio_gateway_spec {
    struct spec_labels selector; /* of proxies, in any namespace */
    const struct istio_gateway_server *servers;
    size_t server_count;
};

static inline const struct istio_gateway_spec *istio_gateway_of(const struct object *o)
{
    ASSERT(o->kind == OBJECT_ISTIO_GATEWAY);
    return o->spec;
}
#endif
