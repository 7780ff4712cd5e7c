#ifndef TLS_X509_H
#define TLS_X509_H
/* What a certificate says, for verification, /certs and the CLI. */
#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

struct x509_facts {
    struct span spiffe_id; /* the URI SAN, if it is the only one and a SPIFFE ID */
    struct span *uris;
    size_t uri_count;
    struct span *dns;
    size_t dns_count;
    struct span subject, issuer; /* RFC 2253 text */
    struct span serial_hex;
    int64_t not_before_s, not_after_s;
    bool ca;
    uint8_t sha256[32]; /* of the DER */
};
/* All certificates of a PEM text, in order; memory from `arena`. */
MUST_USE int x509_read(struct arena *arena, struct span pem, struct x509_facts **out, size_t *count,
                       struct err *err);
#endif
