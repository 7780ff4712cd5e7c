/* What one object may take from another: by name, by class, by grant.
 * Sources: Gateway API v1 (GatewayClass, ReferenceGrant: GEP-709, SecretObjectReference); Istio pilot/pkg/credentials/kube (which Secret a credentialName
 * means, "-cacert"), pilot/pkg/config/kube/gateway (the Service in front of a Gateway). */
#include <stdio.h>

#include "control/world/lower.h"
#include "model/gateway_api.h"
#include "model/secret.h"

#define GATEWAY_GROUP "gateway.networking.k8s.io"
#define ROOTS_SUFFIX "-cacert"

const struct object *world_find_object(const struct world_config *c, enum object_kind kind,
                                       struct span namespace, struct span name)
{
    char key[OBJECT_KEY_BYTES];
    return map_get(&c->by_key, object_key(kind, namespace, name, key));
}

/* ---- grants ---- */

static bool grants(const struct reference_grant_spec *g, const struct world_reference *r)
{
    bool from = false, to = false;
    for (size_t i = 0; i < g->from_count && !from; i++) {
        from = span_is(g->from[i].group, GATEWAY_GROUP) && span_is(g->from[i].kind, r->from_kind) &&
               span_eq(g->from[i].namespace, r->from_namespace);
    }
    for (size_t i = 0; from && i < g->to_count && !to; i++) {
        to = g->to[i].group.len == 0 && span_is(g->to[i].kind, r->to_kind) &&
             (g->to[i].name.len == 0 || span_eq(g->to[i].name, r->to_name));
    }
    return to;
}

bool world_is_granted(const struct world_config *c, const struct world_reference *r)
{
    bool found = span_eq(r->from_namespace, r->to_namespace);
    for (size_t i = c->kind_first[OBJECT_REFERENCE_GRANT];
         !found && i < c->kind_first[OBJECT_REFERENCE_GRANT + 1]; i++) {
        const struct object *o = c->objects[i];
        found = span_eq(o->namespace, r->to_namespace) && grants(reference_grant_of(o), r);
    }
    return found;
}

bool world_backend_is_granted(const struct world_config *c, const struct object *route,
                              const struct http_route_ref *ref)
{
    const struct http_route_spec *spec = http_route_of(route);
    for (size_t i = 0; i < spec->parent_count; i++) {
        const struct http_route_parent *p = &spec->parents[i];
        if (p->kind == HTTP_ROUTE_PARENT_SERVICE && span_eq(p->name, ref->name) &&
            span_eq(p->namespace, ref->namespace)) {
            return true;
        }
    }
    return world_is_granted(c, &(struct world_reference){"HTTPRoute", route->namespace, "Service",
                                                         ref->namespace, ref->name});
}

/* ---- Gateways ---- */

bool world_gateway_is_ours(const struct world_config *c, const struct object *gateway)
{
    struct span class = gateway_of(gateway)->class_name;
    bool are_there = c->kind_first[OBJECT_GATEWAY_CLASS] < c->kind_first[OBJECT_GATEWAY_CLASS + 1];
    if (!are_there) {
        return span_is(class, "mesh") || span_is(class, "istio");
    }
    const struct object *o = world_find_object(c, OBJECT_GATEWAY_CLASS, SPAN_EMPTY, class);
    return o != NULL && span_is(gateway_class_of(o)->controller, WORLD_CONTROLLER);
}

/* "NAME", "NAME.NAMESPACE", "NAME.NAMESPACE.svc.DOMAIN" */
static void split_host(struct span host, struct span home, struct span *namespace,
                       struct span *name)
{
    struct span rest = host;
    *name = span_cut(&rest, '.');
    *namespace = rest.at != NULL ? span_cut(&rest, '.') : home;
}

bool world_gateway_front(const struct world_config *c, const struct object *gateway,
                         struct arena *arena, struct span *namespace, struct span *name)
{
    const struct gateway_spec *spec = gateway_of(gateway);
    *namespace = gateway->namespace;
    for (size_t i = 0; i < spec->address_count; i++) {
        if (spec->addresses[i].hostname) {
            split_host(spec->addresses[i].value, gateway->namespace, namespace, name);
            return world_find_object(c, OBJECT_SERVICE, *namespace, *name) != NULL;
        }
    }
    *name = span_of(
        arena_printf(arena, "%.*s-%.*s", SPAN_ARG(gateway->name), SPAN_ARG(spec->class_name)));
    return world_find_object(c, OBJECT_SERVICE, *namespace, *name) != NULL;
}

/* ---- Secrets ---- */

/* "kubernetes://NAME" is of the proxy's own namespace, "kubernetes-gateway://NAMESPACE/NAME" says its own. */
static bool split_credential(struct span credential, struct span home, struct span *namespace,
                             struct span *name)
{
    *namespace = home;
    *name = credential;
    if (span_starts(credential, SPAN(WORLD_CREDENTIAL_API))) {
        struct span rest = span_from_offset(credential, strlen(WORLD_CREDENTIAL_API));
        *namespace = span_cut(&rest, '/');
        *name = rest;
        return name->len > 0;
    }
    if (!span_starts(credential, SPAN(WORLD_CREDENTIAL))) {
        return false;
    }
    *name = span_from_offset(credential, strlen(WORLD_CREDENTIAL));
    return name->len > 0;
}

const struct object *world_credential(const struct world_config *c, struct span credential,
                                      struct span namespace, const char **fault)
{
    struct span home, name;
    const struct object *o = split_credential(credential, namespace, &home, &name)
                                 ? world_find_object(c, OBJECT_SECRET, home, name)
                                 : NULL;
    *fault = o != NULL ? secret_pair_fault(o) : "there is no such Secret";
    return *fault == NULL ? o : NULL;
}

const struct object *world_credential_roots(const struct world_config *c, struct span credential,
                                            struct span namespace, const char **fault)
{
    struct span home, name;
    char text[OBJECT_KEY_BYTES];
    *fault = "there is no such Secret";
    if (!split_credential(credential, namespace, &home, &name) ||
        name.len + sizeof(ROOTS_SUFFIX) > sizeof(text)) {
        return NULL;
    }
    int len = snprintf(text, sizeof(text), "%.*s%s", SPAN_ARG(name), ROOTS_SUFFIX);
    const struct object *o =
        world_find_object(c, OBJECT_SECRET, home, span_from(text, (size_t)len));
    o = o != NULL ? o : world_find_object(c, OBJECT_SECRET, home, name);
    *fault = o != NULL ? secret_roots_fault(o) : *fault;
    return *fault == NULL ? o : NULL;
}

const char *world_certificate_fault(const struct world_config *c, struct span gateway_namespace,
                                    const struct gateway_secret *secret, const char **reason)
{
    *reason = "InvalidCertificateRef";
    if (!secret->is_secret) {
        return "it is of another kind than Secret";
    }
    if (!world_is_granted(c, &(struct world_reference){"Gateway", gateway_namespace, "Secret",
                                                       secret->namespace, secret->name})) {
        *reason = "RefNotPermitted";
        return "it is in another namespace, and no ReferenceGrant there permits it";
    }
    const struct object *o = world_find_object(c, OBJECT_SECRET, secret->namespace, secret->name);
    const char *fault = o != NULL ? secret_pair_fault(o) : "there is no such Secret";
    *reason = fault != NULL ? *reason : NULL;
    return fault;
}
