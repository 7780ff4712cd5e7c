/* inject/template: holes of each kind in each place, conditions, and what is refused. */
#include "inject/template.c"

#include "unit/cm.h"

static struct arena arena;

static struct doc_node *yaml(const char *text)
{
    struct doc_node *node;
    struct err err = {.code = 0};
    assert_int_equal(doc_parse_yaml(&arena, span_of(text), "x.yaml", &node, &err), 0);
    return node;
}

static const char values[] = "{text: word, number: 7, aye: true, nay: false, none: null,"
                             " list: [1, two], empty: [], map: {a: b},"
                             " evil: '${text}', yaml: 'a: [1'}";

static void fills(void **state)
{
    static const struct {
        const char *template, *want; /* NULL: all of it falls away */
    } cases[] = {
        {"a", "a"},
        {"7", "7"},
        {"{a: [true, null, 1.5]}", "{a: [true, null, 1.5]}"},
        {"${text}", "word"},
        {"${number}", "7"},
        {"${map}", "{a: b}"},
        {"${none}", NULL},
        {"{a: '${none}', b: 1}", "{b: 1}"},
        {"[x, '${none}', y]", "[x, y]"},
        {"[x, '${list}', y]", "[x, 1, two, y]"},
        {"[x, '${empty}']", "[x]"},
        {"{a: '${list}'}", "{a: [1, two]}"},
        {"[['${list}']]", "[[1, two]]"},
        {"--x=${text}", "--x=word"},
        {"${text}-${number}-${none}-${aye}", "word-7--true"},
        {"'$(POD) ${text} $ {x} ${'", "'$(POD) word $ {x} ${'"},
        {"{$if: aye, a: 1}", "{a: 1}"},
        {"{$if: text, a: 1}", "{a: 1}"},
        {"{$if: nay, a: 1}", NULL},
        {"{$if: none, a: 1}", NULL},
        {"{$if: '!nay', a: 1}", "{a: 1}"},
        {"{$if: '!aye', a: 1}", NULL},
        {"[{$if: nay, a: 1}, {$if: aye, b: 2}]", "[{b: 2}]"},
        {"{x: {$if: nay, a: '${nowhere}'}}", "{}"},
        {"${evil}", "'${text}'"},
        {"x ${evil}", "'x ${text}'"},
        {"{a: '${yaml}'}", "{a: 'a: [1'}"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct doc_node *out = NULL;
        struct err err = {.code = 0};
        const struct doc_node *node = yaml(cases[i].template), *v = yaml(values);
        int code = template_fill(node, v, &arena, &out, &err);
        bool good = cases[i].want ? out && doc_eq(out, yaml(cases[i].want)) : out == NULL;
        if (code != 0 || !good || !doc_eq(node, yaml(cases[i].template))) {
            print_error("%s: %s\n", cases[i].template, err.text);
            fail();
        }
    }
}

static void refuses(void **state)
{
    static const struct {
        const char *template, *why;
    } cases[] = {
        {"a: b\nc: ${nowhere}", "template x.yaml:2: there is no '${nowhere}'"},
        {"a ${nowhere}", "there is no '${nowhere}'"},
        {"{$if: nowhere}", "there is no '${nowhere}'"},
        {"{$if: '!nowhere'}", "there is no '${nowhere}'"},
        {"a ${map}", "'${map}' is no text"},
        {"['a ${list}']", "'${list}' is no text"},
        {"${}", "there is no '${}'"},
        {"{$if: true}", "'$if' wants the name of a value"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct doc_node *out = NULL;
        struct err err = {.code = 0};
        int code = template_fill(yaml(cases[i].template), yaml(values), &arena, &out, &err);
        if (code != -ERR_CONFIG || !strstr(err.text, cases[i].why)) {
            print_error("%s: %d '%s'\n", cases[i].template, code, err.text);
            fail();
        }
    }
}

static void has_the_pod(void **state)
{
    UNUSED(state);
    const struct doc_node *pod = template_find(SPAN("proxy"), &arena);
    assert_non_null(doc_path(pod, "spec.initContainers.1.name"));
    assert_null(template_find(SPAN("nowhere"), &arena));
}

static int setup(void **state)
{
    UNUSED(state);
    arena_init(&arena, 65536);
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
        cmocka_unit_test(fills),
        cmocka_unit_test(refuses),
        cmocka_unit_test(has_the_pod),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
