/* Asking in order, against a server on the same loop. */
#include "cli/demo_ask.c"

#include "http/http_server.h"
#include "unit/cm.h"

struct fixture {
    struct loop *loop;
    struct http_server *server;
    struct demo_asker *asker;
    char origin[ADDR_TEXT_BYTES + 8];
    unsigned seen;
    struct deadline later;
};

static void on_request(void *arg, const struct http_request *rq)
{
    struct fixture *f = arg;
    f->seen++;
    if (span_is(rq->path, "/never")) {
        return;
    }
    (void)http_stream_reply(rq->stream, span_is(rq->path, "/teapot") ? 418 : 200,
                            SPAN("application/json"), SPAN("{\"a\": [1, 2]}"));
}

static void on_later(struct deadline *d)
{
    demo_asker_interrupt(container_of(d, struct fixture, later)->asker);
}

static int setup(void **state)
{
    static struct fixture f;
    struct listener_spec where = {.addr.kind = ADDR_NONE};
    struct err err;
    char addr[ADDR_TEXT_BYTES];
    f = (struct fixture){.loop = loop_new(false)};
    assert_int_equal(addr_parse(SPAN("127.0.0.1:0"), &where.addr, &err), 0);
    assert_int_equal(http_server_new(&f.server, f.loop, &where, NULL, &err), 0);
    http_server_route(f.server, "GET,POST", "/*", false, on_request, &f);
    (void)snprintf(f.origin, sizeof(f.origin), "http://%s",
                   addr_format(http_server_addr(f.server), addr));
    f.asker = demo_asker_new(f.loop);
    deadline_init(&f.later, on_later);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    deadline_disarm(&f->later);
    demo_asker_free(f->asker);
    http_server_free(f->server);
    (void)loop_turn(f->loop, false);
    loop_free(f->loop);
    return 0;
}

static void test_answers(void **state)
{
    struct fixture *f = *state;
    struct demo_answer answer;
    struct err err = {.code = 0};
    struct demo_question q = {.origin = f->origin, .path = "/x"};
    assert_int_equal(demo_ask(f->asker, &q, &answer, &err), 0);
    assert_int_equal(answer.status, 200);
    assert_int_equal(doc_path(answer.doc, "a.1")->integer, 2);
    q.path = "/teapot";
    assert_int_equal(demo_ask(f->asker, &q, &answer, &err), 0);
    assert_int_equal(answer.status, 418);
    q.path = "/never";
    q.timeout_ms = 20;
    assert_int_equal(demo_ask(f->asker, &q, &answer, &err), -ERR_TIMEOUT);
    q.origin = "http://127.0.0.1:1";
    assert_true(demo_ask(f->asker, &q, &answer, &err) < 0);
    assert_true(err.code != 0);
}

static void test_interrupt(void **state)
{
    struct fixture *f = *state;
    struct demo_answer answer;
    struct err err = {.code = 0};
    struct demo_question q = {.origin = f->origin, .path = "/never", .timeout_ms = 60000};
    deadline_arm(&f->later, f->loop, 10);
    assert_int_equal(demo_ask(f->asker, &q, &answer, &err), -EINTR);
    q.path = "/x";
    assert_int_equal(demo_ask(f->asker, &q, &answer, &err), -EINTR);
    assert_int_equal(demo_ask_wait(f->asker, 60000, NULL, NULL), -EINTR);
}

static void count(void *arg, const struct http_answer *answer)
{
    unsigned *ok = arg;
    *ok += answer->err == NULL && answer->head->status == 200 ? 1 : 0;
}

static void test_volley(void **state)
{
    struct fixture *f = *state;
    struct err err = {.code = 0};
    unsigned ok = 0;
    struct demo_volley v = {.question = {.origin = f->origin, .path = "/x"},
                            .count = 100,
                            .conns = 7,
                            .each = count,
                            .arg = &ok};
    assert_int_equal(demo_ask_volley(f->asker, &v, &err), 0);
    assert_int_equal(ok, 100);
    assert_int_equal(f->seen, 100);
    v.question.path = "/never";
    v.question.timeout_ms = 60000;
    deadline_arm(&f->later, f->loop, 10);
    assert_int_equal(demo_ask_volley(f->asker, &v, &err), -EINTR);
}

static bool is_seen(void *arg)
{
    return *(bool *)arg;
}

static void test_wait(void **state)
{
    struct fixture *f = *state;
    bool seen = true;
    assert_int_equal(demo_ask_wait(f->asker, 0, is_seen, &seen), 0);
    seen = false;
    assert_int_equal(demo_ask_wait(f->asker, 15, is_seen, &seen), -ERR_TIMEOUT);
    assert_int_equal(demo_ask_wait(f->asker, 5, NULL, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interrupt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_volley, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wait, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
