/* Status of Gateways and HTTPRoutes, in Gateway API's words.
 * Source: Gateway API v1 apis/v1/gateway_types.go, shared_types.go, httproute_types.go (the reasons and when each is used). */
#include "control/world/lower.h"
#include "control/world/world_status_int.h"
#include "model/gateway_api.h"
#include "model/service.h"

#define GROUP "gateway.networking.k8s.io"

/* A reason why not, and its sentence; `reason` NULL: nothing is wrong. */
struct fault {
    const char *reason;
    struct span message;
};

/* ---- listeners ---- */

static bool is_http(const struct gateway_listener *l)
{
    return l->protocol == GATEWAY_HTTP || l->protocol == GATEWAY_HTTPS;
}

static struct fault certificate_fault(const struct world_status *s, const struct object *gateway,
                                      const struct gateway_secret *secret)
{
    struct fault fault = {NULL, SPAN_EMPTY};
    const char *why =
        world_certificate_fault(s->world->config, gateway->namespace, secret, &fault.reason);
    if (why != NULL) {
        fault.message =
            span_of(arena_printf(s->arena, "certificate '%.*s/%.*s' can not be used: %s",
                                 SPAN_ARG(secret->namespace), SPAN_ARG(secret->name), why));
    }
    return fault;
}

static struct fault refs_fault(const struct world_status *s, const struct object *gateway,
                               const struct gateway_listener *l)
{
    struct fault fault = {NULL, SPAN_EMPTY};
    for (size_t i = 0; i < l->route_kinds.count && fault.reason == NULL; i++) {
        if (!is_http(l) || !span_is(l->route_kinds.items[i], "HTTPRoute")) {
            fault = (struct fault){
                "InvalidRouteKinds",
                span_of(arena_printf(s->arena, "routes of kind %.*s are not supported here",
                                     SPAN_ARG(l->route_kinds.items[i])))};
        }
    }
    for (size_t i = 0; i < l->certificate_count && fault.reason == NULL; i++) {
        fault = certificate_fault(s, gateway, &l->certificates[i]);
    }
    return fault;
}

static bool takes_http_routes(const struct gateway_listener *l)
{
    bool takes = l->route_kinds.count == 0;
    for (size_t i = 0; i < l->route_kinds.count; i++) {
        takes |= span_is(l->route_kinds.items[i], "HTTPRoute");
    }
    return takes && is_http(l);
}

/* True: it serves. */
static bool describe_listener(const struct world_status *s, const struct object *gateway,
                              const struct gateway_listener *l, struct world_status_listener *out)
{
    struct fault refs = refs_fault(s, gateway, l);
    bool accepted = is_http(l);
    bool good =
        accepted && (refs.reason == NULL || (l->certificate_count == 0 && takes_http_routes(l)));
    out->name = l->name;
    if (takes_http_routes(l)) {
        out->kinds[out->kind_count++] = (struct world_status_kind){GROUP, "HTTPRoute"};
    }
    if (accepted) {
        world_status_say(&out->conditions, "Accepted", true, "Accepted",
                         SPAN("the listener is taken"));
    } else {
        world_status_say(&out->conditions, "Accepted", false, "UnsupportedProtocol",
                         SPAN("no route kind for this protocol is supported; use HTTP or HTTPS"));
    }
    world_status_say(&out->conditions, "Conflicted", false, "NoConflicts",
                     SPAN("it has its port and hostname for itself"));
    world_status_say(&out->conditions, "ResolvedRefs", refs.reason == NULL,
                     refs.reason == NULL ? "ResolvedRefs" : refs.reason,
                     refs.reason == NULL ? SPAN("all that it names is there") : refs.message);
    world_status_say(&out->conditions, "Programmed", good, good ? "Programmed" : "Invalid",
                     good ? SPAN("proxies are told to listen")
                          : SPAN("it is not valid, as the other conditions say"));
    return good;
}

/* ---- which routes are attached to which listeners ---- */

enum attachment { ATTACHED, NO_LISTENER, NOT_ALLOWED, NO_HOSTNAME };

static bool hosts_meet(const struct gateway_listener *l, const struct http_route_spec *route)
{
    bool meet = l->hostname.len == 0 || route->hostnames.count == 0;
    for (size_t i = 0; i < route->hostnames.count && !meet; i++) {
        struct span host = route->hostnames.items[i];
        meet = world_host_covers(l->hostname, host) || world_host_covers(host, l->hostname);
    }
    return meet;
}

static bool means(const struct http_route_parent *p, const struct object *gateway,
                  const struct gateway_listener *l)
{
    return p->kind == HTTP_ROUTE_PARENT_GATEWAY && span_eq(p->name, gateway->name) &&
           span_eq(p->namespace, gateway->namespace) &&
           (p->section.len == 0 || span_eq(p->section, l->name)) &&
           (p->port == 0 || p->port == l->port);
}

static enum attachment attach(const struct world_config *c, const struct object *gateway,
                              const struct gateway_listener *l, const struct object *route,
                              const struct http_route_parent *p)
{
    return !means(p, gateway, l)                                                ? NO_LISTENER
           : !world_listener_allows(c, l, gateway->namespace, route->namespace) ? NOT_ALLOWED
           : !hosts_meet(l, http_route_of(route))                               ? NO_HOSTNAME
                                                                                : ATTACHED;
}

static uint32_t count_routes(const struct world_config *c, const struct object *gateway,
                             const struct gateway_listener *l)
{
    uint32_t count = 0;
    for (size_t i = c->kind_first[OBJECT_HTTP_ROUTE]; i < c->kind_first[OBJECT_HTTP_ROUTE + 1];
         i++) {
        const struct http_route_spec *spec = http_route_of(c->objects[i]);
        for (size_t k = 0; k < spec->parent_count; k++) {
            if (attach(c, gateway, l, c->objects[i], &spec->parents[k]) == ATTACHED) {
                count++;
                break;
            }
        }
    }
    return count;
}

/* ---- Gateway ---- */

static void add_address(struct world_status_gateway *out, struct world_status_address *list,
                        const struct doc_node *text, const char *type)
{
    if (doc_is(text, DOC_TEXT) && text->text.len > 0) {
        list[out->address_count++] = (struct world_status_address){type, text->text};
    }
}

/* Of its load balancer, or where there is none to be, of the service itself. */
static void find_addresses(const struct world_status *s, const struct object *service,
                           struct world_status_gateway *out)
{
    const struct service_spec *spec = service_of(service);
    const struct doc_node *ingress = doc_path(service->doc, "status.loadBalancer.ingress");
    struct world_status_address *list =
        arena_array(s->arena, 2 * doc_count(ingress) + spec->cluster_ips.count + 1, sizeof(*list));
    out->addresses = list;
    for (size_t i = 0; i < doc_count(ingress); i++) {
        add_address(out, list, doc_get(doc_at(ingress, i), "ip"), "IPAddress");
        add_address(out, list, doc_get(doc_at(ingress, i), "hostname"), "Hostname");
    }
    for (size_t i = 0; spec->type != SERVICE_LOAD_BALANCER && out->address_count == 0 &&
                       i < spec->cluster_ips.count;
         i++) {
        list[out->address_count++] =
            (struct world_status_address){"IPAddress", spec->cluster_ips.items[i]};
    }
}

static bool has_ready(const struct world_status *s, const struct object *service)
{
    for (size_t i = 0; i < s->world->config->service_count; i++) {
        if (s->world->config->services[i]->object != service) {
            continue;
        }
        const struct world_endpoints *e = s->world->endpoints[i];
        for (size_t k = 0; k < e->count; k++) {
            if (e->items[k].ready) {
                return true;
            }
        }
    }
    return false;
}

static struct fault programmed_fault(const struct world_status *s, const struct object *gateway,
                                     bool any_good, struct world_status_gateway *out)
{
    const struct world_config *c = s->world->config;
    struct span namespace, name;
    if (!any_good) {
        return (struct fault){"Invalid", SPAN("none of its listeners is valid")};
    }
    if (!world_gateway_front(c, gateway, s->arena, &namespace, &name)) {
        return (struct fault){"AddressNotAssigned",
                              span_of(arena_printf(s->arena, "there is no Service '%.*s/%.*s' yet",
                                                   SPAN_ARG(namespace), SPAN_ARG(name)))};
    }
    const struct object *service = world_find_object(c, OBJECT_SERVICE, namespace, name);
    find_addresses(s, service, out);
    if (out->address_count == 0) {
        return (struct fault){
            "AddressNotAssigned",
            span_of(arena_printf(s->arena, "Service '%.*s/%.*s' has no address yet",
                                 SPAN_ARG(namespace), SPAN_ARG(name)))};
    }
    if (!has_ready(s, service)) {
        return (struct fault){
            "Pending",
            span_of(arena_printf(s->arena, "no proxy behind Service '%.*s/%.*s' is ready",
                                 SPAN_ARG(namespace), SPAN_ARG(name)))};
    }
    return (struct fault){NULL, SPAN_EMPTY};
}

bool world_status_gateway(const struct world_status *s, const struct object *gateway,
                          struct world_status_gateway *out)
{
    const struct world_config *c = s->world->config;
    const struct gateway_spec *spec = gateway_of(gateway);
    *out = (struct world_status_gateway){.listener_count = 0};
    if (!world_gateway_is_ours(c, gateway)) {
        return false;
    }
    size_t good = 0;
    struct world_status_listener *list = arena_array(s->arena, spec->listener_count, sizeof(*list));
    for (size_t i = 0; i < spec->listener_count; i++) {
        good += describe_listener(s, gateway, &spec->listeners[i], &list[i]);
        list[i].attached_routes = count_routes(c, gateway, &spec->listeners[i]);
    }
    out->listeners = list;
    out->listener_count = spec->listener_count;
    bool all_good = good == spec->listener_count;
    world_status_say(
        &out->conditions, "Accepted", good > 0, all_good ? "Accepted" : "ListenersNotValid",
        all_good ? SPAN("the Gateway is taken") : SPAN("some of its listeners are not valid"));
    struct fault fault = programmed_fault(s, gateway, good > 0, out);
    world_status_say(&out->conditions, "Programmed", fault.reason == NULL,
                     fault.reason == NULL ? "Programmed" : fault.reason,
                     fault.reason == NULL ? SPAN("its proxies have an address and are ready")
                                          : fault.message);
    return true;
}

/* ---- HTTPRoute ---- */

static struct fault backend_fault(const struct world_status *s, const struct object *route,
                                  const struct http_route_ref *ref)
{
    const struct world_config *c = s->world->config;
    if (!ref->is_service) {
        return (struct fault){
            "InvalidKind", span_of(arena_printf(s->arena, "a backend is of kind %.*s, not Service",
                                                SPAN_ARG(ref->kind)))};
    }
    if (!world_backend_is_granted(c, route, ref)) {
        return (struct fault){
            "RefNotPermitted",
            span_of(arena_printf(s->arena,
                                 "Service '%.*s/%.*s' is in another namespace, and no "
                                 "ReferenceGrant there permits it",
                                 SPAN_ARG(ref->namespace), SPAN_ARG(ref->name)))};
    }
    const char *host = arena_printf(s->arena, "%.*s.%.*s.svc.%.*s", SPAN_ARG(ref->name),
                                    SPAN_ARG(ref->namespace), SPAN_ARG(c->mesh.domain));
    const struct world_service *service = map_get(&c->by_host, span_of(host));
    if (service == NULL || world_port_of(service, ref->port) == NULL) {
        return (struct fault){
            "BackendNotFound",
            service == NULL
                ? span_of(arena_printf(s->arena, "there is no Service '%.*s/%.*s'",
                                       SPAN_ARG(ref->namespace), SPAN_ARG(ref->name)))
                : span_of(arena_printf(s->arena, "Service '%.*s/%.*s' has no port %u",
                                       SPAN_ARG(ref->namespace), SPAN_ARG(ref->name), ref->port))};
    }
    return (struct fault){NULL, SPAN_EMPTY};
}

static struct fault filters_fault(const struct world_status *s, const struct object *route,
                                  const struct http_route_filters *filters)
{
    struct fault fault = {NULL, SPAN_EMPTY};
    for (size_t i = 0; i < filters->count && fault.reason == NULL; i++) {
        if (filters->items[i].kind == HTTP_ROUTE_MIRROR) {
            fault = backend_fault(s, route, &filters->items[i].mirror);
        }
    }
    return fault;
}

/* The first that is wrong, in the order of the text. */
static struct fault route_refs_fault(const struct world_status *s, const struct object *route)
{
    const struct http_route_spec *spec = http_route_of(route);
    struct fault fault = {NULL, SPAN_EMPTY};
    for (size_t i = 0; i < spec->rule_count && fault.reason == NULL; i++) {
        const struct http_route_rule *rule = &spec->rules[i];
        fault = filters_fault(s, route, &rule->filters);
        for (size_t k = 0; k < rule->backend_count && fault.reason == NULL; k++) {
            fault = backend_fault(s, route, &rule->backends[k].ref);
            if (fault.reason == NULL) {
                fault = filters_fault(s, route, &rule->backends[k].filters);
            }
        }
    }
    return fault;
}

static struct fault gateway_parent_fault(const struct world_config *c, const struct object *route,
                                         const struct http_route_parent *p,
                                         const struct object *gateway)
{
    const struct gateway_spec *spec = gateway_of(gateway);
    bool met = false, allowed = false, attached = false;
    for (size_t i = 0; i < spec->listener_count; i++) {
        enum attachment a = attach(c, gateway, &spec->listeners[i], route, p);
        met |= a != NO_LISTENER;
        allowed |= a == NO_HOSTNAME || a == ATTACHED;
        attached |= a == ATTACHED;
    }
    return attached  ? (struct fault){NULL, SPAN_EMPTY}
           : allowed ? (struct fault){"NoMatchingListenerHostname",
                                      SPAN("no listener has a hostname that the route has too")}
           : met     ? (struct fault){"NotAllowedByListeners",
                                      SPAN("allowedRoutes of the listeners do not permit it")}
                     : (struct fault){"NoMatchingParent",
                                      SPAN("no listener of the Gateway has this name and port")};
}

static struct fault service_parent_fault(const struct world_status *s,
                                         const struct http_route_parent *p)
{
    const char *host =
        arena_printf(s->arena, "%.*s.%.*s.svc.%.*s", SPAN_ARG(p->name), SPAN_ARG(p->namespace),
                     SPAN_ARG(s->world->config->mesh.domain));
    const struct world_service *service = map_get(&s->world->config->by_host, span_of(host));
    bool port = service != NULL && (p->port == 0 || world_port_of(service, p->port) != NULL);
    return port ? (struct fault){NULL, SPAN_EMPTY}
                : (struct fault){"NoMatchingParent", service == NULL
                                                         ? SPAN("there is no such Service")
                                                         : SPAN("the Service has no such port")};
}

static struct span written(const struct doc_node *ref, const char *key)
{
    const struct doc_node *node = doc_get(ref, key);
    return doc_is(node, DOC_TEXT) ? node->text : SPAN_EMPTY;
}

static void describe_parent(const struct world_status *s, const struct object *route, size_t i,
                            struct fault accepted, struct fault refs,
                            struct world_status_parent *out)
{
    const struct doc_node *ref = doc_at(doc_path(route->doc, "spec.parentRefs"), i);
    const struct http_route_parent *p = &http_route_of(route)->parents[i];
    UNUSED(s);
    out->group = written(ref, "group");
    out->kind = written(ref, "kind");
    out->namespace = written(ref, "namespace");
    out->name = p->name;
    out->section = p->section;
    out->has_port = p->port != 0;
    out->port = p->port;
    world_status_say(&out->conditions, "Accepted", accepted.reason == NULL,
                     accepted.reason == NULL ? "Accepted" : accepted.reason,
                     accepted.reason == NULL ? SPAN("the route is in force") : accepted.message);
    world_status_say(&out->conditions, "ResolvedRefs", refs.reason == NULL,
                     refs.reason == NULL ? "ResolvedRefs" : refs.reason,
                     refs.reason == NULL ? SPAN("all that it names is there") : refs.message);
}

void world_status_route(const struct world_status *s, const struct object *route,
                        struct world_status_route *out)
{
    const struct world_config *c = s->world->config;
    const struct http_route_spec *spec = http_route_of(route);
    struct world_status_parent *list = arena_array(s->arena, spec->parent_count, sizeof(*list));
    struct fault refs = route_refs_fault(s, route);
    *out = (struct world_status_route){.parents = list};
    for (size_t i = 0; i < spec->parent_count; i++) {
        const struct http_route_parent *p = &spec->parents[i];
        struct fault accepted;
        if (p->kind == HTTP_ROUTE_PARENT_SERVICE) {
            accepted = service_parent_fault(s, p);
        } else {
            const struct object *gateway =
                world_find_object(c, OBJECT_GATEWAY, p->namespace, p->name);
            if (gateway == NULL || !world_gateway_is_ours(c, gateway)) {
                continue; /* nobody's, or another controller's */
            }
            accepted = gateway_parent_fault(c, route, p, gateway);
        }
        describe_parent(s, route, i, accepted, refs, &list[out->parent_count++]);
    }
}
