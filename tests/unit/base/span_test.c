/* base/span: comparing, searching, cutting, numbers. */
#include "base/span.c"

#include "unit/cm.h"

static void compares(void **state)
{
    static const struct {
        const char *a, *b;
        bool eq, eq_nocase, starts, starts_nocase, ends, ends_nocase;
        int order;
    } rows[] = {
        {"", "", true, true, true, true, true, true, 0},
        {"abc", "abc", true, true, true, true, true, true, 0},
        {"abc", "ABC", false, true, false, true, false, true, 1},
        {"abc", "ab", false, false, true, true, false, false, 1},
        {"ab", "abc", false, false, false, false, false, false, -1},
        {"Content-Type", "type", false, false, false, false, false, true, -1},
        {"abc", "", false, false, true, true, true, true, 1},
        {"@", "`", false, false, false, false, false, false, -1}, /* differ by the case bit alone */
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct span a = span_of(rows[i].a);
        struct span b = span_of(rows[i].b);
        assert_int_equal(span_eq(a, b), rows[i].eq);
        assert_int_equal(span_eq_nocase(a, b), rows[i].eq_nocase);
        assert_int_equal(span_starts(a, b), rows[i].starts);
        assert_int_equal(span_starts_nocase(a, b), rows[i].starts_nocase);
        assert_int_equal(span_ends(a, b), rows[i].ends);
        assert_int_equal(span_ends_nocase(a, b), rows[i].ends_nocase);
        int order = span_cmp(a, b);
        assert_int_equal((order > 0) - (order < 0), rows[i].order);
    }
    assert_true(span_eq(SPAN_EMPTY, SPAN("")));
}

static void searches(void **state)
{
    UNUSED(state);
    assert_int_equal(span_find_byte(SPAN("a:b:c"), ':'), 1);
    assert_int_equal(span_rfind_byte(SPAN("a:b:c"), ':'), 3);
    assert_int_equal(span_find_byte(SPAN("abc"), ':'), -1);
    assert_int_equal(span_find_byte(SPAN_EMPTY, ':'), -1);
    assert_int_equal(span_rfind_byte(SPAN_EMPTY, ':'), -1);
    assert_int_equal(span_find(SPAN("hello"), SPAN("ll")), 2);
    assert_int_equal(span_find(SPAN("hello"), SPAN("lx")), -1);
    assert_int_equal(span_find(SPAN_EMPTY, SPAN("x")), -1);
    assert_int_equal(span_find(SPAN_EMPTY, SPAN_EMPTY), 0);
}

static void cuts(void **state)
{
    UNUSED(state);
    struct span rest = SPAN("a,,b");
    assert_span(span_cut(&rest, ','), "a");
    assert_span(span_cut(&rest, ','), "");
    assert_span(span_cut(&rest, ','), "b");
    assert_null(rest.at);
    rest = SPAN("a,");
    assert_span(span_cut(&rest, ','), "a");
    assert_non_null(rest.at); /* an empty last part is still to come */
    assert_span(span_cut(&rest, ','), "");
    assert_null(rest.at);
    assert_span(span_trim(SPAN(" \t a b\t ")), "a b");
    assert_span(span_trim(SPAN(" \t")), "");
    assert_span(span_from_offset(SPAN("abc"), 2), "c");
    assert_span(span_from_offset(SPAN("abc"), 4), "");
    assert_span(span_first(SPAN("abc"), 5), "abc");
}

static void reads_numbers(void **state)
{
    static const struct {
        const char *text;
        bool is_u64, is_i64;
        uint64_t u64;
        int64_t i64;
    } rows[] = {
        {"0", true, true, 0, 0},
        {"007", true, true, 7, 7},
        {"18446744073709551615", true, false, UINT64_MAX, 0},
        {"18446744073709551616", false, false, 0, 0},
        {"9223372036854775807", true, true, INT64_MAX, INT64_MAX},
        {"9223372036854775808", true, false, 9223372036854775808U, 0},
        {"-9223372036854775808", false, true, 0, INT64_MIN},
        {"-9223372036854775809", false, false, 0, 0},
        {"-1", false, true, 0, -1},
        {"+1", false, false, 0, 0},
        {"", false, false, 0, 0},
        {"-", false, false, 0, 0},
        {" 1", false, false, 0, 0},
        {"1x", false, false, 0, 0},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t u64 = 0;
        int64_t i64 = 0;
        assert_int_equal(span_to_u64(span_of(rows[i].text), &u64), rows[i].is_u64);
        assert_int_equal(span_to_i64(span_of(rows[i].text), &i64), rows[i].is_i64);
        assert_true(!rows[i].is_u64 || u64 == rows[i].u64);
        assert_true(!rows[i].is_i64 || i64 == rows[i].i64);
    }
}

static void knows_utf8(void **state)
{
    static const struct {
        const char *text;
        size_t len;
    } rows[] = {
        {"a", 1},
        {"\xc3\xa9", 2},
        {"\xe2\x82\xac", 3},
        {"\xf0\x9f\x98\x80", 4},
        {"\xc0\x80", 0},
        {"\xc1\xbf", 0},
        {"\xe0\x80\x80", 0},
        {"\xed\xa0\x80", 0},
        {"\xf0\x80\x80\x80", 0},
        {"\xf4\x90\x80\x80", 0},
        {"\xf5\x80\x80\x80", 0},
        {"\x80", 0},
        {"\xc3", 0},
        {"\xe2\x82", 0},
        {"", 0},
        {"\xed\x9f\xbf", 3},
        {"\xf4\x8f\xbf\xbf", 4},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(span_utf8_char(span_of(rows[i].text)), rows[i].len);
    }
}

static void makes_cstr(void **state)
{
    UNUSED(state);
    char room[4];
    assert_string_equal(span_to_cstr(SPAN("ab"), room, sizeof(room)), "ab");
    assert_string_equal(span_to_cstr(SPAN("abcdef"), room, sizeof(room)), "abc");
    assert_string_equal(span_to_cstr(SPAN_EMPTY, room, sizeof(room)), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),      cmocka_unit_test(searches),   cmocka_unit_test(cuts),
        cmocka_unit_test(reads_numbers), cmocka_unit_test(knows_utf8), cmocka_unit_test(makes_cstr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
