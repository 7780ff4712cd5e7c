#include "io/resolver.c"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "unit/io/io_help.h"

/* A name server of a few lines: what it answers depends on the name's first letter.
 *   a: two addresses of either family    4: IPv4 only    n: no such name    e: no addresses of any kind
 *   f: server failure    s: silence    t: truncated over UDP, answered over TCP
 *   m: two addresses, if it is the whole name of a control plane in a cluster */
#define CONTROL "mesh-control.mesh-system.svc.cluster.local"
struct server {
    struct loop *loop;
    struct loop_fd udp;
    struct loop_fd tcp;
    struct loop_fd conn; /* one TCP connection at a time */
    bool has_conn;
    int queries;
    int tcp_queries;
    char last[256]; /* the last name asked */
    char place[64]; /* "127.0.0.1:port" */
};

static size_t read_name(const uint8_t *q, size_t len, char *to)
{
    size_t at = 12;
    size_t n = 0;
    while (at < len && q[at] != 0) {
        size_t label = q[at++];
        assert_true(at + label < len && n + label + 2 < 256);
        memcpy(to + n, q + at, label);
        n += label;
        to[n++] = '.';
        at += label;
    }
    to[n > 0 ? n - 1 : 0] = '\0';
    return at + 1 + 4; /* the zero, type and class */
}

static size_t add_addr(uint8_t *to, bool v6, uint8_t last, uint8_t ttl)
{
    const uint8_t head[12] = {0xc0, 12, 0, v6 ? 28 : 1, 0, 1, 0, 0, 0, ttl, 0, v6 ? 16 : 4};
    uint8_t v4_bytes[4] = {10, 0, 0, last};
    uint8_t v6_bytes[16] = {0xfd, [15] = last};
    memcpy(to, head, 12);
    memcpy(to + 12, v6 ? v6_bytes : v4_bytes, head[11]);
    return 12U + head[11];
}

/* The answer's length; 0 = none. */
static size_t make_answer(struct server *s, const uint8_t *q, size_t len, bool over_tcp,
                          uint8_t *to)
{
    size_t end = read_name(q, len, s->last);
    bool v6 = q[end - 3] == 28;
    bool is_control = strcmp(s->last, CONTROL) == 0;
    bool is_unknown = s->last[0] == 'n' || (s->last[0] == 'm' && !is_control);
    uint8_t code = is_unknown ? 3 : s->last[0] == 'f' ? 2 : 0;
    bool cut = s->last[0] == 't' && !over_tcp;
    s->queries++;
    s->tcp_queries += over_tcp;
    if (s->last[0] == 's') {
        return 0;
    }
    memcpy(to, q, end);
    to[2] = (uint8_t)(0x84 | (cut ? 2 : 0) | (q[2] & 1));
    to[3] = (uint8_t)(0x80 | code);
    memset(to + 6, 0, 6);
    size_t n = end;
    if ((s->last[0] == 'a' || is_control || s->last[0] == 't' || (s->last[0] == '4' && !v6)) &&
        !cut) {
        n += add_addr(to + n, v6, 7, 60);
        n += add_addr(to + n, v6, 8, 30);
        to[7] = 2;
    }
    return n;
}

static void on_udp(struct loop_fd *fd, unsigned events)
{
    struct server *s = container_of(fd, struct server, udp);
    uint8_t q[512];
    uint8_t answer[1024];
    struct sockaddr_storage from;
    socklen_t from_len = sizeof(from);
    UNUSED(events);
    ssize_t n = recvfrom(fd->fd, q, sizeof(q), 0, (struct sockaddr *)&from, &from_len);
    assert_true(n > 12);
    size_t len = make_answer(s, q, (size_t)n, false, answer);
    if (len > 0) {
        (void)sendto(fd->fd, answer, len, 0, (struct sockaddr *)&from, from_len);
    }
}

static void on_conn(struct loop_fd *fd, unsigned events)
{
    struct server *s = container_of(fd, struct server, conn);
    uint8_t q[514];
    uint8_t answer[1026];
    UNUSED(events);
    ssize_t n = recv(fd->fd, q, sizeof(q), 0); /* loopback: the whole query at once */
    if (n <= 0) {
        loop_fd_dispose(fd);
        close(fd->fd);
        s->has_conn = false;
        return;
    }
    assert_int_equal(n, 2 + q[0] * 256 + q[1]);
    size_t len = make_answer(s, q + 2, (size_t)n - 2, true, answer + 2);
    answer[0] = (uint8_t)(len >> 8);
    answer[1] = (uint8_t)len;
    assert_int_equal(send(fd->fd, answer, len + 2, MSG_NOSIGNAL), len + 2);
}

static void on_tcp(struct loop_fd *fd, unsigned events)
{
    struct server *s = container_of(fd, struct server, tcp);
    UNUSED(events);
    int conn = accept4(fd->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(conn >= 0 && !s->has_conn);
    s->has_conn = true;
    loop_fd_init(&s->conn, s->loop, conn, on_conn);
    loop_fd_watch(&s->conn, IO_READ);
}

static void server_start(struct server *s, struct loop *loop)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    memset(s, 0, sizeof(*s));
    s->loop = loop;
    int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(tcp, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(tcp, 5), 0);
    assert_int_equal(getsockname(tcp, (struct sockaddr *)&at, &len), 0);
    int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(udp, (struct sockaddr *)&at, len), 0);
    (void)snprintf(s->place, sizeof(s->place), "127.0.0.1:%u", ntohs(at.sin_port));
    loop_fd_init(&s->udp, loop, udp, on_udp);
    loop_fd_init(&s->tcp, loop, tcp, on_tcp);
    loop_fd_watch(&s->udp, IO_READ);
    loop_fd_watch(&s->tcp, IO_READ);
}

static void server_stop(struct server *s)
{
    struct loop_fd *all[] = {&s->udp, &s->tcp, s->has_conn ? &s->conn : NULL};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (all[i] != NULL) {
            loop_fd_dispose(all[i]);
            close(all[i]->fd);
        }
    }
}

struct got {
    struct resolver_answer answer;
    int calls;
};

static void on_answer(void *arg, const struct resolver_answer *answer)
{
    struct got *got = arg;
    got->answer = *answer;
    got->calls++;
}

static char hosts[] = "/tmp/resolver_XXXXXX";

static struct resolver *make(struct loop *loop, const char *servers, int64_t timeout_ms)
{
    struct resolver_spec spec = {.servers = servers, .hosts_file = hosts, .timeout_ms = timeout_ms};
    struct resolver *r = NULL;
    struct err err;
    if (resolver_new(&r, loop, &spec, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return r;
}

static void test_answers(void **state)
{
    UNUSED(state);
    static const struct {
        const char *name;
        enum resolver_family family;
        int code;
        const char *want; /* addresses in any order, as text */
        uint32_t ttl_s;
    } cases[] = {
        {"a.test", RESOLVER_V4, 0, "10.0.0.7 10.0.0.8", 30},
        {"a.test", RESOLVER_V6, 0, "fd00::7 fd00::8", 30},
        {"a.test", RESOLVER_ANY, 0, "10.0.0.7 10.0.0.8 fd00::7 fd00::8", 30},
        {"4.test", RESOLVER_ANY, 0, "10.0.0.7 10.0.0.8", 30},
        {"4.test", RESOLVER_V6, -ENOENT, "", 0},
        {"n.test", RESOLVER_V4, -ENOENT, "", 0},
        {"e.test", RESOLVER_ANY, -ENOENT, "", 0},
        {"f.test", RESOLVER_V4, -ERR_UNAVAILABLE, "", 0},
        {"t.test", RESOLVER_V4, 0, "10.0.0.7 10.0.0.8", 30},
        {"a.test.", RESOLVER_V4, 0, "10.0.0.7 10.0.0.8", 30},
        {"192.0.2.9", RESOLVER_V4, 0, "192.0.2.9", UINT32_MAX},
        {"2001:db8::9", RESOLVER_ANY, 0, "2001:db8::9", UINT32_MAX},
        {"in-hosts.test", RESOLVER_V4, 0, "192.0.2.1", UINT32_MAX},
        {"alias", RESOLVER_V4, 0, "192.0.2.1", UINT32_MAX},
        {"in-hosts.test", RESOLVER_V6, 0, "2001:db8::1", UINT32_MAX},
        {"localhost", RESOLVER_V4, 0, "127.0.0.1", UINT32_MAX},
        {"localhost", RESOLVER_V6, 0, "::1", UINT32_MAX},
        {"a", RESOLVER_V4, 0, "10.0.0.7 10.0.0.8", 30},
        {"", RESOLVER_V4, -ENOENT, "", 0},
        {"a..test", RESOLVER_V4, -ENOENT, "", 0},
    };
    int fds = open_fds();
    struct loop *loop = loop_new(false);
    struct server server;
    server_start(&server, loop);
    struct resolver *r = make(loop, server.place, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct got got = {.calls = 0};
        assert_non_null(
            resolver_start(r, span_of(cases[i].name), cases[i].family, on_answer, &got));
        assert_int_equal(got.calls, 0);
        TURN_UNTIL(loop, got.calls > 0);
        if (got.answer.code != cases[i].code) {
            fail_msg("%s: %d and not %d", cases[i].name, got.answer.code, cases[i].code);
        }
        size_t words = 0;
        struct span rest = span_of(cases[i].want);
        while (rest.len > 0) {
            struct span word = span_cut(&rest, ' ');
            bool found = false;
            for (size_t k = 0; k < got.answer.count; k++) {
                char text[IP_TEXT_BYTES];
                found = found || span_is(word, ip_format(&got.answer.ips[k], text));
            }
            if (!found) {
                fail_msg("%s lacks %.*s", cases[i].name, SPAN_ARG(word));
            }
            words++;
        }
        assert_int_equal(got.answer.count, words);
        if (cases[i].ttl_s != UINT32_MAX) {
            assert_int_equal(got.answer.ttl_s, cases[i].ttl_s);
        }
        assert_int_equal(got.calls, 1);
    }
    assert_int_equal(server.tcp_queries, 1);
    resolver_free(r);
    server_stop(&server);
    loop_free(loop);
    assert_int_equal(open_fds(), fds);
}

static void test_no_search_domains_of_its_own(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    struct server server;
    struct got got = {.calls = 0};
    server_start(&server, loop);
    struct resolver *r = make(loop, server.place, 0);
    (void)resolver_start(r, SPAN("nowhere"), RESOLVER_V4, on_answer, &got);
    TURN_UNTIL(loop, got.calls > 0);
    if (!has_search("/etc/resolv.conf")) {
        assert_string_equal(server.last, "nowhere");
        assert_int_equal(server.queries, 1);
    }
    resolver_free(r);
    server_stop(&server);
    loop_free(loop);
    /* what says so in a resolv.conf */
    static const struct {
        const char *text;
        bool want;
    } cases[] = {
        {"nameserver 10.0.0.1\n", false},
        {"nameserver 10.0.0.1\nsearch a.b c.d\n", true},
        {"search\ta.b", true},
        {"domain a.b\n", true},
        {"# search a.b\noptions ndots:5", false},
        {"", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char path[] = "/tmp/resolv_XXXXXX";
        int fd = mkstemp(path);
        assert_int_equal(write(fd, cases[i].text, strlen(cases[i].text)), strlen(cases[i].text));
        close(fd);
        assert_int_equal(has_search(path), cases[i].want);
        assert_int_equal(unlink(path), 0);
    }
    assert_false(has_search("/no/such/file"));
}

/* As kubelet writes it for a pod: a name of fewer than five dots goes through the domains first, in their order. */
static void test_in_a_pod(void **state)
{
    UNUSED(state);
    static const char conf[] = "search shop.svc.cluster.local svc.cluster.local cluster.local\n"
                               "nameserver 192.0.2.53\noptions ndots:5\n";
    static const struct {
        const char *name;
        int queries;
        int code;
    } cases[] = {
        {"mesh-control.mesh-system.svc", 3, 0},
        {"mesh-control.mesh-system", 2, 0},
        {CONTROL, 4, 0},
        {CONTROL ".", 1, 0},
        {"missing", 4, -ENOENT}, /* at last as it is */
    };
    char path[] = "/tmp/resolv_XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, conf, strlen(conf)), strlen(conf));
    close(fd);
    struct loop *loop = loop_new(false);
    struct server server;
    server_start(&server, loop);
    const struct resolver_spec spec = {
        .servers = server.place, .hosts_file = hosts, .resolv_conf = path};
    struct resolver *r;
    struct err err;
    assert_int_equal(resolver_new(&r, loop, &spec, &err), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct got got = {.calls = 0};
        server.queries = 0;
        (void)resolver_start(r, span_of(cases[i].name), RESOLVER_V4, on_answer, &got);
        TURN_UNTIL(loop, got.calls > 0);
        assert_int_equal(got.answer.code, cases[i].code);
        assert_int_equal(server.queries, cases[i].queries);
        assert_int_equal(got.answer.count, cases[i].code == 0 ? 2 : 0);
    }
    resolver_free(r);
    server_stop(&server);
    loop_free(loop);
    assert_int_equal(unlink(path), 0);
}

static void test_silence_is_a_timeout(void **state)
{
    UNUSED(state);
    struct loop *loop = loop_new(false);
    struct server server;
    struct got got = {.calls = 0};
    struct got other = {.calls = 0};
    server_start(&server, loop);
    struct resolver *r = make(loop, server.place, 100);
    int64_t start_ns = instant_mono_ns();
    (void)resolver_start(r, SPAN("silent.test"), RESOLVER_ANY, on_answer, &got);
    (void)resolver_start(r, SPAN("a.test"), RESOLVER_V4, on_answer, &other);
    TURN_UNTIL(loop, got.calls > 0 && other.calls > 0);
    assert_int_equal(got.answer.code, -ERR_TIMEOUT);
    assert_true(instant_mono_ns() - start_ns >= 99000000);
    assert_int_equal(other.answer.code, 0);
    resolver_free(r); /* c-ares still holds the first */
    server_stop(&server);
    loop_free(loop);
}

static void test_cancel_and_free(void **state)
{
    UNUSED(state);
    int fds = open_fds();
    struct loop *loop = loop_new(false);
    struct server server;
    struct got got = {.calls = 0};
    server_start(&server, loop);
    struct resolver *r = make(loop, server.place, 1000);
    /* asked, and answered from the hosts file: neither is told any more */
    resolver_cancel(resolver_start(r, SPAN("a.test"), RESOLVER_V4, on_answer, &got));
    resolver_cancel(resolver_start(r, SPAN("in-hosts.test"), RESOLVER_V4, on_answer, &got));
    TURN_UNTIL(loop, server.queries > 0);
    for (int i = 0; i < 20; i++) {
        (void)loop_turn(loop, false);
    }
    (void)resolver_start(r, SPAN("silent.test"), RESOLVER_V4, on_answer, &got);
    (void)resolver_start(r, SPAN("in-hosts.test"), RESOLVER_V4, on_answer, &got);
    resolver_free(r);
    for (int i = 0; i < 5; i++) {
        (void)loop_turn(loop, false);
    }
    assert_int_equal(got.calls, 0);
    resolver_free(NULL);
    server_stop(&server);
    loop_free(loop);
    assert_int_equal(open_fds(), fds);
}

static void test_bad_servers(void **state)
{
    UNUSED(state);
    int fds = open_fds();
    struct loop *loop = loop_new(false);
    struct resolver_spec spec = {.servers = "not an address"};
    struct resolver *r = NULL;
    struct err err;
    assert_int_equal(resolver_new(&r, loop, &spec, &err), -ERR_CONFIG);
    assert_non_null(strstr(err.text, "'not an address'"));
    loop_free(loop);
    assert_int_equal(open_fds(), fds);
}

static int write_hosts(void **state)
{
    UNUSED(state);
    static const char text[] = "127.0.0.1 localhost\n::1 localhost\n"
                               "192.0.2.1 in-hosts.test alias\n2001:db8::1 in-hosts.test\n";
    int fd = mkstemp(hosts);
    return fd < 0 || write(fd, text, sizeof(text) - 1) < 0 || close(fd) != 0;
}

static int remove_hosts(void **state)
{
    UNUSED(state);
    return unlink(hosts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),         cmocka_unit_test(test_no_search_domains_of_its_own),
        cmocka_unit_test(test_in_a_pod),        cmocka_unit_test(test_silence_is_a_timeout),
        cmocka_unit_test(test_cancel_and_free), cmocka_unit_test(test_bad_servers),
    };
    return cmocka_run_group_tests(tests, write_hosts, remove_hosts);
}
