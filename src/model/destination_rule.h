#ifndef MODEL_DESTINATION_RULE_H
#define MODEL_DESTINATION_RULE_H
/* networking.istio.io DestinationRule (istio/api networking/v1 DestinationRule, TrafficPolicy and the messages below).
 * The parts of a policy are told or not as a whole: port settings and subsets replace, not merge, each part (Istio's rule). */
#include "model/object.h"
#include "model/spec.h"

enum destination_rule_lb {
    DESTINATION_RULE_LB_UNSPECIFIED, /* least request */
    DESTINATION_RULE_LB_RANDOM,
    DESTINATION_RULE_LB_PASSTHROUGH,
    DESTINATION_RULE_LB_ROUND_ROBIN,
    DESTINATION_RULE_LB_LEAST_REQUEST, /* and the older LEAST_CONN */
    DESTINATION_RULE_LB_CONSISTENT_HASH
};
enum destination_rule_hash {
    DESTINATION_RULE_HASH_NONE,
    DESTINATION_RULE_HASH_HEADER,
    DESTINATION_RULE_HASH_COOKIE,
    DESTINATION_RULE_HASH_SOURCE_IP,
    DESTINATION_RULE_HASH_QUERY
};
struct destination_rule_balancing { /* LoadBalancerSettings */
    bool set;
    enum destination_rule_lb lb;
    enum destination_rule_hash hash; /* CONSISTENT_HASH */
    struct span hash_name;           /* of the header, cookie or query parameter */
    struct span cookie_path;
    int64_t cookie_ttl_ms; /* SPEC_UNSET; 0 = a session cookie */
    bool maglev;           /* else a ring hash */
    uint64_t ring_size;    /* minimumRingSize or maglev.tableSize; 0 = not told */
    int64_t warmup_ms;     /* warmup.duration, or the older warmupDurationSecs; SPEC_UNSET */
};

struct destination_rule_pool { /* ConnectionPoolSettings; 0 = not told, times SPEC_UNSET */
    bool set;
    uint32_t max_connections;
    int64_t connect_timeout_ms;
    int64_t tcp_idle_timeout_ms;
    int64_t max_connection_ms;
    bool has_keepalive;
    uint32_t keepalive_probes;
    int64_t keepalive_time_ms, keepalive_interval_ms;
    uint32_t max_pending;  /* http1MaxPendingRequests */
    uint32_t max_requests; /* http2MaxRequests */
    uint32_t max_requests_per_connection;
    uint32_t max_retries;
    int64_t idle_timeout_ms;
    enum { DESTINATION_RULE_H2_DEFAULT, DESTINATION_RULE_H2_NEVER, DESTINATION_RULE_H2_UPGRADE } h2;
    bool use_client_protocol;
    uint32_t max_concurrent_streams;
};

struct
    destination_rule_outlier { /* OutlierDetection; SPEC_UNSET = not told (Istio's defaults are world's to fill in) */
    bool set;
    int64_t consecutive_5xx; /* 0 = off */
    int64_t consecutive_gateway;
    int64_t consecutive_local;
    bool split_local;
    int64_t interval_ms, base_ejection_ms;
    int64_t max_ejection_percent, min_health_percent;
};

enum destination_rule_tls_mode {
    DESTINATION_RULE_TLS_DISABLE,
    DESTINATION_RULE_TLS_SIMPLE,
    DESTINATION_RULE_TLS_MUTUAL,
    DESTINATION_RULE_TLS_ISTIO_MUTUAL
};
struct destination_rule_tls { /* ClientTLSSettings */
    bool set;
    enum destination_rule_tls_mode mode;
    struct span certificate_file, key_file, ca_file, credential, sni;
    struct spec_texts subject_alt_names;
    enum spec_bool skip_verify;
};

struct destination_rule_proxy { /* ProxyProtocol: towards the endpoints */
    bool set;
    enum { DESTINATION_RULE_PROXY_V1, DESTINATION_RULE_PROXY_V2 } version;
};

struct destination_rule_traffic { /* of a port, a subset or the rule */
    struct destination_rule_balancing balancing;
    struct destination_rule_pool pool;
    struct destination_rule_outlier outlier;
    struct destination_rule_tls tls;
    struct destination_rule_proxy proxy;
};
struct destination_rule_port {
    uint16_t port;
    struct destination_rule_traffic traffic;
};
struct destination_rule_policy { /* TrafficPolicy */
    bool set;
    struct destination_rule_traffic traffic;
    const struct destination_rule_port *ports; /* portLevelSettings */
    size_t port_count;
};

struct destination_rule_subset {
    struct span name;
    struct spec_labels labels;
    struct destination_rule_policy policy;
};

struct destination_rule_spec {
    struct span host; /* as written: short names are of the object's namespace; may be "*.x" */
    struct destination_rule_policy policy;
    const struct destination_rule_subset *subsets;
    size_t subset_count;
    struct spec_texts export_to;
    struct spec_labels workload_selector;
    bool has_workload_selector;
};

static inline const struct destination_rule_spec *destination_rule_of(const struct object *o)
{
    ASSERT(o->kind == OBJECT_DESTINATION_RULE);
    return o->spec;
}
#endif
