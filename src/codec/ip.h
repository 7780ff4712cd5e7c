#ifndef CODEC_IP_H
#define CODEC_IP_H
/* IP addresses and prefixes. Text forms are strict: dotted quads without leading zeros (RFC 6943 section
 * 3.1.1), RFC 4291 section 2.2 for IPv6, no zone; written as RFC 5952 says. An IPv4-mapped IPv6 address
 * (::ffff:a.b.c.d) is the IPv4 address everywhere, so that policy sees one form. */
#include <string.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"

struct ip {
    uint8_t family;    /* 4, 6, or 0 = none */
    uint8_t bytes[16]; /* network order; the first 4 for IPv4, the rest then 0 */
};

struct cidr {
    struct ip ip; /* bits beyond the prefix are 0 */
    uint8_t bits;
};

#define IP_TEXT_BYTES 46

MUST_USE int ip_parse(struct span text, struct ip *out); /* 0 or -ERR_CONFIG */
/* From 4 or 16 bytes in network order; other lengths: family 0. */
struct ip ip_from_bytes(const void *bytes, size_t len);
/* Terminated text in `to` (IP_TEXT_BYTES), "" for none; returns `to`. */
char *ip_format(const struct ip *ip, char *to);
/* 4 or 16. */
static inline size_t ip_len(const struct ip *ip)
{
    return ip->family == 4 ? 4 : ip->family == 6 ? 16 : 0;
}
static inline bool ip_eq(const struct ip *a, const struct ip *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}
bool ip_is_loopback(const struct ip *ip);    /* 127.0.0.0/8, ::1 */
bool ip_is_unspecified(const struct ip *ip); /* 0.0.0.0, :: */
bool ip_is_link_local(const struct ip *ip);  /* 169.254.0.0/16, fe80::/10 */

/* "10.0.0.0/8", or a bare address for one of full length. Set bits beyond the prefix are cleared, as
 * Envoy does. */
MUST_USE int cidr_parse(struct span text, struct cidr *out);
/* From an address and a prefix length; -ERR_CONFIG when it is too long for the family. */
MUST_USE int cidr_make(const struct ip *ip, unsigned bits, struct cidr *out);
bool cidr_contains(const struct cidr *c, const struct ip *ip);
/* "10.0.0.0/8" in `to` (IP_TEXT_BYTES + 4); returns `to`. */
char *cidr_format(const struct cidr *c, char *to);
#endif
