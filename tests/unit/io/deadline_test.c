#include "io/deadline.c"

#include "base/rng.h"
#include "unit/io/io_help.h"

struct alarm {
    struct deadline deadline;
    struct loop *loop;
    int64_t want_ms;  /* when it is to fire */
    int64_t fired_ms; /* -1 = not yet */
    int64_t again_ms; /* armed anew by its own call, if > 0 */
    struct alarm *disarms;
    int calls;
};

static void on_due(struct deadline *d)
{
    struct alarm *a = container_of(d, struct alarm, deadline);
    a->calls++;
    a->fired_ms = instant_mono_ms();
    if (a->again_ms > 0) {
        deadline_arm(&a->deadline, a->loop, a->again_ms);
    }
    if (a->disarms != NULL) {
        deadline_disarm(&a->disarms->deadline);
    }
}

static void alarm_init(struct alarm *a, struct loop *loop)
{
    *a = (struct alarm){.loop = loop, .fired_ms = -1};
    deadline_init(&a->deadline, on_due);
}

static struct loop *sim_start(int64_t mono_ms)
{
    instant_fake_start(mono_ms * 1000000, 0);
    return loop_new(true);
}

static void sim_end(struct loop *loop)
{
    loop_free(loop);
    instant_fake_stop();
}

/* As a simulation does: run out, then go to the next deadline. */
static void run_for(struct loop *loop, int64_t ms)
{
    int64_t end = instant_mono_ms() + ms;
    turn_out(loop);
    for (;;) {
        int64_t next = loop_next_due_ms(loop);
        if (next < 0 || instant_mono_ms() + next > end) {
            instant_fake_advance((end - instant_mono_ms()) * 1000000);
            turn_out(loop);
            return;
        }
        instant_fake_advance(next * 1000000);
        turn_out(loop);
    }
}

static void test_each_at_its_time(void **state)
{
    UNUSED(state);
    static const int64_t starts[] = {0, 1, 255, 256, 1000003, 1 << 20, (1 << 26) - 1};
    static const int64_t lengths[] = {1,     2,       255,     256,      257,      511,
                                      16383, 16384,   16385,   1048575,  1048576,  1048577,
                                      60000, 3600000, 7200000, 66060288, 67108864, 400000000};
    for (size_t s = 0; s < ARRAY_LEN(starts); s++) {
        struct loop *loop = sim_start(starts[s]);
        struct alarm alarms[ARRAY_LEN(lengths)];
        for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
            alarm_init(&alarms[i], loop);
            deadline_arm(&alarms[i].deadline, loop, lengths[i]);
            assert_true(deadline_is_armed(&alarms[i].deadline));
        }
        run_for(loop, 500000000);
        for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
            assert_int_equal(alarms[i].calls, 1);
            assert_int_equal(alarms[i].fired_ms, starts[s] + lengths[i]);
            assert_false(deadline_is_armed(&alarms[i].deadline));
        }
        assert_int_equal(loop_next_due_ms(loop), -1);
        sim_end(loop);
    }
}

/* Many, armed, moved and disarmed at random while time goes in steps of any size: never early, and due as
 * soon as the clock is read. */
static void test_random_against_a_plain_model(void **state)
{
    UNUSED(state);
    enum { COUNT = 300 };
    static struct alarm alarms[COUNT];
    struct rng rng;
    rng_seed(&rng, 7);
    struct loop *loop = sim_start(12345);
    for (int i = 0; i < COUNT; i++) {
        alarm_init(&alarms[i], loop);
        alarms[i].want_ms = -1;
    }
    for (int round = 0; round < 4000; round++) {
        for (int k = 0; k < 5; k++) {
            struct alarm *a = &alarms[rng_below(&rng, COUNT)];
            if (rng_below(&rng, 4) == 0) {
                deadline_disarm(&a->deadline);
                a->want_ms = -1;
            } else {
                int64_t after = (int64_t)rng_below(&rng, UINT64_C(1) << rng_below(&rng, 24)) + 1;
                deadline_arm(&a->deadline, loop, after);
                a->want_ms = loop_now_ms(loop) + after;
                a->fired_ms = -1;
            }
        }
        instant_fake_advance((int64_t)rng_below(&rng, UINT64_C(1) << rng_below(&rng, 16)) *
                             1000000);
        (void)loop_turn(loop, false);
        int64_t now = instant_mono_ms();
        int64_t earliest = INT64_MAX;
        for (int i = 0; i < COUNT; i++) {
            struct alarm *a = &alarms[i];
            bool is_due = a->want_ms >= 0 && a->want_ms <= now;
            assert_int_equal(is_due, a->fired_ms >= 0);
            assert_int_equal(deadline_is_armed(&a->deadline), a->want_ms > now);
            if (is_due) {
                a->want_ms = a->fired_ms = -1;
            }
            if (a->want_ms >= 0) {
                earliest = i64_min(earliest, a->want_ms);
            }
        }
        assert_int_equal(loop_next_due_ms(loop), earliest == INT64_MAX ? -1 : earliest - now);
    }
    sim_end(loop);
}

static void test_arming_inside_calls(void **state)
{
    UNUSED(state);
    struct loop *loop = sim_start(50);
    struct alarm ticks;
    struct alarm killer;
    struct alarm killed;
    alarm_init(&ticks, loop);
    alarm_init(&killer, loop);
    alarm_init(&killed, loop);
    ticks.again_ms = 10;
    killer.disarms = &killed;
    deadline_arm(&ticks.deadline, loop, 10);
    deadline_arm(&killer.deadline, loop, 20);
    deadline_arm(&killed.deadline, loop, 20); /* same millisecond: already being run */
    run_for(loop, 100);
    assert_int_equal(ticks.calls, 10);
    assert_int_equal(killer.calls, 1);
    assert_int_equal(killed.calls, 0);
    deadline_disarm(&ticks.deadline);
    sim_end(loop);
}

static void test_at_once_is_the_next_turn(void **state)
{
    UNUSED(state);
    struct loop *loop = sim_start(50);
    struct alarm a;
    alarm_init(&a, loop);
    deadline_arm(&a.deadline, loop, 0);
    assert_int_equal(loop_next_due_ms(loop), 0);
    assert_int_equal(a.calls, 0);
    assert_true(loop_turn(loop, false));
    assert_int_equal(a.calls, 1);
    deadline_arm(&a.deadline, loop, -5);
    assert_true(loop_turn(loop, false));
    assert_int_equal(a.calls, 2);
    deadline_arm(&a.deadline, loop, INT64_MAX); /* for ever, and no overflow */
    run_for(loop, INT64_C(3600) * 24 * 365 * 1000);
    assert_int_equal(a.calls, 2);
    assert_true(deadline_is_armed(&a.deadline));
    deadline_disarm(&a.deadline);
    deadline_disarm(&a.deadline);
    sim_end(loop);
}

/* Between turns, as at start-up, the loop's time may be old. */
static void test_armed_between_turns(void **state)
{
    UNUSED(state);
    struct loop *loop = sim_start(50);
    struct alarm a;
    alarm_init(&a, loop);
    instant_fake_advance(INT64_C(3000) * 1000000);
    deadline_arm(&a.deadline, loop, 100);
    turn_out(loop);
    assert_int_equal(a.calls, 0);
    assert_int_equal(loop_next_due_ms(loop), 100);
    run_for(loop, 100);
    assert_int_equal(a.calls, 1);
    sim_end(loop);
}

static void test_real_time_is_never_early(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    for (int64_t ms = 0; ms <= 30; ms += 3) {
        struct alarm a;
        alarm_init(&a, loop);
        (void)loop_turn(loop, false);
        int64_t start_ns = loop_now_ns(loop);
        deadline_arm(&a.deadline, loop, ms);
        while (a.calls == 0) {
            (void)loop_turn(loop, true);
        }
        assert_true(loop_now_ns(loop) - start_ns >= ms * 1000000);
        assert_true(loop_now_ns(loop) - start_ns < (ms + 2000) * 1000000);
    }
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_at_its_time),
        cmocka_unit_test(test_random_against_a_plain_model),
        cmocka_unit_test(test_arming_inside_calls),
        cmocka_unit_test(test_at_once_is_the_next_turn),
        cmocka_unit_test(test_armed_between_turns),
        cmocka_unit_test(test_real_time_is_never_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
