/* Server and client on the loopback, over both versions: routes, bodies, refusals, readiness, admin pages,
 * event streams, and a client that waits, retries and is closed. */
#include "http/http_server.c"

#include <setjmp.h>
#include <stdarg.h>
/* after setjmp and stdarg */
#include <cmocka.h>

#include "base/instant.h"
#include "http/admin.h"
#include "http/host.h"
#include "http/http_client.h"
#include "http/sse.h"

struct bench {
    struct loop *loop;
    struct host *host;
    struct http_server *server;
    struct http_client *client;
    struct admin *admin;
    struct sse *sse;
    unsigned answers;
    unsigned status;
    int code;
    char body[1024];
    char allow[64];
    unsigned sse_gone;
    struct http_stream *held;
};

static void on_hello(void *arg, const struct http_request *rq)
{
    UNUSED(arg);
    struct span body = rq->body.len > 0 ? rq->body : rq->query.len > 0 ? rq->query : SPAN("hello");
    http_stream_reply(rq->stream, 200, SPAN("text/plain"), body);
}

static void on_held(void *arg, const struct http_request *rq)
{
    struct bench *b = arg;
    b->held = rq->stream; /* no answer */
}

static void on_page(void *arg, const struct http_request *rq, struct admin_answer *answer)
{
    UNUSED(arg);
    struct span format = admin_query(rq, SPAN("format"));
    answer->status = format.len > 0 ? 202 : 200;
    assert_int_equal(buf_printf(answer->body, "page %.*s", SPAN_ARG(format)), 0);
}

static void sse_gone(void *arg)
{
    struct bench *b = arg;
    b->sse_gone++;
    b->sse = NULL;
}

static void on_events(void *arg, const struct http_request *rq)
{
    struct bench *b = arg;
    struct sse_spec spec = {.on_gone = sse_gone, .arg = b};
    b->sse = sse_start(rq->stream, b->loop, &spec);
    sse_send(b->sse, SPAN("tick"), SPAN("7"), SPAN("one\ntwo\r\n"));
    sse_send(b->sse, SPAN_EMPTY, SPAN_EMPTY, sse_last_id(rq->head));
    if (span_is(rq->query, "end")) {
        sse_end(b->sse);
        b->sse = NULL;
    }
}

static void setup(struct bench *b, bool http2)
{
    struct err err;
    struct listener_spec where = {0};
    memset(b, 0, sizeof(*b));
    b->loop = loop_new(false);
    b->host = host_new(b->loop);
    assert_int_equal(addr_parse(SPAN("127.0.0.1:0"), &where.addr, &err), 0);
    assert_int_equal(host_listen(b->host, "admin", &where, NULL, &err), 0);
    b->server = host_server(b->host, "admin");
    assert_non_null(b->server);
    assert_null(host_server(b->host, "grpc"));
    b->admin = admin_new(b->server, "the pages");
    admin_add(b->admin, "GET", "/page", "a page", on_page, b);
    http_server_route(b->server, "GET, POST", "/hello", false, on_hello, b);
    http_server_route(b->server, "GET", "/pre/*", false, on_hello, b);
    http_server_route(b->server, "GET", "/pre/held", false, on_held, b);
    http_server_route(b->server, "GET", "/events", true, on_events, b);
    http_server_body_max(b->server, 1000);
    host_serve_ready(b->host, b->server, "/ready");
    char origin[64] = "http://";
    addr_format(http_server_addr(b->server), origin + 7);
    struct http_client_spec spec = {.origin = span_of(origin), .http2 = http2, .conns = 2};
    assert_int_equal(http_client_new(&b->client, b->loop, &spec, &err), 0);
}

static void on_answer(void *arg, const struct http_answer *a)
{
    struct bench *b = arg;
    b->answers++;
    b->status = a->head ? a->head->status : 0;
    b->code = a->err ? a->err->code : 0;
    span_to_cstr(a->err ? span_of(a->err->text) : a->body, b->body, sizeof(b->body));
    span_to_cstr(a->head ? head_get(a->head, SPAN("allow")) : SPAN_EMPTY, b->allow,
                 sizeof(b->allow));
}

static void start(struct bench *b, const char *method, const char *path, struct span body,
                  int64_t ms)
{
    struct http_call call = {
        .method = span_of(method),
        .path = span_of(path),
        .body = body,
        .timeout_ms = ms,
        .on_answer = on_answer,
        .arg = b,
    };
    http_client_call(b->client, &call);
}

static void until(struct bench *b, const unsigned *what, unsigned n)
{
    int64_t begin = instant_mono_ms();
    while (*what < n) {
        loop_turn(b->loop, true);
        assert_true(instant_mono_ms() - begin < 20000);
    }
}

static void call(struct bench *b, const char *method, const char *path, struct span body)
{
    start(b, method, path, body, 0);
    until(b, &b->answers, b->answers + 1);
}

static void teardown(struct bench *b)
{
    http_client_free(b->client);
    admin_free(b->admin);
    host_free(b->host);
    for (int i = 0; i < 5; i++) {
        loop_turn(b->loop, false);
    }
    loop_free(b->loop);
}

static void test_calls(void **state)
{
    UNUSED(state);
    static char large[5000];
    for (unsigned http2 = 0; http2 < 2; http2++) {
        struct bench b;
        const struct {
            const char *method, *path;
            struct span body;
            unsigned status;
            const char *want;
        } rows[] = {
            {"GET", "/hello", SPAN_EMPTY, 200, "hello"},
            {"GET", "/hello?a=b", SPAN_EMPTY, 200, "a=b"},
            {"POST", "/hello", SPAN("body"), 200, "body"},
            {"HEAD", "/hello", SPAN_EMPTY, 200, ""},
            {"DELETE", "/hello", SPAN_EMPTY, 405, "method not allowed\n"},
            {"GET", "/none", SPAN_EMPTY, 404, "not found\n"},
            {"GET", "/hello/", SPAN_EMPTY, 404, "not found\n"},
            {"GET", "/pre/x?y", SPAN_EMPTY, 200, "y"},
            {"POST", "/hello", span_from(large, sizeof(large)), 413, "body too large\n"},
            {"GET", "/page", SPAN_EMPTY, 200, "page "},
            {"GET", "/page?x&format=json", SPAN_EMPTY, 202, "page json"},
            {"GET", "/ready", SPAN_EMPTY, 200, "ok\n"},
            {"GET", "/events?end", SPAN_EMPTY, 200,
             ":\n\nevent: tick\nid: 7\ndata: one\ndata: two\ndata: \n\ndata: \n\n"},
        };
        setup(&b, http2);
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            call(&b, rows[i].method, rows[i].path, rows[i].body);
            assert_int_equal(b.code, 0);
            assert_int_equal(b.status, rows[i].status);
            assert_string_equal(b.body, rows[i].want);
            assert_string_equal(b.allow, rows[i].status == 405 ? "GET, POST" : "");
        }
        call(&b, "GET", "/", SPAN_EMPTY);
        assert_non_null(strstr(b.body, "the pages"));
        assert_non_null(strstr(b.body, "/page"));
        teardown(&b);
    }
}

static void test_ready(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b, false);
    struct host_check *one = host_check_add(b.host, "xds");
    struct host_check *two = host_check_add(b.host, "certs");
    call(&b, "GET", "/ready", SPAN_EMPTY);
    assert_int_equal(b.status, 503);
    host_check_set(one, true, NULL);
    host_check_set(two, false, "no certificate yet");
    call(&b, "GET", "/ready", SPAN_EMPTY);
    assert_int_equal(b.status, 503);
    assert_string_equal(b.body, "xds: ok\ncerts: not ready, no certificate yet\n");
    host_check_free(two);
    assert_true(host_is_ready(b.host));
    call(&b, "GET", "/ready", SPAN_EMPTY);
    assert_int_equal(b.status, 200);
    host_drain(b.host);
    assert_false(host_is_ready(b.host));
    teardown(&b);
}

static void test_timeout_and_close(void **state)
{
    UNUSED(state);
    for (unsigned http2 = 0; http2 < 2; http2++) {
        struct bench b;
        setup(&b, http2);
        start(&b, "GET", "/pre/held", SPAN_EMPTY, 50);
        until(&b, &b.answers, 1);
        assert_int_equal(b.code, -ERR_TIMEOUT);
        start(&b, "GET", "/pre/held", SPAN_EMPTY, 0);
        start(&b, "GET", "/pre/held", SPAN_EMPTY, 0);
        start(&b, "GET", "/hello", SPAN_EMPTY, 0); /* a third waits for room over HTTP/1 */
        for (int i = 0; i < 20; i++) {
            loop_turn(b.loop, false);
        }
        http_client_free(b.client);
        b.client = NULL;
        assert_int_equal(b.answers, 4);
        teardown(&b);
    }
}

static void test_no_server(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b, false);
    call(&b, "GET", "/hello", SPAN_EMPTY);
    host_free(b.host);
    b.host = host_new(b.loop);
    call(&b, "GET", "/hello", SPAN_EMPTY);
    assert_int_equal(b.status, 0);
    assert_true(b.code < 0);
    assert_non_null(strstr(b.body, "can not connect"));
    teardown(&b);
}

static void test_drain(void **state)
{
    UNUSED(state);
    for (unsigned http2 = 0; http2 < 2; http2++) {
        struct bench b;
        setup(&b, http2);
        call(&b, "GET", "/hello", SPAN_EMPTY);
        start(&b, "GET", "/pre/held", SPAN_EMPTY, 0);
        int64_t begin = instant_mono_ms();
        while (!b.held && instant_mono_ms() - begin < 20000) {
            loop_turn(b.loop, true);
        }
        http_server_drain(b.server);
        for (int i = 0; i < 20; i++) {
            loop_turn(b.loop, false);
        }
        assert_false(http_server_is_idle(b.server));
        http_stream_reply(b.held, 200, SPAN("text/plain"), SPAN("late"));
        until(&b, &b.answers, 2);
        assert_string_equal(b.body, "late");
        begin = instant_mono_ms();
        while (!http_server_is_idle(b.server) && instant_mono_ms() - begin < 20000) {
            loop_turn(b.loop, true);
        }
        assert_true(http_server_is_idle(b.server));
        teardown(&b);
    }
}

static void test_sse_reader_goes(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b, false);
    start(&b, "GET", "/events", SPAN_EMPTY, 100); /* the call gives up, the stream goes */
    until(&b, &b.sse_gone, 1);
    assert_int_equal(b.answers, 1);
    assert_null(b.sse);
    teardown(&b);
}

static void test_origins(void **state)
{
    UNUSED(state);
    static const struct {
        const char *origin;
        bool good;
    } rows[] = {
        {"http://127.0.0.1:80", true}, {"http://[::1]", true},     {"unix:/tmp/x.sock", true},
        {"http://name:80", false},     {"ftp://127.0.0.1", false}, {"127.0.0.1:80", false},
        {"https://127.0.0.1", false},  {"http://", false},         {"", false},
    };
    struct loop *loop = loop_new(false);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_client *c = NULL;
        struct err err;
        struct http_client_spec spec = {.origin = span_of(rows[i].origin)};
        int code = http_client_new(&c, loop, &spec, &err);
        assert_int_equal(code == 0, rows[i].good);
        http_client_free(c);
    }
    loop_turn(loop, false);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_ready),
        cmocka_unit_test(test_timeout_and_close),
        cmocka_unit_test(test_no_server),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_sse_reader_goes),
        cmocka_unit_test(test_origins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
