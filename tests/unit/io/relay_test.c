#include "io/relay.c"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "base/rng.h"
#include "unit/io/io_help.h"

struct result {
    struct relay_done done;
    int calls;
};

static void on_done(void *arg, const struct relay_done *done)
{
    struct result *r = arg;
    r->done = *done;
    r->calls++;
}

/* client -- left | relay | right -- server, all in memory */
struct scene {
    struct loop *loop;
    struct io *client, *left, *right, *server;
    struct relay *relay;
    struct result result;
};

static void scene_start(struct scene *s, size_t room, struct span first, int64_t idle_ms)
{
    memset(s, 0, sizeof(*s));
    instant_fake_start(1000000000, 0);
    s->loop = loop_new(true);
    io_mem_pair(s->loop, room, &s->client, &s->left);
    io_mem_pair(s->loop, room, &s->right, &s->server);
    struct relay_spec spec = {.a = s->left,
                              .b = s->right,
                              .from_a = first,
                              .idle_ms = idle_ms,
                              .on_done = on_done,
                              .arg = &s->result};
    s->relay = relay_start_take(s->loop, &spec);
}

static void scene_end(struct scene *s)
{
    io_close(s->client);
    io_close(s->server);
    turn_out(s->loop);
    assert_int_equal(s->result.calls, 1);
    loop_free(s->loop);
    instant_fake_stop();
}

static void expect(struct io *io, const char *text)
{
    char got[256];
    ssize_t n = io_read(io, got, sizeof(got));
    assert_int_equal(n, strlen(text));
    assert_memory_equal(got, text, strlen(text));
}

static void test_both_ways_then_half_closes(void **state)
{
    UNUSED(state);
    struct scene s;
    scene_start(&s, 100, SPAN("first "), 0);
    assert_int_equal(io_write(s.client, "request", 7), 7);
    turn_out(s.loop);
    expect(s.server, "first request");
    /* the client ends; the answer still comes */
    assert_int_equal(io_shut(s.client), 0);
    turn_out(s.loop);
    char byte;
    assert_int_equal(io_read(s.server, &byte, 1), 0);
    assert_int_equal(s.result.calls, 0);
    assert_int_equal(io_write(s.server, "answer", 6), 6);
    turn_out(s.loop);
    expect(s.client, "answer");
    uint64_t up;
    uint64_t down;
    relay_count(s.relay, &up, &down);
    assert_int_equal(up, 13);
    assert_int_equal(down, 6);
    assert_int_equal(io_shut(s.server), 0);
    turn_out(s.loop);
    assert_int_equal(io_read(s.client, &byte, 1), 0);
    assert_int_equal(s.result.calls, 1);
    assert_int_equal(s.result.done.code, 0);
    assert_int_equal(s.result.done.bytes_a_to_b, 13);
    assert_int_equal(s.result.done.bytes_b_to_a, 6);
    scene_end(&s);
}

/* A slow reader with small buffers: what waits is bounded, nothing is lost, order holds, and the end comes
 * after the last byte. */
static void test_slow_reader_stops_the_sender(void **state)
{
    UNUSED(state);
    enum { TOTAL = 400000, ROOM = 1000 };
    struct scene s;
    struct rng rng;
    rng_seed(&rng, 3);
    scene_start(&s, ROOM, SPAN_EMPTY, 0);
    size_t sent = 0;
    size_t got = 0;
    size_t stalls = 0;
    bool ended = false;
    while (!ended) {
        char bytes[3000];
        size_t n = size_min(rng_below(&rng, sizeof(bytes)) + 1, TOTAL - sent);
        for (size_t i = 0; i < n; i++) {
            bytes[i] = (char)((sent + i) * 31 >> 3);
        }
        ssize_t w = n > 0 ? io_write(s.client, bytes, n) : 0;
        stalls += w == -EAGAIN;
        sent += w > 0 ? (size_t)w : 0;
        if (sent == TOTAL) {
            assert_int_equal(io_shut(s.client), 0);
        }
        turn_out(s.loop);
        /* client's pipe, what the relay holds, server's pipe */
        assert_true(sent - got <= ROOM + LOOP_READ_BYTES + ROOM);
        ssize_t r = io_read(s.server, bytes, rng_below(&rng, 700) + 1);
        for (ssize_t i = 0; i < r; i++) {
            assert_int_equal(bytes[i], (char)((got + (size_t)i) * 31 >> 3));
        }
        got += r > 0 ? (size_t)r : 0;
        ended = r == 0;
    }
    assert_int_equal(got, TOTAL);
    assert_true(stalls > 10);
    assert_null(s.relay->flow[0].waiting);
    assert_int_equal(io_shut(s.server), 0);
    turn_out(s.loop);
    assert_int_equal(s.result.done.code, 0);
    assert_int_equal(s.result.done.bytes_a_to_b, TOTAL);
    scene_end(&s);
}

/* Whoever fails, and how: the other side must see a reset and no orderly end. */
static void test_failures_reach_the_other_side(void **state)
{
    UNUSED(state);
    enum how { RESETS, BREAKS };
    for (int side = 0; side < 2; side++) {
        for (enum how how = RESETS; how <= BREAKS; how++) {
            struct scene s;
            scene_start(&s, 100, SPAN_EMPTY, 0);
            struct io *outer = side == 0 ? s.client : s.server;
            struct io *inner = side == 0 ? s.left : s.right;
            struct io *other = side == 0 ? s.server : s.client;
            assert_int_equal(io_write(outer, "abc", 3), 3);
            turn_out(s.loop);
            if (how == RESETS) {
                io_abort(outer);
                *(side == 0 ? &s.client : &s.server) = NULL;
            } else {
                io_mem_break(inner, -ERR_TLS);
            }
            turn_out(s.loop);
            assert_int_equal(s.result.calls, 1);
            assert_int_equal(s.result.done.code, how == RESETS ? -ERR_RESET : -ERR_TLS);
            assert_int_equal(s.result.done.failed_b, side == 1);
            char got[10];
            assert_int_equal(io_read(other, got, sizeof(got)), 3);
            assert_int_equal(io_read(other, got, sizeof(got)), -ERR_RESET);
            scene_end(&s);
        }
    }
}

static void test_writer_finds_the_other_side_gone(void **state)
{
    UNUSED(state);
    struct scene s;
    scene_start(&s, 100, SPAN_EMPTY, 0);
    io_close(s.server); /* an orderly end of its direction ... */
    s.server = NULL;
    turn_out(s.loop);
    assert_int_equal(s.result.calls, 0);
    assert_int_equal(io_write(s.client, "late", 4), 4); /* ... and nobody to take this */
    turn_out(s.loop);
    assert_int_equal(s.result.done.code, -ERR_RESET);
    assert_true(s.result.done.failed_b);
    char got[10];
    assert_int_equal(io_read(s.client, got, sizeof(got)), -ERR_RESET);
    scene_end(&s);
}

static void test_first_write_fails_after_the_start(void **state)
{
    UNUSED(state);
    struct scene s = {.result = {.calls = 0}};
    instant_fake_start(1000000000, 0);
    s.loop = loop_new(true);
    io_mem_pair(s.loop, 100, &s.client, &s.left);
    io_mem_pair(s.loop, 100, &s.right, &s.server);
    io_mem_break(s.right, -ERR_TLS);
    struct relay_spec spec = {
        .a = s.left, .b = s.right, .from_a = SPAN("x"), .on_done = on_done, .arg = &s.result};
    assert_non_null(relay_start_take(s.loop, &spec));
    assert_int_equal(s.result.calls, 0);
    turn_out(s.loop);
    assert_int_equal(s.result.calls, 1);
    assert_int_equal(s.result.done.code, -ERR_TLS);
    assert_true(s.result.done.failed_b);
    scene_end(&s);
}

static void test_first_bytes_that_do_not_fit(void **state)
{
    UNUSED(state);
    struct scene s;
    char first[1000];
    memset(first, 'f', sizeof(first));
    scene_start(&s, 100, span_from(first, sizeof(first)), 0);
    memset(first, 'x', sizeof(first)); /* was copied */
    assert_int_equal(io_write(s.client, "next", 4), 4);
    size_t got = 0;
    char bytes[64];
    while (got < 1004) {
        turn_out(s.loop);
        ssize_t n = io_read(s.server, bytes, sizeof(bytes));
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++, got++) {
            assert_int_equal(bytes[i], got < 1000 ? 'f' : "next"[got - 1000]);
        }
    }
    relay_close(s.relay);
    scene_end(&s);
}

static void test_idle_and_close(void **state)
{
    UNUSED(state);
    struct scene s;
    scene_start(&s, 100, SPAN_EMPTY, 5000);
    instant_fake_advance(INT64_C(4000) * 1000000);
    turn_out(s.loop);
    assert_int_equal(io_write(s.client, "x", 1), 1);
    turn_out(s.loop);
    instant_fake_advance(INT64_C(4000) * 1000000);
    turn_out(s.loop);
    assert_int_equal(s.result.calls, 0);
    instant_fake_advance(INT64_C(1001) * 1000000);
    turn_out(s.loop);
    assert_int_equal(s.result.calls, 1);
    assert_int_equal(s.result.done.code, -ERR_TIMEOUT);
    scene_end(&s);
    /* never */
    scene_start(&s, 100, SPAN_EMPTY, 0);
    instant_fake_advance(INT64_C(86400000) * 1000000);
    turn_out(s.loop);
    assert_int_equal(s.result.calls, 0);
    /* closed with bytes on their way: the receiver is reset */
    char big[300];
    memset(big, 'b', sizeof(big));
    for (int i = 0; i < 3; i++) {
        (void)io_write(s.client, big, sizeof(big));
        turn_out(s.loop);
    }
    relay_close(s.relay);
    assert_int_equal(s.result.calls, 1);
    assert_int_equal(s.result.done.code, -ECANCELED);
    char got[200];
    assert_int_equal(io_read(s.server, got, sizeof(got)), 100);
    assert_int_equal(io_read(s.server, got, sizeof(got)), -ERR_RESET);
    scene_end(&s);
}

static void socket_pair(struct loop *loop, struct io **inner, int *outer)
{
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    assert_int_equal(bind(listening, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&at, &len), 0);
    *outer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(connect(*outer, (struct sockaddr *)&at, len) == 0 || errno == EINPROGRESS);
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(fd >= 0);
    close(listening);
    *inner = io_tcp_take(loop, fd);
}

struct sockets {
    struct loop *loop;
    int client, server;
    struct relay *relay;
    struct result result;
};

static void sockets_start(struct sockets *s, int64_t idle_ms)
{
    struct relay_spec spec = {.on_done = on_done, .arg = &s->result, .idle_ms = idle_ms};
    memset(s, 0, sizeof(*s));
    s->loop = loop_new(false);
    socket_pair(s->loop, &spec.a, &s->client);
    socket_pair(s->loop, &spec.b, &s->server);
    s->relay = relay_start_take(s->loop, &spec);
}

static char fill_at(size_t i)
{
    return (char)(i ^ (i >> 8) ^ (i >> 16));
}

/* Pushes bytes through until `total` have come out; the reader takes at most `piece` at a time. */
static void pump(struct sockets *s, size_t total, size_t piece, bool *spliced)
{
    static char bytes[LOOP_READ_BYTES];
    size_t sent = 0;
    size_t got = 0;
    while (got < total) {
        size_t n = size_min(sizeof(bytes), total - sent);
        for (size_t i = 0; i < n; i++) {
            bytes[i] = fill_at(sent + i);
        }
        ssize_t w = n == 0 ? 0 : send(s->client, bytes, n, MSG_NOSIGNAL);
        sent += w > 0 ? (size_t)w : 0;
        (void)loop_turn(s->loop, false);
        *spliced = *spliced || s->relay->flow[0].pipe_in >= 0;
        ssize_t r = recv(s->server, bytes, piece, 0);
        for (ssize_t i = 0; i < r; i++) {
            if (bytes[i] != fill_at(got + (size_t)i)) {
                fail_msg("byte %zu differs", got + (size_t)i);
            }
        }
        got += r > 0 ? (size_t)r : 0;
    }
}

static void test_large_flows_are_spliced(void **state)
{
    UNUSED(state);
    int fds = open_fds();
    struct sockets s;
    bool spliced = false;
    sockets_start(&s, 0);
    pump(&s, 1000, LOOP_READ_BYTES, &spliced);
    assert_false(spliced);
    pump(&s, 20 << 20, LOOP_READ_BYTES, &spliced);
    assert_true(spliced);
    pump(&s, 2 << 20, 5000, &spliced); /* a slow reader blocks the pipe, too */
    /* the pipe is given back once it has been idle */
    TURN_UNTIL(s.loop, s.relay->flow[0].pipe_in < 0);
    spliced = false;
    pump(&s, 100, LOOP_READ_BYTES, &spliced);
    assert_false(spliced);
    /* and the end passes */
    bool ignored = false;
    pump(&s, 1 << 20, LOOP_READ_BYTES, &ignored);
    assert_int_equal(shutdown(s.client, SHUT_WR), 0);
    char byte;
    TURN_UNTIL(s.loop, recv(s.server, &byte, 1, 0) == 0);
    close(s.server);
    TURN_UNTIL(s.loop, s.result.calls == 1);
    assert_int_equal(s.result.done.code, 0);
    assert_int_equal(s.result.done.bytes_a_to_b, 1000 + (20 << 20) + (2 << 20) + 100 + (1 << 20));
    close(s.client);
    loop_free(s.loop);
    assert_int_equal(open_fds(), fds);
}

static void test_reset_while_spliced(void **state)
{
    UNUSED(state);
    int fds = open_fds();
    for (int side = 0; side < 2; side++) {
        struct sockets s;
        bool spliced = false;
        sockets_start(&s, 0);
        pump(&s, 4 << 20, LOOP_READ_BYTES, &spliced);
        assert_true(spliced);
        const struct linger now = {.l_onoff = 1, .l_linger = 0};
        int failing = side == 0 ? s.client : s.server;
        int other = side == 0 ? s.server : s.client;
        assert_int_equal(setsockopt(failing, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
        close(failing);
        TURN_UNTIL(s.loop, s.result.calls == 1);
        assert_int_equal(s.result.done.code, -ERR_RESET);
        assert_int_equal(s.result.done.failed_b, side == 1);
        char byte;
        ssize_t n;
        while ((n = recv(other, &byte, 1, 0)) == 1) {
        }
        assert_int_equal(n, -1);
        assert_int_equal(errno, ECONNRESET);
        close(other);
        loop_free(s.loop);
    }
    assert_int_equal(open_fds(), fds);
}

static void test_memory_of_an_idle_relay(void **state)
{
    UNUSED(state);
    size_t before = mem_live_bytes();
    struct sockets s;
    bool spliced = false;
    sockets_start(&s, 60000);
    pump(&s, 100000, LOOP_READ_BYTES, &spliced);
    loop_bury(s.loop, mem_free,
              mem_alloc(1)); /* the graveyard has its room before it is measured */
    (void)loop_turn(s.loop, false);
    size_t with = mem_live_bytes();
    relay_close(s.relay);
    (void)loop_turn(s.loop, false);
    size_t relay = with - mem_live_bytes();
    print_message("an idle relay with its two streams: %zu bytes\n", relay);
    assert_true(relay < 1300);
    close(s.client);
    close(s.server);
    loop_free(s.loop);
    assert_int_equal(mem_live_bytes(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways_then_half_closes),
        cmocka_unit_test(test_slow_reader_stops_the_sender),
        cmocka_unit_test(test_failures_reach_the_other_side),
        cmocka_unit_test(test_writer_finds_the_other_side_gone),
        cmocka_unit_test(test_first_write_fails_after_the_start),
        cmocka_unit_test(test_first_bytes_that_do_not_fit),
        cmocka_unit_test(test_idle_and_close),
        cmocka_unit_test(test_large_flows_are_spliced),
        cmocka_unit_test(test_reset_while_spliced),
        cmocka_unit_test(test_memory_of_an_idle_relay),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* as io/signals does for the whole process */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
