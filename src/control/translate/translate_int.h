#ifndef CONTROL_TRANSLATE_INT_H
#define CONTROL_TRANSLATE_INT_H
/* What the files of this folder share: one translation at a time, and who makes which message. */
#include "control/translate/message.h"
#include "control/translate/translate.h"
#include "mesh/names.h"
#include "mesh/ports.h"

struct translation {
    const struct world *w;
    const struct node *n;
    struct arena *arena;
    bool tunnelled; /* chains of the inner listener of tunnels */
    bool for_node;  /* set by what depends on more than the node's namespace and kind */
    const struct world_service *service; /* of clusters and endpoints */
};

/* ---- names ---- */

/* "outbound|9080|v1|reviews.default.svc.cluster.local", "inbound|9080||" */
struct cluster_name {
    bool inbound;
    uint16_t port;
    struct span subset, host;
};
bool translate_split(struct span name, struct cluster_name *out);
struct span translate_cluster_name(struct arena *arena, struct span host, uint16_t port,
                                   struct span subset);
struct span translate_inbound_name(struct arena *arena, uint16_t port);
/* "reviews.default.svc.cluster.local:9080" */
struct span translate_host_port(struct arena *arena, struct span host, uint16_t port);
/* "/apis/networking.istio.io/v1/namespaces/default/virtual-service/reviews": metadata "istio" `config`. */
struct span translate_config_path(struct arena *arena, const struct object *o);
/* A name list that grows. */
struct name_list {
    struct span *at;
    uint32_t count, room;
};
void translate_add_name(struct arena *arena, struct name_list *list, struct span name);
/* What is of HTTP/2 from the first byte. */
bool translate_is_http2(enum port_protocol protocol);
bool translate_is_udp(enum port_protocol protocol);

/* ---- clusters and endpoints: cds.c, cds_inbound.c, eds.c, mtls.c ---- */

struct pb_cluster_Cluster;
struct pb_endpoint_ClusterLoadAssignment;
/* A service's port as a node sees it. */
struct destination {
    const struct world_service *service;
    const struct world_port *port;
    const struct world_rule *rule;
    const struct world_subset *subset; /* NULL: none */
    const struct world_traffic *traffic;
};
bool cds_destination(const struct translation *t, const struct cluster_name *name,
                     struct destination *out);
/* Addresses come from the world; else the proxy resolves or takes the original destination. */
bool cds_is_eds(struct translation *t, const struct destination *d);
struct pb_cluster_Cluster *cds_cluster(struct translation *t, struct span name);
void cds_names(struct translation *t, struct name_list *list);
struct pb_cluster_Cluster *cds_inbound(struct translation *t, uint16_t port);
struct pb_cluster_Cluster *cds_inbound_fixed(struct translation *t, struct span name);
/* Protocol options of a cluster: `protocol` of its port. */
void cds_protocol(struct translation *t, struct pb_cluster_Cluster *c, enum port_protocol protocol,
                  const struct world_traffic *traffic);
void cds_limits(struct translation *t, struct pb_cluster_Cluster *c,
                const struct world_traffic *traffic);
/* Appends to metadata "istio" `services`. */
void cds_service(struct translation *t, struct pb_protobuf_Value **list,
                 const struct world_service *s);

struct pb_endpoint_ClusterLoadAssignment *eds_endpoints(struct translation *t, struct span name,
                                                        const struct destination *d);
/* Every workload of the service's port takes mutual TLS. */
bool eds_all_mutual(const struct translation *t, const struct destination *d);

struct pb_core_TransportSocket;
void mtls_upstream(struct translation *t, struct pb_cluster_Cluster *c,
                   const struct destination *d);
NONNULL_RETURN struct pb_core_TransportSocket *mtls_downstream(struct translation *t, bool http);
/* Of HBONE's connections, either end; and towards an internal listener (`host`: with the endpoint's destination). */
NONNULL_RETURN struct pb_core_TransportSocket *mtls_tunnel(struct translation *t, bool server);
NONNULL_RETURN struct pb_core_TransportSocket *mtls_internal(struct translation *t, bool host);
/* NULL: the server is not to be terminated here, or says no certificate. */
struct pb_core_TransportSocket *mtls_gateway(struct translation *t, const struct world_server *s);

/* ---- hbone.c: tunnels in and out ---- */

struct world_endpoint;
/* The node takes tunnels; it makes some. */
bool hbone_accepts(const struct translation *t);
bool hbone_sends(const struct translation *t);
/* Some endpoint of the service may be reached by a tunnel; this one is. */
bool hbone_reaches(const struct translation *t, const struct destination *d);
bool hbone_is_for(struct translation *t, const struct world_endpoint *e);
void hbone_names(const struct translation *t, struct name_list *list, bool listeners);
/* connect_terminate and connect_originate; NULL: another name, or not for this node. main_internal is lds_inbound.c's. */
struct pb_listener_Listener *hbone_listener(struct translation *t, struct span name);
struct pb_cluster_Cluster *hbone_cluster(struct translation *t, struct span name);

/* sds.c: NULL: there is none, or it is not for this node. */
struct pb_tls_Secret;
struct pb_tls_Secret *sds_secret(struct translation *t, struct span name);

/* ---- listeners: lds.c, lds_inbound.c, lds_outbound.c, lds_gateway.c ---- */

struct pb_listener_Listener;
struct pb_listener_FilterChain;
struct pb_hcm_HttpConnectionManager;
struct pb_route_RouteConfiguration;
struct pb_rbac_RBAC;

/* A node's own side: the names that are there in both modes of discovery. */
void lds_inbound_names(struct translation *t, struct name_list *list);
void lds_outbound_names(struct translation *t, struct name_list *list);
void lds_gateway_names(struct translation *t, struct name_list *list);
struct pb_listener_Listener *lds_inbound(struct translation *t, struct span name);
struct pb_listener_Listener *lds_outbound(struct translation *t, struct span name);
struct pb_listener_Listener *lds_gateway(struct translation *t, struct span name);
/* The port of a chain or a listener that traffic to this node is served on. */
const struct world_workload *lds_workload(const struct translation *t);

/* The node's Pod: what is said of it is Kubernetes' own word. NULL: it is none that is known. */
const struct world_workload *lds_pod(const struct translation *t);

/* By which policies select it: the workload's labels in the world, else what the node says of itself. */
void lds_labels(const struct translation *t, const struct label **labels, size_t *count);

/* Servers of the gateways that this node serves (lds_gateway.c). */
void lds_gateway_each(const struct translation *t,
                      void (*on_server)(void *arg, const struct world_gateway *g,
                                        const struct world_server *s),
                      void *arg);
bool lds_gateway_is_https(const struct world_server *s);
/* The table that its requests are routed by. */
struct span lds_gateway_route(const struct translation *t, const struct world_gateway *g,
                              const struct world_server *s);

/* lds.c: parts that all have. */
NONNULL_RETURN struct pb_listener_Listener *lds_listener(struct translation *t, struct span name,
                                                         struct pb_core_Address *address,
                                                         int32_t direction);
#define LDS_TLS_INSPECTOR 1u
#define LDS_HTTP_INSPECTOR 2u
/* Those of `what`; `tls_off` and `http_off` (may be NULL) are ports where the first bytes are not waited for. */
struct port_list {
    uint16_t *at;
    uint32_t count, room;
};
/* The listener's connections begin with a PROXY header. */
void lds_proxy_protocol(struct translation *t, struct pb_listener_Listener *l);
void lds_inspectors(struct translation *t, struct pb_listener_Listener *l, unsigned what,
                    const struct port_list *tls_off, const struct port_list *http_off);
NONNULL_RETURN struct pb_listener_FilterChain *lds_chain(struct translation *t,
                                                         struct pb_listener_Listener *l,
                                                         struct span name);
void lds_add_filter(struct translation *t, struct pb_listener_FilterChain *chain, struct span name,
                    struct pb_protobuf_Any *config);
/* Adds tcp_proxy to `cluster`. */
void lds_tcp(struct translation *t, struct pb_listener_FilterChain *chain, struct span stat_prefix,
             struct span cluster, const struct world_traffic *traffic);
/* The same to shares of several. */
void lds_tcp_weighted(struct translation *t, struct pb_listener_FilterChain *chain,
                      const struct world_backend *backends, size_t count);
NONNULL_RETURN struct pb_hcm_HttpConnectionManager *lds_http(struct translation *t,
                                                             struct span stat_prefix);
void lds_http_filter(struct translation *t, struct pb_hcm_HttpConnectionManager *h,
                     struct span name, struct pb_protobuf_Any *config, bool optional);
/* Filter "istio.alpn", for clients. */
void lds_alpn(struct translation *t, struct pb_hcm_HttpConnectionManager *h);
void lds_rds(struct translation *t, struct pb_hcm_HttpConnectionManager *h, struct span route_name);
/* grpc_web where the port is of it (as in Istio), fault, cors, router; then adds the connection manager to the chain. */
void lds_http_end(struct translation *t, struct pb_listener_FilterChain *chain,
                  struct pb_hcm_HttpConnectionManager *h, enum port_protocol protocol);
/* lds_l4.c: chains by `tls` or `tcp` rules, appended to the listener's. */
struct pb_listener_FilterChainMatch;
struct lds_l4_from {
    const struct world_virtual_host *rules; /* NULL: none */
    bool tls;                               /* the rules by SNI, else those without */
    uint16_t port;
    struct span gateway;                    /* empty: "mesh" */
    struct pb_core_TransportSocket *socket; /* of a gateway that ends TLS; NULL: none */
    const struct span *sni;                 /* for which it does; none = any */
    size_t sni_count;
};
void lds_l4_add(struct translation *t, struct pb_listener_Listener *l,
                const struct lds_l4_from *from);
bool lds_l4_is_taken(const struct pb_listener_Listener *l,
                     const struct pb_listener_FilterChainMatch *m);
/* Hints for an on-demand node: what it has used before, which addresses are the mesh's. */
void lds_hints(struct translation *t, struct pb_listener_Listener *l);
struct pb_accesslog_AccessLog;
/* NULL: none. `no_route`: for a listener, only what no chain took. */
struct pb_accesslog_AccessLog *lds_log(struct translation *t, bool no_route);
/* Application protocols that mean HTTP, by the http inspector. */
extern const struct span lds_http_protocols[3];

/* ---- routes: rds.c, vhost.c ---- */

struct pb_route_VirtualHost;
struct pb_route_Route;
struct pb_route_RouteMatch;
struct pb_route_RouteAction;
/* Istio's, for bodies of direct responses; Envoy's own is 4 KiB. */
#define RDS_DIRECT_BODY_MAX 1048576
NONNULL_RETURN struct pb_route_RouteConfiguration *rds_new(struct translation *t, struct span name);
struct pb_route_RouteConfiguration *rds_routes(struct translation *t, struct span name);
struct pb_route_VirtualHost *rds_virtual_host(struct translation *t, struct span name);
/* Tables of gateways (rds_gateway.c). */
struct pb_route_RouteConfiguration *rds_gateway(struct translation *t, struct span name);
/* Whether on this port of a service is spoken HTTP that is routed by the table of the port's number; else, if it is
 * found out by looking, by a table of the service's own. */
bool rds_is_shared(const struct world_port *port);

struct vhost_for {
    uint16_t port;        /* of the listener or, for the HTTP proxy, of the destination */
    struct span gateway;  /* empty: "mesh" */
    struct span any_host; /* decorates routes without a cluster of their own */
};
/* Routes of what an object says, for this node; appended to `v`. */
void vhost_add_routes(struct translation *t, struct pb_route_VirtualHost *v,
                      const struct world_virtual_host *rules, const struct vhost_for *to);
/* The one route without rules: all to that cluster. */
void vhost_add_plain(struct translation *t, struct pb_route_VirtualHost *v,
                     const struct world_service *s, uint16_t port);
/* A route of everything, with Istio's settings for both directions; the cluster and more are the caller's. */
NONNULL_RETURN struct pb_route_Route *vhost_route_all(struct translation *t, struct span cluster,
                                                      struct span operation);
/* vhost_match.c: `m` NULL is everything. */
NONNULL_RETURN struct pb_route_RouteMatch *vhost_match(struct translation *t,
                                                       const struct world_match *m);
NONNULL_RETURN struct pb_matcher_StringMatcher *vhost_match_text(
    struct translation *t, const struct world_string_match *m);
/* vhost_action.c: what the route does with what `m` (NULL: everything) matched. `no_service` is the answer for a backend that
 * is not there. */
struct vhost_action {
    const struct world_route *route;
    const struct world_match *match;
    const struct vhost_for *to;
    unsigned no_service;
};
void vhost_action_do(struct translation *t, struct pb_route_Route *out,
                     const struct vhost_action *a);
/* The mesh's default retries, and the hash of the destination's rule. */
void vhost_action_defaults(struct translation *t, struct pb_route_RouteAction *a,
                           const struct world_service *s, uint16_t port, struct span subset);
NONNULL_RETURN struct pb_route_VirtualHost *vhost_new(struct translation *t, struct span name);
void vhost_add_domain(struct translation *t, struct pb_route_VirtualHost *v, struct span domain);

/* ---- authorization: authz.c ---- */

struct authz_filters {
    const struct pb_rbac_RBAC *audit, *deny, *allow;
    const struct pb_rbac_RBAC *deny_shadow, *allow_shadow;
};
struct authz_for {
    struct span namespace;
    const struct label *labels;
    size_t label_count;
    bool opaque;
    bool tunnelled; /* for what comes out of a tunnel */
};
void authz_build(const struct world *w, struct arena *arena, const struct authz_for *to,
                 struct authz_filters *out);
void authz_filters_http(struct translation *t, struct pb_hcm_HttpConnectionManager *h);
void authz_filters_tcp(struct translation *t, struct pb_listener_FilterChain *chain);

/* ---- names: name_table.c ---- */

struct pb_nds_NameTable;
struct pb_nds_NameTable *name_table(struct translation *t, struct span host);
void name_table_names(struct translation *t, struct name_list *list);
#endif
