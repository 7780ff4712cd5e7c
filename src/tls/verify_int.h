#ifndef TLS_VERIFY_INT_H
#define TLS_VERIFY_INT_H
/* Whom to believe: what comes after mbedTLS has built and checked a chain (signatures, validity, CA flags,
 * path lengths). It can only refuse more, with one exception: mbedTLS's own comparison of the host name
 * is ignored, because SNI says where to go and the `allowed` names say who may answer.
 *
 *   every certificate above the leaf: no name constraints, since mbedTLS does not apply them
 *   the leaf: not a CA and one URI SAN if it has a SPIFFE ID; key usage; extended key usage
 *   the root: in a bundle of the trust domain of the leaf's SPIFFE ID (SPIFFE X.509-SVID section 5)
 *   the names: one of `allowed`, if there are any                                                    */
#include <mbedtls/x509_crt.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"
#include "tls/tls_ctx.h"

struct verify_bundle {
    struct span trust_domain;      /* in the rules' arena */
    const mbedtls_x509_crt *first; /* in the rules' roots */
    size_t count;
};

/* Made once with a tls_ctx. */
struct verify_rules {
    struct arena arena;
    mbedtls_x509_crt roots; /* of all bundles */
    struct verify_bundle *bundles;
    size_t bundle_count;
    struct tls_san_match *allowed;
    size_t allowed_count;
    bool has_pin;
    uint8_t pin[32]; /* of the only root there is */
    bool peer_is_client;
    bool refuse_hard; /* fail the handshake ourselves: with OPTIONAL mbedTLS would go on */
};

/* What one verification finds. Spans are in `arena`. */
struct verify_result {
    const struct verify_rules *rules; /* borrowed */
    struct arena *arena;              /* borrowed */
    struct span spiffe_id, dns_san, subject;
    struct span *dns_sans; /* all; the first is dns_san */
    size_t dns_san_count;
    uint8_t sha256[32];
    struct span serial;                /* bytes */
    int64_t not_before_s, not_after_s; /* of the leaf */
    bool passed;
    bool refused;
    struct err why; /* set when refused */
    /* private */
    const mbedtls_x509_crt *top; /* while a chain is walked */
    bool top_is_pinned;
    uint32_t flags;
};

MUST_USE int verify_rules_init(struct verify_rules *rules, const struct tls_ctx_spec *spec,
                               struct err *err);
void verify_rules_dispose(struct verify_rules *rules);
/* mbedTLS's f_vrfy; `result` is a struct verify_result. Called from the root down to the leaf. */
int verify_on_cert(void *result, mbedtls_x509_crt *crt, int depth, uint32_t *flags);
#endif
