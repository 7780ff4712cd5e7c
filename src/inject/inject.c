/* A pod with its proxy. In: injector/review, cli, or who makes gateways. Next: decide, pod_wish, pod_values, template, pod_merge, pod_probes, pod_undo. */
#include "inject/inject.h"

#include "inject/decide.h"
#include "inject/pod_check.h"
#include "inject/pod_merge.h"
#include "inject/pod_probes.h"
#include "inject/pod_undo.h"
#include "inject/pod_values.h"
#include "inject/template.h"
#include "mesh/names.h"
#include "version.h"

#define STATUS_MAX (256u << 10) /* Kubernetes lets all annotations of an object have so much */
#define ENV_PROBES "MESH_APP_PROBES"
#define ENV_METRICS "MESH_APP_METRICS"

/* ---- the template into the pod ---- */

static int fill(const struct pod_wish *w, const struct doc_node *values, struct arena *arena,
                struct doc_node **out, struct err *err)
{
    const struct doc_node *base = template_find(SPAN("proxy"), arena);
    int code = template_fill(base, values, arena, out, err);
    for (size_t i = 0; i < w->template_count && code == 0; i++) {
        struct doc_node *over = NULL;
        code = template_fill(w->templates[i], values, arena, &over, err);
        if (code == 0 && over) {
            pod_merge(*out, over, POD_MERGE_REPLACE, arena);
        }
    }
    return code;
}

static void move_named(struct doc_node *list, const char *name, bool to_front)
{
    for (size_t i = 0; i < doc_count(list); i++) {
        const struct doc_node *have = doc_get(doc_at(list, i), "name");
        if (doc_is(have, DOC_TEXT) && span_is(have->text, name)) {
            pod_merge_move(list, i, to_front ? 0 : list->count - 1);
            return;
        }
    }
}

/* Native: rules, proxy, and then the init containers of the pod, which are in the mesh already. Else they come before the rules, as they would wait for a
 * proxy in vain; and the proxy is the first container, because kubelet waits for its postStart before it starts the next. */
static void put_in_order(struct doc_node *pod, const struct pod_wish *w)
{
    struct doc_node *spec = doc_get(pod, "spec"), *list = NULL;
    size_t at = 0;
    struct doc_node *proxy = pod_merge_proxy(pod, &list, &at);
    bool is_init = proxy && list == doc_get(spec, "initContainers");
    if (proxy && !w->gateway) {
        pod_merge_move(list, at, is_init || w->hold ? 0 : list->count - 1);
    }
    move_named(doc_get(spec, "initContainers"), INJECT_INIT, is_init);
}

/* ---- what the proxy is told about the application ---- */

static void set_env(struct doc_node *pod, const char *name, const struct doc_node *value,
                    struct arena *arena)
{
    struct doc_node *proxy = pod_merge_proxy(pod, NULL, NULL);
    struct buf text;
    buf_init(&text, STATUS_MAX);
    if (value && proxy && doc_write_json(value, false, &text) == 0) {
        struct doc_node *one = doc_new_map(arena);
        doc_set_text(arena, one, "name", span_of(name));
        doc_set_text(arena, one, "value", buf_span(&text));
        doc_list_add(arena, doc_list_in(arena, proxy, "env"), one);
    }
    buf_dispose(&text);
}

static void point_at_proxy(struct doc_node *pod, const struct pod_wish *w, struct arena *arena)
{
    if (w->status_port == 0) {
        return;
    }
    if (w->rewrite_probes && !w->gateway) {
        set_env(pod, ENV_PROBES, pod_probes_rewrite(pod, w->status_port, arena), arena);
    }
    if (w->merge_metrics) {
        set_env(pod, ENV_METRICS, pod_probes_metrics(pod, w->status_port, arena), arena);
    }
}

/* ---- the status ---- */

/* Names in a list of the pod that are not in that of the pod before. */
static struct doc_node *new_names(const struct doc_node *now, const struct doc_node *before,
                                  struct arena *arena)
{
    struct doc_node *out = doc_new_list(arena);
    for (size_t i = 0; i < doc_count(now); i++) {
        const struct doc_node *name = doc_get(doc_at(now, i), "name");
        bool is_new = doc_is(name, DOC_TEXT);
        for (size_t k = 0; k < doc_count(before) && is_new; k++) {
            is_new = !doc_eq(doc_get(doc_at(before, k), "name"), name);
        }
        if (is_new) {
            doc_list_add(arena, out, doc_dup(arena, name));
        }
    }
    return out;
}

static int set_status(struct doc_node *pod, const struct doc_node *before,
                      const struct inject_settings *settings, struct arena *arena, struct err *err)
{
    static const char *const lists[] = {"initContainers", "containers", "volumes",
                                        "imagePullSecrets"};
    struct doc_node *status = doc_new_map(arena);
    const struct doc_node *undo = pod_undo_make(pod, before, arena);
    struct buf text;
    doc_set_text(arena, status, "by", SPAN("mesh"));
    doc_set_text(arena, status, "version", SPAN(MESH_VERSION));
    doc_set_text(arena, status, "revision", settings->revision);
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        doc_set(arena, status, lists[i],
                new_names(doc_get(doc_get(pod, "spec"), lists[i]),
                          doc_get(doc_get(before, "spec"), lists[i]), arena));
    }
    if (undo) {
        doc_set(arena, status, "undo", doc_dup(arena, undo));
    }
    buf_init(&text, STATUS_MAX);
    int code = doc_write_json(status, false, &text);
    if (code == 0) {
        struct doc_node *metadata = doc_map_in(arena, pod, "metadata");
        doc_set_text(arena, doc_map_in(arena, metadata, "annotations"), ANNOTATION_STATUS,
                     buf_span(&text));
    }
    buf_dispose(&text);
    return code ? err_set(err, code, "what it takes to undo the injection is longer than %u",
                          STATUS_MAX)
                : 0;
}

/* ---- all of it ---- */

static int build(const struct inject_subject *subject, const struct pod_wish *w,
                 const struct inject_settings *settings, struct arena *arena, struct doc_node **out,
                 struct err *err)
{
    struct doc_node *values = pod_values(w, subject, settings, arena), *overlay = NULL;
    struct doc_node *pod = doc_dup(arena, subject->pod);
    int code = fill(w, values, arena, &overlay, err);
    if (code != 0) {
        return code;
    }
    pod_merge(pod, overlay, POD_MERGE_KEEP, arena);
    put_in_order(pod, w);
    point_at_proxy(pod, w, arena);
    *out = pod;
    return 0;
}

/* A proxy that the pod has of its own, with image "auto", decides where it is: as an init container it is a native one. */
static void heed_own_proxy(struct pod_wish *w, const struct doc_node *pod)
{
    struct doc_node *list = NULL;
    if (pod_merge_proxy(pod, &list, NULL)) {
        w->native = list == doc_path(pod, "spec.initContainers");
    }
    w->native = w->native && !w->gateway;
}

static void refuse(struct inject_answer *out, struct arena *arena, unsigned code, const char *why,
                   const char *fix)
{
    *out = (struct inject_answer){.outcome = INJECT_REFUSE,
                                  .code = code,
                                  .why = arena_strdup(arena, why),
                                  .fix = fix,
                                  .rule = ""};
}

void inject_decide(const struct inject_subject *subject, const struct inject_settings *settings,
                   struct arena *arena, struct inject_answer *out)
{
    decide(subject, settings, arena, out);
}

void inject_pod(const struct inject_subject *subject, const struct inject_settings *settings,
                struct arena *arena, struct inject_answer *out)
{
    struct pod_wish w;
    struct err err;
    decide(subject, settings, arena, out);
    if (out->outcome != INJECT_YES) {
        return;
    }
    if (!doc_is(doc_path(subject->pod, "spec.containers"), DOC_LIST)) {
        refuse(out, arena, 1212, "the pod has no list spec.containers", "write one");
        return;
    }
    if (pod_wish_read(&w, subject, settings, arena, out) != 0) {
        return;
    }
    heed_own_proxy(&w, subject->pod);
    pod_check(subject->pod, &w, subject, arena, out);
    int code = build(subject, &w, settings, arena, &out->pod, &err);
    code = code ? code : set_status(out->pod, subject->pod, settings, arena, &err);
    if (code != 0) {
        refuse(out, arena, 1218, err.text,
               "correct the injector's settings (ConfigMap "
               "mesh-system/" INJECT_CONFIG_MAP ")");
    }
}

struct doc_node *inject_undo(const struct doc_node *pod, struct arena *arena)
{
    struct span status =
        pod_wish_text(doc_path(pod, "metadata.annotations"), ANNOTATION_STATUS, arena);
    struct doc_node *doc, *out;
    struct err err;
    if (status.at == NULL || doc_parse_json(arena, status, "status", &doc, &err) != 0 ||
        !doc_is(doc_get(doc, "by"), DOC_TEXT) || !span_is(doc_get(doc, "by")->text, "mesh")) {
        return NULL;
    }
    out = doc_dup(arena, pod);
    (void)doc_remove(doc_path(out, "metadata.annotations"), ANNOTATION_STATUS); /* it is there */
    pod_undo_apply(out, doc_get(doc, "undo"), arena);
    return out;
}

int inject_gateway_pod(const struct inject_gateway *gateway, const struct inject_settings *settings,
                       struct arena *arena, struct doc_node **out, struct err *err)
{
    struct doc_node *pod = doc_new_map(arena);
    struct doc_node *metadata = doc_set(arena, pod, "metadata", doc_new_map(arena));
    struct doc_node *spec = doc_set(arena, pod, "spec", doc_new_map(arena));
    struct inject_answer answer = {.notes = NULL};
    struct pod_wish w;
    const struct inject_subject subject = {.pod = pod,
                                           .namespace = gateway->namespace,
                                           .kind = SPAN("Deployment"),
                                           .name = gateway->name};
    if (gateway->labels) {
        doc_set(arena, metadata, "labels", doc_dup(arena, gateway->labels));
    }
    if (gateway->annotations) {
        doc_set(arena, metadata, "annotations", doc_dup(arena, gateway->annotations));
    }
    doc_set_text(arena, doc_map_in(arena, metadata, "annotations"), ANNOTATION_TEMPLATES,
                 SPAN("gateway"));
    doc_set_text(arena, spec, "serviceAccountName", gateway->service_account);
    doc_set(arena, spec, "containers", doc_new_list(arena));
    if (pod_wish_read(&w, &subject, settings, arena, &answer) != 0) {
        return err_set(err, -ERR_CONFIG, "%s", answer.why);
    }
    heed_own_proxy(&w, pod);
    return build(&subject, &w, settings, arena, out, err);
}

/* ---- manifests ---- */

struct doc_node *inject_template_of(struct doc_node *object)
{
    static const struct {
        const char *kind, *path;
    } rows[] = {
        {"Deployment", "spec.template"},  {"DaemonSet", "spec.template"},
        {"StatefulSet", "spec.template"}, {"ReplicaSet", "spec.template"},
        {"Job", "spec.template"},         {"ReplicationController", "spec.template"},
        {"PodTemplate", "template"},      {"CronJob", "spec.jobTemplate.spec.template"},
        {"Rollout", "spec.template"},
    };
    const struct doc_node *kind = doc_get(object, "kind");
    if (!doc_is(kind, DOC_TEXT)) {
        return NULL;
    }
    struct doc_node *found = span_is(kind->text, "Pod") ? object : NULL;
    for (size_t i = 0; i < ARRAY_LEN(rows) && !found; i++) {
        found = span_is(kind->text, rows[i].kind) ? doc_path(object, rows[i].path) : NULL;
    }
    return doc_is(doc_get(found, "spec"), DOC_MAP) ? found : NULL;
}
