/* AuthorizationPolicy. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "model/authorization_policy.c"
#include "unit/model/model_test.h"

static void reads(void **state)
{
    const struct authorization_policy_spec *s = authorization_policy_of(model_test_good(
        state,
        "apiVersion: security.istio.io/v1\n"
        "kind: AuthorizationPolicy\n"
        "metadata: {name: a, annotations: {istio.io/dry-run: \"true\"}}\n"
        "spec:\n"
        "  action: DENY\n"
        "  targetRefs: [{kind: Service, name: a}, {group: gateway.networking.k8s.io, kind: Gateway, name: b}]\n"
        "  rules:\n"
        "  - from:\n"
        "    - source: {principals: [\"cluster.local/ns/a/*\"], notNamespaces: [b], ipBlocks: [10.0.0.0/8]}\n"
        "    - source: {serviceAccounts: [a, ns/b]}\n"
        "    to:\n"
        "    - operation: {methods: [GET], paths: [\"/a/{*}/b\", \"/c*\", \"/d/{**}\"], ports: [\"80\"], notHosts: [\"*.x\"]}\n"
        "    when: [{key: \"request.headers[x]\", values: [a]}, {key: source.ip, notValues: [10.0.0.1]}]\n"
        "  - {}\n"));
    assert_int_equal(s->action, AUTHORIZATION_POLICY_DENY);
    assert_true(s->dry_run);
    assert_int_equal(s->targets.count, 2);
    assert_span(s->targets.items[0].group, "");
    assert_int_equal(s->rule_count, 2);
    const struct authorization_policy_rule *rule = s->rules;
    assert_int_equal(rule->from_count, 2);
    assert_span(rule->from[0].not_namespaces.items[0], "b");
    assert_int_equal(rule->from[1].service_accounts.count, 2);
    assert_int_equal(rule->to[0].paths.count, 3);
    assert_int_equal(rule->when_count, 2);
    assert_span(rule->when[1].not_values.items[0], "10.0.0.1");
    assert_int_equal(s->rules[1].from_count + s->rules[1].to_count + s->rules[1].when_count, 0);
}

static void may_allow_nothing(void **state)
{
    const struct authorization_policy_spec *s = authorization_policy_of(model_test_good(
        state,
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\nspec: {}\n"));
    assert_int_equal(s->action, AUTHORIZATION_POLICY_ALLOW);
    assert_int_equal(s->rule_count, 0);
    assert_false(s->dry_run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(reads),
        MODEL_TEST(may_allow_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
