/* mesh inject explain: whether a pod gets a proxy, what decided, and what would change it. From files, or of a pod that is there. */
#include <stdio.h>

#include "cli/cmd_inject.h"
#include "cli/kube_verb.h"
#include "inject/pod_merge.h"
#include "inject/pod_values.h"
#include "mesh/names.h"

/* ---- an answer as a document, and on the screen ---- */

static const char *code_text(struct verb *v, unsigned code)
{
    return arena_printf(&v->arena, "MESH%04u", code);
}

static const char *const outcomes[] = {
    [INJECT_SKIP] = "no proxy", [INJECT_YES] = "gets a proxy", [INJECT_REFUSE] = "is refused"};

static struct doc_node *answer_doc(struct verb *v, const struct inject_answer *a)
{
    static const char *const words[] = {
        [INJECT_SKIP] = "skip", [INJECT_YES] = "inject", [INJECT_REFUSE] = "refuse"};
    struct arena *arena = &v->arena;
    struct doc_node *doc = doc_new_map(arena);
    doc_set(arena, doc, "outcome", doc_cstr(arena, words[a->outcome]));
    doc_set(arena, doc, "code", doc_cstr(arena, code_text(v, a->code)));
    doc_set(arena, doc, "why", doc_cstr(arena, a->why));
    doc_set(arena, doc, "rule", doc_cstr(arena, a->rule));
    doc_set(arena, doc, "fix", a->fix ? doc_cstr(arena, a->fix) : doc_null(arena));
    struct doc_node *notes = doc_list_in(arena, doc, "notes");
    for (const struct inject_note *n = a->notes; n; n = n->next) {
        struct doc_node *one = doc_list_add(arena, notes, doc_new_map(arena));
        doc_set(arena, one, "code", doc_cstr(arena, code_text(v, n->code)));
        doc_set(arena, one, "what", doc_cstr(arena, n->text));
    }
    return doc;
}

static void print_answer(const char *name, const struct inject_answer *a)
{
    printf("%s: %s\n  why     %s\n", name, outcomes[a->outcome], a->why);
    if (*a->rule) {
        printf("  rule    %s\n", a->rule);
    }
    if (a->fix) {
        printf("  fix     %s\n", a->fix);
    }
    for (const struct inject_note *n = a->notes; n; n = n->next) {
        printf("  note    %s (MESH%04u)\n", n->text, n->code);
    }
    printf("  more    mesh explain MESH%04u\n", a->code);
}

/* ---- from files ---- */

struct listing {
    struct verb *verb;
    struct doc_node *items;
    bool prints, refused;
};

static void on_object(void *arg, const struct manifest_object *o)
{
    struct listing *l = arg;
    struct arena *arena = &l->verb->arena;
    const char *name = arena_printf(arena, "%.*s %.*s/%.*s", SPAN_ARG(o->kind),
                                    SPAN_ARG(o->namespace), SPAN_ARG(o->name));
    l->refused = l->refused || o->answer->outcome == INJECT_REFUSE;
    if (l->prints) {
        print_answer(name, o->answer);
        return;
    }
    struct doc_node *doc = doc_list_add(arena, l->items, answer_doc(l->verb, o->answer));
    doc_set_text(arena, doc, "kind", o->kind);
    doc_set_text(arena, doc, "namespace", o->namespace);
    doc_set_text(arena, doc, "name", o->name);
}

static int explain_files(struct verb *v, const struct cmd_inject *set)
{
    struct inject_settings settings;
    struct doc_node *doc = doc_new_map(&v->arena);
    struct listing l = {.verb = v, .prints = v->flags->output == OUTPUT_TABLE};
    struct manifest_spec spec = {
        .settings = &settings, .asked = true, .on_object = on_object, .arg = &l};
    struct buf out;
    doc_set_text(&v->arena, doc, "apiVersion", SPAN("mesh/v1"));
    doc_set_text(&v->arena, doc, "kind", SPAN("InjectionList"));
    l.items = doc_list_in(&v->arena, doc, "items");
    int status = cmd_inject_settings(v, set, &settings);
    if (status == EXIT_DONE) {
        buf_init(&out, 64u << 20);
        status = cmd_inject_stream(v, set, &spec, &out);
        buf_dispose(&out);
    }
    if (status == EXIT_DONE && !l.prints) {
        (void)verb_print_doc(v, doc); /* the other forms are lists of it */
    }
    return status == EXIT_DONE && l.refused ? EXIT_NEGATIVE : status;
}

/* ---- from a cluster ---- */

static const struct kube_kind stateful_sets = {"apps", "v1", "statefulsets", true},
                              daemon_sets = {"apps", "v1", "daemonsets", true},
                              jobs = {"batch", "v1", "jobs", true},
                              cron_jobs = {"batch", "v1", "cronjobs", true};
static const struct {
    const char *word;
    const struct kube_kind *kind;
} kinds[] = {
    {"pod", &kube_verb_pods},
    {"pods", &kube_verb_pods},
    {"po", &kube_verb_pods},
    {"deployment", &kube_verb_deployments},
    {"deploy", &kube_verb_deployments},
    {"statefulset", &stateful_sets},
    {"sts", &stateful_sets},
    {"daemonset", &daemon_sets},
    {"ds", &daemon_sets},
    {"job", &jobs},
    {"cronjob", &cron_jobs},
    {"cj", &cron_jobs},
};

struct target {
    const struct kube_kind *kind;
    const char *namespace, *name;
};

/* [kind/]name[.namespace]; a pod's name may have dots, so the namespace is taken off only where -n is not given. */
static int read_target(struct kube_verb *k, const char *text, struct target *out)
{
    struct verb *v = k->verb;
    struct span rest = span_of(text);
    ssize_t slash = span_find_byte(rest, '/');
    *out = (struct target){.kind = slash < 0 ? &kube_verb_pods : NULL,
                           .namespace = kube_verb_namespace(k)};
    for (size_t i = 0; i < ARRAY_LEN(kinds) && slash >= 0; i++) {
        if (span_is(span_first(rest, (size_t)slash), kinds[i].word)) {
            out->kind = kinds[i].kind;
        }
    }
    rest = span_from_offset(rest, (size_t)(slash + 1));
    ssize_t dot = span_find_byte(rest, '.');
    if (dot > 0 && v->flags->namespace == NULL) {
        out->namespace = arena_cstr(&v->arena, span_from_offset(rest, (size_t)dot + 1));
        rest = span_first(rest, (size_t)dot);
    }
    out->name = arena_cstr(&v->arena, rest);
    return out->kind && rest.len > 0
               ? 0
               : verb_fail(v, EXIT_USAGE, 1004, "mesh inject explain deploy/web",
                           "\"%s\" is no pod, deployment, statefulset, daemonset, job or cronjob",
                           text);
}

/* The object, or the only one whose name begins so. */
static int find_object(struct kube_verb *k, const struct target *t, struct doc_node **out)
{
    struct doc_node *items = NULL;
    int status = kube_verb_get(k, t->kind, t->namespace, t->name, out);
    if (status != EXIT_MISSING) {
        return status;
    }
    status = kube_verb_list(k, t->kind, t->namespace, NULL, &items);
    if (status != EXIT_DONE && status != EXIT_MISSING) {
        return status;
    }
    const struct doc_node *one = items_pick(
        k->verb, items, "metadata.name", t->name,
        arena_printf(&k->verb->arena, "such object among the %s of namespace %s", t->kind->plural,
                     t->namespace),
        arena_printf(&k->verb->arena, "kubectl get %s -n %s", t->kind->plural, t->namespace));
    *out = one ? doc_dup(&k->verb->arena, one) : NULL;
    return one ? EXIT_DONE : EXIT_MISSING;
}

/* As the injector has them: ConfigMap mesh-injector, unless --settings says otherwise. */
static int cluster_settings(struct kube_verb *k, const struct cmd_inject *set,
                            struct inject_settings *out)
{
    struct doc_node *map = NULL, *doc = NULL;
    struct err err = {.code = 0};
    int status = cmd_inject_settings(k->verb, set, out);
    if (status != EXIT_DONE || set->settings_file) {
        return status;
    }
    if (k->minor > 0) {
        inject_settings_for_cluster(out, (int)k->minor);
    }
    status =
        kube_verb_get(k, &kube_verb_configmaps, MESH_SYSTEM_NAMESPACE, INJECT_CONFIG_MAP, &map);
    const struct doc_node *text = doc_get(doc_get(map, "data"), INJECT_CONFIG_KEY);
    if (status == EXIT_MISSING || (status == EXIT_DONE && !doc_is(text, DOC_TEXT))) {
        return EXIT_DONE;
    }
    if (status != EXIT_DONE) {
        return status;
    }
    struct arena *arena = &k->verb->arena;
    int code = doc_parse_yaml(arena, text->text, INJECT_CONFIG_MAP, &doc, &err);
    code = code ? code : inject_settings_read(out, doc, arena, &err);
    return code ? verb_fail(k->verb, EXIT_INVALID, 1218, NULL, "%s", err.text) : EXIT_DONE;
}

/* What makes pods anew: of a Deployment's pod the Deployment. */
static const char *restart_of(struct verb *v, const struct inject_subject *s)
{
    struct pod_values_workload w = pod_values_workload(s, &v->arena);
    static const char *const restarted[] = {"Deployment", "StatefulSet", "DaemonSet"};
    for (size_t i = 0; i < ARRAY_LEN(restarted); i++) {
        if (span_is(w.kind, restarted[i])) {
            return arena_printf(&v->arena, "kubectl rollout restart %s/%.*s -n %.*s", restarted[i],
                                SPAN_ARG(w.name), SPAN_ARG(s->namespace));
        }
    }
    return "delete the pod and create it again";
}

/* A pod that is there was decided about when it was created. */
static void say_since_when(struct verb *v, const struct inject_subject *s, struct inject_answer *a)
{
    a->code = 1223;
    a->why = arena_printf(&v->arena,
                          "the pod has no proxy, but would get one now: %s, and the pod is older "
                          "than that, or than the mesh",
                          a->why);
    a->fix = restart_of(v, s);
}

static int print_live(struct verb *v, const struct inject_subject *s, const struct target *t,
                      struct inject_answer *a, bool is_pod)
{
    struct doc_node *proxy = pod_merge_proxy(s->pod, NULL, NULL);
    struct span image = item_text(proxy, "image");
    if (is_pod && a->outcome == INJECT_YES) {
        a->outcome = INJECT_SKIP;
        say_since_when(v, s, a);
    }
    if (v->flags->output != OUTPUT_TABLE) {
        struct doc_node *doc = answer_doc(v, a);
        doc_set_text(&v->arena, doc, "namespace", span_of(t->namespace));
        doc_set_text(&v->arena, doc, "name", item_text(s->pod, "metadata.name"));
        doc_set(&v->arena, doc, "proxyImage",
                image.len > 0 ? doc_text(&v->arena, image) : doc_null(&v->arena));
        (void)verb_print_doc(v, doc); /* table forms are lists of it */
        return EXIT_DONE;
    }
    print_answer(arena_printf(&v->arena, "%s %s/%s", t->kind->plural, t->namespace, t->name), a);
    if (image.len > 0) {
        printf("  proxy   %.*s\n", SPAN_ARG(image));
    }
    return EXIT_DONE;
}

static int explain_live(struct kube_verb *k, const struct cmd_inject *set, const char *text)
{
    struct verb *v = k->verb;
    struct inject_settings settings;
    struct inject_answer answer;
    struct target target;
    struct doc_node *object = NULL, *namespace = NULL;
    int status = read_target(k, text, &target);
    status = status ? status : find_object(k, &target, &object);
    status = status ? status
                    : kube_verb_get(k, &kube_verb_namespaces, NULL, target.namespace, &namespace);
    status = status ? status : cluster_settings(k, set, &settings);
    struct doc_node *template = inject_template_of(object);
    if (status == EXIT_DONE && template == NULL) {
        status = verb_fail(v, EXIT_INVALID, 1212, NULL, "%s \"%s\" has no pod template",
                           target.kind->plural, target.name);
    } else if (status == EXIT_DONE) {
        bool is_pod = target.kind == &kube_verb_pods;
        const struct doc_node *labels = doc_path(namespace, "metadata.labels");
        struct inject_subject s = {.pod = template,
                                   .namespace = span_of(target.namespace),
                                   .namespace_labels = labels ? labels : doc_new_map(&v->arena)};
        target.name = arena_cstr(&v->arena, item_text(object, "metadata.name"));
        if (!is_pod) {
            s.kind = item_text(object, "kind");
            s.name = item_text(object, "metadata.name");
        }
        inject_pod(&s, &settings, &v->arena, &answer);
        status = print_live(v, &s, &target, &answer, is_pod);
    }
    return status;
}

int cmd_inject_explain(struct verb *v, const struct cmd_inject *set)
{
    struct kube_verb k;
    if (set->files.count > 0) {
        return explain_files(v, set);
    }
    if (v->operands.count != 2) {
        return verb_fail(v, EXIT_USAGE, 1004, "mesh inject explain POD",
                         "explain needs a pod, or -f");
    }
    int status = kube_verb_open(&k, v);
    status = status ? status : explain_live(&k, set, v->operands.items[1]);
    kube_verb_close(&k);
    return status;
}
