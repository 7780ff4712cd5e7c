/* ClientHello, read without taking part.
 * In: bytes peeked by downstream/sniff. Out: SNI, ALPN, version. Next: the filter chain. */
#include "tls/hello_parse.h"

enum {
    RECORD_HEADER_BYTES = 5,
    RECORD_BYTES_MAX = 16384, /* RFC 8446 section 5.1 */
    RECORD_HANDSHAKE = 22,
    CLIENT_HELLO = 1,
    EXT_SERVER_NAME = 0,
    EXT_ALPN = 16,
    EXT_SUPPORTED_VERSIONS = 43,
};

/* Reads the handshake message across record borders; `left` is what remains of the enclosing block. */
struct hello_reader {
    const uint8_t *at;
    size_t record_left;
    size_t left;
};

static unsigned u16_at(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

/* The next `n` bytes of the block, to `to` unless that is NULL. The caller of hello_parse's first pass
 * has made sure that all records of the message are there. */
static bool take(struct hello_reader *r, size_t n, void *to)
{
    if (n > r->left) {
        return false;
    }
    r->left -= n;
    uint8_t *into = to;
    while (n > 0) {
        if (r->record_left == 0) {
            r->record_left = u16_at(r->at + 3);
            r->at += RECORD_HEADER_BYTES;
        }
        size_t part = size_min(n, r->record_left);
        if (into != NULL) {
            memcpy(into, r->at, part);
            into += part;
        }
        r->at += part;
        r->record_left -= part;
        n -= part;
    }
    return true;
}

static bool take_u8(struct hello_reader *r, size_t *value)
{
    uint8_t b;
    bool ok = take(r, 1, &b);
    *value = ok ? b : 0;
    return ok;
}

static bool take_u16(struct hello_reader *r, size_t *value)
{
    uint8_t b[2];
    bool ok = take(r, 2, b);
    *value = ok ? u16_at(b) : 0;
    return ok;
}

/* A block of `len` bytes becomes a reader of its own; the outer one goes on behind it. */
static bool take_block(struct hello_reader *r, size_t len, struct hello_reader *block)
{
    *block = *r;
    block->left = len;
    return take(r, len, NULL);
}

static bool take_text(struct hello_reader *r, size_t len, struct hello *out, struct span *text)
{
    if (len > sizeof(out->text) - out->text_len) {
        return false;
    }
    char *to = out->text + out->text_len;
    if (!take(r, len, to)) {
        return false;
    }
    out->text_len += len;
    *text = span_from(to, len);
    return true;
}

/* Printable ASCII only: what comes out is compared, logged and used in names. */
static bool lower_host(struct hello *out, struct span name)
{
    char *text = out->text + (name.at - out->text);
    for (size_t i = 0; i < name.len; i++) {
        if (text[i] <= ' ' || text[i] >= 0x7f) {
            return false;
        }
        if (text[i] >= 'A' && text[i] <= 'Z') {
            text[i] = (char)(text[i] - 'A' + 'a');
        }
    }
    return true;
}

/* RFC 6066 section 3: at most one name of a type. */
static bool read_server_name(struct hello_reader r, struct hello *out)
{
    size_t list_len;
    if (out->sni.at != NULL || !take_u16(&r, &list_len) || list_len == 0 || list_len != r.left) {
        return false;
    }
    while (r.left > 0) {
        size_t type, len;
        if (!take_u8(&r, &type) || !take_u16(&r, &len) || len == 0) {
            return false;
        }
        if (type != 0) {
            if (!take(&r, len, NULL)) {
                return false;
            }
            continue;
        }
        if (out->sni.at != NULL || len > 255 || !take_text(&r, len, out, &out->sni) ||
            !lower_host(out, out->sni)) {
            return false;
        }
    }
    return true;
}

/* RFC 7301 section 3.1. */
static bool read_alpn(struct hello_reader r, struct hello *out)
{
    size_t list_len;
    if (out->alpn_count > 0 || !take_u16(&r, &list_len) || list_len == 0 || list_len != r.left) {
        return false;
    }
    while (r.left > 0) {
        size_t len;
        if (!take_u8(&r, &len) || len == 0) {
            return false;
        }
        if (out->alpn_count == HELLO_ALPN_MAX) {
            if (!take(&r, len, NULL)) {
                return false;
            }
            continue;
        }
        if (!take_text(&r, len, out, &out->alpn[out->alpn_count])) {
            return false;
        }
        out->alpn_count++;
    }
    return true;
}

/* RFC 8446 section 4.2.1. */
static bool read_versions(struct hello_reader r, struct hello *out)
{
    size_t list_len;
    if (!take_u8(&r, &list_len) || list_len < 2 || list_len % 2 != 0 || list_len != r.left) {
        return false;
    }
    out->max_version = 0;
    while (r.left > 0) {
        size_t version;
        if (!take_u16(&r, &version)) {
            return false;
        }
        if (version >= 0x0301 && version <= 0x0304 && version > out->max_version) {
            out->max_version = (uint16_t)version;
        }
    }
    return true;
}

static bool read_extensions(struct hello_reader *r, struct hello *out)
{
    size_t all;
    bool versions_seen = false;
    if (!take_u16(r, &all) || all != r->left) {
        return false;
    }
    while (r->left > 0) {
        size_t type, len;
        struct hello_reader body;
        if (!take_u16(r, &type) || !take_u16(r, &len) || !take_block(r, len, &body)) {
            return false;
        }
        bool ok = true;
        if (type == EXT_SERVER_NAME) {
            ok = read_server_name(body, out);
        } else if (type == EXT_ALPN) {
            ok = read_alpn(body, out);
        } else if (type == EXT_SUPPORTED_VERSIONS) {
            ok = !versions_seen && read_versions(body, out);
            versions_seen = true;
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* RFC 8446 section 4.1.2, after the handshake header. */
static bool read_body(struct hello_reader *r, struct hello *out)
{
    size_t version, len;
    if (!take_u16(r, &version) || version >> 8 != 3 || !take(r, 32, NULL)) {
        return false;
    }
    out->max_version = (uint16_t)size_min(version, 0x0303);
    if (!take_u8(r, &len) || len > 32 || !take(r, len, NULL)) { /* session id */
        return false;
    }
    if (!take_u16(r, &len) || len < 2 || len % 2 != 0 || !take(r, len, NULL)) { /* suites */
        return false;
    }
    if (!take_u8(r, &len) || len < 1 || !take(r, len, NULL)) { /* compression */
        return false;
    }
    return r->left == 0 || read_extensions(r, out); /* TLS 1.2 allows no extensions at all */
}

/* Walks the records until they hold `*message_len` bytes, which is learned from the first four. */
static int find_message(struct span bytes, size_t *message_len)
{
    const uint8_t *p = (const uint8_t *)bytes.at;
    size_t at = 0;
    size_t have = 0; /* handshake bytes before `at` */
    size_t want = 4; /* the header, then header and body */
    uint8_t header[4] = {0};
    for (;;) {
        size_t left = bytes.len - at;
        bool first = at == 0;
        if ((left > 0 && p[at] != RECORD_HANDSHAKE) || (left > 1 && p[at + 1] != 3)) {
            return first ? HELLO_NOT_TLS : HELLO_BAD;
        }
        if (left < RECORD_HEADER_BYTES) {
            return HELLO_MORE;
        }
        size_t len = u16_at(p + at + 3);
        if (len == 0 || len > RECORD_BYTES_MAX) {
            return HELLO_BAD;
        }
        at += RECORD_HEADER_BYTES;
        size_t there = size_min(len, bytes.len - at);
        for (size_t i = 0; i < there && have + i < 4; i++) {
            header[have + i] = p[at + i];
        }
        have += there;
        if (have > 0 && header[0] != CLIENT_HELLO) {
            return HELLO_BAD;
        }
        if (have >= 4) {
            want = 4 + ((size_t)header[1] << 16 | u16_at(header + 2));
            if (want > HELLO_BYTES_MAX) {
                return HELLO_BAD;
            }
        }
        if (have >= want && have >= 4) {
            *message_len = want;
            return 0;
        }
        at += there;
        if (there < len) {
            return HELLO_MORE;
        }
    }
}

int hello_parse(struct span bytes, struct hello *out)
{
    out->sni = SPAN_EMPTY;
    out->alpn_count = 0;
    out->max_version = 0;
    out->text_len = 0;
    size_t message_len;
    int found = find_message(span_first(bytes, HELLO_BYTES_MAX), &message_len);
    if (found == HELLO_MORE && bytes.len >= HELLO_BYTES_MAX) {
        return HELLO_BAD;
    }
    if (found != 0) {
        return found;
    }
    struct hello_reader r = {(const uint8_t *)bytes.at, 0, message_len};
    return take(&r, 4, NULL) && read_body(&r, out) ? 0 : HELLO_BAD;
}
