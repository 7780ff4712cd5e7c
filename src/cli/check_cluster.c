/* The cluster, control's Deployment and the webhook, as checks. One question to the server at first, whose time is told; then the rest at once.
 * In: cmd_check. Out: check. */
#include <stdlib.h>
#include <string.h>

#include "base/instant.h"
#include "cli/check.h"
#include "cli/install.h"
#include "mesh/names.h"

#define SKEW_MAX_S 10
#define WEBHOOK "mesh-injector"
#define BUNDLE "gateway.networking.k8s.io/bundle-version"
#define PROBED "default" /* every cluster has it */

enum { CRD, WEBHOOKS, SLICES, CONTROL, QUESTIONS };

static int64_t number(const struct doc_node *doc, const char *path)
{
    const struct doc_node *n = doc_path(doc, path);
    return doc_is(n, DOC_INT) ? n->integer : 0;
}

/* ---- cluster ---- */

static void look_at_server(struct check *c, struct check_cluster *x)
{
    struct kube_answer a;
    struct err err;
    const struct kube_call_spec spec = {.method = "GET", .path = "/version"};
    int64_t began = instant_mono_ns();
    int code = kube_verb_ask(x->kube, &spec, &a, &err);
    double ms = (double)(instant_mono_ns() - began) / 1000000;
    if (code == 0) {
        check_pass(c, CHECK_CLUSTER, "cluster/api", "API %.*f ms", ms < 10 ? 1 : 0, ms);
    } else {
        check_find(c, CHECK_CLUSTER, "cluster/api", 1311, NULL, "the API server failed: %s", a.why);
    }
}

static void tell_look(struct check *c, const struct check_cluster *x, const struct install_look *l)
{
    const struct kube_verb *k = x->kube;
    if (k->minor && k->minor < INSTALL_MINOR_MIN) {
        check_find(c, CHECK_CLUSTER, "cluster/version", 1326, NULL,
                   "Kubernetes is %s; the mesh wants 1.%d or newer", k->version, INSTALL_MINOR_MIN);
    } else {
        check_pass(c, CHECK_CLUSTER, "cluster/version", "%s", "");
    }
    if (l->denied[0] && x->before) {
        check_find(c, CHECK_CLUSTER, "cluster/permissions", 1340, NULL,
                   "permissions %u/%u: this user may not %s", l->allowed, l->asked, l->denied);
    } else {
        check_pass(c, CHECK_CLUSTER, "cluster/permissions", "permissions %u/%u", l->allowed,
                   l->asked);
    }
    if (l->other_mesh[0]) {
        check_find(c, CHECK_CLUSTER, "cluster/other-mesh", 1343, NULL,
                   "%s injects proxies in this cluster, too%s", l->other_mesh,
                   l->cluster.other_istio ? "; istio-injection and istio.io/rev are its own" : "");
    } else {
        check_pass(c, CHECK_CLUSTER, "cluster/other-mesh", "no other mesh");
    }
    if (llabs((long long)l->skew_s) > SKEW_MAX_S) {
        check_find(c, CHECK_CLUSTER, "cluster/clock", 1341, NULL,
                   "the server's clock and this machine's differ by %lld s",
                   llabs((long long)l->skew_s));
    } else {
        check_pass(c, CHECK_CLUSTER, "cluster/clock", "clock skew %lld s",
                   llabs((long long)l->skew_s));
    }
}

static void tell_gateway_api(struct check *c, const struct check_cluster *x,
                             const struct kube_answer *crd)
{
    const struct doc_node *notes = doc_path(crd->doc, "metadata.annotations");
    const struct doc_node *bundle = doc_get(notes, BUNDLE);
    if (crd->code == 0) {
        check_pass(c, CHECK_CLUSTER, "cluster/gateway-api", "Gateway API %.*s",
                   doc_is(bundle, DOC_TEXT) ? (int)bundle->text.len : 0,
                   doc_is(bundle, DOC_TEXT) ? bundle->text.at : "");
    } else if (!x->before) {
        check_find(c, CHECK_CLUSTER, "cluster/gateway-api", 1342, NULL,
                   "the definitions of the Gateway API are not there: %s", crd->why);
    } else {
        check_pass(c, CHECK_CLUSTER, "cluster/gateway-api", "Gateway API comes with the mesh");
    }
}

/* ---- control ---- */

static void tell_control(struct check *c, const struct kube_answer *a)
{
    long long ready = (long long)number(a->doc, "status.readyReplicas");
    const struct doc_node *want = doc_path(a->doc, "spec.replicas");
    long long wanted = doc_is(want, DOC_INT) ? (long long)want->integer : 1;
    if (ready == 0) {
        check_find(c, CHECK_CONTROL, "control/ready", 1344, NULL,
                   "no control plane is ready: 0/%lld of Deployment " MESH_SYSTEM_NAMESPACE
                   "/" MESH_CONTROL_ACCOUNT,
                   wanted);
    } else if (ready < wanted) {
        check_find(c, CHECK_CONTROL, "control/ready", 1345, NULL,
                   "only %lld of %lld control planes are ready", ready, wanted);
    } else {
        check_pass(c, CHECK_CONTROL, "control/ready", "%lld/%lld ready", ready, wanted);
    }
}

/* ---- injection ---- */

static size_t count_ready(const struct doc_node *slices)
{
    size_t ready = 0;
    const struct doc_node *items = doc_get(slices, "items");
    for (size_t i = 0; i < doc_count(items); i++) {
        const struct doc_node *ends = doc_get(doc_at(items, i), "endpoints");
        for (size_t j = 0; j < doc_count(ends); j++) {
            const struct doc_node *is_ready = doc_path(doc_at(ends, j), "conditions.ready");
            ready += !is_ready || (doc_is(is_ready, DOC_BOOL) && is_ready->boolean);
        }
    }
    return ready;
}

/* How many of the webhooks have nothing to trust. */
static size_t count_untrusting(const struct doc_node *webhooks)
{
    size_t count = 0;
    const struct doc_node *list = doc_get(webhooks, "webhooks");
    for (size_t i = 0; i < doc_count(list); i++) {
        count += item_text(doc_at(list, i), "clientConfig.caBundle").len == 0;
    }
    return count;
}

static void probe(struct check *c, struct check_cluster *x)
{
    int64_t ms;
    const char *why;
    x->is_injecting = install_probe_injection(x->kube, PROBED, &ms, &why) == 0;
    if (x->is_injecting) {
        check_pass(c, CHECK_INJECTION, "injection/dry-run", "dry-run pod injected in %lld ms",
                   (long long)ms);
    } else {
        check_find(c, CHECK_INJECTION, "injection/dry-run", 1325, NULL,
                   "a dry-run pod that asks for a proxy got none: %s", why);
    }
}

static void tell_injection(struct check *c, struct check_cluster *x,
                           const struct kube_answer *webhooks, const struct kube_answer *slices)
{
    size_t ready = count_ready(slices->doc);
    if (webhooks->code != 0) {
        check_find(c, CHECK_INJECTION, "injection/webhook", 1349, NULL,
                   "MutatingWebhookConfiguration " WEBHOOK " is not there: %s", webhooks->why);
        return;
    }
    check_pass(c, CHECK_INJECTION, "injection/webhook", "%s", "");
    if (count_untrusting(webhooks->doc) > 0) {
        check_find(c, CHECK_INJECTION, "injection/trust", 1350, NULL,
                   "%zu webhooks of " WEBHOOK " have no caBundle, so the API server trusts nobody",
                   count_untrusting(webhooks->doc));
    } else {
        check_pass(c, CHECK_INJECTION, "injection/trust", "%s", "");
    }
    if (slices->code == 0 && ready == 0) {
        check_find(c, CHECK_INJECTION, "injection/endpoints", 1351, NULL,
                   "Service " MESH_SYSTEM_NAMESPACE "/" MESH_CONTROL_ACCOUNT
                   ", which the webhook asks, has no ready endpoint");
    } else {
        check_pass(c, CHECK_INJECTION, "injection/endpoints", "%s", "");
    }
    probe(c, x);
}

int check_cluster(struct check *c, struct check_cluster *x)
{
    struct arena *a = &c->verb->arena;
    struct install_look look;
    struct kube_answer answers[QUESTIONS];
    struct kube_call_spec specs[QUESTIONS];
    look_at_server(c, x);
    int status = install_look(x->kube, &look);
    if (status != EXIT_DONE) {
        return status;
    }
    x->before = x->before || !look.is_installed;
    struct span ns = SPAN(MESH_SYSTEM_NAMESPACE);
    const char *const paths[QUESTIONS] = {
        [CRD] = kube_path(a, &kube_verb_crds, SPAN_EMPTY,
                          SPAN("httproutes.gateway.networking.k8s.io"), NULL),
        [WEBHOOKS] = kube_path(a, &kube_verb_webhooks, SPAN_EMPTY, SPAN(WEBHOOK), NULL),
        [SLICES] =
            arena_printf(a, "%s?labelSelector=kubernetes.io/service-name%%3D" MESH_CONTROL_ACCOUNT,
                         kube_path(a, &kube_verb_slices, ns, SPAN_EMPTY, NULL)),
        [CONTROL] = kube_path(a, &kube_verb_deployments, ns, SPAN(MESH_CONTROL_ACCOUNT), NULL),
    };
    for (size_t i = 0; i < QUESTIONS; i++) {
        specs[i] = (struct kube_call_spec){.method = "GET", .path = paths[i]};
    }
    kube_ask_all(x->kube->client, a, specs, x->before ? CRD + 1 : QUESTIONS, answers);
    tell_gateway_api(c, x, &answers[CRD]);
    tell_look(c, x, &look);
    if (!x->before) {
        tell_control(c, &answers[CONTROL]);
        tell_injection(c, x, &answers[WEBHOOKS], &answers[SLICES]);
    }
    return EXIT_DONE;
}
