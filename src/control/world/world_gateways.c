/* Gateways: Istio's, and Gateway API's, as servers on ports.
 * In: objects. Out: config.gateways. Next: world_routes, which binds routes to servers. */
#include "control/world/lower.h"
#include "mesh/names.h"
#include "model/gateway_api.h"
#include "model/istio_gateway.h"
#include "model/service.h"

/* Files for a listener's certificate where there are no Secrets (tls.options of Gateway API is for such extensions). */
#define OPTION_CERT_FILE "mesh.io/certificate-file"
#define OPTION_KEY_FILE "mesh.io/key-file"
#define OPTION_CA_FILE "mesh.io/ca-file"

/* Where proxies behind a Service take what comes to it at `port`: 0: it has no such port. */
static uint16_t port_behind(const struct object *service, uint16_t port)
{
    const struct service_spec *spec = service_of(service);
    for (size_t i = 0; i < spec->port_count; i++) {
        if (spec->ports[i].port == port && span_is(spec->ports[i].protocol, "TCP")) {
            return spec->ports[i].target_port;
        }
    }
    return 0;
}

/* ---- Istio ---- */

/* A server's number may be the port of the Service in front of its proxies, as people meet it (80), or what proxies listen on (8080): Istio
 * pilot/pkg/model/gateway.go, MergeGateways. In front of them is a Service that selects at least what the Gateway does. */
static uint16_t listen_port(const struct world_config *c, const struct spec_labels *selector,
                            uint16_t port)
{
    for (size_t i = c->kind_first[OBJECT_SERVICE];
         i < c->kind_first[OBJECT_SERVICE + 1] && selector->count > 0; i++) {
        const struct spec_labels *selected = &service_of(c->objects[i])->selector;
        uint16_t behind =
            world_labels_match(selector->items, selector->count, selected->items, selected->count)
                ? port_behind(c->objects[i], port)
                : 0;
        if (behind != 0) {
            return behind;
        }
    }
    return port;
}

/* "ns/host", "./host", "host"; a namespace of "*" is any. */
static void lower_istio_hosts(struct world_config *c, const struct spec_texts *from,
                              struct span namespace, struct world_server *to)
{
    struct span *hosts = arena_array(&c->arena, from->count, sizeof(*hosts));
    struct span *namespaces = arena_array(&c->arena, from->count, sizeof(*namespaces));
    for (size_t i = 0; i < from->count; i++) {
        struct span host = from->items[i];
        ssize_t slash = span_find_byte(host, '/');
        namespaces[i] = slash < 0 ? SPAN("*") : span_first(host, (size_t)slash);
        if (span_is(namespaces[i], ".")) {
            namespaces[i] = namespace;
        }
        hosts[i] = lower_case(c, slash < 0 ? host : span_from_offset(host, (size_t)slash + 1));
    }
    to->hosts = hosts;
    to->host_namespaces = namespaces;
    to->host_count = from->count;
}

static void lower_istio_server(struct world_config *c, const struct istio_gateway_server *from,
                               struct span namespace, struct world_server *to)
{
    static const enum world_server_tls modes[] = {
        [ISTIO_GATEWAY_TLS_NONE] = WORLD_SERVER_PLAIN,
        [ISTIO_GATEWAY_TLS_PASSTHROUGH] = WORLD_SERVER_PASSTHROUGH,
        [ISTIO_GATEWAY_TLS_SIMPLE] = WORLD_SERVER_SIMPLE,
        [ISTIO_GATEWAY_TLS_MUTUAL] = WORLD_SERVER_MUTUAL,
        [ISTIO_GATEWAY_TLS_AUTO_PASSTHROUGH] = WORLD_SERVER_AUTO_PASSTHROUGH,
        [ISTIO_GATEWAY_TLS_ISTIO_MUTUAL] = WORLD_SERVER_ISTIO_MUTUAL,
        [ISTIO_GATEWAY_TLS_OPTIONAL_MUTUAL] = WORLD_SERVER_OPTIONAL_MUTUAL,
    };
    struct port_facts facts = {.app_protocol = lower_case(c, from->protocol),
                               .name = lower_case(c, from->port_name),
                               .number = from->port};
    to->port = from->port;
    to->protocol = port_protocol_of(&facts);
    to->name = from->name.len > 0 ? from->name : from->port_name;
    to->bind = from->bind;
    lower_istio_hosts(c, &from->hosts, namespace, to);
    to->tls = modes[from->tls];
    /* a redirect belongs to the plain side of a port, so a server that says only httpsRedirect is not TLS */
    to->https_redirect = from->https_redirect;
    to->cert_file = from->certificate_file;
    to->key_file = from->key_file;
    to->ca_file = from->ca_file;
    if (from->credential.len > 0) {
        to->credential =
            span_of(arena_printf(&c->arena, WORLD_CREDENTIAL "%.*s", SPAN_ARG(from->credential)));
    }
    to->sans = from->subject_alt_names.items;
    to->san_count = from->subject_alt_names.count;
    to->min_version = from->min_version;
    to->max_version = from->max_version;
}

static void lower_istio(struct world_config *c, const struct object *o, struct world_gateway *to)
{
    const struct istio_gateway_spec *spec = istio_gateway_of(o);
    struct world_server *servers = arena_array(&c->arena, spec->server_count, sizeof(*servers));
    for (size_t i = 0; i < spec->server_count; i++) {
        lower_istio_server(c, &spec->servers[i], o->namespace, &servers[i]);
        servers[i].port = listen_port(c, &spec->selector, servers[i].port);
    }
    to->key =
        span_of(arena_printf(&c->arena, "%.*s/%.*s", SPAN_ARG(o->namespace), SPAN_ARG(o->name)));
    to->selector = spec->selector.items;
    to->selector_count = spec->selector.count;
    to->servers = servers;
    to->server_count = spec->server_count;
}

/* ---- Gateway API ---- */

static enum world_server_tls tls_of(const struct gateway_listener *l)
{
    bool is_tls = l->protocol == GATEWAY_HTTPS || l->protocol == GATEWAY_TLS;
    if (!is_tls) {
        return WORLD_SERVER_PLAIN;
    }
    return l->has_tls && l->tls_mode == GATEWAY_TLS_PASSTHROUGH ? WORLD_SERVER_PASSTHROUGH
           : selector_label(l->tls_options.items, l->tls_options.count, SPAN(OPTION_CA_FILE)).at !=
                   NULL
               ? WORLD_SERVER_MUTUAL
               : WORLD_SERVER_SIMPLE;
}

static void lower_listener(struct world_config *c, const struct gateway_listener *l,
                           struct span namespace, struct world_server *to)
{
    static const enum port_protocol protocols[] = {
        [GATEWAY_HTTP] = PROTOCOL_HTTP,
        [GATEWAY_HTTPS] = PROTOCOL_HTTPS,
        [GATEWAY_TLS] = PROTOCOL_TLS,
        [GATEWAY_TCP] = PROTOCOL_TCP,
    };
    static const struct span any = SPAN_INIT("*");
    const struct label *options = l->tls_options.items;
    size_t option_count = l->tls_options.count;
    struct span *host = arena_new(&c->arena, struct span);
    *host = l->hostname.len > 0 ? lower_case(c, l->hostname) : any;
    to->port = l->port;
    to->protocol = protocols[l->protocol];
    to->name = l->name;
    to->hosts = host;
    to->host_namespaces = &any; /* who may bind is the listener's allowedRoutes */
    to->host_count = 1;
    to->tls = tls_of(l);
    to->listener = l;
    to->cert_file = selector_label(options, option_count, SPAN(OPTION_CERT_FILE));
    to->key_file = selector_label(options, option_count, SPAN(OPTION_KEY_FILE));
    to->ca_file = selector_label(options, option_count, SPAN(OPTION_CA_FILE));
    const struct gateway_secret *secret = l->certificate_count > 0 ? &l->certificates[0] : NULL;
    if (secret != NULL && secret->is_secret &&
        world_is_granted(c, &(struct world_reference){"Gateway", namespace, "Secret",
                                                      secret->namespace, secret->name})) {
        to->credential = span_of(arena_printf(&c->arena, WORLD_CREDENTIAL_API "%.*s/%.*s",
                                              SPAN_ARG(secret->namespace), SPAN_ARG(secret->name)));
    }
}

/* Those that were made for it; or, when it names a Service as its address (type Hostname), those behind that Service. */
static void find_proxies(struct world_config *c, const struct object *o,
                         struct world_server *servers, struct world_gateway *to)
{
    struct span namespace, name;
    const struct gateway_spec *spec = gateway_of(o);
    bool by_host = false;
    for (size_t i = 0; i < spec->address_count; i++) {
        by_host |= spec->addresses[i].hostname;
    }
    const struct object *service =
        by_host && world_gateway_front(c, o, &c->arena, &namespace, &name)
            ? world_find_object(c, OBJECT_SERVICE, namespace, name)
            : NULL;
    if (service != NULL && service_of(service)->selector.count > 0) {
        to->home = service->namespace;
        to->selector = service_of(service)->selector.items;
        to->selector_count = service_of(service)->selector.count;
        for (size_t i = 0; i < to->server_count; i++) {
            uint16_t behind = port_behind(service, servers[i].port);
            servers[i].port = behind != 0 ? behind : servers[i].port;
        }
        return;
    }
    struct label *selector = arena_new(&c->arena, struct label);
    *selector = (struct label){SPAN(LABEL_GATEWAY_NAME), o->name};
    to->home = o->namespace;
    to->selector = selector;
    to->selector_count = 1;
}

/* A server for each listener and address. */
static void lower_api(struct world_config *c, const struct object *o, struct world_gateway *to)
{
    const struct gateway_spec *spec = gateway_of(o);
    size_t addresses = size_max(spec->address_count, 1);
    struct world_server *servers =
        arena_array(&c->arena, spec->listener_count * addresses, sizeof(*servers));
    for (size_t i = 0; i < spec->listener_count; i++) {
        struct world_server server = {.port = 0};
        lower_listener(c, &spec->listeners[i], o->namespace, &server);
        bool bound = false;
        for (size_t k = 0; k < spec->address_count; k++) {
            if (!spec->addresses[k].hostname) {
                bound = true;
                server.bind = spec->addresses[k].value;
                servers[to->server_count++] = server;
            }
        }
        if (!bound) {
            servers[to->server_count++] = server;
        }
    }
    find_proxies(c, o, servers, to);
    to->key = span_of(arena_printf(&c->arena, "gateway-api/%.*s/%.*s", SPAN_ARG(o->namespace),
                                   SPAN_ARG(o->name)));
    to->servers = servers;
}

/* ---- all, and questions ---- */

static void lower_kind(struct world_config *c, enum object_kind kind,
                       void (*lower)(struct world_config *c, const struct object *o,
                                     struct world_gateway *to))
{
    for (size_t i = c->kind_first[kind]; i < c->kind_first[kind + 1]; i++) {
        if (kind == OBJECT_GATEWAY && !world_gateway_is_ours(c, c->objects[i])) {
            continue;
        }
        struct world_gateway *to = &c->gateways[c->gateway_count++];
        to->object = c->objects[i];
        to->namespace = to->object->namespace;
        to->name = to->object->name;
        lower(c, to->object, to);
    }
}

void world_gateways_lower(struct world_config *c)
{
    size_t count = c->kind_first[OBJECT_GATEWAY + 1] - c->kind_first[OBJECT_GATEWAY] +
                   c->kind_first[OBJECT_ISTIO_GATEWAY + 1] - c->kind_first[OBJECT_ISTIO_GATEWAY];
    c->gateways = arena_array(&c->arena, count, sizeof(*c->gateways));
    lower_kind(c, OBJECT_GATEWAY, lower_api);
    lower_kind(c, OBJECT_ISTIO_GATEWAY, lower_istio);
}

bool world_gateway_is_served_by(const struct world_gateway *g, struct span namespace,
                                const struct label *labels, size_t label_count)
{
    if (g->home.len > 0 && !span_eq(g->home, namespace)) {
        return false;
    }
    return world_labels_match(g->selector, g->selector_count, labels, label_count);
}

void world_gateway_routes(
    const struct world *w, const struct world_gateway *g, const struct world_server *s,
    void (*on_vhost)(void *arg, struct span host, const struct world_virtual_host *v), void *arg)
{
    UNUSED(w);
    UNUSED(g);
    for (size_t i = 0; i < s->bound_count; i++) {
        on_vhost(arg, s->bound[i].host, s->bound[i].vhost);
    }
}
