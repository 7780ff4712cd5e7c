/* tls/tls_ctx.h: what is refused before any connection, with reasons. */
#include "tls/tls_ctx.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/instant.h"
#include "support/test_pki.h"
#include "tls/tls.h"

static struct test_pki *root;
static struct test_cert web, other;

static int set_up(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(tls_init(&err), 0);
    root = test_pki_new("root", KEYPAIR_P256);
    test_pki_issue(
        root,
        &(struct test_leaf){.spiffe_id = "spiffe://td/web", .not_after_s = instant_wall_s() + 1000},
        &web);
    test_pki_issue(root, &(struct test_leaf){.spiffe_id = "spiffe://td/other"}, &other);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_cert_dispose(&web);
    test_cert_dispose(&other);
    test_pki_free(root);
    return 0;
}

static struct tls_trust trust;

static struct tls_ctx_spec good(bool server)
{
    trust = (struct tls_trust){.roots_pem = test_pki_root(root)};
    return (struct tls_ctx_spec){
        .server = server,
        .chain_pem = buf_span(&web.chain),
        .key_pem = buf_span(&web.key),
        .trust = &trust,
        .trust_count = 1,
        .peer_mode = TLS_PEER_REQUIRED,
    };
}

static void expect_bad(const struct tls_ctx_spec *spec, const char *part)
{
    struct tls_ctx *ctx;
    struct err err;
    int code = tls_ctx_new(&ctx, spec, &err);
    if (code != -ERR_CONFIG || strstr(err.text, part) == NULL) {
        fail_msg("wanted '%s', got %d '%s'", part, code, code != 0 ? err.text : "");
    }
}

static void test_good(void **state)
{
    (void)state;
    for (int server = 0; server <= 1; server++) {
        struct tls_ctx_spec spec = good(server);
        struct tls_ctx *ctx;
        struct err err;
        int64_t now = instant_wall_s();
        assert_int_equal(tls_ctx_new(&ctx, &spec, &err), 0);
        assert_in_range(tls_ctx_not_after(ctx), now + 990, now + 1000);
        tls_ctx_get(ctx);
        tls_ctx_put(ctx);
        tls_ctx_put(ctx);
    }
    tls_ctx_put(NULL);
    struct tls_ctx_spec spec = good(false); /* a client that is nobody and trusts everybody */
    spec.chain_pem = spec.key_pem = SPAN_EMPTY;
    spec.trust_count = 0;
    spec.peer_mode = TLS_PEER_NONE;
    struct tls_ctx *ctx;
    struct err err;
    assert_int_equal(tls_ctx_new(&ctx, &spec, &err), 0);
    assert_int_equal(tls_ctx_not_after(ctx), 0);
    tls_ctx_put(ctx);
}

static void test_roots(void **state)
{
    (void)state;
    struct tls_ctx_spec spec = good(false);
    spec.trust_count = 0;
    expect_bad(&spec, "peers are to be verified, but there are no trusted roots");
    spec.server = true;
    expect_bad(&spec, "no trusted roots");
    spec.peer_mode = TLS_PEER_OPTIONAL;
    expect_bad(&spec, "no trusted roots");
    spec = good(false);
    trust.roots_pem = SPAN_EMPTY;
    expect_bad(&spec, "trust bundle '': no certificate in PEM found");
    trust.roots_pem = SPAN("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    trust.trust_domain = SPAN("td");
    expect_bad(&spec, "trust bundle 'td': no usable certificate in PEM");
    const struct tls_trust two[] = {{.roots_pem = test_pki_root(root)}, trust};
    spec.trust = two;
    spec.trust_count = 2;
    expect_bad(&spec, "trust bundle 'td': no usable certificate in PEM");
}

/* One root that can not be read does not make the others untrusted. */
static void test_partly_bad_roots(void **state)
{
    (void)state;
    struct tls_ctx_spec spec = good(false);
    struct buf pem;
    buf_init(&pem, 65536);
    assert_int_equal(
        buf_append_span(&pem,
                        SPAN("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
        0);
    assert_int_equal(buf_append_span(&pem, test_pki_root(root)), 0);
    trust.roots_pem = buf_span(&pem);
    struct tls_ctx *ctx;
    struct err err;
    assert_int_equal(tls_ctx_new(&ctx, &spec, &err), 0);
    assert_int_equal(ctx->rules.bundles[0].count, 1);
    tls_ctx_put(ctx);
    buf_dispose(&pem);
}

static void test_identity(void **state)
{
    (void)state;
    struct tls_ctx_spec spec = good(true);
    spec.chain_pem = spec.key_pem = SPAN_EMPTY;
    expect_bad(&spec, "a server needs a certificate");
    spec = good(false);
    spec.key_pem = SPAN_EMPTY;
    expect_bad(&spec, "come together");
    spec = good(false);
    spec.key_pem = buf_span(&other.key);
    expect_bad(&spec, "own identity: the private key is not the certificate's");
    spec = good(false);
    spec.key_pem = SPAN("secret");
    expect_bad(&spec, "own identity: private key is not usable PEM");
    spec = good(false);
    spec.chain_pem = SPAN("nothing");
    expect_bad(&spec, "own identity: no certificate in PEM found");
    struct buf pem; /* in a chain, each one must be good */
    buf_init(&pem, 65536);
    assert_int_equal(buf_append_span(&pem, buf_span(&web.chain)), 0);
    assert_int_equal(
        buf_append_span(&pem,
                        SPAN("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
        0);
    spec = good(false);
    spec.chain_pem = buf_span(&pem);
    expect_bad(&spec, "own identity: 1 of the certificates do not parse");
    buf_dispose(&pem);
}

static void test_rest(void **state)
{
    (void)state;
    const struct tls_san_match any = {
        .san = TLS_SAN_URI, .kind = TLS_MATCH_PREFIX, .text = SPAN("spiffe://")};
    static char text[300];
    memset(text, 'a', sizeof(text));
    const struct span names[] = {span_from(text, 256), SPAN_EMPTY, SPAN("a\0b")};
    struct tls_ctx_spec spec = good(false);
    spec.peer_mode = TLS_PEER_OPTIONAL;
    expect_bad(&spec, "only a server can leave it to its peer");
    spec.peer_mode = TLS_PEER_NONE;
    spec.allowed = &any;
    spec.allowed_count = 1;
    expect_bad(&spec, "names to accept, but peers are not verified");
    spec = good(false);
    spec.min_version = 0x0302;
    expect_bad(&spec, "TLS versions 0x0302 to 0x0304; use 0x0303 to 0x0304");
    spec.min_version = 0x0304;
    spec.max_version = 0x0303;
    expect_bad(&spec, "TLS versions");
    spec = good(false);
    spec.sni = span_from(text, 256);
    expect_bad(&spec, "SNI has 256 bytes");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        spec = good(false);
        spec.alpn = &names[i];
        spec.alpn_count = 1;
        expect_bad(&spec, "ALPN name 0");
    }
    spec = good(false);
    spec.record_limit = (1 << 23) + 1;
    expect_bad(&spec, "record limit");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_roots),
        cmocka_unit_test(test_partly_bad_roots),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_rest),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
