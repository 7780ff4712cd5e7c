/* Pods that were there before the mesh was: what installing it can not change. In: cmd_install, install_look. */
#include <string.h>

#include "cli/install.h"
#include "inject/inject.h"
#include "mesh/names.h"

static struct span text(const struct doc_node *doc, const char *path)
{
    const struct doc_node *n = doc_path(doc, path);
    return doc_is(n, DOC_TEXT) ? n->text : SPAN_EMPTY;
}

static bool has_proxy(const struct doc_node *list)
{
    for (size_t i = 0; i < doc_count(list); i++) {
        if (span_is(text(doc_at(list, i), "name"), INJECT_PROXY)) {
            return true;
        }
    }
    return false;
}

bool install_pods_has_proxy(const struct doc_node *pod)
{
    return has_proxy(doc_path(pod, "spec.containers")) ||
           has_proxy(doc_path(pod, "spec.initContainers"));
}

static const struct doc_node *find_named(const struct doc_node *list, struct span name)
{
    for (size_t i = 0; i < doc_count(list); i++) {
        if (span_eq(text(doc_at(list, i), "metadata.name"), name)) {
            return doc_at(list, i);
        }
    }
    return NULL;
}

/* One that ended, or ends, is not made anew. */
static bool is_running(const struct doc_node *pod)
{
    struct span phase = text(pod, "status.phase");
    return !span_is(phase, "Succeeded") && !span_is(phase, "Failed") &&
           !doc_path(pod, "metadata.deletionTimestamp");
}

static bool should_have_proxy(struct kube_verb *k, const struct doc_node *pod,
                              const struct doc_node *namespace)
{
    struct arena *a = &k->verb->arena;
    struct inject_settings settings;
    struct inject_answer answer;
    const struct doc_node *labels = doc_path(namespace, "metadata.labels");
    inject_settings_init(&settings, a);
    inject_decide(&(struct inject_subject){.pod = pod,
                                           .namespace = text(pod, "metadata.namespace"),
                                           .namespace_labels = labels ? labels : doc_new_map(a)},
                  &settings, a, &answer);
    return answer.outcome == INJECT_YES;
}

/* A name once. */
static void add_place(struct kube_verb *k, struct install_pods *out, struct span name)
{
    struct span rest = span_of(out->where[0] ? out->where : NULL);
    while (rest.at != NULL) {
        if (span_eq(span_trim(span_cut(&rest, ',')), name)) {
            return;
        }
    }
    out->where = arena_printf(&k->verb->arena, "%s%s%.*s", out->where, out->where[0] ? ", " : "",
                              SPAN_ARG(name));
}

int install_pods(struct kube_verb *k, struct install_pods *out)
{
    struct doc_node *pods = NULL, *namespaces = NULL, *root = NULL;
    *out = (struct install_pods){.where = ""};
    int status = kube_verb_list(k, &kube_verb_namespaces, NULL, NULL, &namespaces);
    status = status ? status : kube_verb_list(k, &kube_verb_pods, NULL, NULL, &pods);
    status = status ? status
                    : kube_verb_get(k, &kube_verb_secrets, MESH_SYSTEM_NAMESPACE, "mesh-ca-secret",
                                    &root);
    if (status != EXIT_DONE && status != EXIT_MISSING) {
        return status;
    }
    /* times of the API server have one form, so that they order as texts do */
    struct span since = text(root, "metadata.creationTimestamp");
    for (size_t i = 0; i < doc_count(pods); i++) {
        const struct doc_node *pod = doc_at(pods, i);
        struct span namespace = text(pod, "metadata.namespace");
        if (span_is(namespace, MESH_SYSTEM_NAMESPACE) || !is_running(pod)) {
            continue;
        }
        bool is_meshed = install_pods_has_proxy(pod);
        bool is_old = is_meshed && span_cmp(text(pod, "metadata.creationTimestamp"), since) < 0;
        bool is_bare = !is_meshed && should_have_proxy(k, pod, find_named(namespaces, namespace));
        out->old += is_old;
        out->bare += is_bare;
        if (is_old || is_bare) {
            add_place(k, out, namespace);
        }
    }
    return EXIT_DONE;
}
