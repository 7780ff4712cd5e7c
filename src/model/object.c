/* One document into an object: kind and version, metadata, then the spec by the table of its kind.
 * In: a document. Out: the object, or findings. Next: the file of the kind; object_text (whole texts). */
#include "model/object.h"

#include <strings.h>

#include "base/mem.h"
#include "codec/date.h"
#include "mesh/names.h"
#include "model/kinds_int.h"
#include "model/object_int.h"

#define BLOCK_BYTES 2048 /* a Pod as it is kept has 5 kB, and there are thousands */
#define NODES_MAX 100000 /* of one object: 1.5 MB of YAML, what etcd takes, has less */

static const struct kind_reading {
    const struct reader_table *table;
    bool at_root;       /* no "spec": the fields stand beside metadata */
    bool spec_required; /* by the API server, or without it the object says nothing */
    void (*finish)(struct reader *r, void *spec);
} readings[OBJECT_KIND_COUNT] = {
    [OBJECT_NAMESPACE] = {&service_namespace_table, false, false, NULL},
    [OBJECT_SERVICE] = {&service_table, false, true, NULL},
    [OBJECT_ENDPOINT_SLICE] = {&endpoint_slice_table, true, false, endpoint_slice_finish},
    [OBJECT_POD] = {&pod_table, false, false, pod_finish},
    [OBJECT_NODE] = {&pod_node_table, false, false, pod_node_finish},
    [OBJECT_SERVICE_ACCOUNT] = {&pod_account_table, true, false, NULL},
    [OBJECT_SECRET] = {&secret_table, true, false, secret_finish},
    [OBJECT_GATEWAY_CLASS] = {&gateway_class_table, false, true, NULL},
    [OBJECT_REFERENCE_GRANT] = {&gateway_class_grant_table, false, true, NULL},
    [OBJECT_GATEWAY] = {&gateway_api_table, false, true, NULL},
    [OBJECT_HTTP_ROUTE] = {&http_route_table, false, true, NULL},
    [OBJECT_ISTIO_GATEWAY] = {&istio_gateway_table, false, true, NULL},
    [OBJECT_VIRTUAL_SERVICE] = {&virtual_service_table, false, true, NULL},
    [OBJECT_DESTINATION_RULE] = {&destination_rule_table, false, true, NULL},
    [OBJECT_SERVICE_ENTRY] = {&service_entry_table, false, true, NULL},
    [OBJECT_WORKLOAD_ENTRY] = {&workload_entry_table, false, true, NULL},
    [OBJECT_PEER_AUTHENTICATION] = {&peer_authentication_table, false, false, NULL},
    [OBJECT_AUTHORIZATION_POLICY] = {&authorization_policy_table, false, false,
                                     authorization_policy_finish},
    [OBJECT_MESH_CONFIG] = {&mesh_config_table, false, true, NULL},
};

/* --- metadata --- */

static void read_created(struct reader *r, const struct doc_node *node, void *to)
{
    if (node->kind == DOC_TEXT && date_parse_rfc3339(node->text, to) == 0) {
        return;
    }
    struct finding *found =
        reader_say(r, 2013, node, NULL, "'creationTimestamp' is %s", reader_show(r, node));
    found->why = SPAN("it is not a point in time as RFC 3339 writes it");
    found->fix = SPAN("remove it, or write it like 2026-01-31T12:00:00Z");
}

/* Annotations: keys like labels, any text as value. */
static void read_annotations(struct reader *r, const struct doc_node *node, void *to)
{
    if (node->kind != DOC_MAP) {
        (void)reader_wrong_kind(r, node, "a map of texts"); /* is said */
        return;
    }
    struct label *items = arena_array(r->arena, node->count, sizeof(items[0]));
    const struct reader_field any = {.name = "", .type = READER_TEXT};
    for (size_t i = 0; i < node->count; i++) {
        items[i].key = node->entries[i].key;
        reader_value_at(r, items[i].key, node->entries[i].value, &any, &items[i].value);
    }
    *(struct spec_labels *)to = (struct spec_labels){items, node->count};
}

/* Services have stricter names than objects have; Namespaces too. */
static bool check_name(struct reader *r, const struct doc_node *node, struct span text)
{
    bool label = r->object->kind == OBJECT_SERVICE || r->object->kind == OBJECT_NAMESPACE;
    if (label ? reader_text_is_label(text) : reader_text_is_subdomain(text)) {
        return true;
    }
    struct finding *found = reader_say(r, 2007, node, NULL, "%s is not a name for a %s",
                                       reader_show(r, node), object_kinds[r->object->kind].kind);
    found->why = label ? SPAN("it must be at most 63 lower case letters, digits and '-'")
                       : SPAN("it must be at most 253 lower case letters, digits, '-' and '.'");
    found->fix = SPAN("write a name like 'reviews-v1'");
    return false;
}

static bool check_namespace(struct reader *r, const struct doc_node *node, struct span text)
{
    if (reader_text_is_label(text)) {
        return true;
    }
    struct finding *found =
        reader_say(r, 2007, node, NULL, "%s is not a namespace", reader_show(r, node));
    found->why = SPAN("it must be at most 63 lower case letters, digits and '-'");
    found->fix = SPAN("write a name like 'default'");
    return false;
}

struct metadata {
    struct span name, namespace;
    struct spec_labels labels, annotations;
    int64_t generation, created_us;
};

static const struct reader_field metadata_fields[] = {
    READER_FIELD("name", TEXT, struct metadata, name, .required = true, .check = check_name,
                 .note = "add 'name: NAME' to metadata"),
    READER_FIELD("namespace", TEXT, struct metadata, namespace, .check = check_namespace),
    READER_FIELD("labels", LABELS, struct metadata, labels),
    READER_FIELD("annotations", CUSTOM, struct metadata, annotations, .read = read_annotations),
    READER_FIELD("generation", I64, struct metadata, generation),
    READER_FIELD("creationTimestamp", CUSTOM, struct metadata, created_us, .read = read_created),
    READER_IGNORE("uid"),
    READER_IGNORE("resourceVersion"),
    READER_IGNORE("managedFields"),
    READER_IGNORE("ownerReferences"),
    READER_IGNORE("finalizers"),
    READER_IGNORE("selfLink"),
    READER_IGNORE("deletionTimestamp"),
    READER_IGNORE("deletionGracePeriodSeconds"),
    READER_IGNORE("generateName"),
};
static const struct reader_table metadata_table = {READER_TABLE(struct metadata, metadata_fields)};

static void warn_namespace(struct reader *r, const struct doc_node *metadata)
{
    struct finding *found =
        reader_say(r, 2034, doc_get(metadata, "namespace"), "namespace",
                   "a %s is not in a namespace", object_kinds[r->object->kind].kind);
    found->why = SPAN("it has no effect");
    found->fix = SPAN("remove 'namespace'");
}

static void read_metadata(struct reader *r, const struct doc_node *root)
{
    struct object *o = r->object;
    const struct doc_node *node = doc_get(root, "metadata");
    struct metadata m;
    if (node == NULL || node->kind == DOC_NULL) {
        reader_missing(r, root, "metadata", "add 'metadata:' with a name");
        return;
    }
    struct reader_step step = {.key = SPAN("metadata"), .up = r->at};
    r->at = &step;
    reader_map(r, node, &metadata_table, &m);
    bool namespaced = object_kinds[o->kind].namespaced;
    if (!namespaced && m.namespace.len > 0) {
        warn_namespace(r, node);
    }
    r->at = step.up;
    o->name = m.name;
    o->namespace = !namespaced ? SPAN_EMPTY : m.namespace.len > 0 ? m.namespace : SPAN("default");
    o->labels = (struct label *)m.labels.items;
    o->label_count = m.labels.count;
    o->annotations = (struct label *)m.annotations.items;
    o->annotation_count = m.annotations.count;
    o->generation = m.generation;
    o->created_us = m.created_us;
}

/* --- the rest --- */

/* Fields at the root that belong to the spec of kinds without one. */
static bool is_own_field(const struct kind_reading *reading, struct span key)
{
    for (size_t i = 0; reading->at_root && i < reading->table->field_count; i++) {
        if (span_is(key, reading->table->fields[i].name)) {
            return true;
        }
    }
    return false;
}

static void look_for_strangers(struct reader *r, const struct doc_node *root,
                               const struct kind_reading *reading)
{
    static const char *const known[] = {"apiVersion", "kind", "metadata", "spec", "status"};
    for (size_t i = 0; i < root->count; i++) {
        struct span key = root->entries[i].key;
        bool is_known = is_own_field(reading, key);
        for (size_t k = 0; k < ARRAY_LEN(known); k++) {
            is_known |= span_is(key, known[k]) && !(reading->at_root && k == 3);
        }
        if (!is_known) {
            object_say_stranger(r, &root->entries[i], known, ARRAY_LEN(known));
        }
    }
}

/* The fields of a kind without "spec" in a map of their own, as a table wants them. */
static struct doc_node *own_fields(struct reader *r, const struct doc_node *root,
                                   const struct kind_reading *reading)
{
    struct doc_node *own = doc_new_map(r->arena);
    own->line = root->line;
    own->file = root->file;
    for (size_t i = 0; i < root->count; i++) {
        if (is_own_field(reading, root->entries[i].key)) {
            doc_set_span(r->arena, own, root->entries[i].key, root->entries[i].value);
        }
    }
    return own;
}

static void read_spec(struct reader *r, const struct doc_node *root)
{
    const struct kind_reading *reading = &readings[r->object->kind];
    void *spec = arena_alloc(r->arena, reading->table->size);
    const struct doc_node *node = doc_get(root, "spec");
    struct reader_step step = {.key = SPAN("spec"), .up = r->at};
    if (reading->at_root) {
        reader_map(r, own_fields(r, root, reading), reading->table, spec);
    } else {
        bool absent = node == NULL || node->kind == DOC_NULL;
        if (absent && reading->spec_required) {
            reader_missing(r, root, "spec", "add 'spec:' with what the object is to do");
            return;
        }
        node = absent ? doc_new_map(r->arena) : node;
        r->at = &step;
        reader_map(r, node, reading->table, spec);
        if (reading->finish != NULL) {
            reading->finish(r, spec);
        }
        r->at = step.up;
    }
    if (reading->at_root && reading->finish != NULL) {
        reading->finish(r, spec);
    }
    r->object->spec = spec;
}

/* Nodes of a copy say where they came from in words that live as long as it. */
static void claim(struct doc_node *node, const char *file)
{
    node->file = file;
    for (size_t i = 0; node->kind >= DOC_LIST && i < node->count; i++) {
        claim(node->entries[i].value, file);
    }
}

static size_t count_nodes(const struct doc_node *node)
{
    size_t count = 1;
    for (size_t i = 0; i < doc_count(node) && count <= NODES_MAX; i++) {
        count += count_nodes(node->entries[i].value);
    }
    return count;
}

static struct object *object_new(const struct doc_node *doc, enum object_kind kind)
{
    struct object *o = mem_new(struct object);
    o->refs = 1;
    o->kind = kind;
    arena_init(&o->arena, BLOCK_BYTES);
    o->file = doc->file ? arena_dup(&o->arena, span_of(doc->file)) : SPAN_EMPTY;
    o->doc = doc_dup(&o->arena, doc);
    claim(o->doc, o->file.at);
    return o;
}

/* What findings call the object, as far as the text tells. */
static void name_finding(struct reader *r, const struct doc_node *doc)
{
    const struct doc_node *name = doc_path(doc, "metadata.name");
    const struct doc_node *namespace = doc_path(doc, "metadata.namespace");
    struct findings *f = r->findings;
    r->name = doc_is(name, DOC_TEXT) ? finding_text(f, "%.*s", SPAN_ARG(name->text)) : SPAN_EMPTY;
    r->namespace = doc_is(namespace, DOC_TEXT) ? finding_text(f, "%.*s", SPAN_ARG(namespace->text))
                                               : SPAN_EMPTY;
}

struct object *object_read_at(const struct doc_node *doc, const struct reader_step *at,
                              struct findings *f)
{
    struct reader r = {.findings = f, .at = at};
    size_t errors = f->errors;
    name_finding(&r, doc);
    int kind = object_kind_of(&r, doc);
    if (kind < 0) {
        return NULL;
    }
    r.namespace = !object_kinds[kind].namespaced ? SPAN_EMPTY
                  : r.namespace.len > 0          ? r.namespace
                                                 : SPAN("default");
    if (count_nodes(doc) > NODES_MAX) {
        struct finding *found = reader_say(&r, 2040, doc, NULL, "the object is too large");
        found->why = finding_text(f, "it has more than %d values", NODES_MAX);
        found->fix = SPAN("split it into several objects");
        return NULL;
    }
    struct object *o = object_new(doc, kind);
    r.arena = &o->arena;
    r.object = o;
    read_metadata(&r, o->doc);
    look_for_strangers(&r, o->doc, &readings[kind]);
    read_spec(&r, o->doc);
    if (f->errors > errors) {
        object_unref(o);
        return NULL;
    }
    object_make_key(o);
    return o;
}

struct object *object_read(const struct doc_node *doc, struct findings *f)
{
    return object_read_at(doc, NULL, f);
}

struct object *object_ref(struct object *o)
{
    (void)__atomic_fetch_add(&o->refs, 1, __ATOMIC_RELAXED); /* the old count matters to nobody */
    return o;
}

void object_unref(struct object *o)
{
    if (o != NULL && __atomic_sub_fetch(&o->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        arena_dispose(&o->arena);
        mem_free(o);
    }
}

struct span object_label(const struct object *o, const char *key)
{
    return selector_label(o->labels, o->label_count, span_of(key));
}

struct span object_annotation(const struct object *o, const char *key)
{
    return selector_label(o->annotations, o->annotation_count, span_of(key));
}
