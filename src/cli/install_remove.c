/* What is ours in a cluster, and of it what goes. In: install_plan (an upgrade), cmd_uninstall. */
#include <string.h>

#include "cli/install_int.h"
#include "mesh/names.h"

static const char *text(struct kube_verb *k, const struct doc_node *doc, const char *path)
{
    const struct doc_node *n = doc_path(doc, path);
    return doc_is(n, DOC_TEXT) ? arena_cstr(&k->verb->arena, n->text) : "";
}

struct kind_row {
    struct kube_kind kind;
    const char *what;
};
/* What an installation has, of any version, in the order in which it should go: first what could refuse pods. */
static const struct kind_row installed[] = {
    {{"admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", false},
     "MutatingWebhookConfiguration"},
    {{"gateway.networking.k8s.io", "v1", "gatewayclasses", false}, "GatewayClass"},
    {{"apps", "v1", "deployments", true}, "Deployment"},
    {{"policy", "v1", "poddisruptionbudgets", true}, "PodDisruptionBudget"},
    {{"", "v1", "services", true}, "Service"},
    {{"", "v1", "configmaps", true}, "ConfigMap"},
    {{"", "v1", "secrets", true}, "Secret"},
    {{"coordination.k8s.io", "v1", "leases", true}, "Lease"},
    {{"rbac.authorization.k8s.io", "v1", "rolebindings", true}, "RoleBinding"},
    {{"rbac.authorization.k8s.io", "v1", "roles", true}, "Role"},
    {{"", "v1", "serviceaccounts", true}, "ServiceAccount"},
    {{"rbac.authorization.k8s.io", "v1", "clusterrolebindings", false}, "ClusterRoleBinding"},
    {{"rbac.authorization.k8s.io", "v1", "clusterroles", false}, "ClusterRole"},
    {{"mesh.io", "v1", "meshconfigs", false}, "MeshConfig"},
    {{"", "v1", "namespaces", false}, "Namespace"},
    {{"apiextensions.k8s.io", "v1", "customresourcedefinitions", false},
     "CustomResourceDefinition"},
};

/* What control makes in our namespace. */
static const struct {
    const struct kube_kind kind;
    const char *what, *name;
} made_by_control[] = {
    {{"", "v1", "secrets", true}, "Secret", "mesh-ca-secret"},
    {{"", "v1", "secrets", true}, "Secret", "mesh-api-token"},
    {{"coordination.k8s.io", "v1", "leases", true}, "Lease", "mesh-leader"},
    {{"", "v1", "configmaps", true}, "ConfigMap", "istio-ca-root-cert"},
    {{"", "v1", "configmaps", true}, "ConfigMap", "mesh-ca-root-cert"},
};

static bool is_wanted(const struct install_plan *plan, const struct install_item *item)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct install_item *one = &plan->items[i];
        if (strcmp(one->name, item->name) == 0 &&
            strcmp(one->kind.plural, item->kind.plural) == 0 &&
            strcmp(one->kind.group, item->kind.group) == 0) {
            return true;
        }
    }
    return false;
}

/* What control made, not install: gateways of the Gateway API, and the root in each namespace. */
static bool is_controls(struct kube_verb *k, const struct doc_node *doc)
{
    const char *name = text(k, doc, "metadata.name");
    for (size_t i = 0; i < ARRAY_LEN(made_by_control); i++) {
        if (strcmp(name, made_by_control[i].name) == 0) {
            return true;
        }
    }
    return doc_count(doc_path(doc, "metadata.ownerReferences")) > 0 ||
           doc_get(doc_path(doc, "metadata.labels"), LABEL_GATEWAY_NAME);
}

static struct install_item gone(struct kube_verb *k, const struct kind_row *row,
                                const struct doc_node *doc)
{
    return (struct install_item){.doc = doc,
                                 .kind = row->kind,
                                 .what = row->what,
                                 .ns = row->kind.namespaced ? text(k, doc, "metadata.namespace")
                                                            : NULL,
                                 .name = text(k, doc, "metadata.name"),
                                 .step = INSTALL_STEPS,
                                 .change = INSTALL_GONE,
                                 .facts = ""};
}

int install_plan_prune(struct kube_verb *k, struct install_plan *plan)
{
    for (size_t r = 0; r < ARRAY_LEN(installed); r++) {
        const struct kind_row *row = &installed[r];
        struct doc_node *items;
        int status =
            kube_verb_list(k, &row->kind, row->kind.namespaced ? MESH_SYSTEM_NAMESPACE : NULL,
                           INSTALL_SELECTOR, &items);
        if (status != EXIT_DONE && status != EXIT_MISSING) {
            return status;
        }
        for (size_t i = 0; i < doc_count(items); i++) {
            const struct install_item item = gone(k, row, doc_at(items, i));
            if (!is_wanted(plan, &item) && !is_controls(k, item.doc)) {
                install_plan_add(plan, &k->verb->arena, &item);
            }
        }
    }
    return EXIT_DONE;
}

/* ---- all of it ---- */

static bool is_listed(const struct install_plan *plan, const struct install_item *item)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct install_item *one = &plan->items[i];
        bool same_place = !one->ns || !item->ns || strcmp(one->ns, item->ns) == 0;
        if (same_place && strcmp(one->name, item->name) == 0 &&
            strcmp(one->what, item->what) == 0) {
            return true;
        }
    }
    return false;
}

/* How many objects of a definition there are, beside ours. */
static int count_objects(struct kube_verb *k, const struct doc_node *crd, size_t *count)
{
    struct doc_node *items;
    struct kube_kind kind = {.group = text(k, crd, "spec.group"),
                             .plural = text(k, crd, "spec.names.plural"),
                             .version = "v1",
                             .namespaced = strcmp(text(k, crd, "spec.scope"), "Namespaced") == 0};
    const struct doc_node *versions = doc_path(crd, "spec.versions");
    for (size_t i = 0; i < doc_count(versions); i++) {
        const struct doc_node *storage = doc_get(doc_at(versions, i), "storage");
        if (doc_is(storage, DOC_BOOL) && storage->boolean) {
            kind.version = text(k, doc_at(versions, i), "name");
        }
    }
    int status = kube_verb_list(k, &kind, NULL, NULL, &items);
    *count = 0;
    for (size_t i = 0; i < doc_count(items); i++) {
        const char *controller = text(k, doc_at(items, i), "spec.controllerName");
        *count += !install_is_ours(doc_at(items, i)) && strcmp(controller, INSTALL_CONTROLLER) != 0;
    }
    return status == EXIT_MISSING ? EXIT_DONE : status;
}

static int add_crd(struct kube_verb *k, struct install_plan *plan, const struct install_item *item,
                   bool purge, const char **kept)
{
    size_t count = 0;
    int status = purge ? EXIT_DONE : count_objects(k, item->doc, &count);
    if (status == EXIT_DONE && count == 0) {
        install_plan_add(plan, &k->verb->arena, item);
    } else if (status == EXIT_DONE) {
        *kept = arena_printf(&k->verb->arena, "%s%s%s (%zu)", *kept, (*kept)[0] ? ", " : "",
                             item->name, count);
    }
    return status;
}

/* Those of a kind: by our labels, or, of GatewayClasses, by who serves them. */
static int add_kind(struct kube_verb *k, struct install_plan *plan, const struct kind_row *row,
                    bool purge, const char **kept)
{
    bool is_class = strcmp(row->what, "GatewayClass") == 0;
    struct doc_node *items;
    int status = kube_verb_list(k, &row->kind, NULL, is_class ? NULL : INSTALL_SELECTOR, &items);
    if (status == EXIT_MISSING) {
        return EXIT_DONE;
    }
    for (size_t i = 0; i < doc_count(items) && status == EXIT_DONE; i++) {
        const struct install_item item = gone(k, row, doc_at(items, i));
        if (is_class && strcmp(text(k, item.doc, "spec.controllerName"), INSTALL_CONTROLLER) != 0) {
            continue;
        }
        if (strcmp(row->what, "CustomResourceDefinition") == 0) {
            status = add_crd(k, plan, &item, purge, kept);
        } else {
            install_plan_add(plan, &k->verb->arena, &item);
        }
    }
    return status;
}

static int add_made(struct kube_verb *k, struct install_plan *plan)
{
    int status = EXIT_DONE;
    for (size_t i = 0; i < ARRAY_LEN(made_by_control) && status == EXIT_DONE; i++) {
        const struct kind_row row = {made_by_control[i].kind, made_by_control[i].what};
        struct doc_node *doc;
        status = kube_verb_get(k, &row.kind, MESH_SYSTEM_NAMESPACE, made_by_control[i].name, &doc);
        if (status == EXIT_DONE) {
            const struct install_item item = gone(k, &row, doc);
            if (!is_listed(plan, &item)) {
                install_plan_add(plan, &k->verb->arena, &item);
            }
        }
        status = status == EXIT_MISSING ? EXIT_DONE : status;
    }
    return status;
}

int install_plan_remove(struct kube_verb *k, bool purge, struct install_plan *out,
                        const char **kept)
{
    int status = EXIT_DONE;
    *out = (struct install_plan){.count = 0};
    *kept = "";
    for (size_t r = 0; r < ARRAY_LEN(installed) && status == EXIT_DONE; r++) {
        if (strcmp(installed[r].what, "RoleBinding") == 0) {
            status = add_made(k, out); /* after the Deployments, while the namespace is there */
        }
        status = status ? status : add_kind(k, out, &installed[r], purge, kept);
    }
    return status;
}
