/* Service, Namespace. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "model/service.c"
#include "unit/model/model_test.h"

static void reads_ports(void **state)
{
    const struct service_spec *s = service_of(model_test_good(
        state,
        "apiVersion: v1\n"
        "kind: Service\n"
        "metadata: {name: reviews}\n"
        "spec:\n"
        "  clusterIP: 10.0.0.9\n"
        "  clusterIPs: [10.0.0.9, \"fd00::9\"]\n"
        "  selector: {app: reviews}\n"
        "  sessionAffinity: None\n"
        "  ports:\n"
        "  - {name: http, port: 9080, targetPort: web}\n"
        "  - {name: grpc, port: 9081, targetPort: 8081, appProtocol: kubernetes.io/h2c, nodePort: 30000}\n"
        "  - {name: dns, port: 9080, protocol: UDP}\n"));
    assert_int_equal(s->type, SERVICE_CLUSTER_IP);
    assert_false(s->headless);
    assert_int_equal(s->cluster_ips.count, 2);
    assert_span(s->cluster_ips.items[1], "fd00::9");
    assert_int_equal(s->selector.count, 1);
    assert_int_equal(s->port_count, 3);
    assert_int_equal(s->ports[0].target_port, 0);
    assert_span(s->ports[0].target_name, "web");
    assert_span(s->ports[0].protocol, "TCP");
    assert_int_equal(s->ports[1].target_port, 8081);
    assert_span(s->ports[1].app_protocol, "kubernetes.io/h2c");
    assert_int_equal(s->ports[2].target_port, 9080);
}

static void reads_headless_and_external(void **state)
{
    const struct service_spec *s = service_of(model_test_good(
        state,
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {clusterIP: None, clusterIPs: [None]}\n"));
    assert_true(s->headless);
    assert_int_equal(s->cluster_ips.count, 0);
    s = service_of(model_test_good(
        state,
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {type: ExternalName, externalName: b.example.com}\n"));
    assert_int_equal(s->type, SERVICE_EXTERNAL_NAME);
    assert_span(s->external_name, "b.example.com");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(reads_ports),
        MODEL_TEST(reads_headless_and_external),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
