/* kube/kube_call: what is sent, what answers mean, and when a call is tried again. */
#include "kube/kube_call.c"

#include "unit/cm.h"
#include "unit/kube/api_bench.h"

static void test_request(void **state)
{
    UNUSED(state);
    static const struct bench_reply ok[] = {{200, NULL, "{\"told\":\"yes\"}"}, {0}};
    static const struct header more = {SPAN_INIT("x-more"), SPAN_INIT("m")};
    static const struct header group = {SPAN_INIT("impersonate-group"), SPAN_INIT("g")};
    struct bench b;
    bench_init(&b, true);
    b.conf.server = span_of(arena_printf(&b.conf.arena, "%.*s/k8s/", SPAN_ARG(b.conf.server)));
    b.conf.impersonate = SPAN("me");
    b.conf.impersonate_more = &group;
    b.conf.impersonate_more_count = 1;
    bench_connect(&b);
    b.replies = ok;
    assert_int_equal(bench_get(&b), 0);
    assert_string_equal(b.request, "GET /k8s/api/v1/pods ");
    assert_string_equal(b.who, "Bearer t1");
    assert_string_equal(b.fields, "mesh-test|application/json||me|g|");
    assert_string_equal(b.told, "yes");
    assert_string_equal(b.why, "");
    assert_int_equal(bench_ask(&b, &(struct kube_call_spec){.method = "PATCH",
                                                            .path = "/x?y=z",
                                                            .content_type = KUBE_APPLY,
                                                            .body = SPAN("{}"),
                                                            .fields = &more,
                                                            .field_count = 1}),
                     0);
    assert_string_equal(b.request, "PATCH /k8s/x?y=z {}");
    assert_string_equal(b.fields, "mesh-test|application/json|" KUBE_APPLY "|me|g|m");
    bench_dispose(&b);
}

static void test_answers(void **state)
{
    UNUSED(state);
    static const struct {
        struct bench_reply reply[2];
        int code;
        const char *reason, *why;
        unsigned number; /* of codes.def */
    } rows[] = {
        {{{404, NULL, BENCH_STATUS("NotFound", "no pod")}}, -ENOENT, "NotFound", "no pod", 1407},
        {{{409, NULL, BENCH_STATUS("AlreadyExists", "is there")}},
         -EEXIST,
         "AlreadyExists",
         "is there",
         1407},
        {{{409, NULL, BENCH_STATUS("Conflict", "changed")}}, -ESTALE, "Conflict", "changed", 1407},
        {{{403, NULL, BENCH_STATUS("Forbidden", "may not")}},
         -EACCES,
         "Forbidden",
         "may not",
         1406},
        {{{401, NULL, BENCH_STATUS("Unauthorized", "Unauthorized")}},
         -EACCES,
         "Unauthorized",
         "the API server does not accept the kubeconfig's token (401 Unauthorized)",
         1404},
        {{{410, NULL, BENCH_STATUS("Expired", "too old")}}, -EREMOTEIO, "Expired", "too old", 1407},
        {{{400, NULL, BENCH_STATUS("BadRequest", "bad")}}, -ERR_CONFIG, "BadRequest", "bad", 1407},
        {{{422, NULL, BENCH_STATUS("Invalid", "wrong")}}, -ERR_CONFIG, "Invalid", "wrong", 1407},
        {{{429, NULL, ""}}, -ERR_LIMIT, "", "the API server answered 429", 1407},
        {{{500, NULL, "oh no\nmore"}}, -EREMOTEIO, "", "the API server answered 500: oh no", 1407},
        {{{503, NULL, "<html>"}}, -EREMOTEIO, "", "the API server answered 503", 1407},
        {{{200, NULL, "{\"a\":"}},
         -ERR_PROTO,
         "",
         "the API server's answer is not JSON: answer:1: unexpected end of data",
         1407},
    };
    struct bench b;
    bench_open(&b);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct kube_call_spec spec = {.method = "GET", .path = "/", .no_retry = true};
        b.replies = rows[i].reply;
        assert_int_equal(bench_ask(&b, &spec), rows[i].code);
        assert_int_equal(b.answer.status, rows[i].reply[0].status);
        assert_string_equal(b.reason, rows[i].reason);
        if (rows[i].code != -ERR_PROTO) {
            assert_string_equal(b.why, rows[i].why);
        } else {
            assert_non_null(strstr(b.why, "the API server's answer is not JSON: "));
        }
        assert_int_equal(kube_answer_code(&b.answer), rows[i].number);
        assert_int_equal(b.asked, 1);
    }
    bench_dispose(&b);
}

static void test_again(void **state)
{
    UNUSED(state);
    static const struct {
        const char *method, *type;
        struct bench_reply replies[4];
        unsigned asked;
        int code;
    } rows[] = {
        {"GET", NULL, {{503, NULL, ""}, {504, NULL, ""}, {200, NULL, "{}"}}, 3, 0},
        {"GET", NULL, {{0, NULL, ""}, {429, "0", ""}, {200, NULL, "{}"}}, 3, 0},
        {"PUT", NULL, {{0, NULL, ""}, {200, NULL, "{}"}}, 2, 0},
        {"DELETE", NULL, {{502, NULL, ""}, {200, NULL, "{}"}}, 2, 0},
        {"PATCH", KUBE_APPLY, {{503, NULL, ""}, {200, NULL, "{}"}}, 2, 0},
        {"PATCH", "application/json-patch+json", {{503, NULL, ""}}, 1, -EREMOTEIO},
        {"POST", NULL, {{503, NULL, ""}}, 1, -EREMOTEIO},
        {"POST", NULL, {{503, "0", ""}, {201, NULL, "{}"}}, 2, 0}, /* it says when to come again */
        {"POST", NULL, {{429, NULL, ""}, {201, NULL, "{}"}}, 2, 0},
        {"POST", NULL, {{0, NULL, ""}}, 1, -ECONNRESET},
        {"GET", NULL, {{500, NULL, ""}}, 1, -EREMOTEIO},
        {"GET", NULL, {{500, "0", ""}, {200, NULL, "{}"}}, 2, 0},
        {"GET", NULL, {{503, "3600", ""}}, 1, -EREMOTEIO}, /* that is longer than we wait */
        {"GET", NULL, {{404, NULL, ""}}, 1, -ENOENT},
    };
    struct bench b;
    bench_open(&b);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct kube_call_spec spec = {
            .method = rows[i].method, .path = "/", .content_type = rows[i].type};
        b.replies = rows[i].replies;
        assert_int_equal(bench_ask(&b, &spec), rows[i].code);
        assert_int_equal(b.asked, rows[i].asked);
    }
    bench_dispose(&b);
}

static void test_time(void **state)
{
    UNUSED(state);
    static const struct bench_reply busy[] = {{503, NULL, ""}, {0}};
    static const struct bench_reply silent[] = {{1, NULL, ""}, {0}};
    struct bench b;
    bench_open(&b);
    b.replies = silent;
    struct kube_call_spec spec = {.method = "GET", .path = "/", .timeout_ms = 60};
    assert_int_equal(bench_ask(&b, &spec), -ETIMEDOUT);
    assert_non_null(strstr(b.why, "gave no answer within 60 ms"));
    assert_int_equal(kube_answer_code(&b.answer), 1402);
    b.replies = busy; /* tried for as long as there is time, then told as it is */
    spec.timeout_ms = 400;
    assert_int_equal(bench_ask(&b, &spec), -EREMOTEIO);
    assert_in_range(b.asked, 2, 4);
    spec.body_max = 3;
    static const struct bench_reply large[] = {{200, NULL, "{\"a\":1}"}, {0}};
    b.replies = large;
    assert_int_equal(bench_ask(&b, &spec), -ERR_LIMIT);
    assert_string_equal(b.why, "the answer is larger than 3 bytes");
    bench_dispose(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, bench_set_up, bench_tear_down);
}
