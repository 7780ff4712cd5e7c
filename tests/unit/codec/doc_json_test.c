/* codec/doc: JSON in, with lines, limits and refusals. */
#include "codec/doc_json.c"

#include <stdio.h>

#include "unit/cm.h"
#include "unit/guard.h"

static struct arena arena;

/* Compact JSON of what was read, or the message. */
static const char *read_back(struct span text)
{
    static char got[1024];
    struct doc_node *node = NULL;
    struct err err = {.code = 0};
    struct buf out;
    buf_init(&out, sizeof(got) - 1);
    int failed = doc_parse_json(&arena, guard_copy(0, text), "f", &node, &err);
    if (failed != 0) {
        assert_int_equal(failed, err.code);
        (void)snprintf(got, sizeof(got), "%s", err.text);
    } else {
        assert_int_equal(doc_write_json(node, false, &out), 0);
        (void)span_to_cstr(buf_span(&out), got, sizeof(got));
    }
    buf_dispose(&out);
    return got;
}

static void reads(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"null", "null"},
        {" [ 1 , -2 , 3.5 , true , \"x\" ] ", "[1,-2,3.5,true,\"x\"]"},
        {"{\"a\":{\"b\":[]},\"c\":{}}", "{\"a\":{\"b\":[]},\"c\":{}}"},
        {"\"\\u00e9\\n\\t\\\"\\\\\\/\\ud83d\\ude00\\u0000\"",
         "\"\xc3\xa9\\n\\t\\\"\\\\/\xf0\x9f\x98\x80\\u0000\""},
        {"[9223372036854775807,-9223372036854775808]",
         "[9223372036854775807,-9223372036854775808]"},
        {"[9223372036854775808,1e2]", "[9.223372036854776e+18,100]"},
        {"", "f:1: json: the text is empty"},
        {"{\"a\":1,\n\"a\":2}", "f:2: key 'a' is there twice"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_string_equal(read_back(span_of(rows[i].text)), rows[i].want);
    }
}

static void refuses(void **state)
{
    static const struct {
        const char *text, *want; /* how the message begins */
    } rows[] = {
        {"[1,]", "f:1: json: "},
        {"{\"a\":1,}", "f:1: json: "},
        {"[1\n\n2]", "f:3: json: "},
        {"\n// x\n1", "f:2: json: "},
        {"NaN", "f:1: json: "},
        {"[1] 2", "f:1: json: "},
        {"\"\xff\"", "f:1: json: "},
        {"01", "f:1: json: "},
        {"'a'", "f:1: json: "},
        {"\"\\ud800\"", "f:1: json: "},
        {"\"a\nb\"", "f:1: json: "},
        {"{a:1}", "f:1: json: "},
        {"1e999", "f:1: json: "},
        {"\xef\xbb\xbf"
         "1",
         "f:1: json: "},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_true(span_starts(span_of(read_back(span_of(rows[i].text))), span_of(rows[i].want)));
    }
}

static void knows_lines(void **state)
{
    UNUSED(state);
    struct doc_node *node;
    const struct span text =
        SPAN("{\n\"a\": [1,\n \"x\"],\n\n\"b\": {\"c\\n\": true,\n\"d\": null}}");
    assert_int_equal(doc_parse_json(&arena, text, "f", &node, NULL), 0);
    assert_int_equal(doc_path(node, "a")->line, 2);
    assert_int_equal(doc_path(node, "a.1")->line, 3);
    assert_int_equal(doc_path(node, "b")->line, 5);
    assert_int_equal(doc_path(node, "b.d")->line, 6);
    assert_string_equal(doc_path(node, "b.d")->file, "f");
}

static void bounds_depth(void **state)
{
    UNUSED(state);
    char text[2 * DOC_DEPTH_MAX + 2];
    memset(text, '[', DOC_DEPTH_MAX);
    memset(text + DOC_DEPTH_MAX, ']', DOC_DEPTH_MAX);
    assert_int_equal(read_back(span_from(text, 2 * DOC_DEPTH_MAX))[0], '[');
    memset(text, '[', DOC_DEPTH_MAX + 1);
    memset(text + DOC_DEPTH_MAX + 1, ']', DOC_DEPTH_MAX + 1);
    assert_string_equal(read_back(span_from(text, sizeof(text))),
                        "f:1: lists and maps nest deeper than 64");
}

static void survives_any_cut(void **state)
{
    UNUSED(state);
    const struct span whole = SPAN("{\"a\":[1.5e3,\"\\u00e9x\",true,{\"b\":null}]}");
    for (size_t len = 0; len < whole.len; len++) {
        assert_true(span_starts(span_of(read_back(span_first(whole, len))), SPAN("f:1: json: ")));
    }
}

static int begin(void **state)
{
    UNUSED(state);
    arena_init(&arena, 4096);
    return 0;
}

static int end(void **state)
{
    UNUSED(state);
    arena_dispose(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(refuses),
        cmocka_unit_test(knows_lines),
        cmocka_unit_test(bounds_depth),
        cmocka_unit_test(survives_any_cut),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
