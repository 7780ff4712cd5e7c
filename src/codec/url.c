/* URLs and request targets, cut where they stand; percent escapes; path normalisation. */
#include "codec/url.h"

#include "base/err.h"
#include "codec/hex.h"

enum {
    CHAR_UNRESERVED = 1u << 0, /* RFC 3986 section 2.3 */
    CHAR_HOST = 1u << 1,       /* of a reg-name: unreserved, sub-delims, '%' */
    CHAR_TARGET = 1u << 2,     /* path and query: visible ASCII but '#', and bytes above 127 */
};

static unsigned char_class(char c)
{
    unsigned char u = (unsigned char)c;
    bool alnum = (u >= '0' && u <= '9') || (u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z');
    if (alnum || u == '-' || u == '.' || u == '_' || u == '~') {
        return CHAR_UNRESERVED | CHAR_HOST | CHAR_TARGET;
    }
    if (u <= ' ' || u == 0x7f || u == '#') {
        return 0;
    }
    return u < 0x80 && strchr("!$&'()*+,;=%", u) != NULL ? CHAR_HOST | CHAR_TARGET : CHAR_TARGET;
}

static bool all_of(struct span s, unsigned class)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((char_class(s.at[i]) & class) == 0) {
            return false;
        }
    }
    return true;
}

static bool parse_port(struct span text, uint16_t *port)
{
    uint64_t value;
    if (text.len > 5 || !span_to_u64(text, &value) || value == 0 || value > UINT16_MAX) {
        return false;
    }
    *port = (uint16_t)value;
    return true;
}

static bool is_ipv6_text(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (hex_digit(s.at[i]) < 0 && s.at[i] != ':' && s.at[i] != '.') {
            return false;
        }
    }
    return s.len >= 2;
}

int url_split_authority(struct span text, struct span *host, uint16_t *port)
{
    struct span rest;
    *port = 0;
    if (text.len > 0 && text.at[0] == '[') {
        ssize_t close = span_find_byte(text, ']');
        if (close < 0) {
            return -ERR_PROTO;
        }
        *host = span_from(text.at + 1, (size_t)close - 1);
        rest = span_from_offset(text, (size_t)close + 1);
        if (!is_ipv6_text(*host) || (rest.len > 0 && rest.at[0] != ':')) {
            return -ERR_PROTO;
        }
    } else {
        ssize_t colon = span_find_byte(text, ':');
        *host = colon < 0 ? text : span_first(text, (size_t)colon);
        rest = span_from_offset(text, host->len);
        if (host->len == 0 || !all_of(*host, CHAR_HOST)) {
            return -ERR_PROTO;
        }
    }
    return rest.len == 0 || parse_port(span_from_offset(rest, 1), port) ? 0 : -ERR_PROTO;
}

static bool is_scheme(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        char low = (char)(s.at[i] | 0x20);
        bool alpha = low >= 'a' && low <= 'z';
        bool more = (s.at[i] >= '0' && s.at[i] <= '9') || s.at[i] == '+' || s.at[i] == '-' ||
                    s.at[i] == '.';
        if (!alpha && (i == 0 || !more)) {
            return false;
        }
    }
    return s.len > 0;
}

static void split_query(struct span text, struct url *out)
{
    ssize_t mark = span_find_byte(text, '?');
    out->has_query = mark >= 0;
    out->path = mark < 0 ? text : span_first(text, (size_t)mark);
    out->query = mark < 0 ? SPAN_EMPTY : span_from_offset(text, (size_t)mark + 1);
}

static struct span before_fragment(struct span text)
{
    ssize_t hash = span_find_byte(text, '#');
    return hash < 0 ? text : span_first(text, (size_t)hash);
}

static size_t authority_len(struct span text)
{
    size_t len = 0;
    while (len < text.len && text.at[len] != '/' && text.at[len] != '?') {
        len++;
    }
    return len;
}

int url_parse(struct span text, struct url *out)
{
    *out = (struct url){.port = 0};
    text = before_fragment(text);
    ssize_t colon = span_find(text, SPAN("://"));
    if (colon < 0 || !is_scheme(span_first(text, (size_t)colon)) || !all_of(text, CHAR_TARGET)) {
        return -ERR_PROTO;
    }
    out->scheme = span_first(text, (size_t)colon);
    struct span rest = span_from_offset(text, (size_t)colon + 3);
    out->authority = span_first(rest, authority_len(rest));
    split_query(span_from_offset(rest, out->authority.len), out);
    return url_split_authority(out->authority, &out->host, &out->port);
}

uint16_t url_port(const struct url *u)
{
    static const struct {
        const char *scheme;
        uint16_t port;
    } known[] = {{"http", 80}, {"https", 443}, {"ws", 80}, {"wss", 443}};
    if (u->port != 0) {
        return u->port;
    }
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (span_eq_nocase(u->scheme, span_of(known[i].scheme))) {
            return known[i].port;
        }
    }
    return 0;
}

int url_parse_target(struct span text, bool is_connect, enum url_form *form, struct url *out)
{
    *out = (struct url){.port = 0};
    if (text.len == 0 || !all_of(text, CHAR_TARGET)) {
        return -ERR_PROTO;
    }
    if (is_connect) {
        *form = URL_AUTHORITY;
        out->authority = text;
        int failed = url_split_authority(text, &out->host, &out->port);
        return failed == 0 && out->port == 0 ? -ERR_PROTO : failed;
    }
    if (text.at[0] == '/') {
        *form = URL_ORIGIN;
        split_query(text, out);
        return 0;
    }
    if (span_is(text, "*")) {
        *form = URL_ASTERISK;
        return 0;
    }
    *form = URL_ABSOLUTE;
    return url_parse(text, out);
}

bool url_query_next(struct span *rest, struct span *name, struct span *value)
{
    while (rest->at != NULL) {
        struct span pair = span_cut(rest, '&');
        if (pair.len > 0) {
            *value = pair;
            *name = span_cut(value, '=');
            return true;
        }
    }
    return false;
}

struct span url_query_get(struct span query, struct span name)
{
    struct span found;
    struct span value;
    while (url_query_next(&query, &found, &value)) {
        if (span_eq(found, name)) {
            return value.at ? value : span_from_offset(found, found.len);
        }
    }
    return SPAN_EMPTY;
}

/* The byte that "%XX" at the start of `s` stands for, or -1. */
static int escaped_byte(struct span s)
{
    int high = s.len >= 3 ? hex_digit(s.at[1]) : -1;
    int low = s.len >= 3 ? hex_digit(s.at[2]) : -1;
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

int url_decode(struct span text, bool plus, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '%') {
            int byte = escaped_byte(span_from_offset(text, i));
            if (byte < 0) {
                return -ERR_PROTO;
            }
            c = (char)byte;
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        int failed = buf_append_byte(out, c);
        if (failed != 0) {
            return failed;
        }
    }
    return 0;
}

int url_encode(struct span text, const char *keep, struct buf *out)
{
    static const char upper[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        bool plain = (char_class(text.at[i]) & CHAR_UNRESERVED) != 0 ||
                     (c != '\0' && strchr(keep, c) != NULL);
        int failed = plain ? buf_append_byte(out, text.at[i])
                           : buf_append(out, (const char[]){'%', upper[c >> 4], upper[c & 15]}, 3);
        if (failed != 0) {
            return failed;
        }
    }
    return 0;
}

bool url_has_escaped_slash(struct span path)
{
    for (size_t i = 0; i + 2 < path.len; i++) {
        if (path.at[i] == '%') {
            int byte = escaped_byte(span_from_offset(path, i));
            if (byte == '/' || byte == '\\') {
                return true;
            }
        }
    }
    return false;
}

/* Escapes of unreserved characters are decoded (RFC 3986 section 6.2.2.2), those of slashes when asked
 * for; all others keep their form. Returns the length, or -ERR_PROTO. */
static ssize_t decode_path(struct span path, unsigned steps, char *to)
{
    size_t len = 0;
    for (size_t i = 0; i < path.len; i++) {
        char c = path.at[i];
        if (c == '%') {
            int byte = escaped_byte(span_from_offset(path, i));
            bool slash = byte == '/' || byte == '\\';
            if (byte <= 0) {
                return -ERR_PROTO;
            }
            bool decode = slash ? (steps & URL_DECODE_SLASHES) != 0
                                : (steps & URL_DOT_SEGMENTS) != 0 &&
                                      (char_class((char)byte) & CHAR_UNRESERVED) != 0;
            if (!decode) {
                memcpy(to + len, path.at + i, 3);
                len += 3;
                i += 2;
                continue;
            }
            c = (char)byte;
            i += 2;
        }
        if (c == '\\' && (steps & URL_DOT_SEGMENTS) != 0) {
            c = '/';
        }
        to[len++] = c;
    }
    return (ssize_t)len;
}

static size_t merge_slashes(char *path, size_t len)
{
    size_t kept = 0;
    for (size_t i = 0; i < len; i++) {
        if (path[i] != '/' || kept == 0 || path[kept - 1] != '/') {
            path[kept++] = path[i];
        }
    }
    return kept;
}

/* RFC 3986 section 5.2.4, in place: what is read never lies before what is written. */
static size_t remove_dot_segments(char *path, size_t len)
{
    size_t kept = 0;
    for (size_t i = 0; i < len;) {
        size_t end = i + 1;
        while (end < len && path[end] != '/') {
            end++;
        }
        struct span segment = span_from(path + i + 1, end - i - 1);
        bool up = span_is(segment, "..");
        if (up || span_is(segment, ".")) {
            while (up && kept > 0 && path[--kept] != '/') {
            }
            if (end == len) {
                path[kept++] = '/'; /* "/a/.." is "/", "/a/." is "/a/" */
            }
        } else {
            memmove(path + kept, path + i, end - i);
            kept += end - i;
        }
        i = end;
    }
    return kept;
}

ssize_t url_normalize_path(struct span path, unsigned steps, char *to)
{
    if (path.len == 0 || path.at[0] != '/') {
        return -ERR_PROTO;
    }
    ssize_t len = decode_path(path, steps, to);
    if (len > 0 && (steps & URL_MERGE_SLASHES) != 0) {
        len = (ssize_t)merge_slashes(to, (size_t)len);
    }
    if (len > 0 && (steps & URL_DOT_SEGMENTS) != 0) {
        len = (ssize_t)remove_dot_segments(to, (size_t)len);
    }
    return len;
}
