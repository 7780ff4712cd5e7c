/* Objects in force, and what is wrong with them: GET and DELETE /api/v1/objects, GET /api/v1/findings.
 * In: api. Out: sources, from_store. Next: sources/source. */
#include "control/api/api_objects.h"

#include "base/mem.h"
#include "control/api/api_parts.h"
#include "control/sources/source.h"
#include "model/secret.h"

/* ---- a change on its way to the store ---- */

struct on_way {
    struct api_call *call;   /* NULL: the client is gone */
    struct doc_node *answer; /* in the call's arena */
};

static void on_gone(struct api_call *c)
{
    struct on_way *w = c->state;
    w->call = NULL;
}

static void on_kept(void *arg, const struct err *err)
{
    struct on_way *w = arg;
    struct api_call *c = w->call;
    struct doc_node *answer = w->answer;
    mem_free(w);
    if (c == NULL) {
        return;
    }
    if (err != NULL) {
        api_refuse(c, 503, 5019, NULL, "%s", err->text);
    } else {
        api_reply(c, 200, answer);
    }
}

void api_objects_change(struct api_call *c, const struct from_store_step *steps, size_t count,
                        struct doc_node *answer)
{
    struct on_way *w = mem_new(struct on_way);
    *w = (struct on_way){.call = c, .answer = answer};
    c->state = w;
    api_wait(c, on_gone);
    from_store_change(c->api->store, steps, count, SPAN("api"), on_kept, w);
}

struct doc_node *api_objects_result(const struct api_call *c, const struct object *o,
                                    const char *result, int64_t generation)
{
    struct doc_node *item = doc_new_map(c->arena);
    doc_set_text(c->arena, item, "kind", span_of(object_kinds[o->kind].kind));
    doc_set_text(c->arena, item, "group", span_of(object_kinds[o->kind].group));
    if (o->namespace.len > 0) {
        doc_set_text(c->arena, item, "namespace", o->namespace);
    }
    doc_set_text(c->arena, item, "name", o->name);
    doc_set_text(c->arena, item, "result", span_of(result));
    doc_set(c->arena, item, "generation", doc_int(c->arena, generation));
    return item;
}

bool api_objects_are_read(struct api_call *c)
{
    if (c->api->sources == NULL) {
        api_refuse(c, 503, 5001, NULL, "control is still reading its objects");
        return false;
    }
    return true;
}

bool api_objects_can_write(struct api_call *c)
{
    if (c->api->store == NULL) {
        api_refuse(c, 503, 5018, NULL, "this control plane keeps no objects");
        return false;
    }
    return api_objects_are_read(c);
}

/* ---- which ---- */

struct choice {
    struct api_call *call;
    int kind;                    /* -1 = all */
    struct span namespace, name; /* NULL `at` = all */
    struct selector selector;
    struct doc_node *items;
    const struct object *found;
};

static bool is_chosen(const struct choice *x, const struct object *o)
{
    return (x->kind < 0 || o->kind == (enum object_kind)x->kind) &&
           (x->namespace.at == NULL || span_eq(o->namespace, x->namespace)) &&
           (x->name.at == NULL || span_eq(o->name, x->name)) &&
           selector_matches(&x->selector, o->labels, o->label_count);
}

static void on_object(void *arg, const struct object *o)
{
    struct choice *x = arg;
    if (is_chosen(x, o)) {
        x->found = o;
        if (x->items != NULL) {
            doc_list_add(x->call->arena, x->items, secret_veil(o, x->call->arena));
        }
    }
}

/* False: there is no such kind, and the call was refused. */
static bool choose_kind(struct choice *x, struct span word)
{
    x->kind = object_kind_find(word);
    if (x->kind < 0) {
        api_refuse(x->call, 404, 5016, NULL, "there is no kind '%.*s'",
                   SPAN_ARG(span_first(word, 64)));
    }
    return x->kind >= 0;
}

/* "KIND[/NAMESPACE[/NAME]]"; false: refused. */
static bool choose_path(struct choice *x)
{
    struct span rest = x->call->rest;
    struct span kind = span_cut(&rest, '/');
    if (!choose_kind(x, kind)) {
        return false;
    }
    if (rest.at != NULL) {
        struct span namespace = span_cut(&rest, '/');
        /* Kinds without a namespace are found whatever the path says. */
        x->namespace = object_kinds[x->kind].namespaced ? namespace : SPAN("");
        x->name = rest;
    }
    return true;
}

static bool choose_query(struct choice *x)
{
    struct api_call *c = x->call;
    struct span kind = api_param(c, "kind");
    struct span selector = api_param(c, "selector");
    struct err err;
    x->namespace = api_param(c, "namespace");
    x->name = api_param(c, "name");
    if (selector.at != NULL && selector_parse(selector, c->arena, &x->selector, &err) != 0) {
        api_refuse(c, 400, 5014, NULL, "'selector' is '%.*s': %s",
                   SPAN_ARG(span_first(selector, 128)), err.text);
        return false;
    }
    return kind.len == 0 || choose_kind(x, kind);
}

/* ---- the paths ---- */

static void list_objects(struct api_call *c)
{
    struct choice x = {.call = c, .kind = -1};
    if (!api_objects_are_read(c) || !choose_query(&x)) {
        return;
    }
    struct doc_node *answer = api_list(c, "ObjectList");
    x.items = doc_get(answer, "items");
    sources_each(c->api->sources, on_object, &x);
    api_reply(c, 200, answer);
}

static void refuse_absent(struct choice *x)
{
    const struct object_kind_row *row = &object_kinds[x->kind];
    api_refuse(x->call, 404, 5015, NULL, "there is no %s '%.*s%s%.*s'", row->kind,
               SPAN_ARG(span_first(x->namespace, 64)), row->namespaced ? "/" : "",
               SPAN_ARG(span_first(x->name, 256)));
}

static void get_object(struct api_call *c)
{
    struct choice x = {.call = c, .kind = -1};
    if (!api_objects_are_read(c) || !choose_path(&x)) {
        return;
    }
    if (x.name.at == NULL) {
        struct doc_node *answer = api_list(c, "ObjectList");
        x.items = doc_get(answer, "items");
        sources_each(c->api->sources, on_object, &x);
        api_reply(c, 200, answer);
        return;
    }
    sources_each(c->api->sources, on_object, &x);
    if (x.found == NULL) {
        refuse_absent(&x);
    } else {
        api_reply(c, 200, secret_veil(x.found, c->arena));
    }
}

static void delete_object(struct api_call *c)
{
    struct choice x = {.call = c, .kind = -1};
    if (!api_objects_can_write(c) || !choose_path(&x)) {
        return;
    }
    if (x.name.at == NULL) {
        api_refuse(c, 400, 5014, NULL,
                   "the path names no object; want /api/v1/objects/KIND/NAMESPACE/NAME");
        return;
    }
    sources_each(c->api->sources, on_object, &x);
    if (x.found == NULL) {
        refuse_absent(&x);
        return;
    }
    const struct object *kept = from_store_get(c->api->store, x.found->key, NULL);
    if (kept == NULL) {
        api_refuse(c, 409, 5017, NULL, "%s '%.*s' comes from the file '%.*s'",
                   object_kinds[x.kind].kind, SPAN_ARG(x.found->name), SPAN_ARG(x.found->file));
        return;
    }
    struct doc_node *answer = api_answer(c, "ApplyResult");
    doc_list_add(c->arena, doc_list_in(c->arena, answer, "items"),
                 api_objects_result(c, kept, "deleted", kept->generation));
    if (api_flag(c, "dryRun")) {
        doc_set(c->arena, answer, "dryRun", doc_bool(c->arena, true));
        api_reply(c, 200, answer);
        return;
    }
    const struct from_store_step step = {.key = arena_dup(c->arena, kept->key)};
    api_objects_change(c, &step, 1, answer);
}

static void on_finding(void *arg, const struct finding *f)
{
    const struct choice *x = arg;
    doc_list_add(x->call->arena, x->items, finding_to_doc(f, x->call->arena));
}

static void list_findings(struct api_call *c)
{
    if (!api_objects_are_read(c)) {
        return;
    }
    struct doc_node *answer = api_list(c, "FindingList");
    struct choice x = {.call = c, .items = doc_get(answer, "items")};
    sources_each_finding(c->api->sources, on_finding, &x);
    if (c->api->each_world_finding != NULL) {
        c->api->each_world_finding(c->api->world_arg, on_finding, &x);
    }
    api_reply(c, 200, answer);
}

const struct api_route api_objects_routes[] = {
    {"GET", "/api/v1/objects", 0, list_objects},
    {"GET", "/api/v1/objects/*", 0, get_object},
    {"DELETE", "/api/v1/objects/*", API_WRITE, delete_object},
    {"GET", "/api/v1/findings", 0, list_findings},
    {NULL, NULL, 0, NULL},
};
