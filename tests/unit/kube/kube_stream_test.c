/* kube/kube_stream: lines, credit, ends of all kinds, and many at once. */
#include "kube/kube_stream.c"

#include <stdio.h>

#include "unit/cm.h"
#include "unit/kube/api_bench.h"

static void on_begin_stream(void *arg)
{
    ((struct bench *)arg)->begins++;
}

static void on_line(void *arg, struct span line)
{
    struct bench *b = arg;
    size_t at = strlen(b->text);
    b->lines++;
    (void)snprintf(b->text + at, sizeof(b->text) - at, "%.*s;", (int)size_min(line.len, 20),
                   line.at);
    if (b->close_at != NULL && span_is(line, b->close_at)) {
        kube_stream_close(b->stream);
    }
}

static void on_end_stream(void *arg, const struct kube_answer *a)
{
    struct bench *b = arg;
    b->ends++;
    b->answer = *a;
    (void)snprintf(b->why, sizeof(b->why), "%s", a->why);
}

static void watch(struct bench *b, const struct kube_stream_spec *spec)
{
    struct kube_stream_spec s = *spec;
    s.path = "/w?watch=1";
    s.on_begin = on_begin_stream;
    s.on_line = on_line;
    s.on_end = on_end_stream;
    s.arg = b;
    b->begins = b->ends = b->lines = b->asked = 0;
    b->text[0] = '\0';
    b->stream = kube_stream_open(b->client, &s);
}

static void test_stream_as(bool tls)
{
    static const struct bench_reply keep[] = {{2, NULL, ""}, {0}};
    struct bench b;
    bench_init(&b, tls);
    bench_connect(&b);
    b.replies = keep;
    static const struct header more = {SPAN_INIT("x-more"), SPAN_INIT("m")};
    watch(&b, &(struct kube_stream_spec){.fields = &more, .field_count = 1});
    bench_until(&b, &b.begins, 1);
    assert_string_equal(b.request, "GET /w?watch=1 ");
    assert_string_equal(b.fields, "mesh-test|application/json||||m");
    http_stream_data(b.kept, SPAN("one\ntw"), false);
    bench_until(&b, &b.lines, 1);
    assert_string_equal(b.text, "one;");
    http_stream_data(b.kept, SPAN("o\n\nthree\nfo"), false);
    bench_until(&b, &b.lines, 4);
    assert_string_equal(b.text, "one;two;;three;");
    http_stream_data(b.kept, SPAN("ur"), true);
    bench_until(&b, &b.ends, 1);
    assert_string_equal(b.text, "one;two;;three;four;");
    assert_int_equal(b.answer.code, 0);
    /* Closed from within; nothing more is told, and another has room. */
    watch(&b, &(struct kube_stream_spec){.idle_ms = 0});
    b.close_at = "two";
    bench_until(&b, &b.begins, 1);
    http_stream_data(b.kept, SPAN("one\ntwo\nthree\n"), false);
    bench_until_left(&b);
    assert_string_equal(b.text, "one;two;");
    assert_int_equal(b.ends, 0);
    b.close_at = NULL;
    /* More than the windows hold: credit is given back. */
    static char big[6u << 20];
    memset(big, 'x', sizeof(big));
    big[sizeof(big) - 1] = '\n';
    watch(&b, &(struct kube_stream_spec){.idle_ms = 0});
    bench_until(&b, &b.begins, 1);
    http_stream_data(b.kept, span_from(big, sizeof(big)), false);
    http_stream_data(b.kept, span_from(big, sizeof(big)), false);
    bench_until(&b, &b.lines, 2);
    http_conn_close(http_stream_conn(b.kept)); /* it dies */
    bench_until(&b, &b.ends, 1);
    assert_int_equal(b.answer.code, -ECONNRESET);
    assert_non_null(strstr(b.why, "broke: "));
    watch(&b, &(struct kube_stream_spec){.line_max = 1000});
    bench_until(&b, &b.begins, 1);
    http_stream_data(b.kept, span_from(big, 2000), false);
    bench_until(&b, &b.ends, 1);
    assert_string_equal(b.why, "a line is longer than 1000 bytes");
    watch(&b, &(struct kube_stream_spec){.idle_ms = 50});
    bench_until(&b, &b.ends, 1);
    assert_int_equal(b.answer.code, -ETIMEDOUT);
    assert_int_equal(b.begins, 1);
    bench_dispose(&b);
}

static void test_stream_tls(void **state)
{
    UNUSED(state);
    test_stream_as(true);
}

/* HTTP/1: a connection for each. */
static void test_stream_plain(void **state)
{
    UNUSED(state);
    test_stream_as(false);
}

static void test_stream_errors(void **state)
{
    UNUSED(state);
    static const struct bench_reply replies[] = {{403, NULL, BENCH_STATUS("Forbidden", "may not")},
                                                 {204, NULL, ""},
                                                 {401, NULL, "{}"},
                                                 {2, NULL, ""},
                                                 {2, NULL, ""},
                                                 {0}};
    struct bench b;
    bench_init(&b, true);
    b.conf.token_file = bench_put("token", "t4");
    bench_connect(&b);
    b.replies = replies;
    watch(&b, &(struct kube_stream_spec){.idle_ms = 0});
    bench_until(&b, &b.ends, 1);
    assert_int_equal(b.answer.code, -EACCES);
    assert_string_equal(b.why, "may not");
    watch(&b, &(struct kube_stream_spec){.idle_ms = 0});
    bench_until(&b, &b.ends, 1);
    assert_int_equal(b.answer.code, -ERR_PROTO);
    bench_put("token", "t5");
    watch(&b, &(struct kube_stream_spec){.idle_ms = 0});
    bench_until(&b, &b.begins, 1); /* after a 401, with the token that is there now */
    assert_string_equal(b.who, "Bearer t5");
    assert_int_equal(b.ends, 0);
    /* The client goes: who is still there is told. */
    bench_start(&b, &(struct kube_call_spec){.method = "GET", .path = "/"});
    bench_dispose(&b);
    assert_int_equal(b.ends, 1);
    assert_int_equal(b.answers, 1);
    assert_int_equal(b.answer.code, -ECANCELED);
}

/* Calls are answered while many streams are open, on either version of HTTP. */
static void test_crowd(void **state)
{
    UNUSED(state);
    static const struct bench_reply keep[] = {{2, NULL, ""}, {0}};
    static const struct bench_reply ok[] = {{200, NULL, "{}"}, {0}};
    for (int tls = 0; tls <= 1; tls++) {
        struct bench b;
        struct kube_stream *streams[30];
        bench_init(&b, tls == 1);
        bench_connect(&b);
        b.replies = keep;
        struct kube_stream_spec spec = {.path = "/w", .on_begin = on_begin_stream, .arg = &b};
        for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
            streams[i] = kube_stream_open(b.client, &spec);
        }
        bench_until(&b, &b.begins, ARRAY_LEN(streams));
        b.replies = ok;
        assert_int_equal(bench_get(&b), 0);
        struct kube_call_spec call = {
            .method = "GET", .path = "/", .on_answer = bench_on_answer, .arg = &b};
        struct kube_call *cancelled = kube_call(b.client, &call);
        loop_turn(b.loop, false);
        kube_call_cancel(cancelled);
        assert_int_equal(bench_get(&b), 0);
        assert_int_equal(b.answers, 2);
        for (size_t i = 0; i < ARRAY_LEN(streams); i += 2) {
            kube_stream_close(streams[i]);
        }
        bench_dispose(&b);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream_tls),
        cmocka_unit_test(test_stream_plain),
        cmocka_unit_test(test_stream_errors),
        cmocka_unit_test(test_crowd),
    };
    return cmocka_run_group_tests(tests, bench_set_up, bench_tear_down);
}
