/* base/rng: reproducible, in bounds, not visibly uneven. */
#include "base/rng.c"

#include "unit/cm.h"

/* From the published algorithms: splitmix64 from 0, then xoshiro256**. */
static void follows_the_algorithm(void **state)
{
    UNUSED(state);
    struct rng r;
    rng_seed(&r, 0);
    assert_true(r.state[0] == 0xe220a8397b1dcdafU);
    assert_true(r.state[1] == 0x6e789e6aa1b965f4U);
    assert_true(rng_u64(&r) == 0x99ec5f36cb75f2b4U);
}

static void stays_below(void **state)
{
    UNUSED(state);
    struct rng r;
    size_t hits[7] = {0};
    rng_seed(&r, 42);
    for (int i = 0; i < 70000; i++) {
        uint64_t n = rng_below(&r, 7);
        assert_true(n < 7);
        hits[n]++;
    }
    for (size_t i = 0; i < ARRAY_LEN(hits); i++) {
        assert_in_range(hits[i], 9500, 10500);
    }
    assert_int_equal(rng_below(&r, 1), 0);
    assert_true(rng_below(&r, UINT64_MAX) < UINT64_MAX);
}

static void differs_when_drawn(void **state)
{
    UNUSED(state);
    struct rng a;
    struct rng b;
    rng_init(&a);
    rng_init(&b);
    assert_true(rng_u64(&a) != rng_u64(&b));
    rng_fill_secret(&a, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_algorithm),
        cmocka_unit_test(stays_below),
        cmocka_unit_test(differs_when_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
