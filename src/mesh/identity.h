#ifndef MESH_IDENTITY_H
#define MESH_IDENTITY_H
/* Workload identities: SPIFFE IDs ("The SPIFFE Identity and Verifiable Identity Document", section 2), with
 * the path that Istio gives workloads: spiffe://<trust domain>/ns/<namespace>/sa/<service account>. */
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"

#define IDENTITY_BYTES_MAX 2048 /* SPIFFE section 2.3 */

struct identity {
    struct span trust_domain;
    struct span path; /* with the leading '/'; empty when the ID names the trust domain itself */
    struct span ns;   /* empty unless the path has Istio's form */
    struct span sa;
};

/* Spans point into `text`. -ERR_PROTO when it is no SPIFFE ID: wrong scheme, characters outside the
 * letters, digits, '.', '-', '_' that SPIFFE allows (lower case in the trust domain), empty or dot segments, a
 * final '/', port, user, query or fragment. */
MUST_USE int identity_parse(struct span text, struct identity *out);
/* Appends spiffe://trust_domain/ns/ns/sa/sa; -ERR_LIMIT when `out` is full. */
MUST_USE int identity_format(struct span trust_domain, struct span ns, struct span sa,
                             struct buf *out);
/* Same trust domain and path. */
bool identity_eq(const struct identity *a, const struct identity *b);
#endif
