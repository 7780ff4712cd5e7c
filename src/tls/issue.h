#ifndef TLS_ISSUE_H
#define TLS_ISSUE_H
/* Making certificates: roots, intermediates, and leaves from a CSR's public key. Names come from the
 * grant, never from the CSR (SPIFFE X.509-SVID: exactly one URI SAN, key usage digitalSignature,
 * extended usage client and server auth, not a CA). */
#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "tls/csr.h"
#include "tls/keypair.h"

#define ISSUE_NAMES_MAX 64 /* DNS SANs of one certificate */

struct issuer; /* certificate and key that sign */
/* Chain PEM (own certificate first) and its key. -ERR_CONFIG: they do not belong together, or the
 * certificate may not sign others. */
MUST_USE int issuer_parse(struct issuer **out, struct span chain_pem, struct span key_pem,
                          struct err *err);
void issuer_free(struct issuer *issuer); /* NULL is fine */
/* -ERR_CONFIG: its chain does not lead to one of these roots, now. */
MUST_USE int issuer_check_roots(const struct issuer *issuer, struct span roots_pem,
                                struct err *err);
/* When the signing certificate ends, seconds since 1970. */
int64_t issuer_not_after(const struct issuer *issuer);

struct issue_spec {
    struct span spiffe_id;  /* URI SAN; empty = none */
    const struct span *dns; /* DNS SANs, may be none */
    size_t dns_count;
    struct span common_name;           /* may be empty, but not in a CA's certificate */
    int64_t not_before_s, not_after_s; /* seconds since 1970; the end is cut to the issuer's */
    uint8_t serial[16];                /* all 0 = random; the highest bit is cleared */
    bool ca;                           /* an intermediate; path length 0 */
    bool server_only;                  /* a leaf that is good for a server's side alone */
};
/* A self-signed root for `key` (`ca` is implied, no path length); appends PEM. -ERR_CONFIG when the spec
 * makes no sense. */
MUST_USE int issue_root(const struct keypair *key, const struct issue_spec *spec, struct buf *out,
                        struct err *err);
/* A certificate for the CSR's public key, whose signature is checked; appends the leaf's PEM, not the
 * issuer's. -ERR_PROTO: the CSR does not parse, is not signed by its own key, or the key is weak. */
MUST_USE int issue_csr(const struct issuer *issuer, struct span csr_pem,
                       const struct issue_spec *spec, struct buf *out, struct err *err);
/* The same for a request that has been parsed already. */
MUST_USE int issue_request(const struct issuer *issuer, struct csr *csr,
                           const struct issue_spec *spec, struct buf *out, struct err *err);
/* As above for a key of our own. */
MUST_USE int issue_key(const struct issuer *issuer, const struct keypair *key,
                       const struct issue_spec *spec, struct buf *out, struct err *err);
#endif
