/* Objects that came by the API.
 * In: store (at start), api/api_objects (changes).  Out: sources.  Next: source.c. */
#include "control/sources/from_store.h"

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/doc.h"

enum { JSON_ARENA_BYTES = 4096 };

struct from_store {
    struct sources *sources;      /* borrowed */
    struct source_origin *origin; /* sources' */
    struct store_port *port;      /* owned */
    struct list changes;          /* struct change, under way */
    void (*on_loaded)(void *arg, const struct err *err);
    void *arg;
};

/* A change that the store has not answered yet. */
struct change {
    struct list node;
    struct from_store *owner;
    void (*on_done)(void *arg, const struct err *err);
    void *arg;
    size_t count;
    struct step {
        struct object *object; /* counted; NULL = gone */
        char *key;             /* owned; of one that shall be gone */
    } steps[];
};

/* ---- loading ---- */

static struct object *read_object(struct from_store *f, const struct store_object *row,
                                  struct findings *findings)
{
    struct arena arena;
    struct doc_node *doc;
    struct err err;
    struct object *o = NULL;
    size_t errors = findings->errors;
    arena_init(&arena, JSON_ARENA_BYTES);
    if (doc_parse_json(&arena, row->json, NULL, &doc, &err) == 0) {
        o = object_read(doc, findings);
    } else {
        struct finding *found = finding_add(findings, 5005, NULL,
                                            "an object of the API can not be read and is left out");
        found->why = span_of(arena_printf(findings->arena, "%s", err.text));
    }
    if (o == NULL || findings->errors > errors) {
        log_warn("sources", "object left out key=\"%.*s\"", SPAN_ARG(row->key));
    }
    arena_dispose(&arena);
    UNUSED(f);
    return o;
}

static void on_load(void *arg, const struct store_answer *a)
{
    struct from_store *f = arg;
    struct err err = {.code = a->code};
    if (a->code != 0) {
        (void)snprintf(err.text, sizeof(err.text), "%s", a->why);
        f->on_loaded(f->arg, &err);
        return;
    }
    struct findings *findings = source_findings_reset(f->origin);
    for (size_t i = 0; i < a->count; i++) {
        struct object *o = read_object(f, &a->objects[i], findings);
        if (o != NULL) {
            source_put_take(f->origin, o);
        }
    }
    f->on_loaded(f->arg, NULL);
}

struct from_store *from_store_new(struct loop *loop, struct sources *sources, struct store *store,
                                  void (*on_loaded)(void *arg, const struct err *err), void *arg)
{
    struct from_store *f = mem_new(struct from_store);
    f->sources = sources;
    f->origin = source_open(sources, SOURCE_STORE, SPAN("the API"));
    f->port = store_port_new(store, loop);
    f->on_loaded = on_loaded;
    f->arg = arg;
    list_init(&f->changes);
    (void)store_objects_load(f->port, on_load, f);
    return f;
}

/* ---- changing ---- */

static void free_change(struct change *c)
{
    for (size_t i = 0; i < c->count; i++) {
        object_unref(c->steps[i].object);
        mem_free(c->steps[i].key);
    }
    list_remove(&c->node);
    mem_free(c);
}

static void on_changed(void *arg, const struct store_answer *a)
{
    struct change *c = arg;
    struct from_store *f = c->owner;
    struct err err = {.code = a->code};
    if (a->code != 0) {
        (void)snprintf(err.text, sizeof(err.text), "%s", a->why);
        c->on_done(c->arg, &err);
        free_change(c);
        return;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->steps[i].object != NULL) {
            source_put_take(f->origin, object_ref(c->steps[i].object));
        } else {
            source_remove(f->origin, span_of(c->steps[i].key));
        }
    }
    sources_settle(f->sources);
    c->on_done(c->arg, NULL);
    free_change(c);
}

/* What the store keeps of a step; JSON in `json`. */
static int describe(const struct from_store_step *step, struct buf *json, struct store_change *out)
{
    const struct object *o = step->object;
    if (o == NULL) {
        *out = (struct store_change){.object = {.key = step->key}, .gone = true};
        return 0;
    }
    buf_init(json, STORE_VALUE_MAX);
    int code = doc_write_json(o->doc, false, json);
    *out = (struct store_change){.object = {.key = o->key,
                                            .kind = span_of(object_kinds[o->kind].kind),
                                            .namespace = o->namespace,
                                            .name = o->name,
                                            .generation = o->generation,
                                            .json = buf_span(json)}};
    return code;
}

void from_store_change(struct from_store *f, const struct from_store_step *steps, size_t count,
                       struct span author, void (*on_done)(void *arg, const struct err *err),
                       void *arg)
{
    struct change *c = mem_zalloc(sizeof(*c) + count * sizeof(c->steps[0]));
    struct store_change *rows = mem_array(count + 1, sizeof(*rows));
    struct buf *texts = mem_array(count + 1, sizeof(*texts));
    struct err err;
    err_clear(&err);
    *c = (struct change){.owner = f, .on_done = on_done, .arg = arg, .count = count};
    list_init(&c->node);
    list_push_back(&f->changes, &c->node);
    for (size_t i = 0; i < count; i++) {
        if (steps[i].object != NULL) {
            c->steps[i].object = object_ref(steps[i].object);
        } else {
            c->steps[i].key = mem_strndup(steps[i].key.at, steps[i].key.len);
        }
        if (describe(&steps[i], &texts[i], &rows[i]) != 0 && err.code == 0) {
            (void)err_set(&err, -ERR_LIMIT, "'%.*s' is too large to be kept",
                          SPAN_ARG(steps[i].object->key));
        }
    }
    if (err.code == 0) {
        (void)store_objects_change(f->port, rows, count, author, on_changed, c);
    }
    for (size_t i = 0; i < count; i++) {
        buf_dispose(&texts[i]);
    }
    mem_free(texts);
    mem_free(rows);
    if (err.code != 0) {
        on_done(arg, &err);
        free_change(c);
    }
}

const struct object *from_store_get(const struct from_store *f, struct span key, bool *is_kept)
{
    bool unused;
    is_kept = is_kept != NULL ? is_kept : &unused;
    *is_kept = false;
    for (const struct list *node = f->changes.prev; node != &f->changes;
         node = node->prev) { /* newest first */
        const struct change *c = list_item(node, const struct change, node);
        for (size_t i = c->count; i-- > 0;) {
            const struct object *o = c->steps[i].object;
            if (span_eq(o != NULL ? o->key : span_of(c->steps[i].key), key)) {
                return o;
            }
        }
    }
    *is_kept = true;
    return source_get(f->origin, key);
}

void from_store_free(struct from_store *f)
{
    if (f == NULL) {
        return;
    }
    struct err err;
    (void)err_set(&err, -ERR_UNAVAILABLE, "control is stopping"); /* is what on_done gets */
    store_port_free(f->port);                                     /* no answer comes from here on */
    while (!list_is_empty(&f->changes)) {
        struct change *c = list_item(f->changes.next, struct change, node);
        c->on_done(c->arg, &err);
        free_change(c);
    }
    mem_free(f);
}
