/* Dates as text. Formats are read by position: they leave no choice. */
#include "codec/date.h"

#include <stdio.h>

#include "base/err.h"
#include "base/instant.h"

static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char day_names[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

static bool civil_is_valid(const struct instant_civil *c)
{
    return c->year >= 1 && c->month >= 1 && c->month <= 12 && c->day >= 1 &&
           c->day <= month_days(c->year, c->month) && c->hour <= 23 && c->minute <= 59 &&
           c->second <= 60;
}

/* A number of exactly `digits` digits at an offset. */
static bool digits_at(struct span s, size_t offset, size_t digits, int *value)
{
    uint64_t number;
    struct span part = span_first(span_from_offset(s, offset), digits);
    bool ok = part.len == digits && span_to_u64(part, &number);
    *value = ok ? (int)number : 0;
    return ok;
}

static bool byte_at(struct span s, size_t offset, char c)
{
    return offset < s.len && s.at[offset] == c;
}

/* ".123" at the start of `*rest`, cut off; in microseconds. */
static bool cut_fraction(struct span *rest, int64_t *us)
{
    *us = 0;
    if (!byte_at(*rest, 0, '.')) {
        return true;
    }
    size_t len = 1;
    for (int64_t unit = 100000; len < rest->len; len++, unit /= 10) {
        char c = rest->at[len];
        if (c < '0' || c > '9') {
            break;
        }
        *us += unit * (c - '0');
    }
    *rest = span_from_offset(*rest, len);
    return len > 1;
}

/* "Z" or "+hh:mm", all of `s`; in seconds east. */
static bool parse_offset(struct span s, int64_t *seconds)
{
    int hour;
    int minute;
    *seconds = 0;
    if (span_eq_nocase(s, SPAN("Z"))) {
        return true;
    }
    if (s.len != 6 || (s.at[0] != '+' && s.at[0] != '-') || s.at[3] != ':' ||
        !digits_at(s, 1, 2, &hour) || !digits_at(s, 4, 2, &minute) || hour > 23 || minute > 59) {
        return false;
    }
    *seconds = (s.at[0] == '-' ? -1 : 1) * (hour * 3600 + minute * 60);
    return true;
}

int date_parse_rfc3339(struct span text, int64_t *us)
{
    struct instant_civil c = {.weekday = 0};
    int64_t fraction;
    int64_t offset;
    bool ok = digits_at(text, 0, 4, &c.year) && byte_at(text, 4, '-') &&
              digits_at(text, 5, 2, &c.month) && byte_at(text, 7, '-') &&
              digits_at(text, 8, 2, &c.day) &&
              (byte_at(text, 10, 'T') || byte_at(text, 10, 't') || byte_at(text, 10, ' ')) &&
              digits_at(text, 11, 2, &c.hour) && byte_at(text, 13, ':') &&
              digits_at(text, 14, 2, &c.minute) && byte_at(text, 16, ':') &&
              digits_at(text, 17, 2, &c.second);
    struct span rest = span_from_offset(text, 19);
    if (!ok || !civil_is_valid(&c) || !cut_fraction(&rest, &fraction) ||
        !parse_offset(rest, &offset)) {
        return -ERR_PROTO;
    }
    c.second -= c.second == 60;
    *us = (instant_from_civil(&c) - offset) * 1000000 + fraction;
    return 0;
}

/* Seconds and microseconds of a time, the latter never negative. */
static struct instant_civil split_time(int64_t us, int *fraction)
{
    int64_t seconds = us / 1000000 - (us % 1000000 < 0);
    *fraction = (int)(us - seconds * 1000000);
    return instant_to_civil(seconds);
}

size_t date_format_rfc3339(int64_t us, unsigned digits, char *to)
{
    int fraction;
    struct instant_civil c = split_time(us, &fraction);
    char part[8] = "";
    if (digits > 0) {
        (void)snprintf(part, sizeof(part), ".%06d", fraction);
        part[1 + size_min(digits, 6)] = '\0';
    }
    int len = snprintf(to, DATE_TEXT_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d%sZ", c.year, c.month,
                       c.day, c.hour, c.minute, c.second, part);
    return size_min((size_t)len, DATE_TEXT_BYTES - 1);
}

size_t date_format_http(int64_t us, char *to)
{
    int fraction;
    struct instant_civil c = split_time(us, &fraction);
    int len =
        snprintf(to, DATE_TEXT_BYTES, "%s, %02d %s %04d %02d:%02d:%02d GMT", day_names[c.weekday],
                 c.day, month_names[c.month - 1], c.year, c.hour, c.minute, c.second);
    return size_min((size_t)len, DATE_TEXT_BYTES - 1);
}

static int name_index(const char names[][4], size_t count, struct span name)
{
    for (size_t i = 0; i < count; i++) {
        if (span_is(name, names[i])) {
            return (int)i;
        }
    }
    return -1;
}

int date_parse_http(struct span text, int64_t *us)
{
    struct instant_civil c = {.weekday = 0};
    if (text.len != 29 || !span_eq(span_from_offset(text, 25), SPAN(" GMT"))) {
        return -ERR_PROTO;
    }
    c.weekday = name_index(day_names, 7, span_first(text, 3));
    c.month = name_index(month_names, 12, span_from(text.at + 8, 3)) + 1;
    bool ok = c.weekday >= 0 && byte_at(text, 3, ',') && byte_at(text, 4, ' ') &&
              digits_at(text, 5, 2, &c.day) && byte_at(text, 7, ' ') && byte_at(text, 11, ' ') &&
              digits_at(text, 12, 4, &c.year) && byte_at(text, 16, ' ') &&
              digits_at(text, 17, 2, &c.hour) && byte_at(text, 19, ':') &&
              digits_at(text, 20, 2, &c.minute) && byte_at(text, 22, ':') &&
              digits_at(text, 23, 2, &c.second);
    if (!ok || !civil_is_valid(&c)) {
        return -ERR_PROTO;
    }
    c.second -= c.second == 60;
    *us = instant_from_civil(&c) * 1000000;
    return 0;
}

static int year_day(const struct instant_civil *c)
{
    struct instant_civil first = {.year = c->year, .month = 1, .day = 1};
    struct instant_civil today = {.year = c->year, .month = c->month, .day = c->day};
    return (int)((instant_from_civil(&today) - instant_from_civil(&first)) / 86400) + 1;
}

static int put_fraction(struct buf *out, int fraction, unsigned digits)
{
    char text[16];
    (void)snprintf(text, sizeof(text), "%06d000", fraction);
    return buf_append(out, text, digits);
}

static int put_seconds(struct buf *out, const struct instant_civil *c, int fraction,
                       unsigned digits)
{
    int failed = buf_printf(out, "%02d.", c->second);
    return failed ? failed : put_fraction(out, fraction, digits);
}

static int put_field(struct buf *out, char field, int64_t us)
{
    int fraction;
    struct instant_civil c = split_time(us, &fraction);
    switch (field) {
    case 'Y':
        return buf_printf(out, "%04d", c.year);
    case 'y':
        return buf_printf(out, "%02d", c.year % 100);
    case 'm':
        return buf_printf(out, "%02d", c.month);
    case 'd':
        return buf_printf(out, "%02d", c.day);
    case 'e':
        return buf_printf(out, "%2d", c.day);
    case 'j':
        return buf_printf(out, "%03d", year_day(&c));
    case 'H':
        return buf_printf(out, "%02d", c.hour);
    case 'M':
        return buf_printf(out, "%02d", c.minute);
    case 'S':
        return buf_printf(out, "%02d", c.second);
    case 'a':
        return buf_printf(out, "%s", day_names[c.weekday]);
    case 'b':
        return buf_printf(out, "%s", month_names[c.month - 1]);
    case 'F':
        return buf_printf(out, "%04d-%02d-%02d", c.year, c.month, c.day);
    case 'T':
        return buf_printf(out, "%02d:%02d:%02d", c.hour, c.minute, c.second);
    case 'Z':
        return buf_printf(out, "UTC");
    case 'z':
        return buf_printf(out, "+0000");
    case 's':
        return buf_printf(out, "%lld", (long long)((us - fraction) / 1000000));
    case 'f':
        return put_fraction(out, fraction, 9);
    case '%':
        return buf_append_byte(out, '%');
    default:
        return -ERR_CONFIG;
    }
}

/* One directive, whose '%' is cut off already. */
static int put_directive(struct buf *out, struct span *rest, int64_t us)
{
    int fraction;
    struct instant_civil c = split_time(us, &fraction);
    struct span at = *rest;
    if (span_starts(at, SPAN("E3S")) || span_starts(at, SPAN("E6S"))) {
        *rest = span_from_offset(at, 3);
        return put_seconds(out, &c, fraction, (unsigned)(at.at[1] - '0'));
    }
    if (at.len >= 2 && at.at[0] >= '1' && at.at[0] <= '9' && at.at[1] == 'f') {
        *rest = span_from_offset(at, 2);
        return put_fraction(out, fraction, (unsigned)(at.at[0] - '0'));
    }
    *rest = span_from_offset(at, 1);
    return at.len > 0 ? put_field(out, at.at[0], us) : -ERR_CONFIG;
}

int date_format(int64_t us, struct span format, struct buf *out)
{
    int failed = 0;
    while (format.len > 0 && failed == 0) {
        char c = format.at[0];
        format = span_from_offset(format, 1);
        failed = c == '%' ? put_directive(out, &format, us) : buf_append_byte(out, c);
    }
    return failed;
}
