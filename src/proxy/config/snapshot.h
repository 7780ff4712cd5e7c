#ifndef PROXY_CONFIG_SNAPSHOT_H
#define PROXY_CONFIG_SNAPSHOT_H
/* What was configured: immutable, shared by all workers. A snapshot is a table of per-resource objects; a
 * new one shares what did not change. The main thread alone makes, counts and frees them (plain counters);
 * workers hold a whole snapshot through a view (config/view.h) and mail it back when they are done.
 *
 *   snapshot --- listeners[]  conf_listener --- chains --- conf_http | conf_tcp (+ rbac, conf_tls)
 *            \-- by slot: clusters[] endpoints[] routes[] secrets[]
 *
 * Slots: a name of a cluster, route table or secret gets a number the first time anybody mentions it and
 * keeps it for the proxy's life, so that a mention resolves to an array index, whatever comes first.
 * In: config/ingest. Out: config/view of each worker. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/list.h"
#include "codec/gzip.h"
#include "io/addr.h"
#include "policy/rbac.h"
#include "policy/route.h"
#include "tls/tls_ctx.h"

enum conf_kind {
    CONF_LISTENER,
    CONF_ROUTES,
    CONF_CLUSTER,
    CONF_ENDPOINTS,
    CONF_SECRET,
    CONF_VIRTUAL_HOST, /* on demand: part of a route table that learns */
    CONF_KIND_COUNT
};

#define SLOT_NONE UINT32_MAX

struct read_mention;

/* Head of every per-resource object. */
struct conf {
    enum conf_kind kind;
    struct span name;
    struct span version;  /* as the control plane named it when the object was made */
    struct span resource; /* the Any's value bytes, for /config_dump */
    int64_t updated_us;   /* wall time */
    struct arena arena;   /* owns everything of this object */
    unsigned refs;        /* main thread only */
    /* private: what it needs from elsewhere before it can be used */
    const struct read_mention *mentions;
    size_t mention_count;
};

/* ---- TLS ---- */
struct conf_tls {
    bool server;
    /* Own certificate and trust: inline (PEM here) or by secret slot. */
    uint32_t identity_slot; /* SLOT_NONE = inline or none */
    struct span chain_pem, key_pem;
    uint32_t trust_slot; /* SLOT_NONE = inline or none */
    const struct tls_trust *trust;
    size_t trust_count;
    enum tls_peer_mode peer_mode;
    const struct tls_san_match *allowed; /* secure naming */
    size_t allowed_count;
    const struct span *alpn;
    size_t alpn_count;
    struct span sni;
    uint16_t min_version, max_version;
    bool keep_chain; /* server: a header tells the peer's certificate */
};

struct conf_secret {
    struct conf conf;
    bool is_identity; /* tls_certificate; else validation_context */
    struct span chain_pem, key_pem;
    const struct tls_trust *trust;
    size_t trust_count;
    const struct tls_san_match *allowed;
    size_t allowed_count;
};

/* ---- access logs ---- */
struct conf_access_log {
    struct span path;   /* file, /dev/stdout, /dev/stderr */
    struct span format; /* text with operators, NUL-terminated; empty = Istio's default text */
    bool json;
    const struct header *json_fields; /* name -> format, in order */
    size_t json_count;
    bool omit_empty; /* omit_empty_values */
    const struct span
        *only_flags; /* response_flag_filter: log only with one of these ("NR"); none = all */
    size_t only_flag_count;
    bool any_flag; /* response_flag_filter without flags: log only with some flag */
};

/* ---- what a chain does ---- */
struct conf_rbac {
    struct span name;         /* of the filter: what a route's override names */
    bool disabled;            /* HttpFilter.disabled: only where a route's override turns it on */
    const struct rbac *rules; /* NULL = none */
    const struct rbac *shadow;
    bool deny; /* action DENY: for the reply's wording */
    struct span stat_prefix;
};

struct conf_gzip {            /* Compressor with the library gzip, for responses */
    struct span name;         /* of the filter: what a route's override names */
    const struct span *types; /* content types, without parameters */
    size_t type_count;
    uint32_t min_bytes;
    struct gzip_settings settings;
    bool spare_etag;              /* disable_on_etag_header */
    bool hide_accept;             /* remove_accept_encoding_header */
    const uint32_t *spared_codes; /* uncompressible_response_codes */
    size_t spared_code_count;
};

struct conf_http { /* HttpConnectionManager */
    struct span stat_prefix;
    enum { CONF_CODEC_AUTO, CONF_CODEC_HTTP1, CONF_CODEC_HTTP2 } codec;
    const struct route_table *routes; /* inline, or NULL */
    uint32_t route_slot;              /* RDS; SLOT_NONE with inline routes */
    struct span route_name;
    const struct conf_rbac *rbac; /* http filters of that kind, in order */
    size_t rbac_count;
    struct span fault_name;          /* of the fault filter; empty = there is none */
    const struct route_fault *fault; /* its own; NULL = only routes have some */
    struct span server_name;         /* default "envoy" as Envoy; Istio sets "istio-envoy" */
    bool server_if_absent;    /* APPEND_IF_ABSENT: server_name only where the upstream sent none */
    bool server_pass_through; /* PASS_THROUGH: keep the upstream's server header */
    enum {
        CONF_XFCC_SANITIZE,
        CONF_XFCC_FORWARD_ONLY,
        CONF_XFCC_APPEND_FORWARD,
        CONF_XFCC_SANITIZE_SET,
        CONF_XFCC_ALWAYS_FORWARD
    } xfcc;
    bool xfcc_uri, xfcc_dns, xfcc_subject, xfcc_cert,
        xfcc_chain; /* set_current_client_cert_details */
    bool use_remote_address;
    uint32_t xff_trusted_hops;
    bool generate_request_id, preserve_request_id;
    bool tracing;
    double sampling; /* 0..1: overall/random sampling */
    bool normalize_path, merge_slashes;
    enum {
        CONF_SLASHES_KEEP,
        CONF_SLASHES_REJECT,
        CONF_SLASHES_REDIRECT,
        CONF_SLASHES_UNESCAPE
    } escaped_slashes;
    bool strip_host_port, strip_any_host_port;
    bool accept_http10;
    struct span http10_host;     /* default_host_for_http_10; empty = none */
    bool websocket, connect;     /* upgrade_configs */
    bool suppress_envoy_headers; /* Router: no x-envoy-* of our own towards either side */
    bool skip_xff;               /* skip_xff_append */
    bool request_id_in_response; /* always_set_request_id_in_response */
    bool strip_host_dot;         /* strip_trailing_host_dot */
    int64_t idle_ms, stream_idle_ms, request_ms, request_head_ms, drain_ms, max_connection_ms,
        max_stream_ms; /* 0 = none */
    uint32_t max_request_headers_kb, max_headers, max_streams;
    uint32_t max_requests_per_connection;
    const struct conf_access_log *logs;
    size_t log_count;
    bool grpc_web;                /* the filter of that name */
    struct span cors_name;        /* of the cors filter; empty = there is none */
    const struct conf_gzip *gzip; /* of the compressor filter; NULL = there is none */
    bool append_port;             /* append_x_forwarded_port */
    struct {
        const struct cidr *ranges; /* cidr_ranges; none = nobody is internal */
        size_t count;
        bool unix_sockets;
    } internal; /* internal_address_config */
    enum { CONF_UNDERSCORES_KEEP, CONF_UNDERSCORES_REJECT, CONF_UNDERSCORES_DROP } underscores;
};

#define CONF_TUNNEL_TO_ORIGINAL "%DOWNSTREAM_LOCAL_ADDRESS%"

struct conf_tcp { /* TcpProxy */
    struct span stat_prefix;
    const struct route_cluster *clusters;
    size_t cluster_count;
    uint64_t total_weight;
    int64_t idle_ms;           /* 0 = none; default 1 h */
    int64_t max_connection_ms; /* max_downstream_connection_duration; 0 = none */
    uint32_t connect_attempts;
    bool hash_source_ip; /* hash_policy */
    struct span
        tunnel_to; /* tunneling_config.hostname: by CONNECT through the cluster; empty = no tunnel */
    const struct conf_access_log *logs;
    size_t log_count;
};

/* ---- listeners ---- */
struct
    conf_chain_match { /* FilterChainMatch; Envoy's order of comparison: port, IP, SNI, transport, ALPN, source */
    uint32_t destination_port; /* 0 = any */
    const struct cidr *destinations;
    size_t destination_count;
    const struct span *server_names; /* lower case; "*.x" covers any depth below x */
    size_t server_name_count;
    enum { CONF_TRANSPORT_ANY, CONF_TRANSPORT_RAW, CONF_TRANSPORT_TLS } transport;
    const struct span
        *alpn; /* application_protocols: "http/1.1", "h2c", "istio-peer-exchange" ... */
    size_t alpn_count;
    const struct cidr *sources;
    size_t source_count;
    const uint16_t *source_ports;
    size_t source_port_count;
    bool source_local_only, source_external_only;
};

struct conf_chain {
    struct span name;
    struct conf_chain_match match;
    const struct conf_tls *tls; /* NULL = plaintext */
    const struct conf_rbac *network_rbac;
    size_t network_rbac_count;
    const struct conf_http *http; /* exactly one of http and tcp */
    const struct conf_tcp *tcp;
    int64_t tls_handshake_ms;
};

struct conf_ports { /* [start, end) */
    uint32_t start, end;
};

struct conf_udp { /* UdpProxyConfig */
    struct span stat_prefix;
    struct route_cluster cluster;
    int64_t idle_ms; /* default 1 min */
    bool hash_source_ip;
};

enum conf_direction { CONF_UNSPECIFIED, CONF_INBOUND, CONF_OUTBOUND };

struct conf_listener {
    struct conf conf;
    struct addr addr;
    bool bind;     /* bind_to_port; else reached by use_original_dst of another */
    bool internal; /* internal_listener: has no address, reached by its name from within */
    bool use_original_dst;
    const struct addr *more_addrs; /* additional_addresses */
    size_t more_addr_count;
    bool original_dst_filter, tls_inspector, http_inspector; /* listener filters */
    /* ListenerFilter.filter_disabled: destination ports where that sniffing must not wait for bytes (the
     * server speaks first). */
    const struct conf_ports *tls_inspector_off, *http_inspector_off;
    size_t tls_inspector_off_count, http_inspector_off_count;
    bool transparent;
    bool reuse_port;
    enum conf_direction direction;
    int64_t sniff_ms; /* listener_filters_timeout; 0 = none; default 15 s */
    bool continue_on_sniff_timeout;
    const struct conf_chain *chains;
    size_t chain_count;
    const struct conf_chain *default_chain;
    const struct conf_access_log *logs;
    size_t log_count;
    const struct span *skipped; /* optional extensions that were left out, for /config_dump */
    size_t skipped_count;
    /* filter metadata "mesh.discovery" (proxy/discovery.h): addresses that only the mesh has, and names to
     * learn before ready, as "VirtualHost|9080/reviews:9080" */
    const struct cidr *mesh_ranges;
    size_t mesh_range_count;
    const struct span *known;
    size_t known_count;
    const struct conf_udp *udp; /* a UDP listener; it has no chains then */
    bool ignore_overload;       /* bypass_overload_manager or ignore_global_conn_limit */
    /* listener filter proxy_protocol: before all others */
    struct conf_proxy_protocol {
        bool on;
        bool optional;             /* allow_requests_without_proxy_protocol */
        bool refuse_v1, refuse_v2; /* disallowed_versions */
    } proxy_protocol;
};

struct conf_routes {
    struct conf conf;
    struct route_table *table;
};

/* Resource "TABLE/AUTHORITY" of VHDS. Requests see it as part of the table in snapshot.routes. */
struct conf_virtual_host {
    struct conf conf;
    struct span table, authority;
    const struct virtual_host *host;
};

/* ---- clusters ---- */
enum conf_discovery { CONF_STATIC, CONF_STRICT_DNS, CONF_LOGICAL_DNS, CONF_EDS, CONF_ORIGINAL_DST };
enum conf_lb {
    CONF_LB_ROUND_ROBIN,
    CONF_LB_LEAST_REQUEST,
    CONF_LB_RANDOM,
    CONF_LB_CLUSTER_PROVIDED,
    CONF_LB_RING_HASH,
    CONF_LB_MAGLEV
};

struct conf_hash {               /* consistent hashing */
    uint32_t ring_min, ring_max; /* RING_HASH: points on the ring; defaults 1024 and 8 Mi */
    uint32_t table_size;         /* MAGLEV: a prime; default 65537 */
    bool by_hostname;            /* use_hostname_for_hashing: else endpoints are known by address */
};

struct conf_limits { /* circuit breakers; per proxy, not per worker */
    uint32_t connections, pending, requests, retries;
};

struct conf_outlier { /* OutlierDetection; enabled false = none */
    bool enabled;
    uint32_t consecutive_5xx, consecutive_gateway, consecutive_local; /* 0 = off */
    bool split_local; /* split_external_local_origin_errors */
    int64_t interval_ms, base_ejection_ms, max_ejection_ms;
    uint32_t max_ejection_percent;
    bool always_one; /* always_eject_one_host */
};

struct conf_tls_match { /* transport_socket_matches: first whose labels are all in the endpoint's */
    struct span name;
    const struct header
        *labels; /* name -> value, from filter metadata envoy.transport_socket_match */
    size_t label_count;
    const struct conf_tls *tls; /* NULL = raw_buffer */
};

struct conf_cluster {
    struct conf conf;
    uint32_t slot;
    enum conf_discovery discovery;
    struct span eds_name; /* service_name, or the cluster's */
    enum conf_lb lb;
    uint32_t choices; /* least request; default 2 */
    struct conf_hash hash;
    int64_t connect_ms; /* default 5 s */
    bool http2;         /* explicit_http_config.http2_protocol_options */
    bool use_downstream_protocol;
    bool alpn_auto;  /* auto_config */
    int64_t idle_ms; /* pooled connection; default 1 h */
    int64_t max_connection_ms;
    uint32_t max_requests_per_connection;
    uint32_t max_streams;
    struct conf_limits limits[2]; /* by priority: default, high */
    const struct conf_tls *tls;   /* NULL = plaintext */
    const struct conf_tls_match *tls_matches;
    size_t tls_match_count;
    const struct sockopt_keepalive *keepalive;
    struct addr bind_from;
    uint32_t panic_percent; /* healthy_panic_threshold; default 50 */
    bool locality_weighted; /* pick by conf_endpoint.locality_weight, else by weight */
    bool close_on_change;   /* close_connections_on_host_set_change */
    struct conf_outlier outlier;
    bool dns_v4, dns_v6;         /* dns_lookup_family: families to ask for */
    bool dns_prefer_v4, dns_all; /* both asked: which one first; or the addresses of both */
    int64_t dns_refresh_ms, dns_failure_ms; /* default 5 s; failure: as dns_refresh_ms */
    bool dns_respect_ttl;
    uint32_t upstream_port;     /* ORIGINAL_DST: upstream_port_override; 0 = the original one */
    const struct span *skipped; /* accepted and not acted upon, for /config_dump */
    size_t skipped_count;
    /* metadata "istio".services[0]: for metric labels; empty = unknown */
    struct span service_host, service_name, service_namespace;
    /* DNS: what to ask */
    const struct conf_endpoints *inline_endpoints; /* STATIC, or the names for DNS */
    unsigned proxy_version; /* transport socket upstream_proxy_protocol: 1, 2; 0 = none */
};

enum conf_health { CONF_HEALTHY, CONF_DEGRADED, CONF_UNHEALTHY, CONF_DRAINING };

struct conf_endpoint {
    struct addr addr;
    struct span hostname; /* DNS name to resolve when addr.kind is ADDR_NONE */
    uint16_t hostname_port;
    uint32_t weight; /* at least 1 */
    uint32_t
        locality_weight; /* the weight with its locality's weight in it; 0 = its locality has none */
    uint32_t priority;
    enum conf_health health;
    const struct header *labels; /* filter metadata envoy.transport_socket_match */
    size_t label_count;
    /* filter metadata istio.workload "name;namespace;canonical-name;canonical-revision;cluster" */
    struct span workload, workload_namespace, app, version, cluster_id;
    struct span region, zone, sub_zone;
    /* An internal address whose endpoint_id is an IP address: `addr` is that, and it is reached by the tunnel that the internal
     * listener of this name makes (upstream/tunnel.h); empty = directly. */
    struct span tunnel;
    struct span
        tunnel_identity; /* filter metadata mesh.tunnel `identity`: who must answer; empty = whom the tunnel's cluster allows */
};

struct conf_endpoints {
    struct conf conf;
    const struct conf_endpoint *items;
    size_t count;
    uint32_t priorities; /* highest priority number + 1 */
};

struct snapshot {
    uint64_t number;                        /* grows */
    const struct conf_listener **listeners; /* sorted by name */
    size_t listener_count;
    size_t slots; /* length of the arrays below; a slot may be NULL in any */
    const struct conf_cluster **clusters;
    const struct conf_endpoints **endpoints; /* by the cluster's slot */
    const struct conf_routes **routes;       /* with the virtual hosts that were learned */
    const struct conf_secret **secrets;
    /* private */
    unsigned
        users; /* workers that still hold it, and ingest while it is the newest; main thread only */
    struct conf **held; /* one reference to each */
    size_t held_count;
    struct list node; /* in ingest's list of snapshots */
};

/* One more holder: call it for each worker before mailing. The holder gives it back by
 * ingest_snapshot_done, on the main thread. */
static inline void snapshot_get(struct snapshot *s)
{
    s->users++;
}
#endif
