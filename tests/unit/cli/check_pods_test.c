/* Pods without a proxy, by owner; restarts and readiness of proxies; what control does not know. */
#include "cli/check_pods.c"

#include "cli/check.c"
#include "unit/cm.h"

static struct verb_flags flags;
static struct verb verb = {.flags = &flags};

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

static const char namespaces[] =
    "- metadata: {name: in, labels: {istio-injection: enabled}}\n"
    "- metadata: {name: out}\n"
    "- metadata: {name: mesh-system, labels: {istio-injection: enabled}}\n";

#define SET(NAME, HASH)                                                                       \
    "labels: {pod-template-hash: " HASH "}, ownerReferences: [{kind: ReplicaSet, name: " NAME \
    "-" HASH "}]"
#define POD(NS, NAME, META, SPEC, STATUS)                                       \
    "- metadata: {namespace: " NS ", name: " NAME ", " META "}\n  spec: {" SPEC \
    "}\n  status: {" STATUS "}\n"
#define WEB "containers: [{name: web}]"
#define MESHED "containers: [{name: web}], initContainers: [{name: mesh-proxy, image: mesh}]"

static struct check check;

static struct check_pods look(const char *pods)
{
    static struct inject_settings settings;
    inject_settings_init(&settings, &verb.arena);
    struct check_pods p = {
        .pods = yaml(pods), .namespaces = yaml(namespaces), .settings = &settings};
    check_init(&check, &verb);
    check_pods(&check, &p);
    return p;
}

/* The text of the check of that name, or "". */
static const char *said(const char *name)
{
    for (size_t i = 0; i < doc_count(check.items); i++) {
        const struct doc_node *one = doc_at(check.items, i);
        if (span_is(item_text(one, "name"), name)) {
            return arena_cstr(&verb.arena, item_text(one, "text"));
        }
    }
    return "";
}

static void test_owners(void **state)
{
    UNUSED(state);
    struct check_pods p = look(
        POD("in", "a-1", SET("a", "7c9f"), WEB, "phase: Running") POD("in", "a-2", SET("a", "7c9f"),
                                                                      WEB, "phase: Running")
            POD("in", "s-0", "ownerReferences: [{kind: StatefulSet, name: s}]", WEB,
                "phase: Pending") POD("in", "d-x", "ownerReferences: [{kind: DaemonSet, name: d}]",
                                      WEB, "phase: Running")
                POD("in", "r-x", "ownerReferences: [{kind: ReplicaSet, name: r}]", WEB,
                    "phase: Running") POD("in", "j-x", "ownerReferences: [{kind: Job, name: j}]",
                                          WEB, "phase: Running")
                    POD("in", "alone", "labels: {}", WEB, "phase: Running"));
    assert_int_equal(p.owner_count, 6);
    assert_int_equal(p.owners[0].pods, 2);
    assert_string_equal(said("injection/pods"),
                        "4 pods have no proxy and should have one: Deployment "
                        "in/a, StatefulSet in/s, DaemonSet in/d");
    assert_string_equal(said("injection/single-pods"),
                        "3 pods have no proxy, and no rollout makes them again: ReplicaSet in/r, "
                        "Job in/j, Pod in/alone");
    struct doc_node *fix = doc_get(doc_at(check.items, 0), "fix");
    assert_int_equal(doc_count(fix), 4);
    assert_span(doc_at(fix, 2)->text, "kubectl -n in rollout restart statefulset/s");
    assert_int_equal(check_exit(&check, CHECK_WARNING), EXIT_NEGATIVE);
    assert_int_equal(check_exit(&check, CHECK_FAILED), EXIT_DONE);
}

static void test_who_needs_none(void **state)
{
    UNUSED(state);
    static const char *const pods[] = {
        POD("out", "x", "labels: {}", WEB, "phase: Running"),
        POD("mesh-system", "x", "labels: {}", WEB, "phase: Running"),
        POD("in", "done", "labels: {}", WEB, "phase: Succeeded"),
        POD("in", "failed", "labels: {}", WEB, "phase: Failed"),
        POD("in", "leaving", "deletionTimestamp: '2026-01-01T00:00:00Z'", WEB, "phase: Running"),
        POD("in", "host", "labels: {}", "hostNetwork: true, " WEB, "phase: Running"),
        POD("in", "without", "labels: {mesh.io/inject: 'false'}", WEB, "phase: Running"),
        POD("in", "meshed", "labels: {}", MESHED, "phase: Running"),
        POD("out", "other", "labels: {sidecar.istio.io/inject: 'true'}", MESHED, "phase: Running"),
    };
    for (size_t i = 0; i < ARRAY_LEN(pods); i++) {
        struct check_pods p = look(pods[i]);
        assert_int_equal(p.owner_count, 0);
        assert_int_equal(p.meshed, i >= 7);
        assert_int_equal(check_exit(&check, CHECK_NOTE), EXIT_DONE);
    }
    struct check_pods asks =
        look(POD("out", "x", "labels: {mesh.io/inject: 'true'}", WEB, "phase: Running"));
    assert_int_equal(asks.owner_count, 1);
}

#define PROXY_STATUS(COUNT, READY)                                                    \
    "phase: Running, initContainerStatuses: [{name: mesh-proxy, restartCount: " COUNT \
    ", ready: " READY ", state: {running: {startedAt: '2026-01-01T00:00:00Z'}}}]"

static void test_health(void **state)
{
    UNUSED(state);
    struct check_pods p = look(POD("in", "a", "labels: {}", MESHED, PROXY_STATUS("0", "true")) POD(
        "in", "b", "labels: {}", MESHED, PROXY_STATUS("3", "false")));
    assert_non_null(strstr(said("plane/restarts"), "3 times"));
    assert_non_null(strstr(said("plane/ready"), "1 proxy is not ready: in/b"));
    check_pods_known(&check, &p, yaml("[{name: a, namespace: in}, {name: b, namespace: out}]"));
    assert_string_equal(said("plane/connected"), "1 proxy is not connected to control: in/b");
    check_pods_known(&check, &p, NULL);
    struct check_pods good = look(POD("in", "a", "labels: {}", MESHED, PROXY_STATUS("0", "true")));
    check_pods_known(&check, &good, yaml("[{name: a, namespace: in}]"));
    assert_string_equal(said("plane/restarts"), "0 restarts");
    assert_int_equal(check_exit(&check, CHECK_NOTE), EXIT_DONE);
}

static void test_nothing(void **state)
{
    UNUSED(state);
    struct check_pods p = look("[]");
    assert_int_equal(p.owner_count, 0);
    assert_int_equal(doc_count(check.items), 0);
    p = look("[{}, {metadata: {name: 7}}, x]");
    assert_int_equal(p.owner_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_owners, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_needs_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_health, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
