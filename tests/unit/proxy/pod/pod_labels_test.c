/* proxy/pod/pod_labels: what the downward API writes. */
#include "proxy/pod/pod_labels.c"

#include "unit/cm.h"
#include "unit/guard.h"

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 1024);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_dispose(&arena);
    return 0;
}

/* "key=value;" for each, or "bad". */
static const char *read_all(struct span text)
{
    static char out[4096];
    struct span rest = guard_copy(0, text), key, value;
    struct err err;
    size_t len = 0;
    int code;
    out[0] = '\0';
    while ((code = pod_labels_next(&rest, &arena, &key, &value, &err)) == 1) {
        len += (size_t)snprintf(out + len, sizeof(out) - len, "%.*s=%.*s;", SPAN_ARG(key),
                                SPAN_ARG(value));
    }
    return code == 0 ? out : "bad";
}

static void test_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", ""},
        {"\n \n", ""},
        {"app=\"web\"\nversion=\"v1\"", "app=web;version=v1;"},
        {"app=\"web\"\r\n", "bad"},
        {"a.b/c-d=\"\"\n\n e = \"f\" \n", "a.b/c-d=;e=f;"},
        {"a=\"x=y\"", "a=x=y;"},
        {"a=\"\\\"\\\\\\t\\n\\x41\\u00e9\\u20ac\\U0001F600\"",
         "a=\"\\\t\nA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80;"},
        {"a=\"\\a\\b\\f\\r\\v\"", "a=\a\b\f\r\v;"},
        {"a", "bad"},
        {"=\"x\"", "bad"},
        {"a=x", "bad"},
        {"a=\"", "bad"},
        {"a=\"x", "bad"},
        {"a=x\"", "bad"},
        {"a=\"x\"y\"", "bad"},
        {"a=\"x\\\"", "bad"},
        {"a=\"\\q\"", "bad"},
        {"a=\"\\x4\"", "bad"},
        {"a=\"\\xzz\"", "bad"},
        {"a=\"\\u12\"", "bad"},
        {"a=\"\\ud800\"", "bad"},
        {"a=\"\\U00110000\"", "bad"},
        {"ok=\"1\"\nbad", "bad"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_string_equal(read_all(span_of(cases[i].text)), cases[i].want);
    }
}

static void test_truncated(void **state)
{
    (void)state;
    struct span text = SPAN("app=\"w\\u00e9b\\\\\"\nversion=\"v1\"\n");
    for (size_t len = 0; len <= text.len; len++) {
        const char *got = read_all(span_first(text, len));
        bool is_whole = len == 0 || len == 16 || len == 17 || len >= text.len - 1;
        assert_int_equal(strcmp(got, "bad") != 0, is_whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts),
                                       cmocka_unit_test(test_truncated)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
