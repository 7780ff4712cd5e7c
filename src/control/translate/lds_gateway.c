/* Listeners of gateways: one an address and port, with a chain for plain HTTP and one for each TLS server's names.
 * In: gateways that select the node. Out: Listener. Next: rds_gateway (tables), mtls (certificates).
 * TLS that is passed through, and TCP, by the `tls` and `tcp` rules of VirtualServices (lds_l4).
 * Source: Istio pilot/pkg/networking/core/gateway.go; Gateway API GatewaySpec. */
#include "control/translate/translate_int.h"
#include "proto/compressor.pb.h"
#include "proto/gzip_compressor.pb.h"
#include "proto/hcm.pb.h"
#include "proto/listener.pb.h"

/* ---- which servers ---- */

void lds_gateway_each(const struct translation *t,
                      void (*on_server)(void *arg, const struct world_gateway *g,
                                        const struct world_server *s),
                      void *arg)
{
    const struct world_workload *pod = lds_pod(t);
    const struct label *labels = pod ? pod->labels : t->n->labels;
    size_t count = pod ? pod->label_count : t->n->label_count;
    for (size_t i = 0; i < t->w->config->gateway_count; i++) {
        const struct world_gateway *g = &t->w->config->gateways[i];
        bool is_ours = world_gateway_is_served_by(g, t->n->namespace, labels, count);
        for (size_t k = 0; is_ours && k < g->server_count; k++) {
            on_server(arg, g, &g->servers[k]);
        }
    }
}

bool lds_gateway_is_https(const struct world_server *s)
{
    return (s->tls == WORLD_SERVER_SIMPLE || s->tls == WORLD_SERVER_MUTUAL ||
            s->tls == WORLD_SERVER_OPTIONAL_MUTUAL || s->tls == WORLD_SERVER_ISTIO_MUTUAL) &&
           (s->protocol == PROTOCOL_HTTPS || port_protocol_is_http(s->protocol));
}

static bool is_http(const struct world_server *s)
{
    return s->tls == WORLD_SERVER_PLAIN && port_protocol_is_http(s->protocol);
}

static struct span bind_of(const struct translation *t, const struct world_server *s)
{
    return s->bind.len > 0                  ? s->bind
           : t->n->addresses[0].family == 6 ? SPAN("::")
                                            : SPAN("0.0.0.0");
}

static struct span name_of(const struct translation *t, const struct world_server *s)
{
    return MESSAGE_JOIN(t->arena, bind_of(t, s), SPAN("_"), message_number(t->arena, s->port));
}

/* Another address of the same port is a table of its own: what is bound inside stays inside. */
struct other_bind {
    const struct translation *t;
    const struct world_server *than;
    bool found;
};

static void on_other_bind(void *arg, const struct world_gateway *g, const struct world_server *s)
{
    struct other_bind *o = arg;
    UNUSED(g);
    o->found = o->found || (is_http(s) && s->port == o->than->port &&
                            !span_eq(bind_of(o->t, s), bind_of(o->t, o->than)));
}

struct span lds_gateway_route(const struct translation *t, const struct world_gateway *g,
                              const struct world_server *s)
{
    struct span port = message_number(t->arena, s->port);
    if (lds_gateway_is_https(s)) {
        return MESSAGE_JOIN(t->arena, SPAN("https."), port, SPAN("."), s->name, SPAN("."), g->name,
                            SPAN("."), g->namespace);
    }
    struct other_bind other = {.t = t, .than = s};
    lds_gateway_each(t, on_other_bind, &other);
    return other.found && s->bind.len > 0
               ? MESSAGE_JOIN(t->arena, SPAN("http."), port, SPAN("."), s->bind)
               : MESSAGE_JOIN(t->arena, SPAN("http."), port);
}

/* AUTO_PASSTHROUGH, of gateways between networks, has no road here. */
static bool is_listened(const struct world_server *s)
{
    return s->tls != WORLD_SERVER_AUTO_PASSTHROUGH && !translate_is_udp(s->protocol);
}

/* ---- names ---- */

struct gateway_names {
    struct translation *t;
    struct name_list *list;
};

static void on_name(void *arg, const struct world_gateway *g, const struct world_server *s)
{
    struct gateway_names *n = arg;
    UNUSED(g);
    if (!is_listened(s)) {
        return;
    }
    struct span name = name_of(n->t, s);
    for (uint32_t i = 0; i < n->list->count; i++) {
        if (span_eq(n->list->at[i], name)) {
            return;
        }
    }
    translate_add_name(n->t->arena, n->list, name);
}

void lds_gateway_names(struct translation *t, struct name_list *list)
{
    struct gateway_names n = {t, list};
    lds_gateway_each(t, on_name, &n);
}

/* ---- the listener ---- */

struct gateway_listener {
    struct translation *t;
    struct span name;
    struct pb_listener_Listener *l; /* NULL until there is a server */
    bool has_http, has_tls;
    struct name_list
        sni; /* taken: the first server that has a name keeps it, as the oldest in Istio */
    bool any_sni;
};

/* Istio: gatewayTopology.forwardClientCertDetails; SANITIZE_SET by default. */
static int32_t client_cert_of(enum mesh_config_client_cert mode)
{
    switch (mode) {
    case MESH_CONFIG_CLIENT_CERT_SANITIZE:
        return PB_HCM_HTTP_CONNECTION_MANAGER_FORWARD_CLIENT_CERT_DETAILS_SANITIZE;
    case MESH_CONFIG_CLIENT_CERT_FORWARD_ONLY:
        return PB_HCM_HTTP_CONNECTION_MANAGER_FORWARD_CLIENT_CERT_DETAILS_FORWARD_ONLY;
    case MESH_CONFIG_CLIENT_CERT_APPEND_FORWARD:
        return PB_HCM_HTTP_CONNECTION_MANAGER_FORWARD_CLIENT_CERT_DETAILS_APPEND_FORWARD;
    case MESH_CONFIG_CLIENT_CERT_ALWAYS_FORWARD_ONLY:
        return PB_HCM_HTTP_CONNECTION_MANAGER_FORWARD_CLIENT_CERT_DETAILS_ALWAYS_FORWARD_ONLY;
    case MESH_CONFIG_CLIENT_CERT_UNSET:
    case MESH_CONFIG_CLIENT_CERT_SANITIZE_SET:
        break;
    }
    return PB_HCM_HTTP_CONNECTION_MANAGER_FORWARD_CLIENT_CERT_DETAILS_SANITIZE_SET;
}

/* MeshConfig.compression. */
static void compressor(struct translation *t, struct pb_hcm_HttpConnectionManager *h)
{
    const struct mesh_config_gzip *gzip = &t->w->config->mesh.gzip;
    if (!gzip->on) {
        return;
    }
    struct pb_compressor_Compressor_CommonDirectionConfig *common =
        arena_new(t->arena, struct pb_compressor_Compressor_CommonDirectionConfig);
    if (gzip->min_bytes > 0) {
        common->min_content_length = message_u32(t->arena, gzip->min_bytes);
    }
    for (size_t i = 0; i < gzip->types.count; i++) {
        PB_ADD(t->arena, &common->content_type, gzip->types.items[i]);
    }
    struct pb_compressor_Compressor *c = arena_new(t->arena, struct pb_compressor_Compressor);
    c->response_direction_config =
        arena_new(t->arena, struct pb_compressor_Compressor_ResponseDirectionConfig);
    c->response_direction_config->common_config = common;
    c->compressor_library = arena_new(t->arena, struct pb_core_TypedExtensionConfig);
    c->compressor_library->name = SPAN("gzip");
    c->compressor_library->typed_config = message_any_empty(t->arena, SPAN(PB_GZIP_GZIP_URL));
    lds_http_filter(
        t, h, SPAN("envoy.filters.http.compressor"),
        MESSAGE_ANY(t->arena, PB_COMPRESSOR_COMPRESSOR_URL, &pb_compressor_Compressor_desc, c),
        false);
}

static struct pb_hcm_HttpConnectionManager *http(struct translation *t,
                                                 const struct gateway_listener *gl,
                                                 struct span route)
{
    struct arena *arena = t->arena;
    struct pb_hcm_HttpConnectionManager *h =
        lds_http(t, MESSAGE_JOIN(arena, SPAN("outbound_"), gl->name));
    h->use_remote_address = message_bool(arena, true);
    const struct mesh_config_topology *topology = &t->w->config->mesh.topology;
    h->xff_num_trusted_hops = topology->trusted_proxies;
    h->forward_client_cert_details = client_cert_of(topology->client_cert);
    h->set_current_client_cert_details =
        arena_new(arena, struct pb_hcm_HttpConnectionManager_SetCurrentClientCertDetails);
    h->set_current_client_cert_details->subject = message_bool(arena, true);
    h->set_current_client_cert_details->cert = true;
    h->set_current_client_cert_details->dns = true;
    h->set_current_client_cert_details->uri = true;
    lds_rds(t, h, route);
    authz_filters_http(t, h);
    compressor(t, h);
    lds_alpn(t, h);
    return h;
}

static bool is_taken(const struct gateway_listener *gl, struct span name)
{
    for (uint32_t i = 0; i < gl->sni.count; i++) {
        if (span_eq(gl->sni.at[i], name)) {
            return true;
        }
    }
    return false;
}

/* False: all its names are another server's. */
static bool match_names(struct gateway_listener *gl, struct pb_listener_FilterChainMatch *m,
                        const struct world_server *s)
{
    struct arena *arena = gl->t->arena;
    bool any = s->host_count == 0;
    for (size_t i = 0; i < s->host_count; i++) {
        any = any || span_is(s->hosts[i], "*");
    }
    if (any) {
        bool is_free = !gl->any_sni;
        gl->any_sni = true;
        return is_free;
    }
    for (size_t i = 0; i < s->host_count; i++) {
        if (!is_taken(gl, s->hosts[i])) {
            translate_add_name(arena, &gl->sni, s->hosts[i]);
            PB_ADD(arena, &m->server_names, s->hosts[i]);
        }
    }
    return m->server_names.count > 0;
}

static void add_https(struct gateway_listener *gl, const struct world_gateway *g,
                      const struct world_server *s)
{
    struct translation *t = gl->t;
    struct pb_core_TransportSocket *socket = mtls_gateway(t, s);
    struct pb_listener_FilterChainMatch *m =
        arena_new(t->arena, struct pb_listener_FilterChainMatch);
    m->transport_protocol = SPAN("tls");
    if (!socket || !match_names(gl, m, s)) {
        return;
    }
    struct span route = lds_gateway_route(t, g, s);
    struct pb_listener_FilterChain *chain = lds_chain(t, gl->l, route);
    chain->filter_chain_match = m;
    chain->transport_socket = socket;
    lds_http_end(t, chain, http(t, gl, route), s->protocol);
    gl->has_tls = true;
}

static void add_http(struct gateway_listener *gl, const struct world_gateway *g,
                     const struct world_server *s)
{
    if (gl->has_http) {
        return;
    }
    gl->has_http = true;
    struct span route = lds_gateway_route(gl->t, g, s);
    struct pb_listener_FilterChain *chain = lds_chain(gl->t, gl->l, route);
    lds_http_end(gl->t, chain, http(gl->t, gl, route), s->protocol);
}

struct opaque {
    struct gateway_listener *gl;
    struct lds_l4_from from;
};

static void on_rules(void *arg, struct span host, const struct world_virtual_host *rules)
{
    struct opaque *o = arg;
    UNUSED(host);
    o->from.rules = rules;
    lds_l4_add(o->gl->t, o->gl->l, &o->from);
}

/* TCP, TLS that ends here and holds no HTTP, or TLS that is passed through. */
static void add_opaque(struct gateway_listener *gl, const struct world_gateway *g,
                       const struct world_server *s)
{
    struct opaque o = {.gl = gl, .from = {.port = s->port, .gateway = g->key}};
    o.from.tls = s->tls == WORLD_SERVER_PASSTHROUGH;
    if (s->tls != WORLD_SERVER_PLAIN && !o.from.tls) {
        struct pb_listener_FilterChainMatch names = {0};
        o.from.socket = mtls_gateway(gl->t, s);
        if (!o.from.socket || !match_names(gl, &names, s)) {
            return;
        }
        o.from.sni = names.server_names.at;
        o.from.sni_count = names.server_names.count;
    }
    gl->has_tls = gl->has_tls || s->tls != WORLD_SERVER_PLAIN;
    world_gateway_routes(gl->t->w, g, s, on_rules, &o);
}

static void on_server(void *arg, const struct world_gateway *g, const struct world_server *s)
{
    struct gateway_listener *gl = arg;
    if (!is_listened(s) || !span_eq(name_of(gl->t, s), gl->name)) {
        return;
    }
    if (!gl->l) {
        gl->l =
            lds_listener(gl->t, gl->name, message_address(gl->t->arena, bind_of(gl->t, s), s->port),
                         PB_CORE_TRAFFIC_DIRECTION_OUTBOUND);
        if (gl->t->w->config->mesh.topology.proxy_protocol) {
            lds_proxy_protocol(gl->t, gl->l);
        }
    }
    if (is_http(s)) {
        add_http(gl, g, s);
    } else if (lds_gateway_is_https(s)) {
        add_https(gl, g, s);
    } else {
        add_opaque(gl, g, s);
    }
}

struct pb_listener_Listener *lds_gateway(struct translation *t, struct span name)
{
    t->for_node = true;
    struct gateway_listener gl = {.t = t, .name = name};
    lds_gateway_each(t, on_server, &gl);
    if (!gl.l || gl.l->filter_chains.count == 0) {
        return NULL;
    }
    if (gl.has_tls) {
        lds_inspectors(t, gl.l, LDS_TLS_INSPECTOR, NULL, NULL);
        if (gl.has_http) { /* both on one port: told apart by the first bytes */
            for (uint32_t i = 0; i < gl.l->filter_chains.count; i++) {
                struct pb_listener_FilterChain *c = gl.l->filter_chains.at[i];
                if (!c->filter_chain_match) {
                    c->filter_chain_match =
                        arena_new(t->arena, struct pb_listener_FilterChainMatch);
                    c->filter_chain_match->transport_protocol = SPAN("raw_buffer");
                }
            }
        }
    }
    return gl.l;
}
