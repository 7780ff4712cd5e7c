/* Tunnels over one HTTP/2 connection whose two ends are joined by memory: bytes both ways, half-close, slow readers, resets from
 * either side, the connection's end, closing in callbacks, a tunnel in a tunnel. */
#include "http/io_tunnel.c"

#include <setjmp.h>
#include <stdarg.h>
/* after setjmp and stdarg */
#include <cmocka.h>

#include "base/instant.h"

#define MIB (1u << 20)
#define TUNNELS 3

struct end {
    struct io *io;
    uint64_t got, sent, to_send;
    bool eof, stop, echo, shut_after, close_on_read, shut_done;
    int code;
};

struct scene {
    struct loop *loop;
    struct http_conn *client, *server;
    struct end near[TUNNELS], far[TUNNELS];
    unsigned asked, granted, closes;
    struct http_stream *streams[TUNNELS];
};

/* ---- the owner of an end ---- */

static void rewatch(struct end *e)
{
    if (e->io != NULL) {
        io_watch(e->io, (e->stop || e->eof ? 0u : (unsigned)IO_READ) |
                            (e->sent < e->to_send ? (unsigned)IO_WRITE : 0u));
    }
}

static void end_send(struct end *e)
{
    static char bytes[40000];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)(i % 251);
    }
    while (e->io != NULL && e->sent < e->to_send) {
        size_t n = size_min(sizeof(bytes), (size_t)(e->to_send - e->sent));
        const struct iovec v[] = {{bytes, n / 3}, {bytes, 0}, {bytes, n - n / 3}};
        ssize_t took = io_writev(e->io, v, 3);
        if (took == -EAGAIN) {
            return;
        }
        if (took < 0) {
            e->code = (int)took;
            e->to_send = e->sent;
            return;
        }
        e->sent += (size_t)took;
    }
    if (e->io != NULL && e->shut_after && !e->shut_done) {
        e->shut_done = true;
        assert_int_equal(io_shut(e->io), 0);
        assert_int_equal(io_write(e->io, "x", 1), -ERR_RESET);
    }
}

static void on_end(void *arg, unsigned events)
{
    struct end *e = arg;
    static char room[30000];
    if ((events & IO_READ) != 0) {
        ssize_t n = io_read(e->io, room, sizeof(room));
        if (n > 0) {
            e->got += (uint64_t)n;
            e->to_send += e->echo ? (uint64_t)n : 0;
        } else if (n != -EAGAIN) {
            e->eof = true;
            e->code = (int)n;
            e->shut_after = e->shut_after || e->echo;
        }
        if (e->close_on_read) {
            struct io *io = e->io;
            e->io = NULL;
            io_close(io);
            return;
        }
    }
    end_send(e);
    rewatch(e);
}

static void end_take(struct end *e, struct http_stream *s)
{
    const struct addr peer = {.kind = ADDR_IP, .port = 1000};
    const struct addr local = {.kind = ADDR_IP, .port = 8080};
    e->io = io_tunnel_take(s, &peer, &local);
    assert_true(io_is_tunnel(e->io));
    assert_null(io_tunnel_peer(e->io));
    assert_int_equal(io_fd(e->io), -1);
    io_set_owner(e->io, on_end, e);
    rewatch(e);
}

/* ---- the connection ---- */

static void no_data(void *arg, struct span data, bool end)
{
    UNUSED(arg);
    UNUSED(data);
    UNUSED(end);
}

static void ignore_close(void *arg, enum http_reset why)
{
    UNUSED(arg);
    UNUSED(why);
}

static void on_connect(void *arg, struct head *head, bool end)
{
    struct scene *s = arg;
    struct http_stream *stream = s->streams[s->granted];
    struct head ok;
    assert_false(end);
    assert_true(span_is(head->authority, "10.0.0.1:8080"));
    head_init(&ok, http_stream_arena(stream));
    ok.status = 200;
    assert_int_equal(http_stream_head(stream, &ok, false), 0);
    end_take(&s->far[s->granted++], stream);
}

static const struct http_stream_events server_stream = {
    .on_head = on_connect, .on_data = no_data, .on_close = ignore_close};

static void on_open(void *arg, struct http_stream *stream, const struct http_stream_events **ev,
                    void **stream_arg)
{
    struct scene *s = arg;
    s->streams[s->granted] = stream;
    *ev = &server_stream;
    *stream_arg = s;
}

static void on_server_gone(void *arg, enum http_reset why)
{
    UNUSED(why);
    ((struct scene *)arg)->server = NULL;
}

static void on_client_gone(void *arg, enum http_reset why)
{
    UNUSED(why);
    ((struct scene *)arg)->client = NULL;
}

static const struct http_conn_events server_events = {.on_open = on_open,
                                                      .on_gone = on_server_gone};
static const struct http_conn_events client_events = {.on_gone = on_client_gone};

struct asking {
    struct scene *scene;
    struct http_stream *stream;
    unsigned number;
};

static void on_granted(void *arg, struct head *head, bool end)
{
    struct asking *a = arg;
    assert_int_equal(head->status, 200);
    assert_false(end);
    end_take(&a->scene->near[a->number], a->stream);
}

static const struct http_stream_events client_stream = {
    .on_head = on_granted, .on_data = no_data, .on_close = ignore_close};

static void run(struct scene *s)
{
    for (unsigned i = 0; i < 100000 && loop_turn(s->loop, false); i++) {
    }
}

static void scene_start(struct scene *s, size_t room)
{
    static struct asking asking[TUNNELS];
    struct io *a, *b;
    memset(s, 0, sizeof(*s));
    instant_fake_start(1000000000, 0);
    s->loop = loop_new(true);
    io_mem_pair(s->loop, room, &a, &b);
    struct http_conn_spec spec = {.io = a,
                                  .proto = HTTP_PROTO_2,
                                  .events = &client_events,
                                  .arg = s,
                                  .scheme = SPAN_INIT("https")};
    s->client = http_conn_new_take(s->loop, &spec);
    spec.io = b;
    spec.server = true;
    spec.events = &server_events;
    s->server = http_conn_new_take(s->loop, &spec);
    run(s);
    for (unsigned i = 0; i < TUNNELS; i++) {
        struct head h;
        asking[i] = (struct asking){s, NULL, i};
        asking[i].stream = http_conn_request(s->client, &client_stream, &asking[i]);
        head_init(&h, http_stream_arena(asking[i].stream));
        h.method = SPAN("CONNECT");
        h.method_id = METHOD_CONNECT;
        h.authority = SPAN("10.0.0.1:8080");
        assert_int_equal(http_stream_head(asking[i].stream, &h, false), 0);
    }
    run(s);
    for (unsigned i = 0; i < TUNNELS; i++) {
        assert_non_null(s->near[i].io);
        assert_non_null(s->far[i].io);
    }
}

static void scene_end(struct scene *s)
{
    for (unsigned i = 0; i < TUNNELS; i++) {
        io_close(s->near[i].io);
        io_close(s->far[i].io);
    }
    run(s);
    if (s->client != NULL) {
        http_conn_close(s->client);
    }
    run(s);
    if (s->server != NULL) {
        http_conn_close(s->server);
    }
    run(s);
    loop_free(s->loop);
    instant_fake_stop();
}

static void wake(struct scene *s, struct end *e)
{
    if (e->io != NULL) {
        end_send(e);
        rewatch(e);
    }
    run(s);
}

/* ---- cases ---- */

static void bytes_go_both_ways_with_half_close(void **state)
{
    struct scene s;
    UNUSED(state);
    for (size_t room = 100; room <= 100000; room *= 1000) {
        scene_start(&s, room);
        for (unsigned i = 0; i < TUNNELS; i++) {
            s.far[i].echo = true;
            s.near[i].to_send = (i + 1) * 200001;
            s.near[i].shut_after = true;
            wake(&s, &s.near[i]);
        }
        for (unsigned i = 0; i < TUNNELS; i++) { /* ours ended first; the echo still came whole */
            assert_int_equal(s.near[i].got, (i + 1) * 200001);
            assert_true(s.near[i].eof && s.far[i].eof);
            assert_int_equal(s.near[i].code, 0);
            assert_int_equal(s.far[i].code, 0);
        }
        assert_int_equal(http_conn_streams(s.client), 0);
        assert_int_equal(http_conn_streams(s.server), 0);
        scene_end(&s);
    }
}

static void a_slow_reader_stops_its_sender_only(void **state)
{
    struct scene s;
    UNUSED(state);
    scene_start(&s, 65536);
    s.far[0].stop = true;
    rewatch(&s.far[0]);
    s.near[0].to_send = 10 * MIB;
    wake(&s, &s.near[0]);
    assert_in_range(s.near[0].sent, 65536, 4 * 65536);
    uint64_t stuck = s.near[0].sent;
    s.near[1].to_send = MIB; /* another tunnel of the same connection goes on */
    wake(&s, &s.near[1]);
    assert_int_equal(s.far[1].got, MIB);
    assert_int_equal(s.near[0].sent, stuck);
    s.far[0].stop = false;
    wake(&s, &s.far[0]);
    assert_int_equal(s.far[0].got, 10 * MIB);
    scene_end(&s);
}

static void a_reset_is_told_behind_what_came(void **state)
{
    struct scene s;
    UNUSED(state);
    scene_start(&s, 65536);
    s.near[0].stop = true;
    rewatch(&s.near[0]);
    s.far[0].to_send = 1000;
    wake(&s, &s.far[0]);
    io_abort(s.far[0].io);
    s.far[0].io = NULL;
    run(&s);
    assert_int_equal(io_write(s.near[0].io, "x", 1), -ERR_RESET);
    assert_int_equal(io_shut(s.near[0].io), -ERR_RESET);
    s.near[0].stop = false;
    wake(&s, &s.near[0]);
    assert_int_equal(s.near[0].got, 1000);
    assert_true(s.near[0].eof);
    assert_int_equal(s.near[0].code, -ERR_RESET);
    s.near[1].to_send = 10; /* the others do not notice */
    wake(&s, &s.near[1]);
    assert_int_equal(s.far[1].got, 10);
    scene_end(&s);
}

static void the_end_of_the_connection_is_a_reset(void **state)
{
    struct scene s;
    UNUSED(state);
    scene_start(&s, 65536);
    http_conn_close(s.server);
    run(&s);
    for (unsigned i = 0; i < TUNNELS; i++) {
        assert_true(s.near[i].eof && s.far[i].eof);
        assert_int_equal(s.near[i].code, -ERR_RESET);
        assert_int_equal(s.far[i].code, -ERR_RESET);
    }
    scene_end(&s);
}

static void close_lets_what_was_written_leave(void **state)
{
    struct scene s;
    UNUSED(state);
    scene_start(&s, 1000);
    s.near[0].to_send = 50000;
    end_send(&s.near[0]);
    assert_int_equal(s.near[0].sent, 50000); /* queued */
    io_close(s.near[0].io);
    s.near[0].io = NULL;
    run(&s);
    assert_int_equal(s.far[0].got, 50000);
    assert_true(s.far[0].eof);
    assert_int_equal(s.far[0].code, 0);
    s.far[0].to_send = 5000; /* nobody reads that: as a closed socket answers */
    wake(&s, &s.far[0]);
    s.far[0].to_send = 10000;
    wake(&s, &s.far[0]);
    assert_int_equal(io_write(s.far[0].io, "x", 1), -ERR_RESET);
    assert_int_equal(http_conn_streams(s.client), TUNNELS - 1);
    scene_end(&s);
}

static void who_does_not_end_is_cut_off_in_time(void **state)
{
    struct scene s;
    UNUSED(state);
    scene_start(&s, 65536);
    io_close(s.near[0].io);
    s.near[0].io = NULL;
    run(&s);
    assert_true(s.far[0].eof);
    assert_int_equal(http_conn_streams(s.client), TUNNELS);
    instant_fake_advance((int64_t)LINGER_MS * 1000000 + 1000000000);
    run(&s);
    assert_int_equal(http_conn_streams(s.client), TUNNELS - 1);
    assert_int_equal(io_write(s.far[0].io, "x", 1), -ERR_RESET);
    scene_end(&s);
}

static void an_owner_may_close_in_its_event(void **state)
{
    struct scene s;
    UNUSED(state);
    scene_start(&s, 65536);
    s.far[0].close_on_read = true;
    s.near[0].to_send = 300000;
    s.near[1].to_send = 300000;
    wake(&s, &s.near[0]);
    wake(&s, &s.near[1]);
    assert_null(s.far[0].io);
    assert_true(s.near[0].code == -ERR_RESET); /* unread bytes were lost */
    assert_int_equal(s.far[1].got, 300000);
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways_with_half_close),
        cmocka_unit_test(a_slow_reader_stops_its_sender_only),
        cmocka_unit_test(a_reset_is_told_behind_what_came),
        cmocka_unit_test(the_end_of_the_connection_is_a_reset),
        cmocka_unit_test(close_lets_what_was_written_leave),
        cmocka_unit_test(who_does_not_end_is_cut_off_in_time),
        cmocka_unit_test(an_owner_may_close_in_its_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
