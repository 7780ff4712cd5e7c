/* Routes: every VirtualService and HTTPRoute lowered, then found where they count: hosts of gateway "mesh", services that HTTPRoutes have as
 * parents, servers of gateways. What several objects say of one host is merged here.
 * In: objects, services, gateways. Out: virtual_hosts, mesh_hosts, world_service.routes, world_server.bound. Next: translate. */
#include <stdlib.h>

#include "base/mem.h"
#include "control/world/lower.h"
#include "model/gateway_api.h"

struct routing {
    struct world_config *config;
    struct map by_gateway; /* key of a gateway -> struct bucket */
    struct map by_service; /* host of the parent service -> struct bucket */
};

struct bucket { /* virtual hosts, in the order of their objects: oldest first of a kind */
    struct span key;
    struct world_ptrs items;
};

static void put(struct routing *r, struct map *map, struct span key,
                const struct world_virtual_host *v)
{
    struct bucket *b = map_get(map, key);
    if (b == NULL) {
        b = arena_new(&r->config->arena, struct bucket);
        b->key = key;
        (void)map_put(map, b->key, b);
    }
    if (b->items.count == 0 || b->items.items[b->items.count - 1] != v) { /* named twice */
        world_ptrs_add(&b->items, (void *)(uintptr_t)v);
    }
}

static void dispose(struct map *map)
{
    for (struct map_slot *slot = NULL; (slot = map_next(map, slot)) != NULL;) {
        struct bucket *b = slot->value;
        world_ptrs_dispose(&b->items);
    }
    map_dispose(map);
}

/* ---- what holds at one gateway ---- */

static bool names(const struct span *gateways, size_t count, struct span key)
{
    for (size_t i = 0; i < count; i++) {
        if (span_eq(gateways[i], key)) {
            return true;
        }
    }
    return count == 0;
}

static bool is_split(const struct world_virtual_host *v)
{
    for (size_t i = 0; i < v->route_count; i++) {
        for (size_t k = 0; k < v->routes[i].match_count; k++) {
            if (v->routes[i].matches[k].gateway_count > 0) {
                return true;
            }
        }
    }
    for (size_t i = 0; i < v->l4_count; i++) {
        for (size_t k = 0; k < v->l4[i].match_count; k++) {
            if (v->l4[i].matches[k].gateway_count > 0) {
                return true;
            }
        }
    }
    return false;
}

static void keep_routes(struct world_config *c, const struct world_virtual_host *from,
                        struct span key, struct world_virtual_host *to)
{
    struct world_route *routes = arena_array(&c->arena, from->route_count, sizeof(*routes));
    to->route_count = 0;
    for (size_t i = 0; i < from->route_count; i++) {
        struct world_route *route = &routes[to->route_count];
        const struct world_match *matches = from->routes[i].matches;
        *route = from->routes[i];
        struct world_match *kept = arena_array(&c->arena, route->match_count, sizeof(*kept));
        size_t before = route->match_count;
        route->match_count = 0;
        for (size_t k = 0; k < before; k++) {
            if (names(matches[k].gateways, matches[k].gateway_count, key)) {
                kept[route->match_count++] = matches[k];
            }
        }
        route->matches = kept;
        to->route_count += before == 0 || route->match_count > 0;
    }
    to->routes = routes;
}

static void keep_l4(struct world_config *c, const struct world_virtual_host *from, struct span key,
                    struct world_virtual_host *to)
{
    struct world_l4_route *routes = arena_array(&c->arena, from->l4_count, sizeof(*routes));
    to->l4_count = 0;
    for (size_t i = 0; i < from->l4_count; i++) {
        struct world_l4_route *route = &routes[to->l4_count];
        const struct world_l4_match *matches = from->l4[i].matches;
        *route = from->l4[i];
        struct world_l4_match *kept = arena_array(&c->arena, route->match_count, sizeof(*kept));
        size_t before = route->match_count;
        route->match_count = 0;
        for (size_t k = 0; k < before; k++) {
            if (names(matches[k].gateways, matches[k].gateway_count, key)) {
                kept[route->match_count++] = matches[k];
            }
        }
        route->matches = kept;
        to->l4_count += before == 0 || route->match_count > 0;
    }
    to->l4 = routes;
}

/* Without the matches that are for other gateways; mostly the same one. */
static const struct world_virtual_host *at_gateway(struct world_config *c,
                                                   const struct world_virtual_host *v,
                                                   struct span key)
{
    if (!is_split(v)) {
        return v;
    }
    struct world_virtual_host *copy = arena_new(&c->arena, struct world_virtual_host);
    *copy = *v;
    keep_routes(c, v, key, copy);
    keep_l4(c, v, key, copy);
    return copy;
}

/* ---- merging ---- */

static bool is_everything(const struct world_match *m)
{
    bool any_path = !m->has_path ||
                    (m->path.kind == WORLD_MATCH_PREFIX && span_is(m->path.text, "/")) ||
                    (m->path.kind == WORLD_MATCH_REGEX && span_is(m->path.text, ".*"));
    return any_path && !m->has_method && !m->has_authority && !m->has_scheme &&
           m->header_count == 0 && m->query_count == 0 && m->port == 0 &&
           m->source_label_count == 0 && m->source_namespace.len == 0;
}

static bool is_catch_all(const struct world_route *r)
{
    for (size_t i = 0; i < r->match_count; i++) {
        if (is_everything(&r->matches[i])) {
            return true;
        }
    }
    return r->match_count == 0;
}

/* VirtualServices one after the other, the oldest first; what takes everything goes to the end, so that it does not hide the
 * rules of the next (istio route.SortVHostRoutes). Nothing behind it in its own object is reached anyway. */
static size_t append_istio(const struct world_ptrs *list, struct world_route *to)
{
    size_t count = 0;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < list->count; i++) {
            const struct world_virtual_host *v = list->items[i];
            for (size_t k = 0; k < v->route_count; k++) {
                bool last = is_catch_all(&v->routes[k]);
                if (last == (round == 1)) {
                    to[count++] = v->routes[k];
                }
                if (last) {
                    break;
                }
            }
        }
    }
    return count;
}

static size_t append_api(const struct world_ptrs *list, struct world_route *to)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct world_virtual_host *v = list->items[i];
        memcpy(to + count, v->routes, v->route_count * sizeof(*to));
        count += v->route_count;
    }
    lower_http_route_sort(to, count);
    return count;
}

/* All of one kind. */
static const struct world_virtual_host *merge(struct world_config *c, const struct world_ptrs *list)
{
    const struct world_virtual_host *first = list->items[0];
    if (list->count == 1) {
        return first;
    }
    size_t most = 0, l4 = 0;
    for (size_t i = 0; i < list->count; i++) {
        most += ((const struct world_virtual_host *)list->items[i])->route_count;
        l4 += ((const struct world_virtual_host *)list->items[i])->l4_count;
    }
    struct world_virtual_host *v = arena_new(&c->arena, struct world_virtual_host);
    struct world_route *routes = arena_array(&c->arena, most, sizeof(*routes));
    struct world_l4_route *l4_routes = arena_array(&c->arena, l4, sizeof(*l4_routes));
    *v = *first;
    v->route_count = first->object->kind == OBJECT_HTTP_ROUTE ? append_api(list, routes)
                                                              : append_istio(list, routes);
    v->routes = routes;
    v->l4_count = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct world_virtual_host *from = list->items[i];
        for (size_t k = 0; k < from->l4_count; k++) {
            l4_routes[v->l4_count++] = from->l4[k];
        }
    }
    v->l4 = l4_routes;
    return v;
}

/* ---- lowering ---- */

static void lower_parents(struct routing *r, const struct world_virtual_host *base)
{
    struct world_config *c = r->config;
    const struct http_route_spec *spec = http_route_of(base->object);
    struct world_virtual_host *at_gateways = NULL;
    struct span *keys = arena_array(&c->arena, spec->parent_count, sizeof(*keys));
    for (size_t i = 0; i < spec->parent_count; i++) {
        const struct http_route_parent *p = &spec->parents[i];
        if (p->kind == HTTP_ROUTE_PARENT_SERVICE) {
            struct span host =
                span_of(arena_printf(&c->arena, "%.*s.%.*s.svc.%.*s", SPAN_ARG(p->name),
                                     SPAN_ARG(p->namespace), SPAN_ARG(c->mesh.domain)));
            struct world_virtual_host *v = &c->virtual_hosts[c->virtual_host_count++];
            *v = *base;
            v->service = world_resolve(c, host, p->namespace);
            v->service_port = p->port;
            put(r, &r->by_service, host, v);
            continue;
        }
        if (at_gateways == NULL) {
            at_gateways = &c->virtual_hosts[c->virtual_host_count++];
            *at_gateways = *base;
            at_gateways->gateways = keys;
        }
        struct span key = span_of(arena_printf(&c->arena, "gateway-api/%.*s/%.*s",
                                               SPAN_ARG(p->namespace), SPAN_ARG(p->name)));
        put(r, &r->by_gateway, key, at_gateways);
        keys[at_gateways->gateway_count++] =
            p->section.len == 0 ? key
                                : span_of(arena_printf(&c->arena, "%.*s/%.*s", SPAN_ARG(key),
                                                       SPAN_ARG(p->section)));
    }
}

static void lower_all(struct routing *r)
{
    struct world_config *c = r->config;
    size_t services = c->kind_first[OBJECT_VIRTUAL_SERVICE];
    size_t services_end = c->kind_first[OBJECT_VIRTUAL_SERVICE + 1];
    size_t routes = c->kind_first[OBJECT_HTTP_ROUTE];
    size_t routes_end = c->kind_first[OBJECT_HTTP_ROUTE + 1];
    size_t most = services_end - services;
    for (size_t i = routes; i < routes_end; i++) {
        most += 1 + http_route_of(c->objects[i])->parent_count;
    }
    c->virtual_hosts = arena_array(&c->arena, most, sizeof(*c->virtual_hosts));
    for (size_t i = services; i < services_end; i++) {
        struct world_virtual_host *v = &c->virtual_hosts[c->virtual_host_count++];
        lower_virtual_service(c, c->objects[i], v);
        for (size_t k = 0; k < v->gateway_count; k++) {
            put(r, &r->by_gateway, v->gateways[k], v);
        }
    }
    for (size_t i = routes; i < routes_end; i++) {
        struct world_virtual_host base = {.host_count = 0};
        lower_http_route(c, c->objects[i], &base);
        lower_parents(r, &base);
    }
}

/* ---- sidecars ---- */

static void add_candidate(struct world_config *c, struct span host,
                          const struct world_virtual_host *v)
{
    struct world_candidates *all = map_get(&c->mesh_hosts, host);
    if (all == NULL) {
        all = arena_new(&c->arena, struct world_candidates);
        all->host = host;
        (void)map_put(&c->mesh_hosts, all->host, all);
    }
    /* few objects speak of one host: grown one by one */
    const struct world_virtual_host **grown =
        arena_array(&c->arena, all->count + 1, sizeof(const struct world_virtual_host *));
    if (all->count > 0) {
        memcpy(grown, all->items, all->count * sizeof(const struct world_virtual_host *));
    }
    grown[all->count++] = v;
    all->items = grown;
}

static void bind_mesh(struct routing *r)
{
    static const struct span mesh = SPAN_INIT("mesh");
    const struct bucket *b = map_get(&r->by_gateway, mesh);
    for (size_t i = 0; b != NULL && i < b->items.count; i++) {
        const struct world_virtual_host *v = b->items.items[i];
        const struct world_virtual_host *here = at_gateway(r->config, v, mesh);
        for (size_t k = 0; k < v->host_count; k++) {
            add_candidate(r->config, v->hosts[k], here);
        }
    }
}

/* ---- services as parents ---- */

/* Those of one namespace that speak of this port (0: of all ports), merged. */
static const struct world_virtual_host *merge_port(struct world_config *c, const struct bucket *b,
                                                   const struct world_service *s,
                                                   struct span namespace, uint16_t port)
{
    struct world_ptrs list = {.items = NULL};
    struct world_virtual_host *out = NULL;
    for (size_t i = 0; i < b->items.count; i++) {
        const struct world_virtual_host *v = b->items.items[i];
        if (span_eq(v->namespace, namespace) && (v->service_port == 0 || v->service_port == port)) {
            world_ptrs_add(&list, (void *)(uintptr_t)v);
        }
    }
    if (list.count > 0) {
        out = arena_new(&c->arena, struct world_virtual_host);
        *out = *merge(c, &list);
        out->service = s;
        out->service_port = port;
    }
    world_ptrs_dispose(&list);
    return out;
}

static bool is_first_of_namespace(const struct bucket *b, size_t at)
{
    const struct world_virtual_host *v = b->items.items[at];
    for (size_t i = 0; i < at; i++) {
        if (span_eq(((const struct world_virtual_host *)b->items.items[i])->namespace,
                    v->namespace)) {
            return false;
        }
    }
    return true;
}

static bool names_ports(const struct bucket *b)
{
    for (size_t i = 0; i < b->items.count; i++) {
        if (((const struct world_virtual_host *)b->items.items[i])->service_port != 0) {
            return true;
        }
    }
    return false;
}

static void bind_service(struct world_config *c, const struct bucket *b, struct world_service *s)
{
    bool by_port = names_ports(b);
    size_t ports = by_port ? s->port_count : 1;
    const struct world_virtual_host **list =
        arena_array(&c->arena, b->items.count * ports, sizeof(const struct world_virtual_host *));
    for (size_t i = 0; i < b->items.count; i++) {
        if (!is_first_of_namespace(b, i)) {
            continue;
        }
        struct span namespace = ((const struct world_virtual_host *)b->items.items[i])->namespace;
        for (size_t p = 0; p < ports; p++) {
            const struct world_virtual_host *v =
                merge_port(c, b, s, namespace, by_port ? s->ports[p].number : 0);
            if (v != NULL) {
                list[s->route_count++] = v;
            }
        }
    }
    s->routes = list;
}

static void bind_services(struct routing *r)
{
    for (struct map_slot *slot = NULL; (slot = map_next(&r->by_service, slot)) != NULL;) {
        const struct bucket *b = slot->value;
        struct world_service *s = map_get(&r->config->by_host, b->key);
        if (s != NULL) {
            bind_service(r->config, b, s);
        }
    }
}

/* ---- servers of gateways ---- */

struct binding {
    struct span host;
    const struct world_virtual_host *vhost;
    size_t place;
};

struct bindings {
    struct binding *items;
    size_t count, room;
};

static void add_binding(struct bindings *b, struct span host, const struct world_virtual_host *v)
{
    if (b->count == b->room) {
        b->room = b->room > 0 ? b->room * 2 : 16;
        b->items = mem_realloc(b->items, b->room * sizeof(*b->items));
    }
    b->items[b->count] = (struct binding){host, v, b->count};
    b->count++;
}

/* Exact hosts first, then the longest wildcard. */
static int by_host(const void *a, const void *b)
{
    const struct binding *x = a, *y = b;
    bool x_wide = x->host.at[0] == '*', y_wide = y->host.at[0] == '*';
    if (x_wide != y_wide) {
        return x_wide ? 1 : -1;
    }
    if (x_wide && x->host.len != y->host.len) {
        return x->host.len > y->host.len ? -1 : 1;
    }
    int order = span_cmp(x->host, y->host);
    return order != 0 ? order : (x->place > y->place) - (x->place < y->place);
}

bool world_listener_allows(const struct world_config *c, const struct gateway_listener *l,
                           struct span gateway_namespace, struct span route_namespace)
{
    bool kind = l->route_kinds.count == 0;
    for (size_t i = 0; i < l->route_kinds.count; i++) {
        kind |= span_is(l->route_kinds.items[i], "HTTPRoute");
    }
    if (!kind || (l->protocol != GATEWAY_HTTP && l->protocol != GATEWAY_HTTPS)) {
        return false;
    }
    if (l->routes_from == GATEWAY_ROUTES_SAME) {
        return span_eq(route_namespace, gateway_namespace);
    }
    if (l->routes_from == GATEWAY_ROUTES_ALL) {
        return true;
    }
    const struct object *namespace = map_get(&c->namespaces, route_namespace);
    const struct label own = {SPAN("kubernetes.io/metadata.name"), route_namespace};
    return namespace != NULL
               ? selector_matches(&l->routes_selector, namespace->labels, namespace->label_count)
               : selector_matches(&l->routes_selector, &own, 1);
}

/* A parentRef that means this listener. */
static bool parent_names(const struct world_gateway *g, const struct world_server *s,
                         const struct world_virtual_host *v)
{
    const struct http_route_spec *spec = http_route_of(v->object);
    for (size_t i = 0; i < spec->parent_count; i++) {
        const struct http_route_parent *p = &spec->parents[i];
        if (p->kind == HTTP_ROUTE_PARENT_GATEWAY && span_eq(p->name, g->name) &&
            span_eq(p->namespace, g->namespace) &&
            (p->section.len == 0 || span_eq(p->section, s->name)) &&
            (p->port == 0 || p->port == s->port)) {
            return true;
        }
    }
    return false;
}

static bool may_bind(const struct world_config *c, const struct world_gateway *g,
                     const struct world_server *s, const struct world_virtual_host *v)
{
    if (s->listener != NULL) {
        return v->object->kind == OBJECT_HTTP_ROUTE && parent_names(g, s, v) &&
               world_listener_allows(c, s->listener, g->namespace, v->namespace);
    }
    return world_is_exported(v->export_to, v->export_count, g->namespace);
}

/* The hosts that both have: of two that overlap the narrower one. */
static void intersect(struct bindings *to, const struct world_server *s,
                      const struct world_virtual_host *own, const struct world_virtual_host *v)
{
    for (size_t i = 0; i < s->host_count; i++) {
        if (!span_is(s->host_namespaces[i], "*") && !span_eq(s->host_namespaces[i], v->namespace)) {
            continue;
        }
        if (v->host_count == 0) {
            add_binding(to, s->hosts[i], own);
        }
        for (size_t k = 0; k < v->host_count; k++) {
            if (world_host_covers(s->hosts[i], v->hosts[k])) {
                add_binding(to, v->hosts[k], own);
            } else if (world_host_covers(v->hosts[k], s->hosts[i])) {
                add_binding(to, s->hosts[i], own);
            }
        }
    }
}

static void finish_server(struct world_config *c, struct bindings *from, struct world_server *s)
{
    struct world_bound_host *bound = arena_array(&c->arena, from->count, sizeof(*bound));
    struct world_ptrs list = {.items = NULL};
    if (from->count > 1) {
        qsort(from->items, from->count, sizeof(*from->items), by_host);
    }
    for (size_t i = 0; i < from->count;) {
        struct span host = from->items[i].host;
        list.count = 0;
        for (; i < from->count && span_eq(from->items[i].host, host); i++) {
            if (!world_ptrs_has(&list, from->items[i].vhost)) {
                world_ptrs_add(&list, (void *)(uintptr_t)from->items[i].vhost);
            }
        }
        bound[s->bound_count++] = (struct world_bound_host){host, merge(c, &list)};
    }
    s->bound = bound;
    world_ptrs_dispose(&list);
}

static void note_bound(struct world_gateway *g, const struct object *o)
{
    for (size_t i = 0; i < g->route_count; i++) {
        if (g->routes[i] == o) {
            return;
        }
    }
    g->routes[g->route_count++] = o;
}

static void bind_gateway(struct routing *r, struct world_gateway *g)
{
    const struct bucket *b = map_get(&r->by_gateway, g->key);
    struct bindings bindings = {.items = NULL};
    g->routes = arena_array(&r->config->arena, b != NULL ? b->items.count : 0,
                            sizeof(const struct object *));
    for (size_t i = 0; b != NULL && i < g->server_count; i++) {
        struct world_server *s = (struct world_server *)(uintptr_t)&g->servers[i];
        bindings.count = 0;
        for (size_t k = 0; k < b->items.count; k++) {
            const struct world_virtual_host *v = b->items.items[k];
            size_t before = bindings.count;
            if (may_bind(r->config, g, s, v)) {
                intersect(&bindings, s, at_gateway(r->config, v, g->key), v);
            }
            if (bindings.count > before) {
                note_bound(g, v->object);
            }
        }
        finish_server(r->config, &bindings, s);
    }
    mem_free(bindings.items);
}

void world_routes_lower(struct world_config *c)
{
    struct routing r = {.config = c};
    map_init(&r.by_gateway);
    map_init(&r.by_service);
    lower_all(&r);
    bind_mesh(&r);
    bind_services(&r);
    for (size_t i = 0; i < c->gateway_count; i++) {
        bind_gateway(&r, &c->gateways[i]);
    }
    dispose(&r.by_gateway);
    dispose(&r.by_service);
}
