/* The builder: takes objects, and makes a world of them. Everything but EndpointSlices, WorkloadEntries, Pods and Nodes makes a new config; those
 * only touch the services and addresses that they concern.
 * In: sources. Out: world, world_change. Next: push. */
#include <stdlib.h>

#include "base/mem.h"
#include "control/world/lower.h"
#include "model/pod.h"

#define CONFIG_ARENA_BLOCK (64UL << 10)
#define WAITS_MAX 1000

struct pending {                   /* an EndpointSlice, WorkloadEntry, Pod or Node that changed */
    struct object *before, *after; /* references; either may be NULL */
};

struct wait {
    struct span key; /* behind this struct */
    unsigned *services;
    size_t count, room;
};

struct world_builder {
    struct map objects; /* by key; each with a reference */
    bool dirty;         /* of config */
    size_t pod_count;
    struct pending *pending;
    size_t pending_count, pending_room;
    struct span trust_domain, cluster_id; /* owned */
    /* of `now` */
    struct world *now;             /* a reference; NULL before the first build */
    struct world_members *members; /* of now->config */
    struct world_places *places;
    struct world_vips *vips;
    struct map waits; /* key of a Pod -> struct wait: endpoints name it, and it is not known */
    /* of one build */
    bool *affected; /* by service */
    const struct world_service **changed;
    size_t changed_count;
    uint64_t version;
};

struct world_builder *world_builder_new(void)
{
    struct world_builder *b = mem_new(struct world_builder);
    map_init(&b->objects);
    b->dirty = true;
    b->places = world_places_new();
    b->vips = world_vips_new();
    map_init(&b->waits);
    return b;
}

static void forget_pending(struct world_builder *b)
{
    for (size_t i = 0; i < b->pending_count; i++) {
        object_unref(b->pending[i].before);
        object_unref(b->pending[i].after);
    }
    b->pending_count = 0;
}

static void forget_waits(struct world_builder *b)
{
    for (struct map_slot *slot = NULL; (slot = map_next(&b->waits, slot)) != NULL;) {
        struct wait *wait = slot->value;
        mem_free(wait->services);
        mem_free(wait);
    }
    map_reset(&b->waits);
}

void world_builder_free(struct world_builder *b)
{
    if (b == NULL) {
        return;
    }
    forget_pending(b);
    forget_waits(b);
    map_dispose(&b->waits);
    mem_free(b->pending);
    world_members_free(b->members);
    world_places_free(b->places);
    world_vips_free(b->vips);
    world_unref(b->now);
    for (struct map_slot *slot = NULL; (slot = map_next(&b->objects, slot)) != NULL;) {
        object_unref(slot->value);
    }
    map_dispose(&b->objects);
    mem_free(b->affected);
    mem_free(b->changed);
    mem_free((char *)(uintptr_t)b->trust_domain.at);
    mem_free((char *)(uintptr_t)b->cluster_id.at);
    mem_free(b);
}

static void set_text(struct span *to, struct span text)
{
    mem_free((char *)(uintptr_t)to->at);
    *to = span_from(mem_strndup(text.at != NULL ? text.at : "", text.len), text.len);
}

void world_builder_set_defaults(struct world_builder *b, struct span trust_domain,
                                struct span cluster_id)
{
    set_text(&b->trust_domain, trust_domain);
    set_text(&b->cluster_id, cluster_id);
    b->dirty = true;
}

/* ---- objects ---- */

static bool is_endpoint_kind(const struct object *o)
{
    return o->kind == OBJECT_ENDPOINT_SLICE || o->kind == OBJECT_WORKLOAD_ENTRY ||
           o->kind == OBJECT_POD || o->kind == OBJECT_NODE;
}

/* Takes the reference to `before`; either may be NULL, as in struct pending. */
static void note(struct world_builder *b, struct object *before, struct object *after)
{
    const struct object *any = after != NULL ? after : before;
    if (any->kind == OBJECT_SERVICE_ACCOUNT) {
        ; /* nothing that a world shows depends on it */
    } else if (!is_endpoint_kind(any)) {
        b->dirty = true;
    } else if (!b->dirty) {
        if (b->pending_count == b->pending_room) {
            b->pending_room = b->pending_room > 0 ? b->pending_room * 2 : 8;
            b->pending = mem_realloc(b->pending, b->pending_room * sizeof(*b->pending));
        }
        b->pending[b->pending_count++] =
            (struct pending){before, after != NULL ? object_ref(after) : NULL};
        return;
    }
    object_unref(before);
}

static bool is_same_node(const struct object *a, const struct object *b)
{
    const struct pod_node_spec *x = pod_node_of(a), *y = pod_node_of(b);
    return span_eq(x->region, y->region) && span_eq(x->zone, y->zone) &&
           span_eq(x->sub_zone, y->sub_zone);
}

/* Documents but for `status`, which these kinds get from those who serve them. */
static bool is_same_but_status(const struct doc_node *a, const struct doc_node *b)
{
    for (size_t i = 0; i < a->count; i++) {
        if (!span_is(a->entries[i].key, "status") &&
            !doc_eq(a->entries[i].value, doc_get_span(b, a->entries[i].key))) {
            return false;
        }
    }
    bool a_has = doc_get(a, "status") != NULL, b_has = doc_get(b, "status") != NULL;
    return a->count - a_has == b->count - b_has;
}

/* Says the same at the same place: nothing to do. */
static bool is_same(const struct object *a, const struct object *b)
{
    if (!span_eq(a->file, b->file) || a->doc->line != b->doc->line ||
        a->created_us != b->created_us) {
        return false;
    }
    return a->kind == OBJECT_POD    ? pod_is_same(a, b) && pod_of(a)->ready == pod_of(b)->ready
           : a->kind == OBJECT_NODE ? is_same_node(a, b)
           : a->kind == OBJECT_GATEWAY || a->kind == OBJECT_HTTP_ROUTE ||
                   a->kind == OBJECT_GATEWAY_CLASS
               ? is_same_but_status(a->doc, b->doc)
               : doc_eq(a->doc, b->doc);
}

/* The first Pod and the last: from then on slices alone do, or do not, make endpoints. */
static void count_pods(struct world_builder *b, const struct object *before,
                       const struct object *after)
{
    bool had = b->pod_count > 0;
    b->pod_count += after != NULL && after->kind == OBJECT_POD;
    b->pod_count -= before != NULL && before->kind == OBJECT_POD;
    b->dirty |= had != (b->pod_count > 0);
}

void world_builder_put(struct world_builder *b, struct object *o)
{
    const struct object *old = map_get(&b->objects, o->key);
    if (old == o || (old != NULL && is_same(old, o))) {
        return;
    }
    struct object *before = map_put(&b->objects, o->key, object_ref(o));
    count_pods(b, before, o);
    note(b, before, o);
}

void world_builder_remove(struct world_builder *b, struct span key)
{
    struct object *before = map_remove(&b->objects, key);
    if (before != NULL) {
        count_pods(b, before, NULL);
        note(b, before, NULL);
    }
}

const struct object *world_builder_get(const struct world_builder *b, struct span key)
{
    return map_get(&b->objects, key);
}

static int by_key(const void *a, const void *b)
{
    const struct object *x = *(const struct object *const *)a;
    const struct object *y = *(const struct object *const *)b;
    return span_cmp(x->key, y->key);
}

void world_builder_each(const struct world_builder *b,
                        void (*on_object)(void *arg, const struct object *o), void *arg)
{
    struct world_ptrs all = {.items = NULL};
    for (struct map_slot *slot = NULL; (slot = map_next(&b->objects, slot)) != NULL;) {
        world_ptrs_add(&all, slot->value);
    }
    if (all.count > 1) {
        qsort(all.items, all.count, sizeof(void *), by_key);
    }
    for (size_t i = 0; i < all.count; i++) {
        on_object(arg, all.items[i]);
    }
    world_ptrs_dispose(&all);
}

bool world_builder_is_dirty(const struct world_builder *b)
{
    return b->dirty || b->pending_count > 0;
}

/* ---- config ---- */

int world_object_order(const struct object *a, const struct object *b)
{
    int order = (a->created_us > b->created_us) - (a->created_us < b->created_us);
    if (order == 0) {
        order = span_cmp(a->namespace, b->namespace);
    }
    return order != 0 ? order : span_cmp(a->name, b->name);
}

static int by_kind(const void *a, const void *b)
{
    const struct object *x = *(const struct object *const *)a;
    const struct object *y = *(const struct object *const *)b;
    return x->kind != y->kind ? (int)x->kind - (int)y->kind : world_object_order(x, y);
}

static void collect_objects(struct world_builder *b, struct world_config *c)
{
    size_t count = 0;
    for (struct map_slot *slot = NULL; (slot = map_next(&b->objects, slot)) != NULL;) {
        count += !is_endpoint_kind(slot->value);
    }
    c->objects = arena_array(&c->arena, count, sizeof(const struct object *));
    for (struct map_slot *slot = NULL; (slot = map_next(&b->objects, slot)) != NULL;) {
        const struct object *o = slot->value;
        if (!is_endpoint_kind(o) && o->kind != OBJECT_SERVICE_ACCOUNT) {
            c->objects[c->object_count++] = object_ref(slot->value);
            (void)map_put(&c->by_key, slot->key, slot->value); /* each is there once */
        }
    }
    if (c->object_count > 1) {
        qsort(c->objects, c->object_count, sizeof(const struct object *), by_kind);
    }
    size_t at = 0;
    for (unsigned kind = 0; kind <= OBJECT_KIND_COUNT; kind++) {
        while (at < c->object_count && (unsigned)c->objects[at]->kind < kind) {
            at++;
        }
        c->kind_first[kind] = at;
    }
}

static struct world_config *make_config(struct world_builder *b)
{
    struct world_config *c = mem_new(struct world_config);
    c->refs = 1;
    arena_init(&c->arena, CONFIG_ARENA_BLOCK);
    map_init(&c->by_host);
    map_init(&c->by_address);
    map_init(&c->by_key);
    map_init(&c->namespaces);
    map_init(&c->mesh_hosts);
    collect_objects(b, c);
    world_mesh_lower(c, b->trust_domain, b->cluster_id);
    world_services_lower(c, b->vips);
    lower_destination_rules(c);
    world_gateways_lower(c);
    world_routes_lower(c);
    world_security_lower(c);
    return c;
}

/* ---- worlds ---- */

static struct world *make_world(struct world_builder *b, struct world_config *config)
{
    struct world *w = mem_new(struct world);
    size_t count = config->service_count;
    w->refs = 1;
    w->version = ++b->version;
    w->knows_pods = b->pod_count > 0;
    w->config = config;
    w->endpoints = mem_array(count > 0 ? count : 1, sizeof(struct world_endpoints *));
    w->shards = mem_array(WORLD_SHARDS, sizeof(struct world_shard *));
    return w;
}

static const struct object *object_of(const struct world_builder *b, enum object_kind kind,
                                      struct span namespace, struct span name)
{
    char key[OBJECT_KEY_BYTES];
    return map_get(&b->objects, object_key(kind, namespace, name, key));
}

struct asking { /* the endpoints of one service ask */
    struct world_builder *builder;
    unsigned service;
};

static const struct object *pod_called(void *arg, struct span namespace, struct span name)
{
    const struct asking *a = arg;
    return object_of(a->builder, OBJECT_POD, namespace, name);
}

static const struct object *node_called(void *arg, struct span name)
{
    const struct asking *a = arg;
    return object_of(a->builder, OBJECT_NODE, SPAN_EMPTY, name);
}

static const struct object *occupant_at(void *arg, const struct ip *ip)
{
    const struct asking *a = arg;
    return world_places_occupant_at(a->builder->places, ip);
}

/* Once the Pod is there, the service's endpoints are made anew. */
static void wait_for_pod(void *arg, struct span namespace, struct span pod)
{
    const struct asking *a = arg;
    struct map *waits = &a->builder->waits;
    char text[OBJECT_KEY_BYTES];
    struct span key = object_key(OBJECT_POD, namespace, pod, text);
    struct wait *wait = map_get(waits, key);
    if (wait == NULL) {
        wait = mem_zalloc(sizeof(*wait) + key.len);
        memcpy(wait + 1, text, key.len);
        wait->key = span_from(wait + 1, key.len);
        (void)map_put(waits, wait->key, wait); /* there was none */
    }
    for (size_t i = 0; i < wait->count; i++) {
        if (wait->services[i] == a->service) {
            return;
        }
    }
    if (wait->count == wait->room) {
        wait->room = wait->room > 0 ? wait->room * 2 : 2;
        wait->services = mem_realloc(wait->services, wait->room * sizeof(*wait->services));
    }
    wait->services[wait->count++] = a->service;
}

static struct world_endpoints *make_endpoints(struct world_builder *b, const struct world_config *c,
                                              unsigned service)
{
    const struct world_ptrs *members = world_members_of(b->members, service);
    struct asking asking = {b, service};
    struct world_endpoint_source source = {
        .service = c->services[service],
        .members = (const struct object *const *)members->items,
        .member_count = members->count,
        .has_pods = b->pod_count > 0,
        .pod_of = pod_called,
        .node_of = node_called,
        .occupant_at = occupant_at,
        .on_unknown = wait_for_pod,
        .arg = &asking,
    };
    return world_endpoints_new(&source);
}

static void index_endpoint_objects(struct world_builder *b)
{
    world_places_clear(b->places);
    forget_waits(b);
    for (struct map_slot *slot = NULL; (slot = map_next(&b->objects, slot)) != NULL;) {
        const struct object *o = slot->value;
        if (is_endpoint_kind(o) && o->kind != OBJECT_NODE) {
            world_members_add(b->members, o, NULL, NULL);
        }
        if (o->kind == OBJECT_WORKLOAD_ENTRY || o->kind == OBJECT_POD) {
            world_places_add(b->places, o, NULL, NULL);
        }
    }
}

static struct world *build_all(struct world_builder *b)
{
    struct world_config *c = make_config(b);
    world_members_free(b->members); /* while the config it knows is alive */
    b->members = world_members_new(c);
    struct world *w = make_world(b, c);
    index_endpoint_objects(b);
    for (unsigned i = 0; i < c->service_count; i++) {
        w->endpoints[i] = make_endpoints(b, c, i);
        world_places_replace(b->places, i, NULL, w->endpoints[i]);
    }
    world_places_build(b->places, w, NULL);
    size_t room = c->service_count > 0 ? c->service_count : 1;
    mem_free(b->affected);
    mem_free(b->changed);
    b->affected = mem_array(room, sizeof(*b->affected));
    b->changed = mem_array(room, sizeof(const struct world_service *));
    return w;
}

/* ---- only endpoints ---- */

static void on_affected(void *arg, unsigned service)
{
    struct world_builder *b = arg;
    if (!b->affected[service]) {
        b->affected[service] = true;
        b->changed[b->changed_count++] = b->now->config->services[service];
    }
}

/* Endpoints that were left out as their Pod was not known. */
static void end_wait(struct world_builder *b, const struct object *pod)
{
    struct wait *wait = map_remove(&b->waits, pod->key);
    for (size_t i = 0; wait != NULL && i < wait->count; i++) {
        on_affected(b, wait->services[i]);
    }
    if (wait != NULL) {
        mem_free(wait->services);
        mem_free(wait);
    }
}

/* Pods that never came would be waited for for ever: who waits asks again. */
static void sweep_waits(struct world_builder *b)
{
    for (struct map_slot *slot = NULL; (slot = map_next(&b->waits, slot)) != NULL;) {
        const struct wait *wait = slot->value;
        for (size_t i = 0; i < wait->count; i++) {
            on_affected(b, wait->services[i]);
        }
    }
    forget_waits(b);
}

/* Where its pods are changed. Rare, so all pods are looked through. */
static void apply_node(struct world_builder *b, const struct object *node)
{
    for (struct map_slot *slot = NULL; (slot = map_next(&b->objects, slot)) != NULL;) {
        const struct object *o = slot->value;
        if (o->kind == OBJECT_POD && span_eq(pod_of(o)->node, node->name)) {
            world_places_each_service(b->places, o, on_affected, b);
            world_members_each(b->members, o, on_affected, b);
        }
    }
}

static bool has_place(const struct object *o)
{
    return o->kind == OBJECT_WORKLOAD_ENTRY || o->kind == OBJECT_POD;
}

static void apply(struct world_builder *b, const struct pending *p)
{
    const struct object *any = p->after != NULL ? p->after : p->before;
    if (any->kind == OBJECT_NODE) {
        apply_node(b, any);
        return;
    }
    bool swap = any->kind == OBJECT_POD && p->before != NULL && p->after != NULL &&
                pod_is_same(p->before, p->after);
    if (p->before != NULL) {
        world_members_remove(b->members, p->before, on_affected, b);
        if (has_place(p->before) && !swap) {
            world_places_remove(b->places, p->before, on_affected, b);
        }
    }
    if (p->after != NULL) {
        world_members_add(b->members, p->after, on_affected, b);
        if (swap) {
            world_places_swap(b->places, p->before, p->after);
        } else if (has_place(p->after)) {
            world_places_add(b->places, p->after, on_affected, b);
            end_wait(b, p->after);
        }
    }
}

/* Makes the endpoints of the affected services anew; those that came out the same are no change. */
static void replace_endpoints(struct world_builder *b, struct world *w)
{
    size_t kept = 0;
    for (size_t i = 0; i < b->changed_count; i++) {
        unsigned service = b->changed[i]->index;
        struct world_endpoints *after = make_endpoints(b, w->config, service);
        b->affected[service] = false;
        if (after->hash == b->now->endpoints[service]->hash) {
            world_endpoints_unref(after);
            continue;
        }
        w->endpoints[service] = after;
        world_places_replace(b->places, service, b->now->endpoints[service], after);
        b->changed[kept++] = b->changed[i];
    }
    b->changed_count = kept;
}

static struct world *build_endpoints(struct world_builder *b)
{
    struct world_config *c = b->now->config;
    (void)__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
    struct world *w = make_world(b, c);
    for (size_t i = 0; i < b->pending_count; i++) {
        apply(b, &b->pending[i]);
    }
    if (map_count(&b->waits) > WAITS_MAX) {
        sweep_waits(b);
    }
    replace_endpoints(b, w);
    for (size_t i = 0; i < c->service_count; i++) {
        if (w->endpoints[i] == NULL) {
            w->endpoints[i] = world_endpoints_ref(b->now->endpoints[i]);
        }
    }
    world_places_build(b->places, w, b->now);
    return w;
}

struct world *world_build(struct world_builder *b, struct world_change *change)
{
    *change = (struct world_change){.config = b->dirty};
    b->changed_count = 0;
    if (!world_builder_is_dirty(b)) {
        return world_ref(b->now);
    }
    struct world *w = b->dirty ? build_all(b) : build_endpoints(b);
    world_unref(b->now);
    b->now = w;
    b->dirty = false;
    forget_pending(b); /* not before: places and members point to what was there */
    change->workload_count = world_places_changed(b->places, &change->workloads);
    change->services = b->changed;
    change->service_count = b->changed_count;
    if (change->config) {
        change->service_count = change->workload_count = 0;
    }
    return world_ref(w);
}
