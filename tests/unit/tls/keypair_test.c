/* tls/keypair.h: made, written, read again; bad input. */
#include "tls/keypair.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tls/tls.h"

static int set_up(void **state)
{
    (void)state;
    struct err err;
    return tls_init(&err);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const enum keypair_kind kinds[] = {KEYPAIR_P256, KEYPAIR_P384, KEYPAIR_RSA2048};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct err err;
        struct keypair *key, *again;
        struct buf first, second;
        buf_init(&first, 8192);
        buf_init(&second, 8192);
        assert_int_equal(keypair_generate(&key, kinds[i], &err), 0);
        assert_int_equal(keypair_write(key, &first), 0);
        assert_true(
            span_starts(buf_span(&first), SPAN("-----BEGIN PRIVATE KEY-----\n"))); /* PKCS#8 */
        assert_int_equal(keypair_parse(&again, buf_span(&first), &err), 0);
        assert_int_equal(
            mbedtls_pk_check_pair(keypair_pk(key), keypair_pk(again), tls_random, NULL), 0);
        assert_int_equal(keypair_write(again, &second), 0);
        assert_true(span_eq(buf_span(&first), buf_span(&second)));
        assert_int_equal(keypair_hash(key),
                         kinds[i] == KEYPAIR_P384 ? MBEDTLS_MD_SHA384 : MBEDTLS_MD_SHA256);
        struct buf tight;
        buf_init(&tight, 100);
        assert_int_equal(keypair_write(key, &tight), -ERR_LIMIT);
        buf_dispose(&tight);
        buf_dispose(&first);
        buf_dispose(&second);
        keypair_free(key);
        keypair_free(again);
    }
    keypair_free(NULL);
}

static void test_two_differ(void **state)
{
    (void)state;
    struct err err;
    struct keypair *a, *b;
    assert_int_equal(keypair_generate(&a, KEYPAIR_P256, &err), 0);
    assert_int_equal(keypair_generate(&b, KEYPAIR_P256, &err), 0);
    assert_int_not_equal(mbedtls_pk_check_pair(keypair_pk(a), keypair_pk(b), tls_random, NULL), 0);
    keypair_free(a);
    keypair_free(b);
}

/* Other forms of PEM, and a key that is too short: made with mbedTLS, which is trusted here. */
static void test_forms(void **state)
{
    (void)state;
    struct err err;
    struct keypair *key, *again;
    unsigned char text[4096];
    assert_int_equal(keypair_generate(&key, KEYPAIR_P256, &err), 0);
    assert_int_equal(mbedtls_pk_write_key_pem(keypair_pk(key), text, sizeof(text)), 0);
    assert_int_equal(keypair_parse(&again, span_of((char *)text), &err), 0); /* SEC 1 */
    keypair_free(again);
    keypair_free(key);

    mbedtls_pk_context weak;
    mbedtls_pk_init(&weak);
    assert_int_equal(mbedtls_pk_setup(&weak, mbedtls_pk_info_from_type(MBEDTLS_PK_RSA)), 0);
    assert_int_equal(mbedtls_rsa_gen_key(mbedtls_pk_rsa(weak), tls_random, NULL, 1024, 65537), 0);
    assert_int_equal(mbedtls_pk_write_key_pem(&weak, text, sizeof(text)), 0);
    assert_int_equal(keypair_parse(&again, span_of((char *)text), &err), -ERR_CONFIG);
    assert_string_equal(err.text, "private key is RSA of less than 2048 bits");
    mbedtls_pk_free(&weak);
}

static void test_bad(void **state)
{
    (void)state;
    struct err err;
    struct keypair *key;
    static char huge[KEY_PEM_BYTES_MAX + 1];
    static const char *const texts[] = {
        "", "not PEM", "-----BEGIN PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_int_equal(keypair_parse(&key, span_of(texts[i]), &err), -ERR_CONFIG);
        assert_true(strstr(err.text, "private key is not usable PEM") != NULL);
        assert_null(strstr(err.text, "AAAA"));
    }
    assert_int_equal(keypair_parse(&key, span_from(huge, sizeof(huge)), &err), -ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_two_differ),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
