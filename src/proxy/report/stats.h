#ifndef PROXY_REPORT_STATS_H
#define PROXY_REPORT_STATS_H
/* The proxy's numbers: Istio's standard metrics per edge (istio_requests_total ... with reporter source or
 * destination) and Envoy's per cluster, listener and HTTP connection manager. One struct stats a worker over
 * its metric shard. Everything with a label is looked up once and kept: on the request path only adds happen.
 * Sources: Istio "Standard Metrics"; Envoy cluster_manager, listener and http_conn_man statistics. */
#include "base/compiler.h"
#include "base/metric.h"
#include "base/span.h"
#include "http/limits.h"

/* A workload as Istio labels it; empty spans are exported as "unknown". */
struct stats_workload {
    struct span workload, workload_namespace, principal, app, version, canonical_service,
        canonical_revision, cluster;
};

/* Labels of a destination service. */
struct stats_service {
    struct span host, name, service_namespace;
};

/* Declares all families; main thread, once per registry. */
struct stats_families;
struct stats_families *stats_families_new(struct metric_registry *r,
                                          const struct stats_workload *self);
void stats_families_free(struct stats_families *f);

struct stats;
struct stats *stats_new(struct stats_families *f, struct metric_shard *shard);
void stats_free(struct stats *s);

/* ---- Istio: one edge is a (reporter, source, destination, service, protocol, security) ---- */
enum stats_reporter { STATS_SOURCE, STATS_DESTINATION };
enum stats_protocol { STATS_HTTP, STATS_GRPC, STATS_TCP };

struct stats_edge_key {
    enum stats_reporter reporter;
    enum stats_protocol protocol;
    bool mutual_tls; /* connection_security_policy: mutual_tls, none; unknown for source */
    const struct stats_workload *peer; /* the other side; ours is known */
    struct span self_principal;        /* by which certificate we spoke; empty = as the node says */
    struct stats_service service;
};

struct stats_edge;
/* Finds or makes; lives as long as `s`. At most STATS_EDGES_MAX, then one shared overflow edge. */
#define STATS_EDGES_MAX 4096
struct stats_edge *stats_edge_get(struct stats *s, const struct stats_edge_key *key);
/* Its ends, as it is labelled. */
struct stats_ends {
    struct span reporter, source_workload, source_namespace, destination_workload,
        destination_namespace;
};
struct stats_ends stats_edge_ends(const struct stats_edge *e);
/* A finished request. `grpc_status` -1 when it is not gRPC. `flags` as outcome.h. */
void stats_request(struct stats_edge *e, unsigned status, int grpc_status, uint32_t flags,
                   int64_t duration_us, uint64_t request_bytes, uint64_t response_bytes);
void stats_tcp_opened(struct stats_edge *e);
/* Deltas since the last call. sent = towards the client, received = from it (Istio's sense). */
void stats_tcp_bytes(struct stats_edge *e, uint32_t flags, uint64_t sent, uint64_t received);
void stats_tcp_closed(struct stats_edge *e, uint32_t flags);

/* ---- Envoy's: structs of series, one line each in a table ---- */
#define STATS_CLUSTER_LIST(COUNTER, GAUGE)              \
    COUNTER(upstream_cx_total)                          \
    GAUGE(upstream_cx_active)                           \
    COUNTER(upstream_cx_connect_fail)                   \
    COUNTER(upstream_cx_connect_timeout)                \
    COUNTER(upstream_cx_overflow)                       \
    COUNTER(upstream_cx_max_requests)                   \
    COUNTER(upstream_cx_rx_bytes_total)                 \
    COUNTER(upstream_cx_tx_bytes_total)                 \
    COUNTER(upstream_rq_total)                          \
    GAUGE(upstream_rq_active)                           \
    GAUGE(upstream_rq_pending_active)                   \
    COUNTER(upstream_rq_pending_overflow)               \
    COUNTER(upstream_rq_timeout)                        \
    COUNTER(upstream_rq_per_try_timeout)                \
    COUNTER(upstream_rq_retry)                          \
    COUNTER(upstream_rq_retry_success)                  \
    COUNTER(upstream_rq_retry_overflow)                 \
    COUNTER(upstream_rq_retry_limit_exceeded)           \
    COUNTER(upstream_rq_rx_reset)                       \
    COUNTER(upstream_rq_tx_reset)                       \
    COUNTER(upstream_cx_none_healthy)                   \
    COUNTER(lb_healthy_panic)                           \
    GAUGE(membership_total)                             \
    GAUGE(membership_healthy)                           \
    GAUGE(outlier_detection_ejections_active)           \
    COUNTER(outlier_detection_ejections_enforced_total) \
    COUNTER(outlier_detection_ejections_overflow)       \
    COUNTER(ssl_handshake)                              \
    COUNTER(ssl_connection_error)                       \
    COUNTER(ssl_fail_verify_san)

#define STATS_LISTENER_LIST(COUNTER, GAUGE)     \
    COUNTER(downstream_cx_total)                \
    GAUGE(downstream_cx_active)                 \
    COUNTER(downstream_cx_destroy)              \
    COUNTER(no_filter_chain_match)              \
    COUNTER(downstream_pre_cx_timeout)          \
    COUNTER(downstream_cx_asked)                \
    COUNTER(downstream_cx_unknown_mesh)         \
    COUNTER(downstream_global_cx_overflow)      \
    COUNTER(downstream_cx_peer_overflow)        \
    COUNTER(downstream_cx_overload_reject)      \
    COUNTER(downstream_cx_proxy_proto_error)    \
    COUNTER(proxy_proto_versions_v1_found)      \
    COUNTER(proxy_proto_versions_v1_error)      \
    COUNTER(proxy_proto_versions_v1_disallowed) \
    COUNTER(proxy_proto_versions_v2_found)      \
    COUNTER(proxy_proto_versions_v2_error)      \
    COUNTER(proxy_proto_versions_v2_disallowed) \
    COUNTER(proxy_proto_not_found_allowed)      \
    COUNTER(proxy_proto_not_found_disallowed)   \
    COUNTER(ssl_handshake)                      \
    COUNTER(ssl_connection_error)               \
    COUNTER(ssl_fail_verify_san)

#define STATS_HTTP_LIST(COUNTER, GAUGE)          \
    COUNTER(downstream_cx_total)                 \
    GAUGE(downstream_cx_active)                  \
    COUNTER(downstream_cx_http1_total)           \
    COUNTER(downstream_cx_http2_total)           \
    COUNTER(downstream_rq_total)                 \
    GAUGE(downstream_rq_active)                  \
    COUNTER(downstream_rq_rx_reset)              \
    COUNTER(downstream_rq_tx_reset)              \
    COUNTER(downstream_rq_timeout)               \
    COUNTER(downstream_rq_idle_timeout)          \
    COUNTER(downstream_cx_protocol_error)        \
    COUNTER(rbac_allowed)                        \
    COUNTER(rbac_denied)                         \
    COUNTER(rbac_shadow_allowed)                 \
    COUNTER(rbac_shadow_denied)                  \
    COUNTER(downstream_rq_mirrored)              \
    COUNTER(downstream_rq_mirror_dropped)        \
    COUNTER(fault_delays_injected)               \
    COUNTER(fault_aborts_injected)               \
    COUNTER(cors_origin_valid)                   \
    COUNTER(cors_origin_invalid)                 \
    COUNTER(downstream_tunnel_total)             \
    COUNTER(downstream_tunnel_refused)           \
    COUNTER(compressor_compressed)               \
    COUNTER(compressor_not_compressed)           \
    COUNTER(compressor_not_compressed_etag)      \
    COUNTER(compressor_content_length_too_small) \
    COUNTER(compressor_total_uncompressed_bytes) \
    COUNTER(compressor_total_compressed_bytes)   \
    COUNTER(compressor_no_accept_header)         \
    COUNTER(compressor_header_not_valid)         \
    COUNTER(compressor_header_gzip)              \
    COUNTER(compressor_overflow)                 \
    COUNTER(no_route)

#define STATS_RBAC_LIST(COUNTER) \
    COUNTER(allowed)             \
    COUNTER(denied)              \
    COUNTER(shadow_allowed)      \
    COUNTER(shadow_denied)

#define STATS_UDP_LIST(COUNTER, GAUGE)    \
    COUNTER(downstream_sess_total)        \
    GAUGE(downstream_sess_active)         \
    COUNTER(downstream_sess_no_route)     \
    COUNTER(downstream_sess_rx_bytes)     \
    COUNTER(downstream_sess_rx_datagrams) \
    COUNTER(downstream_sess_tx_bytes)     \
    COUNTER(downstream_sess_tx_datagrams) \
    COUNTER(downstream_sess_tx_errors)    \
    COUNTER(idle_timeout)

#define STATS_FIELD(name) struct metric_series *name;
struct stats_cluster {
    STATS_CLUSTER_LIST(STATS_FIELD, STATS_FIELD)
    struct metric_series *upstream_rq_xx[6]; /* [status / 100] */
};
struct stats_listener {
    STATS_LISTENER_LIST(STATS_FIELD, STATS_FIELD)
};
struct stats_http {
    STATS_HTTP_LIST(STATS_FIELD, STATS_FIELD)
    struct metric_series *downstream_rq_xx[6];
};
struct stats_udp {
    STATS_UDP_LIST(STATS_FIELD, STATS_FIELD)
};
struct stats_rbac { /* of a network filter; those of HTTP are in stats_http */
    STATS_RBAC_LIST(STATS_FIELD)
};
#undef STATS_FIELD

/* Filled once by the owner of the cluster, listener or connection manager. */
void stats_cluster_bind(struct stats *s, struct span cluster, struct stats_cluster *out);
void stats_listener_bind(struct stats *s, struct span address, struct stats_listener *out);
void stats_udp_bind(struct stats *s, struct span stat_prefix, struct stats_udp *out);
void stats_rbac_bind(struct stats *s, struct span stat_prefix, struct stats_rbac *out);
void stats_http_bind(struct stats *s, struct span stat_prefix, struct stats_http *out);
/* A limit of a connection manager was broken: counts it, if it has a counter (http/limits.def). Looks it up. */
void stats_limit(struct stats *s, struct span stat_prefix, enum limit broken);
#endif
