#include "io/io.c"

#include <string.h>

#include "base/mem.h"
#include "unit/io/io_help.h"

/* A transformation as TLS is one: reads 8 bytes from below at a time and hands out fewer. */
struct layer {
    struct io io;
    char held[8];
    size_t at, end;
    int closes;
};

static ssize_t layer_read(struct io *io, char *to, size_t room)
{
    struct layer *l = container_of(io, struct layer, io);
    if (l->at == l->end) {
        ssize_t n = io_read(io->lower, l->held, sizeof(l->held));
        if (n <= 0) {
            return n;
        }
        l->at = 0;
        l->end = (size_t)n;
    }
    size_t n = size_min(room, l->end - l->at);
    memcpy(to, l->held + l->at, n);
    l->at += n;
    return (ssize_t)n;
}

static ssize_t layer_writev(struct io *io, const struct iovec *v, int n)
{
    return io_writev(io->lower, v, n);
}

static int layer_shut(struct io *io)
{
    return io_shut(io->lower);
}

static void layer_watch(struct io *io, unsigned events)
{
    io_watch(io->lower, events);
}

static bool layer_pending(const struct io *io)
{
    const struct layer *l = container_of(io, const struct layer, io);
    return l->at < l->end;
}

static int layer_fd(const struct io *io)
{
    UNUSED(io);
    return -1;
}

static void layer_close(struct io *io)
{
    struct layer *l = container_of(io, struct layer, io);
    l->closes++;
    io_close(io->lower);
}

static const struct io_ops layer_ops = {
    .name = "layer",
    .read = layer_read,
    .writev = layer_writev,
    .shut = layer_shut,
    .watch = layer_watch,
    .pending = layer_pending,
    .fd = layer_fd,
    .close = layer_close,
};

static void on_lower(void *arg, unsigned events)
{
    struct layer *l = arg;
    io_tell(&l->io, events);
}

struct owner {
    struct io *io;
    size_t take;
    char got[64];
    size_t len;
    int calls;
    bool closes;
};

static void on_event(void *arg, unsigned events)
{
    struct owner *o = arg;
    UNUSED(events);
    o->calls++;
    if (o->closes) {
        io_close(o->io);
        return;
    }
    ssize_t n = io_read(o->io, o->got + o->len, o->take);
    o->len += n > 0 ? (size_t)n : 0;
}

static void start(struct loop *loop, struct layer *l, struct owner *o, struct io **far)
{
    memset(l, 0, sizeof(*l));
    memset(o, 0, sizeof(*o));
    io_init(&l->io, &layer_ops, loop);
    io_mem_pair(loop, 100, &l->io.lower, far);
    io_set_owner(l->io.lower, on_lower, l);
    o->io = &l->io;
    io_set_owner(o->io, on_event, o);
}

static void test_pending_bytes_are_told_each_turn(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(true);
    struct layer l;
    struct owner o;
    struct io *far;
    start(loop, &l, &o, &far);
    assert_ptr_equal(io_bottom(o.io), l.io.lower);
    assert_int_equal(io_write(far, "0123456789", 10), 10);
    o.take = 3;
    io_watch(o.io, IO_READ);
    (void)loop_turn(loop, false);
    assert_int_equal(o.calls, 1);
    turn_out(loop);
    assert_int_equal(o.len, 10);
    assert_memory_equal(o.got, "0123456789", 10);
    /* not told while unwatched, told again when watched anew, also to another owner */
    assert_int_equal(io_write(far, "abcdef", 6), 6);
    (void)loop_turn(loop, false);
    assert_true(layer_pending(o.io));
    io_watch(o.io, 0);
    int calls = o.calls;
    turn_out(loop);
    assert_int_equal(o.calls, calls);
    struct owner next = {.io = o.io, .take = 3};
    io_set_owner(o.io, on_event, &next);
    io_watch(o.io, IO_READ);
    assert_int_equal(next.calls, 0);
    turn_out(loop);
    assert_int_equal(o.calls, calls);
    assert_int_equal(o.len + next.len, 16);
    io_close(o.io);
    io_close(far);
    turn_out(loop);
    loop_free(loop);
}

static void test_close_with_bytes_pending(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(true);
    struct layer l;
    struct owner o;
    struct io *far;
    start(loop, &l, &o, &far);
    assert_int_equal(io_write(far, "0123456789", 10), 10);
    o.take = 1;
    io_watch(o.io, IO_READ);
    (void)loop_turn(loop, false);
    assert_int_equal(o.calls, 1);
    o.closes = true;
    turn_out(loop);
    assert_int_equal(o.calls, 2);
    assert_true(l.io.closed);
    assert_int_equal(l.closes, 1);
    io_tell(&l.io, IO_READ | IO_WRITE); /* who still tells a closed stream tells nobody */
    assert_int_equal(o.calls, 2);
    io_close(far);
    turn_out(loop);
    loop_free(loop);
}

static void test_abort_reaches_the_bottom(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(true);
    struct layer l;
    struct owner o;
    struct io *far;
    start(loop, &l, &o, &far);
    io_abort(o.io);
    assert_int_equal(io_read(far, (char[1]){0}, 1), -ERR_RESET);
    io_close(far);
    turn_out(loop);
    loop_free(loop);
}

static void test_only_what_is_watched_is_told(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(true);
    struct layer l;
    struct owner o;
    struct io *far;
    start(loop, &l, &o, &far);
    io_tell(o.io, IO_READ | IO_WRITE);
    assert_int_equal(o.calls, 0);
    io_watch(o.io, IO_WRITE);
    io_tell(o.io, IO_READ);
    assert_int_equal(o.calls, 0);
    io_tell(o.io, IO_READ | IO_WRITE);
    assert_int_equal(o.calls, 1);
    io_close(o.io);
    io_close(far);
    turn_out(loop);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pending_bytes_are_told_each_turn),
        cmocka_unit_test(test_close_with_bytes_pending),
        cmocka_unit_test(test_abort_reaches_the_bottom),
        cmocka_unit_test(test_only_what_is_watched_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
