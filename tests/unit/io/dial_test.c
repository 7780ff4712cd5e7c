#include "io/dial.c"

#include <string.h>

#include "unit/io/io_help.h"

struct answer {
    struct io *io;
    int code;
    int calls;
};

static void on_done(void *arg, struct io *io, int code)
{
    struct answer *a = arg;
    a->io = io;
    a->code = code;
    a->calls++;
}

/* A listening socket and its address. */
static int listen_on(const char *text, int backlog, struct addr *out)
{
    struct sockaddr_storage at;
    assert_int_equal(addr_parse(span_of(text), out, NULL), 0);
    socklen_t len = addr_to_sockaddr(out, &at);
    int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fd, backlog), 0);
    len = sizeof(at);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    addr_from_sockaddr(out, (struct sockaddr *)&at, len);
    return fd;
}

static void test_connects(void **state)
{
    UNUSED(state);
    static const char *const places[] = {"127.0.0.1:0", "[::1]:0", "unix:@mesh-dial-test"};
    int fds = open_fds();
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        struct loop *loop = loop_new(false);
        struct dial_spec spec = {.timeout_ms = 5000};
        struct answer a = {.calls = 0};
        int listening = listen_on(places[i], 5, &spec.to);
        struct sockopt_keepalive keepalive = {.idle_ms = 30000, .interval_ms = 1, .probes = 3};
        spec.keepalive = &keepalive;
        assert_non_null(dial_start(loop, &spec, on_done, &a));
        assert_int_equal(a.calls, 0);
        TURN_UNTIL(loop, a.calls == 1);
        assert_int_equal(a.code, 0);
        assert_true(addr_eq(&a.io->peer, &spec.to));
        int server = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        assert_int_equal(io_write(a.io, "hello", 5), 5);
        char got[5];
        assert_int_equal(recv(server, got, 5, MSG_WAITALL), 5);
        if (spec.to.kind == ADDR_IP) {
            int value = 0;
            socklen_t len = sizeof(value);
            assert_int_not_equal(a.io->local.port, 0);
            assert_int_equal(getsockopt(io_fd(a.io), SOL_SOCKET, SO_KEEPALIVE, &value, &len), 0);
            assert_int_equal(value, 1);
        }
        io_close(a.io);
        close(server);
        close(listening);
        loop_free(loop);
    }
    assert_int_equal(open_fds(), fds);
}

static void dial_and_expect(struct loop *loop, const struct dial_spec *spec, int code)
{
    struct answer a = {.calls = 0};
    assert_non_null(dial_start(loop, spec, on_done, &a));
    assert_int_equal(a.calls, 0);
    TURN_UNTIL(loop, a.calls == 1);
    assert_null(a.io);
    assert_int_equal(a.code, code);
    for (int i = 0; i < 3; i++) {
        (void)loop_turn(loop, false);
    }
    assert_int_equal(a.calls, 1);
}

static void test_failures(void **state)
{
    UNUSED(state);
    int fds = open_fds();
    struct loop *loop = loop_new(false);
    struct dial_spec spec = {.timeout_ms = 5000};
    dial_and_expect(loop, &spec, -EINVAL); /* no address */
    close(listen_on("127.0.0.1:0", 1, &spec.to));
    dial_and_expect(loop, &spec, -ECONNREFUSED);
    assert_int_equal(addr_parse(SPAN("unix:/no/such/socket"), &spec.to, NULL), 0);
    dial_and_expect(loop, &spec, -ENOENT);
    int listening = listen_on("127.0.0.1:0", 1, &spec.to);
    assert_int_equal(addr_parse(SPAN("192.0.2.1:0"), &spec.from, NULL), 0);
    dial_and_expect(loop, &spec, -EADDRNOTAVAIL);
    close(listening);
    loop_free(loop);
    assert_int_equal(open_fds(), fds);
}

/* A listener whose queue is full answers no SYN: the connection stays under way. */
static int listen_full(struct addr *addr, int fill[8])
{
    int listening = listen_on("127.0.0.1:0", 0, addr);
    struct sockaddr_storage to;
    socklen_t len = addr_to_sockaddr(addr, &to);
    for (int i = 0; i < 8; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fill[i], (struct sockaddr *)&to, len);
    }
    return listening;
}

static void test_timeout_and_cancel(void **state)
{
    UNUSED(state);
    int fds = open_fds();
    struct loop *loop = loop_new(false);
    struct dial_spec spec = {.timeout_ms = 50};
    int fill[8];
    int listening = listen_full(&spec.to, fill);
    int64_t start_ns = instant_mono_ns();
    dial_and_expect(loop, &spec, -ERR_TIMEOUT);
    assert_true(instant_mono_ns() - start_ns >= 49000000);
    struct answer a = {.calls = 0};
    spec.timeout_ms = 1;
    struct dial *d = dial_start(loop, &spec, on_done, &a);
    dial_cancel(d);
    /* cancelled with its answer already waiting */
    spec.to.kind = ADDR_NONE;
    dial_cancel(dial_start(loop, &spec, on_done, &a));
    int64_t end_ns = instant_mono_ns() + 20000000;
    TURN_UNTIL(loop, instant_mono_ns() > end_ns);
    assert_int_equal(a.calls, 0);
    for (int i = 0; i < 8; i++) {
        close(fill[i]);
    }
    close(listening);
    loop_free(loop);
    assert_int_equal(open_fds(), fds);
}

static int answered(const struct answer *answers, int count)
{
    int calls = 0;
    for (int i = 0; i < count; i++) {
        calls += answers[i].calls;
    }
    return calls;
}

static void test_full_unix_listener_is_tried_again(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    struct dial_spec spec = {.timeout_ms = 5000};
    int listening = listen_on("unix:@mesh-dial-full", 0, &spec.to);
    struct answer answers[4] = {{.calls = 0}};
    int accepted[4];
    for (int i = 0; i < 4; i++) {
        (void)dial_start(loop, &spec, on_done, &answers[i]);
    }
    for (int i = 0; i < 4; i++) {
        TURN_UNTIL(loop, answered(answers, 4) > i);
        accepted[i] = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        assert_true(accepted[i] >= 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(answers[i].code, 0);
        io_close(answers[i].io);
        close(accepted[i]);
    }
    close(listening);
    loop_free(loop);
}

static void test_source_address_and_mark(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    struct dial_spec spec = {.timeout_ms = 5000};
    struct answer a = {.calls = 0};
    int listening = listen_on("127.0.0.1:0", 5, &spec.to);
    assert_int_equal(addr_parse(SPAN("127.0.0.6:0"), &spec.from, NULL), 0);
    spec.mark = 1337;
    (void)dial_start(loop, &spec, on_done, &a);
    TURN_UNTIL(loop, a.calls == 1);
    if (a.code == -EPERM) { /* needs CAP_NET_ADMIN: once more without */
        spec.mark = 0;
        (void)dial_start(loop, &spec, on_done, &a);
        TURN_UNTIL(loop, a.calls == 2);
    }
    assert_int_equal(a.code, 0);
    assert_true(ip_eq(&a.io->local.ip, &spec.from.ip));
    if (spec.mark != 0) {
        uint32_t mark = 0;
        socklen_t len = sizeof(mark);
        assert_int_equal(getsockopt(io_fd(a.io), SOL_SOCKET, SO_MARK, &mark, &len), 0);
        assert_int_equal(mark, 1337);
    }
    io_close(a.io);
    close(listening);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connects),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_timeout_and_cancel),
        cmocka_unit_test(test_full_unix_listener_is_tried_again),
        cmocka_unit_test(test_source_address_and_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
