/* base/compiler: a broken invariant ends the process with a line that says which. */
#include "base/compiler.c"

#include <string.h>
#include <sys/wait.h>

#include "unit/cm.h"

static void assert_says_what_and_aborts(void **state)
{
    UNUSED(state);
    int fds[2];
    char text[512] = "";
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(fds[1], STDERR_FILENO);
        ASSERT(1 + 1 == 3);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
    assert_non_null(strstr(text, "compiler_test.c:"));
    assert_non_null(strstr(text, ": assertion failed: 1 + 1 == 3\n"));
    (void)close(fds[0]);
    (void)close(fds[1]);
}

struct outer {
    int a;
    int b;
};

static void finds_the_container(void **state)
{
    UNUSED(state);
    struct outer o = {1, 2};
    assert_ptr_equal(container_of(&o.b, struct outer, b), &o);
    assert_true(size_min(1, 2) == 1 && size_max(1, 2) == 2);
    assert_true(i64_min(-1, 2) == -1 && i64_max(-1, 2) == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(assert_says_what_and_aborts),
        cmocka_unit_test(finds_the_container),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
