/* gRPC's texts and numbers: status names, timeouts, percent-encoded messages. Pure.
 * Sources: gRPC PROTOCOL-HTTP2, "HTTP to gRPC Status Code Mapping". */
#include "base/buf.h"
#include "http/grpc.h"
#include "http/grpc_int.h"

#define TIMEOUT_DIGITS_MAX 8

const char *grpc_status_name(enum grpc_status status)
{
    static const char *const names[] = {
        [GRPC_OK] = "OK",
        [GRPC_CANCELLED] = "CANCELLED",
        [GRPC_UNKNOWN] = "UNKNOWN",
        [GRPC_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
        [GRPC_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
        [GRPC_NOT_FOUND] = "NOT_FOUND",
        [GRPC_ALREADY_EXISTS] = "ALREADY_EXISTS",
        [GRPC_PERMISSION_DENIED] = "PERMISSION_DENIED",
        [GRPC_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
        [GRPC_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
        [GRPC_ABORTED] = "ABORTED",
        [GRPC_OUT_OF_RANGE] = "OUT_OF_RANGE",
        [GRPC_UNIMPLEMENTED] = "UNIMPLEMENTED",
        [GRPC_INTERNAL] = "INTERNAL",
        [GRPC_UNAVAILABLE] = "UNAVAILABLE",
        [GRPC_DATA_LOSS] = "DATA_LOSS",
        [GRPC_UNAUTHENTICATED] = "UNAUTHENTICATED",
    };
    return (unsigned)status < ARRAY_LEN(names) ? names[status] : "UNKNOWN";
}

enum grpc_status grpc_status_of_http(unsigned http_status)
{
    switch (http_status) {
    case 400:
        return GRPC_INTERNAL;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
        return GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_UNKNOWN;
    }
}

unsigned grpc_http_of_status(enum grpc_status status)
{
    static const uint16_t rows[] = {
        [GRPC_OK] = 200,
        [GRPC_CANCELLED] = 499,
        [GRPC_UNKNOWN] = 500,
        [GRPC_INVALID_ARGUMENT] = 400,
        [GRPC_DEADLINE_EXCEEDED] = 504,
        [GRPC_NOT_FOUND] = 404,
        [GRPC_ALREADY_EXISTS] = 409,
        [GRPC_PERMISSION_DENIED] = 403,
        [GRPC_RESOURCE_EXHAUSTED] = 429,
        [GRPC_FAILED_PRECONDITION] = 400,
        [GRPC_ABORTED] = 409,
        [GRPC_OUT_OF_RANGE] = 400,
        [GRPC_UNIMPLEMENTED] = 501,
        [GRPC_INTERNAL] = 500,
        [GRPC_UNAVAILABLE] = 503,
        [GRPC_DATA_LOSS] = 500,
        [GRPC_UNAUTHENTICATED] = 401,
    };
    return (size_t)status < ARRAY_LEN(rows) ? rows[status] : 500;
}

bool grpc_is_content_type(struct span t)
{
    static const struct span grpc = {"application/grpc", 16};
    if (!span_starts_nocase(t, grpc)) {
        return false;
    }
    return t.len == grpc.len || t.at[grpc.len] == '+' || t.at[grpc.len] == ';' ||
           t.at[grpc.len] == ' ';
}

bool grpc_timeout_parse(struct span text, int64_t *ms)
{
    uint64_t n;
    if (text.len < 2 || text.len > TIMEOUT_DIGITS_MAX + 1 ||
        !span_to_u64(span_first(text, text.len - 1), &n)) {
        return false;
    }
    int64_t value = (int64_t)n;
    switch (text.at[text.len - 1]) {
    case 'H':
        value *= 3600000;
        break;
    case 'M':
        value *= 60000;
        break;
    case 'S':
        value *= 1000;
        break;
    case 'm':
        break;
    case 'u':
        value /= 1000;
        break;
    case 'n':
        value /= 1000000;
        break;
    default:
        return false;
    }
    *ms = i64_max(value, 1);
    return true;
}

struct span grpc_timeout_format(struct arena *arena, int64_t ms)
{
    static const int64_t most = 99999999; /* 8 digits */
    if (ms <= most) {
        return span_of(arena_printf(arena, "%lldm", (long long)i64_max(ms, 1)));
    }
    return span_of(arena_printf(arena, "%lldS", (long long)i64_min(ms / 1000, most)));
}

struct span grpc_message_encode(struct arena *arena, struct span text)
{
    static const char hex[] = "0123456789ABCDEF";
    char *start = arena_bytes(arena, text.len * 3 + 1);
    char *to = start;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c >= 0x20 && c <= 0x7e && c != '%') {
            *to++ = (char)c;
        } else {
            *to++ = '%';
            *to++ = hex[c >> 4];
            *to++ = hex[c & 15];
        }
    }
    return span_from(start, (size_t)(to - start));
}

static int hex_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    int low = c | 0x20;
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

struct span grpc_message_decode(struct arena *arena, struct span text)
{
    char *start = arena_bytes(arena, text.len + 1);
    char *to = start;
    for (size_t i = 0; i < text.len; i++) {
        bool escape = text.at[i] == '%' && text.len - i >= 3;
        int high = escape ? hex_of(text.at[i + 1]) : -1;
        int low = escape ? hex_of(text.at[i + 2]) : -1;
        if (high >= 0 && low >= 0) { /* a broken escape stays as it is */
            *to++ = (char)(high << 4 | low);
            i += 2;
        } else {
            *to++ = text.at[i];
        }
    }
    return span_from(start, (size_t)(to - start));
}

/* ---- frames ---- */

#define PREFIX_BYTES 5 /* compressed flag, length */

void grpc_frames_init(struct grpc_frames *f)
{
    buf_init(&f->part, GRPC_MESSAGE_MAX + PREFIX_BYTES);
    f->limit = GRPC_MESSAGE_MAX;
    f->told = false;
}

void grpc_frames_dispose(struct grpc_frames *f)
{
    buf_dispose(&f->part);
}

static enum grpc_frame read_prefix(const struct grpc_frames *f, struct span bytes, size_t *len)
{
    const unsigned char *b = (const unsigned char *)bytes.at;
    if (bytes.len < PREFIX_BYTES || !b) {
        return GRPC_FRAME_MORE;
    }
    if (b[0] == 1) {
        return GRPC_FRAME_COMPRESSED;
    }
    if (b[0] != 0) {
        return GRPC_FRAME_BAD;
    }
    *len = (size_t)b[1] << 24 | (size_t)b[2] << 16 | (size_t)b[3] << 8 | b[4];
    return *len > f->limit ? GRPC_FRAME_TOO_LARGE : GRPC_FRAME_MESSAGE;
}

/* Moves what a message lacks from `in` to the part that is kept. */
static enum grpc_frame take_part(struct grpc_frames *f, struct span *in, size_t whole)
{
    size_t n = size_min(whole - buf_len(&f->part), in->len);
    if (buf_append(&f->part, in->at, n) != 0) {
        return GRPC_FRAME_TOO_LARGE;
    }
    *in = span_from_offset(*in, n);
    return buf_len(&f->part) == whole ? GRPC_FRAME_MESSAGE : GRPC_FRAME_MORE;
}

enum grpc_frame grpc_frames_next(struct grpc_frames *f, struct span *in, struct span *message)
{
    size_t len = 0;
    if (f->told) { /* the one told last */
        f->told = false;
        buf_release(&f->part);
    }
    if (buf_len(&f->part) == 0) {
        enum grpc_frame what = read_prefix(f, *in, &len);
        if (what == GRPC_FRAME_MESSAGE && in->len - PREFIX_BYTES >= len) { /* whole: no copy */
            *message = span_first(span_from_offset(*in, PREFIX_BYTES), len);
            *in = span_from_offset(*in, PREFIX_BYTES + len);
            return GRPC_FRAME_MESSAGE;
        }
        if ((what != GRPC_FRAME_MORE && what != GRPC_FRAME_MESSAGE) || in->len == 0) {
            return what;
        }
    }
    if (buf_len(&f->part) < PREFIX_BYTES && take_part(f, in, PREFIX_BYTES) != GRPC_FRAME_MESSAGE) {
        return GRPC_FRAME_MORE;
    }
    enum grpc_frame what = read_prefix(f, buf_span(&f->part), &len);
    if (what == GRPC_FRAME_MESSAGE) {
        what = take_part(f, in, PREFIX_BYTES + len);
    }
    if (what == GRPC_FRAME_MESSAGE) {
        *message = span_from_offset(buf_span(&f->part), PREFIX_BYTES);
        f->told = true;
    }
    return what;
}

bool grpc_frames_is_empty(const struct grpc_frames *f)
{
    return f->told || buf_len(&f->part) == 0;
}
