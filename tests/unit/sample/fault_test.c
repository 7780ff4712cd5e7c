/* Faults in words. */
#include "sample/fault.c"

#include "unit/cm.h"

static void test_words(void **state)
{
    static const struct {
        const char *text;
        char sep;
        int code;
        struct fault want;
    } cases[] = {
        {"", ',', 0, {.share = 0}},
        {"status=503", ',', 0, {.status = 503, .share = 100}},
        {"status=500&share=50", '&', 0, {.status = 500, .share = 50}},
        {"delay=2s, share=10", ',', 0, {.delay_ms = 2000, .share = 10}},
        {"delay=100ms,status=503,share=1", ',', 0, {.status = 503, .delay_ms = 100, .share = 1}},
        {"share=50", ',', 0, {.share = 0}},
        {"status=200", ',', -ERR_CONFIG, {.share = 0}},
        {"status=600", ',', -ERR_CONFIG, {.share = 0}},
        {"share=101", ',', -ERR_CONFIG, {.share = 0}},
        {"delay=11m", ',', -ERR_CONFIG, {.share = 0}},
        {"delay", ',', -ERR_CONFIG, {.share = 0}},
        {"delay=000000000000000000000000000000000000000001s", ',', -ERR_CONFIG, {.share = 0}},
        {"status=503,,share=1", ',', -ERR_CONFIG, {.share = 0}},
        {"colour=red", ',', -ERR_CONFIG, {.share = 0}},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fault got = {.share = 0};
        struct err err = {.code = 0};
        int code = fault_parse(span_of(cases[i].text), cases[i].sep, &got, &err);
        if (code != cases[i].code || got.status != cases[i].want.status ||
            got.delay_ms != cases[i].want.delay_ms || got.share != cases[i].want.share) {
            fail_msg("'%s': %d, %u %ld %u (%s)", cases[i].text, code, got.status,
                     (long)got.delay_ms, got.share, err.text);
        }
    }
}

static void test_share(void **state)
{
    static const unsigned shares[] = {0, 1, 50, 100};
    struct rng rng;
    UNUSED(state);
    rng_seed(&rng, 7);
    for (size_t i = 0; i < ARRAY_LEN(shares); i++) {
        const struct fault f = {.status = 503, .share = shares[i]};
        int struck = 0;
        for (int k = 0; k < 10000; k++) {
            struck += fault_strikes(&f, &rng) ? 1 : 0;
        }
        /* Six standard deviations of the binomial. */
        assert_in_range(struck + 300, shares[i] * 100, shares[i] * 100 + 600);
        if (shares[i] == 0 || shares[i] == 100) {
            assert_int_equal(struck, shares[i] * 100);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
