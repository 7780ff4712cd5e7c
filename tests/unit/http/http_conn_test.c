/* A client connection and a server connection joined by memory, over both protocols: many exchanges with
 * flat memory, large bodies with a slow reader, back-pressure, trailers, interim answers, tunnels, early
 * answers, drain, loss. */
#include "http/http_conn.c"

#include <setjmp.h>
#include <stdarg.h>
/* after setjmp and stdarg */
#include <cmocka.h>

#include "base/buf.h"
#include "base/instant.h"
#include "base/mem.h"
#include "io/loop.h"

#define MIB (1u << 20)

/* One end of an exchange. */
struct end {
    struct http_stream *s;
    struct head *head;
    struct http_conn *conn;
    char text[256]; /* the first bytes of the body */
    size_t text_bytes;
    uint64_t got; /* bytes of body */
    uint64_t sent;
    uint64_t to_send; /* of zeros, as fast as the queue allows */
    size_t hold;      /* consume nothing until so many bytes are held */
    size_t held;
    bool stop; /* consume nothing at all */
    unsigned heads, ends, trailers, closes, drained, opens, interim, gone, rooms, bad;
    unsigned last_status;
    enum http_reset why, gone_why;
};

enum behaviour {
    HELLO,    /* 200 with "hello" at the end of the request */
    SOURCE,   /* 200 with to_send bytes */
    NOTHING,  /* no answer */
    EARLY,    /* 413 at the head */
    TRAILERS, /* body and trailers */
    INTERIM,  /* 103, then HELLO */
    TUNNEL,   /* grants CONNECT and upgrades; echoes */
    ECHO,     /* streams the body back */
};

struct pair {
    struct loop *loop;
    struct end client;
    struct end server;
    enum behaviour behaviour;
    enum http_proto proto;
};

static void pump(struct end *e)
{
    static char zeros[16384];
    while (e->s && e->sent < e->to_send && http_stream_queued(e->s) < 65536) {
        size_t n =
            (size_t)(e->to_send - e->sent < sizeof(zeros) ? e->to_send - e->sent : sizeof(zeros));
        e->sent += n;
        if (http_stream_data(e->s, span_from(zeros, n), e->sent == e->to_send) != 0) {
            return;
        }
    }
}

static void note_data(struct end *e, struct span data)
{
    size_t n = size_min(sizeof(e->text) - 1 - e->text_bytes, data.len);
    if (n > 0) {
        memcpy(e->text + e->text_bytes, data.at, n);
    }
    e->text_bytes += n;
    e->text[e->text_bytes] = '\0';
    e->got += data.len;
    e->held += data.len;
    if (!e->stop && e->held >= e->hold) {
        http_stream_consume(e->s, e->held);
        e->held = 0;
    }
}

static void answer(struct pair *p, unsigned status, int64_t length, bool end)
{
    struct head h;
    head_init(&h, http_stream_arena(p->server.s));
    h.status = status;
    h.content_length = length;
    h.upgrade = status == 101 ? p->server.head->upgrade : SPAN_EMPTY;
    assert_int_equal(head_add(&h, SPAN("x-answer"), SPAN("1")), 0);
    http_stream_head(p->server.s, &h, end);
}

static void server_answer(struct pair *p)
{
    struct end *e = &p->server;
    switch (p->behaviour) {
    case INTERIM:
        answer(p, 103, HEAD_LENGTH_UNKNOWN, false);
        http_stream_reply(e->s, 200, SPAN("text/plain"), SPAN("hello"));
        break;
    case HELLO:
        http_stream_reply(e->s, 200, SPAN("text/plain"), SPAN("hello"));
        break;
    case SOURCE:
        answer(p, 200, (int64_t)e->to_send, false);
        e->sent = 0;
        pump(e);
        break;
    case TRAILERS: {
        struct head t;
        head_init(&t, http_stream_arena(e->s));
        assert_int_equal(head_add(&t, SPAN("x-sum"), SPAN("9")), 0);
        answer(p, 200, HEAD_LENGTH_UNKNOWN, false);
        http_stream_data(e->s, SPAN("hello"), false);
        http_stream_trailers(e->s, &t);
        break;
    }
    case ECHO:
        http_stream_data(e->s, SPAN_EMPTY, true);
        break;
    case NOTHING:
    case EARLY:
    case TUNNEL:
        break;
    }
}

static void server_head(void *arg, struct head *head, bool end)
{
    struct pair *p = arg;
    p->server.heads++;
    p->server.head = head;
    if (p->behaviour == EARLY) {
        http_stream_reply(p->server.s, 413, SPAN("text/plain"), SPAN("too much"));
    } else if (p->behaviour == TUNNEL) {
        answer(p, head->upgrade.len > 0 ? 101 : 200, HEAD_LENGTH_UNKNOWN, false);
    } else if (p->behaviour == ECHO) {
        answer(p, 200, HEAD_LENGTH_UNKNOWN, false);
    }
    if (end) {
        server_answer(p);
    }
}

static void server_data(void *arg, struct span data, bool end)
{
    struct pair *p = arg;
    note_data(&p->server, data);
    p->server.ends += end;
    if (p->behaviour == TUNNEL || (p->behaviour == ECHO && !end)) {
        http_stream_data(p->server.s, data, end);
    } else if (end) {
        if (p->behaviour == ECHO) {
            http_stream_data(p->server.s, data, true);
        } else {
            server_answer(p);
        }
    }
}

static void server_trailers(void *arg, struct head *t)
{
    struct pair *p = arg;
    p->server.trailers++;
    assert_true(span_is(head_get(t, SPAN("x-sum")), "9"));
    server_answer(p);
}

static void server_drained(void *arg)
{
    struct pair *p = arg;
    p->server.drained++;
    pump(&p->server);
}

static void server_close(void *arg, enum http_reset why)
{
    struct pair *p = arg;
    p->server.closes++;
    p->server.why = why;
    p->server.s = NULL;
}

static const struct http_stream_events server_events = {
    .on_head = server_head,
    .on_data = server_data,
    .on_trailers = server_trailers,
    .on_drained = server_drained,
    .on_close = server_close,
};

static void server_open(void *arg, struct http_stream *s, const struct http_stream_events **ev,
                        void **stream_arg)
{
    struct pair *p = arg;
    p->server.opens++;
    p->server.s = s;
    p->server.text_bytes = 0;
    *ev = &server_events;
    *stream_arg = p;
}

static void client_head(void *arg, struct head *head, bool end)
{
    struct pair *p = arg;
    p->client.heads++;
    p->client.ends += end;
    p->client.interim += head->status < 200 && head->status != 101;
    p->client.last_status = head->status;
    p->client.head = head;
}

static void client_data(void *arg, struct span data, bool end)
{
    struct pair *p = arg;
    note_data(&p->client, data);
    p->client.ends += end;
}

static void client_trailers(void *arg, struct head *t)
{
    struct pair *p = arg;
    p->client.trailers++;
    assert_true(span_is(head_get(t, SPAN("x-sum")), "9"));
}

static void client_drained(void *arg)
{
    struct pair *p = arg;
    p->client.drained++;
    pump(&p->client);
}

static void client_close(void *arg, enum http_reset why)
{
    struct pair *p = arg;
    p->client.closes++;
    p->client.why = why;
    p->client.s = NULL;
}

static const struct http_stream_events client_events = {
    .on_head = client_head,
    .on_data = client_data,
    .on_trailers = client_trailers,
    .on_drained = client_drained,
    .on_close = client_close,
};

static void on_bad(void *arg, unsigned status, const char *why)
{
    UNUSED(status);
    UNUSED(why);
    ((struct pair *)arg)->server.bad++;
}

static void server_gone(void *arg, enum http_reset why)
{
    struct pair *p = arg;
    p->server.gone++;
    p->server.gone_why = why;
    p->server.conn = NULL;
}

static void client_gone(void *arg, enum http_reset why)
{
    struct pair *p = arg;
    p->client.gone++;
    p->client.gone_why = why;
    p->client.conn = NULL;
}

static void client_room(void *arg)
{
    ((struct pair *)arg)->client.rooms++;
}

static const struct http_conn_events server_conn_events = {
    .on_open = server_open, .on_bad = on_bad, .on_gone = server_gone};
static const struct http_conn_events client_conn_events = {.on_room = client_room,
                                                           .on_gone = client_gone};

static void setup(struct pair *p, enum http_proto proto, enum behaviour behaviour,
                  const struct http_limits *limits)
{
    struct io *a;
    struct io *b;
    memset(p, 0, sizeof(*p));
    instant_fake_start(1000000000, 1700000000000000);
    p->loop = loop_new(true);
    p->behaviour = behaviour;
    p->proto = proto;
    io_mem_pair(p->loop, 65536, &a, &b);
    struct http_conn_spec spec = {
        .io = a,
        .proto = proto,
        .limits = limits,
        .events = &client_conn_events,
        .arg = p,
        .scheme = SPAN("http"),
    };
    p->client.conn = http_conn_new_take(p->loop, &spec);
    spec.io = b;
    spec.server = true;
    spec.events = &server_conn_events;
    p->server.conn = http_conn_new_take(p->loop, &spec);
}

static void turn(struct pair *p)
{
    for (int i = 0; i < 1000000 && loop_turn(p->loop, false); i++) {
    }
}

static void advance(struct pair *p, int64_t ms)
{
    instant_fake_advance(ms * 1000000);
    turn(p);
}

static void teardown(struct pair *p)
{
    if (p->client.conn) {
        http_conn_close(p->client.conn);
    }
    turn(p);
    if (p->server.conn) {
        http_conn_close(p->server.conn);
    }
    turn(p);
    loop_free(p->loop);
    instant_fake_stop();
}

static void ask_as(struct pair *p, const char *method, int64_t length, bool end,
                   const char *upgrade)
{
    struct head h;
    p->client.s = http_conn_request(p->client.conn, &client_events, p);
    assert_non_null(p->client.s);
    head_init(&h, http_stream_arena(p->client.s));
    h.method = span_of(method);
    h.method_id = head_method_of(h.method);
    h.scheme = SPAN("http");
    h.authority = SPAN("a.example:80");
    h.path = h.method_id == METHOD_CONNECT ? SPAN_EMPTY : SPAN("/path?query");
    h.content_length = length;
    h.upgrade = span_of(upgrade);
    assert_int_equal(head_add(&h, SPAN("x-one"), SPAN("1")), 0);
    assert_int_equal(head_add_known(&h, HEAD_TE, SPAN("trailers")), 0);
    assert_int_equal(http_stream_head(p->client.s, &h, end), 0);
}

static void ask(struct pair *p, const char *method, int64_t length, bool end)
{
    ask_as(p, method, length, end, NULL);
}

/* Each test runs over both protocols. */
static const enum http_proto protos[] = {HTTP_PROTO_1, HTTP_PROTO_2};
#define BOTH(proto)                                        \
    for (size_t proto##_i = 0; proto##_i < 2; proto##_i++) \
        for (enum http_proto proto = protos[proto##_i], *once = &proto; once; once = NULL)

static void test_exchange(void **state)
{
    UNUSED(state);
    BOTH(proto)
    {
        struct pair p;
        setup(&p, proto, HELLO, NULL);
        turn(&p);
        ask(&p, "GET", HEAD_LENGTH_UNKNOWN, true);
        turn(&p);
        assert_int_equal(p.client.heads, 1);
        assert_int_equal(p.client.ends, 1);
        assert_string_equal(p.client.text, "hello");
        assert_int_equal(p.client.closes, 1);
        assert_int_equal(p.client.why, HTTP_RESET_NONE);
        assert_int_equal(p.server.closes, 1);
        assert_int_equal(p.server.why, HTTP_RESET_NONE);
        assert_true(p.client.rooms > 0);
        assert_int_equal(http_conn_served(p.client.conn), 1);
        assert_int_equal(http_conn_streams(p.client.conn), 0);
        ask(&p, "HEAD", HEAD_LENGTH_UNKNOWN, true);
        turn(&p);
        assert_int_equal(p.client.heads, 2);
        assert_int_equal(p.client.got, 5);
        assert_int_equal(p.client.closes, 2);
        ask(&p, "POST", 4, false);
        http_stream_data(p.client.s, SPAN("body"), true);
        turn(&p);
        assert_string_equal(p.server.text, "body");
        assert_int_equal(p.client.closes, 3);
        ask(&p, "POST", HEAD_LENGTH_UNKNOWN, false);
        turn(&p);
        http_stream_data(p.client.s, SPAN("bo"), false);
        turn(&p);
        http_stream_data(p.client.s, SPAN("dy"), false);
        turn(&p);
        http_stream_data(p.client.s, SPAN_EMPTY, true);
        turn(&p);
        assert_string_equal(p.server.text, "body");
        assert_int_equal(p.client.closes, 4);
        assert_int_equal(p.server.bad, 0);
        teardown(&p);
    }
}

static void test_many_exchanges_flat_memory(void **state)
{
    UNUSED(state);
    BOTH(proto)
    {
        struct pair p;
        size_t after_warm_up = 0;
        setup(&p, proto, HELLO, NULL);
        turn(&p);
        for (unsigned i = 1; i <= 10000; i++) {
            ask(&p, "POST", 4, false);
            http_stream_data(p.client.s, SPAN("body"), true);
            turn(&p);
            assert_int_equal(p.client.closes, i);
            if (i == 100) {
                after_warm_up = mem_live_bytes();
            }
        }
        assert_int_equal(p.client.why, HTTP_RESET_NONE);
        assert_int_equal(p.server.opens, 10000);
        if (after_warm_up > 0) {
            size_t now = mem_live_bytes();
            assert_true(now <= after_warm_up + 1024);
        }
        teardown(&p);
    }
}

/* 100 MB down to a reader that takes 64 KiB at a time, and up. */
static void test_large_slow(void **state)
{
    UNUSED(state);
    BOTH(proto)
    {
        struct pair p;
        setup(&p, proto, SOURCE, NULL);
        turn(&p);
        size_t before = mem_live_bytes();
        size_t most = 0;
        p.server.to_send = 100 * MIB;
        p.client.stop = true;
        ask(&p, "GET", HEAD_LENGTH_UNKNOWN, true);
        for (unsigned i = 0; i < 100000 && p.client.closes == 0; i++) {
            turn(&p);
            most = size_max(most, mem_live_bytes());
            size_t n = size_min(p.client.held, 65536);
            p.client.held -= n;
            if (p.client.s) {
                http_stream_consume(p.client.s, n);
            }
        }
        assert_int_equal(p.client.got, 100 * MIB);
        assert_int_equal(p.client.why, HTTP_RESET_NONE);
        assert_true(most - before < 600 * 1024);
        p.behaviour = HELLO;
        p.server.got = 0;
        p.server.stop = true;
        p.server.held = 0;
        p.client.to_send = 100 * MIB;
        p.client.sent = 0;
        ask(&p, "PUT", HEAD_LENGTH_UNKNOWN, false);
        pump(&p.client);
        for (unsigned i = 0; i < 100000 && p.client.closes == 1; i++) {
            turn(&p);
            most = size_max(most, mem_live_bytes());
            size_t n = size_min(p.server.held, 65536);
            p.server.held -= n;
            if (p.server.s) {
                http_stream_consume(p.server.s, n);
            }
        }
        assert_int_equal(p.server.got, 100 * MIB);
        assert_int_equal(p.client.closes, 2);
        assert_true(p.client.drained > 100);
        assert_true(most - before < 600 * 1024);
        teardown(&p);
    }
}

/* A reader that never consumes stops the sender. */
static void test_no_credit(void **state)
{
    UNUSED(state);
    BOTH(proto)
    {
        struct pair p;
        setup(&p, proto, SOURCE, NULL);
        turn(&p);
        p.server.to_send = 50 * MIB;
        p.client.stop = true;
        ask(&p, "GET", HEAD_LENGTH_UNKNOWN, true);
        turn(&p);
        advance(&p, 10000);
        assert_true(p.client.got <= 2 * 65536);
        assert_true(p.server.sent < 400000);
        http_stream_reset(p.client.s, HTTP_RESET_LOCAL);
        p.client.s = NULL;
        turn(&p);
        assert_int_equal(p.server.closes, 1);
        assert_int_equal(p.server.why, HTTP_RESET_PEER);
        assert_int_equal(p.client.closes, 0);
        teardown(&p);
    }
}

static void test_trailers(void **state)
{
    UNUSED(state);
    BOTH(proto)
    {
        struct pair p;
        setup(&p, proto, TRAILERS, NULL);
        turn(&p);
        ask(&p, "POST", HEAD_LENGTH_UNKNOWN, false);
        struct head t;
        head_init(&t, http_stream_arena(p.client.s));
        assert_int_equal(head_add(&t, SPAN("x-sum"), SPAN("9")), 0);
        http_stream_data(p.client.s, SPAN("up"), false);
        http_stream_trailers(p.client.s, &t);
        turn(&p);
        assert_int_equal(p.server.trailers, 1);
        assert_int_equal(p.client.trailers, 1);
        assert_int_equal(p.client.ends, 0);
        assert_string_equal(p.client.text, "hello");
        assert_int_equal(p.client.why, HTTP_RESET_NONE);
        assert_int_equal(p.client.closes, 1);
        teardown(&p);
    }
}

static void test_interim(void **state)
{
    UNUSED(state);
    BOTH(proto)
    {
        struct pair p;
        setup(&p, proto, INTERIM, NULL);
        turn(&p);
        ask(&p, "GET", HEAD_LENGTH_UNKNOWN, true);
        turn(&p);
        assert_int_equal(p.client.interim, 1);
        assert_int_equal(p.client.heads, 2);
        assert_int_equal(p.client.last_status, 200);
        assert_int_equal(p.client.closes, 1);
        teardown(&p);
    }
}

/* An answer before the whole request: both ends are done; HTTP/2 goes on, HTTP/1 may end. */
static void test_early_answer(void **state)
{
    UNUSED(state);
    BOTH(proto)
    {
        struct pair p;
        setup(&p, proto, EARLY, NULL);
        turn(&p);
        ask(&p, "POST", 10 * MIB, false);
        p.client.to_send = 10 * MIB;
        pump(&p.client);
        turn(&p);
        assert_int_equal(p.client.last_status, 413);
        assert_string_equal(p.client.text, "too much");
        assert_int_equal(p.client.closes, 1);
        assert_int_equal(p.client.why, HTTP_RESET_NONE);
        assert_int_equal(p.server.closes, 1);
        assert_int_equal(p.server.why, HTTP_RESET_NONE);
        if (proto == HTTP_PROTO_2) {
            p.behaviour = HELLO;
            ask(&p, "GET", HEAD_LENGTH_UNKNOWN, true);
            turn(&p);
            assert_int_equal(p.client.last_status, 200);
        }
        teardown(&p);
    }
}

static void test_tunnel(void **state)
{
    UNUSED(state);
    for (unsigned i = 0; i < 3; i++) {
        struct pair p;
        setup(&p, i == 2 ? HTTP_PROTO_2 : HTTP_PROTO_1, TUNNEL, NULL);
        turn(&p);
        if (i == 0) {
            ask_as(&p, "GET", HEAD_LENGTH_UNKNOWN, false, "websocket");
        } else {
            ask(&p, "CONNECT", HEAD_LENGTH_UNKNOWN, false);
        }
        turn(&p);
        assert_int_equal(p.client.last_status, i == 0 ? 101 : 200);
        for (unsigned n = 1; n <= 20; n++) {
            http_stream_data(p.client.s, SPAN("ping!"), false);
            turn(&p);
            assert_int_equal(p.client.got, 5 * n);
        }
        assert_int_equal(p.client.ends, 0);
        http_stream_data(p.client.s, SPAN("bye"), true); /* the echo ends its side too */
        turn(&p);
        assert_int_equal(p.client.got, 103);
        assert_int_equal(p.client.ends, 1);
        assert_int_equal(p.server.ends, 1);
        assert_int_equal(p.client.closes, 1);
        assert_int_equal(p.client.why, HTTP_RESET_NONE);
        assert_int_equal(p.server.why, HTTP_RESET_NONE);
        assert_int_equal(p.server.closes, 1);
        teardown(&p);
    }
}

static void test_echo_stream(void **state)
{
    UNUSED(state);
    BOTH(proto)
    {
        struct pair p;
        setup(&p, proto, ECHO, NULL);
        turn(&p);
        ask(&p, "POST", HEAD_LENGTH_UNKNOWN, false);
        for (unsigned i = 0; i < 10; i++) {
            http_stream_data(p.client.s, SPAN("0123456789"), false);
            turn(&p);
        }
        assert_int_equal(p.client.got, 100);
        http_stream_data(p.client.s, SPAN("!"), true);
        turn(&p);
        assert_int_equal(p.client.got, 101);
        assert_int_equal(p.client.ends, 1);
        assert_int_equal(p.client.closes, 1);
        assert_int_equal(p.client.why, HTTP_RESET_NONE);
        teardown(&p);
    }
}

static void test_drain(void **state)
{
    UNUSED(state);
    BOTH(proto)
    {
        struct pair p;
        setup(&p, proto, NOTHING, NULL);
        turn(&p);
        ask(&p, "GET", HEAD_LENGTH_UNKNOWN, true);
        turn(&p);
        http_conn_drain(p.server.conn); /* with an exchange running: it is finished first */
        turn(&p);
        advance(&p, 2000);
        assert_int_equal(p.server.gone, 0);
        assert_int_equal(http_conn_room(p.client.conn), 0);
        http_stream_reply(p.server.s, 200, SPAN("text/plain"), SPAN("hello"));
        turn(&p);
        assert_int_equal(p.client.why, HTTP_RESET_NONE);
        assert_string_equal(p.client.text, "hello");
        assert_int_equal(p.server.gone, 1);
        assert_int_equal(p.client.gone, 1);
        assert_int_equal(p.client.gone_why, HTTP_RESET_NONE);
        assert_int_equal(p.server.gone_why, HTTP_RESET_NONE);
        teardown(&p);
        setup(&p, proto, NOTHING, NULL); /* idle: soon gone */
        turn(&p);
        http_conn_drain(p.server.conn);
        turn(&p);
        advance(&p, 2000);
        assert_int_equal(p.server.gone, 1);
        assert_int_equal(p.client.gone, 1);
        teardown(&p);
        setup(&p, proto, NOTHING, NULL);
        turn(&p);
        http_conn_drain(p.client.conn);
        turn(&p);
        assert_int_equal(p.client.gone, 1);
        assert_int_equal(p.server.gone, 1);
        teardown(&p);
    }
}

static void test_request_limit(void **state)
{
    UNUSED(state);
    struct http_limits limits = limits_default;
    limits.requests = 3;
    BOTH(proto)
    {
        struct pair p;
        setup(&p, proto, HELLO, &limits);
        turn(&p);
        for (unsigned i = 1; i <= 3; i++) {
            ask(&p, "GET", HEAD_LENGTH_UNKNOWN, true);
            turn(&p);
            assert_int_equal(p.client.closes, i);
            assert_int_equal(p.client.why, HTTP_RESET_NONE);
        }
        advance(&p, 2000);
        assert_int_equal(p.client.gone, 1);
        assert_int_equal(p.server.gone, 1);
        teardown(&p);
    }
}

/* What is lost says whether the request may be sent again. */
static void test_lost(void **state)
{
    UNUSED(state);
    BOTH(proto)
    {
        struct pair p;
        setup(&p, proto, NOTHING, NULL);
        turn(&p);
        ask(&p, "GET", HEAD_LENGTH_UNKNOWN, true);
        turn(&p);
        http_conn_close(p.server.conn);
        assert_int_equal(p.server.why, HTTP_RESET_LOCAL);
        turn(&p);
        assert_int_equal(p.client.closes, 1);
        assert_int_equal(p.client.why, HTTP_RESET_PEER); /* on a new connection: it was seen */
        assert_int_equal(p.client.gone, 1);
        teardown(&p);
        setup(&p, proto, HELLO, NULL);
        turn(&p);
        ask(&p, "GET", HEAD_LENGTH_UNKNOWN, true);
        turn(&p);
        ask(&p, "GET", HEAD_LENGTH_UNKNOWN, true); /* crosses the close of an idle connection */
        http_conn_close(p.server.conn);
        turn(&p);
        assert_int_equal(p.client.closes, 2);
        assert_int_equal(p.client.why, HTTP_RESET_REFUSED);
        teardown(&p);
        setup(&p, proto, NOTHING, NULL);
        turn(&p);
        ask(&p, "POST", HEAD_LENGTH_UNKNOWN, false);
        turn(&p);
        http_stream_reset(p.server.s, HTTP_RESET_LOCAL);
        p.server.s = NULL;
        turn(&p);
        assert_int_equal(p.client.closes, 1);
        assert_int_equal(p.client.why, HTTP_RESET_PEER);
        assert_int_equal(p.server.closes, 0);
        teardown(&p);
    }
}

static void test_idle(void **state)
{
    UNUSED(state);
    struct http_limits limits = limits_default;
    limits.idle_ms = 30000;
    BOTH(proto)
    {
        struct pair p;
        setup(&p, proto, HELLO, &limits);
        turn(&p);
        for (unsigned i = 1; i <= 3; i++) {
            ask(&p, "GET", HEAD_LENGTH_UNKNOWN, true);
            turn(&p);
            advance(&p, 1000);
            advance(&p, 24000);
            assert_int_equal(p.server.gone, 0);
        }
        advance(&p, 3000);
        advance(&p, 3000);
        turn(&p);
        assert_int_equal(p.server.gone, 1);
        assert_int_equal(p.client.gone, 1);
        teardown(&p);
    }
}

/* What a connection costs that has been idle for a second: HTTP/1 under 1 KiB beside its io, HTTP/2 what
 * nghttp2 takes (16 KiB of it are its frame buffer). */
static void test_idle_memory(void **state)
{
    UNUSED(state);
    enum { CONNS = 50 };
    BOTH(proto)
    {
        static struct pair pairs[CONNS];
        size_t without = 0;
        for (unsigned i = 0; i < CONNS; i++) {
            struct pair *p = &pairs[i];
            setup(p, proto, HELLO, NULL);
            turn(p);
            ask(p, "GET", HEAD_LENGTH_UNKNOWN, true);
            turn(p);
            advance(p, 1100);
            size_t before = mem_live_bytes();
            http_conn_close(p->client.conn);
            turn(p);
            without += before - mem_live_bytes();
        }
        size_t each = without / CONNS / 2; /* both ends and their io */
        print_message("idle %s: %zu bytes\n", proto == HTTP_PROTO_1 ? "HTTP/1" : "HTTP/2", each);
        assert_true(each < (proto == HTTP_PROTO_1 ? 1400 : 32768));
        for (unsigned i = 0; i < CONNS; i++) {
            teardown(&pairs[i]);
        }
    }
}

static void test_length_broken(void **state)
{
    UNUSED(state);
    struct pair p;
    setup(&p, HTTP_PROTO_1, NOTHING, NULL);
    turn(&p);
    ask(&p, "GET", HEAD_LENGTH_UNKNOWN, true);
    turn(&p);
    answer(&p, 200, 10, false);
    assert_int_equal(http_stream_data(p.server.s, SPAN("short"), true), -ERR_PROTO);
    turn(&p);
    assert_int_equal(p.client.why, HTTP_RESET_PEER); /* must not look complete */
    teardown(&p);
}

static void test_names(void **state)
{
    UNUSED(state);
    assert_string_equal(http_reset_name(HTTP_RESET_REFUSED), "refused by the peer");
    assert_string_equal(http_reset_name(HTTP_RESET_LIMIT), "limit reached");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchange),      cmocka_unit_test(test_many_exchanges_flat_memory),
        cmocka_unit_test(test_large_slow),    cmocka_unit_test(test_no_credit),
        cmocka_unit_test(test_trailers),      cmocka_unit_test(test_interim),
        cmocka_unit_test(test_early_answer),  cmocka_unit_test(test_tunnel),
        cmocka_unit_test(test_echo_stream),   cmocka_unit_test(test_drain),
        cmocka_unit_test(test_request_limit), cmocka_unit_test(test_lost),
        cmocka_unit_test(test_idle),          cmocka_unit_test(test_idle_memory),
        cmocka_unit_test(test_length_broken), cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
