#ifndef CODEC_PROXY_PROTOCOL_H
#define CODEC_PROXY_PROTOCOL_H
/* The header that a load balancer puts before a connection's first byte to tell whose connection it is: version 1 (a line of
 * text) and version 2 (binary). Reading is strict: what only looks like a header is an error and never payload.
 * Source: "The PROXY protocol", versions 1 and 2, haproxy.org. */
#include "base/compiler.h"
#include "codec/ip.h"

#define PROXY_PROTOCOL_V1_MAX 107   /* with CR LF (section 2.1) */
#define PROXY_PROTOCOL_V2_MAX 65551 /* 16, and a length of 16 bits */
#define PROXY_PROTOCOL_WRITE_MAX PROXY_PROTOCOL_V1_MAX

struct proxy_protocol_end {
    struct ip ip;
    uint16_t port;
};

struct proxy_protocol {
    unsigned version; /* 1 or 2; 0 while it is not known */
    /* False: LOCAL, UNKNOWN, or a family that has no IP addresses (unix): the connection's own addresses count. */
    bool has_ends;
    struct proxy_protocol_end source, destination;
};

enum {
    PROXY_PROTOCOL_MORE = 0,
    PROXY_PROTOCOL_BAD = -1,
    PROXY_PROTOCOL_NONE = -2, /* it can not be one any more */
};
/* Bytes that the header takes, with its TLVs, which are skipped; or one of the above. `out->version` is also set for
 * MORE and BAD once it is known. */
ssize_t proxy_protocol_parse(struct span bytes, struct proxy_protocol *out);
/* Into `to` (PROXY_PROTOCOL_WRITE_MAX); the length. Without ends, or with ends of two families: UNKNOWN or LOCAL. */
size_t proxy_protocol_write(const struct proxy_protocol *p, char *to);
#endif
