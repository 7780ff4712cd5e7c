/* The table of limits: what is generated from it belongs together, and can be shown. */
#include "http/limits.c"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* after setjmp and stdarg */
#include <cmocka.h>

static void test_rows_are_whole(void **state)
{
    UNUSED(state);
    for (size_t i = LIMIT_NONE + 1; i < LIMIT_COUNT; i++) {
        const struct limit_row *r = &limits_rows[i];
        assert_non_null(r->name);
        assert_true(r->value >= 0 && r->stat < LIMIT_STAT_COUNT);
        assert_true(r->reply[0] != '\0' && r->what[0] != '\0');
        assert_true(strlen(r->what) <= 96 && strlen(r->reply) <= 50 && strlen(r->envoy) <= 80);
    }
    assert_null(limits_rows[LIMIT_NONE].name);
}

static void test_counters_are_names(void **state)
{
    UNUSED(state);
    assert_null(limits_stats[LIMIT_STAT_none]);
    for (size_t i = 1; i < LIMIT_STAT_COUNT; i++) {
        for (const char *c = limits_stats[i]; *c != '\0'; c++) {
            assert_true(islower(*c) || isdigit(*c) || *c == '_');
        }
        size_t users = 0;
        for (size_t k = 1; k < LIMIT_COUNT; k++) {
            users += limits_rows[k].stat == i;
        }
        assert_true(users > 0 || strncmp(limits_stats[i], "http2_", 6) == 0);
    }
}

static void test_defaults(void **state)
{
    UNUSED(state);
    assert_int_equal(limits_default.head_bytes, limits_rows[LIMIT_head_bytes].value);
    assert_int_equal(limits_default.idle_ms, limits_rows[LIMIT_idle_ms].value);
    assert_int_equal(LIMIT_DEFAULT_stream_idle_ms, limits_rows[LIMIT_stream_idle_ms].value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_whole),
        cmocka_unit_test(test_counters_are_names),
        cmocka_unit_test(test_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
