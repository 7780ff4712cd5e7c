/* injector/review: what the API server sends, and what it gets. */
#include "injector/review.c"

#include <stdio.h>

#include "unit/cm.h"
#include "unit/guard.h"

static struct arena arena;
static struct inject_settings settings;

static const struct doc_node *labels_of(void *arg, struct span name)
{
    return span_is(name, "unknown") ? NULL : arg;
}

static struct doc_node *json(struct span text)
{
    struct doc_node *node;
    struct err err = {.code = 0};
    if (doc_parse_json(&arena, text, "x", &node, &err) != 0) {
        print_error("%s: %.*s\n", err.text, SPAN_ARG(text));
        fail();
    }
    return node;
}

static struct span request(const char *ns, const char *extra, const char *object)
{
    return span_of(arena_printf(
        &arena,
        "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{"
        "\"uid\":\"u-1\",\"resource\":{\"group\":\"\",\"version\":\"v1\",\"resource\":\"pods\"},"
        "\"operation\":\"CREATE\",\"namespace\":\"%s\"%s,\"object\":%s}}",
        ns, extra, object));
}

static struct doc_node *ask(struct span text, const char *labels, struct review_answer *a)
{
    struct buf body;
    buf_init(&body, 1 << 20);
    const struct review_spec spec = {
        .settings = &settings, .namespace_labels = labels_of, .arg = json(span_of(labels))};
    assert_int_equal(review_answer(&spec, text, &arena, &body, a), 0);
    struct doc_node *doc = a->outcome == REVIEW_BAD ? doc_text(&arena, buf_span(&body))
                                                    : json(arena_dup(&arena, buf_span(&body)));
    buf_dispose(&body);
    return doc;
}

#define POD \
    "{\"metadata\":{\"generateName\":\"web-\"},\"spec\":{\"containers\":[{\"name\":\"a\"}]}}"

static bool allowed(const struct doc_node *doc)
{
    return doc_path(doc, "response.allowed")->boolean;
}

static void injects(void **state)
{
    struct review_answer a;
    UNUSED(state);
    struct doc_node *doc = ask(request("x", "", POD), "{\"istio-injection\":\"enabled\"}", &a);
    assert_int_equal(a.outcome, REVIEW_INJECTED);
    assert_int_equal(a.status, 200);
    assert_span(a.namespace, "x");
    assert_span(a.name, "web-");
    assert_false(a.dry_run);
    assert_span(doc_get(doc, "apiVersion")->text, "admission.k8s.io/v1");
    assert_span(doc_get(doc, "kind")->text, "AdmissionReview");
    assert_span(doc_path(doc, "response.uid")->text, "u-1");
    assert_span(doc_path(doc, "response.patchType")->text, "JSONPatch");
    assert_true(allowed(doc));
    struct span coded = doc_path(doc, "response.patch")->text;
    char *text = arena_bytes(&arena, base64_decoded_max(coded.len));
    ssize_t len = base64_decode(BASE64_STANDARD, coded, text);
    assert_true(len > 0);
    struct doc_node *patched;
    struct err err;
    assert_int_equal(jsonpatch_apply(&arena, json(SPAN(POD)), json(span_from(text, (size_t)len)),
                                     &patched, &err),
                     0);
    assert_span(doc_path(patched, "spec.initContainers.1.name")->text, "mesh-proxy");
    assert_span(doc_path(patched, "spec.containers.0.name")->text, "a");
    (void)ask(request("x", ",\"dryRun\":true", POD), "{}", &a);
    assert_true(a.dry_run);
}

static void skips(void **state)
{
    struct review_answer a;
    UNUSED(state);
    struct doc_node *doc = ask(request("x", "", POD), "{}", &a);
    assert_int_equal(a.outcome, REVIEW_SKIPPED);
    assert_int_equal(a.code, 1201);
    assert_true(allowed(doc));
    assert_null(doc_path(doc, "response.patch"));
    assert_null(doc_path(doc, "response.warnings"));
    /* A namespace that nobody knows yet: the API server asked, so it wants it. */
    (void)ask(request("unknown", "", POD), "{}", &a);
    assert_int_equal(a.outcome, REVIEW_INJECTED);
}

static void refuses(void **state)
{
    struct review_answer a;
    UNUSED(state);
    struct doc_node *doc =
        ask(request("x", "",
                    "{\"metadata\":{\"annotations\":{\"sidecar.istio.io/proxyCPU\":\"much\","
                    "\"sidecar.istio.io/agentLogLevel\":\"x\"}},\"spec\":{\"containers\":[]}}"),
            "{\"mesh-injection\":\"enabled\"}", &a);
    assert_int_equal(a.outcome, REVIEW_REFUSED);
    assert_false(allowed(doc));
    assert_null(doc_path(doc, "response.patch"));
    assert_int_equal(doc_path(doc, "response.status.code")->integer, 422);
    assert_span(
        doc_path(doc, "response.status.message")->text,
        "MESH1210: annotation sidecar.istio.io/proxyCPU is 'much'; want a quantity such as "
        "100m, 0.5 or 64Mi; fix: correct the annotation in the pod's template, or remove it "
        "(mesh explain MESH1210)");
}

static void warns(void **state)
{
    struct review_answer a;
    UNUSED(state);
    struct doc_node *doc =
        ask(request("x", "",
                    "{\"spec\":{\"containers\":[{\"name\":\"a\",\"ports\":[{\"containerPort\":"
                    "15020}]}]}}"),
            "{\"mesh-injection\":\"enabled\"}", &a);
    assert_int_equal(a.outcome, REVIEW_INJECTED);
    assert_span(doc_path(doc, "response.warnings.0")->text,
                "MESH1214: container a has port 15020, which the proxy listens on");
}

/* What is no new pod passes untouched. */
static void leaves_others_alone(void **state)
{
    static const char *const edits[][2] = {
        {"\"CREATE\"", "\"UPDATE\""},
        {"\"resource\":\"pods\"", "\"resource\":\"services\""},
        {"\"group\":\"\"", "\"group\":\"apps\""},
        {"\"namespace\":\"x\"", "\"subResource\":\"ephemeralcontainers\""},
        {"\"object\":{", "\"other\":{"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
        struct review_answer a;
        struct span text = request("x", "", POD);
        ssize_t at = span_find(text, span_of(edits[i][0]));
        assert_true(at > 0);
        struct span tail = span_from_offset(text, (size_t)at + strlen(edits[i][0]));
        const char *edited =
            arena_printf(&arena, "%.*s%s%.*s", (int)at, text.at, edits[i][1], SPAN_ARG(tail));
        struct doc_node *doc = ask(span_of(edited), "{\"mesh-injection\":\"enabled\"}", &a);
        assert_int_equal(a.outcome, REVIEW_SKIPPED);
        assert_int_equal(a.code, 1217);
        assert_true(allowed(doc));
        assert_null(doc_path(doc, "response.patch"));
        assert_non_null(doc_path(doc, "response.warnings.0"));
    }
}

static void bad_input(void **state)
{
    static const char *const bad[][2] = {
        {"", "no AdmissionReview: "},
        {"[]", "apiVersion ''"},
        {"{\"apiVersion\":\"admission.k8s.io/v1beta1\",\"kind\":\"AdmissionReview\"}",
         "'admission.k8s.io/v1beta1'; want AdmissionReview of 'admission.k8s.io/v1': let the "
         "webhook's admissionReviewVersions be [v1]"},
        {"{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"Pod\"}", "want AdmissionReview"},
        {"{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\"}", "request.uid"},
        {"{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"request\":{"
         "\"uid\":7}}",
         "request.uid"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct review_answer a;
        struct doc_node *text = ask(span_of(bad[i][0]), "{}", &a);
        if (a.outcome != REVIEW_BAD || a.status != 400 ||
            !span_starts(text->text, SPAN("MESH1216: ")) ||
            span_find(text->text, span_of(bad[i][1])) < 0) {
            print_error("%s: %.*s\n", bad[i][0], SPAN_ARG(text->text));
            fail();
        }
    }
}

static void every_length(void **state)
{
    struct span whole = request("x", "", POD);
    UNUSED(state);
    for (size_t len = 0; len < whole.len; len++) {
        struct review_answer a;
        (void)ask(guard_copy(0, span_first(whole, len)), "{}", &a);
        assert_int_equal(a.outcome, REVIEW_BAD);
    }
}

static void a_full_buffer(void **state)
{
    const struct review_spec spec = {.settings = &settings};
    struct review_answer a;
    struct buf body;
    UNUSED(state);
    buf_init(&body, 100);
    assert_int_equal(review_answer(&spec, request("x", "", POD), &arena, &body, &a), -ERR_LIMIT);
    buf_dispose(&body);
}

static int setup(void **state)
{
    UNUSED(state);
    arena_init(&arena, 65536);
    inject_settings_init(&settings, &arena);
    return 0;
}

static int teardown(void **state)
{
    UNUSED(state);
    arena_dispose(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(injects),      cmocka_unit_test(skips),
        cmocka_unit_test(refuses),      cmocka_unit_test(warns),
        cmocka_unit_test(bad_input),    cmocka_unit_test(leaves_others_alone),
        cmocka_unit_test(every_length), cmocka_unit_test(a_full_buffer),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
