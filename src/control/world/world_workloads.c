/* Workloads: what runs at each address, and which service ports it serves. A world has them in shards by address; a change replaces
 * the shards of the addresses concerned, so that it costs the same in a large mesh as in a small one.
 *
 *   places (the builder's)            shard (the world's)
 *   address -> WorkloadEntries  ==>   address -> workload, what it serves
 *           -> services that have an endpoint there, counted
 *
 * In: WorkloadEntries, endpoints. Out: world.shards. Next: world_build. */
#include <stdlib.h>

#include "base/mem.h"
#include "control/world/world_int.h"
#include "model/workload_entry.h"

#define ARENA_BLOCK 2048

struct place_service {
    unsigned service;
    unsigned count; /* endpoints */
};

struct place {
    struct ip ip;
    bool changed;
    struct world_ptrs entries; /* WorkloadEntries; borrowed from the builder */
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
    world_ptrs_dispose(&p->entries);
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

void world_places_add_entry(struct world_places *p, const struct object *entry,
                            void (*on_service)(void *arg, unsigned service), void *arg)
{
    struct ip ip;
    if (ip_parse(workload_entry_of(entry)->address, &ip) == 0) {
        struct place *place = touch(p, &ip);
        world_ptrs_add(&place->entries, (void *)(uintptr_t)entry);
        each_service(place, on_service, arg);
    }
}

void world_places_remove_entry(struct world_places *p, const struct object *entry,
                               void (*on_service)(void *arg, unsigned service), void *arg)
{
    struct ip ip;
    if (ip_parse(workload_entry_of(entry)->address, &ip) == 0) {
        struct place *place = touch(p, &ip);
        world_ptrs_remove(&place->entries, entry);
        each_service(place, on_service, arg);
    }
}

/* Of several entries of one address the oldest says what runs there. */
static const struct object *first_entry(const struct place *place)
{
    const struct object *first = NULL;
    for (size_t i = 0; i < place->entries.count; i++) {
        const struct object *o = place->entries.items[i];
        if (first == NULL || world_object_order(o, first) < 0) {
            first = o;
        }
    }
    return first;
}

const struct object *world_places_entry_at(void *places, const struct ip *ip)
{
    const struct place *place = place_at(places, ip);
    return place != NULL ? first_entry(place) : NULL;
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

static void fill_from_entry(struct world_shard *shard, struct world_workload *to,
                            const struct object *entry)
{
    arena_defer(&shard->arena, unref_object, object_ref((struct object *)(uintptr_t)entry));
    to->labels = world_entry_labels(entry, &shard->arena, &to->label_count);
    struct world_names names = world_names_of(to->labels, to->label_count, entry->name);
    to->name = names.workload;
    to->app = names.app;
    to->version = names.version;
    to->namespace = entry->namespace;
    to->service_account = workload_entry_of(entry)->service_account;
    to->object = entry;
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
        if (place->entries.count == 0 && place->service_count == 0) {
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
        const struct object *entry = first_entry(place);
        place->changed = false;
        to->address = place->ip;
        if (entry != NULL) {
            fill_from_entry(shard, to, entry);
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
