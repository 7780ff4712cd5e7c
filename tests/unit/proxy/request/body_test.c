/* proxy/request/body: bytes, credit and replay, with and without a filter, over streams that only write down what they were told. */
#include "proxy/request/body.c"

#include "http/http_conn_int.h"
#include "unit/cm.h"

/* ---- a stream that remembers ---- */
struct fake {
    struct http_conn conn;
    struct http_stream stream;
    char got[4096];
    size_t len, queued, consumed;
    unsigned ends;
    int answer;
};

static struct fake *of(const struct http_stream *s)
{
    return container_of(s->conn, struct fake, conn);
}

static int take_data(struct http_stream *s, struct span data, bool end)
{
    struct fake *f = of(s);
    assert_true(f->len + data.len < sizeof(f->got));
    if (data.len > 0) {
        memcpy(f->got + f->len, data.at, data.len);
    }
    f->len += data.len;
    f->ends += end;
    return f->answer;
}

static size_t tell_queued(const struct http_stream *s)
{
    return of(s)->queued;
}

static void take_credit(struct http_stream *s, size_t bytes)
{
    of(s)->consumed += bytes;
}

static const struct http_conn_ops fake_ops = {
    .data = take_data, .queued = tell_queued, .consume = take_credit};

static void fake_init(struct fake *f)
{
    *f = (struct fake){.conn = {.ops = &fake_ops}};
    f->stream.conn = &f->conn;
}

static struct span fake_got(const struct fake *f)
{
    return span_from(f->got, f->len);
}

/* ---- filters ---- */
static int push_twice(struct body_filter *f, struct body *b, struct span data, bool end)
{
    (void)f;
    int code = body_emit(b, data, false);
    return code ? code : body_emit(b, data, end);
}

static int push_nothing(struct body_filter *f, struct body *b, struct span data, bool end)
{
    (void)f;
    (void)data;
    return end ? body_emit(b, SPAN_EMPTY, true) : 0;
}

static int push_refused(struct body_filter *f, struct body *b, struct span data, bool end)
{
    (void)f;
    (void)b;
    (void)data;
    (void)end;
    return -ERR_PROTO;
}

static int trailers_as_bytes(struct body_filter *f, struct body *b, struct head *trailers,
                             bool *pass)
{
    (void)f;
    *pass = false;
    int code = 0;
    for (size_t i = 0; i < trailers->count && code == 0; i++) {
        code = body_emit(b, trailers->fields[i].name, false);
        code = code ? code : body_emit(b, SPAN("="), false);
        code = code ? code : body_emit(b, trailers->fields[i].value, false);
    }
    return code ? code : body_emit(b, SPAN_EMPTY, true);
}

static struct body_filter twice = {.push = push_twice};
static struct body_filter nothing = {.push = push_nothing};
static struct body_filter refused = {.push = push_refused};
static struct body_filter webbish = {.push = push_twice, .trailers = trailers_as_bytes};

/* ---- cases ---- */
struct pair {
    struct fake source, sink;
    struct body body;
};

static void pair_init(struct pair *p, struct body_filter *filter, bool keep, bool sink)
{
    fake_init(&p->source);
    fake_init(&p->sink);
    body_init(&p->body, &p->source.stream, keep);
    p->body.filter = filter;
    p->body.sink = sink ? &p->sink.stream : NULL;
}

static void filters_change_bytes(void **state)
{
    (void)state;
    static const struct {
        struct body_filter *filter;
        const char *want;
        unsigned ends;
    } cases[] = {
        {NULL, "abcd", 1},
        {&twice, "ababcdcd", 1},
        {&nothing, "", 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (int late = 0; late < 2;
             late++) { /* the sink is there from the start, or comes later */
            struct pair p;
            pair_init(&p, cases[i].filter, false, !late);
            assert_int_equal(body_push(&p.body, SPAN("ab"), false), 0);
            assert_int_equal(body_push(&p.body, SPAN("cd"), false), 0);
            assert_int_equal(p.source.consumed, late ? 0 : 4);
            assert_false(p.body.ended);
            assert_int_equal(body_push(&p.body, SPAN_EMPTY, true), 0);
            assert_true(p.body.ended);
            if (late) {
                assert_int_equal(body_attach(&p.body, &p.sink.stream), 0);
            }
            assert_span(fake_got(&p.sink), cases[i].want);
            assert_int_equal(p.sink.ends, cases[i].ends);
            assert_int_equal(p.source.consumed, 4);
            body_dispose(&p.body);
        }
    }
}

static void credit_is_of_the_source(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p, &twice, false, true);
    p.sink.queued = BODY_QUEUE_HIGH + 1;
    assert_int_equal(body_push(&p.body, SPAN("abc"), false), 0);
    assert_int_equal(p.source.consumed, 0); /* a slow sink holds it back */
    assert_int_equal(p.body.held, 3);
    body_drained(&p.body);
    assert_int_equal(p.source.consumed, 3);
    body_dispose(&p.body);
}

static void what_was_emitted_is_replayed(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p, &twice, true, true);
    assert_int_equal(body_push(&p.body, SPAN("ab"), true), 0);
    assert_true(body_can_replay(&p.body));
    body_detach(&p.body);
    struct fake again;
    fake_init(&again);
    assert_int_equal(body_attach(&p.body, &again.stream), 0);
    assert_span(fake_got(&again), "abab");
    assert_int_equal(again.ends, 1);
    body_dispose(&p.body);
}

static void trailers_pass_or_become_bytes(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1024);
    struct head trailers;
    head_init(&trailers, &arena);
    assert_int_equal(head_add(&trailers, SPAN("grpc-status"), SPAN("0")), 0);
    static const struct {
        struct body_filter *filter;
        bool pass;
        const char *want;
    } cases[] = {
        {NULL, true, "x"},
        {&twice, true, "xx"},
        {&nothing, true, ""},
        {&webbish, false, "xxgrpc-status=0"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pair p;
        pair_init(&p, cases[i].filter, false, true);
        assert_int_equal(body_push(&p.body, SPAN("x"), false), 0);
        bool pass = !cases[i].pass;
        assert_int_equal(body_trailers(&p.body, &trailers, &pass), 0);
        assert_int_equal(pass, cases[i].pass);
        assert_span(fake_got(&p.sink), cases[i].want);
        assert_int_equal(p.sink.ends, cases[i].pass ? 0 : 1);
        assert_int_equal(p.body.ended, !cases[i].pass);
        body_dispose(&p.body);
    }
    arena_dispose(&arena);
}

static void refusals_are_told_apart(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p, &refused, false, true);
    int code = body_push(&p.body, SPAN("x"), false);
    assert_true(body_refuses(&p.body, code));
    assert_int_equal(p.source.consumed, 0);
    p.body.filter = &twice;
    p.sink.answer = -EPIPE; /* the sink is closing: it tells by itself */
    code = body_push(&p.body, SPAN("x"), false);
    assert_int_equal(code, -EPIPE);
    assert_false(body_refuses(&p.body, code));
    body_dispose(&p.body);

    pair_init(&p, &twice, false, false); /* what comes out and has no sink is bounded */
    static char much[BODY_KEEP_MAX / 2 + 1];
    code = body_push(&p.body, span_from(much, sizeof(much)), false);
    assert_true(body_refuses(&p.body, code));
    body_dispose(&p.body);
}

static struct buf teed;

static void write_down(struct body *b, struct span data, bool end)
{
    (void)b;
    assert_int_equal(buf_append_span(&teed, data), 0);
    assert_int_equal(buf_append_span(&teed, end ? SPAN(".") : SPAN("|")), 0);
}

static void copies_see_what_comes_out(void **state)
{
    (void)state;
    struct pair p;
    buf_init(&teed, 64);
    pair_init(&p, &twice, false, true);
    p.body.tee = write_down;
    assert_int_equal(body_push(&p.body, SPAN("ab"), true), 0);
    assert_span(buf_span(&teed), "ab|ab.");
    buf_dispose(&teed);
    body_dispose(&p.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_change_bytes),
        cmocka_unit_test(credit_is_of_the_source),
        cmocka_unit_test(what_was_emitted_is_replayed),
        cmocka_unit_test(trailers_pass_or_become_bytes),
        cmocka_unit_test(refusals_are_told_apart),
        cmocka_unit_test(copies_see_what_comes_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
