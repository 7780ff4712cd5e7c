#include "io/signals.c"

#include <unistd.h>

#include "unit/io/io_help.h"

struct seen {
    int count[64];
    struct signals *signals;
    bool frees;
};

static void on_signal(void *arg, int signo)
{
    struct seen *seen = arg;
    seen->count[signo]++;
    if (seen->frees) {
        signals_free(seen->signals);
        seen->signals = NULL;
    }
}

static void test_signals_are_events(void **state)
{
    UNUSED(state);
    int fds = open_fds();
    for (int round = 0; round < 2; round++) { /* a second loop may have them after the first */
        struct loop *loop = loop_new(false);
        struct seen seen = {.frees = false};
        seen.signals = signals_new(loop, (const int[]){SIGTERM, SIGHUP, 0}, on_signal, &seen);
        assert_int_equal(kill(getpid(), SIGTERM), 0);
        assert_int_equal(kill(getpid(), SIGHUP), 0);
        TURN_UNTIL(loop, seen.count[SIGTERM] == 1 && seen.count[SIGHUP] == 1);
        assert_int_equal(kill(getpid(), SIGHUP), 0);
        TURN_UNTIL(loop, seen.count[SIGHUP] == 2);
        signals_free(seen.signals);
        loop_free(loop);
    }
    signals_free(NULL);
    assert_int_equal(open_fds(), fds);
}

static void test_free_in_the_call(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    struct seen seen = {.frees = true};
    seen.signals = signals_new(loop, (const int[]){SIGUSR1, SIGUSR2, 0}, on_signal, &seen);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_int_equal(kill(getpid(), SIGUSR2), 0);
    TURN_UNTIL(loop, seen.signals == NULL);
    (void)loop_turn(loop, false);
    assert_int_equal(seen.count[SIGUSR1] + seen.count[SIGUSR2], 1); /* the other one went with it */
    loop_free(loop);
}

static void test_sigpipe_is_ignored(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    struct signals *signals = signals_new(loop, (const int[]){0}, on_signal, NULL);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    assert_int_equal(write(ends[1], "x", 1), -1); /* and we are still here */
    close(ends[1]);
    signals_free(signals);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signals_are_events),
        cmocka_unit_test(test_free_in_the_call),
        cmocka_unit_test(test_sigpipe_is_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
