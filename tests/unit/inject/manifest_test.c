/* inject/manifest: what changes and what stays as it is, byte by byte; and back. */
#include "inject/manifest.c"

#include <stdio.h>

#include "unit/cm.h"
#include "unit/guard.h"

static struct arena arena;
static struct inject_settings settings;
static char told[1024];

static void on_object(void *arg, const struct manifest_object *o)
{
    char *to = arg;
    size_t len = strlen(to);
    (void)snprintf(to + len, sizeof(told) - len, "%.*s/%.*s/%.*s:%u%s;", SPAN_ARG(o->kind),
                   SPAN_ARG(o->namespace), SPAN_ARG(o->name), o->line, o->changed ? "+" : "");
}

static int run(struct span text, bool undo, struct buf *out, struct err *err)
{
    const struct manifest_spec spec = {.settings = &settings,
                                       .file = "x.yaml",
                                       .namespace = SPAN("default"),
                                       .asked = true,
                                       .undo = undo,
                                       .on_object = on_object,
                                       .arg = told};
    told[0] = '\0';
    err_clear(err);
    buf_reset(out);
    return manifest_inject(&spec, text, &arena, out, err);
}

#define CONTAINERS "spec: {containers: [{name: a, image: b}]}\n"
static const struct {
    const char *text, *told;
} cases[] = {
    {"", ""},
    {"# only\n", ""},
    {"a: b", ""},
    {"kind: Service\nspec: {a:   1}  # as it is\n", ""},
    {"--- # one\n\n---\n---\nkind: X\n", ""},
    {"[1, 2]\n---\ntext\n", ""},
    {"kind: Pod\nmetadata: {name: p}\n" CONTAINERS, "Pod/default/p:1+;"},
    {"# head\n\nkind: Pod\nmetadata: {name: p, namespace: ns1}\n" CONTAINERS, "Pod/ns1/p:3+;"},
    {"a:  1\n--- # mark\nkind: Pod\n" CONTAINERS "---\nb:  2\n", "Pod/default/:3+;"},
    {"--- {kind: Pod, spec: {containers: [{name: a}]}}\n", "Pod/default/:1+;"},
    {"kind: Pod\nspec: {hostNetwork: true, containers: []}\n", "Pod/default/:1;"},
    {"kind: Pod\r\nspec: {containers: [{name: a}]}\r\n---\r\nb:  2\r\n", "Pod/default/:1+;"},
    {"kind: List\nitems:\n- kind: Service\n- kind: Pod\n  " CONTAINERS
     "- {kind: Job, metadata: {name: j}, spec: {template: {spec: {containers: [{name: a}]}}}}\n",
     "Pod/default/:4+;Job/default/j:6+;"},
    {"{\"kind\": \"Pod\", \"spec\": {\"containers\": [{\"name\": \"a\"}]}}", "Pod/default/:1+;"},
    {"kind: ConfigMap\ndata:\n  x: |\n    ---\n    kind: Pod\n", ""},
};

static void changes(void **state)
{
    struct buf once, twice;
    struct err err;
    UNUSED(state);
    buf_init(&once, 1 << 20);
    buf_init(&twice, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct span text = span_of(cases[i].text);
        assert_int_equal(run(text, false, &once, &err), 0);
        assert_string_equal(told, cases[i].told);
        bool changed = strchr(told, '+') != NULL;
        assert_int_equal(changed, !span_eq(buf_span(&once), text));
        assert_int_equal(run(buf_span(&once), false, &twice, &err), 0);
        assert_null(strchr(told, '+'));
        assert_true(span_eq(buf_span(&once), buf_span(&twice)));
        assert_int_equal(run(buf_span(&once), true, &twice, &err), 0);
        struct doc_node *before, *after;
        assert_int_equal(doc_parse_yaml_all(&arena, text, "a", &before, &err), 0);
        assert_int_equal(doc_parse_yaml_all(&arena, buf_span(&twice), "b", &after, &err), 0);
        if (!doc_eq(before, after)) {
            print_error("%s became\n%.*s\n", cases[i].text, SPAN_ARG(buf_span(&twice)));
            fail();
        }
    }
    buf_dispose(&once);
    buf_dispose(&twice);
}

/* The documents that make no pods, the marks and the comments at the head. */
static void keeps_the_rest(void **state)
{
    struct buf out;
    struct err err;
    UNUSED(state);
    buf_init(&out, 1 << 20);
    assert_int_equal(
        run(SPAN("a:  1 # x\n--- # mark\n# head\nkind: Pod\n" CONTAINERS "---\nb:  [2]\n"), false,
            &out, &err),
        0);
    assert_true(
        span_starts(buf_span(&out), SPAN("a:  1 # x\n--- # mark\n# head\nkind: Pod\nspec:\n")));
    assert_true(span_ends(buf_span(&out), SPAN("---\nb:  [2]\n")));
    assert_int_equal(
        run(SPAN("{\"kind\": \"Pod\", \"spec\": {\"containers\": []}}"), false, &out, &err), 0);
    assert_true(span_starts(buf_span(&out), SPAN("{\n  \"kind\": \"Pod\"")));
    buf_dispose(&out);
}

static void refuses(void **state)
{
    struct buf out, small;
    struct err err;
    UNUSED(state);
    buf_init(&out, 1 << 20);
    buf_init(&small, 64);
    assert_int_equal(run(SPAN("a: 1\n---\nb: [\n"), false, &out, &err), -ERR_CONFIG);
    assert_non_null(strstr(err.text, "x.yaml:"));
    assert_int_equal(run(SPAN("kind: Pod\n" CONTAINERS), false, &small, &err), -ERR_LIMIT);
    assert_non_null(strstr(err.text, "too large"));
    buf_dispose(&out);
    buf_dispose(&small);
}

static void every_length(void **state)
{
    static const char text[] = "# h\n--- # m\nkind: Pod\nspec: {containers: [{name: a}]}\n---\n"
                               "kind: List\nitems: [{kind: Pod, spec: {containers: []}}]\n";
    struct buf out;
    struct err err;
    UNUSED(state);
    buf_init(&out, 1 << 20);
    for (size_t len = 0; len < sizeof(text); len++) {
        struct span part = guard_copy(0, span_from(text, len));
        int code = run(part, false, &out, &err);
        assert_true(code == 0 || (code == -ERR_CONFIG && err.text[0]));
    }
    buf_dispose(&out);
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
        cmocka_unit_test(changes),
        cmocka_unit_test(keeps_the_rest),
        cmocka_unit_test(refuses),
        cmocka_unit_test(every_length),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
