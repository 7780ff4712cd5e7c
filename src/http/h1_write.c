/* HTTP/1 messages from values to bytes.
 * In: struct head, framing. Out: bytes in the arena of the exchange. Next: h1_conn writes them. */
#include "http/h1_write.h"

#include "base/err.h"

struct span h1_write_reason(unsigned status)
{
    static const struct {
        unsigned status;
        struct span reason;
    } rows[] = {
        {200, {"OK", 2}},
        {100, {"Continue", 8}},
        {101, {"Switching Protocols", 19}},
        {103, {"Early Hints", 11}},
        {201, {"Created", 7}},
        {202, {"Accepted", 8}},
        {204, {"No Content", 10}},
        {206, {"Partial Content", 15}},
        {301, {"Moved Permanently", 17}},
        {302, {"Found", 5}},
        {303, {"See Other", 9}},
        {304, {"Not Modified", 12}},
        {307, {"Temporary Redirect", 18}},
        {308, {"Permanent Redirect", 18}},
        {400, {"Bad Request", 11}},
        {401, {"Unauthorized", 12}},
        {403, {"Forbidden", 9}},
        {404, {"Not Found", 9}},
        {405, {"Method Not Allowed", 18}},
        {408, {"Request Timeout", 15}},
        {409, {"Conflict", 8}},
        {410, {"Gone", 4}},
        {411, {"Length Required", 15}},
        {413, {"Content Too Large", 17}},
        {414, {"URI Too Long", 12}},
        {415, {"Unsupported Media Type", 22}},
        {421, {"Misdirected Request", 19}},
        {426, {"Upgrade Required", 16}},
        {429, {"Too Many Requests", 17}},
        {431, {"Request Header Fields Too Large", 31}},
        {500, {"Internal Server Error", 21}},
        {501, {"Not Implemented", 15}},
        {502, {"Bad Gateway", 11}},
        {503, {"Service Unavailable", 19}},
        {504, {"Gateway Timeout", 15}},
        {505, {"HTTP Version Not Supported", 26}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].status == status) {
            return rows[i].reason;
        }
    }
    return SPAN("Unknown");
}

static char *put(char *to, struct span s)
{
    if (s.len > 0) {
        memcpy(to, s.at, s.len);
    }
    return to + s.len;
}

static char *put_field(char *to, struct span name, struct span value)
{
    to = put(put(to, name), SPAN(": "));
    return put(put(to, value), SPAN("\r\n"));
}

/* Decimal digits; at most 20. */
static char *put_u64(char *to, uint64_t n)
{
    char digits[20];
    size_t i = sizeof(digits);
    do {
        digits[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return put(to, span_from(digits + i, sizeof(digits) - i));
}

/* Room for what put_fields writes, and for the lines made here. */
static size_t head_room(const struct head *h)
{
    size_t room =
        h->method.len + h->path.len + 2 * h->authority.len + h->reason.len + h->upgrade.len + 256;
    for (size_t i = 0; i < h->count; i++) {
        room += h->fields[i].name.len + h->fields[i].value.len + 4;
    }
    return room;
}

static char *put_fields(char *to, const struct head *h)
{
    for (size_t i = 0; i < h->count; i++) {
        to = put_field(to, h->fields[i].name, h->fields[i].value);
    }
    return to;
}

static char *put_request_line(char *to, const struct head *h)
{
    to = put(put(to, h->method), SPAN(" "));
    to = put(to, h->method_id == METHOD_CONNECT ? h->authority : h->path);
    to = put(to, SPAN(" HTTP/1.1\r\n"));
    return put_field(to, SPAN("host"), h->authority);
}

static char *put_status_line(char *to, const struct head *h)
{
    to = put(to, SPAN("HTTP/1.1 "));
    to = put(put_u64(to, h->status), SPAN(" "));
    struct span reason =
        h->reason.at && h->reason.len < 100 ? h->reason : h1_write_reason(h->status);
    return put(put(to, reason), SPAN("\r\n"));
}

/* `te` must be named in Connection (RFC 9110 section 10.1.4). */
static char *put_connection(char *to, const struct head *h, const struct h1_shape *out)
{
    bool te = out->request && h->slot[HEAD_TE] != 0;
    if (UNLIKELY(h->status == 426 && h->upgrade.len > 0)) { /* RFC 9110 section 15.5.22 */
        to = put_field(to, SPAN("upgrade"), h->upgrade);
        return put(to, out->close ? SPAN("connection: upgrade, close\r\n")
                                  : SPAN("connection: upgrade\r\n"));
    }
    if (h->upgrade.len > 0 && (out->request || h->status == 101)) {
        to = put_field(to, SPAN("upgrade"), h->upgrade);
        return put(to, te ? SPAN("connection: upgrade, te\r\n") : SPAN("connection: upgrade\r\n"));
    }
    if (out->close) {
        return put(to, te ? SPAN("connection: close, te\r\n") : SPAN("connection: close\r\n"));
    }
    if (out->keep_alive) {
        return put(to, te ? SPAN("connection: keep-alive, te\r\n")
                          : SPAN("connection: keep-alive\r\n"));
    }
    return put(to, te ? SPAN("connection: te\r\n") : SPAN_EMPTY);
}

struct span h1_write_head(struct arena *arena, const struct head *h, const struct h1_shape *out)
{
    char *start = arena_bytes(arena, head_room(h));
    char *to = out->request ? put_request_line(start, h) : put_status_line(start, h);
    to = put_fields(to, h);
    if (out->chunked) {
        to = put(to, SPAN("transfer-encoding: chunked\r\n"));
    } else if (out->length >= 0) {
        to = put(to, SPAN("content-length: "));
        to = put(put_u64(to, (uint64_t)out->length), SPAN("\r\n"));
    }
    to = put_connection(to, h, out);
    to = put(to, SPAN("\r\n"));
    return span_from(start, (size_t)(to - start));
}

struct span h1_write_trailers(struct arena *arena, const struct head *t)
{
    char *start = arena_bytes(arena, head_room(t));
    char *to = put_fields(put(start, SPAN("0\r\n")), t);
    to = put(to, SPAN("\r\n"));
    return span_from(start, (size_t)(to - start));
}

size_t h1_write_chunk_line(char *to, size_t size)
{
    char digits[16];
    size_t i = sizeof(digits);
    do {
        digits[--i] = "0123456789abcdef"[size & 15];
        size >>= 4;
    } while (size > 0);
    char *end = put(put(to, span_from(digits + i, sizeof(digits) - i)), SPAN("\r\n"));
    return (size_t)(end - to);
}
