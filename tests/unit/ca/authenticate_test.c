/* ca/authenticate: what counts as a proof. */
#include "ca/authenticate.c"

#include "unit/cm.h"

#define TOKEN "mesh1.abcdef.abcdefghijkmnpqrstuvwxyz23"
#define NOW_S 1800000000LL

static const struct tls_peer nobody = {.verified = false};
static const struct tls_peer web = {.verified = true,
                                    .spiffe_id = SPAN_INIT("spiffe://td/ns/a/sa/web"),
                                    .serial = SPAN_INIT("\x01\xab"),
                                    .not_before_s = NOW_S - 10,
                                    .not_after_s = NOW_S + 1};
static const struct tls_peer ended = {.verified = true,
                                      .spiffe_id = SPAN_INIT("spiffe://td/ns/a/sa/web"),
                                      .serial = SPAN_INIT("\x01"),
                                      .not_after_s = NOW_S};
static const struct tls_peer foreign = {.verified = true,
                                        .spiffe_id = SPAN_INIT("spiffe://other/ns/a/sa/web"),
                                        .serial = SPAN_INIT("\x01"),
                                        .not_after_s = NOW_S + 1};
static const struct tls_peer no_workload = {.verified = true,
                                            .spiffe_id = SPAN_INIT("spiffe://td/x"),
                                            .serial = SPAN_INIT("\x01"),
                                            .not_after_s = NOW_S + 1};
static const struct tls_peer no_id = {.verified = true, .not_after_s = NOW_S + 1};
static const struct tls_peer long_serial = {.verified = true,
                                            .spiffe_id = SPAN_INIT("spiffe://td/ns/a/sa/web"),
                                            .serial = SPAN_INIT("0123456789012345678901234567890"),
                                            .not_after_s = NOW_S + 1};

static void test_proofs(void **state)
{
    (void)state;
    static const struct {
        const char *authorization;
        const struct tls_peer *peer; /* NULL = plaintext */
        const char *want;            /* "token ID", "certificate SERIAL", or a part of why not */
        bool good;
    } cases[] = {
        {"Bearer " TOKEN, &nobody, "token abcdef", true},
        {"bearer   " TOKEN " ", &nobody, "token abcdef", true},
        {"Bearer " TOKEN, &web, "token abcdef", true}, /* the token counts */
        {"", &web, "certificate 01ab", true},
        {"", &nobody, "no proof of identity", false},
        {"Bearer x", &nobody, "no join token", false},
        {"Bearer x", &web, "no join token",
         false}, /* a bad token is not made good by a certificate */
        {"Basic " TOKEN, &nobody, "no join token", false},
        {TOKEN, &nobody, "no join token", false},
        {"Bearer", &nobody, "no join token", false},
        {"Bearer " TOKEN, NULL, "over TLS only", false},
        {"Bearer eyJhbGciOiJSUzI1NiJ9.e30.-_", &nobody, "account eyJhbGciOiJSUzI1NiJ9.e30.-_",
         true},
        {"Bearer a.b.c", &web, "account a.b.c", true},
        {"Bearer a.b.c", NULL, "over TLS only", false},
        {"Bearer a.b", &nobody, "no join token", false},
        {"Bearer a.b.c.d", &nobody, "no join token", false},
        {"Bearer a.b.", &nobody, "no join token", false},
        {"Bearer a..c", &nobody, "no join token", false},
        {"Bearer a.b/.c", &nobody, "no join token", false},
        {"Bearer a.b.c=", &nobody, "no join token", false},
        {"Basic a.b.c", &nobody, "no join token", false},
        {"", NULL, "over TLS only", false},
        {"", &ended, "has ended", false},
        {"", &foreign, "trust domain 'other'", false},
        {"", &no_workload, "names no workload", false},
        {"", &no_id, "names no workload", false},
        {"", &long_serial, "too long", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct authenticate_call call = {.authorization = span_of(cases[i].authorization),
                                               .peer = cases[i].peer,
                                               .trust_domain = SPAN("td"),
                                               .now_s = NOW_S};
        struct authenticate_proof proof;
        struct err err;
        int code = authenticate_read(&call, &proof, &err);
        if (!cases[i].good) {
            assert_int_equal(code, -ERR_DENIED);
            assert_non_null(strstr(err.text, cases[i].want));
            continue;
        }
        assert_int_equal(code, 0);
        char text[128];
        static const char *const kinds[] = {"token", "certificate", "account"};
        const struct span shown[] = {span_of(proof.token.id), span_of(proof.serial), proof.jwt};
        (void)snprintf(text, sizeof(text), "%s %.*s", kinds[proof.kind],
                       SPAN_ARG(shown[proof.kind]));
        assert_string_equal(text, cases[i].want);
        if (proof.kind == AUTHENTICATE_CERTIFICATE) {
            assert_span(proof.identity.ns, "a");
            assert_span(proof.identity.sa, "web");
            assert_int_equal(proof.not_before_s, NOW_S - 10);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_proofs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
