/* Gateway of the Gateway API. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "model/gateway_api.c"
#include "unit/model/model_test.h"

static void reads(void **state)
{
    const struct gateway_spec *s = gateway_of(model_test_good(
        state,
        "apiVersion: gateway.networking.k8s.io/v1\n"
        "kind: Gateway\n"
        "metadata: {name: public, namespace: edge}\n"
        "spec:\n"
        "  gatewayClassName: mesh\n"
        "  addresses: [{value: 127.0.0.1}, {type: Hostname, value: a.example.com}]\n"
        "  listeners:\n"
        "  - name: http\n"
        "    port: 8080\n"
        "    protocol: HTTP\n"
        "    hostname: \"*.example.com\"\n"
        "    allowedRoutes:\n"
        "      kinds: [{kind: HTTPRoute}]\n"
        "      namespaces:\n"
        "        from: Selector\n"
        "        selector: {matchLabels: {a: b}, matchExpressions: [{key: team, operator: NotIn, values: [x, w]}, {key: c, operator: Exists}]}\n"
        "  - {name: https, port: 8443, protocol: HTTPS, tls: {certificateRefs: [{name: cert}, {name: other, namespace: certs}]}}\n"
        "  - {name: tls, port: 8444, protocol: TLS, tls: {mode: Passthrough}, allowedRoutes: {namespaces: {from: All}}}\n"
        "  infrastructure: {labels: {a: b}}\n"));
    assert_span(s->class_name, "mesh");
    assert_int_equal(s->address_count, 2);
    assert_true(s->addresses[1].hostname);
    assert_int_equal(s->listener_count, 3);
    const struct gateway_listener *l = s->listeners;
    assert_int_equal(l[0].routes_from, GATEWAY_ROUTES_SELECTOR);
    assert_int_equal(l[0].routes_selector.term_count, 3);
    struct label labels[] = {
        {SPAN("a"), SPAN("b")}, {SPAN("c"), SPAN("")}, {SPAN("team"), SPAN("x")}};
    assert_true(selector_matches(&l[0].routes_selector, labels, 2));
    assert_false(selector_matches(&l[0].routes_selector, labels, 3));
    assert_span(l[0].route_kinds.items[0], "HTTPRoute");
    assert_true(l[1].has_tls);
    assert_int_equal(l[1].routes_from, GATEWAY_ROUTES_SAME);
    assert_span(l[1].certificates[0].namespace, "edge");
    assert_span(l[1].certificates[1].namespace, "certs");
    assert_int_equal(l[2].tls_mode, GATEWAY_TLS_PASSTHROUGH);
    assert_int_equal(s->infrastructure_labels.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
