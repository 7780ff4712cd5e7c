/* kube/kube_credentials: tokens and plugins that change, and what a 401 sets off. */
#include "kube/kube_credentials.c"

#include <stdio.h>

#include "codec/doc.h"
#include "kube/kube_client_int.h"
#include "unit/cm.h"
#include "unit/kube/api_bench.h"

static void test_token_file(void **state)
{
    UNUSED(state);
    static const struct bench_reply replies[] = {
        {200, NULL, "{}"}, {401, NULL, "{}"}, {200, NULL, "{}"}, {401, NULL, "{}"}, {0}};
    struct bench b;
    bench_init(&b, true);
    b.conf.token_file = bench_put("token", " t2\n");
    bench_connect(&b);
    b.replies = replies;
    assert_int_equal(bench_get(&b), 0);
    assert_string_equal(b.who, "Bearer t2");
    bench_put("token", "t3"); /* not looked at before a minute, or a 401 */
    assert_int_equal(bench_get(&b), 0);
    assert_int_equal(b.asked, 2);
    assert_string_equal(b.who, "Bearer t3");
    assert_int_equal(bench_get(&b), -EACCES); /* the same again would not help */
    assert_int_equal(b.asked, 1);
    assert_non_null(strstr(b.why, "the token in '"));
    bench_dispose(&b);
    bench_init(&b, true);
    b.conf.token_file = "/nonexistent/token";
    bench_connect(&b);
    assert_int_equal(bench_get(&b), -EACCES);
    assert_int_equal(kube_answer_code(&b.answer), 1405);
    bench_dispose(&b);
    bench_init(&b, true);
    b.conf.token_file = bench_put("token", "a\x80");
    bench_connect(&b);
    assert_int_equal(bench_get(&b), -EACCES);
    assert_non_null(strstr(b.why, "holds no token"));
    bench_dispose(&b);
}

static void test_basic(void **state)
{
    UNUSED(state);
    static const struct bench_reply ok[] = {{200, NULL, "{}"}, {0}};
    struct bench b;
    bench_init(&b, true);
    b.conf.token = SPAN_EMPTY;
    b.conf.username = SPAN("aladdin");
    b.conf.password = SPAN("open:sesame");
    bench_connect(&b);
    b.replies = ok;
    assert_int_equal(bench_get(&b), 0);
    assert_string_equal(b.who, "Basic YWxhZGRpbjpvcGVuOnNlc2FtZQ==");
    bench_dispose(&b);
}

#define EXEC_HEAD "{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\","

/* A plugin that prints the file `answer`, and counts its runs in `runs`. */
static void use_plugin(struct bench *b, struct kube_exec *exec, const char **argv)
{
    static char script[512];
    (void)snprintf(script, sizeof(script), "echo >> %s/runs; cat %s/answer", bench_papers.folder,
                   bench_papers.folder);
    argv[0] = "sh";
    argv[1] = "-c";
    argv[2] = script;
    argv[3] = NULL;
    *exec = (struct kube_exec){.argv = argv,
                               .api_version = SPAN("client.authentication.k8s.io/v1"),
                               .input = KUBE_EXEC_NEVER};
    bench_put("runs", "");
    b->conf.token = SPAN_EMPTY;
    b->conf.exec = exec;
    bench_connect(b);
}

static size_t runs(void)
{
    char path[256];
    struct buf text;
    struct err err;
    buf_init(&text, 1000);
    (void)snprintf(path, sizeof(path), "%s/runs", bench_papers.folder);
    assert_int_equal(file_read(path, &text, &err), 0);
    size_t n = buf_len(&text);
    buf_dispose(&text);
    return n;
}

static void test_plugin(void **state)
{
    UNUSED(state);
    static const struct bench_reply replies[] = {{200, NULL, "{}"}, {0}};
    static const struct bench_reply refused[] = {{401, NULL, "{}"}, {200, NULL, "{}"}, {0}};
    static const struct bench_reply always[] = {{401, NULL, "{}"}, {0}};
    const char *argv[4];
    struct kube_exec exec;
    struct bench b;
    bench_init(&b, true);
    use_plugin(&b, &exec, argv);
    b.replies = replies;
    bench_put("answer", EXEC_HEAD "\"status\":{\"token\":\"p1\"}}");
    /* Many at once: it is run once. */
    for (unsigned i = 0; i < 5; i++) {
        bench_start(&b, &(struct kube_call_spec){.method = "GET", .path = "/"});
    }
    bench_until(&b, &b.answers, 5);
    assert_string_equal(b.who, "Bearer p1");
    assert_int_equal(bench_get(&b), 0);
    assert_int_equal(runs(), 1);
    /* Refused: once more, with what it says now. */
    bench_put("answer", EXEC_HEAD
              "\"status\":{\"token\":\"p2\",\"expirationTimestamp\":\"2001-01-01T00:00:00Z\"}}");
    b.replies = refused;
    assert_int_equal(bench_get(&b), 0);
    assert_int_equal(b.asked, 2);
    assert_int_equal(runs(), 2);
    assert_string_equal(b.who, "Bearer p2");
    /* What it gave has ended long ago (or its clock is wrong): it is used, but not for long. */
    b.client->credentials.good_until_us = instant_wall_us();
    assert_int_equal(bench_get(&b), 0);
    assert_int_equal(runs(), 3);
    /* A server that refuses everything does not make us run it again and again. */
    b.replies = always;
    assert_int_equal(bench_get(&b), -EACCES);
    assert_int_equal(bench_get(&b), -EACCES);
    assert_in_range(runs(), 3, 4);
    bench_dispose(&b);
}

static void test_plugin_fails(void **state)
{
    UNUSED(state);
    static const struct bench_reply replies[] = {{200, NULL, "{}"}, {0}};
    const char *argv[4];
    struct kube_exec exec;
    struct bench b;
    bench_init(&b, true);
    use_plugin(&b, &exec, argv);
    b.replies = replies;
    bench_put("answer", "{}");
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(bench_get(&b), -EACCES);
        assert_string_equal(b.why, "the credential plugin 'sh' is no good: what it printed is no "
                                   "ExecCredential");
        assert_int_equal(kube_answer_code(&b.answer), 1405);
    }
    assert_int_equal(b.asked, 0);
    assert_int_equal(runs(), 1); /* not for each call */
    bench_put("answer", EXEC_HEAD "\"status\":{\"token\":\"a b\"}}");
    b.client->credentials.failed_ms -= 2000;
    assert_int_equal(bench_get(&b), -EACCES);
    assert_non_null(strstr(b.why, "gave a token that is none"));
    bench_put("answer",
              EXEC_HEAD "\"status\":{\"clientCertificateData\":\"x\",\"clientKeyData\":\"y\"}}");
    b.client->credentials.failed_ms -= 2000;
    assert_int_equal(bench_get(&b), -EACCES);
    assert_non_null(strstr(b.why, "what the credential plugin 'sh' gave: "));
    /* Freed while it runs, with calls that wait. */
    argv[2] = "exec sleep 30";
    b.client->credentials.failed_ms -= 2000;
    bench_start(&b, &(struct kube_call_spec){.method = "GET", .path = "/"});
    loop_turn(b.loop, false);
    bench_dispose(&b);
    assert_int_equal(b.answer.code, -ECANCELED);
}

/* A client certificate in the kubeconfig; and one of a plugin, for which connections are made anew. */
static void test_certificate(void **state)
{
    UNUSED(state);
    static const struct bench_reply ok[] = {{200, NULL, "{}"}, {0}};
    static const struct bench_reply keep[] = {{2, NULL, ""}, {200, NULL, "{}"}, {0}};
    const char *argv[4];
    struct kube_exec exec;
    struct bench b;
    bench_init(&b, true);
    b.conf.token = SPAN_EMPTY;
    b.conf.cert_pem = buf_span(&bench_papers.client.chain);
    b.conf.key_pem = buf_span(&bench_papers.client.key);
    bench_connect(&b);
    b.replies = ok;
    assert_int_equal(bench_get(&b), 0);
    assert_string_equal(b.subject, "CN=admin");
    assert_string_equal(b.who, "");
    bench_dispose(&b);

    bench_init(&b, true);
    use_plugin(&b, &exec, argv);
    bench_put("answer", EXEC_HEAD "\"status\":{\"token\":\"t\"}}");
    b.replies = keep;
    struct kube_stream_spec watch = {.path = "/"};
    struct kube_stream *s = kube_stream_open(b.client, &watch);
    bench_until(&b, &b.asked, 1);
    struct arena arena;
    struct buf text;
    arena_init(&arena, 4096);
    buf_init(&text, 100000);
    struct doc_node *doc = doc_new_map(&arena);
    doc_set(&arena, doc, "apiVersion", doc_cstr(&arena, "client.authentication.k8s.io/v1"));
    doc_set(&arena, doc, "kind", doc_cstr(&arena, "ExecCredential"));
    struct doc_node *status = doc_map_in(&arena, doc, "status");
    doc_set_text(&arena, status, "clientCertificateData", buf_span(&bench_papers.client.chain));
    doc_set_text(&arena, status, "clientKeyData", buf_span(&bench_papers.client.key));
    assert_int_equal(doc_write_json(doc, false, &text), 0);
    bench_put("answer", buf_cstr(&text));
    b.client->credentials.good_until_us = 1; /* it has ended */
    assert_int_equal(bench_get(&b), 0);
    assert_string_equal(b.subject, "CN=admin");
    assert_string_equal(b.who, "");
    assert_false(list_is_empty(&b.client->ways));
    assert_non_null(b.kept); /* the old connection serves its stream to the end */
    kube_stream_close(s);
    bench_until_left(&b);
    assert_ptr_equal(b.client->ways.next->next, &b.client->ways); /* and goes then */
    buf_dispose(&text);
    arena_dispose(&arena);
    bench_dispose(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_file),  cmocka_unit_test(test_basic),
        cmocka_unit_test(test_plugin),      cmocka_unit_test(test_plugin_fails),
        cmocka_unit_test(test_certificate),
    };
    return cmocka_run_group_tests(tests, bench_set_up, bench_tear_down);
}
