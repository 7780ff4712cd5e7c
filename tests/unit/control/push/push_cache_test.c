/* What is shared between nodes, and what must not be. */
#include "control/push/push_cache.c"

#include "unit/control/world/world_test.h"
#include "xds/xds.h"

#define PORT "ports: [{name: http, port: 80}]"
#define A "outbound|80||a.default.svc.cluster.local"

static struct {
    struct push_cache cache;
    struct world *world;
    struct arena arena;
} t;

static int begin(void **state)
{
    UNUSED(state);
    push_cache_init(&t.cache);
    arena_init(&t.arena, 4096);
    t.world = world_test_of(
        SERVICE("a", "default", "selector: {app: a}, clusterIP: 10.0.0.1, " PORT)
            WORKLOAD("a1", "default", "address: 10.1.0.1, labels: {app: a}, serviceAccount: a"));
    return 0;
}

static int end(void **state)
{
    UNUSED(state);
    push_cache_dispose(&t.cache);
    arena_dispose(&t.arena);
    world_unref(t.world);
    return 0;
}

static struct ip address = {.family = 4, .bytes = {10, 1, 0, 1}};

static struct node node_of(const char *namespace, enum node_kind kind)
{
    return (struct node){.id = SPAN("x"),
                         .kind = kind,
                         .addresses = &address,
                         .address_count = 1,
                         .namespace = span_of(namespace),
                         .service_account = SPAN("a"),
                         .workload = SPAN("a1"),
                         .name = SPAN("a1"),
                         .interception = NODE_NONE,
                         .on_demand = true};
}

static struct push_resource get(const struct node *n, const char *type, const char *name)
{
    struct push_resource r;
    push_cache_get(&t.cache, t.world, n, span_of(type), span_of(name), &t.arena, &r);
    return r;
}

static void test_shared(void **state)
{
    UNUSED(state);
    const struct node one = node_of("default", NODE_SIDECAR);
    const struct node same = node_of("default", NODE_SIDECAR);
    struct push_resource first = get(&one, XDS_ENDPOINTS, A);
    struct push_resource second = get(&same, XDS_ENDPOINTS, A);
    assert_true(first.exists && second.exists);
    assert_int_equal(t.cache.hits, 1);
    assert_ptr_equal(first.value.at, second.value.at);
    assert_int_equal(first.version.len, PUSH_VERSION_BYTES - 1);
    assert_true(span_eq(first.version, second.version));
    assert_span(first.service->host, "a.default.svc.cluster.local");
    assert_ptr_equal(first.service, second.service);
}

static void test_not_shared(void **state)
{
    UNUSED(state);
    const struct node nodes[] = {node_of("default", NODE_SIDECAR), node_of("other", NODE_SIDECAR),
                                 node_of("default", NODE_GATEWAY)};
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
        (void)get(&nodes[i], XDS_ENDPOINTS, A);
        assert_int_equal(t.cache.hits, 0);
    }
    struct node full = nodes[0];
    full.on_demand = false;
    (void)get(&full, XDS_ENDPOINTS, A);
    assert_int_equal(t.cache.hits, 0);
    /* a node's own side */
    assert_true(get(&nodes[0], XDS_LISTENER, "10.1.0.1_80").exists);
    assert_true(get(&nodes[0], XDS_LISTENER, "10.1.0.1_80").exists);
    assert_int_equal(t.cache.hits, 0);
}

static void test_nothing_is_not_remembered(void **state)
{
    UNUSED(state);
    const struct node n = node_of("default", NODE_SIDECAR);
    size_t before = arena_used(&t.cache.arena);
    for (int i = 0; i < 100; i++) { /* else whoever asks for nonsense fills it */
        assert_false(get(&n, XDS_ENDPOINTS, "outbound|80||nobody").exists);
    }
    assert_int_equal(map_count(&t.cache.map), 0);
    assert_int_equal(arena_used(&t.cache.arena), before);
}

static void test_versions_and_reset(void **state)
{
    UNUSED(state);
    const struct node n = node_of("default", NODE_SIDECAR);
    char kept[PUSH_VERSION_BYTES];
    assert_non_null(span_to_cstr(get(&n, XDS_CLUSTER, A).version, kept, sizeof kept));
    push_cache_trim(&t.cache); /* it is small: nothing happens */
    assert_int_equal(map_count(&t.cache.map), 1);
    push_cache_reset(&t.cache);
    assert_int_equal(map_count(&t.cache.map), 0);
    assert_span(get(&n, XDS_CLUSTER, A).version, kept); /* the same bytes, the same version */
    arena_bytes(&t.cache.arena, PUSH_CACHE_BYTES + 1)[0] = 0;
    push_cache_trim(&t.cache);
    assert_int_equal(map_count(&t.cache.map), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shared, begin, end),
        cmocka_unit_test_setup_teardown(test_not_shared, begin, end),
        cmocka_unit_test_setup_teardown(test_nothing_is_not_remembered, begin, end),
        cmocka_unit_test_setup_teardown(test_versions_and_reset, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
