#include "io/listener.c"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>

#include "unit/io/io_help.h"

enum { KEPT = 256 };

struct server {
    struct listener *listener;
    struct io *got[KEPT];
    int count;
    int close_after; /* closes the listener within the call that brings it to this count */
    int pause_after;
    bool drops; /* what it accepts */
};

static void on_accept(void *arg, struct io *io)
{
    struct server *s = arg;
    if (s->drops) {
        io_close(io);
    } else {
        s->got[s->count] = io;
    }
    s->count++;
    if (s->count == s->close_after) {
        listener_close(s->listener);
        s->listener = NULL;
    } else if (s->count == s->pause_after) {
        listener_pause(s->listener);
    }
}

static void drop_got(struct server *s)
{
    for (int i = 0; i < s->count && !s->drops; i++) {
        io_close(s->got[i]);
    }
    s->count = 0;
}

static void open_on(struct server *s, struct loop *loop, const char *text)
{
    struct listener_spec spec = {.backlog = 0};
    struct err err;
    assert_int_equal(addr_parse(span_of(text), &spec.addr, &err), 0);
    if (listener_open(&s->listener, loop, &spec, on_accept, s, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

static int connect_to(const struct addr *addr)
{
    struct sockaddr_storage to;
    socklen_t len = addr_to_sockaddr(addr, &to);
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&to, len) != 0) {
        int code = -errno;
        close(fd);
        return code;
    }
    return fd;
}

static void test_accepts(void **state)
{
    UNUSED(state);
    static const char *const places[] = {"127.0.0.1:0", "[::1]:0", "unix:@mesh-listener-test"};
    int fds = open_fds();
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        struct loop *loop = loop_new(false);
        struct server s = {.count = 0};
        open_on(&s, loop, places[i]);
        const struct addr *addr = listener_addr(s.listener);
        assert_true(addr->kind == ADDR_UNIX || addr->port != 0);
        int client = connect_to(addr);
        assert_true(client >= 0);
        TURN_UNTIL(loop, s.count == 1);
        assert_true(addr_eq(&s.got[0]->local, addr));
        struct sockaddr_storage own;
        socklen_t len = sizeof(own);
        struct addr peer;
        assert_int_equal(getsockname(client, (struct sockaddr *)&own, &len), 0);
        addr_from_sockaddr(&peer, (struct sockaddr *)&own, len);
        assert_true(addr_eq(&s.got[0]->peer, &peer));
        int flags = fcntl(io_fd(s.got[0]), F_GETFL);
        assert_true((flags & O_NONBLOCK) != 0);
        assert_true((fcntl(io_fd(s.got[0]), F_GETFD) & FD_CLOEXEC) != 0);
        close(client);
        drop_got(&s);
        listener_close(s.listener);
        loop_free(loop);
    }
    listener_close(NULL);
    assert_int_equal(open_fds(), fds);
}

static void test_bounded_batch_pause_and_close_in_callback(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    struct server s = {.pause_after = BATCH + 10};
    int clients[BATCH + 20];
    open_on(&s, loop, "127.0.0.1:0");
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        clients[i] = connect_to(listener_addr(s.listener));
        assert_true(clients[i] >= 0);
    }
    (void)loop_turn(loop, false);
    assert_int_equal(s.count, BATCH);
    (void)loop_turn(loop, false);
    assert_int_equal(s.count, BATCH + 10);
    for (int i = 0; i < 5; i++) {
        (void)loop_turn(loop, false);
    }
    assert_int_equal(s.count, BATCH + 10); /* paused */
    s.close_after = BATCH + 15;
    listener_resume(s.listener);
    TURN_UNTIL(loop, s.listener == NULL);
    for (int i = 0; i < 5; i++) {
        (void)loop_turn(loop, false);
    }
    assert_int_equal(s.count, BATCH + 15);
    drop_got(&s);
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        close(clients[i]);
    }
    loop_free(loop);
}

static void test_backs_off_without_descriptors(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    struct server s = {.drops = true};
    open_on(&s, loop, "127.0.0.1:0");
    int first = connect_to(listener_addr(s.listener));
    int second = connect_to(listener_addr(s.listener));
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int probe = dup(0);
    struct rlimit none = {.rlim_cur = (rlim_t)probe, .rlim_max = before.rlim_max};
    close(probe);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int64_t start_ns = instant_mono_ns();
    TURN_UNTIL(loop, deadline_is_armed(&s.listener->back_off));
    assert_true(s.listener->is_starved);
    assert_int_equal(s.listener->fd.events, 0); /* no spinning meanwhile */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    TURN_UNTIL(loop, s.count == 2);
    assert_true(instant_mono_ns() - start_ns >= BACK_OFF_MS * INT64_C(1000000));
    assert_false(s.listener->is_starved);
    close(first);
    close(second);
    listener_close(s.listener);
    loop_free(loop);
}

static void test_unix_file(void **state)
{
    UNUSED(state);
    char folder[] = "/tmp/listener_XXXXXX";
    char place[128];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(place, sizeof(place), "unix:%s/s", folder);
    const char *path = place + 5;
    struct loop *loop = loop_new(false);
    struct server s = {.drops = true};
    struct stat status;
    open_on(&s, loop, place);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    /* in use: refused, and left alone */
    struct listener_spec spec = {.addr = *listener_addr(s.listener), .unix_mode = 0666};
    struct listener *other = NULL;
    struct err err;
    assert_int_equal(listener_open(&other, loop, &spec, on_accept, &s, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, place));
    int client = connect_to(&spec.addr);
    assert_true(client >= 0);
    close(client);
    listener_close(s.listener);
    assert_int_equal(stat(path, &status), -1); /* removed with the listener */
    /* left behind by a process that died: replaced, with the permissions asked for */
    struct sockaddr_storage at;
    socklen_t len = addr_to_sockaddr(&spec.addr, &at);
    int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(dead, (struct sockaddr *)&at, len), 0);
    close(dead);
    mode_t mask = umask(0077);
    assert_int_equal(listener_open(&other, loop, &spec, on_accept, &s, &err), 0);
    umask(mask);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0666);
    listener_close(other);
    /* what is no socket is not removed */
    FILE *file = fopen(path, "w");
    (void)fclose(file);
    assert_int_equal(listener_open(&other, loop, &spec, on_accept, &s, &err), -EADDRINUSE);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    loop_free(loop);
}

static void test_reuse_port_and_families(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    struct server s = {.drops = true};
    struct listener_spec spec = {.reuse_port = true};
    struct listener *first = NULL;
    struct listener *second = NULL;
    struct err err;
    assert_int_equal(addr_parse(SPAN("[::]:0"), &spec.addr, &err), 0);
    assert_int_equal(listener_open(&first, loop, &spec, on_accept, &s, &err), 0);
    spec.addr = *listener_addr(first);
    assert_int_equal(listener_open(&second, loop, &spec, on_accept, &s, &err), 0);
    spec.reuse_port = false;
    struct listener *third = NULL;
    assert_int_equal(listener_open(&third, loop, &spec, on_accept, &s, &err), -EADDRINUSE);
    /* dual stack: a v4 client of a v6 listener */
    struct addr v4;
    assert_int_equal(addr_parse(SPAN("127.0.0.1:1"), &v4, &err), 0);
    v4.port = spec.addr.port;
    int client = connect_to(&v4);
    assert_true(client >= 0);
    close(client);
    TURN_UNTIL(loop, s.count == 1);
    listener_close(first);
    listener_close(second);
    (void)loop_turn(loop, false);
    spec.v6_only = true;
    spec.addr.port = 0;
    assert_int_equal(listener_open(&first, loop, &spec, on_accept, &s, &err), 0);
    v4.port = listener_addr(first)->port;
    assert_int_equal(connect_to(&v4), -ECONNREFUSED);
    listener_close(first);
    loop_free(loop);
}

static void test_transparent(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    struct server s = {.drops = true};
    struct listener_spec spec = {.transparent = true};
    struct err err;
    struct listener *l = NULL;
    int on = 0;
    socklen_t len = sizeof(on);
    assert_int_equal(addr_parse(SPAN("[::]:0"), &spec.addr, &err), 0);
    int code = listener_open(&l, loop, &spec, on_accept, &s, &err);
    if (code == -EPERM) {
        loop_free(loop);
        skip(); /* needs CAP_NET_ADMIN */
    }
    assert_int_equal(code, 0);
    assert_int_equal(getsockopt(l->fd.fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &on, &len), 0);
    assert_int_equal(on, 1);
    assert_int_equal(getsockopt(l->fd.fd, IPPROTO_IP, IP_TRANSPARENT, &on, &len), 0);
    assert_int_equal(on, 1);
    listener_close(l);
    loop_free(loop);
}

static void test_refusals(void **state)
{
    UNUSED(state);
    int fds = open_fds();
    struct loop *loop = loop_new(false);
    int with_loop = open_fds();
    struct listener_spec spec = {.backlog = 1};
    struct listener *l = NULL;
    struct err err;
    assert_int_equal(listener_open(&l, loop, &spec, on_accept, NULL, &err), -EINVAL);
    assert_int_equal(addr_parse(SPAN("192.0.2.1:80"), &spec.addr, &err), 0);
    assert_int_equal(listener_open(&l, loop, &spec, on_accept, NULL, &err), -EADDRNOTAVAIL);
    assert_non_null(strstr(err.text, "'192.0.2.1:80'"));
    assert_int_equal(addr_parse(SPAN("unix:/no/such/folder/s"), &spec.addr, &err), 0);
    assert_int_equal(listener_open(&l, loop, &spec, on_accept, NULL, &err), -ENOENT);
    assert_int_equal(open_fds(), with_loop);
    loop_free(loop);
    assert_int_equal(open_fds(), fds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_bounded_batch_pause_and_close_in_callback),
        cmocka_unit_test(test_backs_off_without_descriptors),
        cmocka_unit_test(test_unix_file),
        cmocka_unit_test(test_reuse_port_and_families),
        cmocka_unit_test(test_transparent),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
