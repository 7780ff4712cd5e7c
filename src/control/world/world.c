/* Lookups in a world, and its life. Any thread: everything is immutable but the counts. */
#include "control/world/world.h"

#include "base/mem.h"
#include "control/world/world_int.h"

#define HOST_MAX 253 /* RFC 1035 section 2.3.4, without the last dot */

/* ---- life ---- */

static void config_unref(struct world_config *c)
{
    if (__atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    for (size_t i = 0; i < c->object_count; i++) {
        /* the list is const for readers; the reference is ours */
        object_unref((struct object *)(uintptr_t)c->objects[i]);
    }
    map_dispose(&c->by_host);
    map_dispose(&c->by_address);
    map_dispose(&c->by_key);
    map_dispose(&c->namespaces);
    map_dispose(&c->mesh_hosts);
    arena_dispose(&c->arena);
    mem_free(c);
}

struct world *world_ref(struct world *w)
{
    (void)__atomic_add_fetch(&w->refs, 1, __ATOMIC_RELAXED);
    return w;
}

void world_unref(struct world *w)
{
    if (w == NULL || __atomic_sub_fetch(&w->refs, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    for (size_t i = 0; i < WORLD_SHARDS; i++) { /* before config, into which they point */
        world_shard_unref(w->shards[i]);
    }
    for (size_t i = 0; i < w->config->service_count; i++) {
        world_endpoints_unref(w->endpoints[i]);
    }
    config_unref(w->config);
    mem_free(w->shards);
    mem_free(w->endpoints);
    mem_free(w);
}

/* ---- lists ---- */

void world_ptrs_add(struct world_ptrs *p, void *item)
{
    if (p->count == p->room) {
        p->room = p->room > 0 ? p->room * 2 : 4;
        p->items = mem_realloc(p->items, p->room * sizeof(void *));
    }
    p->items[p->count++] = item;
}

void world_ptrs_remove(struct world_ptrs *p, const void *item)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->items[i] == item) {
            p->items[i] = p->items[--p->count];
            return;
        }
    }
}

bool world_ptrs_has(const struct world_ptrs *p, const void *item)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->items[i] == item) {
            return true;
        }
    }
    return false;
}

void world_ptrs_dispose(struct world_ptrs *p)
{
    mem_free(p->items);
    *p = (struct world_ptrs){.items = NULL};
}

/* ---- names ---- */

bool world_is_exported(const struct span *export_to, size_t count, struct span namespace)
{
    for (size_t i = 0; i < count; i++) {
        if (span_eq(export_to[i], namespace)) {
            return true;
        }
    }
    return count == 0;
}

bool world_is_visible(const struct world_service *s, struct span client_namespace)
{
    return world_is_exported(s->export_to, s->export_count, client_namespace);
}

bool world_host_covers(struct span wide, struct span host)
{
    if (wide.len == 0 || wide.at[0] != '*') {
        return span_eq(wide, host);
    }
    return span_ends(host, span_from_offset(wide, 1)) && host.len >= wide.len;
}

bool world_labels_match(const struct label *wanted, size_t wanted_count, const struct label *labels,
                        size_t count)
{
    for (size_t i = 0; i < wanted_count; i++) {
        struct span value = selector_label(labels, count, wanted[i].key);
        if (value.at == NULL || !span_eq(value, wanted[i].value)) {
            return false;
        }
    }
    return true;
}

bool world_each_wildcard(const struct map *table, struct span host,
                         bool (*found)(void *arg, void *value), void *arg)
{
    char text[HOST_MAX + 1];
    if (host.len == 0 || host.len > HOST_MAX) {
        return false;
    }
    memcpy(text, host.at, host.len);
    for (size_t i = host.at[0] == '*' ? 2 : 1; i < host.len; i++) {
        if (text[i] == '.') {
            text[i - 1] = '*';
            void *value = map_get(table, span_from(&text[i - 1], host.len - i + 1));
            if (value != NULL && found(arg, value)) {
                return true;
            }
        }
    }
    void *value = map_get(table, SPAN("*"));
    return value != NULL && found(arg, value);
}

/* Which of several services of one host; `any` takes what is not exported too, after all others. */
static const struct world_service *pick(const struct world_service *first, struct span namespace,
                                        bool any)
{
    const struct world_service *seen = NULL;
    for (const struct world_service *s = first; s != NULL; s = s->same_host) {
        if (world_is_visible(s, namespace)) {
            if (span_eq(s->namespace, namespace)) {
                return s;
            }
            seen = seen != NULL ? seen : s;
        }
    }
    return seen == NULL && any ? first : seen;
}

struct host_query {
    const struct world_config *config;
    struct span namespace;
    bool any;
    const struct world_service *found;
};

static bool ask(struct host_query *q, struct span host)
{
    q->found = pick(map_get(&q->config->by_host, host), q->namespace, q->any);
    return q->found != NULL;
}

static bool ask_wildcard(void *arg, void *value)
{
    struct host_query *q = arg;
    q->found = pick(value, q->namespace, q->any);
    return q->found != NULL;
}

/* `text` followed by what it lacks of NAME.NAMESPACE.svc.DOMAIN. */
static bool ask_completed(struct host_query *q, struct span text)
{
    char full[3 * (HOST_MAX + 1) + 8];
    struct span domain = q->config->mesh.domain;
    ssize_t first = span_find_byte(text, '.'), last = span_rfind_byte(text, '.');
    struct span parts[4];
    size_t count = 0;
    parts[count++] = text;
    if (first < 0) {
        parts[count++] = q->namespace;
        parts[count++] = SPAN("svc");
    } else if (first == last) {
        parts[count++] = SPAN("svc");
    } else if (!span_ends(text, SPAN(".svc"))) {
        return false;
    }
    parts[count++] = domain;
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > HOST_MAX) {
            return false;
        }
        if (i > 0) {
            full[len++] = '.';
        }
        memcpy(full + len, parts[i].at, parts[i].len);
        len += parts[i].len;
    }
    return ask(q, span_from(full, len));
}

static bool ask_address(struct host_query *q, struct span text)
{
    struct ip ip;
    if (ip_parse(text, &ip) != 0) {
        return false;
    }
    const struct world_address *at = map_get(&q->config->by_address, world_ip_key(&ip));
    for (size_t i = 0; at != NULL && q->found == NULL && i < at->count; i++) {
        if (q->any || world_is_visible(at->services[i], q->namespace)) {
            q->found = at->services[i];
        }
    }
    return q->found != NULL;
}

static const struct world_service *find(const struct world_config *c, struct span host,
                                        struct span namespace, bool any)
{
    char lower[HOST_MAX + 1];
    if (host.len > 0 && host.at[host.len - 1] == '.') {
        host.len--;
    }
    if (host.len == 0 || host.len > HOST_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < host.len; i++) {
        lower[i] = (char)(host.at[i] >= 'A' && host.at[i] <= 'Z' ? host.at[i] | 0x20 : host.at[i]);
    }
    struct span text = span_from(lower, host.len);
    struct host_query q = {.config = c, .namespace = namespace, .any = any};
    if (!ask(&q, text) && !ask_completed(&q, text) && !ask_address(&q, text)) {
        (void)world_each_wildcard(&c->by_host, text, ask_wildcard, &q);
    }
    return q.found;
}

const struct world_service *world_resolve(const struct world_config *c, struct span host,
                                          struct span namespace)
{
    return find(c, host, namespace, true);
}

const struct world_service *world_find_in(const struct world_config *c, struct span host,
                                          struct span client_namespace)
{
    return find(c, host, client_namespace, false);
}

const struct world_service *world_find_host(const struct world *w, struct span host,
                                            struct span client_namespace)
{
    return find(w->config, host, client_namespace, false);
}

/* ---- addresses ---- */

const struct world_port *world_port_of(const struct world_service *s, uint16_t number)
{
    for (size_t i = 0; i < s->port_count; i++) {
        if (s->ports[i].number == number) {
            return &s->ports[i];
        }
    }
    return NULL;
}

const struct world_workload *world_workload_at(const struct world *w, const struct ip *address)
{
    const struct world_shard *shard = w->shards[world_shard_of(address)];
    for (size_t i = 0; i < shard->count; i++) {
        if (ip_eq(&shard->items[i].address, address)) {
            return &shard->items[i];
        }
    }
    return NULL;
}

void world_each_workload(const struct world *w,
                         void (*on_workload)(void *arg, const struct world_workload *workload),
                         void *arg)
{
    for (size_t i = 0; i < WORLD_SHARDS; i++) {
        for (size_t k = 0; k < w->shards[i]->count; k++) {
            on_workload(arg, &w->shards[i]->items[k]);
        }
    }
}

static const struct world_service *owner_of(const struct world_config *c, const struct ip *address,
                                            uint16_t port, struct span namespace)
{
    const struct world_service *seen = NULL;
    const struct world_address *at = map_get(&c->by_address, world_ip_key(address));
    for (size_t i = 0; at != NULL && i < at->count; i++) {
        const struct world_service *s = at->services[i];
        if (world_is_visible(s, namespace) && world_port_of(s, port) != NULL &&
            (seen == NULL || span_eq(s->namespace, namespace))) {
            seen = s;
            if (span_eq(s->namespace, namespace)) {
                return s;
            }
        }
    }
    for (size_t i = 0; seen == NULL && i < c->range_count; i++) {
        const struct world_service *s = c->ranges[i].service;
        if (cidr_contains(&c->ranges[i].cidr, address) && world_is_visible(s, namespace) &&
            world_port_of(s, port) != NULL) {
            seen = s;
        }
    }
    return seen;
}

/* A headless service that has an endpoint there. */
static const struct world_serve *headless_at(const struct world *w, const struct ip *address,
                                             uint16_t port, struct span namespace)
{
    const struct world_workload *workload = world_workload_at(w, address);
    const struct world_serve *seen = NULL;
    for (size_t i = 0; workload != NULL && i < workload->serve_count; i++) {
        const struct world_serve *serve = &workload->serves[i];
        if (!serve->service->headless || !world_is_visible(serve->service, namespace)) {
            continue;
        }
        if (serve->target == port) {
            return serve;
        }
        if (serve->port->number == port && seen == NULL) {
            seen = serve;
        }
    }
    return seen;
}

const struct world_service *world_service_at(const struct world *w, const struct ip *address,
                                             uint16_t port, struct span client_namespace,
                                             const struct world_port **service_port)
{
    const struct world_service *s = owner_of(w->config, address, port, client_namespace);
    const struct world_port *found = s != NULL ? world_port_of(s, port) : NULL;
    if (s == NULL) {
        const struct world_serve *serve = headless_at(w, address, port, client_namespace);
        s = serve != NULL ? serve->service : NULL;
        found = serve != NULL ? serve->port : NULL;
    }
    if (service_port != NULL) {
        *service_port = found;
    }
    return s;
}

/* ---- policies and routes of a service ---- */

static bool is_private(const struct world_rule *r)
{
    return r->export_count == 1 && span_eq(r->export_to[0], r->namespace);
}

const struct world_rule *world_rule_for(const struct world *w, const struct world_service *s,
                                        struct span client_namespace)
{
    const struct world_config *c = w->config;
    const struct world_rule *of_service = NULL, *of_root = NULL;
    bool in_root = span_eq(client_namespace, c->mesh.root_namespace);
    for (size_t i = 0; i < s->rule_count; i++) {
        const struct world_rule *r = &s->rules[i];
        if (!world_is_exported(r->export_to, r->export_count, client_namespace)) {
            continue;
        }
        /* Rules of the root namespace are for everyone, so that its own proxies (gateways) take only those that are
         * meant for them alone before the service's. */
        if (span_eq(r->namespace, client_namespace) && (!in_root || is_private(r))) {
            return r;
        }
        if (of_service == NULL && span_eq(r->namespace, s->namespace)) {
            of_service = r;
        }
        if (of_root == NULL && span_eq(r->namespace, c->mesh.root_namespace)) {
            of_root = r;
        }
    }
    return of_service != NULL ? of_service : of_root != NULL ? of_root : c->default_rule;
}

struct route_query {
    struct span namespace;
    const struct world_virtual_host *found;
};

/* Exported to this namespace alone, then by name, then to all; within these the oldest (Istio's order). */
static bool pick_route(void *arg, void *value)
{
    struct route_query *q = arg;
    const struct world_candidates *all = value;
    int best = 3;
    for (size_t i = 0; i < all->count; i++) {
        const struct world_virtual_host *v = all->items[i];
        if (!world_is_exported(v->export_to, v->export_count, q->namespace)) {
            continue;
        }
        bool own = v->export_count == 1 && span_eq(v->namespace, q->namespace);
        int rank = own ? 0 : v->export_count > 0 ? 1 : 2;
        if (rank < best) {
            best = rank;
            q->found = v;
        }
    }
    return q->found != NULL;
}

const struct world_virtual_host *world_mesh_routes(const struct world *w, struct span host,
                                                   const struct world_service *s, uint16_t port,
                                                   struct span client_namespace)
{
    const struct world_virtual_host *producer = NULL;
    for (size_t i = 0; s != NULL && i < s->route_count; i++) {
        const struct world_virtual_host *v = s->routes[i];
        if (v->service_port != 0 && v->service_port != port) {
            continue;
        }
        if (span_eq(v->namespace, s->namespace)) {
            producer = v;
        } else if (span_eq(v->namespace, client_namespace)) {
            return v; /* a consumer's route wins over the producer's (GEP-1426) */
        }
    }
    if (producer != NULL) {
        return producer;
    }
    struct route_query q = {.namespace = client_namespace};
    const struct map *table = &w->config->mesh_hosts;
    void *exact = map_get(table, host);
    if (exact != NULL && pick_route(&q, exact)) {
        return q.found;
    }
    if (s != NULL && (exact = map_get(table, s->host)) != NULL && pick_route(&q, exact)) {
        return q.found;
    }
    (void)world_each_wildcard(table, s != NULL && s->host.at[0] != '*' ? s->host : host, pick_route,
                              &q);
    return q.found;
}
