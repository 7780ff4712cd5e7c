/* Listeners for what comes to the node: "virtualInbound", or one a port where nothing is redirected.
 * In: the workload at the node's address. Out: Listener with a chain for each port, transport and protocol. Next: authz (filters),
 * cds_inbound (the clusters behind).
 * Source: Istio pilot/pkg/networking/core (listener_inbound.go: getFilterChainMatchOptions, buildSidecarInboundHTTPOpts). */
#include "control/translate/translate_int.h"
#include "proto/hcm.pb.h"
#include "proto/listener.pb.h"
#include "proto/route.pb.h"

/* ---- which chains a port has ---- */

enum transport { ANY, TLS, RAW };
enum alpn { NONE, MESH_ALL, MESH_HTTP, MESH_TCP, PLAIN_HTTP };

static const struct span alpn_mesh_all[] = {SPAN_INIT(ALPN_MESH), SPAN_INIT(ALPN_PEER_EXCHANGE),
                                            SPAN_INIT(ALPN_MESH_HTTP_1_0),
                                            SPAN_INIT(ALPN_MESH_HTTP_1_1), SPAN_INIT(ALPN_MESH_H2)};
static const struct span alpn_mesh_http[] = {
    SPAN_INIT(ALPN_MESH_HTTP_1_0), SPAN_INIT(ALPN_MESH_HTTP_1_1), SPAN_INIT(ALPN_MESH_H2)};
static const struct span alpn_mesh_tcp[] = {SPAN_INIT(ALPN_PEER_EXCHANGE), SPAN_INIT(ALPN_MESH)};

static const struct alpn_list {
    const struct span *at;
    uint32_t count;
} alpn_lists[] = {
    [NONE] = {NULL, 0},
    [MESH_ALL] = {alpn_mesh_all, ARRAY_LEN(alpn_mesh_all)},
    [MESH_HTTP] = {alpn_mesh_http, ARRAY_LEN(alpn_mesh_http)},
    [MESH_TCP] = {alpn_mesh_tcp, ARRAY_LEN(alpn_mesh_tcp)},
    [PLAIN_HTTP] = {lds_http_protocols, ARRAY_LEN(lds_http_protocols)},
};

struct chain_kind {
    enum transport transport;
    enum alpn alpn;
    bool http, mutual;
};

#define CHAINS_MAX 5
static const struct chain_kinds {
    unsigned count;
    struct chain_kind at[CHAINS_MAX];
} http_chains[] =
    {
        [WORLD_MTLS_STRICT] = {1, {{TLS, NONE, true, true}}},
        [WORLD_MTLS_PERMISSIVE] = {2, {{TLS, MESH_ALL, true, true}, {RAW, NONE, true, false}}},
        [WORLD_MTLS_DISABLE] = {1, {{ANY, NONE, true, false}}},
},
  tcp_chains[] =
      {
          [WORLD_MTLS_STRICT] = {1, {{TLS, NONE, false, true}}},
          [WORLD_MTLS_PERMISSIVE] = {3,
                                     {{TLS, MESH_ALL, false, true},
                                      {TLS, NONE, false, false},
                                      {RAW, NONE, false, false}}},
          [WORLD_MTLS_DISABLE] = {1, {{ANY, NONE, false, false}}},
},
  auto_chains[] = {
      [WORLD_MTLS_STRICT] = {2, {{TLS, MESH_HTTP, true, true}, {TLS, NONE, false, true}}},
      [WORLD_MTLS_PERMISSIVE] = {5,
                                 {{TLS, MESH_HTTP, true, true},
                                  {TLS, MESH_TCP, false, true},
                                  {RAW, PLAIN_HTTP, true, false},
                                  {TLS, NONE, false, false},
                                  {RAW, NONE, false, false}}},
      [WORLD_MTLS_DISABLE] = {2, {{RAW, PLAIN_HTTP, true, false}, {ANY, NONE, false, false}}},
};

static const struct chain_kinds *kinds_of(enum port_protocol protocol, enum world_mtls mode)
{
    return protocol == PROTOCOL_AUTO         ? &auto_chains[mode]
           : port_protocol_is_http(protocol) ? &http_chains[mode]
                                             : &tcp_chains[mode];
}

/* One port's traffic. */
struct inbound {
    uint16_t match_port; /* FilterChainMatch.destination_port; 0: none */
    enum port_protocol protocol;
    enum world_mtls mode;
    struct span chain_name;
    struct span stat_prefix;
    struct span cluster;
    struct span operation;        /* of HTTP; "reviews.default.svc.cluster.local:9080" and a path */
    struct span route_name, host; /* names of the inline table and its virtual host */
};

static struct pb_listener_FilterChainMatch *match_of(struct translation *t,
                                                     const struct chain_kind *k, uint16_t port)
{
    if (port == 0 && k->transport == ANY && k->alpn == NONE) {
        return NULL;
    }
    struct pb_listener_FilterChainMatch *m =
        arena_new(t->arena, struct pb_listener_FilterChainMatch);
    if (port != 0) {
        m->destination_port = message_u32(t->arena, port);
    }
    m->transport_protocol = k->transport == TLS   ? SPAN("tls")
                            : k->transport == RAW ? SPAN("raw_buffer")
                                                  : SPAN_EMPTY;
    for (uint32_t i = 0; i < alpn_lists[k->alpn].count; i++) {
        PB_ADD(t->arena, &m->application_protocols, alpn_lists[k->alpn].at[i]);
    }
    return m;
}

static void add_http(struct translation *t, struct pb_listener_FilterChain *chain,
                     const struct inbound *in)
{
    struct arena *arena = t->arena;
    struct pb_hcm_HttpConnectionManager *h = lds_http(t, in->stat_prefix);
    h->forward_client_cert_details =
        PB_HCM_HTTP_CONNECTION_MANAGER_FORWARD_CLIENT_CERT_DETAILS_APPEND_FORWARD;
    h->set_current_client_cert_details =
        arena_new(arena, struct pb_hcm_HttpConnectionManager_SetCurrentClientCertDetails);
    h->set_current_client_cert_details->subject = message_bool(arena, true);
    h->set_current_client_cert_details->dns = true;
    h->set_current_client_cert_details->uri = true;
    h->use_remote_address = message_bool(arena, false);
    h->server_header_transformation =
        PB_HCM_HTTP_CONNECTION_MANAGER_SERVER_HEADER_TRANSFORMATION_PASS_THROUGH;
    if (translate_is_http2(in->protocol)) {
        h->http2_protocol_options = arena_new(arena, struct pb_core_Http2ProtocolOptions);
    }
    struct pb_route_RouteConfiguration *r = arena_new(arena, struct pb_route_RouteConfiguration);
    struct pb_route_VirtualHost *v = vhost_new(t, in->host);
    vhost_add_domain(t, v, SPAN("*"));
    PB_ADD(arena, &v->routes, vhost_route_all(t, in->cluster, in->operation));
    r->name = in->route_name;
    r->validate_clusters = message_bool(arena, false);
    PB_ADD(arena, &r->virtual_hosts, v);
    h->route_specifier_case = PB_HCM_HTTP_CONNECTION_MANAGER_ROUTE_SPECIFIER_ROUTE_CONFIG;
    h->route_config = r;
    authz_filters_http(t, h);
    lds_http_end(t, chain, h, in->protocol);
}

static void add_chains(struct translation *t, struct pb_listener_Listener *l,
                       const struct inbound *in)
{
    const struct chain_kinds *kinds = kinds_of(in->protocol, in->mode);
    for (unsigned i = 0; i < kinds->count; i++) {
        const struct chain_kind *k = &kinds->at[i];
        struct pb_listener_FilterChain *chain = lds_chain(t, l, in->chain_name);
        chain->filter_chain_match = match_of(t, k, in->match_port);
        if (k->mutual) {
            chain->transport_socket = mtls_downstream(t, k->http);
        }
        if (k->http) {
            add_http(t, chain, in);
        } else {
            authz_filters_tcp(t, chain);
            lds_tcp(t, chain, in->stat_prefix, in->cluster, NULL);
        }
    }
}

/* ---- ports ---- */

static enum world_mtls mode_of(const struct translation *t, const struct world_workload *own,
                               uint16_t port)
{
    return own ? world_mtls_of(t->w, own->namespace, own->labels, own->label_count, port)
               : world_mtls_of(t->w, t->n->namespace, t->n->labels, t->n->label_count, port);
}

static void describe(struct translation *t, struct inbound *in, const struct world_serve *s)
{
    struct span number = message_number(t->arena, s->target);
    in->protocol = s->port->protocol;
    in->cluster = translate_inbound_name(t->arena, s->target);
    in->route_name = in->cluster;
    in->host = MESSAGE_JOIN(t->arena, SPAN("inbound|http|"), number);
    in->operation = MESSAGE_JOIN(
        t->arena, translate_host_port(t->arena, s->service->host, s->port->number), SPAN("/*"));
    in->stat_prefix = MESSAGE_JOIN(t->arena, SPAN("inbound_"), in->chain_name);
}

/* Of several service ports with one target the first counts, as for the oldest service in Istio. */
static const struct world_serve *serve_of(const struct world_workload *own, uint16_t target)
{
    for (size_t i = 0; own && i < own->serve_count; i++) {
        if (own->serves[i].target == target && !translate_is_udp(own->serves[i].port->protocol)) {
            return &own->serves[i];
        }
    }
    return NULL;
}

static bool is_first(const struct world_workload *own, size_t i)
{
    return serve_of(own, own->serves[i].target) == &own->serves[i];
}

static struct span bind_name(struct translation *t, const struct ip *ip, uint16_t port)
{
    return MESSAGE_JOIN(t->arena, message_ip(t->arena, ip), SPAN("_"),
                        message_number(t->arena, port));
}

static struct pb_core_Address *wildcard(struct translation *t, uint16_t port)
{
    bool v6 = t->n->addresses[0].family == 6;
    return message_address(t->arena, v6 ? SPAN("::") : SPAN("0.0.0.0"), port);
}

/* ---- virtualInbound ---- */

static void add_port(struct port_list *list, struct arena *arena, uint16_t port)
{
    PB_ADD(arena, list, port);
}

/* A connection made to the listener itself would go in circles. */
static void add_black_hole(struct translation *t, struct pb_listener_Listener *l)
{
    struct pb_listener_FilterChain *chain = lds_chain(t, l, SPAN("virtualInbound-blackhole"));
    chain->filter_chain_match = arena_new(t->arena, struct pb_listener_FilterChainMatch);
    chain->filter_chain_match->destination_port = message_u32(t->arena, PORT_INBOUND);
    lds_tcp(t, chain, SPAN(CLUSTER_BLACK_HOLE), SPAN(CLUSTER_BLACK_HOLE), NULL);
}

static void add_passthrough(struct translation *t, struct pb_listener_Listener *l,
                            enum world_mtls mode, uint16_t port)
{
    struct inbound in = {
        .match_port = port,
        .protocol = PROTOCOL_AUTO,
        .mode = mode,
        .chain_name = SPAN("virtualInbound"),
        .stat_prefix = SPAN(CLUSTER_INBOUND_PASSTHROUGH),
        .cluster = SPAN(CLUSTER_INBOUND_PASSTHROUGH),
        .operation = SPAN(":0/*"),
        .route_name = SPAN(CLUSTER_INBOUND_PASSTHROUGH),
        .host = SPAN("inbound|http|0"),
    };
    add_chains(t, l, &in);
}

/* Ports that a PeerAuthentication of this workload names and no service has. */
static void add_named_ports(struct translation *t, struct pb_listener_Listener *l,
                            const struct world_workload *own)
{
    const struct world_config *c = t->w->config;
    struct port_list done = {0};
    for (size_t i = 0; i < c->peer_auth_count; i++) {
        const struct world_peer_auth *p = &c->peer_auths[i];
        if (p->selector_count == 0 || !span_eq(p->namespace, t->n->namespace)) {
            continue;
        }
        for (size_t k = 0; k < p->port_count; k++) {
            bool is_done = serve_of(own, p->ports[k]) != NULL;
            for (uint32_t d = 0; d < done.count; d++) {
                is_done = is_done || done.at[d] == p->ports[k];
            }
            enum world_mtls mode = mode_of(t, own, p->ports[k]);
            if (!is_done && mode != mode_of(t, own, 0)) {
                add_port(&done, t->arena, p->ports[k]);
                add_passthrough(t, l, mode, p->ports[k]);
            }
        }
    }
}

static struct pb_listener_Listener *virtual_inbound(struct translation *t)
{
    const struct world_workload *own = lds_workload(t);
    struct pb_listener_Listener *l = lds_listener(
        t, SPAN(LISTENER_INBOUND), wildcard(t, PORT_INBOUND), PB_CORE_TRAFFIC_DIRECTION_INBOUND);
    l->use_original_dst = message_bool(t->arena, true);
    l->continue_on_listener_filters_timeout = true;
    if (t->n->interception == NODE_TPROXY) {
        l->transparent = message_bool(t->arena, true);
    }
    struct port_list tls_off = {0};
    struct port_list http_off = {0};
    add_black_hole(t, l);
    for (size_t i = 0; own && i < own->serve_count; i++) {
        const struct world_serve *s = &own->serves[i];
        if (translate_is_udp(s->port->protocol) || !is_first(own, i)) {
            continue;
        }
        struct inbound in = {.match_port = s->target, .mode = mode_of(t, own, s->target)};
        in.chain_name =
            MESSAGE_JOIN(t->arena, SPAN("0.0.0.0_"), message_number(t->arena, s->target));
        describe(t, &in, s);
        add_chains(t, l, &in);
        if (in.mode == WORLD_MTLS_DISABLE) {
            add_port(&tls_off, t->arena, s->target);
        }
        if (in.protocol != PROTOCOL_AUTO) {
            add_port(&http_off, t->arena, s->target);
        }
    }
    add_named_ports(t, l, own);
    add_passthrough(t, l, mode_of(t, own, 0), 0);
    lds_inspectors(t, l, LDS_TLS_INSPECTOR | LDS_HTTP_INSPECTOR, &tls_off, &http_off);
    return l;
}

/* ---- main_internal: what comes out of tunnels; mutual TLS was outside ---- */

static void add_hole(struct translation *t, struct pb_listener_Listener *l, uint16_t port)
{
    struct pb_listener_FilterChain *chain = lds_chain(t, l, SPAN("virtualInbound-blackhole"));
    chain->filter_chain_match = arena_new(t->arena, struct pb_listener_FilterChainMatch);
    chain->filter_chain_match->destination_port = message_u32(t->arena, port);
    lds_tcp(t, chain, SPAN(CLUSTER_BLACK_HOLE), SPAN(CLUSTER_BLACK_HOLE), NULL);
}

static void add_original_dst(struct translation *t, struct pb_listener_Listener *l)
{
    struct pb_listener_ListenerFilter *f = arena_new(t->arena, struct pb_listener_ListenerFilter);
    f->name = SPAN("envoy.filters.listener.original_dst");
    f->config_type_case = PB_LISTENER_LISTENER_FILTER_CONFIG_TYPE_TYPED_CONFIG;
    f->typed_config = message_any_empty(
        t->arena, SPAN("type.googleapis.com/"
                       "envoy.extensions.filters.listener.original_dst.v3.OriginalDst"));
    PB_ADD(t->arena, &l->listener_filters, f);
}

static struct pb_listener_Listener *main_internal(struct translation *t)
{
    const struct world_workload *own = lds_workload(t);
    struct pb_listener_Listener *l =
        lds_listener(t, SPAN(TUNNEL_INNER), NULL, PB_CORE_TRAFFIC_DIRECTION_INBOUND);
    l->listener_specifier_case = PB_LISTENER_LISTENER_LISTENER_SPECIFIER_INTERNAL_LISTENER;
    l->internal_listener = arena_new(t->arena, struct pb_listener_Listener_InternalListenerConfig);
    l->continue_on_listener_filters_timeout = true;
    t->tunnelled = true;
    struct port_list http_off = {0};
    add_original_dst(t, l);
    add_hole(t, l, PORT_INBOUND);
    add_hole(t, l, PORT_HBONE);
    for (size_t i = 0; own && i < own->serve_count; i++) {
        const struct world_serve *s = &own->serves[i];
        if (translate_is_udp(s->port->protocol) || !is_first(own, i)) {
            continue;
        }
        struct inbound in = {.match_port = s->target, .mode = WORLD_MTLS_DISABLE};
        in.chain_name =
            MESSAGE_JOIN(t->arena, SPAN("0.0.0.0_"), message_number(t->arena, s->target));
        describe(t, &in, s);
        add_chains(t, l, &in);
        if (in.protocol != PROTOCOL_AUTO) {
            add_port(&http_off, t->arena, s->target);
        }
    }
    if (t->n->interception != NODE_NONE) {
        add_passthrough(t, l, WORLD_MTLS_DISABLE, 0);
    }
    lds_inspectors(t, l, LDS_HTTP_INSPECTOR, NULL, &http_off);
    t->tunnelled = false;
    return l;
}

/* ---- nothing is redirected: a listener for each port ---- */

static struct pb_listener_Listener *explicit_inbound(struct translation *t, struct span name)
{
    ssize_t at = span_rfind_byte(name, '_');
    uint64_t port = 0;
    struct ip ip;
    if (at < 0 || !span_to_u64(span_from_offset(name, (size_t)at + 1), &port) || port > 65535 ||
        ip_parse(span_first(name, (size_t)at), &ip) != 0) {
        return NULL;
    }
    const struct world_workload *own = lds_workload(t);
    const struct world_serve *s = serve_of(own, (uint16_t)port);
    if (!s || !ip_eq(&own->address, &ip)) {
        return NULL;
    }
    struct pb_listener_Listener *l =
        lds_listener(t, name, message_address(t->arena, message_ip(t->arena, &ip), s->target),
                     PB_CORE_TRAFFIC_DIRECTION_INBOUND);
    struct inbound in = {.chain_name = name, .mode = mode_of(t, own, s->target)};
    describe(t, &in, s);
    add_chains(t, l, &in);
    l->continue_on_listener_filters_timeout = true;
    lds_inspectors(t, l,
                   (in.mode != WORLD_MTLS_DISABLE ? LDS_TLS_INSPECTOR : 0) |
                       (in.protocol == PROTOCOL_AUTO ? LDS_HTTP_INSPECTOR : 0),
                   NULL, NULL);
    return l;
}

void lds_inbound_names(struct translation *t, struct name_list *list)
{
    hbone_names(t, list, true);
    if (t->n->interception != NODE_NONE) {
        translate_add_name(t->arena, list, SPAN(LISTENER_INBOUND));
        return;
    }
    const struct world_workload *own = lds_workload(t);
    for (size_t i = 0; own && i < own->serve_count; i++) {
        if (is_first(own, i)) {
            translate_add_name(t->arena, list, bind_name(t, &own->address, own->serves[i].target));
        }
    }
}

struct pb_listener_Listener *lds_inbound(struct translation *t, struct span name)
{
    t->for_node = true;
    if (span_is(name, TUNNEL_INNER)) {
        return hbone_accepts(t) ? main_internal(t) : NULL;
    }
    if (t->n->interception == NODE_NONE) {
        return explicit_inbound(t, name);
    }
    return span_is(name, LISTENER_INBOUND) ? virtual_inbound(t) : NULL;
}
