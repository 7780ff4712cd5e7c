#include "io/io_unix.c"

#include <string.h>
#include <sys/socket.h>

#include "unit/io/io_help.h"

static void on_event(void *arg, unsigned events)
{
    *(unsigned *)arg |= events;
}

/* The streams themselves are tested with io_tcp: here is what differs. */
static void test_unix_stream(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    int fds[2];
    unsigned seen = 0;
    char got[8];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    struct io *a = io_unix_take(loop, fds[0]);
    struct io *b = io_unix_take(loop, fds[1]);
    assert_string_equal(a->ops->name, "unix");
    assert_int_equal(io_fd(a), fds[0]);
    io_set_owner(b, on_event, &seen);
    io_watch(b, IO_READ);
    assert_int_equal(io_write(a, "hello", 5), 5);
    io_abort(a); /* there is no reset on a unix socket: it ends */
    TURN_UNTIL(loop, seen != 0);
    assert_int_equal(io_read(b, got, sizeof(got)), 5);
    assert_memory_equal(got, "hello", 5);
    assert_int_equal(io_read(b, got, sizeof(got)), 0);
    assert_int_equal(io_write(b, "x", 1), -ERR_RESET);
    io_close(b);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unix_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
