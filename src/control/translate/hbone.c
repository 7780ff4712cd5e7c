/* HBONE of a node: listeners and clusters for tunnels in and out, in Istio's form, which an Envoy with internal listeners takes too.
 *
 *   in:  15008 connect_terminate (mutual TLS, CONNECT) -> cluster main_internal -> listener main_internal (lds_inbound.c)
 *   out: endpoint (eds.c) -> listener connect_originate -> cluster connect_originate -> the endpoint's 15008
 * Our proxy takes both as one step. In: what the mesh, the node's workload and endpoints say. Next: mtls, lds, cds.
 * Source: Istio pilot/pkg/networking/core (listener_waypoint.go, listener_inbound.go: buildInboundHBONEListeners, cluster_waypoint.go). */
#include "control/translate/translate_int.h"
#include "proto/cluster.pb.h"
#include "proto/endpoint.pb.h"
#include "proto/hcm.pb.h"
#include "proto/listener.pb.h"
#include "proto/route.pb.h"
#include "proto/set_filter_state.pb.h"
#include "proto/tcp_proxy.pb.h"

/* The mesh says so, or the node's own workload takes tunnels: then it understands them. */
static bool takes_part(const struct translation *t)
{
    if (!t->n->hbone || t->w->config->mesh.hbone) {
        return t->n->hbone;
    }
    const struct world_workload *own = lds_workload(t);
    return world_takes_tunnel(t->n->labels, t->n->label_count, NULL) ||
           (own && world_takes_tunnel(own->labels, own->label_count, own->object));
}

bool hbone_accepts(const struct translation *t)
{
    return t->n->kind == NODE_SIDECAR && takes_part(t);
}

bool hbone_sends(const struct translation *t)
{
    return takes_part(t);
}

static bool may_tunnel(const struct translation *t, const struct world_endpoint *e)
{
    bool takes = e->tunnel || (t->w->config->mesh.hbone && e->mutual_tls);
    return takes && e->unix_path.len == 0 && e->hostname.len == 0 && e->address.family != 0;
}

bool hbone_reaches(const struct translation *t, const struct destination *d)
{
    const struct world_endpoints *all = t->w->endpoints[d->service->index];
    bool found = t->n->hbone && t->w->config->mesh.hbone;
    for (size_t i = 0; i < all->count && !found && t->n->hbone; i++) {
        found = all->items[i].service_port == d->port->number && may_tunnel(t, &all->items[i]);
    }
    return found;
}

bool hbone_is_for(struct translation *t, const struct world_endpoint *e)
{
    if (!t->n->hbone || !may_tunnel(t, e)) {
        return false;
    }
    t->for_node = t->for_node || !t->w->config->mesh.hbone; /* else all who can do */
    return hbone_sends(t);
}

void hbone_names(const struct translation *t, struct name_list *list, bool listeners)
{
    if (hbone_accepts(t)) {
        if (listeners) {
            translate_add_name(t->arena, list, SPAN(LISTENER_TUNNEL_IN));
        }
        translate_add_name(t->arena, list, SPAN(TUNNEL_INNER));
    }
    if (hbone_sends(t)) {
        translate_add_name(t->arena, list, SPAN(TUNNEL_OUT));
    }
}

/* ---- in ---- */

/* For an Envoy's main_internal: ours knows by the tunnel itself. */
static void leave(struct translation *t, struct pb_set_filter_state_Config *c, struct span key,
                  struct span factory, struct span value)
{
    struct arena *arena = t->arena;
    struct pb_filter_state_FilterStateValue *v =
        arena_new(arena, struct pb_filter_state_FilterStateValue);
    v->key_case = PB_FILTER_STATE_FILTER_STATE_VALUE_KEY_OBJECT_KEY;
    v->object_key = key;
    v->factory_key = factory;
    v->value_case = PB_FILTER_STATE_FILTER_STATE_VALUE_VALUE_FORMAT_STRING;
    v->format_string = arena_new(arena, struct pb_core_SubstitutionFormatString);
    v->format_string->format_case = PB_CORE_SUBSTITUTION_FORMAT_STRING_FORMAT_TEXT_FORMAT_SOURCE;
    v->format_string->text_format_source = arena_new(arena, struct pb_core_DataSource);
    v->format_string->text_format_source->specifier_case =
        PB_CORE_DATA_SOURCE_SPECIFIER_INLINE_STRING;
    v->format_string->text_format_source->inline_string = value;
    v->shared_with_upstream = PB_FILTER_STATE_FILTER_STATE_VALUE_SHARED_WITH_UPSTREAM_ONCE;
    PB_ADD(arena, &c->on_request_headers, v);
}

static struct pb_route_RouteConfiguration *connect_route(struct translation *t)
{
    struct arena *arena = t->arena;
    struct pb_route_RouteConfiguration *table =
        arena_new(arena, struct pb_route_RouteConfiguration);
    struct pb_route_VirtualHost *v = vhost_new(t, SPAN(LISTENER_TUNNEL_IN));
    struct pb_route_Route *r = vhost_route_all(t, SPAN(TUNNEL_INNER), SPAN_EMPTY);
    struct pb_route_RouteAction_UpgradeConfig *u =
        arena_new(arena, struct pb_route_RouteAction_UpgradeConfig);
    r->match = arena_new(arena, struct pb_route_RouteMatch);
    r->match->path_specifier_case = PB_ROUTE_ROUTE_MATCH_PATH_SPECIFIER_CONNECT_MATCHER;
    r->match->connect_matcher = arena_new(arena, struct pb_route_RouteMatch_ConnectMatcher);
    u->upgrade_type = SPAN("CONNECT");
    u->connect_config = arena_new(arena, struct pb_route_RouteAction_UpgradeConfig_ConnectConfig);
    PB_ADD(arena, &r->route->upgrade_configs, u);
    vhost_add_domain(t, v, SPAN("*"));
    PB_ADD(arena, &v->routes, r);
    table->name = SPAN(LISTENER_TUNNEL_IN);
    table->validate_clusters = message_bool(arena, false);
    PB_ADD(arena, &table->virtual_hosts, v);
    return table;
}

static struct pb_listener_Listener *terminate(struct translation *t)
{
    struct arena *arena = t->arena;
    bool v6 = t->n->addresses[0].family == 6;
    struct span at = t->n->interception == NODE_NONE ? message_ip(arena, &t->n->addresses[0])
                     : v6                            ? SPAN("::")
                                                     : SPAN("0.0.0.0");
    struct pb_listener_Listener *l =
        lds_listener(t, SPAN(LISTENER_TUNNEL_IN), message_address(arena, at, PORT_HBONE),
                     PB_CORE_TRAFFIC_DIRECTION_UNSPECIFIED);
    struct pb_listener_FilterChain *chain = lds_chain(t, l, SPAN("default"));
    struct pb_hcm_HttpConnectionManager *h = lds_http(t, SPAN(LISTENER_TUNNEL_IN));
    struct pb_hcm_HttpConnectionManager_UpgradeConfig *u =
        arena_new(arena, struct pb_hcm_HttpConnectionManager_UpgradeConfig);
    struct pb_set_filter_state_Config *state = arena_new(arena, struct pb_set_filter_state_Config);
    chain->transport_socket = mtls_tunnel(t, true);
    h->http2_protocol_options = arena_new(arena, struct pb_core_Http2ProtocolOptions);
    h->http2_protocol_options->allow_connect = true;
    h->normalize_path = NULL;
    u->upgrade_type = SPAN("CONNECT");
    h->upgrade_configs.count = 0;
    PB_ADD(arena, &h->upgrade_configs, u);
    h->route_specifier_case = PB_HCM_HTTP_CONNECTION_MANAGER_ROUTE_SPECIFIER_ROUTE_CONFIG;
    h->route_config = connect_route(t);
    leave(t, state, SPAN("envoy.filters.listener.original_dst.local_ip"), SPAN_EMPTY,
          SPAN("%REQ(:AUTHORITY)%"));
    leave(t, state, SPAN(FILTER_STATE_PEER), SPAN("envoy.string"),
          SPAN("%DOWNSTREAM_PEER_URI_SAN%"));
    lds_http_filter(
        t, h, SPAN("connect_authority"),
        MESSAGE_ANY(arena, PB_SET_FILTER_STATE_CONFIG_URL, &pb_set_filter_state_Config_desc, state),
        false);
    lds_http_end(t, chain, h, PROTOCOL_HTTP2);
    return l;
}

/* ---- out ---- */

static struct pb_listener_Listener *originate(struct translation *t)
{
    struct arena *arena = t->arena;
    struct pb_listener_Listener *l =
        lds_listener(t, SPAN(TUNNEL_OUT), NULL, PB_CORE_TRAFFIC_DIRECTION_OUTBOUND);
    struct pb_listener_ListenerFilter *f = arena_new(arena, struct pb_listener_ListenerFilter);
    struct pb_tcp_proxy_TcpProxy *p = arena_new(arena, struct pb_tcp_proxy_TcpProxy);
    l->listener_specifier_case = PB_LISTENER_LISTENER_LISTENER_SPECIFIER_INTERNAL_LISTENER;
    l->internal_listener = arena_new(arena, struct pb_listener_Listener_InternalListenerConfig);
    f->name = SPAN("envoy.filters.listener.original_dst");
    f->config_type_case = PB_LISTENER_LISTENER_FILTER_CONFIG_TYPE_TYPED_CONFIG;
    f->typed_config = message_any_empty(
        arena, SPAN("type.googleapis.com/"
                    "envoy.extensions.filters.listener.original_dst.v3.OriginalDst"));
    PB_ADD(arena, &l->listener_filters, f);
    p->stat_prefix = SPAN(TUNNEL_OUT);
    p->cluster_specifier_case = PB_TCP_PROXY_TCP_PROXY_CLUSTER_SPECIFIER_CLUSTER;
    p->cluster = SPAN(TUNNEL_OUT);
    p->tunneling_config = arena_new(arena, struct pb_tcp_proxy_TcpProxy_TunnelingConfig);
    p->tunneling_config->hostname = SPAN("%DOWNSTREAM_LOCAL_ADDRESS%");
    lds_add_filter(t, lds_chain(t, l, SPAN_EMPTY), SPAN("envoy.filters.network.tcp_proxy"),
                   MESSAGE_ANY(arena, PB_TCP_PROXY_TCP_PROXY_URL, &pb_tcp_proxy_TcpProxy_desc, p));
    return l;
}

struct pb_listener_Listener *hbone_listener(struct translation *t, struct span name)
{
    bool in = span_is(name, LISTENER_TUNNEL_IN);
    if ((!in && !span_is(name, TUNNEL_OUT)) || !(in ? hbone_accepts(t) : hbone_sends(t))) {
        return NULL;
    }
    t->for_node = true;
    return in ? terminate(t) : originate(t);
}

/* ---- clusters ---- */

static void to_inner(struct translation *t, struct pb_cluster_Cluster *c)
{
    struct arena *arena = t->arena;
    struct pb_endpoint_LocalityLbEndpoints *l =
        arena_new(arena, struct pb_endpoint_LocalityLbEndpoints);
    struct pb_endpoint_LbEndpoint *e = arena_new(arena, struct pb_endpoint_LbEndpoint);
    struct pb_core_Address *a = arena_new(arena, struct pb_core_Address);
    a->address_case = PB_CORE_ADDRESS_ADDRESS_ENVOY_INTERNAL_ADDRESS;
    a->envoy_internal_address = arena_new(arena, struct pb_core_EnvoyInternalAddress);
    a->envoy_internal_address->address_name_specifier_case =
        PB_CORE_ENVOY_INTERNAL_ADDRESS_ADDRESS_NAME_SPECIFIER_SERVER_LISTENER_NAME;
    a->envoy_internal_address->server_listener_name = SPAN(TUNNEL_INNER);
    e->host_identifier_case = PB_ENDPOINT_LB_ENDPOINT_HOST_IDENTIFIER_ENDPOINT;
    e->endpoint = arena_new(arena, struct pb_endpoint_Endpoint);
    e->endpoint->address = a;
    PB_ADD(arena, &l->lb_endpoints, e);
    c->type = PB_CLUSTER_CLUSTER_DISCOVERY_TYPE_STATIC;
    c->load_assignment = arena_new(arena, struct pb_endpoint_ClusterLoadAssignment);
    c->load_assignment->cluster_name = c->name;
    PB_ADD(arena, &c->load_assignment->endpoints, l);
    c->transport_socket = mtls_internal(t, false);
}

static void to_workloads(struct translation *t, struct pb_cluster_Cluster *c)
{
    c->type = PB_CLUSTER_CLUSTER_DISCOVERY_TYPE_ORIGINAL_DST;
    c->lb_policy = PB_CLUSTER_CLUSTER_LB_POLICY_CLUSTER_PROVIDED;
    c->lb_config_case = PB_CLUSTER_CLUSTER_LB_CONFIG_ORIGINAL_DST_LB_CONFIG;
    c->original_dst_lb_config = arena_new(t->arena, struct pb_cluster_Cluster_OriginalDstLbConfig);
    c->original_dst_lb_config->upstream_port_override = message_u32(t->arena, PORT_HBONE);
    c->transport_socket = mtls_tunnel(t, false);
    cds_protocol(t, c, PROTOCOL_HTTP2, NULL);
    cds_limits(t, c, NULL);
}

struct pb_cluster_Cluster *hbone_cluster(struct translation *t, struct span name)
{
    bool in = span_is(name, TUNNEL_INNER);
    if ((!in && !span_is(name, TUNNEL_OUT)) || !(in ? hbone_accepts(t) : hbone_sends(t))) {
        return NULL;
    }
    struct pb_cluster_Cluster *c = arena_new(t->arena, struct pb_cluster_Cluster);
    t->for_node = true;
    c->name = in ? SPAN(TUNNEL_INNER) : SPAN(TUNNEL_OUT);
    c->connect_timeout = message_ms(t->arena, t->w->config->mesh.connect_timeout_ms);
    c->cluster_discovery_type_case = PB_CLUSTER_CLUSTER_CLUSTER_DISCOVERY_TYPE_TYPE;
    if (in) {
        to_inner(t, c);
    } else {
        to_workloads(t, c);
    }
    return c;
}
