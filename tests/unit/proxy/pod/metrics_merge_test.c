/* proxy/pod/metrics_merge: two scrapes in one text. (With a reference parser: tests/e2e/test_pod_ports.py.) */
#include "proxy/pod/metrics_merge.c"

#include "unit/cm.h"
#include "unit/guard.h"

#define OWN "# HELP a A.\n# TYPE a gauge\na 1\n"

static void test_texts(void **state)
{
    (void)state;
    static const struct {
        const char *own, *application;
        bool open;
        const char *want; /* NULL: refused */
    } cases[] = {
        {OWN, "", false, OWN},
        {OWN, "b 2", false, OWN "b 2\n"},
        {OWN, "b 2\r\n\r\nc 3\r\n", false, OWN "b 2\nc 3\n"},
        {OWN, "# TYPE a counter\n#  HELP\ta B.\n# UNIT a s\n# TYPE aa gauge\na 2\n", false,
         OWN "# UNIT a s\n# TYPE aa gauge\na 2\n"},
        {OWN, "# TYPE b gauge\nb 1\n# TYPE b gauge\nb{x=\"y\"} 2\n", false,
         OWN "# TYPE b gauge\nb 1\nb{x=\"y\"} 2\n"},
        {OWN, "# a remark\n#\n# TYPE\nb 1\n", false, OWN "# a remark\n#\n# TYPE\nb 1\n"},
        {OWN, "b 1\n# EOF\n", false, OWN "b 1\n"},
        {OWN "# EOF\n", "b 1\n# EOF\n", true, OWN "b 1\n# EOF\n"},
        {OWN "# EOF\n", "b 1\n # EOF \nc 2", true, OWN "b 1\nc 2\n# EOF\n"},
        {OWN "# EOF\n", "", true, OWN "# EOF\n"},
        {OWN, "{\"b.c\",x=\"y\"} 1 2\n", false, OWN "{\"b.c\",x=\"y\"} 1 2\n"},
        {OWN, "<html>\n", false, NULL},
        {OWN, "b 1\nb\n", false, NULL},
        {OWN, "b 1\n1 b\n", false, NULL},
        {OWN, "b 1\n{}\n", false, NULL},
        {OWN, "b 1\n\x01\n", false, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out;
        struct err err;
        buf_init(&out, 4096);
        int code =
            metrics_merge(guard_copy(0, span_of(cases[i].own)),
                          guard_copy(1, span_of(cases[i].application)), cases[i].open, &out, &err);
        if (cases[i].want == NULL) {
            assert_int_equal(code, -ERR_PROTO);
            assert_int_equal(buf_len(&out), 0);
        } else {
            assert_int_equal(code, 0);
            assert_span(buf_span(&out), cases[i].want);
        }
        buf_dispose(&out);
    }
}

static void test_no_room(void **state)
{
    (void)state;
    struct buf out;
    struct err err;
    buf_init(&out, sizeof(OWN) + 3);
    assert_int_equal(metrics_merge(SPAN(OWN), SPAN("b 1\n"), false, &out, &err), -ERR_LIMIT);
    assert_int_equal(buf_len(&out), 0);
    buf_dispose(&out);
}

static void test_truncated(void **state)
{
    (void)state;
    struct span text = SPAN("# HELP b B.\n# TYPE b counter\nb{x=\"y z\"} 1 2\n# EOF\n");
    for (size_t len = 0; len <= text.len; len++) {
        struct buf out;
        struct err err;
        buf_init(&out, 4096);
        int code =
            metrics_merge(SPAN(OWN), guard_copy(0, span_first(text, len)), len % 2, &out, &err);
        assert_true(code == 0 || (code == -ERR_PROTO && buf_len(&out) == 0));
        buf_dispose(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts), cmocka_unit_test(test_no_room),
                                       cmocka_unit_test(test_truncated)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
