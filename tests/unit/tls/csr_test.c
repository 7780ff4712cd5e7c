/* tls/csr.h: what a request asks for, and every way in which it can be broken. */
#include "tls/csr.c"

#include "unit/cm.h"
#include "unit/guard.h"

#include "tls/tls.h"

#define ID "spiffe://cluster.local/ns/shop/sa/web"

static struct err err;

static int set_up(void **state)
{
    (void)state;
    return tls_init(&err);
}

static void make(struct buf *out)
{
    struct keypair *key;
    buf_init(out, CSR_BYTES_MAX);
    assert_int_equal(keypair_generate(&key, KEYPAIR_P256, &err), 0);
    assert_int_equal(csr_write(key, SPAN(ID), out, &err), 0);
    keypair_free(key);
}

static void test_own(void **state)
{
    (void)state;
    struct buf pem;
    struct csr *csr;
    size_t count;
    make(&pem);
    assert_int_equal(csr_parse(&csr, guard_copy(0, buf_span(&pem)), &err), 0);
    const struct span *uris = csr_uris(csr, &count);
    assert_int_equal(count, 1);
    assert_span(uris[0], ID);
    assert_int_equal(mbedtls_pk_get_bitlen(csr_key(csr)), 256);
    csr_free(csr);
    buf_dispose(&pem);
}

/* Whole, and cut at each length, as PEM and as DER: no part of it passes. */
static void test_truncated(void **state)
{
    (void)state;
    struct buf pem, again;
    struct arena arena;
    struct pem_block block;
    struct csr *csr;
    make(&pem);
    arena_init(&arena, 4096);
    size_t whole = buf_len(&pem) - 1; /* the last line end may go */
    for (size_t len = 0; len < whole; len++) {
        struct span part = guard_copy(0, span_first(buf_span(&pem), len));
        assert_int_equal(csr_parse(&csr, part, &err), -ERR_PROTO);
    }
    struct span rest = buf_span(&pem);
    assert_int_equal(pem_next(&rest, &arena, &block, &err), 1);
    for (size_t len = 0; len < block.der.len; len++) {
        buf_init(&again, CSR_BYTES_MAX);
        assert_int_equal(pem_write(SPAN("CERTIFICATE REQUEST"), span_first(block.der, len), &again),
                         0);
        assert_int_equal(csr_parse(&csr, buf_span(&again), &err), -ERR_PROTO);
        buf_dispose(&again);
    }
    /* Any bit that is wrong: it does not parse, or the signature is not of these bytes. */
    char *der = (char *)(uintptr_t)block.der.at;
    for (size_t i = 0; i < block.der.len; i++) {
        der[i] = (char)(der[i] ^ 1);
        buf_init(&again, CSR_BYTES_MAX);
        assert_int_equal(pem_write(SPAN("CERTIFICATE REQUEST"), block.der, &again), 0);
        assert_int_equal(csr_parse(&csr, buf_span(&again), &err), -ERR_PROTO);
        buf_dispose(&again);
        der[i] = (char)(der[i] ^ 1);
    }
    arena_dispose(&arena);
    buf_dispose(&pem);
}

/* Attributes as their DER (RFC 2986 section 4.1, RFC 2985 section 5.4.2). */
#define EXT_REQ "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"
#define SAN_OID "\x06\x03\x55\x1d\x11"

static void test_attributes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct span bytes;
        bool good;
        size_t uris;
    } cases[] = {
        {"none", SPAN_INIT(""), true, 0},
        {"another attribute", SPAN_INIT("\x30\x07\x06\x03\x2a\x03\x04\x31\x00"), true, 0},
        {"a SAN of two",
         SPAN_INIT("\x30\x20" EXT_REQ "\x31\x13\x30\x11\x30\x0f" SAN_OID
                   "\x04\x08\x30\x06\x86\x01u\x86\x01v"),
         true, 2},
        {"a critical one of a DNS name and an URI",
         SPAN_INIT("\x30\x23" EXT_REQ "\x31\x16\x30\x14\x30\x12" SAN_OID
                   "\x01\x01\xff\x04\x08\x30\x06\x82\x01u\x86\x01v"),
         true, 1},
        {"a SAN that is cut",
         SPAN_INIT("\x30\x20" EXT_REQ "\x31\x13\x30\x11\x30\x0f" SAN_OID
                   "\x04\x08\x30\x06\x86\x01u\x86\x09v"),
         false, 0},
        {"behind the SAN",
         SPAN_INIT("\x30\x20" EXT_REQ "\x31\x13\x30\x11\x30\x0f" SAN_OID
                   "\x04\x08\x30\x03\x86\x01u\x86\x01v"),
         false, 0},
        {"no extensions", SPAN_INIT("\x30\x0d" EXT_REQ "\x31\x00"), false, 0},
        {"no set", SPAN_INIT("\x30\x0b" EXT_REQ), false, 0},
        {"no sequence", SPAN_INIT("\x04\x00"), false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct csr csr = {.uri_count = 0};
        if (take_attributes(guard_copy(0, cases[i].bytes), &csr) != cases[i].good) {
            fail_msg("%s", cases[i].name);
        }
        if (cases[i].good && csr.uri_count != cases[i].uris) {
            fail_msg("%s: %zu names", cases[i].name, csr.uri_count);
        }
        for (size_t len = 1; len < cases[i].bytes.len; len++) {
            csr.uri_count = 0;
            assert_false(take_attributes(guard_copy(0, span_first(cases[i].bytes, len)), &csr));
        }
    }
}

static void test_many_names(void **state)
{
    (void)state;
    char names[2 + 3 * (CSR_URIS_MAX + 1)] = {0x30, 3 * CSR_URIS_MAX};
    for (size_t i = 0; i <= CSR_URIS_MAX; i++) {
        memcpy(names + 2 + 3 * i, "\x86\x01x", 3);
    }
    struct csr csr = {.uri_count = 0};
    assert_true(take_names(span_from(names, 2 + 3 * CSR_URIS_MAX), &csr));
    assert_int_equal(csr.uri_count, CSR_URIS_MAX);
    names[1] = 3 * (CSR_URIS_MAX + 1);
    csr.uri_count = 0;
    assert_false(take_names(span_from(names, sizeof(names)), &csr));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_many_names),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
