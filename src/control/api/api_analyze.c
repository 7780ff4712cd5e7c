/* POST /api/v1/analyze: what would be wrong if these objects were in force, too. A world is built of what is there and what is given, looked at, and
 * thrown away; nothing is stored and no proxy hears of it.
 * In: {"files":[{"name","text"}]}. Out: findings of reading, of the given objects in relation to all, and what else would be new.
 * Next: world/world_findings. */
#include "base/map.h"
#include "base/mem.h"
#include "control/api/api_parts.h"
#include "control/sources/source.h"
#include "control/world/world.h"

#define FINDINGS_SHOWN 2000

struct analyzing {
    struct api_call *call;
    struct world_builder *builder;
    struct map files; /* names of the given texts */
    struct findings read;
    struct doc_node *items;
    int64_t objects;
};

static void on_there(void *arg, const struct object *o)
{
    struct analyzing *a = arg;
    struct object *shared = object_ref((struct object *)o); /* counted, whoever looks at it */
    world_builder_put(a->builder, shared);
    object_unref(shared);
}

static void on_given(void *arg, struct object *o)
{
    struct analyzing *a = arg;
    world_builder_put(a->builder, o); /* a later one of the same name counts, as when applied */
    a->objects++;
    object_unref(o);
}

/* False: it was refused. */
static bool read_files(struct analyzing *a)
{
    struct api_call *c = a->call;
    struct doc_node *body = NULL;
    struct err err;
    if (doc_parse_json(c->arena, c->rq->body, "request", &body, &err) != 0) {
        api_refuse(c, 400, 5014, NULL, "%s", err.text);
        return false;
    }
    const struct doc_node *files = doc_get(body, "files");
    for (size_t i = 0; i < doc_count(files); i++) {
        const struct doc_node *name = doc_get(doc_at(files, i), "name");
        const struct doc_node *text = doc_get(doc_at(files, i), "text");
        if (!doc_is(text, DOC_TEXT)) {
            api_refuse(c, 400, 5014, NULL, "files[%zu] has no text", i);
            return false;
        }
        const char *file = doc_is(name, DOC_TEXT) ? arena_cstr(c->arena, name->text) : "request";
        (void)map_put(&a->files, span_of(file), a); /* which are there is all that counts */
        (void)object_read_text(text->text, file, &a->read, on_given, a); /* counted by on_given */
    }
    return true;
}

static bool is_same(const struct finding *x, const struct finding *y)
{
    return x->code == y->code && span_eq(x->kind, y->kind) && span_eq(x->namespace, y->namespace) &&
           span_eq(x->name, y->name) && span_eq(x->path, y->path) && span_eq(x->what, y->what);
}

static bool was_there(const struct findings *before, const struct finding *f)
{
    for (const struct finding *one = before->first; one; one = one->next) {
        if (is_same(one, f)) {
            return true;
        }
    }
    return false;
}

static void add_findings(struct analyzing *a, const struct findings *list,
                         const struct findings *before)
{
    for (const struct finding *f = list->first; f; f = f->next) {
        if (!before || map_get(&a->files, f->file) || !was_there(before, f)) {
            doc_list_add(a->call->arena, a->items, finding_to_doc(f, a->call->arena));
        }
    }
}

static void look(struct analyzing *a)
{
    struct api_call *c = a->call;
    struct findings before, after;
    struct world_change change;
    findings_init(&before, c->arena);
    findings_init(&after, c->arena);
    before.limit = after.limit = FINDINGS_SHOWN;
    if (c->api->world) {
        world_findings(c->api->world, &before);
    }
    struct world *w = world_build(a->builder, &change);
    world_findings(w, &after);
    add_findings(a, &a->read, NULL);
    add_findings(a, &after, &before);
    world_unref(w);
}

static void analyze(struct api_call *c)
{
    struct analyzing a = {.call = c, .builder = NULL};
    if (!c->api->sources) {
        api_refuse(c, 503, 5001, NULL, "control is still reading its objects");
        return;
    }
    a.builder = world_builder_new();
    map_init(&a.files);
    findings_init(&a.read, c->arena);
    if (c->api->world) {
        const struct world_mesh *mesh = &c->api->world->config->mesh;
        world_builder_set_defaults(a.builder, mesh->trust_domain, mesh->cluster_id);
    }
    sources_each(c->api->sources, on_there, &a);
    if (read_files(&a)) {
        struct doc_node *answer = api_list(c, "FindingList");
        a.items = doc_get(answer, "items");
        doc_set(c->arena, answer, "objects", doc_int(c->arena, a.objects));
        look(&a);
        api_reply(c, 200, answer);
    }
    map_dispose(&a.files);
    world_builder_free(a.builder);
}

const struct api_route api_analyze_routes[] = {
    {"POST", "/api/v1/analyze", API_WRITE, analyze}, /* it costs: not for foreign web pages */
    {NULL, NULL, 0, NULL},
};
