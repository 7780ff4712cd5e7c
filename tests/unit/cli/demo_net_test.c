/* Namespaces, cables and addresses; skipped where they are not permitted. */
#include "cli/demo_net.c"

#include <sys/socket.h>

#include "unit/cm.h"

static struct demo_net *make(void)
{
    struct demo_net *n = NULL;
    struct err err = {.code = 0};
    int code = demo_net_new(&n, &err);
    if (code == -EPERM) {
        print_message("network namespaces are not permitted here: %s\n", err.text);
        skip();
    }
    assert_int_equal(code, 0);
    return n;
}

static struct sockaddr_in at(const struct demo_net *n, int host, int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(address(n, host))};
}

/* A listener in the namespace of a host. */
static int listen_at(struct demo_net *n, int host, int port)
{
    struct err err = {.code = 0};
    int ns = demo_net_at(n, host, &err);
    assert_true(ns > 0);
    assert_int_equal(demo_net_at(n, host, &err), ns);
    assert_int_equal(demo_net_enter(n, ns), 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(demo_net_enter(n, -1), 0);
    struct sockaddr_in where = at(n, host, port);
    assert_int_equal(bind(fd, (struct sockaddr *)&where, sizeof(where)), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static int connect_from(struct demo_net *n, int from, const struct sockaddr_in *to)
{
    struct err err = {.code = 0};
    assert_int_equal(demo_net_enter(n, from > 0 ? demo_net_at(n, from, &err) : -1), 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(demo_net_enter(n, -1), 0);
    const struct timeval moment = {.tv_sec = 2};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &moment, sizeof(moment)), 0);
    int code = connect(fd, (const struct sockaddr *)to, sizeof(*to)) == -1 ? -errno : 0;
    (void)close(fd);
    return code;
}

static void test_all_reach_all(void **state)
{
    UNUSED(state);
    struct demo_net *n = make();
    int a = listen_at(n, 11, 9080);
    int b = listen_at(n, 12, 9080);
    struct sockaddr_in to_a = at(n, 11, 9080);
    struct sockaddr_in to_b = at(n, 12, 9080);
    assert_int_equal(connect_from(n, 0, &to_a), 0);
    assert_int_equal(connect_from(n, 0, &to_b), 0);
    assert_int_equal(connect_from(n, 11, &to_b), 0);
    assert_int_equal(connect_from(n, 12, &to_a), 0);
    assert_int_equal(connect_from(n, 12, &to_b), 0); /* itself, by lo */
    struct sockaddr_in nobody = at(n, 12, 9081);
    assert_int_equal(connect_from(n, 11, &nobody), -ECONNREFUSED);
    (void)close(a);
    (void)close(b);
    demo_net_free(n);
}

static void test_two_are_apart(void **state)
{
    UNUSED(state);
    struct demo_net *a = make();
    struct demo_net *b = make();
    char name[IFNAMSIZ];
    assert_int_not_equal(demo_net_number(a), demo_net_number(b));
    (void)snprintf(name, sizeof(name), "mesh-demo-%d", demo_net_number(b));
    assert_int_not_equal(if_nametoindex(name), 0);
    int fd = listen_at(a, 11, 9080);
    struct sockaddr_in to = at(a, 11, 9080);
    assert_int_not_equal(connect_from(b, 11, &to), 0);
    (void)close(fd);
    demo_net_free(a);
    demo_net_free(b);
    demo_net_free(NULL);
    for (int i = 0; i < 500 && if_nametoindex(name) != 0;
         i++) { /* the kernel does it a moment later */
        const struct timespec moment = {.tv_nsec = 10000000};
        (void)nanosleep(&moment, NULL);
    }
    assert_int_equal(if_nametoindex(name), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_reach_all),
        cmocka_unit_test(test_two_are_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
