/* Parts of listeners: chains, tcp_proxy, the HTTP connection manager with Istio's settings.
 * Source: Istio pilot/pkg/networking/core (listener.go, listener_builder.go, networkfilter.go), xds/filters. */
#include "control/translate/translate_int.h"
#include "proto/accesslog.pb.h"
#include "proto/hcm.pb.h"
#include "proto/istio_alpn.pb.h"
#include "proto/listener.pb.h"
#include "proto/router.pb.h"
#include "proto/tcp_proxy.pb.h"

#define URL "type.googleapis.com/"
#define EXTENSIONS URL "envoy.extensions.filters."

const struct span lds_http_protocols[3] = {SPAN_INIT("http/1.0"), SPAN_INIT("http/1.1"),
                                           SPAN_INIT("h2c")};

const struct world_workload *lds_workload(const struct translation *t)
{
    for (size_t i = 0; i < t->n->address_count && t->n->kind == NODE_SIDECAR; i++) {
        const struct world_workload *own = world_workload_at(t->w, &t->n->addresses[i]);
        if (own && span_eq(own->namespace, t->n->namespace)) {
            return own;
        }
    }
    return NULL;
}

const struct world_workload *lds_pod(const struct translation *t)
{
    for (size_t i = 0; i < t->n->address_count; i++) {
        const struct world_workload *own = world_workload_at(t->w, &t->n->addresses[i]);
        if (own && own->object && own->object->kind == OBJECT_POD &&
            span_eq(own->namespace, t->n->namespace)) {
            return own;
        }
    }
    return NULL;
}

void lds_labels(const struct translation *t, const struct label **labels, size_t *count)
{
    const struct world_workload *own = lds_workload(t);
    *labels = own ? own->labels : t->n->labels;
    *count = own ? own->label_count : t->n->label_count;
}

/* ---- the listener ---- */

struct pb_listener_Listener *lds_listener(struct translation *t, struct span name,
                                          struct pb_core_Address *address, int32_t direction)
{
    struct pb_listener_Listener *l = arena_new(t->arena, struct pb_listener_Listener);
    l->name = name;
    l->address = address;
    l->traffic_direction = direction;
    struct pb_accesslog_AccessLog *log = lds_log(t, true);
    if (log) {
        PB_ADD(t->arena, &l->access_log, log);
    }
    return l;
}

/* Read by proxy/config/read_listener: "mesh.discovery". */
static void put_list(struct translation *t, struct pb_listener_Listener *l, struct span key,
                     struct pb_protobuf_ListValue *list)
{
    if (list->values.count == 0) {
        return;
    }
    struct pb_protobuf_Value *v = arena_new(t->arena, struct pb_protobuf_Value);
    v->kind_case = PB_PROTOBUF_VALUE_KIND_LIST_VALUE;
    v->list_value = list;
    message_put(t->arena, message_metadata(t->arena, &l->metadata, SPAN("mesh.discovery")), key, v);
}

void lds_hints(struct translation *t, struct pb_listener_Listener *l)
{
    if (!t->n->on_demand) {
        return;
    }
    const struct world_mesh *mesh = &t->w->config->mesh;
    struct pb_protobuf_ListValue *known = arena_new(t->arena, struct pb_protobuf_ListValue);
    struct pb_protobuf_ListValue *ranges = arena_new(t->arena, struct pb_protobuf_ListValue);
    for (size_t i = 0; i < t->n->known_count; i++) {
        PB_ADD(t->arena, &known->values, message_text(t->arena, t->n->known[i]));
    }
    for (size_t i = 0; i < mesh->mesh_range_count; i++) {
        char *text = arena_bytes(t->arena, IP_TEXT_BYTES + 4);
        PB_ADD(t->arena, &ranges->values,
               message_text(t->arena, span_of(cidr_format(&mesh->mesh_ranges[i], text))));
    }
    put_list(t, l, SPAN("known"), known);
    put_list(t, l, SPAN("ranges"), ranges);
}

/* Istio nests or_match so that none is long; a flat one means the same. */
static struct pb_listener_ListenerFilterChainMatchPredicate *ports_off(struct translation *t,
                                                                       const struct port_list *off)
{
    if (!off || off->count == 0) {
        return NULL;
    }
    struct pb_listener_ListenerFilterChainMatchPredicate *all =
        arena_new(t->arena, struct pb_listener_ListenerFilterChainMatchPredicate);
    all->rule_case = PB_LISTENER_LISTENER_FILTER_CHAIN_MATCH_PREDICATE_RULE_OR_MATCH;
    all->or_match =
        arena_new(t->arena, struct pb_listener_ListenerFilterChainMatchPredicate_MatchSet);
    struct pb_listener_ListenerFilterChainMatchPredicate *one = NULL;
    for (uint32_t i = 0; i < off->count; i++) {
        one = arena_new(t->arena, struct pb_listener_ListenerFilterChainMatchPredicate);
        one->rule_case =
            PB_LISTENER_LISTENER_FILTER_CHAIN_MATCH_PREDICATE_RULE_DESTINATION_PORT_RANGE;
        one->destination_port_range = arena_new(t->arena, struct pb_type_Int32Range);
        one->destination_port_range->start = off->at[i];
        one->destination_port_range->end = off->at[i] + 1;
        PB_ADD(t->arena, &all->or_match->rules, one);
    }
    return off->count == 1 ? one : all; /* or_match needs two */
}

static void inspector(struct translation *t, struct pb_listener_Listener *l, struct span name,
                      struct span type_url, const struct port_list *off)
{
    struct pb_listener_ListenerFilter *f = arena_new(t->arena, struct pb_listener_ListenerFilter);
    f->name = name;
    f->config_type_case = PB_LISTENER_LISTENER_FILTER_CONFIG_TYPE_TYPED_CONFIG;
    f->typed_config = message_any_empty(t->arena, type_url);
    f->filter_disabled = ports_off(t, off);
    PB_ADD(t->arena, &l->listener_filters, f);
}

void lds_proxy_protocol(struct translation *t, struct pb_listener_Listener *l)
{
    inspector(t, l, SPAN("envoy.filters.listener.proxy_protocol"),
              SPAN(EXTENSIONS "listener.proxy_protocol.v3.ProxyProtocol"), NULL);
}

void lds_inspectors(struct translation *t, struct pb_listener_Listener *l, unsigned what,
                    const struct port_list *tls_off, const struct port_list *http_off)
{
    if (what & LDS_TLS_INSPECTOR) {
        inspector(t, l, SPAN("envoy.filters.listener.tls_inspector"),
                  SPAN(EXTENSIONS "listener.tls_inspector.v3.TlsInspector"), tls_off);
    }
    if (what & LDS_HTTP_INSPECTOR) {
        inspector(t, l, SPAN("envoy.filters.listener.http_inspector"),
                  SPAN(EXTENSIONS "listener.http_inspector.v3.HttpInspector"), http_off);
    }
}

struct pb_listener_FilterChain *lds_chain(struct translation *t, struct pb_listener_Listener *l,
                                          struct span name)
{
    struct pb_listener_FilterChain *c = arena_new(t->arena, struct pb_listener_FilterChain);
    c->name = name;
    PB_ADD(t->arena, &l->filter_chains, c);
    return c;
}

void lds_add_filter(struct translation *t, struct pb_listener_FilterChain *chain, struct span name,
                    struct pb_protobuf_Any *config)
{
    struct pb_listener_Filter *f = arena_new(t->arena, struct pb_listener_Filter);
    f->name = name;
    f->config_type_case = PB_LISTENER_FILTER_CONFIG_TYPE_TYPED_CONFIG;
    f->typed_config = config;
    PB_ADD(t->arena, &chain->filters, f);
}

/* ---- opaque bytes ---- */

static void tcp_end(struct translation *t, struct pb_listener_FilterChain *chain,
                    struct pb_tcp_proxy_TcpProxy *p)
{
    struct pb_accesslog_AccessLog *log = lds_log(t, false);
    if (log) {
        PB_ADD(t->arena, &p->access_log, log);
    }
    lds_add_filter(
        t, chain, SPAN("envoy.filters.network.tcp_proxy"),
        MESSAGE_ANY(t->arena, PB_TCP_PROXY_TCP_PROXY_URL, &pb_tcp_proxy_TcpProxy_desc, p));
}

static struct span backend_cluster(struct translation *t, const struct world_backend *b)
{
    return translate_cluster_name(t->arena, b->service ? b->service->host : b->host, b->port,
                                  b->subset);
}

void lds_tcp_weighted(struct translation *t, struct pb_listener_FilterChain *chain,
                      const struct world_backend *backends, size_t count)
{
    struct pb_tcp_proxy_TcpProxy *p = arena_new(t->arena, struct pb_tcp_proxy_TcpProxy);
    p->weighted_clusters = arena_new(t->arena, struct pb_tcp_proxy_TcpProxy_WeightedCluster);
    for (size_t i = 0; i < count; i++) {
        if (backends[i].weight == 0 && count > 1) {
            continue;
        }
        struct pb_tcp_proxy_TcpProxy_WeightedCluster_ClusterWeight *w =
            arena_new(t->arena, struct pb_tcp_proxy_TcpProxy_WeightedCluster_ClusterWeight);
        w->name = backend_cluster(t, &backends[i]);
        w->weight = backends[i].weight;
        PB_ADD(t->arena, &p->weighted_clusters->clusters, w);
    }
    if (p->weighted_clusters->clusters.count > 1) {
        p->stat_prefix = backends[0].host;
        p->cluster_specifier_case = PB_TCP_PROXY_TCP_PROXY_CLUSTER_SPECIFIER_WEIGHTED_CLUSTERS;
        tcp_end(t, chain, p);
        return;
    }
    struct span only = p->weighted_clusters->clusters.count == 1
                           ? p->weighted_clusters->clusters.at[0]->name
                           : SPAN(CLUSTER_BLACK_HOLE);
    lds_tcp(t, chain, only, only, NULL);
}

void lds_tcp(struct translation *t, struct pb_listener_FilterChain *chain, struct span stat_prefix,
             struct span cluster, const struct world_traffic *traffic)
{
    struct pb_tcp_proxy_TcpProxy *p = arena_new(t->arena, struct pb_tcp_proxy_TcpProxy);
    p->stat_prefix = stat_prefix;
    p->cluster_specifier_case = PB_TCP_PROXY_TCP_PROXY_CLUSTER_SPECIFIER_CLUSTER;
    p->cluster = cluster;
    if (traffic && traffic->idle_timeout_ms > 0) {
        p->idle_timeout = message_ms(t->arena, traffic->idle_timeout_ms);
    }
    if (traffic && traffic->lb == WORLD_LB_HASH && traffic->hash_header.len == 0 &&
        traffic->hash_cookie.len == 0 && traffic->hash_query.len == 0) { /* useSourceIp */
        struct pb_type_HashPolicy *h = arena_new(t->arena, struct pb_type_HashPolicy);
        h->policy_specifier_case = PB_TYPE_HASH_POLICY_POLICY_SPECIFIER_SOURCE_IP;
        h->source_ip = arena_new(t->arena, struct pb_type_HashPolicy_SourceIp);
        PB_ADD(t->arena, &p->hash_policy, h);
    }
    tcp_end(t, chain, p);
}

/* ---- HTTP ---- */

/* Istio: MeshConfig.pathNormalization. */
static void path_options(struct pb_hcm_HttpConnectionManager *h, struct arena *arena,
                         enum mesh_config_paths mode)
{
    bool decode = mode == MESH_CONFIG_PATHS_DECODE_AND_MERGE_SLASHES;
    h->normalize_path = message_bool(arena, mode != MESH_CONFIG_PATHS_NONE);
    h->merge_slashes = decode || mode == MESH_CONFIG_PATHS_MERGE_SLASHES;
    h->path_with_escaped_slashes_action =
        decode
            ? PB_HCM_HTTP_CONNECTION_MANAGER_PATH_WITH_ESCAPED_SLASHES_ACTION_UNESCAPE_AND_FORWARD
            : PB_HCM_HTTP_CONNECTION_MANAGER_PATH_WITH_ESCAPED_SLASHES_ACTION_KEEP_UNCHANGED;
}

struct pb_hcm_HttpConnectionManager *lds_http(struct translation *t, struct span stat_prefix)
{
    struct arena *arena = t->arena;
    struct pb_hcm_HttpConnectionManager *h = arena_new(arena, struct pb_hcm_HttpConnectionManager);
    h->stat_prefix = stat_prefix;
    h->server_name = SPAN("istio-envoy");
    path_options(h, arena, t->w->config->mesh.paths);
    h->stream_idle_timeout = message_ms(arena, 0);
    /* Istio refuses them unless PILOT_HTTP10 is set; old clients (ab, health checks of load balancers) still name a host. */
    h->http_protocol_options = arena_new(arena, struct pb_core_Http1ProtocolOptions);
    h->http_protocol_options->accept_http_10 = true;
    struct pb_hcm_HttpConnectionManager_UpgradeConfig *u =
        arena_new(arena, struct pb_hcm_HttpConnectionManager_UpgradeConfig);
    u->upgrade_type = SPAN("websocket");
    PB_ADD(arena, &h->upgrade_configs, u);
    struct pb_accesslog_AccessLog *log = lds_log(t, false);
    if (log) {
        PB_ADD(arena, &h->access_log, log);
    }
    return h;
}

void lds_http_filter(struct translation *t, struct pb_hcm_HttpConnectionManager *h,
                     struct span name, struct pb_protobuf_Any *config, bool optional)
{
    struct pb_hcm_HttpFilter *f = arena_new(t->arena, struct pb_hcm_HttpFilter);
    f->name = name;
    f->config_type_case = PB_HCM_HTTP_FILTER_CONFIG_TYPE_TYPED_CONFIG;
    f->typed_config = config;
    f->is_optional = optional;
    PB_ADD(t->arena, &h->http_filters, f);
}

void lds_rds(struct translation *t, struct pb_hcm_HttpConnectionManager *h, struct span route_name)
{
    h->route_specifier_case = PB_HCM_HTTP_CONNECTION_MANAGER_ROUTE_SPECIFIER_RDS;
    h->rds = arena_new(t->arena, struct pb_hcm_Rds);
    h->rds->route_config_name = route_name;
    h->rds->config_source = message_ads(t->arena);
}

/* Requests between sidecars say inside which ALPN they come, so that the other side knows HTTP from opaque bytes. An Envoy
 * without Istio's extensions goes without. Source: istio/proxy alpn filter. */
void lds_alpn(struct translation *t, struct pb_hcm_HttpConnectionManager *h)
{
    static const struct alpn_row {
        int32_t protocol;
        struct span names[3];
    } rows[] = {
        {PB_ISTIO_ALPN_FILTER_CONFIG_PROTOCOL_HTTP10,
         {SPAN_INIT(ALPN_MESH_HTTP_1_0), SPAN_INIT(ALPN_MESH), SPAN_INIT("http/1.0")}},
        {PB_ISTIO_ALPN_FILTER_CONFIG_PROTOCOL_HTTP11,
         {SPAN_INIT(ALPN_MESH_HTTP_1_1), SPAN_INIT(ALPN_MESH), SPAN_INIT(ALPN_HTTP_1_1)}},
        {PB_ISTIO_ALPN_FILTER_CONFIG_PROTOCOL_HTTP2,
         {SPAN_INIT(ALPN_MESH_H2), SPAN_INIT(ALPN_MESH), SPAN_INIT(ALPN_H2)}},
    };
    if (t->n->no_alpn_filter) {
        return;
    }
    struct pb_istio_alpn_FilterConfig *c = arena_new(t->arena, struct pb_istio_alpn_FilterConfig);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pb_istio_alpn_FilterConfig_AlpnOverride *o =
            arena_new(t->arena, struct pb_istio_alpn_FilterConfig_AlpnOverride);
        o->upstream_protocol = rows[i].protocol;
        for (size_t k = 0; k < ARRAY_LEN(rows[i].names); k++) {
            PB_ADD(t->arena, &o->alpn_override, rows[i].names[k]);
        }
        PB_ADD(t->arena, &c->alpn_override, o);
    }
    lds_http_filter(
        t, h, SPAN(TRANSLATE_ALPN_FILTER),
        MESSAGE_ANY(t->arena, PB_ISTIO_ALPN_FILTER_CONFIG_URL, &pb_istio_alpn_FilterConfig_desc, c),
        true);
}

void lds_http_end(struct translation *t, struct pb_listener_FilterChain *chain,
                  struct pb_hcm_HttpConnectionManager *h, enum port_protocol protocol)
{
    if (protocol == PROTOCOL_GRPC_WEB) {
        lds_http_filter(t, h, SPAN("envoy.filters.http.grpc_web"),
                        message_any_empty(t->arena, SPAN(EXTENSIONS "http.grpc_web.v3.GrpcWeb")),
                        false);
    }
    lds_http_filter(t, h, SPAN("envoy.filters.http.fault"),
                    message_any_empty(t->arena, SPAN(EXTENSIONS "http.fault.v3.HTTPFault")), false);
    lds_http_filter(t, h, SPAN("envoy.filters.http.cors"),
                    message_any_empty(t->arena, SPAN(EXTENSIONS "http.cors.v3.Cors")), false);
    lds_http_filter(t, h, SPAN("envoy.filters.http.router"),
                    message_any_empty(t->arena, SPAN(PB_ROUTER_ROUTER_URL)), false);
    lds_add_filter(t, chain, SPAN("envoy.filters.network.http_connection_manager"),
                   MESSAGE_ANY(t->arena, PB_HCM_HTTP_CONNECTION_MANAGER_URL,
                               &pb_hcm_HttpConnectionManager_desc, h));
}
