/* codec/doc: YAML in: scalars as Kubernetes reads them, anchors and merges, limits, messages. */
#include "codec/doc_yaml.c"

#include <stdio.h>

#include "unit/cm.h"
#include "unit/guard.h"

static struct arena arena;

/* Compact JSON of all documents read, or the message. */
static const char *read_back(struct span text)
{
    static char got[4096];
    struct doc_node *node = NULL;
    struct err err = {.code = 0};
    struct buf out;
    buf_init(&out, sizeof(got) - 1);
    int failed = doc_parse_yaml_all(&arena, guard_copy(0, text), "f", &node, &err);
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

static void resolves_scalars(void **state)
{
    static const struct {
        const char *text, *want; /* one value, as JSON */
    } rows[] = {
        {"x", "\"x\""},
        {"a b", "\"a b\""},
        {"true", "true"},
        {"True", "true"},
        {"TRUE", "true"},
        {"tRue", "\"tRue\""},
        {"yes", "true"},
        {"on", "true"},
        {"y", "true"},
        {"No", "false"},
        {"off", "false"},
        {"N", "false"},
        {"'yes'", "\"yes\""},
        {"\"on\"", "\"on\""},
        {"[~, null, Null]", "[null,null,null]"},
        {"''", "\"\""},
        {"nULL", "\"nULL\""},
        {"0", "0"},
        {"-0", "0"},
        {"+7", "7"},
        {"-12", "-12"},
        {"1_000", "1000"},
        {"0644", "420"},
        {"0o644", "420"},
        {"0x1F", "31"},
        {"-0x1f", "-31"},
        {"0b101", "5"},
        {"08", "8"},
        {"0x", "\"0x\""},
        {"0xg", "\"0xg\""},
        {"1x", "\"1x\""},
        {"-", "[null]"},
        {"9223372036854775807", "9223372036854775807"},
        {"9223372036854775808", "9.223372036854776e+18"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"123456789012345678901234567890", "1.2345678901234568e+29"},
        {"1.5", "1.5"},
        {".5", "0.5"},
        {"5.", "5"},
        {"-.5", "-0.5"},
        {"1e3", "1000"},
        {"1E+3", "1000"},
        {"1.e2", "100"},
        {"1e", "\"1e\""},
        {"1e999", "\"1e999\""},
        {".", "\".\""},
        {"1.2.3", "\"1.2.3\""},
        {"10.0.0.1", "\"10.0.0.1\""},
        {"2026-11-23", "\"2026-11-23\""},
        {"2026-11-23T10:00:00Z", "\"2026-11-23T10:00:00Z\""},
        {"12:30:45", "\"12:30:45\""},
        {"1:20", "\"1:20\""},
        {"!!str 5", "\"5\""},
        {"! 5", "\"5\""},
        {"!!int '5'", "5"},
        {"!!float 5", "5"},
        {"!!bool 'true'", "true"},
        {"[!!null '']", "[null]"},
        {"|\n a\n b\n", "\"a\\nb\\n\""},
        {">-\n a\n b\n", "\"a b\""},
        {"\"\\u00e9\\x41\\n\"", "\"\xc3\xa9"
                                "A\\n\""},
        {"{a: 1, 2: b, true: c, ~: d}", "{\"a\":1,\"2\":\"b\",\"true\":\"c\",\"~\":\"d\"}"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char want[256];
        (void)snprintf(want, sizeof(want), "[%s]", rows[i].want);
        assert_string_equal(read_back(span_of(rows[i].text)), want);
    }
}

static void reads_documents(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", "[]"},
        {"# only a comment\n", "[]"},
        {"---\n---\n", "[]"},
        {"a: 1\n---\n---\n# none\n---\nb: 2\n...\n", "[{\"a\":1},{\"b\":2}]"},
        {"--- 1\n--- 2\n", "[1,2]"},
        {"{\"json\": [1, 2.5, \"x\"]}", "[{\"json\":[1,2.5,\"x\"]}]"},
        {"a: &x {k: 1}\nb: *x\n", "[{\"a\":{\"k\":1},\"b\":{\"k\":1}}]"},
        {"- &x a\n- *x\n- &x b\n- *x\n", "[[\"a\",\"a\",\"b\",\"b\"]]"},
        {"a: &x {k: 1, l: 2}\nb:\n  l: 3\n  <<: *x\n  m: 4\n",
         "[{\"a\":{\"k\":1,\"l\":2},\"b\":{\"l\":3,\"m\":4,\"k\":1}}]"},
        {"b:\n  <<: [{k: 1}, {k: 2, l: 2}]\n", "[{\"b\":{\"k\":1,\"l\":2}}]"},
        {"b:\n  <<: {k: 1}\n  '<<': 5\n", "[{\"b\":{\"<<\":5,\"k\":1}}]"},
        {"? a\n: - 1\n", "[{\"a\":[1]}]"},
        {"a:\n- b\n-\n  - c\n", "[{\"a\":[\"b\",[\"c\"]]}]"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_string_equal(read_back(span_of(rows[i].text)), rows[i].want);
    }
}

static void says_what_is_wrong(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"a: 1\nb: 2\na: 3\n", "f:3: key 'a' is there twice, first in line 1"},
        {"a: 1\n\tb: 2\n", "f:2: yaml: a tab can not indent; use blanks"},
        {"a: *x\n", "f:1: alias '*x' has no anchor"},
        {"--- &x a\n--- *x\n", "f:2: alias '*x' has no anchor"},
        {"a: &x [*x]\n", "f:1: an alias stands inside what it means"},
        {"&x a: 1\n*x : 2\n", "f:2: alias '*x' has no anchor"},
        {"b: &x a\n*x : 2\n", "f:2: an alias can not be a key"},
        {"? [a]\n: 1\n", "f:1: a list or map can not be a key"},
        {"a: .inf\n", "f:1: '.inf' and '.nan' have no place here; use a number"},
        {"a: !foo 1\n", "f:1: tag '!foo' is not supported"},
        {"a: !foo {}\n", "f:1: tag '!foo' is not supported"},
        {"a: !!binary aGk=\n", "f:1: tag 'tag:yaml.org,2002:binary' is not supported"},
        {"a: !!int x\n", "f:1: value does not fit its tag"},
        {"a:\n  <<: 5\n", "f:2: '<<' wants a map, or a list of maps"},
        {"a:\n  <<: [5]\n", "f:2: '<<' wants a map, or a list of maps"},
        {"a: [1\nb: 2\n",
         "f:2: yaml: did not find expected ',' or ']' while parsing a flow sequence"},
        {"a: \"x\n", "f:2: yaml: found unexpected end of stream while scanning a quoted scalar"},
        {"a: b\n\x01", "f:2: yaml: control characters are not allowed"},
        {"a: b\n\n\xff", "f:3: yaml: invalid leading UTF-8 octet"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_string_equal(read_back(span_of(rows[i].text)), rows[i].want);
    }
}

static void knows_lines(void **state)
{
    UNUSED(state);
    struct doc_node *node;
    const struct span text = SPAN("a:\n- x\n- y: |\n    b\n  z: 1\n");
    assert_int_equal(doc_parse_yaml(&arena, text, "f", &node, NULL), 0);
    assert_int_equal(doc_path(node, "a")->line, 2);
    assert_int_equal(doc_path(node, "a.0")->line, 2);
    assert_int_equal(doc_path(node, "a.1.y")->line, 3);
    assert_int_equal(doc_path(node, "a.1.z")->line, 5);
}

static void takes_one_document(void **state)
{
    UNUSED(state);
    struct doc_node *node;
    struct err err;
    assert_int_equal(doc_parse_yaml(&arena, SPAN("\n"), NULL, &node, &err), 0);
    assert_true(doc_is(node, DOC_NULL));
    assert_int_equal(doc_parse_yaml(&arena, SPAN("a: 1\n---\nb: 1\n"), NULL, &node, &err),
                     -ERR_CONFIG);
    assert_string_equal(err.text, "input:3: a second document; want one");
}

/* Nine in nine in nine ...: small to write, 9^12 values to read. */
static void defuses_bombs(void **state)
{
    UNUSED(state);
    struct buf text;
    buf_init(&text, 4096);
    assert_int_equal(buf_printf(&text, "a: &a [x,x,x,x,x,x,x,x,x]\n"), 0);
    for (char c = 'b'; c < 'n'; c++) {
        char p = (char)(c - 1);
        assert_int_equal(buf_printf(&text, "%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c,
                                    p, p, p, p, p, p, p, p, p),
                         0);
    }
    size_t before = arena_used(&arena);
    assert_string_equal(read_back(buf_span(&text)), "f:7: more than 2000000 values");
    assert_true(arena_used(&arena) - before < 100000);
    buf_dispose(&text);
}

static void bounds_depth_and_anchors(void **state)
{
    UNUSED(state);
    char deep[2 * DOC_DEPTH_MAX + 2];
    struct buf text;
    memset(deep, '[', DOC_DEPTH_MAX + 1);
    memset(deep + DOC_DEPTH_MAX + 1, ']', DOC_DEPTH_MAX + 1);
    assert_string_equal(read_back(span_from(deep, sizeof(deep))),
                        "f:1: more than 64 levels of lists and maps");
    assert_int_equal(read_back(span_from(deep + 1, 2 * DOC_DEPTH_MAX))[0], '[');
    /* through aliases: each line is one level deeper than the one before */
    buf_init(&text, 65536);
    assert_int_equal(buf_printf(&text, "- &a0 []\n"), 0);
    for (int i = 1; i < DOC_DEPTH_MAX + 2; i++) {
        assert_int_equal(buf_printf(&text, "- &a%d [*a%d]\n", i, i - 1), 0);
    }
    assert_string_equal(read_back(buf_span(&text)), "f:64: more than 64 levels of lists and maps");
    buf_reset(&text);
    for (int i = 0; i <= DOC_ANCHORS_MAX; i++) {
        assert_int_equal(buf_printf(&text, "- &a%d x\n", i), 0);
    }
    assert_string_equal(read_back(buf_span(&text)), "f:1001: more than 1000 anchors");
    buf_dispose(&text);
}

static void survives_any_cut(void **state)
{
    UNUSED(state);
    const struct span whole = SPAN(
        "a: &x {k: [1, \"two\\u00e9\", 'three']}\nb:\n  <<: *x\n  c: |\n    text\n--- !!str 5\n");
    for (size_t len = 0; len <= whole.len; len++) {
        (void)read_back(span_first(whole, len)); /* either is fine */
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
        cmocka_unit_test(resolves_scalars),         cmocka_unit_test(reads_documents),
        cmocka_unit_test(says_what_is_wrong),       cmocka_unit_test(knows_lines),
        cmocka_unit_test(takes_one_document),       cmocka_unit_test(defuses_bombs),
        cmocka_unit_test(bounds_depth_and_anchors), cmocka_unit_test(survives_any_cut),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
