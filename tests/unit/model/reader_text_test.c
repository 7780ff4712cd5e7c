/* What texts may be. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "model/reader_text.c"

static void reads_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms, short_ms;
    } cases[] = {
        {"1s", 1000, 1000},
        {"500ms", 500, 500},
        {"1.5s", 1500, -1},
        {"0.001s", 1, -1},
        {"1h30m", 5400000, 5400000},
        {"1h1m1s1ms", 3661001, 3661001},
        {"1h1h1h1h1h", 18000000, -1},
        {".5s", 500, -1},
        {"1000us", 1, -1},
        {"1000000ns", 1, -1},
        {"0", 0, -1},
        {"0s", 0, 0},
        {"+2s", 2000, -1},
        {"-2s", -2, -1},
        {"-0s", 0, -1},
        {"1us", -2, -1},
        {"0.0000001s", -2, -1},
        {"1.0000000s", 1000, -1},
        {"999999h", 3599996400000, -1},
        {"1000001h", -2, -1},
        {"99999h", 359996400000, 359996400000},
        {"99999999999999999999h", -1, -1},
        {"", -1, -1},
        {"s", -1, -1},
        {".s", -1, -1},
        {"1", -1, -1},
        {"1 s", -1, -1},
        {"1d", -1, -1},
        {"1s1", -1, -1},
        {"s1", -1, -1},
        {"-", -1, -1},
        {"1.1.1s", -1, -1},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct span text = span_of(cases[i].text);
        if (reader_text_duration(text) != cases[i].ms ||
            reader_text_short_duration(text) != cases[i].short_ms) {
            fail_msg("'%s': %lld, %lld", cases[i].text, (long long)reader_text_duration(text),
                     (long long)reader_text_short_duration(text));
        }
    }
}

static void knows_names(void **state)
{
    static const struct {
        const char *text;
        bool label, subdomain, token;
    } cases[] = {
        {"a", true, true, true},      {"a-b", true, true, true},    {"a.b", false, true, true},
        {"-a", false, false, true},   {"a-", false, false, true},   {"A", false, false, true},
        {"a_b", false, false, true},  {"", false, false, false},    {"a..b", false, false, true},
        {"a.", false, false, true},   {"a b", false, false, false}, {"9", true, true, true},
        {"a:b", false, false, false},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct span text = span_of(cases[i].text);
        assert_int_equal(reader_text_is_label(text), cases[i].label);
        assert_int_equal(reader_text_is_subdomain(text), cases[i].subdomain);
        assert_int_equal(reader_text_is_token(text), cases[i].token);
    }
    char text[254];
    memset(text, 'a', sizeof(text));
    assert_true(reader_text_is_label(span_from(text, 63)));
    assert_false(reader_text_is_label(span_from(text, 64)));
    assert_true(reader_text_is_subdomain(span_from(text, 253)));
    assert_false(reader_text_is_subdomain(span_from(text, 254)));
}

static void knows_labels(void **state)
{
    UNUSED(state);
    assert_null(reader_text_label_key_fault(SPAN("app")));
    assert_null(reader_text_label_key_fault(SPAN("app.kubernetes.io/Name_x.y")));
    assert_non_null(reader_text_label_key_fault(SPAN("")));
    assert_non_null(reader_text_label_key_fault(SPAN("a/")));
    assert_non_null(reader_text_label_key_fault(SPAN("/a")));
    assert_non_null(reader_text_label_key_fault(SPAN("a/b/c")));
    assert_non_null(reader_text_label_key_fault(SPAN("-a")));
    assert_null(reader_text_label_value_fault(SPAN("")));
    assert_null(reader_text_label_value_fault(SPAN("v1.2_x")));
    assert_non_null(reader_text_label_value_fault(SPAN("a b")));
    assert_non_null(reader_text_label_value_fault(SPAN("a.")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_durations),
        cmocka_unit_test(knows_names),
        cmocka_unit_test(knows_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
