#include "io/sockopt.c"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <net/if.h>
#include <unistd.h>

#include "unit/io/io_help.h"

static int get_int(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);
    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void test_keepalive(void **state)
{
    UNUSED(state);
    static const struct {
        struct sockopt_keepalive spec;
        int idle, interval, probes; /* 0 = as before */
    } cases[] = {
        {{.idle_ms = 0}, 0, 0, 0},
        {{.idle_ms = 30000, .interval_ms = 5000, .probes = 4}, 30, 5, 4},
        {{.idle_ms = 1, .interval_ms = 1001, .probes = 1000}, 1, 2, 127},
        {{.idle_ms = INT64_MAX / 2}, 32767, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int idle = get_int(fd, IPPROTO_TCP, TCP_KEEPIDLE);
        int interval = get_int(fd, IPPROTO_TCP, TCP_KEEPINTVL);
        int probes = get_int(fd, IPPROTO_TCP, TCP_KEEPCNT);
        assert_int_equal(sockopt_keepalive_set(fd, &cases[i].spec), 0);
        assert_int_equal(get_int(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
        assert_int_equal(get_int(fd, IPPROTO_TCP, TCP_KEEPIDLE),
                         cases[i].idle != 0 ? cases[i].idle : idle);
        assert_int_equal(get_int(fd, IPPROTO_TCP, TCP_KEEPINTVL),
                         cases[i].interval != 0 ? cases[i].interval : interval);
        assert_int_equal(get_int(fd, IPPROTO_TCP, TCP_KEEPCNT),
                         cases[i].probes != 0 ? cases[i].probes : probes);
        close(fd);
    }
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    assert_int_equal(sockopt_keepalive_set(pipe_ends[0], &cases[0].spec), -ENOTSOCK);
    sockopt_nodelay(pipe_ends[0]); /* nothing to do, and no harm */
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void test_mark_and_transparent(void **state)
{
    UNUSED(state);
    int v4 = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int v6 = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int code = sockopt_mark(v4, 1337);
    if (code == -EPERM) {
        close(v4);
        close(v6);
        skip(); /* needs CAP_NET_ADMIN, which root in a container may lack */
    }
    assert_int_equal(code, 0);
    assert_int_equal(get_int(v4, SOL_SOCKET, SO_MARK), 1337);
    assert_int_equal(sockopt_transparent(v4, false), 0);
    assert_int_equal(get_int(v4, IPPROTO_IP, IP_TRANSPARENT), 1);
    assert_int_equal(sockopt_transparent(v6, true), 0);
    assert_int_equal(get_int(v6, IPPROTO_IPV6, IPV6_TRANSPARENT), 1);
    close(v4);
    close(v6);
}

/* A listener at `text` and a client of `to` (the listener itself if NULL); the accepted end. */
static int accept_from(const char *text, const char *to, int *client)
{
    struct sockaddr_storage at;
    struct addr addr;
    const int on = 1;
    assert_int_equal(addr_parse(span_of(text), &addr, NULL), 0);
    socklen_t len = addr_to_sockaddr(&addr, &at);
    int listening = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&at, &len), 0);
    if (to != NULL) {
        assert_int_equal(addr_parse(span_of(to), &addr, NULL), 0);
        len = addr_to_sockaddr(&addr, &at);
    }
    *client = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(*client, (struct sockaddr *)&at, len) != 0) {
        fail_msg("connect to %s: %d", to != NULL ? to : text, errno);
    }
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    close(listening);
    return fd;
}

static void test_not_redirected(void **state)
{
    UNUSED(state);
    static const char *const places[] = {"127.0.0.1:0", "[::1]:0", "unix:@mesh-sockopt-test"};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        struct addr addr;
        int client;
        int fd = accept_from(places[i], NULL, &client);
        assert_int_equal(sockopt_original_dst(fd, &addr), -ENOENT);
        close(fd);
        close(client);
    }
    assert_int_equal(sockopt_original_dst(-1, &(struct addr){.kind = ADDR_NONE}), -EBADF);
}

static void bring_up_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    close(fd);
}

/* In a network namespace of its own: connections to port 80 anywhere are redirected to 15001. */
static void test_redirected(void **state)
{
    UNUSED(state);
    int before = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (system("command -v nft >/dev/null") != 0 || unshare(CLONE_NEWNET) != 0) {
        close(before);
        skip(); /* the rules need nft, and CAP_SYS_ADMIN */
    }
    bring_up_loopback();
    int status = system("nft 'add table inet t; "
                        "add chain inet t out { type nat hook output priority -100; }; "
                        "add rule inet t out tcp dport 80 redirect to :15001' &&"
                        "ip route add local 192.0.2.0/24 dev lo &&"
                        "ip -6 route add local 2001:db8::/64 dev lo");
    assert_int_equal(status, 0);
    static const struct {
        const char *listens;
        const char *meant;
    } cases[] = {
        {"127.0.0.1:15001", "192.0.2.1:80"},
        {"[::1]:15001", "[2001:db8::1]:80"},
        {"[::]:15001", "192.0.2.1:80"}, /* a v4 client of a dual-stack listener */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct addr addr;
        char text[ADDR_TEXT_BYTES];
        int client;
        int fd = accept_from(cases[i].listens, cases[i].meant, &client);
        assert_int_equal(sockopt_original_dst(fd, &addr), 0);
        assert_string_equal(addr_format(&addr, text), cases[i].meant);
        close(fd);
        close(client);
    }
    /* connection tracking is on, yet this one was not redirected */
    struct addr addr;
    int client;
    int fd = accept_from("127.0.0.1:15006", NULL, &client);
    assert_int_equal(sockopt_original_dst(fd, &addr), -ENOENT);
    close(fd);
    close(client);
    assert_int_equal(setns(before, CLONE_NEWNET), 0);
    close(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keepalive),
        cmocka_unit_test(test_mark_and_transparent),
        cmocka_unit_test(test_not_redirected),
        cmocka_unit_test(test_redirected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
