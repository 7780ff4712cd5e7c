/* In: cluster. Next: control/world/world_status for what is said, keeper for how it gets there. */
#include "control/cluster/status_writer.h"

#include <string.h>

#include "base/instant.h"
#include "base/map.h"
#include "base/mem.h"
#include "codec/date.h"
#include "control/world/world_status.h"

/* Since when a condition has its status: of the round before, and of this one. */
struct times {
    struct arena arena;
    struct map by_key; /* "PATH/TYPE" -> struct since */
};
struct since {
    struct span status, time;
};

struct status_writer {
    struct kube_events *events; /* borrowed; may be NULL */
    struct times rounds[2];
    unsigned now; /* which of the two */
};

/* One object's turn. */
struct turn {
    struct status_writer *writer;
    struct keeper *keeper;
    struct world_status *status;
    struct arena *arena; /* of the round */
    const struct object *object;
};

static void times_init(struct times *t)
{
    arena_init(&t->arena, 4096);
    map_init(&t->by_key);
}

static void times_dispose(struct times *t)
{
    map_dispose(&t->by_key);
    arena_dispose(&t->arena);
}

struct status_writer *status_writer_new(struct kube_events *events)
{
    struct status_writer *w = mem_new(struct status_writer);
    w->events = events;
    times_init(&w->rounds[0]);
    times_init(&w->rounds[1]);
    return w;
}

void status_writer_free(struct status_writer *w)
{
    if (w) {
        times_dispose(&w->rounds[0]);
        times_dispose(&w->rounds[1]);
        mem_free(w);
    }
}

/* ---- conditions ---- */

static struct span text_at(const struct doc_node *map, const char *key)
{
    const struct doc_node *value = doc_get(map, key);
    return doc_is(value, DOC_TEXT) ? value->text : SPAN_EMPTY;
}

/* What the object's own status said last, before this process knew it. */
static struct span time_in(const struct doc_node *conditions, const char *type, const char *status)
{
    for (size_t i = 0; i < doc_count(conditions); i++) {
        const struct doc_node *c = doc_at(conditions, i);
        if (span_is(text_at(c, "type"), type) && span_is(text_at(c, "status"), status)) {
            return text_at(c, "lastTransitionTime");
        }
    }
    return SPAN_EMPTY;
}

/* "VirtualService ns/name: Accepted is False" as an Event. */
static void tell(struct turn *t, const struct world_status_condition *c)
{
    const struct object *o = t->object;
    const struct doc_node *uid = doc_path(o->doc, "metadata.uid");
    kube_event_write(t->writer->events,
                     &(struct kube_event){.namespace = o->namespace,
                                          .kind = span_of(object_kinds[o->kind].kind),
                                          .api_version = text_at(o->doc, "apiVersion"),
                                          .name = o->name,
                                          .uid = doc_is(uid, DOC_TEXT) ? uid->text : SPAN_EMPTY,
                                          .reason = span_of(c->reason),
                                          .note = c->message,
                                          .warning = true});
}

static struct span since(struct turn *t, const char *place, const struct doc_node *before,
                         const struct world_status_condition *c)
{
    struct times *now = &t->writer->rounds[t->writer->now];
    const struct times *last = &t->writer->rounds[1 - t->writer->now];
    struct span key =
        span_of(arena_printf(&now->arena, "%.*s/%s/%s", SPAN_ARG(t->object->key), place, c->type));
    const struct since *known = map_get(&last->by_key, key);
    struct since *entry = arena_new(&now->arena, struct since);
    char text[DATE_TEXT_BYTES];
    entry->status = span_of(c->status);
    entry->time = known && span_is(known->status, c->status) ? known->time
                  : known                                    ? SPAN_EMPTY
                                                             : time_in(before, c->type, c->status);
    if (entry->time.len == 0) {
        if (t->writer->events && strcmp(c->status, "False") == 0) {
            tell(t, c);
        }
        entry->time = span_from(text, date_format_rfc3339(instant_wall_us(), 0, text));
    }
    entry->time = arena_dup(&now->arena, entry->time);
    (void)map_put(&now->by_key, key, entry);
    return entry->time;
}

/* `before`: the list that the object has now; `place` tells several lists of one object apart. */
static struct doc_node *conditions_of(struct turn *t, const char *place,
                                      const struct doc_node *before,
                                      const struct world_status_conditions *from)
{
    struct doc_node *list = doc_new_list(t->arena);
    for (size_t i = 0; i < from->count; i++) {
        const struct world_status_condition *c = &from->items[i];
        struct doc_node *to = doc_list_add(t->arena, list, doc_new_map(t->arena));
        doc_set_text(t->arena, to, "type", span_of(c->type));
        doc_set_text(t->arena, to, "status", span_of(c->status));
        doc_set_text(t->arena, to, "reason", span_of(c->reason));
        doc_set_text(t->arena, to, "message", c->message);
        doc_set(t->arena, to, "observedGeneration", doc_int(t->arena, t->object->generation));
        doc_set_text(t->arena, to, "lastTransitionTime", since(t, place, before, c));
    }
    return list;
}

/* ---- kinds ---- */

static struct doc_node *class_status(struct turn *t)
{
    struct world_status_conditions c;
    if (!world_status_class(t->status, t->object, &c)) {
        return NULL;
    }
    struct doc_node *status = doc_new_map(t->arena);
    doc_set(t->arena, status, "conditions",
            conditions_of(t, "", doc_path(t->object->doc, "status.conditions"), &c));
    return status;
}

static const struct doc_node *listener_in(const struct doc_node *listeners, struct span name)
{
    for (size_t i = 0; i < doc_count(listeners); i++) {
        if (span_eq(text_at(doc_at(listeners, i), "name"), name)) {
            return doc_get(doc_at(listeners, i), "conditions");
        }
    }
    return NULL;
}

static void add_listener(struct turn *t, struct doc_node *list,
                         const struct world_status_listener *l)
{
    struct doc_node *to = doc_list_add(t->arena, list, doc_new_map(t->arena));
    const char *place = arena_printf(t->arena, "%.*s", SPAN_ARG(l->name));
    doc_set_text(t->arena, to, "name", l->name);
    doc_set(t->arena, to, "attachedRoutes", doc_int(t->arena, l->attached_routes));
    struct doc_node *kinds = doc_list_in(t->arena, to, "supportedKinds");
    for (size_t i = 0; i < l->kind_count; i++) {
        struct doc_node *kind = doc_list_add(t->arena, kinds, doc_new_map(t->arena));
        doc_set_text(t->arena, kind, "group", span_of(l->kinds[i].group));
        doc_set_text(t->arena, kind, "kind", span_of(l->kinds[i].kind));
    }
    const struct doc_node *before =
        listener_in(doc_path(t->object->doc, "status.listeners"), l->name);
    doc_set(t->arena, to, "conditions", conditions_of(t, place, before, &l->conditions));
}

static struct doc_node *gateway_status(struct turn *t)
{
    struct world_status_gateway g;
    if (!world_status_gateway(t->status, t->object, &g)) {
        return NULL;
    }
    struct doc_node *status = doc_new_map(t->arena);
    struct doc_node *addresses = doc_list_in(t->arena, status, "addresses");
    for (size_t i = 0; i < g.address_count; i++) {
        struct doc_node *to = doc_list_add(t->arena, addresses, doc_new_map(t->arena));
        doc_set_text(t->arena, to, "type", span_of(g.addresses[i].type));
        doc_set_text(t->arena, to, "value", g.addresses[i].value);
    }
    doc_set(t->arena, status, "conditions",
            conditions_of(t, "", doc_path(t->object->doc, "status.conditions"), &g.conditions));
    struct doc_node *listeners = doc_list_in(t->arena, status, "listeners");
    for (size_t i = 0; i < g.listener_count; i++) {
        add_listener(t, listeners, &g.listeners[i]);
    }
    return status;
}

static void set_if(struct turn *t, struct doc_node *map, const char *key, struct span text)
{
    if (text.len > 0) {
        doc_set_text(t->arena, map, key, text);
    }
}

static void add_parent(struct turn *t, struct doc_node *list, const struct world_status_parent *p)
{
    struct doc_node *to = doc_list_add(t->arena, list, doc_new_map(t->arena));
    struct doc_node *ref = doc_map_in(t->arena, to, "parentRef");
    set_if(t, ref, "group", p->group);
    set_if(t, ref, "kind", p->kind);
    set_if(t, ref, "namespace", p->namespace);
    set_if(t, ref, "name", p->name);
    set_if(t, ref, "sectionName", p->section);
    if (p->has_port) {
        doc_set(t->arena, ref, "port", doc_int(t->arena, p->port));
    }
    const char *place =
        arena_printf(t->arena, "%.*s/%.*s/%.*s/%.*s/%u", SPAN_ARG(p->kind), SPAN_ARG(p->namespace),
                     SPAN_ARG(p->name), SPAN_ARG(p->section), p->has_port ? p->port : 0);
    doc_set_text(t->arena, to, "controllerName", SPAN(STATUS_CONTROLLER));
    /* What was there before names its parent in as many ways as people write it: the first round of a process may set new times. */
    doc_set(t->arena, to, "conditions", conditions_of(t, place, NULL, &p->conditions));
}

static struct doc_node *route_status(struct turn *t)
{
    struct world_status_route r;
    world_status_route(t->status, t->object, &r);
    struct doc_node *status = doc_new_map(t->arena);
    struct doc_node *parents = doc_list_in(t->arena, status, "parents");
    const struct doc_node *before = doc_path(t->object->doc, "status.parents");
    bool had_ours = false;
    for (size_t i = 0; i < doc_count(before);
         i++) { /* the list is one field to server-side apply */
        const struct doc_node *parent = doc_at(before, i);
        if (span_is(text_at(parent, "controllerName"), STATUS_CONTROLLER)) {
            had_ours = true;
        } else {
            doc_list_add(t->arena, parents, doc_dup(t->arena, parent));
        }
    }
    for (size_t i = 0; i < r.parent_count; i++) {
        add_parent(t, parents, &r.parents[i]);
    }
    return r.parent_count > 0 || had_ours ? status : NULL;
}

static struct doc_node *istio_status(struct turn *t)
{
    struct world_status_conditions c;
    if (!world_status_istio(t->status, t->object, &c)) {
        return NULL;
    }
    struct doc_node *status = doc_new_map(t->arena);
    doc_set(t->arena, status, "conditions",
            conditions_of(t, "", doc_path(t->object->doc, "status.conditions"), &c));
    doc_set(t->arena, status, "observedGeneration", doc_int(t->arena, t->object->generation));
    return status;
}

/* ---- a round ---- */

static void on_object(void *arg, const struct object *o)
{
    struct turn *t = arg;
    if (o->file.len > 0) {
        return; /* of a folder: the server does not have it */
    }
    t->object = o;
    struct doc_node *status = o->kind == OBJECT_GATEWAY         ? gateway_status(t)
                              : o->kind == OBJECT_HTTP_ROUTE    ? route_status(t)
                              : o->kind == OBJECT_GATEWAY_CLASS ? class_status(t)
                                                                : istio_status(t);
    if (status == NULL) {
        return;
    }
    const struct object_kind_row *row = &object_kinds[o->kind];
    struct span version = text_at(o->doc, "apiVersion");
    ssize_t slash = span_find_byte(version, '/');
    struct kube_kind kind = {
        .group = row->group,
        .version = arena_printf(t->arena, "%.*s",
                                SPAN_ARG(span_from_offset(version, (size_t)(slash + 1)))),
        .plural = row->plural,
        .namespaced = row->namespaced};
    struct doc_node *object = doc_new_map(t->arena);
    doc_set_text(t->arena, object, "apiVersion", version);
    doc_set_text(t->arena, object, "kind", span_of(row->kind));
    struct doc_node *meta = doc_map_in(t->arena, object, "metadata");
    doc_set_text(t->arena, meta, "name", o->name);
    if (row->namespaced) {
        doc_set_text(t->arena, meta, "namespace", o->namespace);
    }
    doc_set(t->arena, object, "status", status);
    keeper_want(t->keeper, &(struct keeper_want){.kind = &kind,
                                                 .object = object,
                                                 .sub = "status",
                                                 .salt = (uint64_t)o->created_us});
}

static void on_finding(void *arg, const struct finding *f)
{
    findings_copy(arg, f);
}

void status_writer_want(struct status_writer *w, struct keeper *k, const struct world *world,
                        const struct sources *sources)
{
    struct arena arena;
    struct findings all;
    arena_init(&arena, 65536);
    findings_init(&all, &arena);
    world_findings(world, &all);
    sources_each_finding(sources, on_finding, &all);
    struct world_status status = {.world = world, .findings = &all, .arena = &arena};
    struct turn turn = {.writer = w, .keeper = k, .status = &status, .arena = &arena};
    w->now = 1 - w->now;
    times_dispose(&w->rounds[w->now]);
    times_init(&w->rounds[w->now]);
    sources_each(sources, on_object, &turn);
    arena_dispose(&arena);
}
