/* kube/kube_exec: what plugins print, and plugins that are run. */
#include "kube/kube_exec.c"

#include <stdio.h>

#include "base/instant.h"
#include "unit/cm.h"
#include "unit/guard.h"

#define V1 "client.authentication.k8s.io/v1"
#define HEAD "{\"apiVersion\":\"" V1 "\",\"kind\":\"ExecCredential\",\"status\":"

static struct loop *loop;

static void test_read(void **state)
{
    UNUSED(state);
    static const struct {
        const char *text;
        const char *want; /* "token cert key expires", or the message */
    } rows[] = {
        {HEAD "{\"token\":\"t\"}}", "t   -"},
        {HEAD "{\"token\":\"t\",\"expirationTimestamp\":\"1970-01-01T00:00:01Z\"}}", "t   1000000"},
        {HEAD "{\"clientCertificateData\":\"c\",\"clientKeyData\":\"k\"}}", " c k -"},
        {HEAD "{\"token\":\"t\",\"clientCertificateData\":\"c\",\"clientKeyData\":\"k\"}} \n",
         "t c k -"},
        {"", "what it printed is not JSON"},
        {"[]", "what it printed is not JSON"},
        {"{\"kind\":\"Pod\"}", "what it printed is no ExecCredential"},
        {"{\"kind\":\"ExecCredential\",\"apiVersion\":\"v1\"}",
         "it speaks 'v1', the kubeconfig says '" V1 "'"},
        {HEAD "null}", "it gave no 'status'"},
        {HEAD "{}}", "it gave neither a token nor a client certificate"},
        {HEAD "{\"token\":5}}", "a field of its 'status' is no text"},
        {HEAD "{\"clientKeyData\":\"k\",\"token\":\"t\"}}",
         "it gave a certificate without its key, or a key alone"},
        {HEAD "{\"token\":\"t\",\"expirationTimestamp\":\"soon\"}}",
         "its 'expirationTimestamp' is not an RFC 3339 date"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena arena;
        struct kube_exec_answer a;
        struct err err;
        char got[256];
        char expires[32] = "-";
        arena_init(&arena, 1024);
        struct span text = guard_copy(0, span_of(rows[i].text));
        if (kube_exec_read(&arena, text, SPAN(V1), &a, &err) == 0) {
            if (a.expires_us != INT64_MAX) {
                (void)snprintf(expires, sizeof(expires), "%lld", (long long)a.expires_us);
            }
            (void)snprintf(got, sizeof(got), "%.*s %.*s %.*s %s", SPAN_ARG(a.token),
                           SPAN_ARG(a.cert_pem), SPAN_ARG(a.key_pem), expires);
        } else {
            assert_int_equal(err.code, -EACCES);
            (void)snprintf(got, sizeof(got), "%s", err.text);
        }
        assert_string_equal(got, rows[i].want);
        arena_dispose(&arena);
    }
}

struct told {
    bool has_come;
    char text[1024];
};

static void on_done(void *arg, const struct kube_exec_answer *a, const struct err *err)
{
    struct told *t = arg;
    t->has_come = true;
    (void)snprintf(t->text, sizeof(t->text), "%.*s", a != NULL ? (int)a->token.len : 400,
                   a != NULL ? a->token.at : err->text);
}

/* The token, or why there is none, of a shell script. */
static const char *run(const char *command, const char *script, enum kube_exec_input input)
{
    static struct told told;
    const char *argv[] = {command, "-c", script, NULL};
    const char *env[] = {"PLUGIN_WORD=green", NULL};
    struct kube_exec exec = {.argv = argv,
                             .env = env,
                             .api_version = SPAN(V1),
                             .install_hint = SPAN(" see example.com "),
                             .provide_cluster_info = true,
                             .input = input};
    struct kube_conf conf = {
        .exec = &exec, .server = SPAN("https://h"), .ca_pem = SPAN("ca"), .tls_name = SPAN("n")};
    struct kube_exec_run *r;
    struct err err;
    told = (struct told){.has_come = false};
    if (kube_exec_start(&r, loop, &conf, on_done, &told, &err) != 0) {
        assert_int_equal(err.code, -EACCES);
        (void)snprintf(told.text, sizeof(told.text), "%s", err.text);
        return told.text;
    }
    int64_t begin = instant_mono_ms();
    while (!told.has_come) {
        loop_turn(loop, true);
        assert_true(instant_mono_ms() - begin < 20000);
    }
    return told.text;
}

static void test_run(void **state)
{
    UNUSED(state);
    assert_string_equal(
        run("sh", "echo '" HEAD "{\"token\":\"'$PLUGIN_WORD'\"}}'", KUBE_EXEC_NEVER), "green");
    /* what it is told: as one word without blanks, quotes and braces */
    assert_string_equal(run("/bin/sh",
                            "w=$(echo \"$KUBERNETES_EXEC_INFO\" | tr -d '\"{}'); echo '" HEAD
                            "{\"token\":\"'$w'\"}}'",
                            KUBE_EXEC_NEVER),
                        "apiVersion:" V1
                        ",kind:ExecCredential,spec:interactive:false,cluster:server:https://h,"
                        "tls-server-name:n,certificate-authority-data:Y2E=");
    /* more than a pipe holds, and a child that keeps it open */
    assert_string_equal(run("sh",
                            "sleep 3 2>/dev/null & echo '" HEAD
                            "{\"token\":\"x\"}}'; head -c 300000 /dev/zero | tr '\\0' ' '",
                            KUBE_EXEC_NEVER),
                        "x");
    assert_string_equal(
        run("sh", "exit 3", KUBE_EXEC_NEVER),
        "the credential plugin 'sh' failed with exit code 3; what it said is above");
    assert_string_equal(run("sh", "kill -9 $$", KUBE_EXEC_NEVER),
                        "the credential plugin 'sh' was ended by signal 9");
    assert_string_equal(run("sh", "echo no", KUBE_EXEC_NEVER),
                        "the credential plugin 'sh' is no good: what it printed is not JSON");
    assert_string_equal(run("sh", "head -c 3000000 /dev/zero", KUBE_EXEC_NEVER),
                        "the credential plugin 'sh' printed more than 1048576 bytes");
    assert_string_equal(run("no-such-plugin", "", KUBE_EXEC_NEVER),
                        "the credential plugin 'no-such-plugin' is not in PATH; see example.com");
    assert_non_null(strstr(run("/nonexistent/plugin", "", KUBE_EXEC_NEVER), "; see example.com"));
    if (!isatty(STDIN_FILENO)) {
        assert_string_equal(run("sh", "", KUBE_EXEC_ALWAYS),
                            "the credential plugin 'sh' wants to ask a person (interactiveMode: "
                            "Always), and there is no terminal");
    }
}

static void test_early_end(void **state)
{
    UNUSED(state);
    const char *argv[] = {"sh", "-c", "exec sleep 30", NULL};
    struct kube_exec exec = {.argv = argv, .api_version = SPAN(V1)};
    struct kube_conf conf = {.exec = &exec};
    struct kube_exec_run *r;
    struct err err;
    assert_int_equal(kube_exec_start(&r, loop, &conf, on_done, NULL, &err), 0);
    kube_exec_free(r);
    kube_exec_free(NULL);
    loop_turn(loop, false);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_early_end),
    };
    loop = loop_new(false);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    loop_free(loop);
    return failed;
}
