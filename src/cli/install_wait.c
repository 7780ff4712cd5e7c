/* Waiting until what was applied works, and saying what it waits for. In: cmd_install.
 * Sources: Kubernetes "Deployments" (complete, failed), "Pod Lifecycle" (container states). */
#include <stdio.h>
#include <string.h>

#include "base/instant.h"
#include "cli/install.h"

#define LOOK_MS 250
#define CLASS_MS 5000
/* What will hardly mend itself is waited for no longer than this. */
#define PATIENCE_MS 25000

static const char *text(struct kube_verb *k, const struct doc_node *doc, const char *path)
{
    const struct doc_node *n = doc_path(doc, path);
    return doc_is(n, DOC_TEXT) ? arena_cstr(&k->verb->arena, n->text) : "";
}

static int64_t number(const struct doc_node *doc, const char *path)
{
    const struct doc_node *n = doc_path(doc, path);
    return doc_is(n, DOC_INT) ? n->integer : 0;
}

/* The condition of that type, or NULL. */
static const struct doc_node *condition(const struct doc_node *doc, const char *type)
{
    const struct doc_node *list = doc_path(doc, "status.conditions");
    for (size_t i = 0; i < doc_count(list); i++) {
        const struct doc_node *name = doc_get(doc_at(list, i), "type");
        if (doc_is(name, DOC_TEXT) && span_is(name->text, type)) {
            return doc_at(list, i);
        }
    }
    return NULL;
}

static bool is_true(struct kube_verb *k, const struct doc_node *doc, const char *type)
{
    return strcmp(text(k, condition(doc, type), "status"), "True") == 0;
}

/* ---- definitions ---- */

/* Established, and the collection answers. */
static int crd_serves(struct kube_verb *k, const struct install_item *item, bool *serves)
{
    struct doc_node *crd, *items;
    int status = kube_verb_get(k, &item->kind, NULL, item->name, &crd);
    *serves = status == EXIT_DONE && is_true(k, crd, "Established");
    if (!*serves) {
        return status == EXIT_MISSING ? EXIT_DONE : status;
    }
    const struct kube_kind kind = {.group = text(k, item->doc, "spec.group"),
                                   .version = text(k, item->doc, "spec.versions.0.name"),
                                   .plural = text(k, item->doc, "spec.names.plural"),
                                   .namespaced = false};
    if (item->change != INSTALL_NEW) {
        return EXIT_DONE;
    }
    status = kube_verb_list(k, &kind, NULL, NULL, &items);
    *serves = status == EXIT_DONE;
    return status == EXIT_MISSING ? EXIT_DONE : status;
}

int install_wait_crds(struct kube_verb *k, struct progress *p, const struct install_plan *plan,
                      int64_t deadline_ms)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct install_item *item = &plan->items[i];
        bool serves = item->step != INSTALL_STEP_CRDS || item->change == INSTALL_SAME;
        while (!serves) {
            int status = crd_serves(k, item, &serves);
            if (status != EXIT_DONE) {
                return status;
            }
            if (!serves && instant_mono_ms() >= deadline_ms) {
                progress_clear(p);
                return verb_fail(
                    k->verb, EXIT_TIMED_OUT, 1323,
                    arena_printf(&k->verb->arena, "kubectl describe crd %s", item->name),
                    "the API server does not serve %s yet", item->name);
            }
            if (!serves) {
                progress_say(p, "%s", item->name);
                kube_verb_pause(k, LOOK_MS);
            }
        }
    }
    return EXIT_DONE;
}

/* ---- GatewayClass ---- */

bool install_wait_class(struct kube_verb *k, const char *name, int64_t deadline_ms)
{
    static const struct kube_kind classes = {"gateway.networking.k8s.io", "v1", "gatewayclasses",
                                             false};
    int64_t until = i64_min(deadline_ms, instant_mono_ms() + CLASS_MS);
    struct doc_node *class;
    while (kube_verb_get(k, &classes, NULL, name, &class) == EXIT_DONE) {
        if (is_true(k, class, "Accepted") || instant_mono_ms() >= until) {
            return is_true(k, class, "Accepted");
        }
        kube_verb_pause(k, LOOK_MS);
    }
    return false;
}

/* ---- deployments ---- */

/* What is in a pod's way. */
struct blocker {
    const char *what; /* "pod mesh-control-x: container mesh-control: ErrImagePull: ..." */
    bool is_hopeless; /* time alone does not mend it */
};

/* The last line of a container that ended. */
static const char *last_words(struct kube_verb *k, const char *ns, const char *pod,
                              const char *container)
{
    struct arena *a = &k->verb->arena;
    struct kube_answer answer;
    struct err err;
    const char *path =
        arena_printf(a, "%s?container=%s&tailLines=1&previous=true&limitBytes=400",
                     kube_path(a, &kube_verb_pods, span_of(ns), span_of(pod), "log"), container);
    const struct kube_call_spec spec = {.method = "GET", .path = path, .timeout_ms = 5000};
    if (kube_verb_ask(k, &spec, &answer, &err) != 0) {
        return "";
    }
    struct span rest = answer.body;
    return arena_printf(a, ": \"%s\"", arena_cstr(a, span_trim(span_cut(&rest, '\n'))));
}

static bool is_one_of(const char *word, const char *const *list)
{
    for (; *list; list++) {
        if (strcmp(word, *list) == 0) {
            return true;
        }
    }
    return false;
}

static bool look_at_container(struct kube_verb *k, const char *ns, const char *pod,
                              const struct doc_node *status, struct blocker *out)
{
    static const char *const pulls[] = {
        "ErrImagePull",      "ImagePullBackOff",           "InvalidImageName",
        "ErrImageNeverPull", "CreateContainerConfigError", NULL};
    struct arena *a = &k->verb->arena;
    const char *name = text(k, status, "name");
    const char *waits = text(k, status, "state.waiting.reason");
    const struct doc_node *ended = doc_path(status, "state.terminated");
    ended = ended ? ended : doc_path(status, "lastState.terminated");
    if (is_one_of(waits, pulls)) {
        out->what = arena_printf(a, "pod %s: container %s: %s: %s", pod, name, waits,
                                 text(k, status, "state.waiting.message"));
        out->is_hopeless = true;
        return true;
    }
    if (ended && number(ended, "exitCode") != 0) {
        out->what = arena_printf(
            a, "pod %s: container %s ended with exit code %lld%s%s", pod, name,
            (long long)number(ended, "exitCode"),
            strcmp(text(k, ended, "reason"), "OOMKilled") == 0 ? " (it had no memory left)" : "",
            last_words(k, ns, pod, name));
        out->is_hopeless = number(status, "restartCount") > 2;
        return true;
    }
    return false;
}

static bool look_at_pod(struct kube_verb *k, const struct doc_node *pod, struct blocker *out)
{
    static const char *const lists[] = {"status.initContainerStatuses", "status.containerStatuses"};
    const char *ns = text(k, pod, "metadata.namespace");
    const char *name = text(k, pod, "metadata.name");
    const struct doc_node *placed = condition(pod, "PodScheduled");
    if (placed && strcmp(text(k, placed, "status"), "False") == 0) {
        out->what = arena_printf(&k->verb->arena, "pod %s: no node takes it: %s", name,
                                 text(k, placed, "message"));
        out->is_hopeless = true;
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        const struct doc_node *list = doc_path(pod, lists[i]);
        for (size_t j = 0; j < doc_count(list); j++) {
            if (look_at_container(k, ns, name, doc_at(list, j), out)) {
                return true;
            }
        }
    }
    if (!is_true(k, pod, "Ready")) {
        out->what = arena_printf(&k->verb->arena, "pod %s: %s, not ready yet", name,
                                 text(k, pod, "status.phase"));
    }
    return false;
}

/* The worst of the pods; or why there is none. */
static int look_for_blocker(struct kube_verb *k, const struct doc_node *deployment,
                            struct blocker *out)
{
    struct arena *a = &k->verb->arena;
    const char *selector = "";
    struct doc_node *pods;
    const struct doc_node *labels = doc_path(deployment, "spec.selector.matchLabels");
    for (size_t i = 0; i < doc_count(labels); i++) {
        const struct doc_entry *e = &labels->entries[i];
        selector = arena_printf(a, "%s%s%.*s=%.*s", selector, i > 0 ? "," : "", SPAN_ARG(e->key),
                                SPAN_ARG(e->value->text));
    }
    *out = (struct blocker){.what = "its pods are not made yet"};
    if (is_true(k, deployment, "ReplicaFailure")) {
        out->what = text(k, condition(deployment, "ReplicaFailure"), "message");
        out->is_hopeless = true;
        return EXIT_DONE;
    }
    int status = kube_verb_list(k, &kube_verb_pods, text(k, deployment, "metadata.namespace"),
                                selector, &pods);
    for (size_t i = 0; i < doc_count(pods); i++) {
        if (look_at_pod(k, doc_at(pods, i), out)) {
            break;
        }
    }
    return status;
}

static bool is_rolled_out(const struct doc_node *d)
{
    int64_t want = doc_path(d, "spec.replicas") ? number(d, "spec.replicas") : 1;
    return number(d, "status.observedGeneration") >= number(d, "metadata.generation") &&
           number(d, "status.updatedReplicas") >= want &&
           number(d, "status.availableReplicas") >= want &&
           number(d, "status.replicas") <= number(d, "status.updatedReplicas");
}

int install_wait_deployment(struct kube_verb *k, struct progress *p, const char *ns,
                            const char *name, int64_t deadline_ms, const char **facts)
{
    struct arena *a = &k->verb->arena;
    int64_t hopeless_ms = 0;
    for (;;) {
        struct doc_node *d;
        struct blocker b;
        int status = kube_verb_get(k, &kube_verb_deployments, ns, name, &d);
        int64_t now = instant_mono_ms();
        if (status != EXIT_DONE) {
            return status == EXIT_MISSING ? verb_fail(k->verb, EXIT_MISSING, 1323, NULL,
                                                      "Deployment %s/%s is gone", ns, name)
                                          : status;
        }
        *facts = arena_printf(a, "%s/%s %lld/%lld ready", ns, name,
                              (long long)number(d, "status.availableReplicas"),
                              (long long)number(d, "spec.replicas"));
        if (is_rolled_out(d)) {
            return EXIT_DONE;
        }
        status = look_for_blocker(k, d, &b);
        hopeless_ms = !b.is_hopeless ? 0 : hopeless_ms ? hopeless_ms : now;
        if (status != EXIT_DONE) {
            return status;
        }
        if (now >= deadline_ms || (hopeless_ms && now - hopeless_ms > PATIENCE_MS)) {
            progress_fail(p, "%s", *facts);
            return verb_fail(k->verb, EXIT_TIMED_OUT, 1323,
                             arena_printf(a, "kubectl -n %s describe deployment %s", ns, name),
                             "Deployment %s/%s does not get ready: %s", ns, name, b.what);
        }
        progress_say(p, "%s \u00b7 %s", *facts, b.what);
        kube_verb_pause(k, LOOK_MS);
    }
}
