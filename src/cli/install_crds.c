/* CustomResourceDefinitions out of their short form, install/crds.yaml: what a word, a list or a map in it stands for is said there.
 * In: install_render, cmd_uninstall. Source: apiextensions.k8s.io/v1, "Extend the Kubernetes API with CustomResourceDefinitions" (structural schemas). */
#include "cli/install.h"

#include "base/embed.h"
#include "cli/install_files.h"

#define DEPTH_MAX 16
#define GATEWAY_API_GROUP "gateway.networking.k8s.io"
/* The level of the Gateway API whose kinds crds.yaml has, as its own definitions say it. */
#define GATEWAY_API_BUNDLE "v1.3.0"

struct writer {
    struct arena *arena;
    const struct doc_node *types;
};

static struct doc_node *put(struct arena *a, struct doc_node *map, const char *key,
                            const char *text)
{
    return doc_set(a, map, key, doc_cstr(a, text));
}

static struct doc_node *typed(struct arena *a, const char *type)
{
    struct doc_node *map = doc_new_map(a);
    put(a, map, "type", type);
    return map;
}

static struct doc_node *open_object(struct arena *a)
{
    struct doc_node *map = typed(a, "object");
    doc_set(a, map, "x-kubernetes-preserve-unknown-fields", doc_bool(a, true));
    return map;
}

static struct doc_node *schema(const struct writer *w, const struct doc_node *brief, int depth);

static struct doc_node *word(const struct writer *w, struct span name, int depth)
{
    static const struct {
        const char *brief, *type;
    } scalars[] = {
        {"string", "string"}, {"int", "integer"}, {"number", "number"}, {"bool", "boolean"}};
    struct arena *a = w->arena;
    struct doc_node *out;
    for (size_t i = 0; i < ARRAY_LEN(scalars); i++) {
        if (span_is(name, scalars[i].brief)) {
            return typed(a, scalars[i].type);
        }
    }
    if (span_is(name, "object")) {
        return open_object(a);
    }
    if (span_is(name, "strings")) {
        out = typed(a, "object");
        doc_set(a, out, "additionalProperties", typed(a, "string"));
        return out;
    }
    if (span_is(name, "any") || span_is(name, "intstr")) {
        out = doc_new_map(a);
        doc_set(a, out,
                span_is(name, "any") ? "x-kubernetes-preserve-unknown-fields"
                                     : "x-kubernetes-int-or-string",
                doc_bool(a, true));
        return out;
    }
    const struct doc_node *other = doc_get_span(w->types, name);
    ASSERT(other != NULL); /* a word of ours, in a file of ours: unit tests write out all kinds */
    return schema(w, other, depth + 1);
}

/* "name!", "listeners@name", or a plain name. */
static void property(const struct writer *w, struct doc_node *properties,
                     struct doc_node **required, const struct doc_entry *e, int depth)
{
    struct arena *a = w->arena;
    struct span rest = e->key;
    struct span name = span_cut(&rest, '@');
    bool must = span_ends(name, SPAN("!"));
    name = span_first(name, name.len - must);
    struct doc_node *one = doc_set_span(a, properties, name, schema(w, e->value, depth + 1));
    if (rest.at != NULL) {
        put(a, one, "x-kubernetes-list-type", "map");
        doc_list_add(a, doc_list_in(a, one, "x-kubernetes-list-map-keys"), doc_text(a, rest));
    }
    if (must) {
        *required = *required ? *required : doc_new_list(a);
        doc_list_add(a, *required, doc_text(a, name));
    }
}

static struct doc_node *schema(const struct writer *w, const struct doc_node *brief, int depth)
{
    struct arena *a = w->arena;
    ASSERT(depth < DEPTH_MAX);
    if (doc_is(brief, DOC_TEXT)) {
        return word(w, brief->text, depth);
    }
    if (doc_is(brief, DOC_LIST)) {
        struct doc_node *list = typed(a, "array");
        doc_set(a, list, "items", schema(w, doc_at(brief, 0), depth + 1));
        return list;
    }
    struct doc_node *map = open_object(a);
    struct doc_node *properties = doc_map_in(a, map, "properties");
    struct doc_node *required = NULL;
    for (size_t i = 0; i < doc_count(brief); i++) {
        property(w, properties, &required, &brief->entries[i], depth);
    }
    if (required) {
        doc_set(a, map, "required", required);
    }
    return map;
}

static void add_column(struct arena *a, struct doc_node *columns, struct span name,
                       const char *type, struct span path)
{
    struct doc_node *one = doc_list_add(a, columns, doc_new_map(a));
    doc_set_text(a, one, "name", name);
    put(a, one, "type", type);
    doc_set_text(a, one, "jsonPath", path);
}

/* One version: all have the same schema, so that nothing needs to be converted. */
static struct doc_node *version(const struct writer *w, const struct doc_node *kind,
                                struct span name, bool storage)
{
    struct arena *a = w->arena;
    struct doc_node *v = doc_new_map(a);
    const struct doc_node *columns = doc_get(kind, "columns");
    doc_set_text(a, v, "name", name);
    doc_set(a, v, "served", doc_bool(a, true));
    doc_set(a, v, "storage", doc_bool(a, storage));
    struct doc_node *list = doc_list_in(a, v, "additionalPrinterColumns");
    for (size_t i = 0; i < doc_count(columns); i++) {
        add_column(a, list, columns->entries[i].key, "string", columns->entries[i].value->text);
    }
    add_column(a, list, SPAN("Age"), "date", SPAN(".metadata.creationTimestamp"));
    struct doc_node *top = typed(a, "object");
    struct doc_node *properties = doc_map_in(a, top, "properties");
    doc_set(a, properties, "spec", schema(w, doc_get(kind, "spec"), 0));
    const struct doc_node *status = doc_get(kind, "status");
    if (status) {
        doc_set(a, properties, "status", schema(w, status, 0));
        doc_map_in(a, doc_map_in(a, v, "subresources"), "status");
    }
    doc_set(a, doc_map_in(a, v, "schema"), "openAPIV3Schema", top);
    return v;
}

static struct span lower(struct arena *a, struct span name)
{
    char *to = arena_bytes(a, name.len);
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        to[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    return span_from(to, name.len);
}

static void add_names(struct arena *a, struct doc_node *spec, const struct doc_node *kind)
{
    struct doc_node *names = doc_map_in(a, spec, "names");
    struct span name = doc_get(kind, "kind")->text;
    doc_set_text(a, names, "kind", name);
    put(a, names, "listKind", arena_printf(a, "%.*sList", SPAN_ARG(name)));
    doc_set_text(a, names, "plural", doc_get(kind, "plural")->text);
    doc_set_text(a, names, "singular", lower(a, name));
    const struct doc_node *shorts = doc_get(kind, "short");
    if (shorts) {
        doc_set(a, names, "shortNames", doc_dup(a, shorts));
    }
}

static struct doc_node *definition(const struct writer *w, const struct doc_node *kind)
{
    static const char *const istio_versions[] = {"v1", "v1beta1", "v1alpha3"};
    struct arena *a = w->arena;
    struct doc_node *crd = doc_new_map(a);
    struct span group = doc_get(kind, "group")->text;
    put(a, crd, "apiVersion", "apiextensions.k8s.io/v1");
    put(a, crd, "kind", "CustomResourceDefinition");
    struct doc_node *meta = doc_map_in(a, crd, "metadata");
    put(a, meta, "name",
        arena_printf(a, "%.*s.%.*s", SPAN_ARG(doc_get(kind, "plural")->text), SPAN_ARG(group)));
    if (span_is(group, GATEWAY_API_GROUP)) {
        struct doc_node *notes = doc_map_in(a, meta, "annotations");
        put(a, notes, "api-approved.kubernetes.io", "unapproved, mesh's own text of the API");
        put(a, notes, "gateway.networking.k8s.io/bundle-version", GATEWAY_API_BUNDLE);
        put(a, notes, "gateway.networking.k8s.io/channel", "standard");
    }
    struct doc_node *spec = doc_map_in(a, crd, "spec");
    doc_set_text(a, spec, "group", group);
    put(a, spec, "scope", doc_get(kind, "cluster") ? "Cluster" : "Namespaced");
    add_names(a, spec, kind);
    struct doc_node *versions = doc_list_in(a, spec, "versions");
    const struct doc_node *named = doc_get(kind, "versions");
    size_t count = named ? doc_count(named) : ARRAY_LEN(istio_versions);
    for (size_t i = 0; i < count; i++) {
        struct span name = named ? doc_at(named, i)->text : span_of(istio_versions[i]);
        doc_list_add(a, versions, version(w, kind, name, i == 0));
    }
    return crd;
}

struct doc_node *install_crds(struct arena *arena)
{
    const struct embed *file = embed_find(install_files, "crds.yaml");
    struct doc_node *brief = NULL;
    struct err err = {.code = 0};
    int code =
        doc_parse_yaml(arena, span_from(file->bytes, file->length), "crds.yaml", &brief, &err);
    ASSERT(code == 0);
    const struct writer w = {.arena = arena, .types = doc_get(brief, "types")};
    const struct doc_node *kinds = doc_get(brief, "kinds");
    struct doc_node *list = doc_new_list(arena);
    for (size_t i = 0; i < doc_count(kinds); i++) {
        doc_list_add(arena, list, definition(&w, doc_at(kinds, i)));
    }
    return list;
}
