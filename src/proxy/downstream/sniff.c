/* First bytes to a protocol: see sniff.h. */
#include "proxy/downstream/sniff.h"

#define METHOD_MAX 20 /* longer words are no HTTP method that anybody uses */

static const struct span preface = {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24};

static enum sniff_kind sniff_http2(struct span bytes)
{
    size_t len = size_min(bytes.len, preface.len);
    if (memcmp(bytes.at, preface.at, len) != 0) {
        return SNIFF_OPAQUE;
    }
    return len == preface.len ? SNIFF_HTTP2 : SNIFF_MORE;
}

static bool is_method_char(char c)
{
    return (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

/* "METHOD SP target SP HTTP/1." once the line is there; before that, as long as it looks like one. */
static enum sniff_kind sniff_http1(struct span bytes)
{
    size_t i = 0;
    while (i < bytes.len && i <= METHOD_MAX && is_method_char(bytes.at[i])) {
        i++;
    }
    if (i == bytes.len && i <= METHOD_MAX) {
        return SNIFF_MORE;
    }
    if (i == 0 || i > METHOD_MAX || bytes.at[i] != ' ') {
        return SNIFF_OPAQUE;
    }
    struct span target = span_from_offset(bytes, i + 1);
    ssize_t space = span_find_byte(target, ' ');
    ssize_t line_end = span_find_byte(target, '\n');
    if (line_end >= 0 && (space < 0 || space > line_end)) {
        return SNIFF_OPAQUE;
    }
    if (space < 0) {
        return SNIFF_MORE;
    }
    struct span version = span_from_offset(target, (size_t)space + 1);
    struct span want = span_first(SPAN("HTTP/1."), version.len);
    if (!span_starts(version, want)) {
        return SNIFF_OPAQUE;
    }
    return want.len == 7 ? SNIFF_HTTP1 : SNIFF_MORE;
}

enum sniff_kind sniff(struct span bytes, struct sniff_want want, struct hello *hello)
{
    if (bytes.len == 0) {
        return want.tls || want.http ? SNIFF_MORE : SNIFF_OPAQUE;
    }
    bool full = bytes.len >= SNIFF_BYTES_MAX;
    if (want.tls) {
        switch (hello_parse(bytes, hello)) {
        case 0:
            return SNIFF_TLS;
        case HELLO_MORE:
            return full ? SNIFF_OPAQUE : SNIFF_MORE;
        default: /* bad, or not TLS: maybe HTTP */
            break;
        }
    }
    if (!want.http) {
        return SNIFF_OPAQUE;
    }
    enum sniff_kind kind = sniff_http2(bytes);
    if (kind == SNIFF_OPAQUE) {
        kind = sniff_http1(bytes);
    }
    return kind == SNIFF_MORE && full ? SNIFF_OPAQUE : kind;
}
