#ifndef TLS_ISSUE_H
#define TLS_ISSUE_H
/* Making certificates: roots, intermediates, and leaves from a CSR's public key. Names come from the
 * grant, never from the CSR (SPIFFE X.509-SVID: exactly one URI SAN, key usage digitalSignature,
 * extended usage client and server auth, not a CA). */
#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "tls/keypair.h"

struct issuer; /* certificate and key that sign */
/* Chain PEM (own certificate first) and its key. */
MUST_USE int issuer_parse(struct issuer **out, struct span chain_pem, struct span key_pem,
                          struct err *err);
void issuer_free(struct issuer *issuer);

struct issue_spec {
    struct span spiffe_id;       /* URI SAN */
    const struct span *dns;      /* DNS SANs, may be none */
    size_t dns_count;
    struct span common_name;     /* may be empty */
    int64_t not_before_s, not_after_s; /* seconds since 1970; the end is cut to the issuer's */
    uint8_t serial[16];
    bool ca;                     /* an intermediate; path length 0 */
};
/* A self-signed root for `key`; appends PEM. */
MUST_USE int issue_root(const struct keypair *key, const struct issue_spec *spec, struct buf *out,
                        struct err *err);
/* A certificate for the CSR's public key, whose signature is checked; appends the leaf's PEM, not the
 * issuer's. */
MUST_USE int issue_csr(const struct issuer *issuer, struct span csr_pem, const struct issue_spec *spec,
                       struct buf *out, struct err *err);
/* As above for a key of our own. */
MUST_USE int issue_key(const struct issuer *issuer, const struct keypair *key,
                       const struct issue_spec *spec, struct buf *out, struct err *err);
#endif
