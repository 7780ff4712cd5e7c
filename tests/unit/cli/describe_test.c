/* Facts of workloads and services, out of documents. */
#include "cli/describe.c"

#include "unit/cm.h"

static struct verb_flags flags;
static struct verb verb = {.flags = &flags, .is_ascii = true};

static int setup(void **state)
{
    UNUSED(state);
    arena_init(&verb.arena, 4096);
    return 0;
}

static int teardown(void **state)
{
    UNUSED(state);
    arena_dispose(&verb.arena);
    return 0;
}

static struct doc_node *yaml(const char *text)
{
    struct doc_node *doc = NULL;
    struct err err;
    assert_int_equal(doc_parse_yaml(&verb.arena, span_of(text), "test", &doc, &err), 0);
    return doc;
}

static const char *fact(const struct describe *d, const char *name)
{
    for (size_t i = 0; i < doc_count(d->facts); i++) {
        if (span_is(item_text(doc_at(d->facts, i), "name"), name)) {
            return arena_cstr(&verb.arena, item_text(doc_at(d->facts, i), "text"));
        }
    }
    return "";
}

#define POD(NAME)                                                                        \
    "{kind: Pod, metadata: {namespace: shop, name: " NAME                                \
    ", labels: {app: web, pod-template-hash: "                                           \
    "7c9}, ownerReferences: [{kind: ReplicaSet, name: web-7c9}]}, spec: {nodeName: n1, " \
    "serviceAccountName: sa-web}, status: {podIP: 10.0.0.1}}"
#define SERVICE(NAME, SELECTOR)                                                                 \
    "{kind: Service, metadata: {namespace: shop, name: " NAME "}, spec: {clusterIP: 10.9.9.9, " \
    "selector: " SELECTOR ", ports: [{port: 80, name: http-web, targetPort: 8080}, {port: 7}]}}"

static void test_selectors(void **state)
{
    UNUSED(state);
    static const struct {
        const char *selector;
        bool is_selected;
    } cases[] = {
        {"{app: web}", true},           {"{app: web, pod-template-hash: 7c9}", true},
        {"{app: other}", false},        {"{}", false},
        {"{app: web, tier: x}", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *text = arena_printf(&verb.arena, SERVICE("web", "%s"), cases[i].selector);
        assert_int_equal(describe_is_selected(yaml(text), yaml(POD("p"))), cases[i].is_selected);
    }
    assert_string_equal(describe_workload(&verb, yaml(POD("web-7c9-x"))), "web");
    assert_string_equal(describe_workload(&verb, yaml("{metadata: {name: alone}}")), "alone");
    assert_string_equal(
        describe_workload(&verb, yaml("{metadata: {name: x-0, ownerReferences: [{name: x}]}}")),
        "x");
    assert_span(doc_get(describe_labels(yaml("{kind: WorkloadEntry, metadata: {labels: {a: m}}, "
                                             "spec: {labels: {a: s}}}")),
                        "a")
                    ->text,
                "s");
}

static void test_pod(void **state)
{
    UNUSED(state);
    struct describe d = {
        .verb = &verb,
        .ns = "shop",
        .workload = "web",
        .pod = yaml(POD("web-7c9-x")),
        .services = yaml("[" SERVICE("web", "{app: web}") ", " SERVICE("other", "{app: y}") "]"),
        .edges =
            yaml("[{source: {workload: front, namespace: shop}, destination: {workload: web, "
                 "namespace: shop}, rps: 2.0, success: 1.0}, {source: {workload: web, namespace: "
                 "other}, destination: {workload: db, namespace: shop}}]"),
        .rules = yaml("[{metadata: {namespace: shop, name: a}, spec: {host: web}}, {metadata: "
                      "{namespace: x, name: b}, spec: {host: web.shop.svc.cluster.local, subsets: "
                      "[{}]}}, {metadata: {namespace: x, name: c}, spec: {host: web}}]"),
        .peers =
            yaml("[{metadata: {namespace: istio-system, name: all}, spec: {mtls: {mode: STRICT}}},"
                 "{metadata: {namespace: shop, name: ns}, spec: {mtls: {mode: PERMISSIVE}}},"
                 "{metadata: {namespace: shop, name: own}, spec: {selector: {matchLabels: {app: "
                 "web}}, mtls: {mode: DISABLE}}}]"),
        .policies = yaml("[]"),
        .findings =
            yaml("[{code: MESH2105, what: no endpoint, where: {kind: DestinationRule, "
                 "namespace: shop, name: a}}, {code: MESH1, what: other, where: {kind: Service, "
                 "namespace: shop, name: z}}]"),
        .no_proxy = "because",
        .no_proxy_fix = "do",
    };
    describe_facts(&d);
    assert_string_equal(fact(&d, "is"), "Pod of web - node n1 - 10.0.0.1");
    assert_string_equal(fact(&d, "proxy"), "none: because");
    assert_string_equal(fact(&d, "fix"), "do");
    assert_string_equal(fact(&d, "identity"), "service account shop/sa-web");
    assert_string_equal(fact(&d, "ports"), "web:80 -> 8080  http");
    assert_non_null(strstr(fact(&d, "in"), "front  2.00 rps"));
    assert_string_equal(fact(&d, "out"), "");
    assert_string_equal(fact(&d, "rules"), "DestinationRule shop/a: 0 subsets");
    assert_string_equal(fact(&d, "mTLS"), "DISABLE by PeerAuthentication shop/own");
    assert_string_equal(fact(&d, "problems"), "MESH2105 no endpoint");
    assert_int_equal(doc_count(d.facts), 12);
}

static void test_service(void **state)
{
    UNUSED(state);
    struct doc_node *services = yaml("[" SERVICE("web", "{app: web}") "]");
    struct describe d = {
        .verb = &verb,
        .ns = "shop",
        .workload = "web",
        .service = doc_at(services, 0),
        .services = services,
        .pods = yaml("[" POD("p1") ", " POD("p2") "]"),
        .proxies = yaml("[{namespace: shop, name: p2}]"),
        .routes =
            yaml("[{kind: VirtualService, namespace: shop, name: r, routes: [{matches: [[path ^ "
                 "/a]], backends: [{host: web.shop.svc.cluster.local, subset: v1, share: 1.0}]}, "
                 "{action: redirect}]}]"),
        .peers = yaml("[]"),
    };
    describe_facts(&d);
    assert_string_equal(fact(&d, "is"), "Service shop/web - ClusterIP - 10.9.9.9");
    assert_string_equal(fact(&d, "endpoints"), "2, 1 with a proxy: p1, p2");
    assert_string_equal(fact(&d, "routed by"),
                        "VirtualService shop/r: path ^ /a -> web.shop v1 100.00 %");
    assert_non_null(strstr(fact(&d, "mTLS"), "PERMISSIVE"));
    assert_string_equal(fact(&d, "identity"), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_selectors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pod, setup, teardown),
        cmocka_unit_test_setup_teardown(test_service, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
