/* POST /api/v1/apply: objects as people write them, into the store: all of them or none.
 * In: YAML or JSON. Out: from_store. Next: sources/from_store. */
#include "base/instant.h"
#include "base/map.h"
#include "base/mem.h"
#include "codec/date.h"
#include "control/api/api_objects.h"
#include "control/api/api_parts.h"
#include "control/sources/source.h"

struct applying {
    struct api_call *call;
    struct findings findings;
    struct object **given; /* owned array of counted objects, as they were read */
    size_t count, room;
    struct from_store_step *steps; /* in the call's arena; what is to be kept, counted */
    size_t step_count;
    struct doc_node *items;
};

static void on_object(void *arg, struct object *o)
{
    struct applying *a = arg;
    if (a->count == a->room) {
        a->room = a->room == 0 ? 16 : a->room * 2;
        a->given = mem_realloc(a->given, a->room * sizeof(struct object *));
    }
    a->given[a->count++] = o;
}

/* ---- what an object says, apart from what we write into it ---- */

static void forget_place(struct doc_node *node)
{
    node->file = NULL;
    node->line = 0;
    for (size_t i = 0; i < doc_count(node); i++) {
        forget_place(node->entries[i].value); /* no deeper than DOC_DEPTH_MAX */
    }
}

/* A copy without status and what servers fill in, as people apply again what `get` printed. */
static struct doc_node *bare_copy(struct arena *arena, const struct object *o)
{
    static const char *const ours[] = {"generation", "creationTimestamp", "resourceVersion",
                                       "uid",        "managedFields",     "selfLink"};
    struct doc_node *doc = doc_dup(arena, o->doc);
    forget_place(doc);
    (void)doc_remove(doc, "status"); /* whether it was there or not */
    struct doc_node *metadata = doc_map_in(arena, doc, "metadata");
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        (void)doc_remove(metadata, ours[i]); /* likewise */
    }
    if (o->namespace.len > 0) {
        doc_set_text(arena, metadata, "namespace", o->namespace);
    }
    return doc;
}

/* All but metadata: what a new generation is for. */
static bool is_same_spec(struct arena *arena, const struct doc_node *a, const struct doc_node *b)
{
    struct doc_node *one = doc_dup(arena, a);
    struct doc_node *other = doc_dup(arena, b);
    (void)doc_remove(one, "metadata"); /* both have it */
    (void)doc_remove(other, "metadata");
    return doc_eq(one, other);
}

static struct object *finish(struct arena *arena, struct doc_node *doc, int64_t generation,
                             int64_t created_us)
{
    char text[DATE_TEXT_BYTES];
    struct findings again; /* was read once, so there is nothing new to say */
    struct doc_node *metadata = doc_get(doc, "metadata");
    size_t len = date_format_rfc3339(created_us, 0, text);
    doc_set_text(arena, metadata, "creationTimestamp", span_from(text, len));
    doc_set(arena, metadata, "generation", doc_int(arena, generation));
    findings_init(&again, arena);
    return object_read(doc, &again);
}

/* ---- one object ---- */

static void plan(struct applying *a, const struct object *given)
{
    struct api_call *c = a->call;
    bool is_kept;
    const struct object *old = from_store_get(c->api->store, given->key, &is_kept);
    struct doc_node *doc = bare_copy(c->arena, given);
    int64_t generation = 1;
    int64_t created_us = instant_wall_us();
    const char *result = "created";
    if (old != NULL) {
        const struct doc_node *before = bare_copy(c->arena, old);
        bool same_spec = is_same_spec(c->arena, doc, before);
        generation = old->generation + !same_spec;
        created_us = old->created_us;
        result = same_spec && doc_eq(doc, before) ? "unchanged" : "configured";
        if (*result == 'u' && is_kept) {
            doc_list_add(c->arena, a->items, api_objects_result(c, given, result, generation));
            return;
        }
    }
    struct object *o = finish(c->arena, doc, generation, created_us);
    ASSERT(o != NULL); /* it was good before we wrote into it */
    a->steps[a->step_count++].object = o;
    doc_list_add(c->arena, a->items, api_objects_result(c, given, result, generation));
}

/* Those that can not be: twice in this text, or in a file. True: refused. */
static bool is_refused(struct applying *a, struct map *seen, struct object *o)
{
    const char *kind = object_kinds[o->kind].kind;
    const struct object *twin = map_put(seen, o->key, o);
    if (twin != NULL) {
        api_refuse(a->call, 422, 5021, NULL, "%s '%.*s' is there twice, in line %u and in line %u",
                   kind, SPAN_ARG(o->name), twin->doc->line, o->doc->line);
        return true;
    }
    const struct object *in_force = sources_get(a->call->api->sources, o->key);
    if (in_force != NULL && in_force->file.len > 0) {
        api_refuse(a->call, 409, 5017, NULL, "%s '%.*s' comes from the file '%.*s'", kind,
                   SPAN_ARG(o->name), SPAN_ARG(in_force->file));
        return true;
    }
    return false;
}

static struct doc_node *findings_to_doc(const struct applying *a)
{
    struct arena *arena = a->call->arena;
    struct doc_node *list = doc_new_list(arena);
    for (const struct finding *f = a->findings.first; f != NULL; f = f->next) {
        doc_list_add(arena, list, finding_to_doc(f, arena));
    }
    return list;
}

/* The first error as the answer, with all findings. */
static void refuse_findings(const struct applying *a)
{
    struct api_call *c = a->call;
    const struct finding *first = a->findings.first;
    while (first->severity != CODE_ERROR && first->next != NULL) {
        first = first->next;
    }
    struct doc_node *answer = api_answer(c, "Error");
    const struct doc_node *fields = finding_to_doc(first, c->arena);
    for (size_t i = 0; i < doc_count(fields); i++) {
        doc_set_span(c->arena, answer, fields->entries[i].key, fields->entries[i].value);
    }
    doc_set(c->arena, answer, "findings", findings_to_doc(a));
    api_reply(c, 422, answer);
}

/* False: it was refused. */
static bool apply_all(struct applying *a)
{
    struct api_call *c = a->call;
    if (a->findings.errors > 0) {
        refuse_findings(a);
        return false;
    }
    if (a->count == 0) {
        api_refuse(c, 422, 5020, NULL, "there is no object in it");
        return false;
    }
    struct map seen;
    bool refused = false;
    map_init(&seen);
    for (size_t i = 0; i < a->count && !refused; i++) {
        refused = is_refused(a, &seen, a->given[i]);
    }
    map_dispose(&seen);
    if (refused) {
        return false;
    }
    struct doc_node *answer = api_answer(c, "ApplyResult");
    bool dry = api_flag(c, "dryRun");
    doc_set(c->arena, answer, "dryRun", doc_bool(c->arena, dry));
    a->items = doc_set(c->arena, answer, "items", doc_new_list(c->arena));
    a->steps = arena_array(c->arena, a->count, sizeof(*a->steps));
    for (size_t i = 0; i < a->count; i++) {
        plan(a, a->given[i]);
    }
    doc_set(c->arena, answer, "warnings", findings_to_doc(a));
    if (dry || a->step_count == 0) {
        api_reply(c, 200, answer);
    } else {
        api_objects_change(c, a->steps, a->step_count, answer);
    }
    return true;
}

static void apply(struct api_call *c)
{
    if (!api_objects_can_write(c)) {
        return;
    }
    struct applying a = {.call = c};
    struct span file = api_param(c, "file");
    findings_init(&a.findings, c->arena);
    (void)object_read_text(c->rq->body, file.len > 0 ? file.at : "request", &a.findings, on_object,
                           &a); /* counts what `given` has */
    ++*(apply_all(&a) ? &c->api->applies_taken : &c->api->applies_refused);
    for (size_t i = 0; i < a.count; i++) {
        object_unref(a.given[i]);
    }
    for (size_t i = 0; i < a.step_count; i++) {
        object_unref(a.steps[i].object); /* the change has its own reference */
    }
    mem_free(a.given);
}

const struct api_route api_apply_routes[] = {
    {"POST", "/api/v1/apply", API_WRITE, apply},
    {NULL, NULL, 0, NULL},
};
