/* kube/kube_apply: which request an object becomes. */
#include "kube/kube_apply.c"

#include "unit/kube/fake_api.h"

static struct kube_client api;
static const struct kube_conf conf = {.namespace = SPAN_INIT("home")};

const struct kube_conf *kube_client_conf(const struct kube_client *c)
{
    UNUSED(c);
    return &conf;
}

static int told;

static void on_answer(void *arg, const struct kube_answer *a)
{
    assert_ptr_equal(arg, &told);
    told = a->code;
}

static struct doc_node *parse(struct arena *arena, const char *text)
{
    struct doc_node *doc;
    struct err err;
    assert_int_equal(doc_parse_json(arena, span_of(text), NULL, &doc, &err), 0);
    return doc;
}

static void test_requests(void **state)
{
    UNUSED(state);
    static const struct kube_kind policies = {
        .group = "x.io", .version = "v2", .plural = "policies", .namespaced = true};
    static const struct {
        const char *object;
        const struct kube_kind *kind;
        const char *sub;
        bool dry_run, no_force;
        const char *path;
    } cases[] = {
        {"{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\",\"namespace\":"
         "\"n\"}}",
         NULL, NULL, false, false,
         "/api/v1/namespaces/n/configmaps/a?fieldManager=mesh&force=true"},
        {"{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}", NULL, NULL,
         true, true,
         "/api/v1/namespaces/home/configmaps/a?fieldManager=mesh&force=false&dryRun=All"},
        {"{\"apiVersion\":\"gateway.networking.k8s.io/v1\",\"kind\":\"GatewayClass\",\"metadata\":{"
         "\"name\":\"mesh\"}}",
         NULL, "status", false, false,
         "/apis/gateway.networking.k8s.io/v1/gatewayclasses/mesh/status?fieldManager=mesh&force="
         "true"},
        {"{\"metadata\":{\"name\":\"a/b\",\"namespace\":\"n\"}}", &policies, NULL, false, false,
         "/apis/x.io/v2/namespaces/n/policies/a%2Fb?fieldManager=mesh&force=true"},
        {"{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{}}", NULL, NULL, false, false,
         NULL},
        {"{\"metadata\":{\"name\":\"a\"}}", NULL, NULL, false, false, NULL},
        {"{}", &policies, NULL, false, false, NULL},
    };
    fake_api_start(&api);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        arena_init(&arena, 1024);
        const struct kube_apply_spec spec = {
            .object = parse(&arena, cases[i].object),
            .kind = cases[i].kind,
            .sub = cases[i].sub,
            .dry_run = cases[i].dry_run,
            .no_force = cases[i].no_force,
            .on_answer = i % 2 ? NULL : on_answer,
            .arg = &told,
        };
        struct kube_call *call = kube_apply(&api, &spec);
        if (cases[i].path == NULL) {
            assert_null(call);
        } else {
            assert_ptr_equal(call, fake_call(&api));
            assert_string_equal(call->method, "PATCH");
            assert_string_equal(call->path, cases[i].path);
            assert_string_equal(call->content_type, "application/apply-patch+yaml");
            assert_string_equal(call->body, cases[i].object);
            told = 1;
            fake_answer(call, 409, "Conflict");
            assert_int_equal(told, i % 2 ? 1 : -ESTALE);
        }
        arena_dispose(&arena);
    }
    fake_api_end(&api);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_requests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
