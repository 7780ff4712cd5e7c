/* The sample service, asked by our own client over loopback. */
#include "sample/sample_service.c"

#include "unit/cm.h"

struct fixture {
    struct loop *loop;
    struct http_server *server;
    struct http_client *client, *upstream;
    struct sample_service *service;
    bool answered;
    unsigned status;
    struct buf body;
};

static void on_test_answer(void *arg, const struct http_answer *answer)
{
    struct fixture *f = arg;
    f->answered = true;
    f->status = answer->err != NULL ? 0 : answer->head->status;
    buf_reset(&f->body);
    if (answer->err == NULL) {
        assert_int_equal(buf_append_span(&f->body, answer->body), 0);
    }
}

static void ask(struct fixture *f, const char *method, const char *path, const char *body,
                int64_t timeout_ms)
{
    const struct http_call call = {.method = span_of(method),
                                   .path = span_of(path),
                                   .body = span_of(body),
                                   .timeout_ms = timeout_ms,
                                   .on_answer = on_test_answer,
                                   .arg = f};
    f->answered = false;
    http_client_call(f->client, &call);
    while (!f->answered) {
        (void)loop_turn(f->loop, true);
    }
}

static struct http_client *client_of(struct fixture *f, const char *authority)
{
    struct http_client *client;
    struct err err;
    char origin[ADDR_TEXT_BYTES + 8], addr[ADDR_TEXT_BYTES];
    (void)snprintf(origin, sizeof(origin), "http://%s",
                   addr_format(http_server_addr(f->server), addr));
    const struct http_client_spec spec = {.origin = span_of(origin),
                                          .authority = span_of(authority)};
    assert_int_equal(http_client_new(&client, f->loop, &spec, &err), 0);
    return client;
}

/* The service is its own upstream. */
static int setup(void **state)
{
    struct fixture *f = mem_new(struct fixture);
    struct listener_spec where = {.addr.kind = ADDR_NONE};
    struct err err;
    buf_init(&f->body, 1 << 20);
    f->loop = loop_new(false);
    assert_int_equal(addr_parse(SPAN("127.0.0.1:0"), &where.addr, &err), 0);
    assert_int_equal(http_server_new(&f->server, f->loop, &where, NULL, &err), 0);
    f->client = client_of(f, NULL);
    f->upstream = client_of(f, "inner");
    f->service = sample_service_new(f->loop, "me", f->server, f->upstream);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    http_client_free(f->client);
    http_server_free(f->server);
    sample_service_free(f->service);
    http_client_free(f->upstream);
    (void)loop_turn(f->loop, false);
    loop_free(f->loop);
    buf_dispose(&f->body);
    mem_free(f);
    return 0;
}

static void test_answers(void **state)
{
    static const struct {
        const char *method, *path, *body;
        unsigned status;
        const char *contains;
    } cases[] = {
        {"GET", "/health", "", 200, "ok"},
        {"GET", "/status/418", "", 418, "as asked"},
        {"GET", "/status/204", "", 204, ""},
        {"GET", "/status/100", "", 400, "final"},
        {"GET", "/status/600", "", 400, "limits"},
        {"GET", "/status/x", "", 400, "number"},
        {"GET", "/delay/1", "", 200, "late"},
        {"GET", "/delay/999999999", "", 400, "limits"},
        {"POST", "/echo", "what I said", 200, "what I said"},
        {"GET", "/a?b=c", "", 200, "\"path\": \"/a?b=c\""},
        {"PUT", "/x", "12345", 200, "\"body_bytes\": 5"},
        {"GET", "/upstream/hello", "", 200, "\"host\": \"inner\""},
        {"GET", "/upstream/status/503", "", 503, "as asked"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ask(f, cases[i].method, cases[i].path, cases[i].body, 0);
        if (f->status != cases[i].status ||
            span_find(buf_span(&f->body), span_of(cases[i].contains)) < 0) {
            fail_msg("%s %s: %u %.*s", cases[i].method, cases[i].path, f->status,
                     SPAN_ARG(buf_span(&f->body)));
        }
    }
}

static void test_bytes(void **state)
{
    static const struct {
        const char *path;
        size_t len;
    } cases[] = {
        {"/bytes/0", 0}, {"/bytes/1", 1}, {"/bytes/65537", 65537}, {"/bytes/1000000", 1000000}};
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ask(f, "GET", cases[i].path, "", 0);
        assert_int_equal(f->status, 200);
        assert_int_equal(buf_len(&f->body), cases[i].len);
    }
}

/* A caller that leaves before the delay is over, the upstream has answered, or all bytes are sent. */
static void test_caller_goes_away(void **state)
{
    static const char *const paths[] = {"/delay/600000", "/upstream/delay/600000",
                                        "/bytes/1000000000000"};
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        ask(f, "GET", paths[i], "", 30);
        assert_int_equal(f->status, 0);
    }
    ask(f, "GET", "/health", "", 0);
    assert_int_equal(f->status, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_caller_goes_away, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
