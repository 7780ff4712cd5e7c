/* mesh/paths: the rules of XDG, and root's places. */
#include "mesh/paths.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_environment_wins(void **state)
{
    (void)state;
    char to[PATHS_BYTES];
    assert_int_equal(setenv("XDG_RUNTIME_DIR", "/run/user/7", 1), 0);
    assert_string_equal(paths_demo_dir(to), "/run/user/7/mesh-demo");
    assert_int_equal(setenv("XDG_RUNTIME_DIR", "/run/user/0", 1), 0);
    assert_string_equal(paths_demo_dir(to),
                        geteuid() == 0 ? "/tmp/mesh-demo-0" : "/run/user/0/mesh-demo");
    assert_int_equal(setenv("XDG_RUNTIME_DIR", "", 1), 0); /* empty is unset */
    char want[PATHS_BYTES];
    snprintf(want, sizeof want, "/tmp/mesh-demo-%u", (unsigned)geteuid());
    assert_string_equal(paths_demo_dir(to), want);
}

static void test_root_and_others(void **state)
{
    (void)state;
    char socket[PATHS_BYTES];
    char data[PATHS_BYTES];
    assert_int_equal(setenv("XDG_RUNTIME_DIR", "/run/user/7", 1), 0);
    assert_int_equal(setenv("XDG_STATE_HOME", "/home/u/state", 1), 0);
    paths_control_socket(socket);
    paths_data_dir(data);
    if (geteuid() == 0) {
        assert_string_equal(socket, "/run/mesh/control.sock");
        assert_string_equal(data, "/var/lib/mesh");
    } else {
        assert_string_equal(socket, "/run/user/7/mesh/control.sock");
        assert_string_equal(data, "/home/u/state/mesh");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment_wins),
        cmocka_unit_test(test_root_and_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
