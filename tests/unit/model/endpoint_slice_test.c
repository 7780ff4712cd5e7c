/* EndpointSlice. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "model/endpoint_slice.c"
#include "unit/model/model_test.h"

static void reads(void **state)
{
    const struct endpoint_slice_spec *s = endpoint_slice_of(model_test_good(
        state, "apiVersion: discovery.k8s.io/v1\n"
               "kind: EndpointSlice\n"
               "metadata: {name: a, labels: {kubernetes.io/service-name: reviews}}\n"
               "addressType: IPv4\n"
               "endpoints:\n"
               "- addresses: [10.0.0.1]\n"
               "- addresses: [10.0.0.2]\n"
               "  conditions: {ready: false}\n"
               "  targetRef: {kind: Pod, name: p, namespace: shop, uid: x}\n"
               "  zone: z\n"
               "- addresses: [10.0.0.3]\n"
               "  conditions: {ready: false, serving: true, terminating: true}\n"
               "ports:\n"
               "- {name: http, port: 80}\n"
               "- {name: any}\n"));
    assert_span(s->service, "reviews");
    assert_int_equal(s->type, ENDPOINT_SLICE_IPV4);
    assert_int_equal(s->endpoint_count, 3);
    assert_true(s->endpoints[0].ready && s->endpoints[0].serving);
    assert_false(s->endpoints[1].ready || s->endpoints[1].serving);
    assert_span(s->endpoints[1].target_name, "p");
    assert_span(s->endpoints[1].zone, "z");
    assert_true(!s->endpoints[2].ready && s->endpoints[2].serving && s->endpoints[2].terminating);
    assert_int_equal(s->ports[0].port, 80);
    assert_span(s->ports[0].protocol, "TCP");
    assert_int_equal(s->ports[1].port, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
