/* kube/kube_relay: a request passed on with our credentials, its answer, what goes wrong, and where links lead. */
#include "kube/kube_relay.c"

#include <stdio.h>

#include "unit/cm.h"
#include "unit/kube/api_bench.h"

/* In front of the bench's API server. */
struct front {
    struct bench bench;
    struct http_server *server;
    struct http_client *client;
    unsigned answers, dones, status, told;
    char body[4096];
    char why[256];
};

static void on_done(void *arg, unsigned status, const char *why)
{
    struct front *f = arg;
    f->dones++;
    f->told = status;
    (void)snprintf(f->why, sizeof(f->why), "%s", why);
}

static void on_front(void *arg, const struct http_request *rq)
{
    struct front *f = arg;
    const char *path =
        arena_printf(http_stream_arena(rq->stream), "/prefix%.*s", SPAN_ARG(rq->head->path));
    kube_relay(f->bench.client, rq,
               &(struct kube_relay_spec){
                   .path = path, .strip = SPAN("/prefix"), .on_done = on_done, .arg = f});
}

static void on_front_answer(void *arg, const struct http_answer *a)
{
    struct front *f = arg;
    f->answers++;
    f->status = a->err == NULL ? a->head->status : 0;
    (void)snprintf(f->body, sizeof(f->body), "%.*s", a->err == NULL ? (int)a->body.len : 0,
                   a->body.at);
}

static void open_front(struct front *f)
{
    struct listener_spec where = {.backlog = 0};
    struct err err;
    char text[ADDR_TEXT_BYTES];
    char origin[ADDR_TEXT_BYTES + 8];
    *f = (struct front){.answers = 0};
    bench_open(&f->bench);
    assert_int_equal(addr_parse(SPAN("127.0.0.1:0"), &where.addr, &err), 0);
    assert_int_equal(http_server_new(&f->server, f->bench.loop, &where, NULL, &err), 0);
    http_server_route(f->server, "*", "/*", false, on_front, f);
    (void)snprintf(origin, sizeof(origin), "http://%s",
                   addr_format(http_server_addr(f->server), text));
    const struct http_client_spec spec = {.origin = span_of(origin)};
    assert_int_equal(http_client_new(&f->client, f->bench.loop, &spec, &err), 0);
}

static void close_front(struct front *f)
{
    http_client_free(f->client);
    http_server_free(f->server);
    bench_dispose(&f->bench);
}

static void ask(struct front *f, const char *method, const char *body)
{
    static const struct header fields[] = {
        {SPAN_INIT("authorization"), SPAN_INIT("Bearer theirs")},
        {SPAN_INIT("impersonate-user"), SPAN_INIT("root")},
        {SPAN_INIT("x-more"), SPAN_INIT("m")},
        {SPAN_INIT("user-agent"), SPAN_INIT("browser")},
    };
    f->answers = 0;
    http_client_call(f->client, &(struct http_call){.method = span_of(method),
                                                    .path = SPAN("/a?b=1"),
                                                    .fields = fields,
                                                    .field_count = ARRAY_LEN(fields),
                                                    .body = span_of(body),
                                                    .on_answer = on_front_answer,
                                                    .arg = f});
    bench_until(&f->bench, &f->answers, 1);
}

static void test_there_and_back(void **state)
{
    UNUSED(state);
    static const struct bench_reply replies[] = {
        {200, NULL, "hello"}, {404, NULL, "no"}, {200, NULL, ""}, {0}};
    struct front f;
    open_front(&f);
    f.bench.replies = replies;
    ask(&f, "GET", "");
    assert_int_equal(f.status, 200);
    assert_string_equal(f.body, "hello");
    assert_string_equal(f.bench.request, "GET /prefix/a?b=1 ");
    assert_null(strstr(f.bench.who, "theirs"));
    assert_non_null(strstr(f.bench.fields, "browser|"));
    assert_null(strstr(f.bench.fields, "root"));
    ask(&f, "POST", "some=form");
    assert_int_equal(f.status, 404);
    assert_string_equal(f.bench.request, "POST /prefix/a?b=1 some=form");
    ask(&f, "GET", "");
    assert_int_equal(f.status, 200);
    assert_string_equal(f.body, "");
    close_front(&f);
}

static void test_nobody(void **state)
{
    UNUSED(state);
    static const struct bench_reply away[] = {{0}, {0}};
    struct front f;
    open_front(&f);
    f.bench.replies = away;
    ask(&f, "GET", "");
    assert_int_equal(f.status, 502);
    assert_int_equal(f.told, 0);
    assert_int_equal(f.dones, 1);
    assert_non_null(strstr(f.body, "broke"));
    close_front(&f);
}

/* The API server says nothing more when the client leaves. */
static void test_client_leaves(void **state)
{
    UNUSED(state);
    static const struct bench_reply keep[] = {{2, NULL, ""}, {0}};
    struct front f;
    open_front(&f);
    f.bench.replies = keep;
    http_client_call(f.client, &(struct http_call){.method = SPAN("GET"),
                                                   .path = SPAN("/"),
                                                   .on_answer = on_front_answer,
                                                   .arg = &f});
    bench_until(&f.bench, &f.bench.asked, 1);
    http_client_free(f.client);
    f.client = NULL;
    bench_until(&f.bench, &f.dones, 1);
    bench_until_left(&f.bench);
    close_front(&f);
}

static void test_locations(void **state)
{
    UNUSED(state);
    static const struct {
        const char *from, *to;
    } cases[] = {
        {"/prefix/x?y", "/x?y"},
        {"/prefix", "/"},
        {"https://10.0.0.1:6443/prefix/x", "/x"},
        {"https://elsewhere/x", "https://elsewhere/x"},
        {"https://elsewhere", "https://elsewhere"},
        {"/other", "/other"},
        {"next", "next"},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct kube_relay r = {.spec = {.strip = SPAN("/prefix")}};
        struct head head;
        arena_init(&r.arena, 1024);
        head_init(&head, &r.arena);
        assert_int_equal(head_add(&head, SPAN("location"), span_of(cases[i].from)), 0);
        mend_location(&r, &head);
        assert_span(head_get(&head, SPAN("location")), cases[i].to);
        arena_dispose(&r.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_locations),
    };
    return cmocka_run_group_tests(tests, bench_set_up, bench_tear_down);
}
