/* See h2_text.h. */
#include "sim/h2_text.h"

#include <nghttp2/nghttp2.h>

#include "base/buf.h"

#define TEXT_MAX (8u << 20)
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static uint32_t u32_at(const char *at)
{
    const unsigned char *b = (const unsigned char *)at;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void put_fields(struct buf *text, nghttp2_hd_inflater *inflater, struct span block)
{
    const char *gap = " ";
    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        nghttp2_ssize n =
            nghttp2_hd_inflate_hd3(inflater, &nv, &flags, (const uint8_t *)block.at, block.len, 1);
        ASSERT(n >= 0);
        block = span_from_offset(block, (size_t)n);
        if (flags & NGHTTP2_HD_INFLATE_EMIT) {
            ASSERT(buf_printf(text, "%s%.*s=%.*s", gap, (int)nv.namelen, (const char *)nv.name,
                              (int)nv.valuelen, (const char *)nv.value) == 0);
            gap = "|";
        }
        if (flags & NGHTTP2_HD_INFLATE_FINAL) {
            ASSERT(nghttp2_hd_inflate_end_headers(inflater) == 0);
            return;
        }
    }
}

static void put_frame(struct buf *text, nghttp2_hd_inflater *inflater, const char *head,
                      struct span payload)
{
    unsigned type = (unsigned char)head[3];
    const char *end = head[4] & 1 ? "e" : "";
    uint32_t id = u32_at(head + 5) & 0x7fffffff;
    int code = 0;
    switch (type) {
    case NGHTTP2_DATA:
        code = buf_printf(text, "D%u%s %.*s\n", id, end, SPAN_ARG(payload));
        break;
    case NGHTTP2_HEADERS:
        ASSERT(head[4] & NGHTTP2_FLAG_END_HEADERS);
        code = buf_printf(text, "H%u%s", id, end);
        put_fields(text, inflater, payload);
        code = code ? code : buf_append_byte(text, '\n');
        break;
    case NGHTTP2_RST_STREAM:
        code = buf_printf(text, "R%u=%u\n", id, u32_at(payload.at));
        break;
    case NGHTTP2_GOAWAY:
        code = buf_printf(text, "G=%u\n", u32_at(payload.at + 4));
        break;
    default:
        break;
    }
    ASSERT(code == 0);
}

const char *h2_text(struct arena *arena, struct span bytes)
{
    struct buf text;
    nghttp2_hd_inflater *inflater;
    buf_init(&text, TEXT_MAX);
    ASSERT(nghttp2_hd_inflate_new(&inflater) == 0);
    if (span_starts(bytes, SPAN(PREFACE))) {
        bytes = span_from_offset(bytes, sizeof(PREFACE) - 1);
    }
    while (bytes.len >= 9) {
        size_t len = u32_at(bytes.at) >> 8;
        if (bytes.len < 9 + len) {
            break;
        }
        put_frame(&text, inflater, bytes.at, span_first(span_from_offset(bytes, 9), len));
        bytes = span_from_offset(bytes, 9 + len);
    }
    nghttp2_hd_inflate_del(inflater);
    const char *result = arena_cstr(arena, buf_span(&text));
    buf_dispose(&text);
    return result;
}
