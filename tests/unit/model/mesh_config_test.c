/* MeshConfig. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "model/mesh_config.c"
#include "unit/model/model_test.h"

static void reads(void **state)
{
    const struct mesh_config_spec *s =
        mesh_config_of(model_test_good(state, "apiVersion: mesh.io/v1\n"
                                              "kind: MeshConfig\n"
                                              "metadata: {name: default}\n"
                                              "spec:\n"
                                              "  trustDomain: cluster.local\n"
                                              "  rootNamespace: mesh-system\n"
                                              "  outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n"
                                              "  enableAutoMtls: true\n"
                                              "  accessLogFile: \"\"\n"
                                              "  accessLogEncoding: JSON\n"
                                              "  connectTimeout: 1.5s\n"
                                              "  meshRanges: [10.0.0.0/8]\n"
                                              "  defaultHttpRetryPolicy: {attempts: 0}\n"));
    assert_span(s->root_namespace, "mesh-system");
    assert_int_equal(s->allow_any, SPEC_BOOL_FALSE);
    assert_int_equal(s->auto_mtls, SPEC_BOOL_TRUE);
    assert_true(s->has_access_log_file);
    assert_int_equal(s->access_log_file.len, 0);
    assert_int_equal(s->access_log_json, SPEC_BOOL_TRUE);
    assert_int_equal(s->connect_timeout_ms, 1500);
    assert_true(s->retry.set);
    assert_int_equal(s->retry.attempts, 0);
    assert_int_equal(s->prometheus_merge, SPEC_BOOL_UNSET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
