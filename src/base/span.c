/* Comparing, searching and cutting borrowed bytes. */
#include "base/span.h"

static unsigned char lower(char c)
{
    unsigned char u = (unsigned char)c;
    return u >= 'A' && u <= 'Z' ? (unsigned char)(u + ('a' - 'A')) : u;
}

static bool eq_nocase(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (lower(a[i]) != lower(b[i])) {
            return false;
        }
    }
    return true;
}

bool span_eq_nocase(struct span a, struct span b)
{
    return a.len == b.len && eq_nocase(a.at, b.at, a.len);
}

int span_cmp(struct span a, struct span b)
{
    size_t common = size_min(a.len, b.len);
    int order = common == 0 ? 0 : memcmp(a.at, b.at, common);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

bool span_starts(struct span s, struct span prefix)
{
    return s.len >= prefix.len && span_eq(span_first(s, prefix.len), prefix);
}

bool span_starts_nocase(struct span s, struct span prefix)
{
    return s.len >= prefix.len && eq_nocase(s.at, prefix.at, prefix.len);
}

bool span_ends(struct span s, struct span suffix)
{
    return s.len >= suffix.len && span_eq(span_from_offset(s, s.len - suffix.len), suffix);
}

bool span_ends_nocase(struct span s, struct span suffix)
{
    return s.len >= suffix.len && span_eq_nocase(span_from_offset(s, s.len - suffix.len), suffix);
}

ssize_t span_find_byte(struct span s, char c)
{
    const char *hit = s.len == 0 ? NULL : memchr(s.at, c, s.len);
    return hit ? hit - s.at : -1;
}

ssize_t span_rfind_byte(struct span s, char c)
{
    const char *hit = s.len == 0 ? NULL : memrchr(s.at, c, s.len);
    return hit ? hit - s.at : -1;
}

ssize_t span_find(struct span s, struct span needle)
{
    if (needle.len == 0) {
        return 0;
    }
    const char *hit = s.len == 0 ? NULL : memmem(s.at, s.len, needle.at, needle.len);
    return hit ? hit - s.at : -1;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct span span_trim(struct span s)
{
    while (s.len > 0 && is_blank(s.at[0])) {
        s.at++;
        s.len--;
    }
    while (s.len > 0 && is_blank(s.at[s.len - 1])) {
        s.len--;
    }
    return s;
}

struct span span_cut(struct span *rest, char sep)
{
    ssize_t at = span_find_byte(*rest, sep);
    struct span part = at < 0 ? *rest : span_first(*rest, (size_t)at);
    *rest = at < 0 ? SPAN_EMPTY : span_from_offset(*rest, (size_t)at + 1);
    return part;
}

bool span_to_u64(struct span s, uint64_t *value)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9' || __builtin_mul_overflow(n, 10U, &n) ||
            __builtin_add_overflow(n, (uint64_t)(s.at[i] - '0'), &n)) {
            return false;
        }
    }
    *value = n;
    return s.len > 0;
}

bool span_to_i64(struct span s, int64_t *value)
{
    bool minus = s.len > 0 && s.at[0] == '-';
    uint64_t n;
    if (!span_to_u64(span_from_offset(s, minus), &n) || n > (uint64_t)INT64_MAX + minus) {
        return false;
    }
    *value = minus ? (int64_t)(0 - n) : (int64_t)n;
    return true;
}

size_t span_utf8_char(struct span s)
{
    const unsigned char *at = (const unsigned char *)s.at;
    if (s.len == 0 || at[0] < 0x80) {
        return s.len > 0;
    }
    size_t want = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || want > s.len) {
        return 0;
    }
    for (size_t i = 1; i < want; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    bool outside = (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf4 && at[1] > 0x8f);
    return overlong || outside ? 0 : want;
}

char *span_to_cstr(struct span s, char *to, size_t room)
{
    ASSERT(room > 0);
    size_t len = size_min(s.len, room - 1);
    if (len > 0) {
        memcpy(to, s.at, len);
    }
    to[len] = '\0';
    return to;
}

struct span span_of_u64(uint64_t value, char *to)
{
    char *at = to + SPAN_U64_BYTES;
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return span_from(at, (size_t)(to + SPAN_U64_BYTES - at));
}
