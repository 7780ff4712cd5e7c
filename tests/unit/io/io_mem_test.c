#include "io/io_mem.c"

#include <string.h>

#include "unit/io/io_help.h"

struct end {
    struct io *io;
    int reads; /* told readable */
    int writes;
    size_t take; /* bytes to read at each telling */
    bool closes;
    size_t len;
    ssize_t last;
};

static void on_event(void *arg, unsigned events)
{
    struct end *e = arg;
    char bytes[4096];
    e->reads += (events & IO_READ) != 0;
    e->writes += (events & IO_WRITE) != 0;
    if (e->closes) {
        io_close(e->io);
        e->io = NULL;
    } else if ((events & IO_READ) != 0 && e->take > 0) {
        e->last = io_read(e->io, bytes, e->take);
        e->len += e->last > 0 ? (size_t)e->last : 0;
        if (e->last == 0 || (e->last < 0 && e->last != -EAGAIN)) {
            io_watch(e->io, 0);
        }
    }
}

static void start(struct loop **loop, size_t room, struct end *a, struct end *b)
{
    *loop = loop_new(true);
    *a = (struct end){.take = 4096};
    *b = (struct end){.take = 4096};
    io_mem_pair(*loop, room, &a->io, &b->io);
    io_set_owner(a->io, on_event, a);
    io_set_owner(b->io, on_event, b);
    assert_int_equal(io_fd(a->io), -1);
}

static void finish(struct loop *loop, struct end *a, struct end *b)
{
    io_close(a->io);
    io_close(b->io);
    turn_out(loop);
    loop_free(loop);
}

static void test_told_each_turn_while_bytes_are_left(void **state)
{
    UNUSED(state);
    struct loop *loop;
    struct end a;
    struct end b;
    start(&loop, 100, &a, &b);
    b.take = 3;
    assert_int_equal(io_read(b.io, (char[1]){0}, 1), -EAGAIN);
    assert_int_equal(io_write(a.io, "0123456789", 10), 10);
    turn_out(loop);
    assert_int_equal(b.reads, 0); /* not watched yet */
    assert_true(b.io->ops->pending(b.io));
    io_watch(b.io, IO_READ);
    assert_int_equal(b.reads, 0); /* never within the call */
    (void)loop_turn(loop, false);
    assert_int_equal(b.reads, 1);
    turn_out(loop);
    assert_int_equal(b.reads, 4);
    assert_int_equal(b.len, 10);
    assert_false(b.io->ops->pending(b.io));
    finish(loop, &a, &b);
}

static void test_a_full_end_stops_the_writer(void **state)
{
    UNUSED(state);
    struct loop *loop;
    struct end a;
    struct end b;
    start(&loop, 10, &a, &b);
    assert_int_equal(io_write(a.io, "0123456", 7), 7);
    char first[] = "89";
    char second[] = "abcd";
    const struct iovec parts[] = {{first, 2}, {second, 4}};
    assert_int_equal(io_writev(a.io, parts, 2), 3);
    assert_int_equal(io_write(a.io, "x", 1), -EAGAIN);
    io_watch(a.io, IO_WRITE);
    turn_out(loop);
    assert_int_equal(a.writes, 0);
    char got[4];
    assert_int_equal(io_read(b.io, got, 4), 4);
    assert_memory_equal(got, "0123", 4);
    (void)loop_turn(loop, false);
    (void)loop_turn(loop, false);
    assert_int_equal(a.writes, 2); /* level-triggered */
    assert_int_equal(io_write(a.io, "vwxyz", 5), 4);
    finish(loop, &a, &b);
}

static void test_half_close_then_close(void **state)
{
    UNUSED(state);
    struct loop *loop;
    struct end a;
    struct end b;
    start(&loop, 100, &a, &b);
    io_watch(a.io, IO_READ);
    io_watch(b.io, IO_READ);
    b.last = -1;
    assert_int_equal(io_write(a.io, "bye", 3), 3);
    assert_int_equal(io_shut(a.io), 0);
    assert_int_equal(io_write(a.io, "x", 1), -ERR_RESET);
    turn_out(loop);
    assert_int_equal(b.len, 3);
    assert_int_equal(b.last, 0);
    assert_int_equal(io_write(b.io, "still", 5), 5);
    turn_out(loop);
    assert_int_equal(a.len, 5);
    io_close(b.io);
    a.last = -1;
    turn_out(loop);
    assert_int_equal(a.last, 0);
    assert_int_equal(io_write(a.io, "x", 1), -ERR_RESET);
    io_close(a.io);
    turn_out(loop);
    loop_free(loop);
}

static void test_resets(void **state)
{
    UNUSED(state);
    struct loop *loop;
    struct end a;
    struct end b;
    /* what was sent before the reset is still read */
    start(&loop, 100, &a, &b);
    io_watch(b.io, IO_READ);
    assert_int_equal(io_write(a.io, "abc", 3), 3);
    io_abort(a.io);
    turn_out(loop);
    assert_int_equal(b.len, 3);
    assert_int_equal(b.last, -ERR_RESET);
    io_close(b.io);
    loop_free(loop);
    /* closing with bytes unread is a reset */
    start(&loop, 100, &a, &b);
    io_watch(b.io, IO_READ);
    assert_int_equal(io_write(b.io, "abc", 3), 3);
    io_close(a.io);
    turn_out(loop);
    assert_int_equal(b.last, -ERR_RESET);
    io_close(b.io);
    loop_free(loop);
    /* broken on purpose */
    start(&loop, 100, &a, &b);
    io_watch(b.io, IO_READ | IO_WRITE);
    assert_int_equal(io_write(a.io, "abc", 3), 3);
    io_mem_break(b.io, -ERR_TIMEOUT);
    assert_int_equal(io_read(b.io, (char[1]){0}, 1), -ERR_TIMEOUT);
    assert_int_equal(io_write(b.io, "x", 1), -ERR_TIMEOUT);
    assert_int_equal(io_shut(b.io), -ERR_TIMEOUT);
    turn_out(loop);
    assert_int_equal(b.last, -ERR_TIMEOUT);
    finish(loop, &a, &b);
}

static void test_close_in_event_and_no_event_after(void **state)
{
    UNUSED(state);
    struct loop *loop;
    struct end a;
    struct end b;
    start(&loop, 100, &a, &b);
    b.closes = true;
    io_watch(b.io, IO_READ | IO_WRITE);
    assert_int_equal(io_write(a.io, "abc", 3), 3);
    turn_out(loop);
    assert_null(b.io);
    assert_int_equal(b.reads, 1);
    /* an event under way dies with the stream */
    io_watch(a.io, IO_WRITE);
    io_close(a.io);
    turn_out(loop);
    assert_int_equal(a.writes, 0);
    io_close(NULL);
    io_abort(NULL);
    loop_free(loop);
}

static void test_a_new_owner_is_told_what_is_there(void **state)
{
    UNUSED(state);
    struct loop *loop;
    struct end a;
    struct end b;
    start(&loop, 100, &a, &b);
    io_watch(b.io, IO_READ);
    assert_int_equal(io_write(a.io, "abc", 3), 3);
    struct end c = {.io = b.io, .take = 10};
    io_set_owner(b.io, on_event, &c);
    turn_out(loop);
    assert_int_equal(b.reads, 0);
    assert_int_equal(c.len, 3);
    finish(loop, &a, &b);
}

static void test_works_on_a_real_loop(void **state)
{
    UNUSED(state);
    struct end a = {.take = 7};
    struct end b = {.take = 7};
    struct loop *loop = loop_new(false);
    io_mem_pair(loop, 4096, &a.io, &b.io);
    io_set_owner(b.io, on_event, &b);
    io_watch(b.io, IO_READ);
    char block[1000] = {0};
    assert_int_equal(io_write(a.io, block, sizeof(block)), sizeof(block));
    while (b.len < sizeof(block)) {
        (void)loop_turn(loop, true); /* does not sleep while there is something to tell */
    }
    io_close(a.io);
    io_close(b.io);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_told_each_turn_while_bytes_are_left),
        cmocka_unit_test(test_a_full_end_stops_the_writer),
        cmocka_unit_test(test_half_close_then_close),
        cmocka_unit_test(test_resets),
        cmocka_unit_test(test_close_in_event_and_no_event_after),
        cmocka_unit_test(test_a_new_owner_is_told_what_is_there),
        cmocka_unit_test(test_works_on_a_real_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
