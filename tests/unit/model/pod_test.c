/* Pod, Node and ServiceAccount. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "model/pod.c"
#include "unit/model/model_test.h"

/* As a cluster writes it, with much that no mesh reads. */
static void reads_pod(void **state)
{
    const struct object *o = model_test_good(
        state,
        "apiVersion: v1\n"
        "kind: Pod\n"
        "metadata:\n"
        "  name: reviews-v1-7f8c9d6b54-x2x9k\n"
        "  generateName: reviews-v1-7f8c9d6b54-\n"
        "  namespace: shop\n"
        "  uid: a\n"
        "  labels: {app: reviews, version: v1, pod-template-hash: 7f8c9d6b54}\n"
        "  ownerReferences:\n"
        "  - {apiVersion: x/v1, kind: Other, name: other, uid: o}\n"
        "  - {apiVersion: apps/v1, kind: ReplicaSet, name: reviews-v1-7f8c9d6b54, uid: b,\n"
        "     controller: true, blockOwnerDeletion: true}\n"
        "spec:\n"
        "  serviceAccountName: bookinfo-reviews\n"
        "  nodeName: node-1\n"
        "  restartPolicy: Always\n"
        "  initContainers:\n"
        "  - {name: mesh-proxy, restartPolicy: Always, ports: [{containerPort: 15090, name: metrics}]}\n"
        "  containers:\n"
        "  - name: reviews\n"
        "    image: docker.io/istio/examples-bookinfo-reviews-v1:1.20.3\n"
        "    ports: [{containerPort: 9080, protocol: TCP, name: http}]\n"
        "    resources: {limits: {cpu: 1}}\n"
        "  - {name: bare, image: x}\n"
        "status:\n"
        "  phase: Running\n"
        "  hostIP: 192.168.0.4\n"
        "  podIP: 10.244.1.5\n"
        "  podIPs: [{ip: 10.244.1.5}, {ip: 'fd00::5'}]\n"
        "  conditions:\n"
        "  - {type: Initialized, status: 'True', lastProbeTime: null}\n"
        "  - {type: Ready, status: 'True'}\n"
        "  containerStatuses: [{name: reviews, ready: true}]\n");
    const struct pod_spec *s = pod_of(o);
    assert_span(s->service_account, "bookinfo-reviews");
    assert_span(s->node, "node-1");
    assert_span(s->workload, "reviews-v1");
    assert_span(s->workload_kind, "Deployment");
    assert_false(s->host_network || s->ended || s->leaves);
    assert_true(s->ready);
    assert_int_equal(s->port_count, 2);
    assert_int_equal(s->ports[0].port + s->ports[1].port, 9080 + 15090);
    assert_int_equal(s->ip_count, 2);
    assert_int_equal(s->ips[0].family, 4);
    assert_int_equal(s->ips[1].family, 6);
    assert_true(pod_is_same(o, o));
}

#define POD(metadata, spec, status)                                            \
    "apiVersion: v1\nkind: Pod\nmetadata: {name: p" metadata "}\nspec: {" spec \
    "}\nstatus: {" status "}\n"
#define OWNED(kind, name) ", ownerReferences: [{kind: " kind ", name: " name ", controller: true}]"

static void names_workloads(void **state)
{
    static const struct {
        const char *yaml, *workload, *kind;
    } cases[] = {
        {POD("", "", ""), "p", "Pod"},
        {POD(OWNED("StatefulSet", "db"), "", ""), "db", "StatefulSet"},
        {POD(OWNED("DaemonSet", "agent"), "", ""), "agent", "DaemonSet"},
        {POD(OWNED("ReplicaSet", "web-7f8"), "", ""), "web-7f8", "ReplicaSet"},
        {POD(OWNED("ReplicaSet", "web-7f8") ", labels: {pod-template-hash: 7f8}", "", ""), "web",
         "Deployment"},
        {POD(OWNED("ReplicaSet", "web7f8") ", labels: {pod-template-hash: 7f8}", "", ""), "web7f8",
         "ReplicaSet"},
        {POD(OWNED("Job", "report"), "", ""), "report", "Job"},
        {POD(OWNED("Job", "report-28917360"), "", ""), "report", "CronJob"},
        {POD(OWNED("Job", "report-12"), "", ""), "report-12", "Job"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct pod_spec *s = pod_of(model_test_good(state, cases[i].yaml));
        assert_span(s->workload, cases[i].workload);
        assert_span(s->workload_kind, cases[i].kind);
        object_unref(((struct model_test *)*state)->object);
        ((struct model_test *)*state)->object = NULL;
    }
}

static struct object *pod(void **state, const char *yaml)
{
    (void)model_test_good(state, yaml); /* asserts */
    struct object *o = ((struct model_test *)*state)->object;
    ((struct model_test *)*state)->object = NULL;
    return o;
}

static void compares(void **state)
{
    static const char base[] = POD(", labels: {a: b}", "nodeName: n1", "podIP: 10.0.0.1");
    static const struct {
        const char *yaml;
        bool same;
    } cases[] = {
        {POD(", labels: {a: b}", "nodeName: n1", "podIP: 10.0.0.1"), true},
        {POD(", labels: {a: b}", "nodeName: n1, priority: 1",
             "podIP: 10.0.0.1, conditions: [{type: Ready, status: 'True'}]"),
         true},
        {POD(", labels: {a: c}", "nodeName: n1", "podIP: 10.0.0.1"), false},
        {POD(", labels: {a: b, c: d}", "nodeName: n1", "podIP: 10.0.0.1"), false},
        {POD(", labels: {a: b}", "nodeName: n2", "podIP: 10.0.0.1"), false},
        {POD(", labels: {a: b}", "nodeName: n1", "podIP: 10.0.0.2"), false},
        {POD(", labels: {a: b}", "nodeName: n1", ""), false},
        {POD(", labels: {a: b}", "nodeName: n1", "podIP: 10.0.0.1, phase: Failed"), false},
        {POD(", labels: {a: b}", "nodeName: n1, hostNetwork: true", "podIP: 10.0.0.1"), false},
        {POD(", labels: {a: b}", "nodeName: n1, serviceAccountName: s", "podIP: 10.0.0.1"), false},
        {POD(", labels: {a: b}", "nodeName: n1, containers: [{ports: [{containerPort: 1}]}]",
             "podIP: 10.0.0.1"),
         false},
        {POD(", labels: {a: b}, deletionTimestamp: '2026-01-01T00:00:00Z'", "nodeName: n1",
             "podIP: 10.0.0.1"),
         false},
    };
    struct object *a = pod(state, base);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct object *b = pod(state, cases[i].yaml);
        assert_int_equal(pod_is_same(a, b), cases[i].same);
        object_unref(b);
    }
    object_unref(a);
}

static void reads_node(void **state)
{
    const struct object *o = model_test_good(
        state, "apiVersion: v1\nkind: Node\n"
               "metadata:\n  name: node-1\n"
               "  labels: {topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: eu-1,\n"
               "    topology.istio.io/subzone: rack-3}\n"
               "spec: {podCIDR: 10.244.1.0/24, providerID: x}\n"
               "status: {nodeInfo: {architecture: amd64}}\n");
    assert_span(pod_node_of(o)->region, "eu");
    assert_span(pod_node_of(o)->zone, "eu-1");
    assert_span(pod_node_of(o)->sub_zone, "rack-3");
    assert_span(o->key, "nodes/-/node-1");
}

static void reads_account(void **state)
{
    const struct object *o =
        model_test_good(state, "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}\n"
                               "secrets: [{name: s}]\nautomountServiceAccountToken: false\n");
    assert_span(o->key, "serviceaccounts/default/a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(reads_pod),  MODEL_TEST(names_workloads), MODEL_TEST(compares),
        MODEL_TEST(reads_node), MODEL_TEST(reads_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
