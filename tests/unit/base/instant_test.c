/* base/instant: the calendar, the frozen clocks, the test clock. */
#include "base/instant.c"

#include <string.h>

#include "unit/cm.h"

static void knows_the_calendar(void **state)
{
    static const struct {
        int64_t wall_s;
        struct instant_civil civil;
    } rows[] = {
        {0, {1970, 1, 1, 0, 0, 0, 4}},
        {-1, {1969, 12, 31, 23, 59, 59, 3}},
        {951782400, {2000, 2, 29, 0, 0, 0, 2}},
        {951868799, {2000, 2, 29, 23, 59, 59, 2}},
        {4107542400, {2100, 3, 1, 0, 0, 0, 1}},
        {1795430777, {2026, 11, 23, 10, 46, 17, 1}},
        {253402300799, {9999, 12, 31, 23, 59, 59, 5}},
        {-62135596800, {1, 1, 1, 0, 0, 0, 1}},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct instant_civil got = instant_to_civil(rows[i].wall_s);
        assert_memory_equal(&got, &rows[i].civil, sizeof(got));
        assert_true(instant_from_civil(&rows[i].civil) == rows[i].wall_s);
    }
}

static void agrees_with_itself_for_400_years(void **state)
{
    UNUSED(state);
    struct instant_civil before = instant_to_civil(0);
    for (int64_t day = 1; day < 146097; day++) {
        struct instant_civil c = instant_to_civil(day * DAY_SECONDS);
        assert_true(instant_from_civil(&c) == day * DAY_SECONDS);
        assert_int_equal(c.weekday, (before.weekday + 1) % 7);
        assert_true(c.day == before.day + 1 || (c.day == 1 && before.day >= 28));
        before = c;
    }
}

static void freezes(void **state)
{
    UNUSED(state);
    instant_fake_start(5000, 1000000);
    assert_true(instant_is_fake());
    assert_true(instant_mono_ns() == 5000 && instant_wall_us() == 1000000);
    for (int i = 0; i < 10; i++) {
        instant_fake_advance(100);
    }
    assert_true(instant_mono_ns() == 6000 && instant_wall_us() == 1000001);
    assert_true(instant_until_wall_ms(1000001 + 1500) == 2);
    assert_true(instant_until_wall_ms(0) == 0);
    instant_fake_stop();
    assert_false(instant_is_fake());
    int64_t mono = instant_mono_ns();
    assert_true(mono > 0 && instant_mono_ns() >= mono);
    assert_true(instant_wall_s() > 1600000000);
}

static void runs_faster_when_told(void **state)
{
    static const char *const bad[] = {"",  "x", "1,", "1,0", "1,-2", "1,2,3", "99999999999999,1",
                                      "1 "};
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(test_clock_set(bad[i]), -ERR_CONFIG);
    }
    int64_t before = instant_wall_us();
    assert_int_equal(test_clock_set("3600"), 0);
    assert_true(instant_wall_us() - before >= 3600 * (int64_t)1000000);
    assert_int_equal(test_clock_set("-3600,1000"), 0);
    assert_true(instant_wall_us() < before);
    instant_test.base_us -= 1000000; /* as if a second had gone by */
    /* A tenth of a second is left to the machine's own clock, which may be set back at any time: here it is 100. */
    assert_true(instant_wall_us() - before > (1000 - 3700) * (int64_t)1000000);
    assert_true(instant_until_wall_ms(instant_wall_us() + 1000 * (int64_t)1000000) <= 1001);
    memset(&instant_test, 0, sizeof(instant_test));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_calendar),
        cmocka_unit_test(agrees_with_itself_for_400_years),
        cmocka_unit_test(freezes),
        cmocka_unit_test(runs_faster_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
