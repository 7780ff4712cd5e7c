/* IP addresses and prefixes, to and from text. */
#include "codec/ip.h"

#include <stdio.h>

#include "codec/hex.h"

static bool parse_v4(struct span text, uint8_t *to)
{
    for (int i = 0; i < 4; i++) {
        struct span part = text.at ? span_cut(&text, '.') : SPAN_EMPTY;
        uint64_t value;
        if (part.len > 3 || !span_to_u64(part, &value) || value > 255 ||
            (part.len > 1 && part.at[0] == '0')) {
            return false;
        }
        to[i] = (uint8_t)value;
    }
    return text.at == NULL;
}

/* One group of up to four hexadecimal digits. */
static bool parse_group(struct span part, uint8_t *to)
{
    uint64_t value;
    if (part.len > 4 || !hex_to_u64(part, &value)) {
        return false;
    }
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
    return true;
}

/* Groups up to the end or to a "::", whose place is kept in `*gap` (-1 = none yet). */
static bool parse_v6(struct span text, uint8_t *to)
{
    size_t len = 0;
    ssize_t gap = -1;
    if (span_starts(text, SPAN("::"))) {
        gap = 0;
        text = span_from_offset(text, 2);
    }
    while (text.len > 0) {
        ssize_t colon = span_find_byte(text, ':');
        struct span part = colon < 0 ? text : span_first(text, (size_t)colon);
        if (colon < 0 && len <= 12 && parse_v4(part, to + len)) {
            len += 4;
            break;
        }
        if (len > 14 || !parse_group(part, to + len)) {
            return false;
        }
        len += 2;
        if (colon < 0) {
            break;
        }
        text = span_from_offset(text, (size_t)colon + 1);
        if (text.len == 0) {
            return false; /* a single colon at the end */
        }
        if (text.at[0] == ':') {
            if (gap >= 0) {
                return false;
            }
            gap = (ssize_t)len;
            text = span_from_offset(text, 1);
        }
    }
    if (gap < 0) {
        return len == 16;
    }
    if (len > 14) {
        return false; /* "::" stands for at least one group */
    }
    size_t tail = len - (size_t)gap;
    memmove(to + 16 - tail, to + gap, tail);
    memset(to + gap, 0, 16 - len);
    return true;
}

struct ip ip_from_bytes(const void *bytes, size_t len)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    const uint8_t *at = bytes;
    struct ip ip = {.family = 0};
    if (len == 16 && memcmp(at, mapped, sizeof(mapped)) == 0) {
        at += sizeof(mapped);
        len = 4;
    }
    if (len == 4 || len == 16) {
        ip.family = len == 4 ? 4 : 6;
        memcpy(ip.bytes, at, len);
    }
    return ip;
}

int ip_parse(struct span text, struct ip *out)
{
    uint8_t bytes[16];
    if (span_find_byte(text, ':') < 0) {
        if (!parse_v4(text, bytes)) {
            return -ERR_CONFIG;
        }
        *out = ip_from_bytes(bytes, 4);
        return 0;
    }
    if (!parse_v6(text, bytes)) {
        return -ERR_CONFIG;
    }
    *out = ip_from_bytes(bytes, 16);
    return 0;
}

/* RFC 5952 section 4.2: "::" replaces the longest run of two or more zero groups, the first of equals. */
static void longest_zeros(const uint8_t *bytes, int *start, int *count)
{
    *start = -1;
    *count = 1;
    for (int i = 0, run = 0; i < 8; i++) {
        run = bytes[2 * i] == 0 && bytes[2 * i + 1] == 0 ? run + 1 : 0;
        if (run > *count) {
            *count = run;
            *start = i - run + 1;
        }
    }
}

char *ip_format(const struct ip *ip, char *to)
{
    const uint8_t *b = ip->bytes;
    to[0] = '\0';
    if (ip->family == 4) {
        (void)snprintf(to, IP_TEXT_BYTES, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
    }
    if (ip->family != 6) {
        return to;
    }
    int start;
    int count;
    size_t len = 0;
    longest_zeros(b, &start, &count);
    for (int i = 0; i < 8; i++) {
        if (i == start) {
            to[len++] = ':';
            to[len++] = ':';
            i += count - 1;
            continue;
        }
        const char *colon = i == 0 || to[len - 1] == ':' ? "" : ":";
        unsigned group = (unsigned)(b[2 * i] << 8 | b[2 * i + 1]);
        len += (size_t)snprintf(to + len, IP_TEXT_BYTES - len, "%s%x", colon, group);
    }
    to[len] = '\0';
    return to;
}

static bool starts_with_bits(const struct ip *ip, const uint8_t *prefix, unsigned bits)
{
    unsigned whole = bits / 8;
    unsigned rest = bits % 8;
    if (memcmp(ip->bytes, prefix, whole) != 0) {
        return false;
    }
    return rest == 0 || (ip->bytes[whole] ^ prefix[whole]) >> (8 - rest) == 0;
}

bool ip_is_loopback(const struct ip *ip)
{
    static const uint8_t one[16] = {[15] = 1};
    return (ip->family == 4 && ip->bytes[0] == 127) ||
           (ip->family == 6 && starts_with_bits(ip, one, 128));
}

bool ip_is_unspecified(const struct ip *ip)
{
    static const uint8_t zero[16];
    return ip->family != 0 && memcmp(ip->bytes, zero, sizeof(zero)) == 0;
}

bool ip_is_link_local(const struct ip *ip)
{
    return (ip->family == 4 && starts_with_bits(ip, (const uint8_t[]){169, 254}, 16)) ||
           (ip->family == 6 && starts_with_bits(ip, (const uint8_t[]){0xfe, 0x80}, 10));
}

int cidr_make(const struct ip *ip, unsigned bits, struct cidr *out)
{
    size_t len = ip_len(ip);
    if (len == 0 || bits > len * 8) {
        return -ERR_CONFIG;
    }
    *out = (struct cidr){.ip = *ip, .bits = (uint8_t)bits};
    for (size_t i = 0; i < len; i++) {
        size_t kept = bits > i * 8 ? size_min(bits - i * 8, 8) : 0;
        out->ip.bytes[i] &= (uint8_t)(0xff00U >> kept);
    }
    return 0;
}

int cidr_parse(struct span text, struct cidr *out)
{
    ssize_t slash = span_find_byte(text, '/');
    struct span address = slash < 0 ? text : span_first(text, (size_t)slash);
    struct ip ip;
    if (ip_parse(address, &ip) != 0) {
        return -ERR_CONFIG;
    }
    uint64_t bits = ip_len(&ip) * 8;
    if (slash >= 0) {
        struct span number = span_from_offset(text, (size_t)slash + 1);
        if (number.len > 3 || !span_to_u64(number, &bits)) {
            return -ERR_CONFIG;
        }
        /* ::ffff:10.0.0.0/104 is 10.0.0.0/8 */
        if (ip.family == 4 && span_find_byte(address, ':') >= 0) {
            if (bits < 96) {
                return -ERR_CONFIG;
            }
            bits -= 96;
        }
    }
    return cidr_make(&ip, (unsigned)bits, out);
}

bool cidr_contains(const struct cidr *c, const struct ip *ip)
{
    return c->ip.family == ip->family && ip->family != 0 &&
           starts_with_bits(ip, c->ip.bytes, c->bits);
}

char *cidr_format(const struct cidr *c, char *to)
{
    ip_format(&c->ip, to);
    size_t len = strlen(to);
    (void)snprintf(to + len, IP_TEXT_BYTES + 4 - len, "/%u", c->bits);
    return to;
}
