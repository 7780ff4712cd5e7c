/* Settings: keys, types, profiles, files, "did you mean". */
#include "cli/install_values.c"

#include "unit/cm.h"

static void test_set(void **state)
{
    UNUSED(state);
    static const struct {
        const char *text;
        enum install_id id;
        const char *value; /* or what the error says */
        bool good;
    } cases[] = {
        {"profile=demo", INSTALL_PROFILE, "demo", true},
        {"values.global.hub=registry.example/x", INSTALL_HUB, "registry.example/x", true},
        {"hub=registry.example/x", INSTALL_HUB, "registry.example/x", true},
        {" hub = x ", INSTALL_HUB, "x", true},
        {"meshConfig.accessLogFile=/dev/stdout", INSTALL_ACCESS_LOG, "/dev/stdout", true},
        {"accessLog=", INSTALL_ACCESS_LOG, "", true},
        {"values.global.proxy.resources.requests.memory=1.5Gi", INSTALL_PROXY_MEMORY, "1.5Gi",
         true},
        {"proxy.cpu=2", INSTALL_PROXY_CPU, "2", true},
        {"gateway.replicas=3", INSTALL_GATEWAY_REPLICAS, "3", true},
        {"accessLogFormat=a=b", INSTALL_PROFILE, "did you mean 'meshConfig.accessLogFormat'",
         false},
        {"profile", INSTALL_PROFILE, "write KEY=VALUE", false},
        {"=x", INSTALL_PROFILE, "write KEY=VALUE", false},
        {"profile=best", INSTALL_PROFILE, "want demo|default|minimal|edge", false},
        {"gateway.replicas=many", INSTALL_PROFILE, "want a number", false},
        {"gateway.replicas=1001", INSTALL_PROFILE, "want a number", false},
        {"gateway.enabled=yes", INSTALL_PROFILE, "want true or false", false},
        {"proxy.cpu=.", INSTALL_PROFILE, "want an amount", false},
        {"proxy.cpu=1.2.3", INSTALL_PROFILE, "want an amount", false},
        {"proxy.cpu=10x", INSTALL_PROFILE, "want an amount", false},
        {"hub=a\nb", INSTALL_PROFILE, "want one line of text", false},
        {"values.global.hubb=x", INSTALL_PROFILE, "did you mean 'values.global.hub'?", false},
        {"values.pilot.trustDomain=x", INSTALL_PROFILE, "did you mean 'meshConfig.trustDomain'?",
         false},
        {"wholly.other=x", INSTALL_PROFILE, "no setting is called 'wholly.other'", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct install_values v = {.at[0] = NULL};
        struct arena a;
        struct err err = {.code = 0};
        arena_init(&a, 1024);
        int code = install_values_set(&v, &a, cases[i].text, &err);
        print_message("%s\n", cases[i].text);
        if (cases[i].good) {
            assert_int_equal(code, 0);
            assert_string_equal(v.at[cases[i].id], cases[i].value);
        } else {
            assert_int_equal(code, -ERR_CONFIG);
            assert_non_null(strstr(err.text, cases[i].value));
        }
        arena_dispose(&a);
    }
}

static int read_text(struct install_values *v, struct arena *a, const char *text, struct err *err)
{
    struct doc_node *doc;
    assert_int_equal(doc_parse_yaml(a, span_of(text), "v.yaml", &doc, err), 0);
    return install_values_read(v, a, doc, err);
}

static void test_files(void **state)
{
    UNUSED(state);
    struct install_values v = {.at[0] = NULL};
    struct arena a;
    struct err err = {.code = 0};
    arena_init(&a, 1024);
    assert_int_equal(
        read_text(&v, &a,
                  "profile: demo\n"
                  "meshConfig:\n  enableAutoMtls: false\n  connectTimeout: 5s\n"
                  "values:\n  global:\n    imagePullSecrets: [one, {name: two}]\n"
                  "  gateways:\n    istio-ingressgateway: {autoscaleMin: 2, type: null}\n",
                  &err),
        0);
    assert_string_equal(v.at[INSTALL_PROFILE], "demo");
    assert_string_equal(v.at[INSTALL_AUTO_MTLS], "false");
    assert_string_equal(v.at[INSTALL_CONNECT_TIMEOUT], "5s");
    assert_string_equal(v.at[INSTALL_PULL_SECRETS], "one,two");
    assert_string_equal(v.at[INSTALL_GATEWAY_REPLICAS], "2");
    assert_null(v.at[INSTALL_GATEWAY_TYPE]);
    assert_int_equal(read_text(&v, &a,
                               "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\n"
                               "metadata: {name: x}\nspec: {profile: minimal}\n",
                               &err),
                     0);
    assert_string_equal(v.at[INSTALL_PROFILE], "minimal");
    assert_int_equal(read_text(&v, &a, "", &err), 0);
    assert_int_equal(read_text(&v, &a, "a: {}\nmeshConfig:\n  trustDomian: x\n", &err),
                     -ERR_CONFIG);
    assert_string_equal(err.text,
                        "v.yaml:3: no setting is called 'meshConfig.trustDomian': did you "
                        "mean 'meshConfig.trustDomain'?");
    assert_int_equal(read_text(&v, &a, "[a]\n", &err), -ERR_CONFIG);
    arena_dispose(&a);
}

static void test_settle(void **state)
{
    UNUSED(state);
    struct install_values v = {.at[INSTALL_PROFILE] = "edge", .at[INSTALL_PROXY_CPU] = "7m"};
    install_values_settle(&v);
    assert_string_equal(v.at[INSTALL_PROXY_CPU], "7m");
    assert_string_equal(v.at[INSTALL_PROXY_MEMORY], "8Mi");
    assert_false(install_values_is(&v, INSTALL_GATEWAY));
    struct install_values none = {.at[0] = NULL};
    install_values_settle(&none);
    assert_string_equal(none.at[INSTALL_PROXY_CPU], "10m");
    assert_true(install_values_is(&none, INSTALL_GATEWAY));
}

/* Each fallback and each value of a profile is one that the key takes, and no two keys share a name. */
static void test_tables(void **state)
{
    UNUSED(state);
    for (size_t i = 0; i < INSTALL_KEYS; i++) {
        const struct install_key *k = &install_keys[i];
        if (k->fallback[0]) {
            assert_null(wanted(k, span_of(k->fallback)));
        }
        for (size_t j = 0; j < INSTALL_KEYS; j++) {
            if (i != j) {
                assert_false(is_key(&install_keys[j], span_of(k->name)));
                assert_false(k->alias[0] && is_key(&install_keys[j], span_of(k->alias)));
            }
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(profile_rows); i++) {
        assert_null(wanted(&install_keys[profile_rows[i].id], span_of(profile_rows[i].value)));
        assert_null(wanted(&install_keys[INSTALL_PROFILE], span_of(profile_rows[i].profile)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_settle),
        cmocka_unit_test(test_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
