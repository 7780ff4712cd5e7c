/* What a cluster is like before anything is done to it, whether its webhook works after, and the question in between. In: cmd_install,
 * cmd_uninstall. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/instant.h"
#include "cli/install.h"
#include "codec/date.h"
#include "mesh/names.h"

static const struct kube_kind classes = {"gateway.networking.k8s.io", "v1", "gatewayclasses",
                                         false};

static const char *text(struct kube_verb *k, const struct doc_node *doc, const char *path)
{
    const struct doc_node *n = doc_path(doc, path);
    return doc_is(n, DOC_TEXT) ? arena_cstr(&k->verb->arena, n->text) : "";
}

/* ---- before ---- */

/* What installing writes. Who may give a role must have what is in it, so the first two stand for the rules of ours. */
static const struct kube_verb_right needed[] = {
    {"create", "rbac.authorization.k8s.io", "clusterroles", NULL},
    {"create", "rbac.authorization.k8s.io", "clusterrolebindings", NULL},
    {"patch", "apiextensions.k8s.io", "customresourcedefinitions", NULL},
    {"create", "apiextensions.k8s.io", "customresourcedefinitions", NULL},
    {"patch", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", NULL},
    {"create", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", NULL},
    {"create", "", "namespaces", NULL},
    {"patch", "apps", "deployments", MESH_SYSTEM_NAMESPACE},
    {"create", "apps", "deployments", MESH_SYSTEM_NAMESPACE},
    {"create", "", "services", MESH_SYSTEM_NAMESPACE},
    {"create", "", "serviceaccounts", MESH_SYSTEM_NAMESPACE},
    {"create", "", "configmaps", MESH_SYSTEM_NAMESPACE},
    {"create", "rbac.authorization.k8s.io", "roles", MESH_SYSTEM_NAMESPACE},
    {"list", "", "pods", MESH_SYSTEM_NAMESPACE},
};

static int look_at_permissions(struct kube_verb *k, struct install_look *out)
{
    bool may[ARRAY_LEN(needed)] = {false};
    int status = kube_verb_may_all(k, needed, ARRAY_LEN(needed), may);
    for (size_t i = 0; i < ARRAY_LEN(needed) && status == EXIT_DONE; i++) {
        out->asked++;
        out->allowed += may[i];
        if (!may[i] && !out->denied[0]) {
            out->denied =
                arena_printf(&k->verb->arena, "%s %s%s%s", needed[i].verb, needed[i].resource,
                             needed[i].ns ? " in " : "", needed[i].ns ? needed[i].ns : "");
        }
    }
    return status;
}

/* Whose webhook also puts proxies into pods. */
static int look_for_others(struct kube_verb *k, struct install_look *out)
{
    static const struct {
        const char *prefix, *mesh;
    } known[] = {{"istio-sidecar-injector", "Istio"},
                 {"istio-revision-tag", "Istio"},
                 {"linkerd-proxy-injector", "Linkerd"},
                 {"consul-connect-injector", "Consul"},
                 {"kuma-admission-mutating", "Kuma"}};
    struct doc_node *items;
    int status = kube_verb_list(k, &kube_verb_webhooks, NULL, NULL, &items);
    for (size_t i = 0; i < doc_count(items); i++) {
        const char *name = text(k, doc_at(items, i), "metadata.name");
        for (size_t j = 0; j < ARRAY_LEN(known); j++) {
            if (strncmp(name, known[j].prefix, strlen(known[j].prefix)) == 0) {
                out->other_mesh = known[j].mesh;
                out->cluster.other_istio |= strcmp(known[j].mesh, "Istio") == 0;
            }
        }
    }
    return status == EXIT_MISSING ? EXIT_DONE : status;
}

static int look_at_class(struct kube_verb *k, struct install_look *out)
{
    struct doc_node *class;
    int status = kube_verb_get(k, &classes, NULL, "istio", &class);
    out->cluster.other_class = status == EXIT_DONE && strcmp(text(k, class, "spec.controllerName"),
                                                             INSTALL_CONTROLLER) != 0;
    return status == EXIT_MISSING ? EXIT_DONE : status;
}

/* The server's Date (RFC 9110 section 6.6.1) has whole seconds. */
static void look_at_clock(struct kube_verb *k, struct install_look *out)
{
    struct kube_answer a;
    struct err err;
    int64_t then;
    const struct kube_call_spec spec = {.method = "GET", .path = "/version"};
    if (kube_verb_ask(k, &spec, &a, &err) == 0 && a.head != NULL) {
        if (date_parse_http(head_get(a.head, SPAN("date")), &then) == 0) {
            out->skew_s = instant_wall_s() - then / 1000000;
        }
    }
}

int install_look(struct kube_verb *k, struct install_look *out)
{
    struct doc_node *items;
    struct doc_node *control;
    *out = (struct install_look){.denied = "", .other_mesh = "", .cluster.minor = k->minor};
    int status = kube_verb_list(k, &kube_verb_nodes, NULL, NULL, &items);
    out->nodes = doc_count(items);
    status = status ? status : look_at_permissions(k, out);
    status = status ? status : look_for_others(k, out);
    status = status ? status : look_at_class(k, out);
    if (status == EXIT_DONE) {
        status = kube_verb_get(k, &kube_verb_deployments, MESH_SYSTEM_NAMESPACE,
                               MESH_CONTROL_ACCOUNT, &control);
        out->is_installed = status == EXIT_DONE;
        status = status == EXIT_MISSING ? EXIT_DONE : status;
        look_at_clock(k, out);
    }
    return status;
}

/* ---- after ---- */

static struct doc_node *probe_pod(struct arena *a, const char *ns)
{
    struct doc_node *pod = doc_new_map(a);
    doc_set(a, pod, "apiVersion", doc_cstr(a, "v1"));
    doc_set(a, pod, "kind", doc_cstr(a, "Pod"));
    struct doc_node *meta = doc_map_in(a, pod, "metadata");
    doc_set(a, meta, "generateName", doc_cstr(a, "mesh-check-"));
    doc_set(a, meta, "namespace", doc_cstr(a, ns));
    doc_set(a, doc_map_in(a, meta, "labels"), "mesh.io/inject", doc_cstr(a, "true"));
    struct doc_node *containers = doc_list_in(a, doc_map_in(a, pod, "spec"), "containers");
    struct doc_node *one = doc_list_add(a, containers, doc_new_map(a));
    doc_set(a, one, "name", doc_cstr(a, "check"));
    doc_set(a, one, "image", doc_cstr(a, "mesh-check"));
    return pod;
}

int install_probe_injection(struct kube_verb *k, const char *ns, int64_t *ms, const char **why)
{
    struct arena *a = &k->verb->arena;
    struct kube_answer answer;
    struct err err;
    struct buf body;
    buf_init(&body, 65536);
    int code = doc_write_json(probe_pod(a, ns), false, &body);
    ASSERT(code == 0);
    const char *path = arena_printf(a, "%s?dryRun=All",
                                    kube_path(a, &kube_verb_pods, span_of(ns), SPAN_EMPTY, NULL));
    const struct kube_call_spec spec = {.method = "POST",
                                        .path = path,
                                        .body = buf_span(&body),
                                        .timeout_ms = 10000,
                                        .no_retry = true};
    int64_t began = instant_mono_ms();
    code = kube_verb_ask(k, &spec, &answer, &err);
    *ms = instant_mono_ms() - began;
    buf_dispose(&body);
    *why = answer.why;
    if (code == 0 && !install_pods_has_proxy(answer.doc)) {
        *why = "the pod came back without a sidecar: the webhook was not asked";
        code = -ERR_UNAVAILABLE;
    }
    return code;
}

/* ---- in between ---- */

int install_confirm(struct kube_verb *k, bool yes, const char *question)
{
    char answer[16];
    if (yes) {
        return EXIT_DONE;
    }
    if (!k->verb->is_tty || isatty(STDIN_FILENO) != 1) {
        return verb_fail(k->verb, EXIT_USAGE, 1322, "add -y, or --dry-run to only look",
                         "nobody is at the terminal to say yes");
    }
    printf("%s [y/N] ", question);
    fflush(stdout);
    bool is_yes = fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
    if (!is_yes) {
        printf("nothing was changed\n");
    }
    return is_yes ? EXIT_DONE : EXIT_NEGATIVE;
}
