/* kube/kube_client: servers that are away, whom they must prove to be, and waiting for an answer. */
#include "kube/kube_client.c"

#include "base/instant.h"
#include "unit/cm.h"
#include "unit/kube/api_bench.h"

static void test_nobody(void **state)
{
    UNUSED(state);
    static const struct bench_reply ok[] = {{200, NULL, "{}"}, {0}};
    struct bench b;
    bench_open(&b);
    b.replies = ok;
    /* A server that never answered: told at once. */
    b.conf.server = SPAN("https://127.0.0.1:1");
    struct kube_client *other;
    struct err err;
    assert_int_equal(
        kube_client_new(&other, b.loop, &(struct kube_client_spec){.conf = &b.conf}, &err), 0);
    struct kube_client *first = b.client;
    b.client = other;
    assert_int_equal(bench_get(&b), -ECONNREFUSED);
    assert_non_null(strstr(b.why, "can not connect to '127.0.0.1:1': "));
    b.client = first;
    /* One that did: we wait for it to come back. */
    assert_int_equal(bench_get(&b), 0);
    struct addr addr = *http_server_addr(b.server);
    http_server_free(b.server);
    b.server = NULL;
    bench_start(&b, &(struct kube_call_spec){.method = "GET", .path = "/"});
    unsigned before = b.answers;
    int64_t begin = instant_mono_ms();
    while (instant_mono_ms() - begin < 100) { /* at least one try against nobody */
        loop_turn(b.loop, true);
    }
    assert_int_equal(b.answers, before);
    struct listener_spec where = {.addr = addr};
    assert_int_equal(http_server_new(&b.server, b.loop, &where, bench_papers.tls, &err), 0);
    http_server_route(b.server, "GET", "/*", false, bench_on_request, &b);
    bench_until(&b, &b.answers, before + 1);
    assert_int_equal(b.answer.code, 0);
    kube_client_free(other);
    bench_dispose(&b);
    /* A name that nobody has is no 404. */
    bench_init(&b, true);
    b.conf.server = SPAN("https://nobody.onion");
    bench_connect(&b);
    assert_int_equal(bench_get(&b), -EHOSTUNREACH);
    assert_non_null(strstr(b.why, "can not resolve 'nobody.onion'"));
    bench_dispose(&b);
}

/* A server that leaves in order serves its streams to their end and takes nobody new: that is told, not waited for. */
static void test_leaving(void **state)
{
    UNUSED(state);
    static const struct bench_reply keep[] = {{2, NULL, ""}, {200, NULL, "{}"}, {0}};
    struct bench b;
    bench_open(&b);
    b.replies = keep;
    struct kube_stream *s = kube_stream_open(b.client, &(struct kube_stream_spec){.path = "/w"});
    bench_until(&b, &b.asked, 1);
    http_server_drain(b.server);
    struct kube_call_spec spec = {.method = "GET", .path = "/", .no_retry = true};
    while (bench_ask(&b, &spec) != -ECONNREFUSED) { /* its GOAWAY is on the way */
        assert_true(b.answer.code == 0 || b.answer.code == -ECONNRESET);
    }
    assert_non_null(b.kept);
    kube_stream_close(s);
    bench_dispose(&b);
}

static void test_server_name(void **state)
{
    UNUSED(state);
    static const struct bench_reply ok[] = {{200, NULL, "{}"}, {0}};
    struct test_pki *other = test_pki_new("other", KEYPAIR_P256);
    struct err err;
    struct {
        const char *name;
        struct span ca;
        bool insecure;
        unsigned number;
        const char *why;
    } rows[] = {
        {BENCH_NAME, test_pki_root(bench_papers.pki), false, 0, ""},
        {"KUBE.test", test_pki_root(bench_papers.pki), false, 0, ""},
        {"x." BENCH_NAME, test_pki_root(bench_papers.pki), false, 1403,
         "allowed are 'x.kube.test'"},
        {"", test_pki_root(bench_papers.pki), false, 1403,
         "allowed are '127.0.0.1'"}, /* the host of `server` */
        {BENCH_NAME, test_pki_root(other), false, 1403, "is not signed by a trusted root"},
        {"any", SPAN_EMPTY, true, 0, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct bench b;
        bench_init(&b, true);
        b.conf.tls_name = span_of(rows[i].name);
        b.conf.ca_pem = rows[i].ca;
        b.conf.insecure = rows[i].insecure;
        bench_connect(&b);
        b.replies = ok;
        assert_int_equal(bench_get(&b) != 0, rows[i].number != 0);
        assert_non_null(strstr(b.why, rows[i].why));
        assert_int_equal(b.asked, rows[i].number == 0); /* no token goes to a stranger */
        if (rows[i].number != 0) {
            assert_int_equal(kube_answer_code(&b.answer), rows[i].number);
        }
        bench_dispose(&b);
    }
    struct bench b;
    bench_init(&b, true);
    b.conf.ca_pem = SPAN_EMPTY;
    struct kube_client_spec spec = {.conf = &b.conf};
    assert_int_equal(kube_client_new(&b.client, b.loop, &spec, &err), -ERR_CONFIG);
    b.conf.server = SPAN("nonsense");
    assert_int_equal(kube_client_new(&b.client, b.loop, &spec, &err), -ERR_CONFIG);
    assert_string_equal(err.text, "'nonsense' is no API server; want https://HOST:PORT");
    b.client = NULL;
    bench_dispose(&b);
    test_pki_free(other);
}

/* ---- asking and waiting ---- */

struct stopper {
    struct deadline deadline;
    struct loop *loop;
};

static void on_stop(struct deadline *d)
{
    loop_stop(container_of(d, struct stopper, deadline)->loop);
}

static void test_ask(void **state)
{
    UNUSED(state);
    static const struct bench_reply replies[] = {{200, "7", "{\"told\":\"yes\"}"},
                                                 {404, NULL, BENCH_STATUS("NotFound", "no pod")},
                                                 {1, NULL, ""},
                                                 {0}};
    struct arena arena;
    struct kube_answer a;
    struct err err;
    struct bench b;
    bench_open(&b);
    b.replies = replies;
    arena_init(&arena, 1024);
    struct kube_call_spec spec = {.method = "GET", .path = "/p"};
    assert_int_equal(kube_ask(b.client, &arena, &spec, &a, &err), 0);
    assert_span(doc_get(a.doc, "told")->text, "yes");
    assert_span(a.body, "{\"told\":\"yes\"}");
    assert_span(head_get(a.head, SPAN("retry-after")), "7");
    assert_int_equal(kube_ask(b.client, &arena, &spec, &a, &err), -ENOENT);
    assert_string_equal(err.text, "GET /p: no pod");
    assert_span(a.reason, "NotFound");
    struct stopper stopper = {.loop = b.loop}; /* as a signal does */
    deadline_init(&stopper.deadline, on_stop);
    deadline_arm(&stopper.deadline, b.loop, 20);
    assert_int_equal(kube_ask(b.client, &arena, &spec, &a, &err), -ECANCELED);
    assert_string_equal(err.text, "GET /p: interrupted");
    arena_dispose(&arena);
    bench_dispose(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_leaving),
        cmocka_unit_test(test_server_name),
        cmocka_unit_test(test_ask),
    };
    return cmocka_run_group_tests(tests, bench_set_up, bench_tear_down);
}
