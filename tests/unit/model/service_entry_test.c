/* ServiceEntry. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "model/service_entry.c"
#include "unit/model/model_test.h"

static void reads(void **state)
{
    const struct service_entry_spec *s = service_entry_of(
        model_test_good(state, "apiVersion: networking.istio.io/v1\n"
                               "kind: ServiceEntry\n"
                               "metadata: {name: a}\n"
                               "spec:\n"
                               "  hosts: [api.example.com, \"*.b.example.com\"]\n"
                               "  addresses: [240.0.0.1, 240.1.0.0/16]\n"
                               "  ports:\n"
                               "  - {number: 443, name: tls, protocol: tls, targetPort: 8443}\n"
                               "  - {number: 80, name: http}\n"
                               "  location: MESH_INTERNAL\n"
                               "  resolution: STATIC\n"
                               "  endpoints:\n"
                               "  - {address: 192.0.2.1, ports: {tls: 9443}, weight: 2}\n"
                               "  - address: unix:///run/a.sock\n"
                               "  exportTo: [\".\"]\n"
                               "  subjectAltNames: [\"spiffe://a/b\"]\n"));
    assert_int_equal(s->hosts.count, 2);
    assert_int_equal(s->addresses.count, 2);
    assert_span(s->ports[0].protocol, "TLS");
    assert_int_equal(s->ports[0].target_port, 8443);
    assert_int_equal(s->ports[1].target_port, 80);
    assert_true(s->internal);
    assert_int_equal(s->resolution, SERVICE_ENTRY_STATIC);
    assert_int_equal(s->endpoint_count, 2);
    assert_int_equal(s->endpoints[0].ports[0].port, 9443);
    assert_span(s->endpoints[1].address, "unix:///run/a.sock");
    assert_false(s->has_workload_selector);
    assert_int_equal(s->export_to.count, 1);
}

static void selects_workloads(void **state)
{
    const struct service_entry_spec *s = service_entry_of(
        model_test_good(state, "apiVersion: networking.istio.io/v1\n"
                               "kind: ServiceEntry\n"
                               "metadata: {name: a}\n"
                               "spec:\n"
                               "  hosts: [a.shop]\n"
                               "  ports: [{number: 80, name: http, protocol: HTTP}]\n"
                               "  resolution: STATIC\n"
                               "  workloadSelector: {labels: {app: a}}\n"));
    assert_true(s->has_workload_selector);
    assert_span(s->workload_selector.items[0].value, "a");
    assert_false(s->internal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(reads),
        MODEL_TEST(selects_workloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
