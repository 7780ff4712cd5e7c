#ifndef CONTROL_WORLD_WORLD_H
#define CONTROL_WORLD_WORLD_H
/* The mesh as control sees it: an immutable picture built from all objects, counted, read by every thread. What the
 * objects say is lowered here: VirtualService and HTTPRoute become one route form, so that translate never sees the kind
 * they came from. A world has three parts: `config`, rebuilt when anything but EndpointSlices, WorkloadEntries, Pods and Nodes changes; the endpoints,
 * of which such a change replaces only the services concerned; and the workloads, of which it replaces only the
 * shards concerned. Everything that answers below lives as long as the world.
 * In: sources (objects). Out: translate, push, api. Next: push/push_queue. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/map.h"
#include "base/span.h"
#include "codec/ip.h"
#include "mesh/port_protocol.h"
#include "mesh/selector.h"
#include "model/mesh_config.h"
#include "model/object.h"

/* ---- mesh-wide settings (kind MeshConfig "default"; Istio's MeshConfig names) ---- */
struct world_mesh {
    struct span trust_domain;    /* "cluster.local" */
    struct span root_namespace;  /* "istio-system" */
    struct span domain;          /* "cluster.local": of service FQDNs */
    struct span cluster_id;      /* "Kubernetes" in Istio; ours "mesh" */
    bool allow_any;              /* outboundTrafficPolicy.mode */
    bool auto_mtls;              /* enableAutoMtls */
    struct span access_log_file; /* "" = none */
    struct span access_log_format;
    bool access_log_json;
    int64_t connect_timeout_ms; /* 10 s, Istio's default */
    bool prometheus_merge;
    bool hbone;                           /* enableHBONE: sidecars of the mesh talk by tunnels */
    enum mesh_config_paths paths;         /* never UNSET */
    struct mesh_config_topology topology; /* of gateways */
    struct mesh_config_gzip gzip;         /* what gateways do to answers */
    const struct world_retry *
        retry; /* defaultHttpRetryPolicy, for routes that tell none; never NULL; Istio's own is 2 tries on
                                        connect-failure,refused-stream,unavailable,cancelled,503 (retriable-status-codes) */
    const struct cidr *
        mesh_ranges; /* addresses that are the mesh's own: unknown ones there fail closed when control is away */
    size_t mesh_range_count;
};

/* ---- services ---- */
enum world_resolution {
    WORLD_EDS,
    WORLD_DNS,
    WORLD_DNS_ROUND_ROBIN,
    WORLD_PASSTHROUGH /* NONE, headless */
};

struct world_port {
    uint16_t number; /* of the service */
    struct span name;
    enum port_protocol protocol;
    uint16_t target; /* 0 = by target_name, or the same */
    struct span target_name;
};

/* One backend. Ports are resolved already: one entry of `world_endpoints` is of one service port. */
struct world_endpoint {
    struct ip address;     /* valid unless `hostname` is set */
    struct span hostname;  /* DNS name, for DNS resolution */
    struct span unix_path; /* ServiceEntry unix:// endpoints; empty = none */
    uint16_t port;
    uint16_t service_port;
    const struct label *labels;
    size_t label_count;
    struct span workload, namespace, service_account; /* of the workload; empty: unknown */
    struct span app, version;                         /* canonical name and revision */
    struct span network, region, zone, sub_zone;
    uint32_t weight; /* at least 1 */
    bool mutual_tls; /* label security.istio.io/tlsMode: istio */
    bool
        tunnel; /* takes HBONE: label networking.istio.io/tunnel, or redirected to a node's proxy */
    bool ready;
    uint64_t hash; /* of all the above */
    bool leaving;  /* private: terminating, but serving */
};

/* Of one service; immutable, counted. */
struct world_endpoints {
    unsigned refs;                /* private; atomic */
    uint64_t hash;                /* of the content: equal hash = nothing to send */
    struct world_endpoint *items; /* sorted: service port, address or name, port */
    size_t count;
    struct arena arena;
};

struct world_service {
    struct span
        host; /* "reviews.default.svc.cluster.local", or a ServiceEntry's host (may be "*.x") */
    struct span name, namespace;
    unsigned index; /* in world_config.services and world.endpoints */
    bool external;  /* ServiceEntry MESH_EXTERNAL */
    enum world_resolution resolution;
    struct world_port *ports;
    size_t port_count;
    struct ip *
        addresses; /* virtual addresses: clusterIP(s), ServiceEntry addresses, or one of 240.240.0.0/16 that we gave */
    size_t address_count;
    const struct cidr *ranges; /* a ServiceEntry's addresses that are CIDRs */
    size_t range_count;
    bool address_given_by_us;
    bool headless;
    const struct span *export_to; /* namespaces; none = all ("*"); "." is resolved */
    size_t export_count;
    struct span *identities; /* subjectAltNames of a ServiceEntry; none: those of its endpoints */
    size_t identity_count;
    bool publish_not_ready;
    const struct object *object; /* Service or ServiceEntry */
    /* private */
    const struct label *selector; /* of WorkloadEntries; none: selects nothing */
    size_t selector_count;
    const struct world_service *same_host; /* the next one of this host, of another namespace */
    const struct world_rule *rules; /* one for each namespace that has a DestinationRule for it */
    size_t rule_count;
    const struct world_virtual_host *const *routes; /* of HTTPRoutes with this parent, merged */
    size_t route_count;
};

/* ---- workloads: what proxies run beside ---- */
struct world_serve { /* a service port that it is an endpoint of */
    const struct world_service *service;
    const struct world_port *port;
    uint16_t target; /* the port it listens on */
};
struct world_workload {
    struct ip address;
    struct span name, namespace, service_account;
    const struct label *labels;
    size_t label_count;
    struct span app, version;
    const struct world_serve *serves;
    size_t serve_count;
    const struct object *object; /* Pod or WorkloadEntry; NULL: known only from an EndpointSlice */
};

/* Whether labels or annotations (`o` may be NULL) say that a workload takes HBONE on its port 15008. */
bool world_takes_tunnel(const struct label *labels, size_t count, const struct object *o);

/* Those whose address falls into one shard of the table; immutable, counted. */
#define WORLD_SHARDS 256
struct world_shard {
    unsigned refs; /* private; atomic */
    struct world_workload *items;
    size_t count;
    struct arena arena;
};

/* ---- traffic policy of a service (DestinationRule, lowered) ---- */
enum world_lb {
    WORLD_LB_LEAST_REQUEST,
    WORLD_LB_ROUND_ROBIN,
    WORLD_LB_RANDOM,
    WORLD_LB_PASSTHROUGH,
    WORLD_LB_HASH
};
enum world_tls {
    WORLD_TLS_AUTO,
    WORLD_TLS_DISABLE,
    WORLD_TLS_SIMPLE,
    WORLD_TLS_MUTUAL,
    WORLD_TLS_ISTIO_MUTUAL
};

struct world_outlier { /* OutlierDetection; 0 / -1 = not set, Istio's defaults are filled in */
    bool enabled;
    uint32_t consecutive_5xx, consecutive_gateway, consecutive_local; /* 0 = off */
    bool split_local;
    int64_t interval_ms, base_ejection_ms; /* 10 s, 30 s */
    uint32_t max_ejection_percent;         /* 10 */
    uint32_t min_health_percent;
};

struct world_traffic {
    enum world_lb lb;
    struct span hash_header, hash_cookie,
        hash_query; /* WORLD_LB_HASH: the one that is set, else source IP */
    struct span hash_cookie_path;
    int64_t hash_cookie_ttl_s; /* -1 = not told: no cookie is made */
    bool maglev;               /* WORLD_LB_HASH: else a ring */
    uint64_t hash_size;        /* of the ring or table; 0 = not set */
    int64_t warmup_ms;         /* slow start; 0 = not set */
    uint32_t max_connections, max_pending, max_requests, max_retries,
        max_requests_per_connection;                                   /* 0 = not set */
    int64_t connect_timeout_ms, idle_timeout_ms, http_idle_timeout_ms; /* 0 = not set */
    int64_t max_connection_ms;                                         /* life of a connection */
    uint32_t max_streams; /* at once, of an HTTP/2 connection */
    uint32_t keepalive_probes;
    int64_t keepalive_time_ms, keepalive_interval_ms;
    bool keepalive;
    bool h2_upgrade;
    bool use_client_protocol;
    struct world_outlier outlier;
    enum world_tls tls;
    struct span tls_sni;
    const struct span *tls_sans;
    size_t tls_san_count;
    struct span tls_ca_file, tls_cert_file, tls_key_file;
    struct span tls_credential; /* name of a secret, instead of files */
    bool tls_skip_verify;
    unsigned proxy_version; /* of the PROXY protocol towards endpoints, 1 or 2; 0 = none */
};

struct world_subset {
    struct span name;
    const struct label *labels;
    size_t label_count;
    const struct world_traffic *traffic;        /* merged over the rule's */
    const struct world_traffic *const *by_port; /* per service port, as in world_rule */
};

struct world_rule { /* the DestinationRule that counts for a host, as seen from a namespace */
    const struct world_traffic *traffic;
    const struct world_traffic *const
        *by_port; /* one per port of the service, in its order; portLevelSettings merged */
    const struct world_subset *subsets;
    size_t subset_count;
    const struct object *
        object; /* the oldest, if several of one namespace and host were merged; NULL: there is none */
    struct span namespace;
    const struct span *export_to; /* as in world_service */
    size_t export_count;
};

/* ---- routes: one form for VirtualService and HTTPRoute ---- */
enum world_match_kind {
    WORLD_MATCH_EXACT,
    WORLD_MATCH_PREFIX,
    WORLD_MATCH_REGEX,
    WORLD_MATCH_PRESENT,
    WORLD_MATCH_ABSENT
};

struct world_string_match {
    enum world_match_kind kind;
    struct span text;
    bool ignore_case;
    bool inverted; /* withoutHeaders */
};

struct world_named_match {
    struct span name; /* header (lower case) or query parameter */
    struct world_string_match value;
};

struct world_match {
    bool has_path;
    struct world_string_match path;
    bool
        path_segments; /* PREFIX: "/a" matches "/a" and "/a/b", not "/ab" (Gateway API PathPrefix); else plain prefix */
    bool has_method, has_authority, has_scheme;
    struct world_string_match method, authority, scheme;
    const struct world_named_match *headers;
    size_t header_count;
    const struct world_named_match *queries;
    size_t query_count;
    uint16_t port;                     /* 0 = any */
    const struct label *source_labels; /* which proxies it is for; none = all */
    size_t source_label_count;
    struct span source_namespace; /* empty = all */
    const struct span *gateways;  /* "ns/name" or "mesh"; none = those of the virtual host */
    size_t gateway_count;
};

struct world_header_op {
    enum { WORLD_HEADER_SET, WORLD_HEADER_ADD, WORLD_HEADER_REMOVE } op;
    struct span name, value;
};
struct world_header_ops {
    const struct world_header_op *request;
    size_t request_count;
    const struct world_header_op *response;
    size_t response_count;
};

struct world_backend {
    const struct world_service *
        service; /* NULL: there is none; such a share answers 500 (HTTPRoute) or 503 (VirtualService) */
    struct span host; /* as resolved, also when there is no service */
    uint16_t
        port; /* 0: that of the request (VirtualService without a port, to a service with several) */
    struct span subset; /* empty = none */
    uint32_t weight;
    struct world_header_ops headers;
};

struct world_retry {
    bool set; /* else the mesh's default */
    uint32_t attempts;
    int64_t per_try_ms;
    struct span on; /* Envoy's words, comma-separated; empty = default */
    const uint16_t *codes;
    size_t code_count;
    int64_t backoff_ms;
};

struct world_fault {
    double delay_percent; /* 0 = none */
    int64_t delay_ms;
    double abort_percent; /* 0 = none */
    unsigned abort_status;
    int abort_grpc; /* -1 = none */
};

struct world_mirror {
    struct world_backend to;
    double percent;
};

struct world_cors {
    bool set;
    const struct world_string_match *origins;
    size_t origin_count;
    struct span methods, headers, expose; /* comma-separated */
    int64_t max_age_s;                    /* -1 = none */
    int credentials;                      /* -1 not told, 0, 1 */
    bool forward_unmatched;               /* preflights of other origins go to the service */
};

enum world_action { WORLD_FORWARD, WORLD_REDIRECT, WORLD_DIRECT };

struct world_route {
    struct span name;
    const struct world_match *matches; /* any of them; none = everything */
    size_t match_count;
    enum world_action action;
    const struct world_backend *backends;
    size_t backend_count;
    /* WORLD_REDIRECT */
    unsigned redirect_code; /* 301 ... */
    struct span redirect_scheme, redirect_host, redirect_path, redirect_prefix;
    bool redirect_has_path, redirect_has_prefix;
    uint16_t redirect_port; /* 0 = keep, see redirect_port_by_scheme */
    bool redirect_port_by_scheme;
    /* WORLD_DIRECT */
    unsigned direct_status;
    struct span direct_body;
    /* rewriting */
    bool rewrite_has_prefix, rewrite_has_path; /* prefix replaced, or the whole path */
    struct span rewrite_path;
    struct span rewrite_regex, rewrite_substitution;
    struct span rewrite_authority;
    struct world_header_ops headers;
    int64_t timeout_ms;         /* -1 = not told (none in Istio), 0 = none */
    int64_t backend_timeout_ms; /* HTTPRoute timeouts.backendRequest: per try; -1 = not told */
    struct world_retry retry;
    const struct world_mirror *mirrors;
    size_t mirror_count;
    struct world_fault fault;
    struct world_cors cors;
};

/* What a VirtualService says of connections that are not HTTP: `tls` (routed by SNI) and `tcp`. */
struct world_l4_match {
    const struct cidr *ranges; /* of the destination; none = any */
    size_t range_count;
    uint16_t port; /* 0 = any */
    const struct label *source_labels;
    size_t source_label_count;
    struct span source_namespace;
    const struct span *gateways; /* as in world_match */
    size_t gateway_count;
    const struct span *sni; /* TLS only: at least one, may be "*.x" */
    size_t sni_count;
};
struct world_l4_route {
    bool tls;
    const struct world_l4_match *matches; /* any of them; none = everything */
    size_t match_count;
    const struct world_backend *backends;
    size_t backend_count;
};

/* What one object says about some hosts. Those of one host and gateway are merged by world_build: Gateway API's
 * precedence over HTTPRoutes, oldest VirtualService first. */
struct world_virtual_host {
    const struct span *hosts; /* FQDNs, "*.x", "*" */
    size_t host_count;
    const struct span *
        gateways; /* "mesh", "ns/name" of Istio Gateways, "gateway-api/ns/name" (then "/section" if bound to one) */
    size_t gateway_count;
    const struct world_service *
        service; /* HTTPRoute with a Service as parent: the service it routes for; then `port`, 0 = all */
    uint16_t service_port;
    const struct span *export_to;
    size_t export_count;
    const struct world_route *routes;
    size_t route_count;
    const struct world_l4_route *l4;
    size_t l4_count;
    struct span namespace;
    const struct object *object; /* the first, if several were merged */
};

/* ---- gateways ---- */
/* Names of Secrets as resources of SDS (Istio's). */
#define WORLD_CREDENTIAL "kubernetes://"
#define WORLD_CREDENTIAL_API "kubernetes-gateway://"

enum world_server_tls {
    WORLD_SERVER_PLAIN,
    WORLD_SERVER_SIMPLE,
    WORLD_SERVER_MUTUAL,
    WORLD_SERVER_OPTIONAL_MUTUAL,
    WORLD_SERVER_ISTIO_MUTUAL,
    WORLD_SERVER_PASSTHROUGH,
    WORLD_SERVER_AUTO_PASSTHROUGH
};

struct world_bound_host { /* a host of a server, with the routes of all objects that speak of it */
    struct span host;
    const struct world_virtual_host *vhost;
};

struct world_server {
    uint16_t port;
    enum port_protocol protocol;
    struct span name;                   /* Gateway API: section name */
    struct span bind;                   /* address to listen on; empty = all */
    const struct span *hosts;           /* "*", FQDN, "*.x"; the "ns/" part is in host_namespaces */
    const struct span *host_namespaces; /* same length; "*" = any */
    size_t host_count;
    enum world_server_tls tls;
    bool https_redirect;
    struct span cert_file, key_file, ca_file;
    struct span
        credential; /* instead of files: WORLD_CREDENTIAL "name" (of the proxy's namespace), WORLD_CREDENTIAL_API
                             "ns/name"; empty: none, or one that may not be taken */
    const struct span *sans; /* of clients; none = any */
    size_t san_count;
    struct span min_version, max_version; /* "TLSV1_2"; empty = default */
    /* private */
    const struct world_bound_host *bound; /* see world_gateway_routes */
    size_t bound_count;
    const struct gateway_listener *listener; /* NULL: of an Istio Gateway */
};
struct world_gateway {
    struct span key; /* as in world_virtual_host.gateways, without section */
    struct span namespace, name;
    struct span home;             /* namespace of the proxies that serve it; empty = any */
    const struct label *selector; /* labels of the proxies that serve it */
    size_t selector_count;
    const struct world_server *servers;
    size_t server_count;
    const struct object *object;
    const struct object *
        *routes; /* VirtualServices and HTTPRoutes that have a host at one of its servers */
    size_t route_count;
};

/* ---- security ---- */
enum world_mtls { WORLD_MTLS_UNSET, WORLD_MTLS_DISABLE, WORLD_MTLS_PERMISSIVE, WORLD_MTLS_STRICT };

struct world_condition { /* `when`; all values of one key */
    struct span key;
    const struct span *values, *not_values;
    size_t value_count, not_value_count;
};
struct world_authz_source {
    const struct span *principals, *not_principals, *namespaces, *not_namespaces, *ip_blocks,
        *not_ip_blocks, *remote_ip_blocks, *not_remote_ip_blocks;
    size_t principal_count, not_principal_count, namespace_count, not_namespace_count,
        ip_block_count, not_ip_block_count, remote_ip_block_count, not_remote_ip_block_count;
};
struct world_authz_operation {
    const struct span *hosts, *not_hosts, *ports, *not_ports, *methods, *not_methods, *paths,
        *not_paths;
    size_t host_count, not_host_count, port_count, not_port_count, method_count, not_method_count,
        path_count, not_path_count;
};
struct world_authz_rule {
    const struct world_authz_source *from;
    size_t from_count;
    const struct world_authz_operation *to;
    size_t to_count;
    const struct world_condition *when;
    size_t when_count;
};
struct world_authz {
    struct span namespace, name;
    enum { WORLD_ALLOW, WORLD_DENY, WORLD_AUDIT } action;
    bool dry_run;
    const struct label *selector; /* none = the namespace, or the mesh in the root namespace */
    size_t selector_count;
    const struct span
        *target_services; /* targetRefs: names of Services or Gateways in its namespace */
    size_t target_count;
    const struct world_authz_rule *rules;
    size_t rule_count;
    const struct object *object;
};

struct world_peer_auth {
    struct span namespace;
    const struct label *selector; /* none: the namespace, or the mesh in the root namespace */
    size_t selector_count;
    enum world_mtls mode;
    const uint16_t *ports;
    const enum world_mtls *port_modes;
    size_t port_count;
    const struct object *object;
};

/* ---- the whole ---- */
struct world_config {
    unsigned refs; /* private; atomic */
    struct arena arena;
    struct world_mesh mesh;
    struct world_service **services; /* sorted by host, then namespace */
    size_t service_count;
    struct map by_host;    /* host -> first world_service of it; use world_find_host */
    struct map by_address; /* bytes of an address -> struct world_address; use world_service_at */
    struct world_virtual_host *virtual_hosts;
    size_t virtual_host_count;
    struct world_gateway *gateways;
    size_t gateway_count;
    struct world_authz *authz; /* root namespace first, then sorted by namespace; oldest first */
    size_t authz_count;
    struct world_peer_auth *peer_auths; /* the same order */
    size_t peer_auth_count;
    /* private */
    const struct object **
        objects; /* with a reference: all but EndpointSlices, WorkloadEntries, Pods and Nodes, by kind, oldest first */
    size_t object_count;
    size_t kind_first[OBJECT_KIND_COUNT + 1]; /* where each kind begins in `objects` */
    struct map by_key;                        /* all of `objects`; use world_find_object */
    struct map namespaces;                    /* name -> its object */
    struct map mesh_hosts; /* host -> struct world_candidates of gateway "mesh" */
    const struct world_rule *default_rule;
    const struct world_range *ranges; /* longest prefix first */
    size_t range_count;
};

struct world {
    unsigned refs;    /* private; atomic */
    uint64_t version; /* grows with each world of this process */
    struct world_config *config;
    struct world_endpoints **endpoints; /* by world_service.index; never NULL */
    struct world_shard **shards;        /* private: WORLD_SHARDS; never NULL */
    size_t workload_count;
    bool knows_pods; /* there are Pods: a proxy in the cluster is one of them */
};

struct world *world_ref(struct world *w);
void world_unref(struct world *w); /* NULL is fine; any thread */

/* `client` namespaces are those of the proxy that asks. */
/* Resolves what an application wrote as a host: "reviews", "reviews.ns", "reviews.ns.svc", the FQDN, a virtual address, a ServiceEntry's host, also by wildcard
 * ("*.example.com"; then the longest). Only what is exported to that namespace. NULL: unknown. */
const struct world_service *world_find_host(const struct world *w, struct span host,
                                            struct span client_namespace);
/* The service that owns this virtual address and port, or the headless service with such an endpoint (its own port, or the
 * service's). NULL: unknown. `service_port` (may be NULL) receives the service's port. A workload's own address of an
 * ordinary service is nobody's: whoever dials that means this one workload. */
const struct world_service *world_service_at(const struct world *w, const struct ip *address,
                                             uint16_t port, struct span client_namespace,
                                             const struct world_port **service_port);
const struct world_port *world_port_of(const struct world_service *s, uint16_t number);
const struct world_workload *world_workload_at(const struct world *w, const struct ip *address);
/* Every workload, in no order. */
void world_each_workload(const struct world *w,
                         void (*on_workload)(void *arg, const struct world_workload *workload),
                         void *arg);
bool world_is_visible(const struct world_service *s, struct span client_namespace);
/* The DestinationRule that counts: client's namespace, then the service's, then the root namespace (Istio's order). Never NULL: without one all is default. */
const struct world_rule *world_rule_for(const struct world *w, const struct world_service *s,
                                        struct span client_namespace);
/* Routes of a service port as sidecars see them (virtual host of gateway "mesh", or HTTPRoute with the Service as parent). NULL: no rules, plain forwarding. */
const struct world_virtual_host *world_mesh_routes(const struct world *w, struct span host,
                                                   const struct world_service *s, uint16_t port,
                                                   struct span client_namespace);
/* Virtual hosts bound to one server of a gateway: calls on_vhost with the hosts that both have (the intersection), most specific first. */
void world_gateway_routes(
    const struct world *w, const struct world_gateway *g, const struct world_server *s,
    void (*on_vhost)(void *arg, struct span host, const struct world_virtual_host *v), void *arg);
/* Whether a gateway proxy of this namespace with these labels serves it. Istio Gateways look for proxies in every namespace; those of Gateway API
 * in their own, or where the Service is that spec.addresses names. */
bool world_gateway_is_served_by(const struct world_gateway *g, struct span namespace,
                                const struct label *labels, size_t label_count);
/* An object of the config (not an EndpointSlice, WorkloadEntry, Pod or Node); NULL: there is none. */
const struct object *world_find_object(const struct world_config *c, enum object_kind kind,
                                       struct span namespace, struct span name);
/* From a Gateway API object to a core object: of its own namespace, or permitted by a ReferenceGrant there. */
struct world_reference {
    const char *from_kind; /* "HTTPRoute" */
    struct span from_namespace;
    const char *to_kind; /* "Service" */
    struct span to_namespace, to_name;
};
bool world_is_granted(const struct world_config *c, const struct world_reference *r);
/* The Secret that a credential (as in world_server) means to a proxy of this namespace, with a certificate and its key; else NULL, and `fault` says why not. */
const struct object *world_credential(const struct world_config *c, struct span credential,
                                      struct span namespace, const char **fault);
/* The same with roots that clients are checked with: of "NAME-cacert", else of the Secret itself. */
const struct object *world_credential_roots(const struct world_config *c, struct span credential,
                                            struct span namespace, const char **fault);
/* ControllerName of our GatewayClasses, and of our entries in a route's status.parents. */
#define WORLD_CONTROLLER "mesh.io/gateway-controller"
/* By its class: a GatewayClass of our controller; where there are no GatewayClasses at all, "mesh" and "istio". */
bool world_gateway_is_ours(const struct world_config *c, const struct object *gateway);
/* Where the Service in front of a Gateway API Gateway's proxies is: the one that spec.addresses names (type Hostname), else "NAME-CLASS" of
 * its own namespace. True: there is such a Service. Texts in `arena`. */
bool world_gateway_front(const struct world_config *c, const struct object *gateway,
                         struct arena *arena, struct span *namespace, struct span *name);
/* Mutual TLS mode of a workload's port: workload, namespace, mesh (PeerAuthentication, oldest wins). Never UNSET: PERMISSIVE by default. */
enum world_mtls world_mtls_of(const struct world *w, struct span namespace,
                              const struct label *labels, size_t label_count, uint16_t port);
/* Policies that apply to a workload, root namespace first; calls for each. */
void world_authz_of(const struct world *w, struct span namespace, const struct label *labels,
                    size_t label_count, void (*on_policy)(void *arg, const struct world_authz *p),
                    void *arg);
/* What is wrong with objects in relation to one another ("the route sends to v4, which has no endpoints"): services,
 * gateways, routes, rules, security. Looked for at each call, in one pass over the world. */
void world_findings(const struct world *w, struct findings *f);

/* ---- building (main thread): world_build.c ---- */
struct world_builder;
NONNULL_RETURN struct world_builder *world_builder_new(void);
void world_builder_free(struct world_builder *b);
/* What holds where MeshConfig says nothing; empty = MESH_TRUST_DOMAIN, "mesh". */
void world_builder_set_defaults(struct world_builder *b, struct span trust_domain,
                                struct span cluster_id);
/* An object came or changed (a reference is taken), or is gone. Nothing happens before world_build. */
void world_builder_put(struct world_builder *b, struct object *o);
void world_builder_remove(struct world_builder *b, struct span key);
const struct object *world_builder_get(const struct world_builder *b, struct span key);
/* Calls for each object, sorted by key. */
void world_builder_each(const struct world_builder *b,
                        void (*on_object)(void *arg, const struct object *o), void *arg);
bool world_builder_is_dirty(const struct world_builder *b);

struct world_change {
    bool config; /* anything may have changed: every client is looked at */
    const struct world_service **
        services; /* else: those whose endpoints changed; in the builder's memory until the next build */
    size_t service_count;
    const struct ip *
        workloads; /* and workloads that came, went or changed (labels, what they serve): the proxies there */
    size_t workload_count;
};
/* The picture of now, with one reference for the caller; shares what did not change. Never fails: what is wrong becomes a finding and the rest stands. */
NONNULL_RETURN struct world *world_build(struct world_builder *b, struct world_change *change);
#endif
