/* tls/verify.c: certificates that a good CA would not issue, made with mbedTLS's writer. */
#include "tls/verify.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <mbedtls/asn1write.h>
#include <mbedtls/pem.h>

#include "base/instant.h"
#include "base/mem.h"
#include "support/test_pki.h"
#include "tls/keypair_int.h"
#include "tls/tls.h"
#include "tls/tls_int.h"

#define ID "spiffe://td/ns/a/sa/b"

/* One odd certificate. */
struct odd {
    const char *name;
    const char *uris[3];
    const char *dns;
    bool ca;
    unsigned key_usage; /* 0 = digital signature; NO_USAGE = extension left out */
    const char *eku;    /* OID content; NULL = none */
    size_t eku_len;
    const char *extension; /* an OID with an empty SEQUENCE as value */
    size_t extension_len;
    bool critical;
    bool below;      /* the oddity is in an intermediate, the leaf is good */
    const char *why; /* NULL = accepted by a server */
};

enum { NO_USAGE = 0xffff };
#define OID(x) .extension = x, .extension_len = sizeof(x) - 1
#define EKU(x) .eku = x, .eku_len = sizeof(x) - 1

static const struct odd odds[] = {
    {"good", .uris = {ID}},
    {"no usage at all", .uris = {ID}, .key_usage = NO_USAGE},
    {"client auth", .uris = {ID}, EKU(MBEDTLS_OID_CLIENT_AUTH)},
    {"any auth", .uris = {ID}, EKU(MBEDTLS_OID_ANY_EXTENDED_KEY_USAGE)},
    {"a DNS name beside", .uris = {ID}, .dns = "b.a"},
    {"unknown extension", .uris = {ID}, OID("\x2a\x03\x04")},
    {"server auth only", .uris = {ID}, EKU(MBEDTLS_OID_SERVER_AUTH), .why = "extended key usage"},
    {"code signing only", .uris = {ID}, EKU(MBEDTLS_OID_CODE_SIGNING), .why = "extended key usage"},
    {"no digital signature", .uris = {ID}, .key_usage = MBEDTLS_X509_KU_KEY_ENCIPHERMENT,
     .why = "(key usage)"},
    {"a CA", .uris = {ID}, .ca = true, .why = "shows a CA's certificate"},
    {"two SPIFFE IDs", .uris = {ID, "spiffe://td/x"}, .why = "has 2 URI names"},
    {"a web address beside, after", .uris = {ID, "https://x"}, .why = "has 2 URI names"},
    {"a web address beside, before", .uris = {"https://x", ID}, .why = "has 2 URI names"},
    {"not an ID", .uris = {"spiffe://td/a/../b"}, .why = "is not a SPIFFE ID"},
    {"upper case scheme", .uris = {"SPIFFE://td/ns/a/sa/b"}, .why = "is not a SPIFFE ID"},
    {"a trust domain", .uris = {"spiffe://td"}, .why = "is a trust domain, not a workload"},
    {"of another domain", .uris = {"spiffe://td2/ns/a/sa/b"},
     .why = "not signed by a root of its trust domain"},
    {"no name", .why = "not signed by a root of its trust domain"},
    {"a DNS name only", .dns = "b.a", .why = "not signed by a root of its trust domain"},
    {"critical unknown extension", .uris = {ID}, OID("\x2a\x03\x04"), .critical = true,
     .why = "no usable certificate"},
    {"good intermediate", .below = true, .ca = true, .key_usage = MBEDTLS_X509_KU_KEY_CERT_SIGN},
    {"name constraints", OID(MBEDTLS_OID_NAME_CONSTRAINTS), .below = true, .ca = true,
     .key_usage = MBEDTLS_X509_KU_KEY_CERT_SIGN, .why = "name constraints"},
    {"critical name constraints", OID(MBEDTLS_OID_NAME_CONSTRAINTS), .critical = true,
     .below = true, .ca = true, .key_usage = MBEDTLS_X509_KU_KEY_CERT_SIGN, .why = "do not parse"},
    {"an intermediate that is no CA", .below = true, .why = "not signed by a trusted root"},
    {"an intermediate that may not sign", .below = true, .ca = true,
     .key_usage = MBEDTLS_X509_KU_DIGITAL_SIGNATURE, .why = "not signed by a trusted root"},
};

static struct test_pki *root;
static struct keypair *root_key, *key;

static int set_up(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(tls_init(&err), 0);
    root = test_pki_new("root", KEYPAIR_P256);
    assert_int_equal(keypair_parse(&root_key, test_pki_key(root), &err), 0);
    assert_int_equal(keypair_generate(&key, KEYPAIR_P256, &err), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    keypair_free(key);
    keypair_free(root_key);
    test_pki_free(root);
    return 0;
}

static size_t list_sans(const struct odd *odd, mbedtls_x509_san_list *list)
{
    size_t count = 0;
    for (; count < 3 && odd->uris[count] != NULL; count++) {
        list[count].node.type = MBEDTLS_X509_SAN_UNIFORM_RESOURCE_IDENTIFIER;
        list[count].node.san.unstructured_name.p = (unsigned char *)(uintptr_t)odd->uris[count];
    }
    if (odd->dns != NULL) {
        list[count].node.type = MBEDTLS_X509_SAN_DNS_NAME;
        list[count++].node.san.unstructured_name.p = (unsigned char *)(uintptr_t)odd->dns;
    }
    for (size_t i = 0; i < count; i++) {
        list[i].node.san.unstructured_name.len =
            strlen((char *)list[i].node.san.unstructured_name.p);
        list[i].next = i + 1 < count ? &list[i + 1] : NULL;
    }
    return count;
}

static void make(const struct odd *odd, const char *issuer, const struct keypair *signer,
                 struct buf *out)
{
    mbedtls_x509write_cert w;
    mbedtls_x509_san_list sans[4];
    unsigned char text[4096];
    memset(sans, 0, sizeof(sans));
    mbedtls_x509write_crt_init(&w);
    mbedtls_x509write_crt_set_version(&w, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&w, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&w, keypair_pk(key));
    mbedtls_x509write_crt_set_issuer_key(&w, keypair_pk(signer));
    assert_int_equal(
        mbedtls_x509write_crt_set_subject_name(&w, odd->below ? "CN=below" : "CN=leaf"), 0);
    assert_int_equal(mbedtls_x509write_crt_set_issuer_name(&w, issuer), 0);
    assert_int_equal(mbedtls_x509write_crt_set_serial_raw(&w, (unsigned char *)(uintptr_t)"\1", 1),
                     0);
    assert_int_equal(mbedtls_x509write_crt_set_validity(&w, "20200101000000", "20491231000000"), 0);
    assert_int_equal(mbedtls_x509write_crt_set_basic_constraints(&w, odd->ca, -1), 0);
    if (odd->key_usage != NO_USAGE) {
        unsigned usage = odd->key_usage ? odd->key_usage : MBEDTLS_X509_KU_DIGITAL_SIGNATURE;
        assert_int_equal(mbedtls_x509write_crt_set_key_usage(&w, usage), 0);
    }
    if (odd->eku != NULL) {
        mbedtls_asn1_sequence eku = {
            .buf = {MBEDTLS_ASN1_OID, odd->eku_len, (unsigned char *)(uintptr_t)odd->eku}};
        assert_int_equal(mbedtls_x509write_crt_set_ext_key_usage(&w, &eku), 0);
    }
    if (list_sans(odd, sans) > 0) {
        assert_int_equal(mbedtls_x509write_crt_set_subject_alternative_name(&w, sans), 0);
    }
    if (odd->extension != NULL) {
        assert_int_equal(mbedtls_x509write_crt_set_extension(&w, odd->extension, odd->extension_len,
                                                             odd->critical,
                                                             (const unsigned char *)"\x30\0", 2),
                         0);
    }
    assert_int_equal(mbedtls_x509write_crt_pem(&w, text, sizeof(text), tls_random, NULL), 0);
    mbedtls_x509write_crt_free(&w);
    assert_int_equal(buf_append_span(out, span_of((char *)text)), 0);
}

/* Adds the odd certificate, and a good leaf before it when it is an intermediate. */
static void make_chain(const struct odd *odd, struct buf *pem)
{
    const struct odd good = {.uris = {ID}};
    if (odd->below) {
        make(&good, "CN=below", key, pem);
    }
    make(odd, "CN=root", root_key, pem);
}

static void verify(const struct odd *odd, struct verify_rules *rules, struct span pem)
{
    struct err err;
    struct arena arena;
    arena_init(&arena, 512);
    struct verify_result result = {.rules = rules, .arena = &arena};
    mbedtls_x509_crt chain;
    mbedtls_x509_crt_init(&chain);
    uint32_t flags = 0;
    int rc = -1;
    bool parsed = x509_parse_chain(&chain, pem, &err) == 0;
    if (parsed) {
        rc = mbedtls_x509_crt_verify(&chain, &rules->roots, NULL, NULL, &flags, verify_on_cert,
                                     &result);
    }
    const char *why = parsed ? result.why.text : err.text;
    bool as_wanted = odd->why == NULL ? rc == 0 && result.passed && !result.refused
                                      : rc != 0 && !result.passed && strstr(why, odd->why) != NULL;
    if (!as_wanted) {
        fail_msg("%s: %d, %spassed, '%s'", odd->name, rc, result.passed ? "" : "not ", why);
    }
    mbedtls_x509_crt_free(&chain);
    arena_dispose(&arena);
}

static void test_odd(void **state)
{
    (void)state;
    struct err err;
    const struct tls_trust trust = {SPAN("td"), test_pki_root(root)};
    for (int mode = TLS_PEER_OPTIONAL; mode <= TLS_PEER_REQUIRED; mode++) {
        const struct tls_ctx_spec spec = {.server = true,
                                          .trust = &trust,
                                          .trust_count = 1,
                                          .peer_mode = (enum tls_peer_mode)mode};
        struct verify_rules rules;
        assert_int_equal(verify_rules_init(&rules, &spec, &err), 0);
        for (size_t i = 0; i < ARRAY_LEN(odds); i++) {
            struct buf pem;
            buf_init(&pem, 16384);
            make_chain(&odds[i], &pem);
            verify(&odds[i], &rules, buf_span(&pem));
            buf_dispose(&pem);
        }
        verify_rules_dispose(&rules);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_odd),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
