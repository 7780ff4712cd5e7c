/* Gateway of Istio. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "model/istio_gateway.c"
#include "unit/model/model_test.h"

static void reads(void **state)
{
    const struct istio_gateway_spec *s = istio_gateway_of(model_test_good(
        state,
        "apiVersion: networking.istio.io/v1alpha3\n"
        "kind: Gateway\n"
        "metadata: {name: public}\n"
        "spec:\n"
        "  selector: {istio: ingressgateway}\n"
        "  servers:\n"
        "  - {port: {number: 80, name: http, protocol: http}, hosts: [\"./a.example.com\", \"*\"], tls: {httpsRedirect: true}}\n"
        "  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: [\"shop/*.example.com\"], tls: {mode: MUTUAL, credentialName: cert, minProtocolVersion: TLSV1_3}}\n"
        "  - {port: {number: 444, name: tls, protocol: TLS}, hosts: [\"*\"], tls: {}}\n"));
    assert_span(s->selector.items[0].value, "ingressgateway");
    assert_int_equal(s->server_count, 3);
    assert_span(s->servers[0].protocol, "HTTP");
    assert_int_equal(s->servers[0].tls, ISTIO_GATEWAY_TLS_NONE);
    assert_true(s->servers[0].https_redirect);
    assert_int_equal(s->servers[1].tls, ISTIO_GATEWAY_TLS_MUTUAL);
    assert_span(s->servers[1].min_version, "TLSV1_3");
    assert_int_equal(s->servers[2].tls, ISTIO_GATEWAY_TLS_PASSTHROUGH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
