#ifndef MODEL_MESH_CONFIG_H
#define MODEL_MESH_CONFIG_H
/* mesh.io/v1 MeshConfig, ours: `spec` has the field names of Istio's MeshConfig (istio/api mesh/v1alpha1 config.proto), and
 * meshRanges and enableHBONE. The one named "default" counts. */
#include "model/object.h"
#include "model/spec.h"
#include "model/virtual_service.h"

struct mesh_config_spec {
    struct span trust_domain; /* empty = not told, in all of these */
    struct span root_namespace;
    enum spec_bool allow_any; /* outboundTrafficPolicy.mode ALLOW_ANY; REGISTRY_ONLY = false */
    enum spec_bool auto_mtls; /* enableAutoMtls */
    bool has_access_log_file; /* accessLogFile: "" turns it off */
    struct span access_log_file;
    struct span access_log_format;
    enum spec_bool access_log_json; /* accessLogEncoding JSON, TEXT */
    int64_t connect_timeout_ms;
    struct virtual_service_retry retry; /* defaultHttpRetryPolicy */
    struct spec_texts mesh_ranges;      /* CIDRs: addresses that are the mesh's own */
    enum spec_bool prometheus_merge;    /* enablePrometheusMerge */
    enum spec_bool
        hbone; /* enableHBONE: sidecars talk by tunnels; ours, Istio has a variable for it */
    enum mesh_config_paths { /* pathNormalization.normalization */
                             MESH_CONFIG_PATHS_UNSET,
                             MESH_CONFIG_PATHS_NONE,
                             MESH_CONFIG_PATHS_BASE,
                             MESH_CONFIG_PATHS_MERGE_SLASHES,
                             MESH_CONFIG_PATHS_DECODE_AND_MERGE_SLASHES,
    } paths;
    struct mesh_config_topology {      /* defaultConfig.gatewayTopology (proxy.proto: Topology) */
        uint32_t trusted_proxies;      /* numTrustedProxies */
        enum mesh_config_client_cert { /* forwardClientCertDetails */
                                       MESH_CONFIG_CLIENT_CERT_UNSET,
                                       MESH_CONFIG_CLIENT_CERT_SANITIZE,
                                       MESH_CONFIG_CLIENT_CERT_FORWARD_ONLY,
                                       MESH_CONFIG_CLIENT_CERT_APPEND_FORWARD,
                                       MESH_CONFIG_CLIENT_CERT_SANITIZE_SET,
                                       MESH_CONFIG_CLIENT_CERT_ALWAYS_FORWARD_ONLY,
        } client_cert;
        bool proxy_protocol; /* proxyProtocol: connections begin with a PROXY header */
    } topology;
    struct mesh_config_gzip { /* compression, ours: of gateways' answers */
        bool on;
        uint32_t min_bytes; /* 0 = not told */
        struct spec_texts types;
    } gzip;
};

static inline const struct mesh_config_spec *mesh_config_of(const struct object *o)
{
    ASSERT(o->kind == OBJECT_MESH_CONFIG);
    return o->spec;
}
#endif
