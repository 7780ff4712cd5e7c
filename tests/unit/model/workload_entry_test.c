/* WorkloadEntry. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "model/workload_entry.c"
#include "unit/model/model_test.h"

static void reads(void **state)
{
    const struct workload_entry_spec *s = workload_entry_of(
        model_test_good(state, "apiVersion: networking.istio.io/v1\n"
                               "kind: WorkloadEntry\n"
                               "metadata: {name: a}\n"
                               "spec:\n"
                               "  address: 127.66.0.5\n"
                               "  ports: {http: 9080, grpc: 9081}\n"
                               "  labels: {app: reviews, security.istio.io/tlsMode: istio}\n"
                               "  network: net\n"
                               "  locality: eu/a/1\n"
                               "  weight: 3\n"
                               "  serviceAccount: bookinfo-reviews\n"));
    assert_span(s->address, "127.66.0.5");
    assert_int_equal(s->port_count, 2);
    assert_span(s->ports[1].name, "grpc");
    assert_int_equal(s->ports[1].port, 9081);
    assert_int_equal(s->labels.count, 2);
    assert_span(s->locality, "eu/a/1");
    assert_int_equal(s->weight, 3);
    assert_span(s->service_account, "bookinfo-reviews");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
