/* In: a pod and the labels of its namespace. Out: yes or no, and why, as a sentence. Next: pod_wish. */
#include "inject/decide.h"

#include <stdio.h>

#include "inject/pod_merge.h"
#include "inject/pod_wish.h"
#include "mesh/names.h"

#define NAMESPACE_LABEL "mesh-injection"

struct deciding {
    const struct inject_subject *subject;
    const struct inject_settings *settings;
    struct arena *arena;
    struct inject_answer *out;
};

/* Always true: it is decided. */
static bool say(struct deciding *d, enum inject_outcome outcome, unsigned code, const char *rule,
                const char *why, const char *fix)
{
    *d->out = (struct inject_answer){
        .outcome = outcome, .code = code, .rule = rule, .why = why, .fix = fix};
    return true;
}

static const char *print(struct deciding *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
static const char *print(struct deciding *d, const char *fmt, ...)
{
    char text[ERR_TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args); /* cut to fit */
    va_end(args);
    return arena_strdup(d->arena, text);
}

/* ---- never ---- */

bool decide_is_system(struct span namespace)
{
    static const char *const names[] = {"kube-system", "kube-public", "kube-node-lease",
                                        MESH_SYSTEM_NAMESPACE};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (span_is(namespace, names[i])) {
            return true;
        }
    }
    return false;
}

/* A container of another mesh, or NULL. */
static const char *other_mesh(const struct doc_node *pod)
{
    static const char *const names[] = {"linkerd-proxy", "kuma-sidecar", "consul-dataplane"};
    static const char *const lists[] = {"initContainers", "containers"};
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct doc_node *list = doc_get(doc_get(pod, "spec"), lists[l]);
        for (size_t i = 0; i < doc_count(list); i++) {
            const struct doc_node *name = doc_get(doc_at(list, i), "name");
            for (size_t k = 0; doc_is(name, DOC_TEXT) && k < ARRAY_LEN(names); k++) {
                if (span_is(name->text, names[k])) {
                    return names[k];
                }
            }
        }
    }
    return NULL;
}

/* A proxy's container that is complete: one with the image "auto" waits for us. */
static bool has_proxy(struct deciding *d)
{
    const struct doc_node *pod = d->subject->pod;
    const struct doc_node *proxy = pod_merge_proxy(pod, NULL, NULL);
    const struct doc_node *image = doc_get(proxy, "image");
    const struct doc_node *name = doc_get(proxy, "name");
    const char *other = other_mesh(pod);
    if (other == NULL && proxy && !(doc_is(image, DOC_TEXT) && span_is(image->text, "auto"))) {
        struct span status =
            pod_wish_text(doc_path(pod, "metadata.annotations"), ANNOTATION_STATUS, d->arena);
        if (span_is(name->text, INJECT_PROXY) || span_find(status, SPAN("\"mesh\"")) >= 0) {
            return say(d, INJECT_SKIP, 1206, "container " INJECT_PROXY,
                       "the pod has its proxy already", NULL);
        }
        other = "istio-proxy";
    }
    return other && say(d, INJECT_SKIP, 1207, print(d, "container %s", other),
                        print(d, "the pod has a proxy of another mesh, container %s", other),
                        "stop the other mesh from injecting, and create the pod again");
}

static bool decide_never(struct deciding *d)
{
    const struct doc_node *spec = doc_get(d->subject->pod, "spec");
    const struct doc_node *host = doc_get(spec, "hostNetwork");
    const struct doc_node *os = doc_path(spec, "os.name");
    if (decide_is_system(d->subject->namespace)) {
        return say(d, INJECT_SKIP, 1205,
                   print(d, "namespace %.*s", SPAN_ARG(d->subject->namespace)),
                   print(d, "namespace '%.*s' belongs to the system, whose pods never get a proxy",
                         SPAN_ARG(d->subject->namespace)),
                   NULL);
    }
    if (doc_is(host, DOC_BOOL) && host->boolean) {
        return say(d, INJECT_SKIP, 1204, "hostNetwork=true",
                   "the pod uses its node's network (hostNetwork), where redirection would catch "
                   "the whole node's traffic",
                   "remove hostNetwork from the pod, if it need not be there");
    }
    if (doc_is(os, DOC_TEXT) && span_is(os->text, "windows")) {
        return say(d, INJECT_SKIP, 1208, "os=windows", "the pod runs on Windows", NULL);
    }
    return has_proxy(d);
}

/* ---- what the pod says ---- */

static bool decide_by_word(struct deciding *d, const char *what, const char *name,
                           struct span value)
{
    bool yes = span_eq_nocase(value, SPAN("true")), no = span_eq_nocase(value, SPAN("false"));
    struct span shown = span_first(value, 63);
    const char *rule = print(d, "pod %s %s=%.*s", what, name, SPAN_ARG(shown));
    const char *why = print(d, "the pod's %s %s is '%.*s'", what, name, SPAN_ARG(shown));
    if (value.at == NULL) {
        return false;
    }
    if (!yes && !no) {
        return say(d, INJECT_REFUSE, 1211, rule, print(d, "%s; want 'true' or 'false'", why),
                   "correct it in the pod's template, or remove it");
    }
    return say(d, yes ? INJECT_YES : INJECT_SKIP, yes ? 1200 : 1202, rule, why,
               yes ? NULL : "remove it from the pod's template to let the namespace decide");
}

static bool decide_by_revision(struct deciding *d, const char *who, const struct doc_node *labels)
{
    struct span rev = pod_wish_text(labels, LABEL_REVISION, d->arena);
    struct span ours = d->settings->revision;
    if (rev.at == NULL) {
        return false;
    }
    rev = span_first(rev, 63);
    const char *rule = print(d, "%s label " LABEL_REVISION "=%.*s", who, SPAN_ARG(rev));
    if (span_eq(rev, ours)) {
        return say(d, INJECT_YES, 1200, rule,
                   print(d, "the %s's label " LABEL_REVISION " is '%.*s', which is ours", who,
                         SPAN_ARG(rev)),
                   NULL);
    }
    return say(d, INJECT_SKIP, 1203, rule,
               print(d, "the %s's label " LABEL_REVISION " is '%.*s'; ours is '%.*s'", who,
                     SPAN_ARG(rev), SPAN_ARG(ours)),
               print(d, "set it to %.*s, or remove it", SPAN_ARG(ours)));
}

static bool decide_by_pod(struct deciding *d)
{
    static const char *const names[] = {"mesh.io/inject", LABEL_INJECT};
    const struct doc_node *labels = doc_path(d->subject->pod, "metadata.labels");
    const struct doc_node *annotations = doc_path(d->subject->pod, "metadata.annotations");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct span label = pod_wish_text(labels, names[i], d->arena);
        struct span annotation = pod_wish_text(annotations, names[i], d->arena);
        if (decide_by_word(d, "label", names[i], label) ||
            decide_by_word(d, "annotation", names[i], annotation)) {
            return true;
        }
    }
    return decide_by_revision(d, "pod", labels);
}

/* ---- what the namespace says ---- */

static bool decide_by_namespace(struct deciding *d)
{
    static const char *const names[] = {NAMESPACE_LABEL, LABEL_INJECTION};
    const struct doc_node *labels = d->subject->namespace_labels;
    if (d->subject->wanted) {
        return say(
            d, INJECT_YES, 1200, "namespace",
            print(d, "the labels of namespace '%.*s' ask for it", SPAN_ARG(d->subject->namespace)),
            NULL);
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct span value = pod_wish_text(labels, names[i], d->arena);
        if (value.at == NULL) {
            continue;
        }
        bool yes = span_is(value, "enabled"), no = span_is(value, "disabled");
        struct span shown = span_first(value, 63);
        const char *rule = print(d, "namespace label %s=%.*s", names[i], SPAN_ARG(shown));
        return say(d, yes ? INJECT_YES : INJECT_SKIP,
                   yes  ? 1200
                   : no ? 1202
                        : 1209,
                   rule,
                   print(d, "namespace '%.*s' has the label %s=%.*s%s",
                         SPAN_ARG(d->subject->namespace), names[i], SPAN_ARG(shown),
                         yes || no ? "" : "; want enabled or disabled"),
                   yes ? NULL
                       : print(d, "kubectl label namespace %.*s %s=enabled --overwrite",
                               SPAN_ARG(d->subject->namespace), names[i]));
    }
    return decide_by_revision(d, "namespace", labels);
}

void decide(const struct inject_subject *subject, const struct inject_settings *settings,
            struct arena *arena, struct inject_answer *out)
{
    struct deciding d = {.subject = subject, .settings = settings, .arena = arena, .out = out};
    if (decide_never(&d) || decide_by_pod(&d) || decide_by_namespace(&d)) {
        return;
    }
    if (subject->asked) {
        (void)say(&d, INJECT_YES, 1200, "asked", "it was asked for", NULL);
    } else if (settings->by_default) {
        (void)say(&d, INJECT_YES, 1200, "by default",
                  "neither pod nor namespace say anything, and the settings inject by default",
                  NULL);
    } else {
        (void)say(&d, INJECT_SKIP, 1201, "",
                  print(&d, "neither the pod nor namespace '%.*s' ask for it",
                        SPAN_ARG(subject->namespace)),
                  print(&d, "kubectl label namespace %.*s " NAMESPACE_LABEL "=enabled",
                        SPAN_ARG(subject->namespace)));
    }
}
