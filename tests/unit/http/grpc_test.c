/* gRPC over a real server and client on the loopback: unary, streams, large messages, statuses, deadlines,
 * cancellation; and framing of messages fed in every way. */
#include "http/grpc.c"

#include <setjmp.h>
#include <stdarg.h>
/* after setjmp and stdarg */
#include <cmocka.h>

#include "base/instant.h"
#include "unit/http/wire.h"

/* ---- both ends in one loop ---- */

struct side {
    struct grpc_stream *g;
    struct buf got; /* messages, each followed by '|' */
    unsigned messages;
    size_t bytes;
    unsigned heads;
    unsigned half_closes;
    unsigned ends;
    enum grpc_status status;
    char text[128];
};

enum behaviour { ECHO, ECHO_AT_END, SILENT, DENY, DENY_AT_ONCE, TWO_AND_FAIL };

struct pair {
    struct loop *loop;
    struct http_server *server;
    struct http_client *client;
    struct side here;  /* the client's side */
    struct side there; /* the service's */
    enum behaviour behaviour;
};

static void side_message(struct side *s, struct span m)
{
    s->messages++;
    s->bytes += m.len;
    if (m.len < 1000) {
        assert_int_equal(buf_append_span(&s->got, m), 0);
        assert_int_equal(buf_append_byte(&s->got, '|'), 0);
    }
}

static void side_end(struct side *s, enum grpc_status status, struct span message)
{
    s->ends++;
    s->g = NULL;
    s->status = status;
    span_to_cstr(message, s->text, sizeof(s->text));
}

static void here_message(void *arg, struct span m)
{
    side_message(&((struct pair *)arg)->here, m);
}

static void here_head(void *arg, const struct head *head)
{
    assert_int_equal(head->status, 200);
    ((struct pair *)arg)->here.heads++;
}

static void here_end(void *arg, enum grpc_status status, struct span message)
{
    side_end(&((struct pair *)arg)->here, status, message);
}

static const struct grpc_events here_events = {
    .on_message = here_message, .on_end = here_end, .on_head = here_head};

static void there_message(void *arg, struct span m)
{
    struct pair *p = arg;
    side_message(&p->there, m);
    if (p->behaviour == ECHO) {
        grpc_send(p->there.g, m);
    } else if (p->behaviour == TWO_AND_FAIL && p->there.messages == 2) {
        grpc_send(p->there.g, SPAN("last"));
        grpc_finish(p->there.g, GRPC_ABORTED, SPAN("50% \xc3\xa9nough\n"));
        p->there.g = NULL;
    }
}

static void there_half_close(void *arg)
{
    struct pair *p = arg;
    p->there.half_closes++;
    if (p->behaviour == ECHO_AT_END) {
        grpc_send(p->there.g, buf_span(&p->there.got));
    }
    if (p->behaviour == ECHO || p->behaviour == ECHO_AT_END) {
        grpc_finish(p->there.g, GRPC_OK, SPAN_EMPTY);
        p->there.g = NULL;
    } else if (p->behaviour == DENY) {
        grpc_finish(p->there.g, GRPC_PERMISSION_DENIED, SPAN("no"));
        p->there.g = NULL;
    }
}

static void there_end(void *arg, enum grpc_status status, struct span message)
{
    side_end(&((struct pair *)arg)->there, status, message);
}

static const struct grpc_events there_events = {
    .on_message = there_message, .on_half_close = there_half_close, .on_end = there_end};

static void on_call(void *service, struct grpc_stream *g, const struct grpc_events **ev, void **arg)
{
    struct pair *p = service;
    assert_string_equal(head_get(grpc_head(g), SPAN("x-mine")).at ? "yes" : "no", "yes");
    *ev = &there_events;
    *arg = p;
    p->there.g = g;
    if (p->behaviour == DENY_AT_ONCE) {
        grpc_finish(g, GRPC_UNAUTHENTICATED, SPAN("who are you"));
        p->there.g = NULL;
    }
}

static void setup(struct pair *p, enum behaviour behaviour)
{
    struct err err;
    memset(p, 0, sizeof(*p));
    p->behaviour = behaviour;
    p->loop = loop_new(false);
    buf_init(&p->here.got, 1u << 20);
    buf_init(&p->there.got, 1u << 20);
    struct listener_spec where = {0};
    assert_int_equal(addr_parse(SPAN("127.0.0.1:0"), &where.addr, &err), 0);
    assert_int_equal(http_server_new(&p->server, p->loop, &where, NULL, &err), 0);
    grpc_serve(p->server, "/test.Echo/Talk", on_call, p);
    char origin[64] = "http://";
    addr_format(http_server_addr(p->server), origin + 7);
    struct http_client_spec spec = {.origin = span_of(origin), .http2 = true};
    assert_int_equal(http_client_new(&p->client, p->loop, &spec, &err), 0);
}

static void call(struct pair *p, const char *path, int64_t deadline_ms)
{
    struct header mine = {SPAN("x-mine"), SPAN("1")};
    p->here.g = grpc_call(p->client, path, &mine, 1, deadline_ms, &here_events, p);
}

/* Turns until `*what` reaches `n`, or the test has taken far too long. */
static void until(struct pair *p, const unsigned *what, unsigned n)
{
    int64_t start = instant_mono_ms();
    while (*what < n) {
        loop_turn(p->loop, true);
        assert_true(instant_mono_ms() - start < 20000);
    }
}

static void teardown(struct pair *p)
{
    http_client_free(p->client);
    http_server_free(p->server);
    for (int i = 0; i < 5; i++) {
        loop_turn(p->loop, false);
    }
    loop_free(p->loop);
    buf_dispose(&p->here.got);
    buf_dispose(&p->there.got);
}

static void test_unary(void **state)
{
    UNUSED(state);
    struct pair p;
    setup(&p, ECHO_AT_END);
    call(&p, "/test.Echo/Talk", 5000);
    assert_int_equal(grpc_send(p.here.g, SPAN("hello")), 0); /* before there is a connection */
    assert_int_equal(grpc_queued(p.here.g), 10);
    grpc_half_close(p.here.g);
    until(&p, &p.here.ends, 1);
    assert_int_equal(p.here.status, GRPC_OK);
    assert_string_equal(buf_cstr(&p.here.got), "hello||");
    assert_int_equal(p.here.heads, 1);
    assert_int_equal(p.there.half_closes, 1);
    call(&p, "/test.Echo/Talk", 0); /* no message at all: the request is a head only */
    grpc_half_close(p.here.g);
    until(&p, &p.here.ends, 2);
    assert_int_equal(p.here.status, GRPC_OK);
    teardown(&p);
}

static void test_stream(void **state)
{
    UNUSED(state);
    struct pair p;
    setup(&p, ECHO);
    call(&p, "/test.Echo/Talk", 0);
    for (unsigned i = 1; i <= 50; i++) {
        assert_int_equal(grpc_send(p.here.g, SPAN("x")), 0);
        assert_int_equal(grpc_send(p.here.g, SPAN("")), 0);
        until(&p, &p.here.messages, 2 * i);
    }
    grpc_half_close(p.here.g);
    assert_int_equal(grpc_send(p.here.g, SPAN("late")), -EPIPE);
    until(&p, &p.here.ends, 1);
    assert_int_equal(p.here.status, GRPC_OK);
    assert_int_equal(p.there.messages, 100);
    teardown(&p);
}

static void test_large(void **state)
{
    UNUSED(state);
    struct pair p;
    setup(&p, ECHO);
    call(&p, "/test.Echo/Talk", 0);
    size_t len = 5u << 20;
    char *big = mem_zalloc(len);
    assert_int_equal(grpc_send(p.here.g, span_from(big, len)), 0);
    assert_int_equal(grpc_send(p.here.g, span_from(big, len)), 0);
    assert_int_equal(grpc_send(p.here.g, SPAN("end")), 0);
    until(&p, &p.here.messages, 3);
    assert_int_equal(p.here.bytes, 2 * len + 3);
    assert_int_equal(p.there.bytes, 2 * len + 3);
    mem_free(big);
    teardown(&p);
}

static void test_statuses(void **state)
{
    UNUSED(state);
    struct pair p;
    setup(&p, DENY);
    call(&p, "/test.Echo/Talk", 0);
    grpc_half_close(p.here.g);
    until(&p, &p.here.ends, 1);
    assert_int_equal(p.here.status, GRPC_PERMISSION_DENIED);
    assert_string_equal(p.here.text, "no");
    p.behaviour = DENY_AT_ONCE;
    call(&p, "/test.Echo/Talk", 0);
    grpc_send(p.here.g, SPAN("x"));
    until(&p, &p.here.ends, 2);
    assert_int_equal(p.here.status, GRPC_UNAUTHENTICATED);
    call(&p, "/test.Echo/None", 0);
    grpc_send(p.here.g, SPAN("x"));
    until(&p, &p.here.ends, 3);
    assert_int_equal(p.here.status, GRPC_UNIMPLEMENTED);
    p.behaviour = TWO_AND_FAIL;
    p.there.messages = 0;
    call(&p, "/test.Echo/Talk", 0);
    grpc_send(p.here.g, SPAN("1"));
    grpc_send(p.here.g, SPAN("2"));
    grpc_send(p.here.g, SPAN("3"));
    until(&p, &p.here.ends, 4);
    assert_int_equal(p.here.status, GRPC_ABORTED);
    assert_string_equal(p.here.text, "50% \xc3\xa9nough\n");
    assert_string_equal(buf_cstr(&p.here.got), "last|");
    teardown(&p);
}

static void test_deadline(void **state)
{
    UNUSED(state);
    struct pair p;
    setup(&p, SILENT);
    call(&p, "/test.Echo/Talk", 30);
    grpc_send(p.here.g, SPAN("x"));
    until(&p, &p.here.ends, 1);
    assert_int_equal(p.here.status, GRPC_DEADLINE_EXCEEDED);
    until(&p, &p.there.ends, 1); /* by its own clock or by the client's reset */
    assert_true(p.there.status == GRPC_DEADLINE_EXCEEDED || p.there.status == GRPC_CANCELLED);
    teardown(&p);
}

static void test_cancel(void **state)
{
    UNUSED(state);
    struct pair p;
    setup(&p, SILENT);
    call(&p, "/test.Echo/Talk", 0);
    grpc_cancel(p.here.g); /* before there is a connection */
    call(&p, "/test.Echo/Talk", 0);
    grpc_send(p.here.g, SPAN("x"));
    until(&p, &p.there.messages, 1);
    grpc_cancel(p.here.g);
    until(&p, &p.there.ends, 1);
    assert_int_equal(p.there.status, GRPC_CANCELLED);
    assert_int_equal(p.here.ends, 0);
    call(&p, "/test.Echo/Talk", 0);
    grpc_send(p.here.g, SPAN("x"));
    until(&p, &p.there.messages, 2);
    http_server_free(p.server); /* the connection goes */
    p.server = NULL;
    until(&p, &p.here.ends, 1);
    assert_int_equal(p.here.status, GRPC_UNAVAILABLE);
    call(&p, "/test.Echo/Talk", 0); /* nobody listens */
    until(&p, &p.here.ends, 2);
    assert_int_equal(p.here.status, GRPC_UNAVAILABLE);
    call(&p, "/test.Echo/Talk", 0); /* ends with the client */
    http_client_free(p.client);
    p.client = NULL;
    assert_int_equal(p.here.ends, 3);
    teardown(&p);
}

/* ---- texts ---- */

static void test_timeout(void **state)
{
    UNUSED(state);
    static const struct {
        const char *text;
        int64_t ms; /* 0 = malformed */
    } rows[] = {
        {"1S", 1000},      {"200m", 200},   {"2M", 120000}, {"1H", 3600000},
        {"5u", 1},         {"2000000n", 2}, {"0m", 1},      {"99999999H", 359999996400000},
        {"100000000m", 0}, {"", 0},         {"1", 0},       {"S", 0},
        {"-1S", 0},        {"1s", 0},       {"1 S", 0},     {"1SS", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t ms = 0;
        bool ok = grpc_timeout_parse(span_of(rows[i].text), &ms);
        assert_int_equal(ok, rows[i].ms != 0);
        assert_int_equal(ok ? ms : 0, rows[i].ms);
    }
}

static void test_texts(void **state)
{
    UNUSED(state);
    struct arena a;
    arena_init(&a, 256);
    struct span encoded = grpc_message_encode(&a, SPAN("a b%\xc3\n~"));
    assert_true(span_is(encoded, "a b%25%C3%0A~"));
    assert_true(span_is(grpc_message_decode(&a, encoded), "a b%\xc3\n~"));
    assert_true(span_is(grpc_message_decode(&a, SPAN("%zz%4")), "%zz%4"));
    assert_true(grpc_is_content_type(SPAN("application/grpc")));
    assert_true(grpc_is_content_type(SPAN("application/grpc+proto")));
    assert_true(grpc_is_content_type(SPAN("application/grpc;x=y")));
    assert_false(grpc_is_content_type(SPAN("application/grpc-web")));
    assert_false(grpc_is_content_type(SPAN("application/json")));
    assert_string_equal(grpc_status_name(GRPC_UNAUTHENTICATED), "UNAUTHENTICATED");
    assert_string_equal(grpc_status_name((enum grpc_status)99), "UNKNOWN");
    assert_int_equal(grpc_status_of_http(503), GRPC_UNAVAILABLE);
    assert_true(span_is(grpc_timeout_format(&a, 1500), "1500m"));
    assert_true(span_is(grpc_timeout_format(&a, 200000000), "200000S"));
    arena_dispose(&a);
}

/* ---- frames ---- */

static void feed(struct span bytes, size_t piece, struct buf *out, enum grpc_frame *last)
{
    struct grpc_frames f;
    grpc_frames_init(&f);
    *last = GRPC_FRAME_MORE;
    for (size_t at = 0; at < bytes.len && *last == GRPC_FRAME_MORE; at += piece) {
        struct span part = span_first(span_from_offset(bytes, at), piece);
        char *copy = wire_guard(part);
        struct span in = span_from(copy, part.len);
        struct span message;
        while ((*last = grpc_frames_next(&f, &in, &message)) == GRPC_FRAME_MESSAGE) {
            assert_int_equal(buf_append_span(out, message), 0);
            assert_int_equal(buf_append_byte(out, '|'), 0);
        }
        wire_guard_free(copy, part.len);
    }
    grpc_frames_dispose(&f);
}

static void test_frames(void **state)
{
    UNUSED(state);
    static const struct {
        struct span bytes;
        const char *want;
        enum grpc_frame last;
    } rows[] = {
        {{"\0\0\0\0\5hello\0\0\0\0\0\0\0\0\0\2ok", 22}, "hello||ok|", GRPC_FRAME_MORE},
        {{"\0\0\0\0\5hell", 9}, "", GRPC_FRAME_MORE},
        {{"\0\0\0\0\1x\1\0\0\0\1y", 12}, "x|", GRPC_FRAME_COMPRESSED},
        {{"\2\0\0\0\1x", 6}, "", GRPC_FRAME_BAD},
        {{"\0\4\0\0\1x", 6}, "", GRPC_FRAME_TOO_LARGE},
        {{"\0\0\0\0\1x\0\377\377\377\377", 11}, "x|", GRPC_FRAME_TOO_LARGE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t piece = 1; piece <= rows[i].bytes.len; piece++) {
            struct buf out;
            enum grpc_frame last;
            buf_init(&out, 1000);
            feed(rows[i].bytes, piece, &out, &last);
            assert_string_equal(buf_cstr(&out), rows[i].want);
            assert_int_equal(last, rows[i].last);
            buf_dispose(&out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary),    cmocka_unit_test(test_stream),
        cmocka_unit_test(test_large),    cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_deadline), cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_timeout),  cmocka_unit_test(test_texts),
        cmocka_unit_test(test_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
