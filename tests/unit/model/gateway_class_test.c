/* GatewayClass and ReferenceGrant. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "model/gateway_class.c"
#include "unit/model/model_test.h"

static void reads_class(void **state)
{
    const struct object *o = model_test_good(
        state, "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\n"
               "metadata: {name: mesh}\n"
               "spec: {controllerName: mesh.io/gateway-controller, description: x}\n"
               "status: {conditions: []}\n");
    assert_span(gateway_class_of(o)->controller, "mesh.io/gateway-controller");
    assert_span(o->key, "gatewayclasses.gateway.networking.k8s.io/-/mesh");
}

static void reads_grant(void **state)
{
    const struct reference_grant_spec *s = reference_grant_of(model_test_good(
        state, "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\n"
               "metadata: {name: a, namespace: certs}\n"
               "spec:\n"
               "  from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: edge}]\n"
               "  to: [{group: '', kind: Secret, name: web}, {group: '', kind: Service}]\n"));
    assert_int_equal(s->from_count, 1);
    assert_span(s->from[0].namespace, "edge");
    assert_int_equal(s->to_count, 2);
    assert_span(s->to[0].name, "web");
    assert_int_equal(s->to[1].name.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {MODEL_TEST(reads_class), MODEL_TEST(reads_grant)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
