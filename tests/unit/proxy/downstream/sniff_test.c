#include "proxy/downstream/sniff.c"

#include "unit/io/io_help.h"

static const struct sniff_want both = {.tls = true, .http = true};
static const struct sniff_want http_only = {.http = true};
static const struct sniff_want nothing = {0};

static void test_kinds(void **state)
{
    UNUSED(state);
    static const struct {
        const char *bytes;
        enum sniff_kind want;
    } cases[] = {
        {"", SNIFF_MORE},
        {"G", SNIFF_MORE},
        {"GET", SNIFF_MORE},
        {"GET ", SNIFF_MORE},
        {"GET /", SNIFF_MORE},
        {"GET / ", SNIFF_MORE},
        {"GET / HTTP/", SNIFF_MORE},
        {"GET / HTTP/1.", SNIFF_HTTP1},
        {"GET / HTTP/1.0\r\n", SNIFF_HTTP1},
        {"PROPFIND /a HTTP/1.1\r\n", SNIFF_HTTP1},
        {"GET / HTTP/2", SNIFF_OPAQUE},
        {"GET /\r\n", SNIFF_OPAQUE}, /* HTTP/0.9 is not served */
        {"get / HTTP/1.1", SNIFF_OPAQUE},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1", SNIFF_OPAQUE},
        {" GET / HTTP/1.1", SNIFF_OPAQUE},
        {"P", SNIFF_MORE},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", SNIFF_MORE},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", SNIFF_HTTP2},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore", SNIFF_HTTP2},
        {"SSH-2.0-OpenSSH_9.2\r\n", SNIFF_OPAQUE},
        {"*1\r\n$4\r\nPING\r\n", SNIFF_OPAQUE}, /* redis */
        {"220 mail ESMTP\r\n", SNIFF_OPAQUE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct hello hello;
        assert_int_equal(sniff(span_of(cases[i].bytes), both, &hello), cases[i].want);
        assert_int_equal(sniff(span_of(cases[i].bytes), http_only, NULL), cases[i].want);
        assert_int_equal(sniff(span_of(cases[i].bytes), nothing, NULL), SNIFF_OPAQUE);
    }
}

/* More bytes never turn an answer into another one. */
static void test_answers_stay(void **state)
{
    UNUSED(state);
    static const char *const texts[] = {"GET /path?x=1 HTTP/1.1\r\nhost: a\r\n\r\n",
                                        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                                        "\x16\x02 nonsense that is no TLS", "POST /x HTTP/1.1\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        enum sniff_kind before = SNIFF_MORE;
        for (size_t len = 0; len <= strlen(texts[i]); len++) {
            struct hello hello;
            enum sniff_kind now = sniff(span_from(texts[i], len), both, &hello);
            assert_true(before == SNIFF_MORE || now == before);
            before = now;
        }
        assert_int_not_equal(before, SNIFF_MORE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_answers_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
