/* In: cluster. Next: keeper. */
#include "control/cluster/gateway_deployer.h"

#include "base/log.h"
#include "control/cluster/cluster_object.h"
#include "control/world/world_status.h"
#include "inject/inject.h"
#include "mesh/names.h"
#include "mesh/ports.h"
#include "model/gateway_api.h"

#define ANNOTATION_SERVICE_TYPE "networking.istio.io/service-type"
#define LABEL_GATEWAY_CLASS "gateway.networking.k8s.io/gateway-class-name"

/* One Gateway's turn. */
struct deployment {
    struct keeper *keeper;
    struct arena arena;
    const struct object *gateway;
    struct span name; /* of everything that is made */
};

static struct doc_node *new_object(struct deployment *d, const char *api_version, const char *kind)
{
    struct arena *a = &d->arena;
    const struct object *g = d->gateway;
    struct doc_node *object = cluster_object(a, api_version, kind, g->namespace, d->name);
    struct doc_node *meta = doc_get(object, "metadata");
    struct doc_node *labels = doc_get(meta, "labels");
    doc_set_text(a, labels, LABEL_GATEWAY_NAME, g->name);
    doc_set_text(a, labels, LABEL_GATEWAY_CLASS,
                 ((const struct gateway_spec *)g->spec)->class_name);
    const struct doc_node *more = doc_path(g->doc, "spec.infrastructure.labels");
    for (size_t i = 0; i < doc_count(more); i++) {
        doc_set_span(a, labels, more->entries[i].key, more->entries[i].value);
    }
    const struct doc_node *notes = doc_path(g->doc, "spec.infrastructure.annotations");
    if (doc_count(notes) > 0) {
        doc_set(a, meta, "annotations", doc_dup(a, notes));
    }
    const struct doc_node *uid = doc_path(g->doc, "metadata.uid");
    if (uid) {
        struct doc_node *owner =
            doc_list_add(a, doc_list_in(a, meta, "ownerReferences"), doc_new_map(a));
        doc_set(a, owner, "apiVersion", doc_dup(a, doc_get(g->doc, "apiVersion")));
        doc_set_text(a, owner, "kind", SPAN("Gateway"));
        doc_set_text(a, owner, "name", g->name);
        doc_set(a, owner, "uid", doc_dup(a, uid));
    }
    return object;
}

static void want(struct deployment *d, const char *group, const char *plural,
                 const struct doc_node *object)
{
    struct kube_kind kind = {.group = group, .version = "v1", .plural = plural, .namespaced = true};
    keeper_want(d->keeper, &(struct keeper_want){.kind = &kind,
                                                 .object = object,
                                                 .salt = (uint64_t)d->gateway->created_us,
                                                 .removes = true});
}

/* ---- Service ---- */

static void add_port(struct deployment *d, struct doc_node *ports, struct span name,
                     uint16_t number, const char *app_protocol)
{
    for (size_t i = 0; i < doc_count(ports); i++) {
        if (doc_get(doc_at(ports, i), "port")->integer == number) {
            return; /* listeners of several hosts share one port */
        }
    }
    struct doc_node *port = doc_list_add(&d->arena, ports, doc_new_map(&d->arena));
    doc_set_text(&d->arena, port, "name", name);
    doc_set(&d->arena, port, "port", doc_int(&d->arena, number));
    doc_set(&d->arena, port, "targetPort", doc_int(&d->arena, number));
    doc_set_text(&d->arena, port, "protocol", SPAN("TCP"));
    if (app_protocol) {
        doc_set_text(&d->arena, port, "appProtocol", span_of(app_protocol));
    }
}

static const char *protocol_of(enum gateway_protocol p)
{
    static const char *const names[] = {
        [GATEWAY_HTTP] = "http", [GATEWAY_HTTPS] = "https", [GATEWAY_TLS] = "tls"};
    return (size_t)p < ARRAY_LEN(names) ? names[p] : NULL;
}

static void set_selector(struct deployment *d, struct doc_node *to)
{
    doc_set_text(&d->arena, to, LABEL_GATEWAY_NAME, d->gateway->name);
}

static void want_service(struct deployment *d)
{
    struct arena *a = &d->arena;
    const struct gateway_spec *spec = d->gateway->spec;
    struct doc_node *service = new_object(d, "v1", "Service");
    struct doc_node *to = doc_map_in(a, service, "spec");
    struct span type = object_annotation(d->gateway, ANNOTATION_SERVICE_TYPE);
    const struct doc_node *own = doc_get(
        doc_path(d->gateway->doc, "spec.infrastructure.annotations"), ANNOTATION_SERVICE_TYPE);
    type = type.len > 0 ? type : doc_is(own, DOC_TEXT) ? own->text : SPAN("LoadBalancer");
    doc_set_text(a, to, "type", type);
    set_selector(d, doc_map_in(a, to, "selector"));
    struct doc_node *ports = doc_list_in(a, to, "ports");
    add_port(d, ports, SPAN("status-port"), PORT_HEALTH, NULL);
    for (size_t i = 0; i < spec->listener_count; i++) {
        const struct gateway_listener *l = &spec->listeners[i];
        add_port(d, ports, l->name, l->port, protocol_of(l->protocol));
    }
    want(d, "", "services", service);
}

/* ---- Deployment ---- */

static void want_deployment(struct deployment *d, const struct inject_settings *settings)
{
    struct arena *a = &d->arena;
    struct err err;
    struct doc_node *pod;
    struct doc_node *object = new_object(d, "apps/v1", "Deployment");
    struct doc_node *meta = doc_get(object, "metadata");
    struct inject_gateway gateway = {.namespace = d->gateway->namespace,
                                     .name = d->name,
                                     .service_account = d->name,
                                     .labels = doc_get(meta, "labels"),
                                     .annotations = doc_get(meta, "annotations")};
    if (inject_gateway_pod(&gateway, settings, a, &pod, &err) != 0) {
        log_warn("cluster", "no proxies for gateway=%.*s/%.*s why=\"%s\"",
                 SPAN_ARG(d->gateway->namespace), SPAN_ARG(d->gateway->name), err.text);
        return;
    }
    struct doc_node *spec = doc_map_in(a, object, "spec");
    set_selector(d, doc_map_in(a, doc_map_in(a, spec, "selector"), "matchLabels"));
    doc_set(a, spec, "template", pod);
    want(d, "apps", "deployments", object);
}

/* ---- which ---- */

static bool has_proxies_elsewhere(const struct gateway_spec *spec)
{
    for (size_t i = 0; i < spec->address_count; i++) {
        if (spec->addresses[i].hostname) {
            return true;
        }
    }
    return false;
}

static void deploy(struct keeper *k, const struct object *gateway,
                   const struct inject_settings *settings)
{
    struct deployment d = {.keeper = k, .gateway = gateway};
    const struct gateway_spec *spec = gateway->spec;
    arena_init(&d.arena, 8192);
    d.name = span_of(
        arena_printf(&d.arena, "%.*s-%.*s", SPAN_ARG(gateway->name), SPAN_ARG(spec->class_name)));
    want(&d, "", "serviceaccounts", new_object(&d, "v1", "ServiceAccount"));
    want_service(&d);
    want_deployment(&d, settings);
    arena_dispose(&d.arena);
}

void gateway_deployer_want(struct keeper *k, const struct world *w,
                           const struct inject_settings *settings)
{
    for (size_t i = 0; i < w->config->gateway_count; i++) {
        const struct object *o = w->config->gateways[i].object;
        if (o->kind == OBJECT_GATEWAY && o->file.len == 0 && !has_proxies_elsewhere(o->spec)) {
            deploy(k, o, settings);
        }
    }
}
