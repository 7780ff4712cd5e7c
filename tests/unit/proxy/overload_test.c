/* proxy/overload: which level follows which, and that none flaps. */
#include "proxy/overload.c"

#include "unit/cm.h"

static void levels_follow_pressure(void **state)
{
    UNUSED(state);
    static const struct {
        enum overload_level now, next;
        unsigned memory, connections;
    } cases[] = {
        {OVERLOAD_NONE, OVERLOAD_NONE, 0, 0},
        {OVERLOAD_NONE, OVERLOAD_NONE, 849, 849},
        {OVERLOAD_NONE, OVERLOAD_IDLE, 850, 0},
        {OVERLOAD_NONE, OVERLOAD_IDLE, 0, 850},
        {OVERLOAD_NONE, OVERLOAD_IDLE, 0, 1000}, /* shared_enter refuses further ones */
        {OVERLOAD_NONE, OVERLOAD_CONNECTIONS, 920, 0},
        {OVERLOAD_NONE, OVERLOAD_REQUESTS, 970, 0},
        {OVERLOAD_REQUESTS, OVERLOAD_REQUESTS, 920, 0},
        {OVERLOAD_REQUESTS, OVERLOAD_CONNECTIONS, 919, 0},
        {OVERLOAD_CONNECTIONS, OVERLOAD_CONNECTIONS, 870, 0},
        {OVERLOAD_CONNECTIONS, OVERLOAD_IDLE, 869, 0},
        {OVERLOAD_IDLE, OVERLOAD_IDLE, 800, 0},
        {OVERLOAD_IDLE, OVERLOAD_IDLE, 0, 800},
        {OVERLOAD_IDLE, OVERLOAD_NONE, 799, 799},
        {OVERLOAD_REQUESTS, OVERLOAD_NONE, 100, 100},
        {OVERLOAD_IDLE, OVERLOAD_REQUESTS, 1000, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(overload_next(cases[i].now, cases[i].memory, cases[i].connections),
                         cases[i].next);
    }
}

static void pressure_is_bounded(void **state)
{
    UNUSED(state);
    assert_int_equal(pressure_of(5, 0), 0);
    assert_int_equal(pressure_of(5, 10), 500);
    assert_int_equal(pressure_of(50, 10), 1000);
    assert_true(used_bytes() > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_follow_pressure),
        cmocka_unit_test(pressure_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
