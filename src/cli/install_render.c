/* Settings into objects: the texts of install/, filled in, and what is made of fields rather than of text.
 * A text may hold ${NAME} (a setting, or one of render_text's own names) and lines `#if NAME`, `#if !NAME` and `#end` around what depends on one.
 * In: install_values. Next: install_plan, or stdout with --dry-run -o yaml. */
#include "cli/install.h"

#include <string.h>

#include "base/embed.h"
#include "cli/install_files.h"
#include "inject/inject.h"
#include "mesh/names.h"

#define TEXT_MAX (256u << 10)
#define OBJECTS_MAX 64
#define NESTING_MAX 8

struct render {
    const struct install_values *values;
    const struct install_cluster *cluster;
    struct arena *arena;
    struct inject_settings inject;
    struct install_objects *out;
};

/* ---- what stands behind a name ---- */

static const char *json(struct arena *a, const struct doc_node *node)
{
    struct buf text;
    buf_init(&text, TEXT_MAX);
    const char *out = doc_write_json(node, false, &text) == 0 ? arena_cstr(a, buf_span(&text)) : "";
    buf_dispose(&text);
    return out;
}

static void amount(struct arena *a, struct doc_node *resources, const char *group, const char *name,
                   const char *value)
{
    if (value[0]) {
        doc_set(a, doc_map_in(a, resources, group), name, doc_cstr(a, value));
    }
}

/* Four settings that stand in a row: requests (cpu, memory), limits (cpu, memory). */
static struct doc_node *resources(const struct render *r, enum install_id first)
{
    struct doc_node *map = doc_new_map(r->arena);
    const char *const *at = &r->values->at[first];
    amount(r->arena, map, "requests", "cpu", at[0]);
    amount(r->arena, map, "requests", "memory", at[1]);
    amount(r->arena, map, "limits", "cpu", at[2]);
    amount(r->arena, map, "limits", "memory", at[3]);
    return map;
}

const char *install_image(const struct install_values *values, struct arena *arena)
{
    const char *const *at = values->at;
    const char *hub = at[INSTALL_HUB];
    return at[INSTALL_IMAGE][0]
               ? at[INSTALL_IMAGE]
               : arena_printf(arena, "%s%smesh:%s", hub, hub[0] ? "/" : "", at[INSTALL_TAG]);
}

/* "a,b" as a list of {name: a}: the form of imagePullSecrets. */
static struct doc_node *pull_secrets(const struct render *r, bool as_maps)
{
    struct doc_node *list = doc_new_list(r->arena);
    struct span rest = span_of(r->values->at[INSTALL_PULL_SECRETS]);
    while (rest.at != NULL) {
        struct span name = span_trim(span_cut(&rest, ','));
        if (name.len > 0 && as_maps) {
            struct doc_node *one = doc_list_add(r->arena, list, doc_new_map(r->arena));
            doc_set_text(r->arena, one, "name", name);
        } else if (name.len > 0) {
            doc_list_add(r->arena, list, doc_text(r->arena, name));
        }
    }
    return list;
}

static const char *yes(bool is)
{
    return is ? "true" : "false";
}

/* Whether a count is 2 or more. */
static bool is_several(const struct render *r, enum install_id id)
{
    uint64_t count = 0;
    return span_to_u64(span_of(r->values->at[id]), &count) && count > 1;
}

/* As YAML takes it: texts in quotes. NULL: there is no such name. */
static const char *meaning(const struct render *r, struct span name)
{
    struct arena *a = r->arena;
    if (span_is(name, "image")) {
        return json(a, doc_cstr(a, install_image(r->values, a)));
    } else if (span_is(name, "pullSecrets.list")) {
        return json(a, pull_secrets(r, true));
    } else if (span_is(name, "control.resources")) {
        return json(a, resources(r, INSTALL_CONTROL_CPU));
    } else if (span_is(name, "control.several")) {
        return yes(is_several(r, INSTALL_CONTROL_REPLICAS));
    } else if (span_is(name, "gateway.several")) {
        return yes(is_several(r, INSTALL_GATEWAY_REPLICAS));
    } else if (span_is(name, "otherIstio")) {
        return yes(r->cluster->other_istio);
    } else if (span_is(name, "otherClass")) {
        return yes(r->cluster->other_class);
    }
    for (size_t i = 0; i < INSTALL_KEYS; i++) {
        const struct install_key *k = &install_keys[i];
        if (span_is(name, k->alias) || span_is(name, k->name)) {
            bool is_bare = strcmp(k->type, "count") == 0 || strcmp(k->type, "bool") == 0;
            const char *value = r->values->at[i];
            return is_bare || !value[0] ? value : json(a, doc_cstr(a, value));
        }
    }
    return NULL;
}

/* ---- text ---- */

static int fill_line(const struct render *r, struct span line, struct buf *to)
{
    int code = 0;
    for (ssize_t at; code == 0 && (at = span_find(line, SPAN("${"))) >= 0;) {
        struct span rest = span_from_offset(line, (size_t)at + 2);
        struct span name = span_cut(&rest, '}');
        const char *text = meaning(r, name);
        ASSERT(text != NULL); /* a name of ours, in a text of ours */
        code = buf_append_span(to, span_first(line, (size_t)at));
        code = code ? code : buf_append_span(to, span_of(text));
        line = rest;
    }
    code = code ? code : buf_append_span(to, line);
    return code ? code : buf_append_byte(to, '\n');
}

/* "NAME" or "!NAME". */
static bool holds(const struct render *r, struct span condition)
{
    bool negated = span_starts(condition, SPAN("!"));
    const char *text = meaning(r, span_from_offset(condition, negated));
    ASSERT(text != NULL);
    return negated != (text[0] && strcmp(text, "false") != 0);
}

static int fill(const struct render *r, const struct embed *file, struct buf *to)
{
    unsigned depth = 0,
             hidden = 0; /* how many #if are open; the outermost one that does not hold */
    int code = 0;
    for (struct span rest = span_from(file->bytes, file->length); rest.at && code == 0;) {
        struct span line = span_cut(&rest, '\n');
        struct span word = span_trim(line);
        if (span_starts(word, SPAN("#if "))) {
            depth++;
            hidden = !hidden && !holds(r, span_from_offset(word, 4)) ? depth : hidden;
        } else if (span_is(word, "#end")) {
            hidden = hidden == depth ? 0 : hidden;
            depth--;
        } else if (!hidden) {
            code = fill_line(r, line, to);
        }
    }
    ASSERT(depth == 0);
    return code;
}

/* ---- objects ---- */

bool install_is_ours(const struct doc_node *object)
{
    const struct doc_node *labels = doc_path(object, "metadata.labels");
    const struct doc_node *owner = doc_get(labels, INSTALL_OWNER_LABEL);
    const struct doc_node *part = doc_get(labels, INSTALL_PART_LABEL);
    return doc_is(owner, DOC_TEXT) && span_is(owner->text, INSTALL_OWNER) &&
           doc_is(part, DOC_TEXT) && span_is(part->text, INSTALL_OWNER);
}

static void label(struct arena *a, struct doc_node *labels)
{
    doc_set(a, labels, INSTALL_OWNER_LABEL, doc_cstr(a, INSTALL_OWNER));
    doc_set(a, labels, INSTALL_PART_LABEL, doc_cstr(a, INSTALL_OWNER));
}

static void add(struct render *r, enum install_step step, struct doc_node *doc)
{
    struct install_objects *out = r->out;
    ASSERT(out->count < OBJECTS_MAX);
    label(r->arena, doc_map_in(r->arena, doc_map_in(r->arena, doc, "metadata"), "labels"));
    out->items[out->count++] = (struct install_object){step, doc};
}

static struct doc_node *object(struct arena *a, const char *version, const char *kind,
                               const char *ns, const char *name)
{
    struct doc_node *doc = doc_new_map(a);
    doc_set(a, doc, "apiVersion", doc_cstr(a, version));
    doc_set(a, doc, "kind", doc_cstr(a, kind));
    struct doc_node *meta = doc_map_in(a, doc, "metadata");
    doc_set(a, meta, "name", doc_cstr(a, name));
    if (ns) {
        doc_set(a, meta, "namespace", doc_cstr(a, ns));
    }
    return doc;
}

static struct doc_node *value_of(const struct render *r, size_t i)
{
    const struct install_key *k = &install_keys[i];
    int64_t number;
    if (strcmp(k->type, "bool") == 0) {
        return doc_bool(r->arena, install_values_is(r->values, i));
    }
    bool is_number =
        strcmp(k->type, "count") == 0 && span_to_i64(span_of(r->values->at[i]), &number);
    return is_number ? doc_int(r->arena, number) : doc_cstr(r->arena, r->values->at[i]);
}

/* What is below "meshConfig." as fields; what nobody told stays out. */
static void add_mesh_config(struct render *r)
{
    struct arena *a = r->arena;
    struct doc_node *doc = object(a, "mesh.io/v1", "MeshConfig", NULL, "default");
    struct doc_node *spec = doc_map_in(a, doc, "spec");
    for (size_t i = 0; i < INSTALL_KEYS; i++) {
        const struct install_key *k = &install_keys[i];
        struct span path = span_of(k->name);
        if (!span_starts(path, SPAN("meshConfig.")) || !r->values->at[i][0] ||
            (span_starts(path, SPAN("meshConfig.defaultConfig.")) &&
             !span_starts(path, SPAN("meshConfig.defaultConfig.gatewayTopology.")))) {
            continue;
        }
        path = span_from_offset(path, strlen("meshConfig."));
        struct doc_node *map = spec;
        while (span_find_byte(path, '.') >= 0) {
            map = doc_map_in(a, map, arena_cstr(a, span_cut(&path, '.')));
        }
        doc_set_span(a, map, path, value_of(r, i));
    }
    add(r, INSTALL_STEP_CONTROL, doc);
}

/* What an upgrade begins with. */
static void add_record(struct render *r, const struct install_values *told)
{
    struct arena *a = r->arena;
    struct doc_node *map = object(a, "v1", "ConfigMap", MESH_SYSTEM_NAMESPACE, INSTALL_RECORD);
    struct doc_node *data = doc_map_in(a, map, "data");
    for (size_t i = 0; i < INSTALL_KEYS; i++) {
        if (told->at[i]) {
            doc_set(a, data, install_keys[i].name, doc_cstr(a, told->at[i]));
        }
    }
    add(r, INSTALL_STEP_CONTROL, map);
}

/* What all proxies have in common, here for gateways and there, as a ConfigMap, for the injector. */
static void choose_inject_settings(struct render *r)
{
    const struct install_values *v = r->values;
    struct inject_settings *s = &r->inject;
    const char *native = v->at[INSTALL_NATIVE];
    uint64_t concurrency = 0;
    inject_settings_init(s, r->arena);
    if (r->cluster->minor) {
        inject_settings_for_cluster(s, (int)r->cluster->minor);
    }
    s->native = strcmp(native, "auto") == 0 ? s->native : strcmp(native, "true") == 0;
    s->image = span_of(install_image(v, r->arena));
    s->pull_policy = span_of(v->at[INSTALL_PULL_POLICY]);
    s->pull_secrets = v->at[INSTALL_PULL_SECRETS][0] ? pull_secrets(r, false) : NULL;
    s->trust_domain = span_of(v->at[INSTALL_TRUST_DOMAIN]);
    s->cluster_id = span_of(v->at[INSTALL_CLUSTER_ID]);
    s->revision = span_of(v->at[INSTALL_REVISION]);
    s->log_level = span_of(v->at[INSTALL_PROXY_LOG_LEVEL]);
    s->by_default = install_values_is(v, INSTALL_BY_DEFAULT);
    s->dns_capture = install_values_is(v, INSTALL_DNS_CAPTURE);
    s->hold = install_values_is(v, INSTALL_PROXY_HOLD);
    s->rewrite_probes = install_values_is(v, INSTALL_REWRITE_PROBES);
    s->merge_metrics = install_values_is(v, INSTALL_MERGE_METRICS);
    s->concurrency = span_to_u64(span_of(v->at[INSTALL_PROXY_CONCURRENCY]), &concurrency)
                         ? (int64_t)concurrency
                         : 0;
    s->interception = span_of(v->at[INSTALL_INTERCEPTION]);
    s->include_outbound_ranges = span_of(v->at[INSTALL_INCLUDE_RANGES]);
    s->exclude_outbound_ranges = span_of(v->at[INSTALL_EXCLUDE_RANGES]);
    s->include_inbound_ports = span_of(v->at[INSTALL_INCLUDE_INBOUND]);
    s->exclude_inbound_ports = span_of(v->at[INSTALL_EXCLUDE_INBOUND]);
    s->exclude_outbound_ports = span_of(v->at[INSTALL_EXCLUDE_OUTBOUND]);
    s->resources = resources(r, INSTALL_PROXY_CPU);
    s->gateway_resources = resources(r, INSTALL_GATEWAY_CPU);
}

static int add_injector_settings(struct render *r, struct err *err)
{
    struct arena *a = r->arena;
    struct buf text;
    struct inject_settings copy;
    struct doc_node *settings = inject_settings_doc(&r->inject, a);
    inject_settings_init(&copy, a);
    int code = inject_settings_read(&copy, settings, a, err); /* what the injector will say to it */
    if (code != 0) {
        return code;
    }
    buf_init(&text, TEXT_MAX);
    code = doc_write_yaml(settings, &text);
    struct doc_node *map = object(a, "v1", "ConfigMap", MESH_SYSTEM_NAMESPACE, INJECT_CONFIG_MAP);
    doc_set_text(a, doc_map_in(a, map, "data"), INJECT_CONFIG_KEY, buf_span(&text));
    buf_dispose(&text);
    add(r, INSTALL_STEP_CONTROL, map);
    return code ? err_set(err, code, "the settings of the injector are too long") : 0;
}

static int put_gateway_pod(struct render *r, struct doc_node *deployment, struct err *err)
{
    struct arena *a = r->arena;
    struct doc_node *pod = NULL;
    struct doc_node *labels = doc_dup(a, doc_path(deployment, "metadata.labels"));
    label(a, labels);
    const struct inject_gateway gateway = {.namespace = SPAN(MESH_SYSTEM_NAMESPACE),
                                           .name = SPAN(INSTALL_GATEWAY_NAME),
                                           .service_account = SPAN(INSTALL_GATEWAY_NAME),
                                           .labels = labels};
    int code = inject_gateway_pod(&gateway, &r->inject, a, &pod, err);
    if (code == 0) {
        doc_set(a, doc_map_in(a, deployment, "spec"), "template", pod);
    }
    return code;
}

static int render_text(struct render *r, enum install_step step, const char *name, struct err *err)
{
    struct buf text;
    struct doc_node *docs = NULL;
    buf_init(&text, TEXT_MAX);
    int code = fill(r, embed_find(install_files, name), &text);
    code = code ? err_set(err, code, "%s is too long", name)
                : doc_parse_yaml_all(r->arena, buf_span(&text), name, &docs, err);
    buf_dispose(&text);
    for (size_t i = 0; i < doc_count(docs) && code == 0; i++) {
        struct doc_node *doc = doc_at(docs, i);
        if (step == INSTALL_STEP_GATEWAY && span_is(doc_get(doc, "kind")->text, "Deployment")) {
            code = put_gateway_pod(r, doc, err);
        }
        add(r, step, doc);
    }
    return code;
}

int install_render(const struct install_values *values, const struct install_values *told,
                   const struct install_cluster *cluster, struct arena *arena,
                   struct install_objects *out, struct err *err)
{
    struct render r = {.values = values, .cluster = cluster, .arena = arena, .out = out};
    *out = (struct install_objects){.items = arena_array(arena, OBJECTS_MAX, sizeof *out->items)};
    choose_inject_settings(&r);
    struct doc_node *crds = install_crds(arena);
    for (size_t i = 0; i < doc_count(crds); i++) {
        add(&r, INSTALL_STEP_CRDS, doc_at(crds, i));
    }
    int code = render_text(&r, INSTALL_STEP_ACCESS, "access.yaml", err);
    code = code ? code : add_injector_settings(&r, err);
    if (code == 0) {
        add_record(&r, told);
        add_mesh_config(&r);
        code = render_text(&r, INSTALL_STEP_CONTROL, "control.yaml", err);
    }
    return code ? code : render_text(&r, INSTALL_STEP_GATEWAY, "gateway.yaml", err);
}
