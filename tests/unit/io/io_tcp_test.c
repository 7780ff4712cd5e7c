#include "io/io_tcp.c"

#include <netinet/tcp.h>
#include <string.h>

#include "unit/io/io_help.h"

struct end {
    struct io *io;
    unsigned seen; /* events told */
    int calls;
    char got[256];
    size_t len;
    ssize_t last; /* of the last read */
    bool closes;  /* within its event */
    bool reads;
};

static void on_event(void *arg, unsigned events)
{
    struct end *e = arg;
    e->seen |= events;
    e->calls++;
    if (e->closes) {
        io_close(e->io);
        e->io = NULL;
        return;
    }
    if (e->reads && (events & IO_READ) != 0) {
        e->last = io_read(e->io, e->got + e->len, sizeof(e->got) - e->len);
        if (e->last > 0) {
            e->len += (size_t)e->last;
        } else if (e->last != -EAGAIN) {
            io_watch(e->io, 0);
        }
    }
}

static void make_pair(struct loop *loop, struct end *a, struct end *b)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    memset(a, 0, sizeof(*a));
    memset(b, 0, sizeof(*b));
    a->reads = b->reads = true;
    a->io = io_tcp_take(loop, fds[0]);
    b->io = io_unix_take(loop, fds[1]);
    io_set_owner(a->io, on_event, a);
    io_set_owner(b->io, on_event, b);
}

static void test_bytes_both_ways(void **state)
{
    UNUSED(state);
    int before = open_fds();
    struct loop *loop = loop_new(false);
    struct end a;
    struct end b;
    make_pair(loop, &a, &b);
    assert_string_equal(a.io->ops->name, "tcp");
    assert_string_equal(b.io->ops->name, "unix");
    io_watch(a.io, IO_READ);
    io_watch(b.io, IO_READ);
    assert_int_equal(io_write(a.io, "ping", 4), 4);
    char first[] = "po";
    char second[] = "ng!";
    const struct iovec parts[] = {{first, 2}, {second, 3}};
    assert_int_equal(io_writev(b.io, parts, 2), 5);
    TURN_UNTIL(loop, a.len == 5 && b.len == 4);
    assert_memory_equal(a.got, "pong!", 5);
    assert_memory_equal(b.got, "ping", 4);
    assert_int_equal(io_read(a.io, a.got, sizeof(a.got)), -EAGAIN);
    /* half-close: b ends, a may still write */
    assert_int_equal(io_shut(b.io), 0);
    TURN_UNTIL(loop, a.last == 0);
    assert_int_equal(io_write(a.io, "more", 4), 4);
    TURN_UNTIL(loop, b.len == 8);
    io_close(a.io);
    TURN_UNTIL(loop, b.last == 0);
    assert_int_equal(io_write(b.io, "x", 1), -ERR_RESET);
    io_close(b.io);
    loop_free(loop);
    assert_int_equal(open_fds(), before);
}

static void test_told_again_until_read(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    struct end a;
    struct end b;
    make_pair(loop, &a, &b);
    b.reads = false;
    io_watch(b.io, IO_READ);
    assert_int_equal(io_write(a.io, "x", 1), 1);
    TURN_UNTIL(loop, b.calls == 3);
    io_watch(b.io, 0);
    for (int i = 0; i < 3; i++) {
        (void)loop_turn(loop, false);
    }
    assert_int_equal(b.calls, 3);
    /* a new owner gets what is pending */
    struct end c = {.io = b.io, .reads = true};
    io_set_owner(b.io, on_event, &c);
    io_watch(b.io, IO_READ);
    TURN_UNTIL(loop, c.len == 1);
    assert_int_equal(b.calls, 3);
    io_close(a.io);
    io_close(b.io);
    loop_free(loop);
}

static void test_close_in_event_ends_events(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    struct end a;
    struct end b;
    make_pair(loop, &a, &b);
    a.closes = b.closes = true;
    io_watch(a.io, IO_READ | IO_WRITE);
    io_watch(b.io, IO_WRITE);
    TURN_UNTIL(loop, a.io == NULL && b.io == NULL);
    assert_int_equal(a.calls, 1);
    assert_int_equal(b.calls, 1);
    for (int i = 0; i < 3; i++) {
        (void)loop_turn(loop, false);
    }
    assert_int_equal(a.calls, 1);
    loop_free(loop);
}

/* The first end to be told closes the other, whose event is then already under way. */
static struct end *victim;
static void on_event_close_other(void *arg, unsigned events)
{
    UNUSED(events);
    struct end *e = arg;
    e->calls++;
    if (victim->io != NULL && victim != e) {
        io_close(victim->io);
        victim->io = NULL;
    }
    io_watch(e->io, 0);
}

static void test_close_of_one_with_event_under_way(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    struct end a;
    struct end b;
    make_pair(loop, &a, &b);
    io_set_owner(a.io, on_event_close_other, &a);
    io_set_owner(b.io, on_event_close_other, &b);
    io_watch(a.io, IO_WRITE);
    io_watch(b.io, IO_WRITE);
    victim = &a; /* whichever is told first: only one is told when it closes the other */
    TURN_UNTIL(loop, a.calls + b.calls > 0);
    (void)loop_turn(loop, false);
    if (b.calls == 1 && a.io == NULL) {
        assert_int_equal(a.calls, 0);
    }
    if (a.io != NULL) {
        io_close(a.io);
    }
    io_close(b.io);
    loop_free(loop);
}

static void tcp_pair(int fds[2])
{
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    assert_int_equal(bind(listening, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&at, &len), 0);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fds[0], (struct sockaddr *)&at, len), 0);
    fds[1] = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(fds[1] >= 0);
    close(listening);
}

static void test_abort_is_seen_as_reset(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    int fds[2];
    tcp_pair(fds);
    struct end a = {.io = io_tcp_take(loop, fds[0])};
    struct end b = {.io = io_tcp_take(loop, fds[1]), .reads = true};
    int on = 0;
    socklen_t len = sizeof(on);
    assert_int_equal(getsockopt(fds[0], IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
    assert_true(on);
    io_set_owner(b.io, on_event, &b);
    io_watch(b.io, IO_READ);
    io_abort(a.io);
    TURN_UNTIL(loop, b.calls > 0);
    assert_int_equal(b.last, -ERR_RESET);
    io_close(b.io);
    loop_free(loop);
}

static void test_full_socket_says_again_and_writable(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    struct end a;
    struct end b;
    make_pair(loop, &a, &b);
    static char block[65536];
    ssize_t n;
    while ((n = io_write(a.io, block, sizeof(block))) > 0) {
    }
    assert_int_equal(n, -EAGAIN);
    io_watch(a.io, IO_WRITE);
    (void)loop_turn(loop, false);
    assert_int_equal(a.calls, 0);
    while (io_read(b.io, block, sizeof(block)) > 0) {
    }
    TURN_UNTIL(loop, a.calls > 0);
    assert_int_equal(a.seen, IO_WRITE);
    io_close(a.io);
    io_close(b.io);
    loop_free(loop);
}

/* What an idle connection costs here; raise the bound only with a reason. */
static void test_memory_of_an_idle_stream(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    struct end a;
    struct end b;
    make_pair(loop, &a, &b);
    io_watch(a.io, IO_READ);
    (void)loop_turn(loop, false);
    assert_true(sizeof(struct io_tcp) <= 456);
    io_close(b.io);
    (void)loop_turn(loop, false);
    size_t one = mem_live_bytes();
    io_close(a.io);
    (void)loop_turn(loop, false);
    one -= mem_live_bytes();
    print_message("an idle stream: %zu bytes\n", one);
    assert_true(one > 0 && one < 512);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_both_ways),
        cmocka_unit_test(test_told_again_until_read),
        cmocka_unit_test(test_close_in_event_ends_events),
        cmocka_unit_test(test_close_of_one_with_event_under_way),
        cmocka_unit_test(test_abort_is_seen_as_reset),
        cmocka_unit_test(test_full_socket_says_again_and_writable),
        cmocka_unit_test(test_memory_of_an_idle_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
