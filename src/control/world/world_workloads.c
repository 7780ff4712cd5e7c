/* Workloads: what runs at each address, and which service ports it serves. A world has them in shards by address; a change replaces
 * the shards of the addresses concerned, so that it costs the same in a large mesh as in a small one.
 *
 *   places (the builder's)            shard (the world's)
 *   address -> Pods, entries    ==>   address -> workload, what it serves
 *           -> services that have an endpoint there, counted
 *
 * In: Pods, WorkloadEntries, endpoints. Out: world.shards. Next: world_build. */
#include <stdlib.h>

#include "base/mem.h"
#include "control/world/world_int.h"
#include "model/pod.h"
#include "model/workload_entry.h"

#define ARENA_BLOCK 2048

struct place_service {
    unsigned service;
    unsigned count; /* endpoints */
};

struct place {
    struct ip ip;
    bool changed;
    struct world_ptrs occupants; /* WorkloadEntries, Pods; borrowed from the builder */
    struct place_service *services;
    size_t service_count, service_room;
};

struct world_places {
    struct world_ptrs shards[WORLD_SHARDS]; /* of struct place */
    struct ip *changed;                     /* since the last world_places_build */
    size_t changed_count, changed_room;
    struct ip *told; /* what world_places_changed answered last */
};

/* ---- places ---- */

struct world_places *world_places_new(void)
{
    return mem_new(struct world_places);
}

static void place_free(struct place *p)
{
    world_ptrs_dispose(&p->occupants);
    mem_free(p->services);
    mem_free(p);
}

void world_places_clear(struct world_places *p)
{
    for (size_t i = 0; i < WORLD_SHARDS; i++) {
        for (size_t k = 0; k < p->shards[i].count; k++) {
            place_free(p->shards[i].items[k]);
        }
        p->shards[i].count = 0;
    }
    p->changed_count = 0;
}

void world_places_free(struct world_places *p)
{
    if (p == NULL) {
        return;
    }
    world_places_clear(p);
    for (size_t i = 0; i < WORLD_SHARDS; i++) {
        world_ptrs_dispose(&p->shards[i]);
    }
    mem_free(p->changed);
    mem_free(p->told);
    mem_free(p);
}

static struct place *place_at(const struct world_places *p, const struct ip *ip)
{
    const struct world_ptrs *shard = &p->shards[world_shard_of(ip)];
    for (size_t i = 0; i < shard->count; i++) {
        struct place *place = shard->items[i];
        if (ip_eq(&place->ip, ip)) {
            return place;
        }
    }
    return NULL;
}

/* Found or made, and marked as changed. */
static struct place *touch(struct world_places *p, const struct ip *ip)
{
    struct place *place = place_at(p, ip);
    if (place == NULL) {
        place = mem_new(struct place);
        place->ip = *ip;
        world_ptrs_add(&p->shards[world_shard_of(ip)], place);
    }
    if (!place->changed) {
        place->changed = true;
        if (p->changed_count == p->changed_room) {
            p->changed_room = p->changed_room > 0 ? p->changed_room * 2 : 16;
            p->changed = mem_realloc(p->changed, p->changed_room * sizeof(*p->changed));
        }
        p->changed[p->changed_count++] = *ip;
    }
    return place;
}

static void each_service(const struct place *place, void (*on_service)(void *arg, unsigned service),
                         void *arg)
{
    for (size_t i = 0; on_service != NULL && i < place->service_count; i++) {
        on_service(arg, place->services[i].service);
    }
}

/* The addresses of an occupant, one after the other: `ip` of place `i`. */
static bool address_of(const struct object *o, size_t i, struct ip *ip)
{
    if (o->kind == OBJECT_WORKLOAD_ENTRY) {
        return i == 0 && ip_parse(workload_entry_of(o)->address, ip) == 0;
    }
    const struct pod_spec *spec = pod_of(o);
    if (i >= spec->ip_count || spec->ended) {
        return false;
    }
    *ip = spec->ips[i];
    return true;
}

static bool lives_there(const struct object *o)
{
    return o->kind != OBJECT_POD || !pod_of(o)->host_network;
}

enum occupation { COMES, GOES, STAYS };

static void change_occupant(struct world_places *p, const struct object *o, enum occupation what,
                            void (*on_service)(void *arg, unsigned service), void *arg)
{
    struct ip ip;
    bool moves = what != STAYS && lives_there(o); /* else only the endpoints there are looked at */
    for (size_t i = 0; address_of(o, i, &ip); i++) {
        struct place *place = moves ? touch(p, &ip) : place_at(p, &ip);
        if (moves && what == COMES) {
            world_ptrs_add(&place->occupants, (void *)(uintptr_t)o);
        } else if (moves) {
            world_ptrs_remove(&place->occupants, o);
        }
        if (place != NULL) {
            each_service(place, on_service, arg);
        }
    }
}

void world_places_add(struct world_places *p, const struct object *occupant,
                      void (*on_service)(void *arg, unsigned service), void *arg)
{
    change_occupant(p, occupant, COMES, on_service, arg);
}

void world_places_remove(struct world_places *p, const struct object *occupant,
                         void (*on_service)(void *arg, unsigned service), void *arg)
{
    change_occupant(p, occupant, GOES, on_service, arg);
}

void world_places_each_service(struct world_places *p, const struct object *occupant,
                               void (*on_service)(void *arg, unsigned service), void *arg)
{
    change_occupant(p, occupant, STAYS, on_service, arg);
}

void world_places_swap(struct world_places *p, const struct object *before,
                       const struct object *after)
{
    struct ip ip;
    for (size_t i = 0; lives_there(before) && address_of(before, i, &ip); i++) {
        struct place *place = place_at(p, &ip);
        if (place != NULL && world_ptrs_has(&place->occupants, before)) {
            world_ptrs_remove(&place->occupants, before);
            world_ptrs_add(&place->occupants, (void *)(uintptr_t)after);
        }
    }
}

/* Of several at one address: a Pod before a WorkloadEntry; of Pods one that stays, then the newest, as addresses are given again; of
 * WorkloadEntries the oldest. */
static bool is_better(const struct object *a, const struct object *b)
{
    if (a->kind != b->kind) {
        return a->kind == OBJECT_POD;
    }
    if (a->kind == OBJECT_POD && pod_of(a)->leaves != pod_of(b)->leaves) {
        return !pod_of(a)->leaves;
    }
    int order = world_object_order(a, b);
    return a->kind == OBJECT_POD ? order > 0 : order < 0;
}

static const struct object *occupant_of(const struct place *place)
{
    const struct object *best = NULL;
    for (size_t i = 0; i < place->occupants.count; i++) {
        const struct object *o = place->occupants.items[i];
        if (best == NULL || is_better(o, best)) {
            best = o;
        }
    }
    return best;
}

const struct object *world_places_occupant_at(const struct world_places *p, const struct ip *ip)
{
    const struct place *place = place_at(p, ip);
    return place != NULL ? occupant_of(place) : NULL;
}

static void count_service(struct place *place, unsigned service, int change)
{
    for (size_t i = 0; i < place->service_count; i++) {
        if (place->services[i].service == service) {
            place->services[i].count += (unsigned)change;
            if (place->services[i].count == 0) {
                place->services[i] = place->services[--place->service_count];
            }
            return;
        }
    }
    ASSERT(change > 0);
    if (place->service_count == place->service_room) {
        place->service_room = place->service_room > 0 ? place->service_room * 2 : 2;
        place->services =
            mem_realloc(place->services, place->service_room * sizeof(*place->services));
    }
    place->services[place->service_count++] = (struct place_service){service, 1};
}

static void count_endpoint(struct world_places *p, unsigned service, const struct world_endpoint *e,
                           int change)
{
    if (e->address.family != 0) {
        count_service(touch(p, &e->address), service, change);
    }
}

/* Both lists are in the same order, so one walk finds what differs. */
void world_places_replace(struct world_places *p, unsigned service,
                          const struct world_endpoints *before, const struct world_endpoints *after)
{
    size_t i = 0, k = 0;
    size_t before_count = before != NULL ? before->count : 0;
    size_t after_count = after != NULL ? after->count : 0;
    while (i < before_count || k < after_count) {
        int order = i == before_count  ? 1
                    : k == after_count ? -1
                                       : world_endpoint_order(&before->items[i], &after->items[k]);
        if (order == 0 && before->items[i].hash == after->items[k].hash) {
            i++;
            k++;
            continue;
        }
        /* the new one first: its place must not lose the service in between */
        if (order >= 0) {
            count_endpoint(p, service, &after->items[k++], 1);
        }
        if (order <= 0) {
            count_endpoint(p, service, &before->items[i++], -1);
        }
    }
}

/* ---- shards ---- */

struct world_shard *world_shard_ref(struct world_shard *s)
{
    (void)__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
    return s;
}

void world_shard_unref(struct world_shard *s)
{
    if (s != NULL && __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        arena_dispose(&s->arena);
        mem_free(s);
    }
}

static void unref_object(void *o)
{
    object_unref(o);
}

static void unref_endpoints(void *e)
{
    world_endpoints_unref(e);
}

static void fill_from_occupant(struct world_shard *shard, struct world_workload *to,
                               const struct object *o)
{
    arena_defer(&shard->arena, unref_object, object_ref((struct object *)(uintptr_t)o));
    bool is_pod = o->kind == OBJECT_POD;
    if (is_pod) {
        to->labels = o->labels;
        to->label_count = o->label_count;
    } else {
        to->labels = world_entry_labels(o, &shard->arena, &to->label_count);
    }
    struct world_names names =
        world_names_of(to->labels, to->label_count, is_pod ? pod_of(o)->workload : o->name);
    to->name = names.workload;
    to->app = names.app;
    to->version = names.version;
    to->namespace = o->namespace;
    to->service_account =
        is_pod ? pod_of(o)->service_account : workload_entry_of(o)->service_account;
    to->object = o;
}

static void fill_from_endpoint(struct world_shard *shard, struct world_workload *to,
                               struct world_endpoints *from, const struct world_endpoint *e)
{
    arena_defer(&shard->arena, unref_endpoints, world_endpoints_ref(from));
    to->labels = e->labels;
    to->label_count = e->label_count;
    to->name = e->workload;
    to->app = e->app;
    to->version = e->version;
    to->namespace = e->namespace;
    to->service_account = e->service_account;
}

static int by_service(const void *a, const void *b)
{
    const struct place_service *x = a, *y = b;
    return (x->service > y->service) - (x->service < y->service);
}

static void fill_serves(struct world_shard *shard, struct world_workload *to, struct place *place,
                        const struct world *w)
{
    size_t most = 0;
    for (size_t i = 0; i < place->service_count; i++) {
        most += place->services[i].count;
    }
    if (most == 0) {
        return;
    }
    struct world_serve *serves = arena_array(&shard->arena, most, sizeof(*serves));
    if (place->service_count > 1) {
        qsort(place->services, place->service_count, sizeof(*place->services), by_service);
    }
    for (size_t i = 0; i < place->service_count; i++) {
        const struct world_service *s = w->config->services[place->services[i].service];
        struct world_endpoints *e = w->endpoints[s->index];
        for (size_t p = 0; p < s->port_count; p++) {
            uint16_t number = s->ports[p].number;
            for (size_t k = world_endpoints_find(e, number, &place->ip);
                 k < e->count && e->items[k].service_port == number &&
                 ip_eq(&e->items[k].address, &place->ip) && to->serve_count < most;
                 k++) {
                serves[to->serve_count++] = (struct world_serve){s, &s->ports[p], e->items[k].port};
                if (to->object == NULL && to->name.at == NULL) {
                    fill_from_endpoint(shard, to, e, &e->items[k]);
                }
            }
        }
    }
    to->serves = serves;
}

/* Forgets places where nothing is any more. */
static void sweep(struct world_ptrs *places)
{
    for (size_t i = places->count; i > 0; i--) {
        struct place *place = places->items[i - 1];
        if (place->occupants.count == 0 && place->service_count == 0) {
            place_free(place);
            places->items[i - 1] = places->items[--places->count];
        }
    }
}

static struct world_shard *make_shard(struct world_ptrs *places, const struct world *w)
{
    struct world_shard *shard = mem_new(struct world_shard);
    shard->refs = 1;
    sweep(places);
    arena_init(&shard->arena, ARENA_BLOCK);
    if (places->count > 0) { /* an empty arena has no block */
        shard->items = arena_array(&shard->arena, places->count, sizeof(*shard->items));
    }
    for (size_t i = 0; i < places->count; i++) {
        struct place *place = places->items[i];
        struct world_workload *to = &shard->items[shard->count++];
        const struct object *occupant = occupant_of(place);
        place->changed = false;
        to->address = place->ip;
        if (occupant != NULL) {
            fill_from_occupant(shard, to, occupant);
        }
        fill_serves(shard, to, place, w);
    }
    return shard;
}

void world_places_build(struct world_places *p, struct world *w, const struct world *before)
{
    for (size_t i = 0; i < p->changed_count; i++) {
        unsigned shard = world_shard_of(&p->changed[i]);
        if (w->shards[shard] == NULL) {
            w->shards[shard] = make_shard(&p->shards[shard], w);
        }
    }
    for (size_t i = 0; i < WORLD_SHARDS; i++) {
        if (w->shards[i] == NULL) {
            w->shards[i] =
                before != NULL ? world_shard_ref(before->shards[i]) : make_shard(&p->shards[i], w);
        }
        w->workload_count += w->shards[i]->count;
    }
}

size_t world_places_changed(struct world_places *p, const struct ip **out)
{
    size_t count = p->changed_count;
    struct ip *told = p->told;
    p->told = p->changed;
    *out = p->told;
    p->changed = told; /* its room is forgotten: it is grown anew */
    p->changed = mem_realloc(p->changed, sizeof(*p->changed) * 16);
    p->changed_room = 16;
    p->changed_count = 0;
    return count;
}
