/* In: kube/reflector. Out: injector. */
#include "injector/injector_cluster.h"

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "http/host.h"
#include "kube/reflector.h"
#include "mesh/names.h"

/* A namespace as it was last told. */
struct known {
    struct arena arena;
    struct span name;
    struct doc_node *labels;
};

struct injector_cluster {
    struct injector_cluster_spec spec;
    struct reflector *namespaces, *configs; /* the first may be NULL */
    struct host_check *check;               /* may be NULL */
    struct map known;                       /* name -> struct known, owned */
    struct arena arenas[2];                 /* settings: in use, and those that were told next */
    struct inject_settings settings[2];
    unsigned used;
};

/* ---- namespaces ---- */

static struct span name_of(const struct doc_node *doc)
{
    const struct doc_node *name = doc_path(doc, "metadata.name");
    return doc_is(name, DOC_TEXT) ? name->text : SPAN_EMPTY;
}

static void forget(struct known *k)
{
    if (k) {
        arena_dispose(&k->arena);
        mem_free(k);
    }
}

static void on_namespace(void *arg, const struct doc_node *doc)
{
    struct injector_cluster *c = arg;
    const struct doc_node *labels = doc_path(doc, "metadata.labels");
    struct known *k = mem_new(struct known);
    arena_init(&k->arena, 512);
    k->name = arena_dup(&k->arena, name_of(doc));
    k->labels = doc_is(labels, DOC_MAP) ? doc_dup(&k->arena, labels) : doc_new_map(&k->arena);
    forget(map_put(&c->known, k->name, k));
}

static void on_namespace_gone(void *arg, struct span ns, struct span name)
{
    struct injector_cluster *c = arg;
    UNUSED(ns);
    forget(map_remove(&c->known, name));
}

const struct doc_node *injector_cluster_labels(void *arg, struct span name)
{
    const struct injector_cluster *c = arg;
    const struct known *k = map_get(&c->known, name);
    return k ? k->labels : NULL;
}

/* ---- settings ---- */

static void take_settings(struct injector_cluster *c, struct span text)
{
    unsigned next = !c->used;
    struct doc_node *doc = NULL;
    struct err err;
    arena_reset(&c->arenas[next]);
    inject_settings_init(&c->settings[next], &c->arenas[next]);
    struct span copy = arena_dup(&c->arenas[next], text);
    int code = doc_parse_yaml(&c->arenas[next], copy, INJECT_CONFIG_MAP, &doc, &err);
    code = code ? code : inject_settings_read(&c->settings[next], doc, &c->arenas[next], &err);
    if (code != 0) {
        log_error("injector", "settings kept code=MESH1218 why=\"%s\"", err.text);
        return;
    }
    c->used = next;
    log_info("injector", "settings image=%.*s native=%d", SPAN_ARG(c->settings[next].image),
             c->settings[next].native);
    c->spec.on_settings(c->spec.arg, &c->settings[next]);
}

static void on_config(void *arg, const struct doc_node *doc)
{
    const struct doc_node *text = doc_get(doc_get(doc, "data"), INJECT_CONFIG_KEY);
    if (span_is(name_of(doc), INJECT_CONFIG_MAP) && doc_is(text, DOC_TEXT)) {
        take_settings(arg, text->text);
    }
}

static void on_config_gone(void *arg, struct span ns, struct span name)
{
    UNUSED(ns);
    if (span_is(name, INJECT_CONFIG_MAP)) {
        log_warn("injector", "settings are gone; the built-in ones hold");
        take_settings(arg, SPAN_EMPTY);
    }
}

/* ---- both ---- */

static bool is_synced(const struct reflector *r)
{
    return r == NULL || reflector_state(r) != REFLECTOR_LISTING;
}

static void on_state(void *arg, enum reflector_state state, const char *why)
{
    struct injector_cluster *c = arg;
    if (state == REFLECTOR_DENIED || state == REFLECTOR_BEHIND) {
        log_warn("injector", "cluster not followed why=\"%s\"", why);
    }
    if (c->check) {
        host_check_set(c->check, is_synced(c->namespaces) && is_synced(c->configs),
                       "namespaces and settings are not read yet");
    }
}

struct injector_cluster *injector_cluster_new(const struct injector_cluster_spec *spec)
{
    struct injector_cluster *c = mem_new(struct injector_cluster);
    c->spec = *spec;
    map_init(&c->known);
    for (size_t i = 0; i < ARRAY_LEN(c->arenas); i++) {
        arena_init(&c->arenas[i], 4096);
    }
    c->check = spec->host ? host_check_add(spec->host, "injector") : NULL;
    if (!spec->no_namespaces) {
        c->namespaces = reflector_new(&(struct reflector_spec){
            .client = spec->client,
            .kind = {.group = "", .version = "v1", .plural = "namespaces", .namespaced = false},
            .on_object = on_namespace,
            .on_gone = on_namespace_gone,
            .on_state = on_state,
            .arg = c});
    }
    c->configs = reflector_new(&(struct reflector_spec){
        .client = spec->client,
        .kind = {.group = "", .version = "v1", .plural = "configmaps", .namespaced = true},
        .namespace = SPAN(MESH_SYSTEM_NAMESPACE),
        .field_selector = "metadata.name=" INJECT_CONFIG_MAP,
        .on_object = on_config,
        .on_gone = on_config_gone,
        .on_state = on_state,
        .arg = c});
    return c;
}

void injector_cluster_free(struct injector_cluster *c)
{
    if (c == NULL) {
        return;
    }
    reflector_free(c->namespaces);
    reflector_free(c->configs);
    host_check_free(c->check);
    for (struct map_slot *s = NULL; (s = map_next(&c->known, s));) {
        forget(s->value);
    }
    map_dispose(&c->known);
    for (size_t i = 0; i < ARRAY_LEN(c->arenas); i++) {
        arena_dispose(&c->arenas[i]);
    }
    mem_free(c);
}
