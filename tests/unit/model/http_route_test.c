/* HTTPRoute. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "model/http_route.c"
#include "unit/model/model_test.h"

static void reads(void **state)
{
    const struct http_route_spec *s = http_route_of(model_test_good(
        state,
        "apiVersion: gateway.networking.k8s.io/v1\n"
        "kind: HTTPRoute\n"
        "metadata: {name: shop, namespace: shop}\n"
        "spec:\n"
        "  parentRefs: [{name: public, namespace: edge, sectionName: http}, {group: \"\", kind: Service, name: shop, port: 80}]\n"
        "  hostnames: [shop.example.com]\n"
        "  rules:\n"
        "  - matches:\n"
        "    - path: {type: Exact, value: /a}\n"
        "      headers: [{name: X-User, value: jason}]\n"
        "      queryParams: [{name: q, type: RegularExpression, value: \"[a-z]+\"}]\n"
        "      method: GET\n"
        "    - headers: [{name: a, value: b}]\n"
        "    filters:\n"
        "    - type: RequestHeaderModifier\n"
        "      requestHeaderModifier: {set: [{name: a, value: b}], add: [{name: c, value: d}], remove: [e]}\n"
        "    - {type: RequestMirror, requestMirror: {backendRef: {name: m, port: 81}, fraction: {numerator: 1, denominator: 4}}}\n"
        "    backendRefs:\n"
        "    - {name: shop, port: 80, weight: 9}\n"
        "    - name: shop2\n"
        "      namespace: other\n"
        "      port: 80\n"
        "      filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: a, value: b}]}}]\n"
        "    - {name: pool, group: x.example.com, kind: Pool}\n"
        "    timeouts: {request: 10s, backendRequest: 2s500ms}\n"
        "    retry: {codes: [503, 504], attempts: 2, backoff: 100ms}\n"
        "  - matches: [{path: {value: /old}}]\n"
        "    filters: [{type: RequestRedirect, requestRedirect: {scheme: https, port: 8443, path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}]\n"));
    assert_int_equal(s->parents[0].kind, HTTP_ROUTE_PARENT_GATEWAY);
    assert_span(s->parents[0].namespace, "edge");
    assert_span(s->parents[0].section, "http");
    assert_int_equal(s->parents[1].kind, HTTP_ROUTE_PARENT_SERVICE);
    assert_span(s->parents[1].namespace, "shop");
    const struct http_route_rule *rule = s->rules;
    assert_int_equal(rule->match_count, 2);
    assert_int_equal(rule->matches[0].path_kind, HTTP_ROUTE_PATH_EXACT);
    assert_int_equal(rule->matches[0].headers.items[0].value.kind, SPEC_MATCH_EXACT);
    assert_int_equal(rule->matches[0].queries.items[0].value.kind, SPEC_MATCH_REGEX);
    assert_span(rule->matches[0].method, "GET");
    assert_span(rule->matches[1].path, "/");
    assert_span(rule->filters.items[0].headers.remove.items[0], "e");
    assert_true(rule->filters.items[1].mirror_percent == 25);
    assert_int_equal(rule->filters.items[1].mirror.port, 81);
    assert_int_equal(rule->backend_count, 3);
    assert_int_equal(rule->backends[0].weight, 9);
    assert_int_equal(rule->backends[1].weight, 1);
    assert_span(rule->backends[0].ref.namespace, "shop");
    assert_span(rule->backends[1].ref.namespace, "other");
    assert_int_equal(rule->backends[1].filters.items[0].kind, HTTP_ROUTE_RESPONSE_HEADERS);
    assert_false(rule->backends[2].ref.is_service);
    assert_int_equal(rule->request_timeout_ms, 10000);
    assert_int_equal(rule->backend_timeout_ms, 2500);
    assert_true(rule->has_retry);
    assert_int_equal(rule->retry_codes.items[1], 504);
    rule = &s->rules[1];
    assert_int_equal(rule->request_timeout_ms, SPEC_UNSET);
    assert_false(rule->has_retry);
    assert_int_equal(rule->filters.items[0].status, 302);
    assert_int_equal(rule->filters.items[0].path_change, HTTP_ROUTE_PATH_PREFIX_MATCH);
}

static void has_defaults(void **state)
{
    const struct http_route_spec *s = http_route_of(model_test_good(
        state,
        "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: HTTPRoute\nmetadata: {name: a}\n"
        "spec: {parentRefs: [{name: public}]}\n"));
    assert_int_equal(s->rule_count, 1);
    assert_int_equal(s->rules[0].match_count, 1);
    assert_span(s->rules[0].matches[0].path, "/");
    assert_int_equal(s->rules[0].backend_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(reads),
        MODEL_TEST(has_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
