#ifndef MESH_NAMES_H
#define MESH_NAMES_H
/* Names that all roles agree on and users know already: labels, annotations, headers, metrics. Istio's,
 * Envoy's and Kubernetes' words, spelled once. */

/* Labels and annotations of namespaces and pods (istio.io "resource labels", "resource annotations"). */
#define LABEL_INJECTION "istio-injection"      /* namespace: enabled, disabled */
#define LABEL_INJECT "sidecar.istio.io/inject" /* pod: true, false */
#define LABEL_REVISION "istio.io/rev"
#define LABEL_TAG "istio.io/tag"
#define LABEL_DATAPLANE_MODE "istio.io/dataplane-mode"
#define LABEL_TLS_MODE "security.istio.io/tlsMode" /* istio, disabled */
#define LABEL_TUNNEL "networking.istio.io/tunnel"  /* pod, WorkloadEntry: http = takes HBONE */
#define LABEL_CANONICAL_NAME "service.istio.io/canonical-name"
#define LABEL_CANONICAL_REVISION "service.istio.io/canonical-revision"
#define LABEL_WORKLOAD_NAME "service.istio.io/workload-name"
#define LABEL_NETWORK "topology.istio.io/network"
#define LABEL_CLUSTER "topology.istio.io/cluster"
#define LABEL_SUBZONE "topology.istio.io/subzone"
#define LABEL_REGION "topology.kubernetes.io/region"
#define LABEL_ZONE "topology.kubernetes.io/zone"
#define LABEL_GATEWAY_PORT "networking.istio.io/gatewayPort"
#define LABEL_GATEWAY_NAME "gateway.networking.k8s.io/gateway-name"
#define LABEL_APP "app"
#define LABEL_APP_NAME "app.kubernetes.io/name"
#define LABEL_VERSION "version"
#define LABEL_APP_VERSION "app.kubernetes.io/version"
#define LABEL_SLICE_SERVICE "kubernetes.io/service-name" /* EndpointSlice */

#define ANNOTATION_STATUS "sidecar.istio.io/status"
#define ANNOTATION_REDIRECTION \
    "ambient.istio.io/redirection" /* pod, WorkloadEntry: enabled = takes HBONE */
#define ANNOTATION_PROXY_CPU "sidecar.istio.io/proxyCPU"
#define ANNOTATION_PROXY_MEMORY "sidecar.istio.io/proxyMemory"
#define ANNOTATION_PROXY_CPU_LIMIT "sidecar.istio.io/proxyCPULimit"
#define ANNOTATION_PROXY_MEMORY_LIMIT "sidecar.istio.io/proxyMemoryLimit"
#define ANNOTATION_PROXY_IMAGE "sidecar.istio.io/proxyImage"
#define ANNOTATION_LOG_LEVEL "sidecar.istio.io/logLevel"
#define ANNOTATION_INTERCEPTION_MODE "sidecar.istio.io/interceptionMode"
#define ANNOTATION_REWRITE_PROBERS "sidecar.istio.io/rewriteAppHTTPProbers"
#define ANNOTATION_NATIVE_SIDECAR "sidecar.istio.io/nativeSidecar"
#define ANNOTATION_STATS_BUCKETS "sidecar.istio.io/statsHistogramBuckets"
#define ANNOTATION_INCLUDE_INBOUND_PORTS "traffic.sidecar.istio.io/includeInboundPorts"
#define ANNOTATION_EXCLUDE_INBOUND_PORTS "traffic.sidecar.istio.io/excludeInboundPorts"
#define ANNOTATION_INCLUDE_OUTBOUND_PORTS "traffic.sidecar.istio.io/includeOutboundPorts"
#define ANNOTATION_EXCLUDE_OUTBOUND_PORTS "traffic.sidecar.istio.io/excludeOutboundPorts"
#define ANNOTATION_INCLUDE_OUTBOUND_RANGES "traffic.sidecar.istio.io/includeOutboundIPRanges"
#define ANNOTATION_EXCLUDE_OUTBOUND_RANGES "traffic.sidecar.istio.io/excludeOutboundIPRanges"
#define ANNOTATION_EXCLUDE_INTERFACES "traffic.sidecar.istio.io/excludeInterfaces"
#define ANNOTATION_PROXY_CONFIG "proxy.istio.io/config"
#define ANNOTATION_TEMPLATES "inject.istio.io/templates"
#define ANNOTATION_EXPORT_TO "networking.istio.io/exportTo"
#define ANNOTATION_TRAFFIC_DISTRIBUTION "networking.istio.io/traffic-distribution"
#define ANNOTATION_DRY_RUN "istio.io/dry-run"
#define ANNOTATION_ANALYZE_SUPPRESS "galley.istio.io/analyze-suppress"
#define ANNOTATION_SCRAPE "prometheus.io/scrape"
#define ANNOTATION_SCRAPE_PORT "prometheus.io/port"
#define ANNOTATION_SCRAPE_PATH "prometheus.io/path"
#define ANNOTATION_MERGE_METRICS "prometheus.istio.io/merge-metrics"

/* HTTP headers, in the lower case in which they are kept (Envoy "HTTP header manipulation", "router"). */
#define HEADER_REQUEST_ID "x-request-id"
#define HEADER_FORWARDED_FOR "x-forwarded-for"
#define HEADER_FORWARDED_PROTO "x-forwarded-proto"
#define HEADER_FORWARDED_HOST "x-forwarded-host"
#define HEADER_FORWARDED_CLIENT_CERT "x-forwarded-client-cert"
#define HEADER_EXTERNAL_ADDRESS "x-envoy-external-address"
#define HEADER_INTERNAL "x-envoy-internal"
#define HEADER_ATTEMPT_COUNT "x-envoy-attempt-count"
#define HEADER_RETRY_ON "x-envoy-retry-on"
#define HEADER_RETRY_GRPC_ON "x-envoy-retry-grpc-on"
#define HEADER_MAX_RETRIES "x-envoy-max-retries"
#define HEADER_TIMEOUT_MS "x-envoy-upstream-rq-timeout-ms"
#define HEADER_PER_TRY_TIMEOUT_MS "x-envoy-upstream-rq-per-try-timeout-ms"
#define HEADER_EXPECTED_TIMEOUT_MS "x-envoy-expected-rq-timeout-ms"
#define HEADER_SERVICE_TIME "x-envoy-upstream-service-time"
#define HEADER_ORIGINAL_PATH "x-envoy-original-path"
#define HEADER_ORIGINAL_HOST "x-envoy-original-host"
#define HEADER_DECORATOR "x-envoy-decorator-operation"
#define HEADER_OVERLOADED "x-envoy-overloaded"
#define HEADER_PEER_METADATA "x-envoy-peer-metadata"
#define HEADER_PEER_METADATA_ID "x-envoy-peer-metadata-id"
#define HEADER_FORCE_TRACE "x-envoy-force-trace"
#define HEADER_TRACEPARENT "traceparent"
#define HEADER_TRACESTATE "tracestate"
#define HEADER_B3 "b3"
#define HEADER_B3_TRACE_ID "x-b3-traceid"
#define HEADER_B3_SPAN_ID "x-b3-spanid"
#define HEADER_B3_PARENT_ID "x-b3-parentspanid"
#define HEADER_B3_SAMPLED "x-b3-sampled"
#define HEADER_B3_FLAGS "x-b3-flags"

/* Metrics of a data plane (istio.io "Istio standard metrics"). */
#define METRIC_REQUESTS "istio_requests_total"
#define METRIC_REQUEST_DURATION "istio_request_duration_milliseconds"
#define METRIC_REQUEST_BYTES "istio_request_bytes"
#define METRIC_RESPONSE_BYTES "istio_response_bytes"
#define METRIC_REQUEST_MESSAGES "istio_request_messages_total"
#define METRIC_RESPONSE_MESSAGES "istio_response_messages_total"
#define METRIC_TCP_OPENED "istio_tcp_connections_opened_total"
#define METRIC_TCP_CLOSED "istio_tcp_connections_closed_total"
#define METRIC_TCP_SENT "istio_tcp_sent_bytes_total"
#define METRIC_TCP_RECEIVED "istio_tcp_received_bytes_total"

/* ALPN between sidecars: the peer is one of ours, and what it will speak inside. */
#define ALPN_PEER_EXCHANGE "istio-peer-exchange"
#define ALPN_MESH "istio"
#define ALPN_MESH_HTTP_1_0 "istio-http/1.0"
#define ALPN_MESH_HTTP_1_1 "istio-http/1.1"
#define ALPN_MESH_H2 "istio-h2"
#define ALPN_H2 "h2"
#define ALPN_HTTP_1_1 "http/1.1"

/* Names of resources that Istio's tools look for. */
#define CLUSTER_PASSTHROUGH "PassthroughCluster"
#define CLUSTER_INBOUND_PASSTHROUGH "InboundPassthroughCluster"
#define CLUSTER_BLACK_HOLE "BlackHoleCluster"
#define LISTENER_OUTBOUND "virtualOutbound"
#define LISTENER_INBOUND "virtualInbound"
/* HBONE; of both a listener and a cluster, but the first. */
#define LISTENER_TUNNEL_IN "connect_terminate"
#define TUNNEL_INNER "main_internal"
#define FILTER_STATE_PEER "io.istio.peer_principal" /* who the tunnel is from */
#define TUNNEL_OUT "connect_originate"

#define MESH_ROOT_NAMESPACE "istio-system"
#define MESH_TRUST_DOMAIN "cluster.local"
/* Who our control plane is: spiffe://TRUST_DOMAIN/ns/mesh-system/sa/mesh-control. */
#define MESH_SYSTEM_NAMESPACE "mesh-system"
#define MESH_CONTROL_ACCOUNT "mesh-control"
#endif
