/* kube/kube_kind and kube/kube_path: manifests to collections, collections to paths. */
#include "kube/kube_kind.c"

#include <stdio.h>

#include "unit/cm.h"

static struct arena arena;

static void test_kinds(void **state)
{
    UNUSED(state);
    static const struct {
        const char *version, *kind, *want; /* "group/version plural n|-" */
    } rows[] = {
        {"v1", "Pod", "/v1 pods n"},
        {"v1", "Endpoints", "/v1 endpoints n"},
        {"v1", "Namespace", "/v1 namespaces -"},
        {"v1", "Node", "/v1 nodes -"},
        {"v1", "PersistentVolume", "/v1 persistentvolumes -"},
        {"v1", "PersistentVolumeClaim", "/v1 persistentvolumeclaims n"},
        {"v1", "ServiceAccount", "/v1 serviceaccounts n"},
        {"v1", "ComponentStatus", "/v1 componentstatuses -"},
        {"apps/v1", "Deployment", "apps/v1 deployments n"},
        {"discovery.k8s.io/v1", "EndpointSlice", "discovery.k8s.io/v1 endpointslices n"},
        {"networking.k8s.io/v1", "Ingress", "networking.k8s.io/v1 ingresses n"},
        {"networking.k8s.io/v1", "IngressClass", "networking.k8s.io/v1 ingressclasses -"},
        {"networking.k8s.io/v1", "NetworkPolicy", "networking.k8s.io/v1 networkpolicies n"},
        {"gateway.networking.k8s.io/v1", "Gateway", "gateway.networking.k8s.io/v1 gateways n"},
        {"gateway.networking.k8s.io/v1", "GatewayClass",
         "gateway.networking.k8s.io/v1 gatewayclasses -"},
        {"gateway.networking.k8s.io/v1", "HTTPRoute", "gateway.networking.k8s.io/v1 httproutes n"},
        {"gateway.networking.k8s.io/v1alpha3", "BackendTLSPolicy",
         "gateway.networking.k8s.io/v1alpha3 backendtlspolicies n"},
        {"networking.istio.io/v1", "ServiceEntry", "networking.istio.io/v1 serviceentries n"},
        {"networking.istio.io/v1", "WorkloadEntry", "networking.istio.io/v1 workloadentries n"},
        {"networking.istio.io/v1", "VirtualService", "networking.istio.io/v1 virtualservices n"},
        {"networking.istio.io/v1", "Gateway", "networking.istio.io/v1 gateways n"},
        {"security.istio.io/v1", "AuthorizationPolicy",
         "security.istio.io/v1 authorizationpolicies n"},
        {"telemetry.istio.io/v1", "Telemetry", "telemetry.istio.io/v1 telemetries n"},
        {"apiextensions.k8s.io/v1", "CustomResourceDefinition",
         "apiextensions.k8s.io/v1 customresourcedefinitions -"},
        {"admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration",
         "admissionregistration.k8s.io/v1 mutatingwebhookconfigurations -"},
        {"rbac.authorization.k8s.io/v1", "ClusterRole",
         "rbac.authorization.k8s.io/v1 clusterroles -"},
        {"rbac.authorization.k8s.io/v1", "ClusterRoleBinding",
         "rbac.authorization.k8s.io/v1 clusterrolebindings -"},
        {"rbac.authorization.k8s.io/v1", "Role", "rbac.authorization.k8s.io/v1 roles n"},
        {"scheduling.k8s.io/v1", "PriorityClass", "scheduling.k8s.io/v1 priorityclasses -"},
        {"policy/v1", "PodDisruptionBudget", "policy/v1 poddisruptionbudgets n"},
        {"coordination.k8s.io/v1", "Lease", "coordination.k8s.io/v1 leases n"},
        {"authentication.k8s.io/v1", "TokenReview", "authentication.k8s.io/v1 tokenreviews -"},
        {"authorization.k8s.io/v1", "SelfSubjectAccessReview",
         "authorization.k8s.io/v1 selfsubjectaccessreviews -"},
        {"authorization.k8s.io/v1", "LocalSubjectAccessReview",
         "authorization.k8s.io/v1 localsubjectaccessreviews n"},
        {"storage.k8s.io/v1", "StorageClass", "storage.k8s.io/v1 storageclasses -"},
        {"storage.k8s.io/v1", "CSIStorageCapacity", "storage.k8s.io/v1 csistoragecapacities n"},
        {"metrics.k8s.io/v1beta1", "PodMetrics", "metrics.k8s.io/v1beta1 pods n"},
        {"metrics.k8s.io/v1beta1", "NodeMetrics", "metrics.k8s.io/v1beta1 nodes -"},
        {"monitoring.coreos.com/v1", "Prometheus", "monitoring.coreos.com/v1 prometheuses n"},
        {"x.io/v1", "Batch", "x.io/v1 batches n"},
        {"x.io/v1", "Box", "x.io/v1 boxes n"},
        {"v1", "", NULL},
        {"v1", "Pod/x", NULL},
        {"v1", "P d", NULL},
        {"", "Pod", NULL},
        {"a/b/c", "Pod", NULL},
        {"/v1", "Pod", NULL},
        {"apps/", "Pod", NULL},
        {"a..%/v1", "Pod", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct kube_kind k;
        struct doc_node *o = doc_new_map(&arena);
        doc_set(&arena, o, "apiVersion", doc_cstr(&arena, rows[i].version));
        doc_set(&arena, o, "kind", doc_cstr(&arena, rows[i].kind));
        bool known = kube_kind_of(&arena, o, &k);
        assert_int_equal(known, rows[i].want != NULL);
        if (known) {
            const char *got = arena_printf(&arena, "%s/%s %s %s", k.group, k.version, k.plural,
                                           k.namespaced ? "n" : "-");
            assert_string_equal(got, rows[i].want);
        }
    }
    assert_false(kube_kind_of(&arena, NULL, &(struct kube_kind){0}));
    assert_false(kube_kind_of(&arena, doc_new_map(&arena), &(struct kube_kind){0}));
}

static void test_paths(void **state)
{
    UNUSED(state);
    static const struct kube_kind pods = {"", "v1", "pods", true};
    static const struct kube_kind nodes = {"", "v1", "nodes", false};
    static const struct kube_kind routes = {"gateway.networking.k8s.io", "v1", "httproutes", true};
    static const struct kube_kind services = {"", "v1", "services", true};
    static const struct kube_kind roles = {"rbac.authorization.k8s.io", "v1", "clusterroles",
                                           false};
    static const struct {
        const struct kube_kind *kind;
        const char *ns, *name, *sub, *want;
    } rows[] = {
        {&pods, "", "", NULL, "/api/v1/pods"},
        {&pods, "a", "", NULL, "/api/v1/namespaces/a/pods"},
        {&pods, "a", "b", NULL, "/api/v1/namespaces/a/pods/b"},
        {&pods, "a", "b", "status", "/api/v1/namespaces/a/pods/b/status"},
        {&nodes, "a", "b", NULL, "/api/v1/nodes/b"},
        {&routes, "a", "b", "status",
         "/apis/gateway.networking.k8s.io/v1/namespaces/a/httproutes/b/status"},
        {&routes, "", "", NULL, "/apis/gateway.networking.k8s.io/v1/httproutes"},
        {&services, "mesh-system", "http:mesh-control:15080", "proxy/api/v1/x?y=z",
         "/api/v1/namespaces/mesh-system/services/http:mesh-control:15080/proxy/api/v1/x?y=z"},
        {&roles, "", "system:node", NULL,
         "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node"},
        {&pods, "a/b", "../c?d#e %", NULL, "/api/v1/namespaces/a%2Fb/pods/..%2Fc%3Fd%23e%20%25"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_string_equal(kube_path(&arena, rows[i].kind, span_of(rows[i].ns),
                                      span_of(rows[i].name), rows[i].sub),
                            rows[i].want);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_paths),
    };
    arena_init(&arena, 4096);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_dispose(&arena);
    return failed;
}
