/* See frames.h. */
#include "unit/http/frames.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"

static void put(struct buf *to, const void *from, size_t len)
{
    ASSERT(buf_append(to, from, len) == 0);
}

static void put_u32(struct buf *to, uint32_t n)
{
    unsigned char b[4] = {(unsigned char)(n >> 24), (unsigned char)(n >> 16),
                          (unsigned char)(n >> 8), (unsigned char)n};
    put(to, b, 4);
}

static void put_frame(struct buf *to, unsigned type, unsigned flags, uint32_t id,
                      struct span payload)
{
    unsigned char head[5] = {(unsigned char)(payload.len >> 16), (unsigned char)(payload.len >> 8),
                             (unsigned char)payload.len, (unsigned char)type, (unsigned char)flags};
    put(to, head, 5);
    put_u32(to, id);
    put(to, payload.at, payload.len);
}

/* RFC 7541 section 5.2, without Huffman. */
static void put_string(struct buf *to, struct span s)
{
    if (s.len < 127) {
        ASSERT(buf_append_byte(to, (char)s.len) == 0);
    } else {
        size_t n = s.len - 127;
        ASSERT(buf_append_byte(to, 127) == 0);
        for (; n >= 128; n >>= 7) {
            ASSERT(buf_append_byte(to, (char)(128 | (n & 127))) == 0);
        }
        ASSERT(buf_append_byte(to, (char)n) == 0);
    }
    put(to, s.at, s.len);
}

static void put_fields(struct buf *to, struct span fields)
{
    while (fields.at) {
        struct span field = span_cut(&fields, '|');
        if (span_is(field, "Q")) {
            put_fields(to, SPAN(":method=GET|:scheme=http|:path=/|:authority=a"));
            continue;
        }
        if (field.len == 0) {
            continue;
        }
        ssize_t equals = span_find_byte(span_from_offset(field, 1), '=') + 1;
        ASSERT(equals > 0);
        ASSERT(buf_append_byte(to, 0) == 0); /* literal, not indexed, new name */
        put_string(to, span_first(field, (size_t)equals));
        put_string(to, span_from_offset(field, (size_t)equals + 1));
    }
}

static void put_body(struct buf *to, struct span text)
{
    uint64_t n;
    if (text.len > 1 && text.at[0] == '*' && span_to_u64(span_from_offset(text, 1), &n)) {
        while (n-- > 0) {
            ASSERT(buf_append_byte(to, 'x') == 0);
        }
    } else {
        put(to, text.at, text.len);
    }
}

static void put_settings(struct buf *to, struct span rest)
{
    while (rest.at) {
        uint64_t id;
        uint64_t value;
        struct span one = span_cut(&rest, '|');
        struct span name = span_cut(&one, '=');
        if (!span_to_u64(name, &id) || !span_to_u64(one, &value)) {
            continue;
        }
        unsigned char b[2] = {(unsigned char)(id >> 8), (unsigned char)id};
        put(to, b, 2);
        put_u32(to, (uint32_t)value);
    }
}

static void put_hex(struct buf *to, struct span hex)
{
    for (size_t i = 0; i + 1 < hex.len; i += 2) {
        char two[3] = {hex.at[i], hex.at[i + 1], 0};
        ASSERT(buf_append_byte(to, (char)strtoul(two, NULL, 16)) == 0);
    }
}

static uint32_t number(struct span s)
{
    uint64_t n = 0;
    return span_to_u64(s, &n) ? (uint32_t)n : 0;
}

/* "1e-" -> id, END_STREAM, and whether the head ends. */
static uint32_t read_target(struct span s, unsigned *flags, bool head)
{
    size_t digits = 0;
    while (digits < s.len && s.at[digits] >= '0' && s.at[digits] <= '9') {
        digits++;
    }
    struct span marks = span_from_offset(s, digits);
    *flags = (span_find_byte(marks, 'e') >= 0 ? 1u : 0) |
             (head && span_find_byte(marks, '-') < 0 ? 4u : 0);
    return number(span_first(s, digits));
}

static void put_other(struct buf *to, struct span target, struct buf *payload)
{
    struct span type = span_cut(&target, '.');
    struct span flags = target.at ? span_cut(&target, '.') : SPAN("0");
    put_frame(to, number(type), number(flags), target.at ? number(target) : 0, buf_span(payload));
}

static void put_one(struct buf *to, struct span one)
{
    struct buf payload;
    struct span rest = one;
    struct span target = span_cut(&rest, ' ');
    char kind = target.at[0];
    unsigned flags;
    target = span_from_offset(target, 1);
    rest = rest.at ? rest : SPAN("");
    buf_init(&payload, 1u << 24);
    switch (kind) {
    case 'M':
        put(to, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
        break;
    case 'H':
    case 'C': {
        uint32_t id = read_target(target, &flags, true);
        put_fields(&payload, rest);
        put_frame(to, kind == 'H' ? 1 : 9, flags, id, buf_span(&payload));
        break;
    }
    case 'D': {
        uint32_t id = read_target(target, &flags, false);
        put_body(&payload, rest);
        put_frame(to, 0, flags, id, buf_span(&payload));
        break;
    }
    case 'R':
        put_u32(&payload, number(rest));
        put_frame(to, 3, 0, number(target), buf_span(&payload));
        break;
    case 'S':
        put_settings(&payload, rest);
        put_frame(to, 4, span_is(target, "a") ? 1 : 0, 0, buf_span(&payload));
        break;
    case 'P':
        put_frame(to, 6, span_is(target, "a") ? 1 : 0, 0, SPAN("12345678"));
        break;
    case 'W':
        put_u32(&payload, number(rest));
        put_frame(to, 8, 0, number(target), buf_span(&payload));
        break;
    case 'G':
        put_u32(&payload, 0);
        put_u32(&payload, number(rest));
        put_frame(to, 7, 0, 0, buf_span(&payload));
        break;
    case 'Y':
        put_u32(&payload, number(rest));
        put(&payload, "\x10", 1);
        put_frame(to, 2, 0, number(target), buf_span(&payload));
        break;
    case 'X':
        put_hex(&payload, rest);
        put_other(to, target, &payload);
        break;
    default:
        ASSERT(false);
    }
    buf_dispose(&payload);
}

void frames_write(struct buf *to, const char *script)
{
    struct span rest = span_of(script);
    while (rest.at) {
        struct span one = span_cut(&rest, ';');
        if (one.len > 0) {
            put_one(to, one);
        }
    }
}

static uint32_t u32_at(const char *at)
{
    const unsigned char *b = (const unsigned char *)at;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

char *frames_read(struct span bytes, char *text, size_t room)
{
    size_t used = 0;
    text[0] = '\0';
    while (bytes.len >= 9 && room - used > 32) {
        size_t len = u32_at(bytes.at) >> 8;
        unsigned type = (unsigned char)bytes.at[3];
        unsigned flags = (unsigned char)bytes.at[4];
        uint32_t id = u32_at(bytes.at + 5) & 0x7fffffff;
        struct span payload = span_first(span_from_offset(bytes, 9), len);
        bytes = span_from_offset(bytes, 9 + len);
        const char *gap = used > 0 ? " " : "";
        const char *end = flags & 1 ? "e" : "";
        int n = 0;
        if (type <= 1) {
            n = snprintf(text + used, room - used, "%s%c%u%s", gap, type == 0 ? 'D' : 'H', id, end);
        } else if (type == 3) {
            n = snprintf(text + used, room - used, "%sR%u=%u", gap, id, u32_at(payload.at));
        } else if (type == 7) {
            n = snprintf(text + used, room - used, "%sG=%u", gap, u32_at(payload.at + 4));
        } else if (type == 6 && (flags & 1)) {
            n = snprintf(text + used, room - used, "%sPa", gap);
        }
        used += (size_t)n;
    }
    return text;
}
