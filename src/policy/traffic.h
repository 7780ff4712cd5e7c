#ifndef POLICY_TRAFFIC_H
#define POLICY_TRAFFIC_H
/* What routing and authorization may look at, about one request or one opaque connection. Spans are
 * borrowed for the call. The data path fills it once per request; the CLI fills it from flags. */
#include "base/compiler.h"
#include "base/span.h"
#include "codec/header.h"
#include "codec/ip.h"

struct traffic {
    /* request; empty for opaque connections */
    struct span method;
    struct span scheme;
    struct span authority;       /* as the client sent it, port included */
    struct span path;            /* with query, normalised */
    const struct header *fields; /* lower-case names */
    size_t field_count;
    /* connection */
    struct ip direct_ip; /* the peer's address, whatever anybody tells */
    uint16_t direct_port;
    struct ip remote_ip;        /* the client as trusted x-forwarded-for tells; else direct_ip */
    const struct ip *source_ip; /* as the PROXY protocol tells; NULL = direct_ip */
    struct ip destination_ip;
    uint16_t destination_port;
    struct span sni;
    bool tls; /* the downstream connection is TLS */
    struct span
        principal; /* verified: SPIFFE ID (whole URI), else first DNS SAN or subject; else empty */
    /* for weights and fractions, uniform; drawn once per request so that a retry decides alike */
    uint64_t random;
};
#endif
