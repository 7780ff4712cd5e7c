/* A Gateway's own proxies: what is made for it, and when nothing is. */
#include "control/cluster/gateway_deployer.c"

#include "unit/cm.h"

/* ---- what is wanted is noted ---- */

static struct arena notes;
static struct doc_node *wanted; /* plural -> object */

void keeper_want(struct keeper *k, const struct keeper_want *w)
{
    UNUSED(k);
    assert_true(w->removes);
    doc_set(&notes, wanted, w->kind->plural, doc_dup(&notes, w->object));
}

static int set_up(void **state)
{
    UNUSED(state);
    arena_init(&notes, 4096);
    wanted = doc_new_map(&notes);
    return 0;
}

static int tear_down(void **state)
{
    UNUSED(state);
    arena_dispose(&notes);
    return 0;
}

static void put(void *arg, struct object *o)
{
    world_builder_put(arg, o);
    object_unref(o);
}

static void deploy_text(const char *text)
{
    struct arena arena;
    struct findings findings;
    struct inject_settings settings;
    struct world_change change;
    arena_init(&arena, 4096);
    findings_init(&findings, &arena);
    struct world_builder *b = world_builder_new();
    (void)object_read_text(span_of(text), NULL, &findings, put, b);
    assert_int_equal(findings.errors, 0);
    struct world *w = world_build(b, &change);
    inject_settings_init(&settings, &arena);
    gateway_deployer_want(NULL, w, &settings);
    world_unref(w);
    world_builder_free(b);
    arena_dispose(&arena);
}

static const char *text_at(const char *path)
{
    static char text[256];
    const struct doc_node *node = doc_path(wanted, path);
    if (doc_is(node, DOC_INT)) {
        (void)snprintf(text, sizeof(text), "%lld", (long long)node->integer);
        return text;
    }
    return doc_is(node, DOC_TEXT) ? span_to_cstr(node->text, text, sizeof(text)) : "";
}

#define GATEWAY(more, spec)                                                                     \
    "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: shop, "         \
    "namespace: ns, uid: u-1" more "}, spec: {gatewayClassName: istio, listeners: [{name: "     \
    "http, port: 80, protocol: HTTP}, {name: other, port: 80, protocol: HTTP, hostname: a.b}, " \
    "{name: high, port: 8080, protocol: HTTP}]" spec "}}"

static void test_all_three(void **state)
{
    UNUSED(state);
    deploy_text(GATEWAY("", ""));
    assert_int_equal(doc_count(wanted), 3);
    assert_string_equal(text_at("serviceaccounts.metadata.name"), "shop-istio");
    assert_string_equal(text_at("services.metadata.namespace"), "ns");
    assert_string_equal(text_at("services.spec.type"), "LoadBalancer");
    assert_int_equal(doc_count(doc_path(wanted, "services.spec.ports")), 3);
    assert_string_equal(text_at("services.spec.ports.0.name"), "status-port");
    assert_string_equal(text_at("services.spec.ports.1.port"), "80");
    assert_string_equal(text_at("services.spec.ports.1.targetPort"), "80");
    assert_string_equal(text_at("services.spec.ports.2.name"), "high");
    assert_string_equal(text_at("deployments.metadata.ownerReferences.0.uid"), "u-1");
    assert_string_equal(text_at("deployments.spec.template.spec.serviceAccountName"), "shop-istio");
    assert_null(doc_path(wanted, "deployments.spec.replicas"));
    const struct doc_node *labels = doc_path(wanted, "deployments.spec.template.metadata.labels");
    assert_true(span_is(doc_get(labels, LABEL_GATEWAY_NAME)->text, "shop"));
}

static void test_what_the_gateway_asks_for(void **state)
{
    UNUSED(state);
    deploy_text(GATEWAY(", annotations: {networking.istio.io/service-type: ClusterIP}",
                        ", infrastructure: {labels: {team: red}, annotations: {note: x}}"));
    assert_string_equal(text_at("services.spec.type"), "ClusterIP");
    assert_string_equal(text_at("services.metadata.labels.team"), "red");
    assert_string_equal(text_at("deployments.spec.template.metadata.labels.team"), "red");
    assert_string_equal(text_at("services.metadata.annotations.note"), "x");
}

static void test_proxies_that_exist(void **state)
{
    UNUSED(state);
    deploy_text(GATEWAY("", ", addresses: [{type: Hostname, value: other.ns.svc}]"));
    assert_int_equal(doc_count(wanted), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_three, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_the_gateway_asks_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_proxies_that_exist, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
