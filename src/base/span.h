#ifndef BASE_SPAN_H
#define BASE_SPAN_H
/* Borrowed bytes: a pointer and a length, not terminated, never owned. An empty span may have a NULL
 * pointer. Spans are passed by value. Text comparison is ASCII only. */
#include <string.h>

#include "base/compiler.h"

struct span {
    const char *at;
    size_t len;
};

#define SPAN(literal) ((struct span){"" literal, sizeof(literal) - 1})
/* The same for static tables, where a compound literal is not constant. */
#define SPAN_INIT(literal) {"" literal, sizeof(literal) - 1}
#define SPAN_EMPTY ((struct span){NULL, 0})
/* For printf: "%.*s", SPAN_ARG(s) */
#define SPAN_ARG(s) (int)(s).len, (s).at

static inline struct span span_of(const char *text)
{
    return (struct span){text, text ? strlen(text) : 0};
}

static inline struct span span_from(const void *at, size_t len)
{
    return (struct span){(const char *)at, len};
}

static inline bool span_eq(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool span_is(struct span a, const char *text)
{
    return span_eq(a, span_of(text));
}

/* The part from `offset` on; empty when offset is past the end. */
static inline struct span span_from_offset(struct span s, size_t offset)
{
    return offset >= s.len ? (struct span){s.at ? s.at + s.len : NULL, 0}
                           : (struct span){s.at + offset, s.len - offset};
}

static inline struct span span_first(struct span s, size_t len)
{
    return (struct span){s.at, size_min(s.len, len)};
}

bool span_eq_nocase(struct span a, struct span b);
int span_cmp(struct span a, struct span b); /* bytewise order, shorter first */
bool span_starts(struct span s, struct span prefix);
bool span_starts_nocase(struct span s, struct span prefix);
bool span_ends(struct span s, struct span suffix);
bool span_ends_nocase(struct span s, struct span suffix);
/* Index of the first such byte or text, or -1. */
ssize_t span_find_byte(struct span s, char c);
ssize_t span_rfind_byte(struct span s, char c);
ssize_t span_find(struct span s, struct span needle);
/* Without blanks and tabs at both ends (optional white space of HTTP). */
struct span span_trim(struct span s);
/* Cuts the part before the next `sep` off `*rest` and returns it; at the last part `*rest` becomes
 * a span with NULL `at`. Loop: while (rest.at) { part = span_cut(&rest, ','); ... } */
struct span span_cut(struct span *rest, char sep);
/* Whole span as a decimal number; false on anything else (sign, blank, overflow, empty). */
MUST_USE bool span_to_u64(struct span s, uint64_t *value);
/* As above with an optional '-'. */
MUST_USE bool span_to_i64(struct span s, int64_t *value);
/* Bytes of the UTF-8 character at the start (RFC 3629 section 4), or 0 when there is none. */
size_t span_utf8_char(struct span s);
/* The decimal digits of a number in `to` (SPAN_U64_BYTES), without the cost of a printf. */
#define SPAN_U64_BYTES 20
struct span span_of_u64(uint64_t value, char *to);
/* Terminated copy in `to`, cut to fit; returns `to`. For log lines and system calls. */
char *span_to_cstr(struct span s, char *to, size_t room);
#endif
