/* Findings about VirtualServices and HTTPRoutes: where they send requests to, and whether anybody takes them. */
#include "control/world/lower.h"
#include "control/world/world_findings_int.h"
#include "model/gateway_api.h"
#include "model/virtual_service.h"

#define PATH_MAX_BYTES 256

/* ---- destinations ---- */

struct share { /* of the requests of one route */
    const char *path;
    const char *what; /* "sends 10 %", "mirrors" */
};

static bool has_endpoints(const struct world_endpoints *e, const struct label *labels, size_t count)
{
    for (size_t i = 0; i < e->count; i++) {
        if (world_labels_match(labels, count, e->items[i].labels, e->items[i].label_count)) {
            return true;
        }
    }
    return false;
}

/* "Service reviews has 3 endpoints (they are v1, v2, v3)". */
static void say_versions(struct world_check *k, struct finding *f, const struct world_service *s)
{
    const struct world_endpoints *e = k->world->endpoints[s->index];
    const char *text = "";
    struct span seen[8];
    size_t count = 0;
    for (size_t i = 0; i < e->count && count < ARRAY_LEN(seen); i++) {
        bool is_new = true;
        for (size_t n = 0; n < count; n++) {
            is_new &= !span_eq(seen[n], e->items[i].version);
        }
        if (is_new) {
            seen[count++] = e->items[i].version;
            text = arena_printf(k->findings->arena, "%s%s%.*s", text, count > 1 ? ", " : "",
                                SPAN_ARG(e->items[i].version));
        }
    }
    if (e->count == 0) {
        world_findings_why(k, f, "service \"%.*s\" has no endpoints", SPAN_ARG(s->name));
    } else {
        world_findings_why(k, f, "service \"%.*s\" has %zu endpoints (they are %s)",
                           SPAN_ARG(s->name), e->count, text);
    }
}

static const struct world_subset *subset_of(const struct world_rule *rule, struct span name)
{
    for (size_t i = 0; i < rule->subset_count; i++) {
        if (span_eq(rule->subsets[i].name, name)) {
            return &rule->subsets[i];
        }
    }
    return NULL;
}

static bool is_mesh_internal(const struct world_service *s)
{
    return s->resolution == WORLD_EDS || (s->resolution == WORLD_PASSTHROUGH && s->headless);
}

static void check_service(struct world_check *k, const struct object *o,
                          const struct world_service *s, uint16_t port, struct span subset,
                          const struct share *share)
{
    if (port != 0 && world_port_of(s, port) == NULL) {
        struct finding *f =
            world_findings_tell(k, 2110, o, share->path,
                                "route \"%.*s\" %s to port %u of \"%.*s\", which has no such port",
                                SPAN_ARG(o->name), share->what, port, SPAN_ARG(s->host));
        if (s->port_count > 0) {
            world_findings_why(k, f, "its first port is %u", s->ports[0].number);
        }
        return;
    }
    if (subset.len == 0) {
        if (k->world->endpoints[s->index]->count == 0 && is_mesh_internal(s)) {
            struct finding *f = world_findings_tell(
                k, 2031, o, share->path, "route \"%.*s\" %s to \"%.*s\", which has no endpoints",
                SPAN_ARG(o->name), share->what, SPAN_ARG(s->name));
            if (s->selector_count > 0) {
                world_findings_why(k, f, "no workload in \"%.*s\" has the labels %s",
                                   SPAN_ARG(s->namespace),
                                   world_findings_labels(k, s->selector, s->selector_count));
            }
        }
        return;
    }
    const struct world_rule *rule = world_rule_for(k->world, s, o->namespace);
    const struct world_subset *found = subset_of(rule, subset);
    if (found == NULL) {
        struct finding *f = world_findings_tell(
            k, 2106, o, share->path,
            "route \"%.*s\" %s to subset \"%.*s\" of \"%.*s\", which is not defined",
            SPAN_ARG(o->name), share->what, SPAN_ARG(subset), SPAN_ARG(s->name));
        struct near n;
        near_init(&n, subset);
        for (size_t i = 0; i < rule->subset_count; i++) {
            near_try(&n, rule->subsets[i].name);
        }
        world_findings_near(k, f, &n);
        if (rule->object == NULL) {
            world_findings_why(k, f, "no DestinationRule is for \"%.*s\"", SPAN_ARG(s->host));
        } else {
            world_findings_why(k, f, "DestinationRule \"%.*s\" has %zu other subsets",
                               SPAN_ARG(rule->object->name), rule->subset_count);
        }
    } else if (is_mesh_internal(s) &&
               !has_endpoints(k->world->endpoints[s->index], found->labels, found->label_count)) {
        struct finding *f = world_findings_tell(
            k, 2031, o, share->path,
            "route \"%.*s\" %s to subset \"%.*s\" of \"%.*s\", which has no endpoints",
            SPAN_ARG(o->name), share->what, SPAN_ARG(subset), SPAN_ARG(s->name));
        say_versions(k, f, s);
    }
}

static void say_missing(struct world_check *k, const struct object *o, struct span host,
                        const struct share *share)
{
    struct finding *f = world_findings_tell(k, 2031, o, share->path,
                                            "route \"%.*s\" %s to \"%.*s\", which does not exist",
                                            SPAN_ARG(o->name), share->what, SPAN_ARG(host));
    bool full = span_find_byte(host, '.') >= 0;
    struct near n;
    near_init(&n, host);
    for (size_t i = 0; i < k->config->service_count; i++) {
        const struct world_service *s = k->config->services[i];
        if (full || span_eq(s->namespace, o->namespace)) {
            near_try(&n, full ? s->host : s->name);
        }
    }
    world_findings_near(k, f, &n);
}

static const char *percent_of(struct world_check *k, uint64_t weight, uint64_t total)
{
    uint64_t percent = total > 0 ? (weight * 100 + total / 2) / total : 0;
    return arena_printf(k->findings->arena, "sends %u %%", (unsigned)percent);
}

/* ---- VirtualService ---- */

static void check_destination(struct world_check *k, const struct object *o,
                              const struct virtual_service_destination *d,
                              const struct share *share)
{
    const struct world_service *s = world_resolve(k->config, d->host, o->namespace);
    if (s == NULL) {
        say_missing(k, o, d->host, share);
    } else {
        check_service(k, o, s, d->port, d->subset, share);
    }
}

static void check_targets(struct world_check *k, const struct object *o,
                          const struct virtual_service_target *targets, size_t count,
                          const char *prefix)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += targets[i].weight;
    }
    for (size_t i = 0; i < count; i++) {
        char path[PATH_MAX_BYTES];
        (void)snprintf(path, sizeof(path), "%s.route.%zu.destination", prefix, i);
        struct share share = {path, percent_of(k, targets[i].weight, total)};
        if (targets[i].weight > 0) {
            check_destination(k, o, &targets[i].destination, &share);
        }
    }
}

static void check_all_targets(struct world_check *k, const struct object *o)
{
    const struct virtual_service_spec *spec = virtual_service_of(o);
    char path[PATH_MAX_BYTES];
    for (size_t i = 0; i < spec->http_count; i++) {
        (void)snprintf(path, sizeof(path), "spec.http.%zu", i);
        check_targets(k, o, spec->http[i].routes, spec->http[i].route_count, path);
        for (size_t m = 0; m < spec->http[i].mirror_count; m++) {
            (void)snprintf(path, sizeof(path), "spec.http.%zu.mirror", i);
            struct share share = {path, "mirrors requests"};
            check_destination(k, o, &spec->http[i].mirrors[m].destination, &share);
        }
    }
    for (size_t i = 0; i < spec->tls_count; i++) {
        (void)snprintf(path, sizeof(path), "spec.tls.%zu", i);
        check_targets(k, o, spec->tls[i].routes, spec->tls[i].route_count, path);
    }
    for (size_t i = 0; i < spec->tcp_count; i++) {
        (void)snprintf(path, sizeof(path), "spec.tcp.%zu", i);
        check_targets(k, o, spec->tcp[i].routes, spec->tcp[i].route_count, path);
    }
}

/* ---- gateways and parents ---- */

static const struct world_gateway *gateway_of_key(const struct world_config *c, struct span key)
{
    for (size_t i = 0; i < c->gateway_count; i++) {
        if (span_eq(c->gateways[i].key, key)) {
            return &c->gateways[i];
        }
    }
    return NULL;
}

/* A Gateway API Gateway that another controller serves. */
static bool is_of_others(const struct world_config *c, struct span key)
{
    struct span rest = key;
    if (!span_is(span_cut(&rest, '/'), "gateway-api")) {
        return false;
    }
    struct span namespace = span_cut(&rest, '/');
    return world_find_object(c, OBJECT_GATEWAY, namespace, rest) != NULL;
}

/* The gateway of this key exists, and takes the route. */
static void check_gateway(struct world_check *k, const struct object *o, struct span key,
                          struct span name, const char *path)
{
    const struct world_gateway *g = gateway_of_key(k->config, key);
    if (g == NULL && is_of_others(k->config, key)) {
        return;
    }
    if (g == NULL) {
        struct finding *missing = world_findings_tell(
            k, 2102, o, path, "route \"%.*s\" names gateway \"%.*s\", which does not exist",
            SPAN_ARG(o->name), SPAN_ARG(name));
        struct near n;
        near_init(&n, key);
        for (size_t i = 0; i < k->config->gateway_count; i++) {
            near_try(&n, k->config->gateways[i].key);
        }
        world_findings_near(k, missing, &n);
        return;
    }
    for (size_t i = 0; i < g->route_count; i++) {
        if (g->routes[i] == o) {
            return;
        }
    }
    struct finding *f = world_findings_tell(k, 2103, o, path,
                                            "no listener of gateway \"%.*s\" takes route \"%.*s\"",
                                            SPAN_ARG(g->name), SPAN_ARG(o->name));
    const char *hosts = "";
    for (size_t i = 0; i < g->server_count && i < 8; i++) {
        for (size_t n = 0; n < g->servers[i].host_count && n < 8; n++) {
            hosts = arena_printf(k->findings->arena, "%s%s%.*s", hosts, *hosts != '\0' ? ", " : "",
                                 SPAN_ARG(g->servers[i].hosts[n]));
        }
    }
    world_findings_why(k, f, "its hosts are %s", hosts);
}

/* Another VirtualService is older, or an HTTPRoute owns the service. */
static void check_mesh_host(struct world_check *k, const struct world_virtual_host *v, size_t host)
{
    char path[PATH_MAX_BYTES];
    (void)snprintf(path, sizeof(path), "spec.hosts.%zu", host);
    const struct world_service *s = map_get(&k->config->by_host, v->hosts[host]);
    for (size_t i = 0; s != NULL && i < s->route_count; i++) {
        if (span_eq(s->routes[i]->namespace, s->namespace)) {
            struct finding *f = world_findings_tell(
                k, 2044, v->object, path,
                "VirtualService \"%.*s\" is ignored for \"%.*s\": an HTTPRoute owns this host",
                SPAN_ARG(v->object->name), SPAN_ARG(s->name));
            world_findings_why(k, f, "HTTPRoute \"%.*s\" has the service as parent",
                               SPAN_ARG(s->routes[i]->object->name));
            return;
        }
    }
    const struct world_candidates *all = map_get(&k->config->mesh_hosts, v->hosts[host]);
    for (size_t i = 0; all != NULL && i < all->count; i++) {
        const struct world_virtual_host *other = all->items[i];
        if (other->object == v->object) {
            return;
        }
        if (other->export_count == 0 || v->export_count > 0) {
            (void)world_findings_tell(
                k, 2101, v->object, path,
                "host \"%.*s\" of VirtualService \"%.*s\" is ignored: \"%.*s\" is older",
                SPAN_ARG(v->hosts[host]), SPAN_ARG(v->object->name), SPAN_ARG(other->object->name));
            return;
        }
    }
}

static void check_virtual_service(struct world_check *k, const struct world_virtual_host *v)
{
    const struct object *o = v->object;
    for (size_t i = 0; i < v->gateway_count; i++) {
        if (!span_is(v->gateways[i], "mesh")) {
            char path[PATH_MAX_BYTES];
            (void)snprintf(path, sizeof(path), "spec.gateways.%zu", i);
            check_gateway(k, o, v->gateways[i], v->gateways[i], path);
            continue;
        }
        for (size_t n = 0; n < v->host_count; n++) {
            check_mesh_host(k, v, n);
        }
    }
    check_all_targets(k, o);
}

/* ---- HTTPRoute ---- */

static void check_ref(struct world_check *k, const struct object *o,
                      const struct http_route_ref *ref, const struct share *share)
{
    if (!ref->is_service) {
        return; /* the model said so */
    }
    const char *host = arena_printf(k->findings->arena, "%.*s.%.*s.svc.%.*s", SPAN_ARG(ref->name),
                                    SPAN_ARG(ref->namespace), SPAN_ARG(k->config->mesh.domain));
    const struct world_service *s = map_get(&k->config->by_host, span_of(host));
    if (!world_backend_is_granted(k->config, o, ref)) {
        struct finding *f = world_findings_tell(
            k, 2121, o, share->path, "route \"%.*s\" %s to \"%.*s\" of namespace \"%.*s\"",
            SPAN_ARG(o->name), share->what, SPAN_ARG(ref->name), SPAN_ARG(ref->namespace));
        world_findings_why(k, f, "no ReferenceGrant of \"%.*s\" permits it",
                           SPAN_ARG(ref->namespace));
    } else if (s == NULL) {
        say_missing(k, o, ref->name, share);
    } else {
        check_service(k, o, s, ref->port, SPAN_EMPTY, share);
    }
}

static void check_rule(struct world_check *k, const struct object *o,
                       const struct http_route_rule *rule, size_t place)
{
    char path[PATH_MAX_BYTES];
    uint64_t total = 0;
    for (size_t i = 0; i < rule->backend_count; i++) {
        total += rule->backends[i].weight;
    }
    for (size_t i = 0; i < rule->backend_count; i++) {
        (void)snprintf(path, sizeof(path), "spec.rules.%zu.backendRefs.%zu", place, i);
        struct share share = {path, percent_of(k, rule->backends[i].weight, total)};
        if (rule->backends[i].weight > 0) {
            check_ref(k, o, &rule->backends[i].ref, &share);
        }
    }
    for (size_t i = 0; i < rule->filters.count; i++) {
        if (rule->filters.items[i].kind == HTTP_ROUTE_MIRROR) {
            (void)snprintf(path, sizeof(path), "spec.rules.%zu.filters.%zu", place, i);
            struct share share = {path, "mirrors requests"};
            check_ref(k, o, &rule->filters.items[i].mirror, &share);
        }
    }
}

static void check_parent(struct world_check *k, const struct object *o,
                         const struct http_route_parent *p, size_t place)
{
    char path[PATH_MAX_BYTES];
    (void)snprintf(path, sizeof(path), "spec.parentRefs.%zu", place);
    struct arena *arena = k->findings->arena;
    if (p->kind == HTTP_ROUTE_PARENT_GATEWAY) {
        struct span key = span_of(arena_printf(arena, "gateway-api/%.*s/%.*s",
                                               SPAN_ARG(p->namespace), SPAN_ARG(p->name)));
        check_gateway(k, o, key, p->name, path);
        return;
    }
    const char *host = arena_printf(arena, "%.*s.%.*s.svc.%.*s", SPAN_ARG(p->name),
                                    SPAN_ARG(p->namespace), SPAN_ARG(k->config->mesh.domain));
    const struct world_service *s = map_get(&k->config->by_host, span_of(host));
    if (s == NULL || (p->port != 0 && world_port_of(s, p->port) == NULL)) {
        (void)world_findings_tell(k, 2102, o, path,
                                  "route \"%.*s\" has service \"%.*s\" as parent, which %s",
                                  SPAN_ARG(o->name), SPAN_ARG(p->name),
                                  s == NULL ? "does not exist" : "has no such port");
    }
}

void world_findings_routes(struct world_check *k)
{
    const struct world_config *c = k->config;
    for (size_t i = 0; i < c->virtual_host_count; i++) {
        if (c->virtual_hosts[i].object->kind == OBJECT_VIRTUAL_SERVICE) {
            check_virtual_service(k, &c->virtual_hosts[i]);
        }
    }
    for (size_t i = c->kind_first[OBJECT_HTTP_ROUTE]; i < c->kind_first[OBJECT_HTTP_ROUTE + 1];
         i++) {
        const struct http_route_spec *spec = http_route_of(c->objects[i]);
        for (size_t n = 0; n < spec->parent_count; n++) {
            check_parent(k, c->objects[i], &spec->parents[n], n);
        }
        for (size_t n = 0; n < spec->rule_count; n++) {
            check_rule(k, c->objects[i], &spec->rules[n], n);
        }
    }
}
