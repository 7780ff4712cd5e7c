/* tls/x509.h: what a certificate says. */
#include "tls/x509.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <mbedtls/pk.h>

#include "support/test_pki.h"
#include "tls/keypair_int.h"
#include "tls/tls.h"
#include "tls/tls_int.h"

static int set_up(void **state)
{
    (void)state;
    struct err err;
    return tls_init(&err);
}

static void test_chain(void **state)
{
    (void)state;
    struct test_pki *root = test_pki_new("the root", KEYPAIR_P256);
    struct test_pki *below = test_pki_below(root, "below");
    struct test_cert cert;
    test_pki_issue(below,
                   &(struct test_leaf){.spiffe_id = "spiffe://td/a",
                                       .dns = "a.td",
                                       .name = "a, b",
                                       .not_before_s = 1000000000,
                                       .not_after_s = 2100000000},
                   &cert);
    struct arena arena;
    struct err err;
    struct x509_facts *facts;
    size_t count;
    arena_init(&arena, 1024);
    assert_int_equal(x509_read(&arena, buf_span(&cert.chain), &facts, &count, &err), 0);
    assert_int_equal(count, 2);
    assert_true(span_is(facts[0].spiffe_id, "spiffe://td/a"));
    assert_true(span_is(facts[0].dns[0], "a.td"));
    assert_true(span_is(facts[0].subject, "CN=a\\, b"));
    assert_true(span_is(facts[0].issuer, "CN=below"));
    assert_int_equal(facts[0].not_before_s, 1000000000);
    assert_false(facts[0].ca);
    assert_true(facts[1].ca);
    assert_true(span_is(facts[1].issuer, "CN=the root"));
    assert_int_equal(facts[1].spiffe_id.len, 0);
    assert_int_equal(facts[1].uri_count, 0);
    assert_memory_not_equal(facts[0].sha256, facts[1].sha256, 32);
    /* cut anywhere inside, it does not parse */
    size_t len = buf_len(&cert.chain);
    for (size_t i = 0; i < len; i += 7) {
        size_t whole = 0;
        struct span part = span_first(buf_span(&cert.chain), i);
        if (x509_read(&arena, part, &facts, &whole, &err) == 0) {
            assert_int_equal(whole, 1); /* between the two */
        }
    }
    arena_dispose(&arena);
    test_cert_dispose(&cert);
    test_pki_free(below);
    test_pki_free(root);
}

/* Names as RFC 2253 wants them, from certificates that mbedTLS makes. */
static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *made_from;
        const char *text;
    } cases[] = {
        {"CN=web", "CN=web"},
        {"C=DE,O=acme,CN=web", "CN=web,O=acme,C=DE"},
        {"CN=a\\+b\\;c", "CN=a\\+b\\;c"},
        {"CN=\\#x", "CN=\\#x"},
        {"OU=x y,CN=\\\"q\\\"", "CN=\\\"q\\\",OU=x y"},
        {"emailAddress=me@x", "emailAddress=me@x"},
        {"CN=\\C3\\A4", "CN=\\C3\\A4"},
    };
    struct keypair *key;
    struct err err;
    assert_int_equal(keypair_generate(&key, KEYPAIR_P256, &err), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        mbedtls_x509write_cert w;
        unsigned char der[2048];
        mbedtls_x509write_crt_init(&w);
        mbedtls_x509write_crt_set_version(&w, MBEDTLS_X509_CRT_VERSION_3);
        mbedtls_x509write_crt_set_md_alg(&w, MBEDTLS_MD_SHA256);
        mbedtls_x509write_crt_set_subject_key(&w, keypair_pk(key));
        mbedtls_x509write_crt_set_issuer_key(&w, keypair_pk(key));
        assert_int_equal(mbedtls_x509write_crt_set_subject_name(&w, cases[i].made_from), 0);
        assert_int_equal(mbedtls_x509write_crt_set_issuer_name(&w, "CN=i"), 0);
        assert_int_equal(
            mbedtls_x509write_crt_set_serial_raw(&w, (unsigned char *)(uintptr_t)"\1", 1), 0);
        assert_int_equal(mbedtls_x509write_crt_set_validity(&w, "20200101000000", "20300101000000"),
                         0);
        int len = mbedtls_x509write_crt_der(&w, der, sizeof(der), tls_random, NULL);
        assert_true(len > 0);
        mbedtls_x509write_crt_free(&w);
        mbedtls_x509_crt crt;
        struct arena arena;
        arena_init(&arena, 1024);
        mbedtls_x509_crt_init(&crt);
        assert_int_equal(mbedtls_x509_crt_parse_der(&crt, der + sizeof(der) - len, (size_t)len), 0);
        struct span text = x509_name_text(&arena, &crt.subject);
        if (!span_is(text, cases[i].text)) {
            fail_msg("'%s' is '%.*s'", cases[i].made_from, SPAN_ARG(text));
        }
        assert_false(x509_has_extension(&crt, SPAN("\x55\x1d\x1e")));
        mbedtls_x509_crt_free(&crt);
        arena_dispose(&arena);
    }
    keypair_free(key);
}

static void test_bad(void **state)
{
    (void)state;
    struct arena arena;
    struct err err;
    struct x509_facts *facts;
    size_t count;
    arena_init(&arena, 1024);
    static const char *const texts[] = {
        "", "x", "-----BEGIN CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_int_equal(x509_read(&arena, span_of(texts[i]), &facts, &count, &err), -ERR_CONFIG);
    }
    arena_dispose(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
