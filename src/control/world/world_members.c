/* Which services an EndpointSlice (by its label) or a WorkloadEntry (by the services' selectors; a Pod by those of ServiceEntries) contributes to. Selectors are kept under
 * the namespace and their first label, so that an entry is compared with the few services that it may belong to. */
#include "base/mem.h"
#include "control/world/world_int.h"
#include "mesh/names.h"
#include "model/endpoint_slice.h"

#define ARENA_BLOCK 16384

struct group { /* services of one namespace whose selector begins with one label */
    struct span key;
    unsigned *services;
    size_t count, room;
};

struct world_members {
    const struct world_config *config; /* borrowed: the builder keeps it alive */
    struct arena arena;                /* groups */
    struct arena scratch;
    struct map groups;
    struct world_ptrs *lists; /* by service */
};

static struct span group_key(struct arena *arena, struct span namespace, const struct label *label)
{
    size_t len = namespace.len + label->key.len + label->value.len + 2;
    char *key = arena_bytes(arena, len);
    memcpy(key, namespace.at, namespace.len);
    key[namespace.len] = '/';
    memcpy(key + namespace.len + 1, label->key.at, label->key.len);
    key[namespace.len + 1 + label->key.len] = '=';
    if (label->value.len > 0) {
        memcpy(key + len - label->value.len, label->value.at, label->value.len);
    }
    return span_from(key, len);
}

static void add_to_group(struct world_members *m, const struct world_service *s)
{
    struct span key = group_key(&m->arena, s->namespace, &s->selector[0]);
    struct group *group = map_get(&m->groups, key);
    if (group == NULL) {
        group = arena_new(&m->arena, struct group);
        group->key = key;
        (void)map_put(&m->groups, group->key, group);
    }
    if (group->count == group->room) {
        size_t room = group->room > 0 ? group->room * 2 : 2;
        unsigned *grown = arena_array(&m->arena, room, sizeof(*grown));
        if (group->count > 0) {
            memcpy(grown, group->services, group->count * sizeof(*grown));
        }
        group->services = grown;
        group->room = room;
    }
    group->services[group->count++] = s->index;
}

struct world_members *world_members_new(const struct world_config *c)
{
    struct world_members *m = mem_new(struct world_members);
    m->config = c;
    arena_init(&m->arena, ARENA_BLOCK);
    arena_init(&m->scratch, ARENA_BLOCK);
    map_init(&m->groups);
    m->lists = mem_array(c->service_count > 0 ? c->service_count : 1, sizeof(*m->lists));
    for (size_t i = 0; i < c->service_count; i++) {
        if (c->services[i]->selector_count > 0) {
            add_to_group(m, c->services[i]);
        }
    }
    return m;
}

void world_members_free(struct world_members *m)
{
    if (m == NULL) {
        return;
    }
    for (size_t i = 0; i < m->config->service_count; i++) {
        world_ptrs_dispose(&m->lists[i]);
    }
    mem_free(m->lists);
    map_dispose(&m->groups);
    arena_dispose(&m->scratch);
    arena_dispose(&m->arena);
    mem_free(m);
}

/* The Service that a slice names. */
static const struct world_service *service_of_slice(struct world_members *m, const struct object *o)
{
    struct span name = endpoint_slice_of(o)->service;
    if (name.len == 0) {
        return NULL;
    }
    char *host = arena_printf(&m->scratch, "%.*s.%.*s.svc.%.*s", SPAN_ARG(name),
                              SPAN_ARG(o->namespace), SPAN_ARG(m->config->mesh.domain));
    const struct world_service *s = map_get(&m->config->by_host, span_of(host));
    while (s != NULL &&
           (!span_eq(s->namespace, o->namespace) || s->object->kind != OBJECT_SERVICE)) {
        s = s->same_host;
    }
    return s;
}

void world_members_each(struct world_members *m, const struct object *o,
                        void (*on_service)(void *arg, unsigned service), void *arg)
{
    arena_reset(&m->scratch);
    if (o->kind == OBJECT_ENDPOINT_SLICE) {
        const struct world_service *s = service_of_slice(m, o);
        if (s != NULL) {
            on_service(arg, s->index);
        }
        return;
    }
    bool is_pod = o->kind == OBJECT_POD;
    size_t count = o->label_count;
    const struct label *labels = is_pod ? o->labels : world_entry_labels(o, &m->scratch, &count);
    for (size_t i = 0; i < count; i++) { /* a service is in one group only, so it is met once */
        const struct group *group =
            map_get(&m->groups, group_key(&m->scratch, o->namespace, &labels[i]));
        for (size_t k = 0; group != NULL && k < group->count; k++) {
            const struct world_service *s = m->config->services[group->services[k]];
            if (is_pod && s->object->kind == OBJECT_SERVICE) {
                continue; /* its slices say which pods are its endpoints */
            }
            if (world_labels_match(s->selector, s->selector_count, labels, count)) {
                on_service(arg, s->index);
            }
        }
    }
}

struct adding {
    struct world_members *members;
    const struct object *object;
    bool remove;
    void (*on_service)(void *arg, unsigned service);
    void *arg;
};

static void change(void *arg, unsigned service)
{
    struct adding *a = arg;
    if (a->remove) {
        world_ptrs_remove(&a->members->lists[service], a->object);
    } else {
        world_ptrs_add(&a->members->lists[service], (void *)(uintptr_t)a->object);
    }
    if (a->on_service != NULL) {
        a->on_service(a->arg, service);
    }
}

void world_members_add(struct world_members *m, const struct object *o,
                       void (*on_service)(void *arg, unsigned service), void *arg)
{
    struct adding a = {.members = m, .object = o, .on_service = on_service, .arg = arg};
    world_members_each(m, o, change, &a);
}

void world_members_remove(struct world_members *m, const struct object *o,
                          void (*on_service)(void *arg, unsigned service), void *arg)
{
    struct adding a = {
        .members = m, .object = o, .remove = true, .on_service = on_service, .arg = arg};
    world_members_each(m, o, change, &a);
}

const struct world_ptrs *world_members_of(const struct world_members *m, unsigned service)
{
    return &m->lists[service];
}
