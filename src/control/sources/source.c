/* Who brings what, and who wins.
 *
 *    source_origin --items--> item --of--> claim (one key) --items in order of rank and name--> item ...
 *
 * The first item of a claim is in force. Changes only touch claims; sources_settle decides and tells, so that an object which
 * moves from one file to another is never gone in between. */
#include "control/sources/source.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"

/* One object that one origin brings. */
struct item {
    struct list of_origin;
    struct item *next; /* of the claim */
    struct claim *claim;
    struct source_origin *origin;
    struct object *object; /* counted */
    unsigned stamp;        /* of the replacement that brought it */
};

struct claim {
    struct list touched;
    struct item *first;
    struct object *told; /* counted; what is in force; NULL = not told yet */
    struct span key;     /* behind this struct */
    bool contested;      /* several bring it */
};

struct source_origin {
    struct list node; /* in order of rank and name */
    struct sources *sources;
    enum source_rank rank;
    struct span name; /* behind this struct, with a NUL */
    struct list items;
    unsigned stamp;
    struct arena arena; /* of the findings */
    struct findings findings;
};

struct sources {
    const struct source_events *events; /* borrowed, static */
    void *arg;
    struct list origins;
    struct map by_name; /* of origins */
    struct map claims;
    struct list touched;
    size_t told_count;
    struct arena arena; /* of `clashes` */
    struct findings clashes;
};

/* ---- claims ---- */

static void touch(struct claim *c, struct sources *s)
{
    if (!list_is_linked(&c->touched)) {
        list_push_back(&s->touched, &c->touched);
    }
}

static struct claim *claim_of(struct sources *s, struct span key)
{
    struct claim *c = map_get(&s->claims, key);
    if (c == NULL) {
        c = mem_zalloc(sizeof(*c) + key.len);
        memcpy(c + 1, key.at, key.len);
        c->key = span_from(c + 1, key.len);
        list_init(&c->touched);
        (void)map_put(&s->claims, c->key, c); /* there was none */
    }
    return c;
}

static bool is_before(const struct source_origin *a, const struct source_origin *b)
{
    return a->rank != b->rank ? a->rank < b->rank : span_cmp(a->name, b->name) < 0;
}

static struct item *item_of(const struct claim *c, const struct source_origin *g)
{
    struct item *i = c->first;
    while (i != NULL && i->origin != g) {
        i = i->next;
    }
    return i;
}

static void add_item(struct claim *c, struct source_origin *g, struct object *o)
{
    struct item *i = mem_new(struct item);
    struct item **place = &c->first;
    while (*place != NULL && is_before((*place)->origin, g)) {
        place = &(*place)->next;
    }
    *i = (struct item){.next = *place, .claim = c, .origin = g, .object = o, .stamp = g->stamp};
    *place = i;
    list_init(&i->of_origin);
    list_push_back(&g->items, &i->of_origin);
    touch(c, g->sources);
}

static void drop_item(struct item *i)
{
    struct item **place = &i->claim->first;
    while (*place != i) {
        place = &(*place)->next;
    }
    *place = i->next;
    touch(i->claim, i->origin->sources);
    list_remove(&i->of_origin);
    object_unref(i->object);
    mem_free(i);
}

/* Says the same on the same lines: findings of the world point there. */
static bool is_same_text(const struct doc_node *a, const struct doc_node *b)
{
    if (a->kind != b->kind || a->line != b->line) {
        return false;
    }
    if (a->kind < DOC_LIST) {
        return doc_eq(a, b);
    }
    if (a->count != b->count) {
        return false;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        if (!span_eq(a->entries[i].key, b->entries[i].key) ||
            !is_same_text(a->entries[i].value, b->entries[i].value)) {
            return false;
        }
    }
    return true;
}

/* ---- telling ---- */

static void note_clash(struct sources *s, const struct item *loser, const struct item *winner)
{
    static const struct {
        unsigned code;
        const char *what;
        struct span fix;
    } rows[] = {
        [SOURCE_FILE] = {5003, "%s %.*s is in two files", SPAN_INIT("delete one of the two")},
        [SOURCE_KUBE] = {5120, "%s %.*s of Kubernetes has no effect",
                         SPAN_INIT("delete it from the file, or with kubectl")},
        [SOURCE_STORE] = {5004, "%s %.*s of the API has no effect",
                          SPAN_INIT("delete it from there, or from the API")},
    };
    const struct object *o = loser->object;
    const char *kind = object_kinds[o->kind].kind;
    enum source_rank rank = loser->origin->rank;
    struct finding *f =
        finding_add(&s->clashes, rows[rank].code, rank == SOURCE_FILE ? o->doc : NULL,
                    rows[rank].what, kind, SPAN_ARG(o->name));
    f->kind = span_of(kind);
    f->namespace = arena_dup(s->clashes.arena, o->namespace);
    f->name = arena_dup(s->clashes.arena, o->name);
    f->why = span_of(arena_printf(s->clashes.arena, "'%.*s' has it too and wins",
                                  SPAN_ARG(winner->origin->name)));
    f->fix = rows[rank].fix;
}

/* By key, so that the list reads the same each time. */
static int compare_claims(const void *a, const void *b)
{
    return span_cmp((*(const struct claim *const *)a)->key, (*(const struct claim *const *)b)->key);
}

static struct claim **sorted_claims(const struct sources *s, bool contested, size_t *count)
{
    struct claim **all = mem_array(map_count(&s->claims) + 1, sizeof(struct claim *));
    *count = 0;
    for (struct map_slot *slot = NULL; (slot = map_next(&s->claims, slot)) != NULL;) {
        struct claim *c = slot->value;
        if (contested ? c->first != NULL && c->first->next != NULL : c->told != NULL) {
            all[(*count)++] = c;
        }
    }
    qsort(all, *count, sizeof(struct claim *), compare_claims);
    return all;
}

static void list_clashes(struct sources *s)
{
    size_t count;
    struct claim **all = sorted_claims(s, true, &count);
    arena_reset(&s->arena);
    findings_init(&s->clashes, &s->arena);
    for (size_t n = 0; n < count; n++) {
        for (const struct item *i = all[n]->first->next; i != NULL; i = i->next) {
            note_clash(s, i, all[n]->first);
        }
    }
    mem_free(all);
}

/* True: something in force changed. */
static bool decide(struct sources *s, struct claim *c)
{
    struct object *now = c->first != NULL ? c->first->object : NULL;
    struct object *before = c->told;
    if (now == before) {
        if (now == NULL) { /* came and went between two settlings */
            (void)map_remove(&s->claims, c->key);
            mem_free(c);
        }
        return false;
    }
    if (now != NULL) {
        s->told_count += before == NULL;
        c->told = object_ref(now);
        s->events->on_object(s->arg, object_ref(now));
    } else {
        s->told_count--;
        c->told = NULL;
        s->events->on_gone(s->arg, c->key);
        (void)map_remove(&s->claims, c->key);
        mem_free(c);
    }
    object_unref(before);
    return true;
}

void sources_settle(struct sources *s)
{
    bool changed = false, clashes_changed = false;
    while (!list_is_empty(&s->touched)) {
        struct claim *c = list_item(list_pop_front(&s->touched), struct claim, touched);
        bool contested = c->first != NULL && c->first->next != NULL;
        clashes_changed |= contested || c->contested;
        c->contested = contested;
        changed |= decide(s, c);
    }
    if (clashes_changed) { /* all are looked through: thousands */
        list_clashes(s);
    }
    if (changed) {
        s->events->on_settled(s->arg);
    }
}

/* ---- origins ---- */

struct source_origin *source_open(struct sources *s, enum source_rank rank, struct span name)
{
    struct source_origin *g = map_get(&s->by_name, name);
    if (g != NULL) {
        return g;
    }
    g = mem_zalloc(sizeof(*g) + name.len + 1);
    memcpy(g + 1, name.at, name.len);
    g->name = span_from(g + 1, name.len);
    g->sources = s;
    g->rank = rank;
    list_init(&g->items);
    arena_init(&g->arena, 1024);
    findings_init(&g->findings, &g->arena);
    struct list *place = s->origins.next;
    while (place != &s->origins && is_before(list_item(place, struct source_origin, node), g)) {
        place = place->next;
    }
    list_init(&g->node);
    list_insert_before(place, &g->node);
    (void)map_put(&s->by_name, g->name, g); /* there was none */
    return g;
}

void source_close(struct source_origin *g)
{
    while (!list_is_empty(&g->items)) {
        drop_item(list_item(g->items.next, struct item, of_origin));
    }
    list_remove(&g->node);
    (void)map_remove(&g->sources->by_name, g->name);
    arena_dispose(&g->arena);
    mem_free(g);
}

const char *source_name(const struct source_origin *g)
{
    return g->name.at;
}

static void note_twin(struct source_origin *g, const struct object *o, const struct object *first)
{
    const char *kind = object_kinds[o->kind].kind;
    struct finding *f =
        finding_add(&g->findings, 5002, o->doc, "%s %.*s is there twice", kind, SPAN_ARG(o->name));
    f->kind = span_of(kind);
    f->namespace = arena_dup(&g->arena, o->namespace);
    f->name = arena_dup(&g->arena, o->name);
    f->why =
        span_of(arena_printf(g->findings.arena, "line %u has it too and counts", first->doc->line));
    f->fix = SPAN("delete one of the two");
}

void source_put_take(struct source_origin *g, struct object *o)
{
    struct claim *c = claim_of(g->sources, o->key);
    struct item *i = item_of(c, g);
    if (i == NULL) {
        add_item(c, g, o);
        return;
    }
    i->stamp = g->stamp;
    if (is_same_text(i->object->doc, o->doc)) {
        object_unref(o);
        return;
    }
    object_unref(i->object);
    i->object = o;
    touch(c, g->sources);
}

void source_replace_take(struct source_origin *g, struct object **objects, size_t count)
{
    g->stamp++;
    for (size_t n = 0; n < count; n++) {
        const struct claim *c = map_get(&g->sources->claims, objects[n]->key);
        const struct item *i = c != NULL ? item_of(c, g) : NULL;
        if (i != NULL && i->stamp == g->stamp) {
            note_twin(g, objects[n], i->object);
            object_unref(objects[n]);
        } else {
            source_put_take(g, objects[n]);
        }
    }
    LIST_EACH(node, next, &g->items) {
        struct item *i = list_item(node, struct item, of_origin);
        if (i->stamp != g->stamp) {
            drop_item(i);
        }
    }
}

void source_remove(struct source_origin *g, struct span key)
{
    const struct claim *c = map_get(&g->sources->claims, key);
    struct item *i = c != NULL ? item_of(c, g) : NULL;
    if (i != NULL) {
        drop_item(i);
    }
}

const struct object *source_get(const struct source_origin *g, struct span key)
{
    const struct claim *c = map_get(&g->sources->claims, key);
    const struct item *i = c != NULL ? item_of(c, g) : NULL;
    return i != NULL ? i->object : NULL;
}

void source_each(const struct source_origin *g,
                 void (*on_object)(void *arg, const struct object *o), void *arg)
{
    LIST_EACH(node, next, &g->items) {
        on_object(arg, list_item(node, const struct item, of_origin)->object);
    }
}

struct findings *source_findings(struct source_origin *g)
{
    return &g->findings;
}

struct findings *source_findings_reset(struct source_origin *g)
{
    arena_reset(&g->arena);
    findings_init(&g->findings, &g->arena);
    return &g->findings;
}

/* ---- all of them ---- */

struct sources *sources_new(const struct source_events *events, void *arg)
{
    struct sources *s = mem_new(struct sources);
    s->events = events;
    s->arg = arg;
    list_init(&s->origins);
    list_init(&s->touched);
    map_init(&s->by_name);
    map_init(&s->claims);
    arena_init(&s->arena, 1024);
    findings_init(&s->clashes, &s->arena);
    return s;
}

void sources_free(struct sources *s)
{
    if (s == NULL) {
        return;
    }
    while (!list_is_empty(&s->origins)) {
        source_close(list_item(s->origins.next, struct source_origin, node));
    }
    for (struct map_slot *slot = NULL; (slot = map_next(&s->claims, slot)) != NULL;) {
        struct claim *c = slot->value;
        object_unref(c->told);
        mem_free(c);
    }
    map_dispose(&s->claims);
    map_dispose(&s->by_name);
    arena_dispose(&s->arena);
    mem_free(s);
}

const struct object *sources_get(const struct sources *s, struct span key)
{
    const struct claim *c = map_get(&s->claims, key);
    return c != NULL ? c->told : NULL;
}

size_t sources_count(const struct sources *s)
{
    return s->told_count;
}

void sources_each(const struct sources *s, void (*on_object)(void *arg, const struct object *o),
                  void *arg)
{
    size_t count;
    struct claim **all = sorted_claims(s, false, &count);
    for (size_t i = 0; i < count; i++) {
        on_object(arg, all[i]->told);
    }
    mem_free(all);
}

void sources_each_finding(const struct sources *s,
                          void (*on_finding)(void *arg, const struct finding *f), void *arg)
{
    LIST_EACH(node, next, &s->origins) {
        const struct source_origin *g = list_item(node, struct source_origin, node);
        for (const struct finding *f = g->findings.first; f != NULL; f = f->next) {
            on_finding(arg, f);
        }
    }
    for (const struct finding *f = s->clashes.first; f != NULL; f = f->next) {
        on_finding(arg, f);
    }
}
