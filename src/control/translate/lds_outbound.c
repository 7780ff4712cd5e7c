/* Listeners for what the application sends: "virtualOutbound", the HTTP proxy port, and one a destination: in full discovery
 * Istio's 0.0.0.0_<port> for HTTP and <address>_<port> for the rest; on demand "<address>:<port>".
 * In: services. Out: Listener. Next: rds (tables), cds.
 * Source: Istio pilot/pkg/networking/core (listener.go: buildSidecarOutboundListeners, buildHTTPProxy; listener_builder.go). */
#include "control/translate/translate_int.h"
#include "proto/hcm.pb.h"
#include "proto/listener.pb.h"

#define HTTP_PROXY_ROUTE "http_proxy"

/* ---- parts ---- */

static struct pb_hcm_HttpConnectionManager *http(struct translation *t, struct span stat_prefix,
                                                 struct span route_name)
{
    struct pb_hcm_HttpConnectionManager *h = lds_http(t, stat_prefix);
    h->use_remote_address = message_bool(t->arena, false);
    lds_rds(t, h, route_name);
    lds_alpn(t, h);
    return h;
}

static struct span any_address(const struct translation *t)
{
    return t->n->addresses[0].family == 6 ? SPAN("::") : SPAN("0.0.0.0");
}

static void match_http(struct translation *t, struct pb_listener_FilterChain *chain)
{
    struct pb_listener_FilterChainMatch *m =
        arena_new(t->arena, struct pb_listener_FilterChainMatch);
    m->transport_protocol = SPAN("raw_buffer");
    for (size_t i = 0; i < ARRAY_LEN(lds_http_protocols); i++) {
        PB_ADD(t->arena, &m->application_protocols, lds_http_protocols[i]);
    }
    chain->filter_chain_match = m;
}

/* Not bound: virtualOutbound hands connections over by their original destination. */
static struct pb_listener_Listener *unbound(struct translation *t, struct span name,
                                            struct span address, uint16_t port)
{
    struct pb_listener_Listener *l = lds_listener(t, name, message_address(t->arena, address, port),
                                                  PB_CORE_TRAFFIC_DIRECTION_OUTBOUND);
    l->bind_to_port = message_bool(t->arena, false);
    return l;
}

static void all_http(struct translation *t, struct pb_listener_Listener *l, struct span stat_prefix,
                     struct span route_name, enum port_protocol protocol)
{
    struct pb_listener_FilterChain *chain = lds_chain(t, l, SPAN_EMPTY);
    lds_http_end(t, chain, http(t, stat_prefix, route_name), protocol);
}

/* ---- a destination ---- */

static bool is_tls(const struct world_port *port)
{
    return port->protocol == PROTOCOL_HTTPS || port->protocol == PROTOCOL_TLS;
}

static struct lds_l4_from rules_of(const struct translation *t, const struct world_service *s,
                                   const struct world_port *port)
{
    return (struct lds_l4_from){
        .rules = world_mesh_routes(t->w, s->host, s, port->number, t->n->namespace),
        .tls = is_tls(port),
        .port = port->number,
    };
}

/* A port of its own: opaque bytes, or what turns out to be HTTP by a table of its own. */
static void own_chains(struct translation *t, struct pb_listener_Listener *l,
                       const struct world_service *s, const struct world_port *port)
{
    struct span cluster = translate_cluster_name(t->arena, s->host, port->number, SPAN_EMPTY);
    struct cluster_name parts = {.port = port->number, .host = s->host};
    struct destination d;
    const struct world_traffic *traffic = cds_destination(t, &parts, &d) ? d.traffic : NULL;
    unsigned inspectors = is_tls(port) ? LDS_TLS_INSPECTOR : 0;
    if (port->protocol == PROTOCOL_AUTO) {
        struct pb_listener_FilterChain *chain = lds_chain(t, l, SPAN_EMPTY);
        match_http(t, chain);
        struct span table = translate_host_port(t->arena, s->host, port->number);
        lds_http_end(t, chain, http(t, MESSAGE_JOIN(t->arena, SPAN("outbound_"), l->name), table),
                     port->protocol);
        inspectors = LDS_TLS_INSPECTOR | LDS_HTTP_INSPECTOR;
    }
    struct lds_l4_from from = rules_of(t, s, port);
    uint32_t before = l->filter_chains.count;
    lds_l4_add(t, l, &from);
    if (is_tls(port) && l->filter_chains.count == before) {
        inspectors = 0; /* one way for every name */
    }
    if (inspectors != 0) {
        lds_inspectors(t, l, inspectors, NULL, NULL);
        l->continue_on_listener_filters_timeout = true;
    }
    l->default_filter_chain = arena_new(t->arena, struct pb_listener_FilterChain);
    lds_tcp(t, l->default_filter_chain, cluster, cluster, traffic);
}

static void fill(struct translation *t, struct pb_listener_Listener *l,
                 const struct world_service *s, const struct world_port *port)
{
    if (rds_is_shared(port)) {
        all_http(t, l, MESSAGE_JOIN(t->arena, SPAN("outbound_"), l->name),
                 message_number(t->arena, port->number), port->protocol);
    } else {
        own_chains(t, l, s, port);
    }
}

/* "10.0.0.5:9080", "[fd00::5]:9080" */
static bool split_address(struct span name, struct ip *ip, uint16_t *port)
{
    ssize_t at = span_rfind_byte(name, ':');
    uint64_t number = 0;
    if (at < 0 || !span_to_u64(span_from_offset(name, (size_t)at + 1), &number) || number == 0 ||
        number > 65535) {
        return false;
    }
    struct span host = span_first(name, (size_t)at);
    if (host.len > 2 && span_starts(host, SPAN("[")) && span_ends(host, SPAN("]"))) {
        host = span_from(host.at + 1, host.len - 2);
    } else if (span_find_byte(host, ':') >= 0) {
        return false;
    }
    *port = (uint16_t)number;
    return ip_parse(host, ip) == 0;
}

static bool is_mine(const struct translation *t, const struct world_service *s)
{
    return world_find_host(t->w, s->host, t->n->namespace) == s;
}

/* ---- whatever address the name was resolved to ---- */

/* Nobody can know it by address: a host outside, found by its name in Host or SNI. */
static bool has_no_address(const struct world_service *s)
{
    return s->address_count == 0 || s->address_given_by_us;
}

struct any {
    bool http;    /* some service speaks HTTP here */
    bool outside; /* one of them has no address of its own */
};

static void add_sni(struct translation *t, struct pb_listener_Listener *l,
                    const struct world_service *s, const struct world_port *port)
{
    struct lds_l4_from from = rules_of(t, s, port);
    lds_l4_add(t, l, &from);
    struct pb_listener_FilterChainMatch *m =
        arena_new(t->arena, struct pb_listener_FilterChainMatch);
    m->transport_protocol = SPAN("tls");
    PB_ADD(t->arena, &m->server_names, s->host);
    if (!lds_l4_is_taken(l, m)) {
        struct span cluster = translate_cluster_name(t->arena, s->host, port->number, SPAN_EMPTY);
        struct pb_listener_FilterChain *chain = lds_chain(t, l, SPAN_EMPTY);
        chain->filter_chain_match = m;
        lds_tcp(t, chain, cluster, cluster, NULL);
    }
}

static void add_ranges(struct translation *t, struct pb_listener_Listener *l,
                       const struct world_service *s, const struct world_port *port)
{
    struct pb_listener_FilterChainMatch *m =
        arena_new(t->arena, struct pb_listener_FilterChainMatch);
    for (size_t i = 0; i < s->range_count; i++) {
        PB_ADD(t->arena, &m->prefix_ranges, message_cidr(t->arena, &s->ranges[i]));
    }
    if (!lds_l4_is_taken(l, m)) {
        struct span cluster = translate_cluster_name(t->arena, s->host, port->number, SPAN_EMPTY);
        struct pb_listener_FilterChain *chain = lds_chain(t, l, SPAN_EMPTY);
        chain->filter_chain_match = m;
        lds_tcp(t, chain, cluster, cluster, NULL);
    }
}

/* Chains of all services on the port that the address does not tell apart. */
static struct any add_any(struct translation *t, struct pb_listener_Listener *l, uint16_t number)
{
    struct any any = {false, false};
    for (size_t i = 0; i < t->w->config->service_count; i++) {
        const struct world_service *s = t->w->config->services[i];
        const struct world_port *port = world_port_of(s, number);
        if (!port || !is_mine(t, s)) {
            continue;
        }
        if (rds_is_shared(port)) {
            any.http = true;
            any.outside = any.outside || (s->external && has_no_address(s));
        } else if (is_tls(port) && has_no_address(s) && s->range_count == 0) {
            any.outside = true;
            add_sni(t, l, s, port);
        } else if (s->range_count > 0 && !translate_is_udp(port->protocol)) {
            add_ranges(t, l, s, port);
        }
    }
    return any;
}

static void end_any(struct translation *t, struct pb_listener_Listener *l, bool has_http)
{
    unsigned inspectors = LDS_TLS_INSPECTOR;
    if (has_http) {
        struct pb_listener_FilterChain *chain = lds_chain(t, l, SPAN_EMPTY);
        match_http(t, chain);
        lds_http_end(t, chain,
                     http(t, MESSAGE_JOIN(t->arena, SPAN("outbound_"), l->name),
                          message_number(t->arena, l->address->socket_address->port_value)),
                     PROTOCOL_AUTO);
        inspectors |= LDS_HTTP_INSPECTOR;
    }
    struct span rest =
        t->w->config->mesh.allow_any ? SPAN(CLUSTER_PASSTHROUGH) : SPAN(CLUSTER_BLACK_HOLE);
    l->default_filter_chain = arena_new(t->arena, struct pb_listener_FilterChain);
    l->default_filter_chain->name = SPAN("PassthroughFilterChain");
    lds_tcp(t, l->default_filter_chain, rest, rest, NULL);
    lds_inspectors(t, l, inspectors, NULL, NULL);
    l->listener_filters_timeout = message_ms(t->arena, 0); /* a pool may say nothing for long */
    l->continue_on_listener_filters_timeout = true;
}

/* What nobody owns may still be a host outside that the application resolved itself. */
static struct pb_listener_Listener *on_demand_any(struct translation *t, struct span name,
                                                  const struct ip *ip, uint16_t number)
{
    if (world_workload_at(t->w, ip)) { /* this one workload is meant */
        return NULL;
    }
    struct pb_listener_Listener *l = unbound(t, name, message_ip(t->arena, ip), number);
    struct any any = add_any(t, l, number);
    if (!any.outside) {
        return NULL;
    }
    end_any(t, l, any.http);
    return l;
}

static struct pb_listener_Listener *on_demand(struct translation *t, struct span name,
                                              const struct ip *ip, uint16_t number)
{
    const struct world_port *port = NULL;
    const struct world_service *s = world_service_at(t->w, ip, number, t->n->namespace, &port);
    if (!s) {
        return on_demand_any(t, name, ip, number);
    }
    if (!port || translate_is_udp(port->protocol)) {
        return NULL;
    }
    struct pb_listener_Listener *l = unbound(t, name, message_ip(t->arena, ip), number);
    fill(t, l, s, port);
    return l;
}

/* ---- full discovery ---- */

/* "<address>_<port>" */
static struct pb_listener_Listener *full(struct translation *t, struct span name)
{
    ssize_t at = span_rfind_byte(name, '_');
    uint64_t number = 0;
    struct ip ip;
    if (at < 0 || !span_to_u64(span_from_offset(name, (size_t)at + 1), &number) || number == 0 ||
        number > 65535 || ip_parse(span_first(name, (size_t)at), &ip) != 0) {
        return NULL;
    }
    if (ip_is_unspecified(&ip)) {
        struct pb_listener_Listener *l = unbound(t, name, any_address(t), (uint16_t)number);
        struct any any = add_any(t, l, (uint16_t)number);
        if (!any.http && l->filter_chains.count == 0) {
            return NULL;
        }
        end_any(t, l, any.http);
        return l;
    }
    const struct world_port *port = NULL;
    const struct world_service *s =
        world_service_at(t->w, &ip, (uint16_t)number, t->n->namespace, &port);
    if (!s || !port || rds_is_shared(port) || translate_is_udp(port->protocol)) {
        return NULL;
    }
    struct pb_listener_Listener *l = unbound(t, name, message_ip(t->arena, &ip), (uint16_t)number);
    fill(t, l, s, port);
    return l;
}

struct full_names {
    struct translation *t;
    struct name_list *list;
    bool *shared; /* by port */
};

static void add_bind(struct full_names *f, const struct ip *ip, uint16_t port)
{
    translate_add_name(f->t->arena, f->list,
                       MESSAGE_JOIN(f->t->arena, message_ip(f->t->arena, ip), SPAN("_"),
                                    message_number(f->t->arena, port)));
}

static void service_names(struct full_names *f, const struct world_service *s)
{
    for (size_t i = 0; i < s->port_count; i++) {
        const struct world_port *p = &s->ports[i];
        if (translate_is_udp(p->protocol)) {
            continue;
        }
        if (rds_is_shared(p) || s->range_count > 0 || (is_tls(p) && has_no_address(s))) {
            f->shared[p->number] = true;
        }
        if (rds_is_shared(p)) {
            continue;
        }
        for (size_t k = 0; k < s->address_count; k++) {
            const struct world_port *port = NULL;
            if (world_service_at(f->t->w, &s->addresses[k], p->number, f->t->n->namespace, &port) ==
                s) {
                add_bind(f, &s->addresses[k], p->number);
            }
        }
        const struct world_endpoints *e = f->t->w->endpoints[s->index];
        for (size_t k = 0; s->headless && k < e->count; k++) {
            if (e->items[k].service_port == p->number && e->items[k].address.family != 0) {
                add_bind(f, &e->items[k].address, p->number);
            }
        }
    }
}

static void full_list(struct translation *t, struct name_list *list)
{
    struct full_names f = {t, list, arena_array(t->arena, 65536, sizeof(bool))};
    for (size_t i = 0; i < t->w->config->service_count; i++) {
        if (is_mine(t, t->w->config->services[i])) {
            service_names(&f, t->w->config->services[i]);
        }
    }
    for (uint32_t port = 1; port < 65536; port++) {
        if (f.shared[port]) {
            translate_add_name(
                t->arena, list,
                MESSAGE_JOIN(t->arena, any_address(t), SPAN("_"), message_number(t->arena, port)));
        }
    }
}

/* ---- the node's own ---- */

static struct pb_listener_Listener *virtual_outbound(struct translation *t)
{
    struct pb_listener_Listener *l = lds_listener(
        t, SPAN(LISTENER_OUTBOUND), message_address(t->arena, any_address(t), PORT_OUTBOUND),
        PB_CORE_TRAFFIC_DIRECTION_OUTBOUND);
    l->use_original_dst = message_bool(t->arena, true);
    if (t->n->interception == NODE_TPROXY) {
        l->transparent = message_bool(t->arena, true);
    }
    struct pb_listener_FilterChain *loop = lds_chain(t, l, SPAN("virtualOutbound-trafficloop"));
    loop->filter_chain_match = arena_new(t->arena, struct pb_listener_FilterChainMatch);
    loop->filter_chain_match->destination_port = message_u32(t->arena, PORT_OUTBOUND);
    lds_tcp(t, loop, SPAN(CLUSTER_BLACK_HOLE), SPAN(CLUSTER_BLACK_HOLE), NULL);
    struct span rest =
        t->w->config->mesh.allow_any ? SPAN(CLUSTER_PASSTHROUGH) : SPAN(CLUSTER_BLACK_HOLE);
    l->default_filter_chain = arena_new(t->arena, struct pb_listener_FilterChain);
    l->default_filter_chain->name = SPAN("virtualOutbound-catchall-tcp");
    lds_tcp(t, l->default_filter_chain, rest, rest, NULL);
    lds_hints(t, l);
    return l;
}

static struct span http_proxy_name(struct translation *t)
{
    return MESSAGE_JOIN(t->arena, message_ip(t->arena, &t->n->addresses[0]), SPAN("_"),
                        message_number(t->arena, t->n->http_proxy_port));
}

static struct pb_listener_Listener *http_proxy(struct translation *t, struct span name)
{
    struct pb_listener_Listener *l = lds_listener(
        t, name,
        message_address(t->arena, message_ip(t->arena, &t->n->addresses[0]), t->n->http_proxy_port),
        PB_CORE_TRAFFIC_DIRECTION_OUTBOUND);
    struct pb_hcm_HttpConnectionManager *h =
        http(t, MESSAGE_JOIN(t->arena, SPAN("outbound_"), name), SPAN(HTTP_PROXY_ROUTE));
    h->http_protocol_options = arena_new(t->arena, struct pb_core_Http1ProtocolOptions);
    h->http_protocol_options->allow_absolute_url = message_bool(t->arena, true);
    lds_http_end(t, lds_chain(t, l, SPAN_EMPTY), h, PROTOCOL_HTTP);
    if (t->n->interception == NODE_NONE) {
        lds_hints(t, l);
    }
    return l;
}

void lds_outbound_names(struct translation *t, struct name_list *list)
{
    if (t->n->http_proxy_port != 0) {
        translate_add_name(t->arena, list, http_proxy_name(t));
    }
    if (t->n->interception == NODE_NONE) {
        return;
    }
    translate_add_name(t->arena, list, SPAN(LISTENER_OUTBOUND));
    if (!t->n->on_demand) {
        full_list(t, list);
    }
}

struct pb_listener_Listener *lds_outbound(struct translation *t, struct span name)
{
    struct ip ip;
    uint16_t port;
    if (t->n->http_proxy_port != 0 && span_eq(name, http_proxy_name(t))) {
        t->for_node = true;
        return http_proxy(t, name);
    }
    if (t->n->interception == NODE_NONE) {
        return NULL;
    }
    if (span_is(name, LISTENER_OUTBOUND)) {
        t->for_node = true;
        return virtual_outbound(t);
    }
    if (split_address(name, &ip, &port)) {
        return on_demand(t, name, &ip, port);
    }
    t->for_node = true; /* Istio's names are of full discovery only, and differ by address family */
    return full(t, name);
}
