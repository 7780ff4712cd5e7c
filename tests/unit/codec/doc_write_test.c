/* codec/doc: JSON and YAML out, to the letter. */
#include "codec/doc_write.c"

#include "unit/cm.h"

static struct arena arena;

static void writes_yaml_text(void **state)
{
    static const struct {
        const char *text, *want; /* as the value of `k` */
    } rows[] = {
        {"plain", "k: plain\n"},
        {"two words", "k: two words\n"},
        {"istio-system/a.b_c=d@e", "k: istio-system/a.b_c=d@e\n"},
        {"http://a:80/b", "k: http://a:80/b\n"},
        {"10.0.0.1", "k: 10.0.0.1\n"},
        {"", "k: \"\"\n"},
        {"yes", "k: \"yes\"\n"},
        {"null", "k: \"null\"\n"},
        {"5", "k: \"5\"\n"},
        {"1e3", "k: \"1e3\"\n"},
        {"0x1", "k: \"0x1\"\n"},
        {"2026-11-23", "k: \"2026-11-23\"\n"},
        {"12:30", "k: \"12:30\"\n"},
        {"a: b", "k: \"a: b\"\n"},
        {"a:", "k: \"a:\"\n"},
        {"a #b", "k: \"a #b\"\n"},
        {"-a", "k: \"-a\"\n"},
        {"*", "k: \"*\"\n"},
        {" a", "k: \" a\"\n"},
        {"a ", "k: \"a \"\n"},
        {"a\"b\\", "k: \"a\\\"b\\\\\"\n"},
        {"a\tb", "k: \"a\\tb\"\n"},
        {"\xc3\xa9", "k: \"\xc3\xa9\"\n"},
        {"a\xff", "k: \"a\xef\xbf\xbd\"\n"},
        {"a\xe2\x80\xa8\x7f", "k: \"a\\u2028\\u007f\"\n"},
        {"a\nb", "k: |-\n  a\n  b\n"},
        {"a\nb\n", "k: |\n  a\n  b\n"},
        {"a\n\n b\n\n", "k: |+\n  a\n\n   b\n\n"},
        {"\na", "k: \"\\na\"\n"},
        {" a\nb", "k: \" a\\nb\"\n"},
        {"a \nb", "k: \"a \\nb\"\n"},
        {"a\r\nb", "k: \"a\\r\\nb\"\n"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out;
        struct doc_node *map = doc_new_map(&arena);
        struct doc_node *again;
        doc_set_text(&arena, map, "k", span_of(rows[i].text));
        buf_init(&out, 1000);
        assert_int_equal(doc_write_yaml(map, &out), 0);
        assert_span(buf_span(&out), rows[i].want);
        assert_int_equal(doc_parse_yaml(&arena, buf_span(&out), NULL, &again, NULL), 0);
        bool was_utf8 = strchr(rows[i].text, '\xff') == NULL;
        assert_true(doc_eq(map, again) == was_utf8);
        buf_dispose(&out);
    }
}

static void assert_written(const char *yaml, const char *want_yaml, const char *want_json)
{
    struct doc_node *node;
    struct buf out;
    buf_init(&out, 4096);
    assert_int_equal(doc_parse_yaml(&arena, span_of(yaml), NULL, &node, NULL), 0);
    assert_int_equal(doc_write_yaml(node, &out), 0);
    assert_span(buf_span(&out), want_yaml);
    buf_reset(&out);
    assert_int_equal(doc_write_json(node, true, &out), 0);
    assert_span(buf_span(&out), want_json);
    buf_dispose(&out);
}

static void writes_structure(void **state)
{
    UNUSED(state);
    assert_written("{a: [1, {b: 2, c: [[x, y], [], {}]}], d: {e: {}}, f: null, 'g h:': true}",
                   "a:\n"
                   "- 1\n"
                   "- b: 2\n"
                   "  c:\n"
                   "  - - x\n"
                   "    - true\n"
                   "  - []\n"
                   "  - {}\n"
                   "d:\n"
                   "  e: {}\n"
                   "f: null\n"
                   "\"g h:\": true\n",
                   "{\n"
                   "  \"a\": [\n"
                   "    1,\n"
                   "    {\n"
                   "      \"b\": 2,\n"
                   "      \"c\": [\n"
                   "        [\n"
                   "          \"x\",\n"
                   "          true\n"
                   "        ],\n"
                   "        [],\n"
                   "        {}\n"
                   "      ]\n"
                   "    }\n"
                   "  ],\n"
                   "  \"d\": {\n"
                   "    \"e\": {}\n"
                   "  },\n"
                   "  \"f\": null,\n"
                   "  \"g h:\": true\n"
                   "}\n");
    assert_written("[]", "[]\n", "[]\n");
    assert_written("5", "5\n", "5\n");
}

static void writes_numbers(void **state)
{
    static const struct {
        double number;
        const char *want;
    } rows[] = {
        {0.1, "0.1"},
        {1e21, "1e+21"},
        {-0.0, "-0"},
        {100, "100"},
        {1.0 / 3, "0.3333333333333333"},
        {5e-324, "4.94065645841247e-324"},
        {INFINITY, "null"},
        {-INFINITY, "null"},
        {NAN, "null"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out;
        buf_init(&out, 100);
        assert_int_equal(doc_write_json(doc_double(&arena, rows[i].number), false, &out), 0);
        assert_span(buf_span(&out), rows[i].want);
        buf_dispose(&out);
    }
}

static void long_keys_are_explicit(void **state)
{
    UNUSED(state);
    char key[1200];
    struct buf out;
    struct doc_node *again;
    struct doc_node *inner = doc_new_map(&arena);
    struct doc_node *map = doc_new_map(&arena);
    memset(key, 'k', sizeof(key));
    doc_set_span(&arena, inner, span_from(key, sizeof(key)), doc_int(&arena, 1));
    doc_set_span(&arena, inner, span_from(key, sizeof(key) - 1), doc_dup(&arena, inner));
    doc_set(&arena, map, "m", inner);
    buf_init(&out, 65536);
    assert_int_equal(doc_write_yaml(map, &out), 0);
    assert_int_equal(doc_parse_yaml(&arena, buf_span(&out), NULL, &again, NULL), 0);
    assert_true(doc_eq(map, again));
    buf_dispose(&out);
}

static void stops_when_full(void **state)
{
    UNUSED(state);
    struct doc_node *list = doc_new_list(&arena);
    doc_list_add(&arena, list, doc_cstr(&arena, "a\tb"));
    doc_list_add(&arena, list, doc_int(&arena, 12));
    for (size_t limit = 0; limit < 11; limit++) {
        struct buf out;
        buf_init(&out, limit);
        assert_int_equal(doc_write_json(list, false, &out), limit == 11 ? 0 : -ERR_LIMIT);
        buf_release(&out);
        assert_int_equal(doc_write_yaml(list, &out), -ERR_LIMIT);
        buf_dispose(&out);
    }
}

static void writes_one_text(void **state)
{
    UNUSED(state);
    struct buf out;
    buf_init(&out, 100);
    assert_int_equal(doc_write_json_text(SPAN("a\"\n\x01/"), &out), 0);
    assert_span(buf_span(&out), "\"a\\\"\\n\\u0001/\"");
    buf_dispose(&out);
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
        cmocka_unit_test(writes_yaml_text), cmocka_unit_test(writes_structure),
        cmocka_unit_test(writes_numbers),   cmocka_unit_test(long_keys_are_explicit),
        cmocka_unit_test(stops_when_full),  cmocka_unit_test(writes_one_text),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
