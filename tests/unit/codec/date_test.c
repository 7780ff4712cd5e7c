/* codec/date: the text forms, to and from. */
#include "codec/date.c"

#include "unit/cm.h"
#include "unit/guard.h"

#define NOW 1795430777123456 /* 2026-11-23T10:46:17.123456Z */

static void reads_rfc3339(void **state)
{
    static const struct {
        const char *text;
        int64_t us; /* -1: refused */
    } rows[] = {
        {"2026-11-23T10:46:17.123456Z", NOW},
        {"2026-11-23T10:46:17.123456789Z", NOW},
        {"2026-11-23t10:46:17.123456z", NOW},
        {"2026-11-23 10:46:17.123456Z", NOW},
        {"2026-11-23T11:46:17.123456+01:00", NOW},
        {"2026-11-23T05:16:17.123456-05:30", NOW},
        {"2026-11-23T10:46:17.1Z", NOW - 23456},
        {"2026-11-23T10:46:17Z", NOW - 123456},
        {"1970-01-01T00:00:00Z", 0},
        {"2016-12-31T23:59:60Z", 1483228799000000},
        {"2024-02-29T00:00:00Z", 1709164800000000},
        {"2023-02-29T00:00:00Z", -1},
        {"1900-02-29T00:00:00Z", -1},
        {"2026-13-01T00:00:00Z", -1},
        {"2026-00-01T00:00:00Z", -1},
        {"2026-01-32T00:00:00Z", -1},
        {"2026-01-00T00:00:00Z", -1},
        {"2026-04-31T00:00:00Z", -1},
        {"2026-01-01T24:00:00Z", -1},
        {"2026-01-01T00:60:00Z", -1},
        {"2026-01-01T00:00:61Z", -1},
        {"0000-01-01T00:00:00Z", -1},
        {"2026-01-01T00:00:00", -1},
        {"2026-01-01T00:00:00.Z", -1},
        {"2026-01-01T00:00:00+0100", -1},
        {"2026-01-01T00:00:00+24:00", -1},
        {"2026-01-01T00:00:00Zx", -1},
        {"2026-01-01", -1},
        {"26-01-01T00:00:00Z", -1},
        {"", -1},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t us = -1;
        int failed = date_parse_rfc3339(guard_copy(0, span_of(rows[i].text)), &us);
        assert_int_equal(failed, rows[i].us == -1 ? -ERR_PROTO : 0);
        assert_true(us == rows[i].us);
    }
}

static void reads_http_dates(void **state)
{
    static const struct {
        const char *text;
        int64_t s; /* -1: refused */
    } rows[] = {
        {"Mon, 23 Nov 2026 10:46:17 GMT", NOW / 1000000},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777}, /* RFC 9110's own */
        {"Sunday, 06-Nov-94 08:49:37 GMT", -1},
        {"Sun Nov  6 08:49:37 1994", -1},
        {"Sun, 6 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 08:49:37 UTC", -1},
        {"Xxx, 06 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Xxx 1994 08:49:37 GMT", -1},
        {"Sun, 31 Nov 1994 08:49:37 GMT", -1},
        {"", -1},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t us = -1000000;
        int failed = date_parse_http(guard_copy(0, span_of(rows[i].text)), &us);
        assert_int_equal(failed, rows[i].s == -1 ? -ERR_PROTO : 0);
        assert_true(us == rows[i].s * 1000000);
    }
}

static void writes(void **state)
{
    UNUSED(state);
    char text[DATE_TEXT_BYTES];
    assert_int_equal(date_format_rfc3339(NOW, 0, text), 20);
    assert_string_equal(text, "2026-11-23T10:46:17Z");
    (void)date_format_rfc3339(NOW, 3, text);
    assert_string_equal(text, "2026-11-23T10:46:17.123Z");
    (void)date_format_rfc3339(NOW, 6, text);
    assert_string_equal(text, "2026-11-23T10:46:17.123456Z");
    (void)date_format_rfc3339(-1, 6, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999999Z");
    assert_int_equal(date_format_http(NOW, text), 29);
    assert_string_equal(text, "Mon, 23 Nov 2026 10:46:17 GMT");
}

static void follows_formats(void **state)
{
    static const struct {
        const char *format;
        const char *want; /* NULL: refused */
    } rows[] = {
        {"%Y-%m-%dT%H:%M:%E3SZ", "2026-11-23T10:46:17.123Z"},
        {"%F %T", "2026-11-23 10:46:17"},
        {"%E6S %f %1f %3f %9f", "17.123456 123456000 1 123 123456000"},
        {"%s", "1795430777"},
        {"%a %b %e %y %j %Z %z %%", "Mon Nov 23 26 327 UTC +0000 %"},
        {"plain", "plain"},
        {"", ""},
        {"%", NULL},
        {"%Q", NULL},
        {"%0f", NULL},
        {"%E4S", NULL},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out;
        buf_init(&out, 100);
        int failed = date_format(NOW, guard_copy(0, span_of(rows[i].format)), &out);
        assert_int_equal(failed, rows[i].want ? 0 : -ERR_CONFIG);
        if (failed == 0) {
            assert_span(buf_span(&out), rows[i].want);
        }
        buf_dispose(&out);
    }
    struct buf small;
    buf_init(&small, 3);
    assert_int_equal(date_format(NOW, SPAN("%Y"), &small), -ERR_LIMIT);
    buf_dispose(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_rfc3339),
        cmocka_unit_test(reads_http_dates),
        cmocka_unit_test(writes),
        cmocka_unit_test(follows_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
