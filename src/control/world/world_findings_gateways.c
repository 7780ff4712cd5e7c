/* Findings about gateways: their ports, classes and certificates. */
#include "control/world/lower.h"
#include "control/world/world_findings_int.h"
#include "model/gateway_api.h"

#define PATH_MAX_BYTES 256

/* ---- ports ---- */

enum server_class { CLASS_HTTP, CLASS_TLS, CLASS_TCP };

static enum server_class class_of(const struct world_server *s)
{
    if (s->tls != WORLD_SERVER_PLAIN) {
        return CLASS_TLS;
    }
    return port_protocol_is_http(s->protocol) || s->https_redirect ? CLASS_HTTP : CLASS_TCP;
}

static bool same_proxies(const struct world_gateway *a, const struct world_gateway *b)
{
    return a == b ||
           (a->object->kind == OBJECT_ISTIO_GATEWAY && b->object->kind == OBJECT_ISTIO_GATEWAY &&
            a->selector_count == b->selector_count &&
            world_labels_match(a->selector, a->selector_count, b->selector, b->selector_count));
}

/* The server before this one that has its port for another protocol. */
static const struct world_gateway *rival(const struct world_config *c, size_t gateway,
                                         size_t server)
{
    const struct world_gateway *g = &c->gateways[gateway];
    const struct world_server *s = &g->servers[server];
    for (size_t i = 0; i <= gateway; i++) {
        const struct world_gateway *other = &c->gateways[i];
        size_t count = i == gateway ? server : other->server_count;
        for (size_t n = 0; n < count && same_proxies(g, other); n++) {
            const struct world_server *o = &other->servers[n];
            if (o->port == s->port && span_eq(o->bind, s->bind) && class_of(o) != class_of(s)) {
                return other;
            }
        }
    }
    return NULL;
}

static void check_ports(struct world_check *k)
{
    const struct world_config *c = k->config;
    for (size_t i = 0; i < c->gateway_count; i++) {
        const struct world_gateway *g = &c->gateways[i];
        bool api = g->object->kind == OBJECT_GATEWAY;
        for (size_t n = 0; n < g->server_count; n++) {
            const struct world_gateway *other = rival(c, i, n);
            if (other != NULL) {
                char path[PATH_MAX_BYTES];
                (void)snprintf(path, sizeof(path), api ? "spec.listeners" : "spec.servers.%zu", n);
                (void)world_findings_tell(
                    k, 2113, g->object, path,
                    "port %u is ignored here: gateway \"%.*s\" has it for another protocol",
                    g->servers[n].port, SPAN_ARG(other->name));
            }
        }
    }
}

/* ---- certificates ---- */

static void say_certificate(struct world_check *k, const struct object *o, const char *path,
                            unsigned code, struct span name, struct span namespace, const char *why)
{
    struct finding *f =
        world_findings_tell(k, code, o, path, "certificate \"%.*s/%.*s\" can not be used",
                            SPAN_ARG(namespace), SPAN_ARG(name));
    world_findings_why(k, f, "%s", why);
}

static void check_listener(struct world_check *k, const struct object *o,
                           const struct gateway_listener *l, size_t place)
{
    for (size_t i = 0; i < l->certificate_count && l->tls_options.count == 0; i++) {
        char path[PATH_MAX_BYTES];
        const char *reason;
        const struct gateway_secret *secret = &l->certificates[i];
        const char *why = world_certificate_fault(k->config, o->namespace, secret, &reason);
        if (why != NULL) {
            (void)snprintf(path, sizeof(path), "spec.listeners.%zu.tls.certificateRefs.%zu", place,
                           i);
            say_certificate(k, o, path, strcmp(reason, "RefNotPermitted") == 0 ? 2121 : 2120,
                            secret->name, secret->namespace, why);
        }
    }
}

static bool is_first_there(const struct world_check *k, const struct world_gateway *g, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        const struct world_workload *w = k->workloads[i];
        if (span_eq(w->namespace, k->workloads[at]->namespace) &&
            world_gateway_is_served_by(g, w->namespace, w->labels, w->label_count)) {
            return false;
        }
    }
    return true;
}

/* A credentialName is a Secret of the proxies' namespace: of each where there are some. */
static void check_credential(struct world_check *k, const struct world_gateway *g, size_t place)
{
    const struct world_server *s = &g->servers[place];
    struct span name = span_from_offset(s->credential, strlen(WORLD_CREDENTIAL));
    bool asks = s->tls == WORLD_SERVER_MUTUAL || s->tls == WORLD_SERVER_OPTIONAL_MUTUAL;
    char path[PATH_MAX_BYTES];
    (void)snprintf(path, sizeof(path), "spec.servers.%zu.tls.credentialName", place);
    for (size_t i = 0; i < k->workload_count; i++) {
        const struct world_workload *w = k->workloads[i];
        const char *why;
        if (!world_gateway_is_served_by(g, w->namespace, w->labels, w->label_count) ||
            !is_first_there(k, g, i)) {
            continue;
        }
        (void)world_credential(k->config, s->credential, w->namespace, &why); /* only why not */
        if (why == NULL && asks && s->ca_file.len == 0) {
            (void)world_credential_roots(k->config, s->credential, w->namespace, &why);
        }
        if (why != NULL) {
            say_certificate(k, g->object, path, 2120, name, w->namespace, why);
        }
    }
}

/* ---- what has no listener ---- */

static void check_served(struct world_check *k, const struct world_gateway *g, size_t place)
{
    if (g->servers[place].tls == WORLD_SERVER_AUTO_PASSTHROUGH) {
        char path[PATH_MAX_BYTES];
        (void)snprintf(path, sizeof(path), "spec.servers.%zu.tls.mode", place);
        (void)world_findings_tell(k, 2123, g->object, path,
                                  "port %u is not served: its mode is AUTO_PASSTHROUGH",
                                  g->servers[place].port);
    }
}

/* ---- all ---- */

static void check_class(struct world_check *k, const struct object *o)
{
    const struct gateway_spec *spec = gateway_of(o);
    if (!world_gateway_is_ours(k->config, o) &&
        world_find_object(k->config, OBJECT_GATEWAY_CLASS, SPAN_EMPTY, spec->class_name) == NULL) {
        (void)world_findings_tell(k, 2122, o, "spec.gatewayClassName",
                                  "there is no GatewayClass \"%.*s\"", SPAN_ARG(spec->class_name));
    }
}

void world_findings_gateways(struct world_check *k)
{
    const struct world_config *c = k->config;
    check_ports(k);
    for (size_t i = c->kind_first[OBJECT_GATEWAY]; i < c->kind_first[OBJECT_GATEWAY + 1]; i++) {
        const struct gateway_spec *spec = gateway_of(c->objects[i]);
        check_class(k, c->objects[i]);
        for (size_t n = 0; n < spec->listener_count && world_gateway_is_ours(c, c->objects[i]);
             n++) {
            check_listener(k, c->objects[i], &spec->listeners[n], n);
        }
    }
    for (size_t i = 0; i < c->gateway_count; i++) {
        for (size_t n = 0; n < c->gateways[i].server_count; n++) {
            const struct world_server *s = &c->gateways[i].servers[n];
            check_served(k, &c->gateways[i], n);
            if (span_starts(s->credential, SPAN(WORLD_CREDENTIAL))) {
                check_credential(k, &c->gateways[i], n);
            }
        }
    }
}
