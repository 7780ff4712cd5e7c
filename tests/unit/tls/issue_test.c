/* tls/issue.h and tls/csr.h: what is issued says what it should, OpenSSL agrees, and bad requests are refused. */
#include "tls/issue.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "tls/csr.h"
#include "tls/tls.h"

#define ID "spiffe://cluster.local/ns/shop/sa/web"
#define T0 1700000000LL
#define YEAR (365 * 86400LL)

static struct arena arena;
static struct err err;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 4096);
    return tls_init(&err);
}

static int tear_down(void **state)
{
    (void)state;
    arena_dispose(&arena);
    return 0;
}

/* --- making --- */

struct authority {
    struct keypair *key;
    struct issuer *issuer;
    struct buf pem, key_pem;
};

static void load(struct authority *a)
{
    buf_init(&a->key_pem, 8192);
    assert_int_equal(keypair_write(a->key, &a->key_pem), 0);
    assert_int_equal(issuer_parse(&a->issuer, buf_span(&a->pem), buf_span(&a->key_pem), &err), 0);
}

static void make_root(struct authority *a, enum keypair_kind kind)
{
    const struct issue_spec spec = {.common_name = SPAN("test root"),
                                    .spiffe_id = SPAN("spiffe://cluster.local"),
                                    .not_before_s = T0,
                                    .not_after_s = T0 + 40 * YEAR};
    buf_init(&a->pem, 8192);
    assert_int_equal(keypair_generate(&a->key, kind, &err), 0);
    assert_int_equal(issue_root(a->key, &spec, &a->pem, &err), 0);
    load(a);
}

static void dispose(struct authority *a)
{
    issuer_free(a->issuer);
    keypair_free(a->key);
    buf_dispose(&a->pem);
    buf_dispose(&a->key_pem);
}

static void make_csr(enum keypair_kind kind, struct buf *out)
{
    struct keypair *key;
    buf_init(out, CSR_BYTES_MAX);
    assert_int_equal(keypair_generate(&key, kind, &err), 0);
    if (csr_write(key, SPAN(ID), out, &err) != 0) {
        fail_msg("csr_write: %s", err.text);
    }
    keypair_free(key);
}

static struct issue_spec leaf_spec(void)
{
    return (struct issue_spec){
        .spiffe_id = SPAN(ID), .not_before_s = T0 + 100, .not_after_s = T0 + 86500};
}

static struct x509_facts *read_one(struct span pem)
{
    struct x509_facts *facts;
    size_t count;
    if (x509_read(&arena, pem, &facts, &count, &err) != 0) {
        fail_msg("x509_read: %s", err.text);
    }
    assert_int_equal(count, 1);
    return facts;
}

/* --- tests --- */

static void test_root(void **state)
{
    (void)state;
    struct authority root;
    make_root(&root, KEYPAIR_P384);
    const struct x509_facts *f = read_one(buf_span(&root.pem));
    assert_true(f->ca);
    assert_true(span_is(f->subject, "CN=test root"));
    assert_true(span_is(f->issuer, "CN=test root"));
    assert_true(span_is(f->spiffe_id, "spiffe://cluster.local"));
    assert_int_equal(f->not_before_s, T0);
    assert_int_equal(f->not_after_s, T0 + 40 * YEAR); /* 2063: GeneralizedTime */
    assert_int_equal(issuer_not_after(root.issuer), T0 + 40 * YEAR);
    dispose(&root);
}

static void test_leaf(void **state)
{
    (void)state;
    static const enum keypair_kind kinds[] = {KEYPAIR_P256, KEYPAIR_P384, KEYPAIR_RSA2048};
    struct authority root;
    make_root(&root, KEYPAIR_P256);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct buf csr, leaf;
        const struct span dns[] = {SPAN("web.shop"), SPAN("web.shop.svc")};
        struct issue_spec spec = leaf_spec();
        spec.dns = dns;
        spec.dns_count = 2;
        memcpy(spec.serial, "\x8f\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", 16);
        make_csr(kinds[i], &csr);
        buf_init(&leaf, 8192);
        if (issue_csr(root.issuer, buf_span(&csr), &spec, &leaf, &err) != 0) {
            fail_msg("%s", err.text);
        }
        const struct x509_facts *f = read_one(buf_span(&leaf));
        assert_true(span_is(f->spiffe_id, ID));
        assert_int_equal(f->uri_count, 1);
        assert_int_equal(f->dns_count, 2);
        assert_true(span_is(f->dns[1], "web.shop.svc"));
        assert_int_equal(f->subject.len, 0);
        assert_true(span_is(f->issuer, "CN=test root"));
        assert_true(span_is(f->serial_hex, "0f0102030405060708090a0b0c0d0e0f"));
        assert_int_equal(f->not_before_s, T0 + 100);
        assert_int_equal(f->not_after_s, T0 + 86500);
        assert_false(f->ca);
        buf_dispose(&csr);
        buf_dispose(&leaf);
    }
    dispose(&root);
}

/* The end is the issuer's at most; serials are random. */
static void test_cut_and_random(void **state)
{
    (void)state;
    struct authority root;
    make_root(&root, KEYPAIR_P256);
    struct issue_spec spec = leaf_spec();
    spec.not_after_s = T0 + 100 * YEAR;
    struct span serials[2];
    for (int i = 0; i < 2; i++) {
        struct buf leaf;
        buf_init(&leaf, 8192);
        assert_int_equal(issue_key(root.issuer, root.key, &spec, &leaf, &err), 0);
        const struct x509_facts *f = read_one(buf_span(&leaf));
        assert_int_equal(f->not_after_s, T0 + 40 * YEAR);
        serials[i] = f->serial_hex;
        buf_dispose(&leaf);
    }
    assert_true(serials[0].len >= 28 && serials[0].len <= 32);
    assert_false(span_eq(serials[0], serials[1]));
    dispose(&root);
}

static void test_refused_specs(void **state)
{
    (void)state;
    struct authority root, below;
    make_root(&root, KEYPAIR_P256);
    struct issue_spec ca = {
        .common_name = SPAN("below"), .ca = true, .not_before_s = T0, .not_after_s = T0 + YEAR};
    buf_init(&below.pem, 8192);
    assert_int_equal(keypair_generate(&below.key, KEYPAIR_P256, &err), 0);
    assert_int_equal(issue_key(root.issuer, below.key, &ca, &below.pem, &err), 0);
    load(&below);
    struct buf out;
    buf_init(&out, 8192);
    assert_int_equal(issue_key(below.issuer, root.key, &ca, &out, &err), -ERR_CONFIG);
    assert_string_equal(err.text, "the CA's certificate allows no CA below it");

    const struct span long_dns = {root.key_pem.data, 0};
    static char text[300];
    memset(text, 'a', sizeof(text));
    const struct span too_long = span_from(text, sizeof(text));
    struct issue_spec bad[] = {leaf_spec(), leaf_spec(), leaf_spec(), leaf_spec(),
                               leaf_spec(), leaf_spec(), ca};
    bad[0].spiffe_id = SPAN("http://x");
    bad[1].spiffe_id = SPAN_EMPTY;
    bad[2].dns = &too_long;
    bad[2].dns_count = 1;
    bad[3].dns = &long_dns;
    bad[3].dns_count = 1;
    bad[4].common_name = too_long;
    bad[5].not_after_s = bad[5].not_before_s;
    bad[6].common_name = SPAN_EMPTY;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (issue_key(root.issuer, root.key, &bad[i], &out, &err) != -ERR_CONFIG) {
            fail_msg("spec %zu", i);
        }
    }
    assert_int_equal(buf_len(&out), 0);
    buf_dispose(&out);
    dispose(&below);
    dispose(&root);
}

static void test_refused_csrs(void **state)
{
    (void)state;
    struct authority root;
    make_root(&root, KEYPAIR_P256);
    struct issue_spec spec = leaf_spec();
    struct buf csr, out;
    buf_init(&out, 8192);
    make_csr(KEYPAIR_P256, &csr);
    char *text = (char *)(uintptr_t)buf_span(&csr).at;
    size_t len = buf_len(&csr);
    /* Cut at each length, and changed at each byte: refused, or not changed in what counts. */
    for (size_t i = 0; i < len; i++) {
        struct span part = span_first(buf_span(&csr), i);
        int code = issue_csr(root.issuer, part, &spec, &out, &err);
        if (code != (i + 1 < len ? -ERR_PROTO : 0)) {
            fail_msg("cut at %zu: %d", i, code);
        }
        buf_reset(&out);
    }
    static const char *const parts[] = {
        "not well formed",       "no usable key", "not signed by its own key",
        "unknown or broken way", "can not sign",  "base64"};
    for (size_t i = 40; i < len - 40; i += 3) {
        char was = text[i];
        text[i] = was == 'A' ? 'B' : 'A';
        int code = issue_csr(root.issuer, buf_span(&csr), &spec, &out, &err);
        bool known = code == 0 && was == '\n';
        for (size_t p = 0; p < ARRAY_LEN(parts) && code == -ERR_PROTO; p++) {
            known |= strstr(err.text, parts[p]) != NULL;
        }
        if (!known) {
            fail_msg("byte %zu: %d %s", i, code, err.text);
        }
        text[i] = was;
        buf_reset(&out);
    }
    static char huge[CSR_BYTES_MAX + 1];
    assert_int_equal(issue_csr(root.issuer, span_from(huge, sizeof(huge)), &spec, &out, &err),
                     -ERR_PROTO);
    assert_int_equal(issue_csr(root.issuer, SPAN_EMPTY, &spec, &out, &err), -ERR_PROTO);
    buf_dispose(&csr);
    buf_dispose(&out);
    dispose(&root);
}

static void test_refused_issuers(void **state)
{
    (void)state;
    struct authority root, other;
    make_root(&root, KEYPAIR_P256);
    make_root(&other, KEYPAIR_P256);
    struct issuer *issuer;
    assert_int_equal(issuer_parse(&issuer, buf_span(&root.pem), buf_span(&other.key_pem), &err),
                     -ERR_CONFIG);
    assert_string_equal(err.text, "the CA's key does not belong to its certificate");
    assert_int_equal(issuer_parse(&issuer, SPAN("x"), buf_span(&other.key_pem), &err), -ERR_CONFIG);
    assert_int_equal(issuer_parse(&issuer, buf_span(&root.pem), SPAN("x"), &err), -ERR_CONFIG);
    struct buf leaf;
    struct issue_spec spec = leaf_spec();
    buf_init(&leaf, 8192);
    assert_int_equal(issue_key(root.issuer, other.key, &spec, &leaf, &err), 0);
    assert_int_equal(issuer_parse(&issuer, buf_span(&leaf), buf_span(&other.key_pem), &err),
                     -ERR_CONFIG);
    assert_string_equal(err.text, "the CA's certificate may not sign others");
    buf_dispose(&leaf);
    assert_int_equal(csr_write(root.key, SPAN("not an ID"), &leaf, &err), -ERR_CONFIG);
    dispose(&root);
    dispose(&other);
}

/* --- a second opinion --- */

static char folder[] = "/tmp/issue_test.XXXXXX";

static void save(const char *name, struct span content)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content.at, 1, content.len, file), content.len);
    fclose(file);
}

/* What a shell line in the folder prints, stdout and stderr. */
static const char *shell(const char *line)
{
    static char text[16384];
    char whole[1024];
    (void)snprintf(whole, sizeof(whole), "cd %s && { %s; } 2>&1", folder, line);
    FILE *pipe = popen(whole, "r");
    assert_non_null(pipe);
    size_t len = fread(text, 1, sizeof(text) - 1, pipe);
    text[len] = '\0';
    pclose(pipe);
    return text;
}

static void expect(const char *line, const char *part)
{
    const char *text = shell(line);
    if (strstr(text, part) == NULL) {
        fail_msg("%s\nprints\n%s\nnot\n%s", line, text, part);
    }
}

/* Requests that OpenSSL made; the names in them count for nothing. */
static void check_foreign_csr(const char *line)
{
    struct authority root;
    struct buf leaf;
    struct issue_spec spec = leaf_spec();
    make_root(&root, KEYPAIR_P256);
    buf_init(&leaf, 8192);
    const char *text = shell(line);
    const char *pem = strstr(text, "-----BEGIN CERTIFICATE REQUEST");
    if (pem == NULL || issue_csr(root.issuer, span_of(pem), &spec, &leaf, &err) != 0) {
        fail_msg("%s\nprints\n%s\n%s", line, text, err.text);
    }
    const struct x509_facts *f = read_one(buf_span(&leaf));
    assert_true(span_is(f->spiffe_id, ID));
    assert_int_equal(f->dns_count, 0);
    assert_int_equal(f->subject.len, 0);
    buf_dispose(&leaf);
    dispose(&root);
}

static void test_openssl(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    if (strstr(shell("openssl version"), "OpenSSL") == NULL) {
        (void)rmdir(folder);
        skip();
    }
    static const enum keypair_kind kinds[] = {KEYPAIR_P256, KEYPAIR_P384, KEYPAIR_RSA2048};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct authority root, below;
        struct buf csr, leaf;
        make_root(&root, kinds[i]);
        struct issue_spec ca = {
            .common_name = SPAN("below"), .ca = true, .not_before_s = T0, .not_after_s = T0 + YEAR};
        buf_init(&below.pem, 8192);
        assert_int_equal(keypair_generate(&below.key, kinds[i], &err), 0);
        assert_int_equal(issue_key(root.issuer, below.key, &ca, &below.pem, &err), 0);
        load(&below);
        make_csr(kinds[i], &csr);
        struct issue_spec spec = leaf_spec();
        buf_init(&leaf, 8192);
        assert_int_equal(issue_csr(below.issuer, buf_span(&csr), &spec, &leaf, &err), 0);
        save("root.pem", buf_span(&root.pem));
        save("below.pem", buf_span(&below.pem));
        save("leaf.pem", buf_span(&leaf));
        save("key.pem", buf_span(&below.key_pem));
        save("csr.pem", buf_span(&csr));
        expect(
            "openssl verify -x509_strict -attime 1700001000 -CAfile root.pem -untrusted below.pem leaf.pem",
            "leaf.pem: OK");
        expect(
            "openssl verify -x509_strict -purpose sslserver -attime 1700001000 -CAfile root.pem -untrusted below.pem leaf.pem",
            "leaf.pem: OK");
        expect("openssl verify -attime 1700000000 -CAfile root.pem -untrusted below.pem leaf.pem",
               "not yet valid");
        expect("openssl verify -attime 1700001000 -CAfile root.pem leaf.pem",
               "unable to get local issuer");
        expect("openssl x509 -noout -ext subjectAltName -in leaf.pem", "critical\n    URI:" ID);
        expect("openssl x509 -noout -ext keyUsage -in leaf.pem",
               "critical\n    Digital Signature\n");
        expect("openssl x509 -noout -ext extendedKeyUsage -in leaf.pem",
               "TLS Web Server Authentication, TLS Web Client Authentication");
        expect("openssl x509 -noout -ext basicConstraints -in leaf.pem", "critical\n    CA:FALSE");
        expect("openssl x509 -noout -ext basicConstraints -in below.pem", "CA:TRUE, pathlen:0");
        expect("openssl x509 -noout -ext keyUsage -in root.pem",
               "critical\n    Certificate Sign, CRL Sign");
        expect("openssl x509 -noout -enddate -in root.pem", "notAfter=Nov  4 22:13:20 2063 GMT");
        expect("openssl pkey -noout -check -in key.pem", "valid");
        expect("openssl req -noout -verify -in csr.pem", "OK");
        expect("openssl req -noout -text -in csr.pem", "URI:" ID);
        assert_true(strstr(shell("openssl x509 -noout -ext authorityKeyIdentifier -in leaf.pem"),
                           ":") != NULL);
        spec.server_only = true;
        buf_reset(&leaf);
        assert_int_equal(issue_csr(below.issuer, buf_span(&csr), &spec, &leaf, &err), 0);
        save("leaf.pem", buf_span(&leaf));
        expect("openssl x509 -noout -ext extendedKeyUsage -in leaf.pem",
               ": \n    TLS Web Server Authentication\n");
        buf_dispose(&csr);
        buf_dispose(&leaf);
        dispose(&below);
        dispose(&root);
    }
    check_foreign_csr(
        "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -subj /O=acme/CN=x");
    check_foreign_csr(
        "openssl req -new -newkey rsa:2048 -nodes -keyout k -subj / -addext subjectAltName=DNS:evil");
    (void)shell("rm -f k root.pem below.pem leaf.pem key.pem csr.pem");
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_root),           cmocka_unit_test(test_leaf),
        cmocka_unit_test(test_cut_and_random), cmocka_unit_test(test_refused_specs),
        cmocka_unit_test(test_refused_csrs),   cmocka_unit_test(test_refused_issuers),
        cmocka_unit_test(test_openssl),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
