/* The header of the PROXY protocol: see proxy_protocol.h. */
#include "codec/proxy_protocol.h"

#include <stdio.h>

#define V1 "PROXY "
#define V2_FIXED 16 /* signature, version and command, family, length */

/* Section 2.2. */
static const char signature[12] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

enum { COMMAND_LOCAL = 0, COMMAND_PROXY = 1 };
enum { FAMILY_UNSPEC = 0, FAMILY_INET = 1, FAMILY_INET6 = 2, FAMILY_UNIX = 3 };
enum { TRANSPORT_DGRAM = 2 };

static bool is_start_of(struct span bytes, const char *text, size_t len)
{
    return memcmp(bytes.at, text, size_min(bytes.len, len)) == 0;
}

/* ---- version 1 (section 2.1) ---- */

/* The next word; *rest begins behind the one space that ends it. */
static struct span word(struct span *rest)
{
    ssize_t space = span_find_byte(*rest, ' ');
    struct span found = space < 0 ? *rest : span_first(*rest, (size_t)space);
    *rest = space < 0 ? SPAN_EMPTY : span_from_offset(*rest, (size_t)space + 1);
    return found;
}

/* 0 to 65535 without leading zeros. */
static bool port_of(struct span text, uint16_t *out)
{
    uint32_t port = 0;
    if (text.len == 0 || text.len > 5 || (text.len > 1 && text.at[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') {
            return false;
        }
        port = port * 10 + (uint32_t)(text.at[i] - '0');
    }
    *out = (uint16_t)port;
    return port <= UINT16_MAX;
}

/* ip_parse makes IPv4 of a mapped address, which TCP6 may well tell. */
static bool ip_of(struct span text, bool v6, struct ip *out)
{
    bool has_colon = span_find_byte(text, ':') >= 0;
    return has_colon == v6 && ip_parse(text, out) == 0;
}

static bool line(struct span text, struct proxy_protocol *out)
{
    struct span family = word(&text);
    if (span_is(family, "UNKNOWN")) {
        return true; /* "the receiver must ignore anything presented before the CRLF" */
    }
    bool v6 = span_is(family, "TCP6");
    if (!v6 && !span_is(family, "TCP4")) {
        return false;
    }
    struct span source = word(&text);
    struct span destination = word(&text);
    struct span source_port = word(&text);
    if (!ip_of(source, v6, &out->source.ip) || !ip_of(destination, v6, &out->destination.ip) ||
        !port_of(source_port, &out->source.port) || !port_of(text, &out->destination.port)) {
        return false;
    }
    out->has_ends = true;
    return true;
}

static ssize_t parse_v1(struct span bytes, struct proxy_protocol *out)
{
    struct span head = span_first(bytes, PROXY_PROTOCOL_V1_MAX);
    if (bytes.len >= sizeof(V1) - 1) {
        out->version = 1;
    }
    ssize_t cr = span_find_byte(head, '\r');
    ssize_t lf = span_find_byte(head, '\n');
    if (lf >= 0 && lf != cr + 1) {
        return PROXY_PROTOCOL_BAD;
    }
    if (lf < 0) {
        bool ends_in_cr = cr >= 0 && (size_t)cr + 1 == head.len;
        bool full = head.len == PROXY_PROTOCOL_V1_MAX;
        return full || (cr >= 0 && !ends_in_cr) ? PROXY_PROTOCOL_BAD : PROXY_PROTOCOL_MORE;
    }
    if (cr < (ssize_t)sizeof(V1) - 1) {
        return PROXY_PROTOCOL_BAD;
    }
    struct span text = span_first(head, (size_t)cr);
    return line(span_from_offset(text, sizeof(V1) - 1), out) ? lf + 1 : PROXY_PROTOCOL_BAD;
}

/* ---- version 2 (section 2.2) ---- */

static uint16_t u16_at(struct span bytes, size_t at)
{
    return (uint16_t)((uint8_t)bytes.at[at] << 8 | (uint8_t)bytes.at[at + 1]);
}

static void ends(struct span block, size_t len, struct proxy_protocol *out)
{
    out->source.ip = ip_from_bytes(block.at, len);
    out->destination.ip = ip_from_bytes(block.at + len, len);
    out->source.port = u16_at(block, 2 * len);
    out->destination.port = u16_at(block, 2 * len + 2);
    out->has_ends = true;
}

/* Each TLV is a type, a length and that many bytes; together they fill the header. */
static bool are_tlvs(struct span rest)
{
    while (rest.len > 0) {
        if (rest.len < 3 || rest.len - 3 < u16_at(rest, 1)) {
            return false;
        }
        rest = span_from_offset(rest, 3 + (size_t)u16_at(rest, 1));
    }
    return true;
}

static bool is_fixed_good(struct span bytes)
{
    uint8_t command = (uint8_t)bytes.at[12];
    uint8_t family = (uint8_t)bytes.at[13];
    return (command >> 4) == 2 && (command & 15) <= COMMAND_PROXY && (family >> 4) <= FAMILY_UNIX &&
           (family & 15) <= TRANSPORT_DGRAM;
}

static ssize_t parse_v2(struct span bytes, struct proxy_protocol *out)
{
    static const size_t addr_len[] = {
        [FAMILY_UNSPEC] = 0, [FAMILY_INET] = 12, [FAMILY_INET6] = 36, [FAMILY_UNIX] = 216};
    if (bytes.len >= sizeof(signature)) {
        out->version = 2;
    }
    if (bytes.len < V2_FIXED) {
        return PROXY_PROTOCOL_MORE;
    }
    if (!is_fixed_good(bytes)) {
        return PROXY_PROTOCOL_BAD;
    }
    size_t len = u16_at(bytes, 14);
    unsigned family = (uint8_t)bytes.at[13] >> 4;
    bool is_local = (bytes.at[12] & 15) == COMMAND_LOCAL;
    if (!is_local && len < addr_len[family]) {
        return PROXY_PROTOCOL_BAD;
    }
    if (bytes.len < V2_FIXED + len) {
        return PROXY_PROTOCOL_MORE;
    }
    struct span block = span_first(span_from_offset(bytes, V2_FIXED), len);
    if (is_local || family == FAMILY_UNSPEC) {
        return (ssize_t)(V2_FIXED + len); /* the block is skipped whole, whatever is in it */
    }
    if (!are_tlvs(span_from_offset(block, addr_len[family]))) {
        return PROXY_PROTOCOL_BAD;
    }
    if (family != FAMILY_UNIX) {
        ends(block, family == FAMILY_INET ? 4 : 16, out);
    }
    return (ssize_t)(V2_FIXED + len);
}

ssize_t proxy_protocol_parse(struct span bytes, struct proxy_protocol *out)
{
    *out = (struct proxy_protocol){0};
    if (bytes.len == 0) {
        return PROXY_PROTOCOL_MORE;
    }
    if (is_start_of(bytes, signature, sizeof(signature))) {
        return parse_v2(bytes, out);
    }
    return is_start_of(bytes, V1, sizeof(V1) - 1) ? parse_v1(bytes, out) : PROXY_PROTOCOL_NONE;
}

/* ---- writing ---- */

static size_t write_v1(const struct proxy_protocol *p, bool has_ends, char *to)
{
    char line_of[PROXY_PROTOCOL_V1_MAX + 1];
    char source[IP_TEXT_BYTES];
    char destination[IP_TEXT_BYTES];
    int len = has_ends
                  ? snprintf(line_of, sizeof(line_of), "PROXY TCP%c %s %s %u %u\r\n",
                             p->source.ip.family == 6 ? '6' : '4', ip_format(&p->source.ip, source),
                             ip_format(&p->destination.ip, destination), p->source.port,
                             p->destination.port)
                  : snprintf(line_of, sizeof(line_of), "PROXY UNKNOWN\r\n");
    ASSERT(len > 0 && len <= PROXY_PROTOCOL_V1_MAX);
    memcpy(to, line_of, (size_t)len);
    return (size_t)len;
}

static char *put_u16(char *to, size_t n)
{
    to[0] = (char)(n >> 8 & 255);
    to[1] = (char)(n & 255);
    return to + 2;
}

static size_t write_v2(const struct proxy_protocol *p, bool has_ends, char *to)
{
    size_t ip = has_ends ? ip_len(&p->source.ip) : 0;
    memcpy(to, signature, sizeof(signature));
    to[12] = has_ends ? 0x21 : 0x20;
    to[13] = (char)(!has_ends ? 0 : ip == 4 ? 0x11 : 0x21);
    char *at = put_u16(to + 14, has_ends ? 2 * ip + 4 : 0);
    if (has_ends) {
        memcpy(at, p->source.ip.bytes, ip);
        memcpy(at + ip, p->destination.ip.bytes, ip);
        at = put_u16(at + 2 * ip, p->source.port);
        at = put_u16(at, p->destination.port);
    }
    return (size_t)(at - to);
}

size_t proxy_protocol_write(const struct proxy_protocol *p, char *to)
{
    bool has_ends =
        p->has_ends && p->source.ip.family != 0 && p->source.ip.family == p->destination.ip.family;
    return p->version == 2 ? write_v2(p, has_ends, to) : write_v1(p, has_ends, to);
}
