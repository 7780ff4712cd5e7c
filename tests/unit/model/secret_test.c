/* Secret. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "model/secret.c"
#include "unit/model/model_test.h"

#define CERT "-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n"
#define KEY "-----BEGIN EC PRIVATE KEY-----\\nAAAA\\n-----END EC PRIVATE KEY-----\\n"
#define SECRET "apiVersion: v1\nkind: Secret\nmetadata: {name: web}\n"

static void reads(void **state)
{
    const struct object *o = model_test_good(
        state, SECRET "type: kubernetes.io/tls\n"
                      "data:\n  tls.crt: YWJj\n  tls.key: |\n    ZGVm\n    Z2hp\n  ca.crt: ''\n"
                      "  other: '%'\nimmutable: true\n");
    assert_true(secret_of(o)->tls);
    assert_span(secret_of(o)->cert, "abc");
    assert_span(secret_of(o)->key, "defghi");
    assert_int_equal(secret_of(o)->ca.len, 0);
}

static void reads_other_names(void **state)
{
    const struct object *o = model_test_good(
        state, SECRET "type: Opaque\ndata: {cert: YWJj, key: ZGVm, cacert: Z2hp, crl: eA==}\n"
                      "stringData: {key: plain}\n");
    assert_false(secret_of(o)->tls);
    assert_span(secret_of(o)->cert, "abc");
    assert_span(secret_of(o)->key, "plain");
    assert_span(secret_of(o)->ca, "ghi");
    assert_span(secret_of(o)->crl, "x");
}

static void finds_faults(void **state)
{
    static const struct {
        const char *yaml, *pair, *roots;
    } cases[] = {
        {SECRET "stringData: {tls.crt: \"" CERT "\", tls.key: \"" KEY "\", ca.crt: \"" CERT "\"}\n",
         NULL, NULL},
        {SECRET "stringData: {tls.crt: \"" CERT "\"}\n", "it has no 'tls.key' or 'key'",
         "it has no 'ca.crt' or 'cacert'"},
        {SECRET "data: {}\n", "it has no 'tls.crt' or 'cert'", "it has no 'ca.crt' or 'cacert'"},
        {SECRET "stringData: {tls.crt: hello, tls.key: \"" KEY "\", ca.crt: x}\n",
         "its certificate is not PEM", "its roots are not PEM"},
        {SECRET "stringData: {tls.crt: \"" CERT "\", tls.key: hello}\n", "its key is not PEM",
         "it has no 'ca.crt' or 'cacert'"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct object *o = model_test_good(state, cases[i].yaml);
        const char *pair = secret_pair_fault(o), *roots = secret_roots_fault(o);
        assert_string_equal(pair != NULL ? pair : "", cases[i].pair != NULL ? cases[i].pair : "");
        assert_string_equal(roots != NULL ? roots : "",
                            cases[i].roots != NULL ? cases[i].roots : "");
    }
}

static void veils(void **state)
{
    struct model_test *t = *state;
    const struct object *o = model_test_good(
        state, SECRET "type: Opaque\ndata: {cert: YWJj}\nstringData: {key: plain}\n");
    const struct doc_node *shown = secret_veil(o, &t->arena);
    assert_span(doc_path(shown, "metadata.name")->text, "web");
    assert_span(doc_path(shown, "data.cert")->text, VEIL);
    assert_span(doc_path(shown, "stringData.key")->text, VEIL);
    assert_span(doc_path(o->doc, "data.cert")->text, "YWJj");
    o = model_test_good(state, "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n");
    assert_ptr_equal(secret_veil(o, &t->arena), o->doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(reads),
        MODEL_TEST(reads_other_names),
        MODEL_TEST(finds_faults),
        MODEL_TEST(veils),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
