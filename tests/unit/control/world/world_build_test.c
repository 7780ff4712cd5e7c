/* control/world/world_build: what a change rebuilds, what worlds share, and what it costs. */
#include "control/world/world_build.c"

#include <pthread.h>
#include <time.h>

#include "unit/control/world/world_test.h"

static const char base[] =
    SERVICE("a", "one", "selector: {app: a}, ports: [{port: 80, name: http}]")
        SERVICE("b", "one", "selector: {app: b}, ports: [{port: 80, name: http}]")
            WORKLOAD("a1", "one", "address: 10.0.0.1, labels: {app: a}")
                WORKLOAD("b1", "one", "address: 10.0.0.2, labels: {app: b}");

static struct world *build(struct world_builder *b, const char *yaml, struct world_change *change)
{
    world_test_read(b, yaml);
    return world_build(b, change);
}

static const struct world_endpoints *endpoints_of(const struct world *w, const char *host)
{
    return w->endpoints[world_test_service(w, host, "one")->index];
}

static void remove_entry(struct world_builder *b, const char *name)
{
    char key[128] = "";
    for (struct map_slot *slot = NULL; (slot = map_next(&b->objects, slot)) != NULL;) {
        const struct object *o = slot->value;
        if (o->kind == OBJECT_WORKLOAD_ENTRY && span_is(o->name, name)) {
            (void)span_to_cstr(o->key, key, sizeof(key)); /* the object goes away with its key */
        }
    }
    assert_int_not_equal(key[0], 0);
    world_builder_remove(b, span_of(key));
}

static void shares_config(void **state)
{
    UNUSED(state);
    struct world_builder *b = world_builder_new();
    struct world_change change;
    struct world *first = build(b, base, &change);
    assert_true(change.config);
    assert_false(world_builder_is_dirty(b));

    struct world *same = world_build(b, &change);
    assert_ptr_equal(same, first);
    assert_false(change.config);
    assert_int_equal(change.service_count + change.workload_count, 0);
    world_unref(same);

    /* the same text again: nothing */
    world_test_read(b, base);
    assert_false(world_builder_is_dirty(b));

    /* one more endpoint of a */
    struct world *second =
        build(b, WORKLOAD("a2", "one", "address: 10.0.0.3, labels: {app: a}"), &change);
    assert_false(change.config);
    assert_int_equal(change.service_count, 1);
    assert_span(change.services[0]->name, "a");
    assert_int_equal(change.workload_count, 1);
    assert_ptr_equal(second->config, first->config);
    assert_true(second->version > first->version);
    assert_int_equal(endpoints_of(first, "a")->count, 1);
    assert_int_equal(endpoints_of(second, "a")->count, 2);
    assert_ptr_equal(endpoints_of(first, "b"), endpoints_of(second, "b"));
    struct ip ip = world_test_ip("10.0.0.3");
    assert_null(world_workload_at(first, &ip));
    assert_int_equal(world_workload_at(second, &ip)->serve_count, 1);

    /* a label moves it from a to b, the address stays */
    struct world *third =
        build(b, WORKLOAD("a2", "one", "address: 10.0.0.3, labels: {app: b}"), &change);
    assert_int_equal(change.service_count, 2);
    assert_int_equal(endpoints_of(third, "a")->count, 1);
    assert_int_equal(endpoints_of(third, "b")->count, 2);
    assert_span(world_workload_at(third, &ip)->serves[0].service->name, "b");

    /* only its identity changes: no endpoint list says so but b's */
    struct world *fourth =
        build(b, WORKLOAD("a2", "one", "address: 10.0.0.3, serviceAccount: x, labels: {app: b}"),
              &change);
    assert_int_equal(change.service_count, 1);
    assert_span(world_workload_at(fourth, &ip)->service_account, "x");

    remove_entry(b, "a2");
    struct world *fifth = world_build(b, &change);
    assert_int_equal(change.service_count, 1);
    assert_int_equal(change.workload_count, 1);
    assert_null(world_workload_at(fifth, &ip));
    assert_int_equal(fifth->workload_count, 2);

    /* an entry of no service: a workload, but no endpoint */
    struct world *sixth = build(b, WORKLOAD("c", "one", "address: 10.0.0.9"), &change);
    assert_int_equal(change.service_count, 0);
    assert_int_equal(change.workload_count, 1);

    /* in any order, and the builder in between */
    world_unref(third);
    world_unref(first);
    world_builder_free(b);
    assert_int_equal(endpoints_of(second, "a")->count, 2);
    world_unref(sixth);
    world_unref(second);
    world_unref(fifth);
    assert_int_equal(endpoints_of(fourth, "b")->count, 2);
    world_unref(fourth);
    world_unref(NULL);
}

static void rebuilds_config(void **state)
{
    static const char *const changes[] = {
        SERVICE("c", "one", "ports: [{port: 80}]"),
        RULE("a", "one", "host: a"),
        PEER_AUTH("a", "one", "10", "mtls: {mode: STRICT}"),
        MESH_CONFIG("trustDomain: x"),
    };
    UNUSED(state);
    struct world_builder *b = world_builder_new();
    struct world_change change;
    struct world *before = build(b, base, &change);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        struct world *w = build(b, changes[i], &change);
        assert_true(change.config);
        assert_ptr_not_equal(w->config, before->config);
        assert_int_equal(change.service_count + change.workload_count, 0);
        world_unref(before);
        before = w;
    }
    /* an endpoint change that waits while config changes is in it */
    world_test_read(b, WORKLOAD("a2", "one", "address: 10.0.0.3, labels: {app: a}"));
    struct world *w = build(b, SERVICE("d", "one", "ports: [{port: 80}]"), &change);
    assert_true(change.config);
    assert_int_equal(endpoints_of(w, "a")->count, 2);
    world_unref(w);
    /* and the other way round */
    world_test_read(b, SERVICE("e", "one", "ports: [{port: 80}]"));
    remove_entry(b, "a2");
    w = world_build(b, &change);
    assert_int_equal(endpoints_of(w, "a")->count, 1);
    world_unref(w);
    world_unref(before);
    world_builder_free(b);
}

/* A slice's endpoint takes its labels from the WorkloadEntry of its address, whichever comes first. */
static void follows_entries(void **state)
{
    UNUSED(state);
    struct world_builder *b = world_builder_new();
    struct world_change change;
    struct world *w = build(
        b,
        SERVICE(
            "a", "one",
            "ports: [{port: 80}]") "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\nmetadata: "
                                   "{name: s, namespace: one, labels: {kubernetes.io/service-name: a}}\n"
                                   "endpoints: [{addresses: [10.0.0.1]}]\n",
        &change);
    assert_int_equal(endpoints_of(w, "a")->items[0].label_count, 0);
    world_unref(w);
    w = build(b, WORKLOAD("x", "one", "address: 10.0.0.1, labels: {version: v7}"), &change);
    assert_int_equal(change.service_count, 1);
    assert_span(endpoints_of(w, "a")->items[0].version, "v7");
    world_unref(w);
    remove_entry(b, "x");
    w = world_build(b, &change);
    assert_int_equal(change.service_count, 1);
    assert_span(endpoints_of(w, "a")->items[0].version, "latest");
    struct ip ip = world_test_ip("10.0.0.1");
    assert_int_equal(world_workload_at(w, &ip)->serve_count, 1);
    assert_null(world_workload_at(w, &ip)->object);
    world_unref(w);
    world_builder_free(b);
}

static void count_object(void *arg, const struct object *o)
{
    struct span *last = arg;
    assert_true(span_cmp(*last, o->key) < 0);
    *last = o->key;
}

static void keeps_objects(void **state)
{
    UNUSED(state);
    struct world_builder *b = world_builder_new();
    struct span last = SPAN("");
    assert_true(world_builder_is_dirty(b));
    world_test_read(b, base);
    world_builder_each(b, count_object, &last);
    assert_ptr_equal(world_builder_get(b, last)->key.at, last.at);
    world_builder_remove(b, SPAN("nothing"));
    assert_null(world_builder_get(b, SPAN("nothing")));
    world_builder_free(b);
    world_builder_free(NULL);
}

/* ---- threads ---- */

static void *use(void *arg)
{
    struct world *w = arg;
    for (int i = 0; i < 200; i++) {
        world_unref(world_ref(w));
        assert_non_null(world_find_host(w, SPAN("a"), SPAN("one")));
    }
    world_unref(w);
    return NULL;
}

static void any_thread(void **state)
{
    UNUSED(state);
    struct world_builder *b = world_builder_new();
    struct world_change change;
    pthread_t threads[8];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        char text[256];
        (void)snprintf(text, sizeof(text),
                       WORKLOAD("a%zu", "one", "address: 10.0.1.%zu, labels: {app: a}"), i, i);
        world_test_read(b, text);
        struct world *w = build(b, i == 0 ? base : "", &change);
        assert_int_equal(pthread_create(&threads[i], NULL, use, w), 0);
    }
    world_builder_free(b);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

/* ---- scale ---- */

#define SERVICES 1000U
#define WORKLOADS 10U

static char *many(void)
{
    size_t room = (size_t)SERVICES * WORKLOADS * 320, len = 0;
    char *text = mem_alloc(room);
    for (unsigned s = 0; s < SERVICES; s++) {
        len += (size_t)snprintf(text + len, room - len,
                                SERVICE("s%u", "one",
                                        "selector: {app: s%u}, ports: "
                                        "[{port: 80, name: http}]"),
                                s, s);
        if (s % 10 == 0) {
            len += (size_t)snprintf(text + len, room - len,
                                    RULE("s%u", "one",
                                         "host: s%u, subsets: [{name: v1, labels: "
                                         "{version: v1}}]"),
                                    s, s);
            len +=
                (size_t)snprintf(text + len, room - len,
                                 VIRTUAL_SERVICE("s%u", "one", "10",
                                                 "  hosts: [s%u]\n  http: [{route: [{destination: "
                                                 "{host: s%u, subset: v1}}]}]\n"),
                                 s, s, s);
        }
        for (unsigned i = 0; i < WORKLOADS; i++) {
            len += (size_t)snprintf(text + len, room - len,
                                    WORKLOAD("w%u-%u", "one",
                                             "address: 10.%u.%u.%u, serviceAccount: sa%u, labels: "
                                             "{app: s%u, version: v%u, tier: x}"),
                                    s, i, s >> 8, s & 255, i + 1, s, s, i % 2);
        }
    }
    return text;
}

/* Of this thread: other tests run beside. */
static double cpu_ms(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), 0);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void scales(void **state)
{
    UNUSED(state);
    struct world_builder *b = world_builder_new();
    struct world_change change;
    char *text = many();
    world_test_read(b, text);
    mem_free(text);
    size_t before = mem_live_bytes();
    double start = cpu_ms();
    struct world *w = world_build(b, &change);
    double full_ms = cpu_ms() - start;
    size_t bytes = mem_live_bytes() - before;
    assert_int_equal(w->config->service_count, SERVICES);
    assert_int_equal(w->workload_count, SERVICES * WORKLOADS);
    double worst_ms = 0;
    for (int i = 0; i < 20; i++) {
        char one[256];
        (void)snprintf(one, sizeof(one),
                       WORKLOAD("w7-3", "one", "address: 10.0.7.4, weight: %d, labels: {app: s7}"),
                       i + 2);
        world_test_read(b, one);
        start = cpu_ms();
        struct world *next = world_build(b, &change);
        world_unref(w);
        double took_ms = cpu_ms() - start;
        worst_ms = took_ms > worst_ms ? took_ms : worst_ms;
        assert_int_equal(change.service_count, 1);
        w = next;
    }
    struct arena arena;
    struct findings findings;
    arena_init(&arena, 65536);
    findings_init(&findings, &arena);
    start = cpu_ms();
    world_findings(w, &findings);
    double findings_ms = cpu_ms() - start;
    assert_int_equal(findings.count, 0);
    arena_dispose(&arena);
    print_message("# full %.1f ms, one endpoint %.2f ms at worst, findings %.1f ms, %zu bytes\n",
                  full_ms, worst_ms, findings_ms, bytes);
    assert_true(full_ms < 5000); /* generous: under sanitizers it is 10 to 50 times as long */
    assert_true(worst_ms < 100);
    assert_true(findings_ms < 5000);
    assert_true(bytes < (size_t)40 << 20);
    world_unref(w);
    world_builder_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_config),   cmocka_unit_test(rebuilds_config),
        cmocka_unit_test(follows_entries), cmocka_unit_test(keeps_objects),
        cmocka_unit_test(any_thread),      cmocka_unit_test(scales),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
