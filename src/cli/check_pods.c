/* Pods as the cluster has them: who should have a proxy and has none, and how those are that have one.
 * In: lists of pods and namespaces. Out: check. Next: cmd_check restarts owners. */
#include <string.h>

#include "base/instant.h"
#include "cli/check.h"
#include "codec/date.h"
#include "inject/pod_merge.h"
#include "mesh/names.h"

#define TEMPLATE_HASH "pod-template-hash"
#define FIXES_MAX 10
#define NAMES_MAX 4
#define YOUNG_US (30LL * 1000000) /* a proxy connects within this */

static bool is_over(const struct doc_node *pod)
{
    struct span phase = item_text(pod, "status.phase");
    return span_is(phase, "Succeeded") || span_is(phase, "Failed") ||
           doc_path(pod, "metadata.deletionTimestamp") != NULL;
}

/* ---- owners ---- */

/* "legacy-7c9f" of the ReplicaSet with hash "7c9f" -> "legacy". Empty: it is nobody's who has templates. */
static struct span deployment_of(const struct doc_node *pod, struct span set)
{
    const struct doc_node *labels = doc_path(pod, "metadata.labels");
    const struct doc_node *hash = doc_get(labels, TEMPLATE_HASH);
    if (!doc_is(hash, DOC_TEXT) || set.len < hash->text.len + 2 || !span_ends(set, hash->text)) {
        return SPAN_EMPTY;
    }
    return span_first(set, set.len - hash->text.len - 1);
}

static void name_owner(struct arena *a, const struct doc_node *pod, struct check_owner *out)
{
    const struct doc_node *first = doc_path(pod, "metadata.ownerReferences.0");
    struct span kind = item_text(first, "kind");
    struct span name = item_text(first, "name");
    *out = (struct check_owner){.kind = "Pod",
                                .ns = arena_cstr(a, item_text(pod, "metadata.namespace")),
                                .name = arena_cstr(a, item_text(pod, "metadata.name"))};
    if (span_is(kind, "ReplicaSet") && deployment_of(pod, name).len > 0) {
        kind = SPAN("Deployment");
        name = deployment_of(pod, name);
    }
    if (kind.len > 0) {
        out->kind = arena_cstr(a, kind);
        out->name = arena_cstr(a, name);
        out->can_restart = span_is(kind, "Deployment") || span_is(kind, "StatefulSet") ||
                           span_is(kind, "DaemonSet");
    }
}

static void add_owner(struct arena *a, struct check_pods *p, const struct doc_node *pod)
{
    struct check_owner owner;
    name_owner(a, pod, &owner);
    for (size_t i = 0; i < p->owner_count; i++) {
        struct check_owner *o = &p->owners[i];
        if (strcmp(o->kind, owner.kind) == 0 && strcmp(o->ns, owner.ns) == 0 &&
            strcmp(o->name, owner.name) == 0) {
            o->pods++;
            return;
        }
    }
    owner.pods = 1;
    p->owners[p->owner_count++] = owner;
}

/* ---- who has a proxy ---- */

static const struct doc_node *labels_of(struct check *c, const struct check_pods *p, struct span ns)
{
    for (size_t i = 0; i < doc_count(p->namespaces); i++) {
        const struct doc_node *one = doc_at(p->namespaces, i);
        if (span_eq(item_text(one, "metadata.name"), ns)) {
            const struct doc_node *labels = doc_path(one, "metadata.labels");
            return labels ? labels : doc_new_map(&c->verb->arena);
        }
    }
    return doc_new_map(&c->verb->arena); /* it is gone by now */
}

static bool should_have(struct check *c, const struct check_pods *p, const struct doc_node *pod)
{
    struct inject_answer answer;
    struct span ns = item_text(pod, "metadata.namespace");
    const struct inject_subject subject = {
        .pod = pod, .namespace = ns, .namespace_labels = labels_of(c, p, ns)};
    inject_decide(&subject, p->settings, &c->verb->arena, &answer);
    return answer.outcome == INJECT_YES;
}

static bool has_proxy(const struct doc_node *pod)
{
    return span_is(item_text(pod_merge_proxy(pod, NULL, NULL), "name"), INJECT_PROXY);
}

static const char *restart_word(const struct check_owner *o)
{
    return strcmp(o->kind, "StatefulSet") == 0 ? "statefulset"
           : strcmp(o->kind, "DaemonSet") == 0 ? "daemonset"
                                               : "deployment";
}

/* Behind the fix that is ours: how kubectl does it. */
static void add_commands(struct check *c, const struct check_pods *p)
{
    struct arena *a = &c->verb->arena;
    struct doc_node *fix = doc_get(doc_at(c->items, doc_count(c->items) - 1), "fix");
    for (size_t i = 0, shown = 0; i < p->owner_count && shown < FIXES_MAX; i++) {
        const struct check_owner *o = &p->owners[i];
        if (o->can_restart) {
            shown++;
            doc_list_add(a, fix,
                         doc_cstr(a, arena_printf(a, "kubectl -n %s rollout restart %s/%s", o->ns,
                                                  restart_word(o), o->name)));
        }
    }
}

/* Those that a rollout makes anew, or the others. */
struct group {
    const char *names;
    size_t pods, owners;
};

static struct group gather(struct check *c, const struct check_pods *p, bool can_restart)
{
    struct arena *a = &c->verb->arena;
    struct group g = {.names = ""};
    for (size_t i = 0; i < p->owner_count; i++) {
        const struct check_owner *o = &p->owners[i];
        if (o->can_restart != can_restart) {
            continue;
        }
        g.pods += o->pods;
        if (g.owners++ < NAMES_MAX) {
            g.names = arena_printf(a, "%s%s%s %s/%s", g.names, *g.names ? ", " : "", o->kind, o->ns,
                                   o->name);
        }
    }
    if (g.owners > NAMES_MAX) {
        g.names = arena_printf(a, "%s and %zu more", g.names, g.owners - NAMES_MAX);
    }
    return g;
}

static void tell_owners(struct check *c, const struct check_pods *p)
{
    struct arena *a = &c->verb->arena;
    struct group yes = gather(c, p, true);
    struct group no = gather(c, p, false);
    if (yes.owners > 0) {
        check_find(c, CHECK_INJECTION, "injection/pods", 1352,
                   arena_printf(a, "mesh check --fix          restarts %zu workload%s, asks first",
                                yes.owners, yes.owners == 1 ? "" : "s"),
                   "%zu pod%s no proxy and should have one: %s", yes.pods,
                   yes.pods == 1 ? " has" : "s have", yes.names);
        add_commands(c, p);
    }
    if (no.owners > 0) {
        check_find(c, CHECK_INJECTION, "injection/single-pods", 1360, NULL,
                   "%zu pod%s no proxy, and no rollout makes %s again: %s", no.pods,
                   no.pods == 1 ? " has" : "s have", no.pods == 1 ? "it" : "them", no.names);
    }
}

/* ---- how the proxies are ---- */

/* The status of a pod's proxy, wherever its container is. */
static const struct doc_node *proxy_status(const struct doc_node *pod)
{
    static const char *const lists[] = {"status.initContainerStatuses", "status.containerStatuses"};
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct doc_node *list = doc_path(pod, lists[l]);
        for (size_t i = 0; i < doc_count(list); i++) {
            if (span_is(item_text(doc_at(list, i), "name"), INJECT_PROXY)) {
                return doc_at(list, i);
            }
        }
    }
    return NULL;
}

static void tell_health(struct check *c, const struct check_pods *p)
{
    struct arena *a = &c->verb->arena;
    size_t restarts = 0, restarted = 0, waiting = 0;
    const char *who = "", *waits = "";
    for (size_t i = 0; i < doc_count(p->pods); i++) {
        const struct doc_node *pod = doc_at(p->pods, i);
        const struct doc_node *status = is_over(pod) ? NULL : proxy_status(pod);
        const struct doc_node *count = doc_get(status, "restartCount");
        const struct doc_node *ready = doc_get(status, "ready");
        const char *name =
            arena_printf(a, "%.*s/%.*s", SPAN_ARG(item_text(pod, "metadata.namespace")),
                         SPAN_ARG(item_text(pod, "metadata.name")));
        if (doc_is(count, DOC_INT) && count->integer > 0) {
            restarts += (size_t)count->integer;
            who = restarted++ == 0 ? name : who;
        }
        if (doc_is(ready, DOC_BOOL) && !ready->boolean) {
            waits = waiting++ == 0 ? name : waits;
        }
    }
    if (restarts > 0) {
        check_find(c, CHECK_PLANE, "plane/restarts", 1356, NULL,
                   "proxies of %zu pod%s were started again %zu times, of %s and others", restarted,
                   restarted == 1 ? "" : "s", restarts, who);
    } else if (p->meshed > 0) {
        check_pass(c, CHECK_PLANE, "plane/restarts", "0 restarts");
    }
    if (waiting > 0) {
        check_find(c, CHECK_PLANE, "plane/ready", 1357, NULL, "%zu prox%s not ready: %s%s", waiting,
                   waiting == 1 ? "y is" : "ies are", waits, waiting > 1 ? " and others" : "");
    } else if (p->meshed > 0) {
        check_pass(c, CHECK_PLANE, "plane/ready", "all ready");
    }
}

void check_pods(struct check *c, struct check_pods *p)
{
    p->owners = arena_array(&c->verb->arena, doc_count(p->pods) + 1, sizeof *p->owners);
    for (size_t i = 0; i < doc_count(p->pods); i++) {
        const struct doc_node *pod = doc_at(p->pods, i);
        if (is_over(pod)) {
            continue;
        }
        if (has_proxy(pod)) {
            p->meshed++;
        } else if (should_have(c, p, pod)) {
            add_owner(&c->verb->arena, p, pod);
        }
    }
    tell_owners(c, p);
    if (p->owner_count == 0 && p->meshed > 0) {
        check_pass(c, CHECK_INJECTION, "injection/pods", "all pods that should have a proxy do");
    }
    tell_health(c, p);
}

void check_pods_known(struct check *c, const struct check_pods *p, const struct doc_node *proxies)
{
    size_t unknown = 0;
    const char *who = "";
    int64_t now_us = instant_wall_us();
    for (size_t i = 0; i < doc_count(p->pods); i++) {
        const struct doc_node *pod = doc_at(p->pods, i);
        int64_t started;
        bool is_known = false;
        if (is_over(pod) || !has_proxy(pod) ||
            date_parse_rfc3339(item_text(proxy_status(pod), "state.running.startedAt"), &started) !=
                0 ||
            now_us - started < YOUNG_US) {
            continue;
        }
        for (size_t j = 0; j < doc_count(proxies) && !is_known; j++) {
            const struct doc_node *one = doc_at(proxies, j);
            is_known = span_eq(item_text(one, "name"), item_text(pod, "metadata.name")) &&
                       span_eq(item_text(one, "namespace"), item_text(pod, "metadata.namespace"));
        }
        if (!is_known && unknown++ == 0) {
            who = arena_printf(&c->verb->arena, "%.*s/%.*s",
                               SPAN_ARG(item_text(pod, "metadata.namespace")),
                               SPAN_ARG(item_text(pod, "metadata.name")));
        }
    }
    if (unknown > 0) {
        check_find(c, CHECK_PLANE, "plane/connected", 1358, NULL,
                   "%zu prox%s not connected to control: %s%s", unknown,
                   unknown == 1 ? "y is" : "ies are", who, unknown > 1 ? " and others" : "");
    } else if (p->meshed > 0) {
        check_pass(c, CHECK_PLANE, "plane/connected", "all connected");
    }
}
