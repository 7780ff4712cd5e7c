#ifndef CA_GRANT_H
#define CA_GRANT_H
/* What is given to somebody who has proven who he is. Pure. Any thread.
 * In: csr_service. Out: what tls/issue and the ledger need. */
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"
#include "mesh/identity.h"

#define GRANT_BACKDATE_S 120 /* for clocks that are behind; as Istio's clockSkewGracePeriod */
#define GRANT_LIFE_MIN_S 1

/* The name a request asks for, if any: `wanted` has empty spans when it asks for none. -ERR_DENIED: it asks for several names, for none of ours,
 * or for what is nobody's to ask (`reserved`, the SPIFFE ID of our own servers). */
MUST_USE int grant_read_wish(const struct span *uris, size_t count, struct span trust_domain,
                             struct span reserved, struct identity *wanted, struct err *err);

struct grant_rules {
    struct span trust_domain;
    struct span reserved;
    int64_t life_s, life_max_s;
};

struct grant {
    char spiffe_id[IDENTITY_BYTES_MAX + 1];
    int64_t not_before_s, not_after_s;
    uint8_t serial[16];
    char serial_hex[33]; /* as in the certificate: no leading zero bytes */
};

/* `ns`, `sa`: what was proven; sa "*" leaves it to the request. `validity_s` is what was asked for: 0 or less is the usual life, more than the most
 * becomes the most.
 * Istio's CA takes the caller's identity and does not look at the names in the request (security/pkg/server/ca/server.go, CreateCertificate:
 * SubjectIDs = caller.Identities), so that a misconfigured proxy gets a certificate with another name than it thinks and fails later, elsewhere. Here
 * a request for another name is refused: -ERR_DENIED, saying both. */
MUST_USE int grant_make(const struct grant_rules *rules, struct span ns, struct span sa,
                        const struct identity *wanted, int64_t validity_s, struct grant *out,
                        struct err *err);
#endif
