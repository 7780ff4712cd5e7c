/* Pods in a world: workloads, endpoints that name them, and what their changes cost. */
#include "control/world/world_build.c"

#include "unit/control/world/world_test.h"

#define POD(name, ns, metadata, spec, status)                                         \
    "---\napiVersion: v1\nkind: Pod\nmetadata: {name: \"" name "\", namespace: \"" ns \
    "\", labels: {" metadata "}}\nspec: {" spec "}\nstatus: {phase: Running, " status "}\n"
#define NODE(name, labels) \
    "---\napiVersion: v1\nkind: Node\nmetadata: {name: \"" name "\", labels: {" labels "}}\n"
#define SLICE(name, service, type, endpoints)                                                      \
    "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"                                  \
    "metadata: {name: \"" name "\", namespace: one, labels: {kubernetes.io/service-name: " service \
    "}}\naddressType: " type "\nports: [{name: http, port: 8080}]\nendpoints: [" endpoints "]\n"
#define TO(ip, pod) \
    "{addresses: [\"" ip "\"], targetRef: {kind: Pod, namespace: one, name: " pod "}}"
#define TO_IN(ip, pod, conditions)                                                \
    "{addresses: [\"" ip "\"], targetRef: {kind: Pod, namespace: one, name: " pod \
    "}, conditions: {" conditions "}}"
#define WEB SERVICE("web", "one", "clusterIP: 10.96.0.1, ports: [{port: 80, name: http}]")
#define POD_A                                                                  \
    POD("a", "one", "app: web, version: v1, security.istio.io/tlsMode: istio", \
        "serviceAccountName: sa, nodeName: node-1", "podIP: 10.244.0.1")

static const struct world_endpoints *web(const struct world *w)
{
    return w->endpoints[world_test_service(w, "web", "one")->index];
}

static struct world *build(struct world_builder *b, const char *yaml, struct world_change *change)
{
    world_test_read(b, yaml);
    return world_build(b, change);
}

static void joins_slices_to_pods(void **state)
{
    UNUSED(state);
    struct world *w =
        world_test_of(WEB POD_A NODE("node-1", "topology.kubernetes.io/region: eu, "
                                               "topology.kubernetes.io/zone: eu-1, "
                                               "topology.istio.io/subzone: r3")
                          POD("b", "one", "app: web", "nodeName: node-2", "podIP: 10.244.0.2")
                              SLICE("web-1", "web", "IPv4",
                                    TO("10.244.0.1", "a") ", {addresses: [10.244.0.2], zone: z, "
                                                          "targetRef: {kind: Pod, name: b}}"));
    const struct world_endpoints *e = web(w);
    assert_int_equal(e->count, 2);
    assert_span(e->items[0].service_account, "sa");
    assert_span(e->items[0].workload, "a");
    assert_span(e->items[0].version, "v1");
    assert_span(e->items[0].region, "eu");
    assert_span(e->items[0].zone, "eu-1");
    assert_span(e->items[0].sub_zone, "r3");
    assert_true(e->items[0].mutual_tls);
    assert_int_equal(e->items[0].port, 8080);
    assert_span(e->items[1].service_account, "default");
    assert_span(e->items[1].zone, "z"); /* its node is not known: the slice's own */
    assert_false(e->items[1].mutual_tls);
    struct ip ip = world_test_ip("10.244.0.1");
    const struct world_workload *at = world_workload_at(w, &ip);
    assert_non_null(at);
    assert_int_equal(at->object->kind, OBJECT_POD);
    assert_span(at->service_account, "sa");
    assert_int_equal(at->serve_count, 1);
    assert_int_equal(at->serves[0].target, 8080);
    world_unref(w);
}

static void pods_are_workloads(void **state)
{
    static const struct {
        const char *yaml;
        const char *name; /* at 10.244.0.1; NULL: nobody */
    } cases[] = {
        {POD_A, "a"},
        {POD("a", "one", "service.istio.io/workload-name: x", "", "podIP: 10.244.0.1"), "x"},
        {POD("a", "one", "", "hostNetwork: true", "podIP: 10.244.0.1"), NULL},
        {POD("a", "one", "", "", ""), NULL},
        {"---\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\nstatus: {phase: Succeeded, podIP: "
         "10.244.0.1}\n",
         NULL},
        /* an address that was given again: the newer one, and one that stays */
        {"---\napiVersion: v1\nkind: Pod\nmetadata: {name: old, creationTimestamp: "
         "\"2024-01-01T00:00:00Z\"}\nstatus: {podIP: 10.244.0.1}\n"
         "---\napiVersion: v1\nkind: Pod\nmetadata: {name: new, creationTimestamp: "
         "\"2024-01-02T00:00:00Z\"}\nstatus: {podIP: 10.244.0.1}\n",
         "new"},
        {"---\napiVersion: v1\nkind: Pod\nmetadata: {name: old, creationTimestamp: "
         "\"2024-01-01T00:00:00Z\"}\nstatus: {podIP: 10.244.0.1}\n"
         "---\napiVersion: v1\nkind: Pod\nmetadata: {name: new, creationTimestamp: "
         "\"2024-01-02T00:00:00Z\", deletionTimestamp: \"2024-01-02T00:00:00Z\"}\n"
         "status: {podIP: 10.244.0.1}\n",
         "old"},
        {POD_A WORKLOAD("w", "one", "address: 10.244.0.1"), "a"},
    };
    UNUSED(state);
    struct ip ip = world_test_ip("10.244.0.1");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world *w = world_test_of(cases[i].yaml);
        const struct world_workload *at = world_workload_at(w, &ip);
        assert_int_equal(at != NULL, cases[i].name != NULL);
        if (at != NULL) {
            assert_span(at->name, cases[i].name);
        }
        world_unref(w);
    }
}

/* A slice may come before its pods, and go after them: nobody is sent to who is unknown. */
static void waits_for_pods(void **state)
{
    UNUSED(state);
    struct world_builder *b = world_builder_new();
    struct world_change change;
    struct world *w = build(b,
                            WEB POD("other", "one", "", "", "podIP: 10.244.9.9")
                                SLICE("web-1", "web", "IPv4", TO("10.244.0.1", "a")),
                            &change);
    assert_int_equal(web(w)->count, 0);
    world_unref(w);
    w = build(b, POD_A, &change);
    assert_false(change.config);
    assert_int_equal(change.service_count, 1);
    assert_int_equal(web(w)->count, 1);
    assert_span(web(w)->items[0].service_account, "sa");
    world_unref(w);
    world_builder_remove(b, SPAN("pods/one/a"));
    w = world_build(b, &change);
    assert_int_equal(change.service_count, 1);
    assert_int_equal(web(w)->count, 0);
    world_unref(w);
    w = build(b, POD_A, &change);
    assert_int_equal(web(w)->count, 1);
    world_unref(w);
    /* one that has ended is nobody's endpoint */
    w = build(b,
              "---\napiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: one}\n"
              "status: {phase: Failed, podIP: 10.244.0.1}\n",
              &change);
    assert_int_equal(web(w)->count, 0);
    world_unref(w);
    world_builder_free(b);
}

/* Without any Pod, slices alone make endpoints, as on machines without Kubernetes. */
static void does_without_pods(void **state)
{
    UNUSED(state);
    struct world_builder *b = world_builder_new();
    struct world_change change;
    struct world *w = build(
        b, WEB SLICE("web-1", "web", "IPv4", TO("10.244.0.1", "web-v1-7f8c9d-x2x9k")), &change);
    assert_int_equal(web(w)->count, 1);
    assert_span(web(w)->items[0].workload, "web-v1");
    world_unref(w);
    /* from the first Pod on they do not */
    w = build(b, POD("other", "one", "", "", "podIP: 10.244.9.9"), &change);
    assert_true(change.config);
    assert_int_equal(web(w)->count, 0);
    world_unref(w);
    world_builder_free(b);
}

static void changes_are_cheap(void **state)
{
    UNUSED(state);
    struct world_builder *b = world_builder_new();
    struct world_change change;
    world_test_read(b, POD_A); /* each alone: at the same line later */
    world_test_read(b, NODE("node-1", ""));
    struct world *w = build(b,
                            WEB SERVICE("other", "one", "ports: [{port: 80}]")
                                SLICE("web-1", "web", "IPv4", TO("10.244.0.1", "a")),
                            &change);
    struct world_config *config = w->config;
    struct world_endpoints *other = w->endpoints[world_test_service(w, "other", "one")->index];
    world_unref(w);
    /* nothing that counts */
    world_test_read(b, POD("a", "one", "app: web, version: v1, security.istio.io/tlsMode: istio",
                           "serviceAccountName: sa, nodeName: node-1, priority: 7",
                           "podIP: 10.244.0.1, startTime: x"));
    assert_false(world_builder_is_dirty(b));
    /* ready: no endpoint of a slice, and no workload, is another */
    w = build(b,
              POD("a", "one", "app: web, version: v1, security.istio.io/tlsMode: istio",
                  "serviceAccountName: sa, nodeName: node-1",
                  "podIP: 10.244.0.1, conditions: [{type: Ready, status: 'True'}]"),
              &change);
    assert_false(change.config);
    assert_int_equal(change.service_count + change.workload_count, 0);
    world_unref(w);
    /* a label */
    w = build(b,
              POD("a", "one", "app: web, version: v2", "serviceAccountName: sa, nodeName: node-1",
                  "podIP: 10.244.0.1"),
              &change);
    assert_ptr_equal(w->config, config);
    assert_int_equal(change.service_count, 1);
    assert_int_equal(change.workload_count, 1);
    assert_span(web(w)->items[0].version, "v2");
    assert_ptr_equal(w->endpoints[world_test_service(w, "other", "one")->index], other);
    world_unref(w);
    /* a zone */
    w = build(b, NODE("node-1", "topology.kubernetes.io/zone: z"), &change);
    assert_false(change.config);
    assert_int_equal(change.service_count, 1);
    assert_int_equal(change.workload_count, 1);
    assert_span(web(w)->items[0].zone, "z");
    world_unref(w);
    world_test_read(b, NODE("node-1", "topology.kubernetes.io/zone: z, heartbeat: x"));
    assert_false(world_builder_is_dirty(b));
    /* another address */
    w = build(b,
              POD("a", "one", "app: web, version: v2", "serviceAccountName: sa, nodeName: node-1",
                  "podIP: 10.244.0.7"),
              &change);
    assert_int_equal(change.workload_count, 2);
    struct ip ip = world_test_ip("10.244.0.7");
    assert_span(world_workload_at(w, &ip)->name, "a");
    world_unref(w);
    world_builder_free(b);
}

/* Those that are going count when nothing else is ready. */
static void uses_the_leaving(void **state)
{
#define GOING "ready: false, serving: true, terminating: true"
    static const struct {
        const char *endpoints;
        const char *ready; /* one letter an endpoint, in order of address */
    } cases[] = {
        {TO_IN("10.0.0.1", "a", "ready: true") "," TO_IN("10.0.0.2", "a", GOING), "+-"},
        {TO_IN("10.0.0.1", "a", "ready: false") "," TO_IN("10.0.0.2", "a", GOING), "-+"},
        {TO_IN("10.0.0.1", "a", GOING) "," TO_IN("10.0.0.2", "a", GOING), "++"},
        {TO_IN("10.0.0.1", "a", "ready: false, serving: false, terminating: true"), "-"},
        {TO_IN("10.0.0.1", "a", "ready: false, serving: true"), "-"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world_builder *b = world_builder_new();
        struct world_change change;
        struct arena arena;
        arena_init(&arena, 4096);
        struct world *w =
            build(b,
                  arena_printf(&arena,
                               WEB "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
                                   "metadata: {name: s, namespace: one, labels: "
                                   "{kubernetes.io/service-name: web}}\naddressType: IPv4\n"
                                   "ports: [{name: http, port: 1}]\nendpoints: [%s]\n",
                               cases[i].endpoints),
                  &change);
        char got[8] = "";
        for (size_t k = 0; k < web(w)->count; k++) {
            got[k] = web(w)->items[k].ready ? '+' : '-';
        }
        assert_string_equal(got, cases[i].ready);
        world_unref(w);
        world_builder_free(b);
        arena_dispose(&arena);
    }
}

static void takes_one_family(void **state)
{
    static const char slices[] =
        POD("a", "one", "app: web", "", "podIPs: [{ip: 10.244.0.1}, {ip: 'fd00::1'}]")
            SLICE("v4", "web", "IPv4", TO("10.244.0.1", "a"))
                SLICE("v6", "web", "IPv6", TO("fd00::1", "a"));
    static const struct {
        const char *spec;
        size_t count;
        uint8_t family;
    } cases[] = {
        {"clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, 'fd01::1'], ", 1, 4},
        {"clusterIP: 'fd01::1', clusterIPs: ['fd01::1', 10.96.0.1], ", 1, 6},
        {"clusterIP: None, ", 2, 4},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        arena_init(&arena, 4096);
        struct world *w = world_test_of(
            arena_printf(&arena,
                         "%s---\napiVersion: v1\nkind: Service\n" META(
                             "web", "one") "spec: {%sports: [{port: 80, name: http}]}\n",
                         slices, cases[i].spec));
        assert_int_equal(web(w)->count, cases[i].count);
        assert_int_equal(web(w)->items[0].address.family, cases[i].family);
        struct ip v4 = world_test_ip("10.244.0.1"), v6 = world_test_ip("fd00::1");
        assert_non_null(world_workload_at(w, &v4));
        assert_non_null(world_workload_at(w, &v6));
        world_unref(w);
        arena_dispose(&arena);
    }
}

/* A node's address is many pods': each slice says whose endpoint it is. */
static void host_network(void **state)
{
    UNUSED(state);
    struct world *w = world_test_of(
        WEB POD("a", "one", "app: web", "hostNetwork: true, serviceAccountName: one",
                "podIP: 192.168.0.1")
            POD("b", "one", "app: b", "hostNetwork: true, serviceAccountName: two",
                "podIP: 192.168.0.1") SLICE("web-1", "web", "IPv4", TO("192.168.0.1", "b")));
    struct ip ip = world_test_ip("192.168.0.1");
    assert_span(web(w)->items[0].service_account, "two");
    assert_span(world_workload_at(w, &ip)->service_account, "two"); /* as an endpoint tells it */
    assert_null(world_workload_at(w, &ip)->object);
    world_unref(w);
}

static void service_entries_select_pods(void **state)
{
    UNUSED(state);
    struct world_builder *b = world_builder_new();
    struct world_change change;
    struct world *w =
        build(b,
              SERVICE("web", "one", "selector: {app: web}, ports: [{port: 80}]")
                  SERVICE_ENTRY("e", "one",
                                "hosts: [e.x], location: MESH_INTERNAL, resolution: STATIC, ports: "
                                "[{number: 80, name: http, protocol: HTTP, targetPort: 8080}], "
                                "workloadSelector: {labels: {app: web}}") POD_A,
              &change);
    assert_int_equal(web(w)->count, 0); /* slices would say so */
    unsigned index = world_test_service(w, "e.x", "one")->index;
    assert_int_equal(w->endpoints[index]->count, 1);
    assert_false(w->endpoints[index]->items[0].ready);
    assert_int_equal(w->endpoints[index]->items[0].port, 8080);
    world_unref(w);
    w = build(b,
              POD("a", "one", "app: web, version: v1, security.istio.io/tlsMode: istio",
                  "serviceAccountName: sa, nodeName: node-1",
                  "podIP: 10.244.0.1, conditions: [{type: Ready, status: 'True'}]"),
              &change);
    assert_int_equal(change.service_count, 1);
    assert_true(w->endpoints[index]->items[0].ready);
    world_unref(w);
    world_builder_free(b);
}

/* Names that never come do not pile up. */
static void sweeps(void **state)
{
    UNUSED(state);
    struct world_builder *b = world_builder_new();
    struct world_change change;
    struct arena arena;
    arena_init(&arena, 4096);
    world_unref(build(b, WEB POD("other", "one", "", "", "podIP: 10.244.9.9"), &change));
    for (unsigned i = 0; i < WAITS_MAX + 10; i++) {
        arena_reset(&arena);
        world_unref(build(b,
                          arena_printf(&arena,
                                       SLICE("web-1", "web", "IPv4",
                                             "{addresses: [10.0.0.1], targetRef: {kind: Pod, name: "
                                             "p-%u}}"),
                                       i),
                          &change));
        assert_true(map_count(&b->waits) <= WAITS_MAX + 1);
    }
    assert_true(map_count(&b->waits) < 20);
    arena_dispose(&arena);
    world_builder_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins_slices_to_pods),
        cmocka_unit_test(pods_are_workloads),
        cmocka_unit_test(waits_for_pods),
        cmocka_unit_test(does_without_pods),
        cmocka_unit_test(changes_are_cheap),
        cmocka_unit_test(uses_the_leaving),
        cmocka_unit_test(takes_one_family),
        cmocka_unit_test(host_network),
        cmocka_unit_test(service_entries_select_pods),
        cmocka_unit_test(sweeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
