/* codec/jsonpatch: the examples of RFC 6902 appendix A in our words, what is refused, and that a made patch does what it is for. */
#include "codec/jsonpatch.c"

#include "unit/cm.h"

static struct arena arena;

static struct doc_node *json(const char *text)
{
    struct doc_node *node;
    struct err err = {.code = 0};
    assert_int_equal(doc_parse_json(&arena, span_of(text), "x", &node, &err), 0);
    return node;
}

static void applies(void **state)
{
    static const struct {
        const char *doc, *patch, *want;
    } cases[] = {
        {"{\"a\":1}", "[]", "{\"a\":1}"},
        {"{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/b\",\"value\":2}]", "{\"a\":1,\"b\":2}"},
        {"{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":null}]", "{\"a\":null}"},
        {"{\"l\":[1,2]}", "[{\"op\":\"add\",\"path\":\"/l/1\",\"value\":9}]", "{\"l\":[1,9,2]}"},
        {"{\"l\":[1,2]}", "[{\"op\":\"add\",\"path\":\"/l/2\",\"value\":9}]", "{\"l\":[1,2,9]}"},
        {"{\"l\":[1,2]}", "[{\"op\":\"add\",\"path\":\"/l/-\",\"value\":[3]}]",
         "{\"l\":[1,2,[3]]}"},
        {"{\"l\":[1,2]}", "[{\"op\":\"remove\",\"path\":\"/l/0\"}]", "{\"l\":[2]}"},
        {"{\"l\":[1,2]}", "[{\"op\":\"replace\",\"path\":\"/l/1\",\"value\":9}]", "{\"l\":[1,9]}"},
        {"{\"a\":1,\"b\":2}", "[{\"op\":\"remove\",\"path\":\"/a\"}]", "{\"b\":2}"},
        {"{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"\",\"value\":[7]}]", "[7]"},
        {"{\"a/b\":{\"~\":1}}", "[{\"op\":\"replace\",\"path\":\"/a~1b/~0\",\"value\":2}]",
         "{\"a/b\":{\"~\":2}}"},
        {"{\"\":1}", "[{\"op\":\"replace\",\"path\":\"/\",\"value\":2}]", "{\"\":2}"},
        {"{\"a\":{\"b\":1},\"c\":{}}", "[{\"op\":\"move\",\"from\":\"/a/b\",\"path\":\"/c/d\"}]",
         "{\"a\":{},\"c\":{\"d\":1}}"},
        {"[1,2,3]", "[{\"op\":\"move\",\"from\":\"/0\",\"path\":\"/2\"}]", "[2,3,1]"},
        {"[1,2,3]", "[{\"op\":\"move\",\"from\":\"/1\",\"path\":\"/1\"}]", "[1,2,3]"},
        {"{\"a\":[1]}", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/0\"}]", "{\"a\":[[1],1]}"},
        {"{\"a\":10}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":10.0}]", "{\"a\":10}"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct doc_node *out = NULL;
        struct err err = {.code = 0};
        int code = jsonpatch_apply(&arena, json(cases[i].doc), json(cases[i].patch), &out, &err);
        if (code != 0 || !doc_eq(out, json(cases[i].want))) {
            print_error("%s on %s: %s\n", cases[i].patch, cases[i].doc, err.text);
            fail();
        }
    }
}

static void refuses(void **state)
{
    static const struct {
        const char *patch;
        int code;
        const char *why;
    } cases[] = {
        {"{}", -ERR_CONFIG, "a list of operations"},
        {"[1]", -ERR_CONFIG, "want 'op'"},
        {"[{\"op\":\"turn\",\"path\":\"\"}]", -ERR_CONFIG, "operation 0 (turn ): want 'op'"},
        {"[{\"op\":\"add\",\"path\":\"/x\"}]", -ERR_CONFIG, "'value' is missing"},
        {"[{\"op\":\"replace\",\"path\":\"/l/0\"}]", -ERR_CONFIG, "'value' is missing"},
        {"[{\"op\":\"remove\",\"path\":\"/x\"}]", -ERR_CONFIG, "there is nothing"},
        {"[{\"op\":\"remove\",\"path\":\"\"}]", -ERR_CONFIG, "whole document"},
        {"[{\"op\":\"remove\",\"path\":\"a\"}]", -ERR_CONFIG, "JSON pointer"},
        {"[{\"op\":\"remove\"}]", -ERR_CONFIG, "JSON pointer"},
        {"[{\"op\":\"remove\",\"path\":\"/l/2\"}]", -ERR_CONFIG, "there is nothing"},
        {"[{\"op\":\"remove\",\"path\":\"/l/-\"}]", -ERR_CONFIG, "there is nothing"},
        {"[{\"op\":\"remove\",\"path\":\"/l/01\"}]", -ERR_CONFIG, "no such position"},
        {"[{\"op\":\"add\",\"path\":\"/l/3\",\"value\":1}]", -ERR_CONFIG, "no such position"},
        {"[{\"op\":\"add\",\"path\":\"/n/x\",\"value\":1}]", -ERR_CONFIG, "neither map nor list"},
        {"[{\"op\":\"add\",\"path\":\"/x/y\",\"value\":1}]", -ERR_CONFIG, "is not there"},
        {"[{\"op\":\"remove\",\"path\":\"/a~2\"}]", -ERR_CONFIG, "'~' wants"},
        {"[{\"op\":\"move\",\"from\":\"/m\",\"path\":\"/m/x\"}]", -ERR_CONFIG, "into itself"},
        {"[{\"op\":\"test\",\"path\":\"/n\",\"value\":2}]", -ERR_DENIED, "another value"},
    };
    UNUSED(state);
    const struct doc_node *doc = json("{\"l\":[1,2],\"n\":1,\"m\":{}}");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct doc_node *out = NULL;
        struct err err = {.code = 0};
        int code = jsonpatch_apply(&arena, doc, json(cases[i].patch), &out, &err);
        if (code != cases[i].code || !strstr(err.text, cases[i].why)) {
            print_error("%s: %d '%s'\n", cases[i].patch, code, err.text);
            fail();
        }
        assert_null(out);
    }
}

/* Copies of copies must not fill the memory. */
static void is_bounded(void **state)
{
    UNUSED(state);
    struct doc_node *ops = doc_new_list(&arena), *out;
    struct err err;
    for (int i = 0; i < 64; i++) {
        doc_list_add(&arena, ops, json("{\"op\":\"copy\",\"from\":\"\",\"path\":\"/-\"}"));
    }
    assert_int_equal(jsonpatch_apply(&arena, json("[1]"), ops, &out, &err), -ERR_LIMIT);
    for (int i = 0; i < DOC_DEPTH_MAX; i++) {
        ops->entries[i].value = json("{\"op\":\"add\",\"path\":\"\",\"value\":[[]]}");
    }
    for (int i = 0; i < 63; i++) {
        ops->entries[i + 1].value = json("{\"op\":\"move\",\"from\":\"/0\",\"path\":\"\"}");
    }
    assert_int_equal(jsonpatch_apply(&arena, json("[1]"), ops, &out, &err), -ERR_CONFIG);
    for (uint32_t i = 0; i <= JSONPATCH_OPS_MAX; i++) {
        doc_list_add(&arena, ops, ops->entries[0].value);
    }
    assert_int_equal(jsonpatch_apply(&arena, json("[1]"), ops, &out, &err), -ERR_LIMIT);
}

static void makes(void **state)
{
    static const struct {
        const char *from, *to, *want; /* the patch; NULL: whatever does it */
    } cases[] = {
        {"{\"a\":1}", "{\"a\":1}", "[]"},
        {"1", "2", "[{\"op\":\"replace\",\"path\":\"\",\"value\":2}]"},
        {"{\"a\":1}", "{\"b\":1}",
         "[{\"op\":\"remove\",\"path\":\"/a\"},{\"op\":\"add\",\"path\":\"/b\",\"value\":1}]"},
        {"{\"a/b\":1}", "{\"a/b\":2}", "[{\"op\":\"replace\",\"path\":\"/a~1b\",\"value\":2}]"},
        {"{\"c\":[{\"name\":\"app\",\"x\":1}]}",
         "{\"c\":[{\"name\":\"proxy\"},{\"name\":\"app\",\"x\":2}]}",
         "[{\"op\":\"add\",\"path\":\"/c/0\",\"value\":{\"name\":\"proxy\"}},"
         "{\"op\":\"replace\",\"path\":\"/c/1/x\",\"value\":2}]"},
        {"[1,2,3]", "[2,3,4]",
         "[{\"op\":\"remove\",\"path\":\"/0\"},{\"op\":\"add\",\"path\":\"/2\",\"value\":4}]"},
        {"[[1],[2]]", "[[2],[1]]", NULL},
        {"[]", "{}", NULL},
        {"[{\"name\":\"a\"},{\"name\":\"a\"}]", "[{\"name\":\"a\",\"x\":[]}]", NULL},
        {"{\"a\":null}", "{\"a\":{\"b\":[]}}", NULL},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct doc_node *from = json(cases[i].from), *to = json(cases[i].to);
        struct doc_node *patch = jsonpatch_make(&arena, from, to), *out = NULL;
        struct err err;
        assert_int_equal(jsonpatch_apply(&arena, from, patch, &out, &err), 0);
        assert_true(doc_eq(out, to));
        if (cases[i].want && !doc_eq(patch, json(cases[i].want))) {
            struct buf text;
            buf_init(&text, 65536);
            assert_int_equal(doc_write_json(patch, false, &text), 0);
            print_error("%s -> %s: %.*s\n", cases[i].from, cases[i].to, SPAN_ARG(buf_span(&text)));
            fail();
        }
    }
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
        cmocka_unit_test(applies),
        cmocka_unit_test(refuses),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(makes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
