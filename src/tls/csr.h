#ifndef TLS_CSR_H
#define TLS_CSR_H
/* Certificate signing requests (RFC 2986): written for a SPIFFE ID, and read by who signs. */
#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "tls/keypair.h"

#define CSR_BYTES_MAX 16384 /* of PEM */

/* Appends PEM. The SPIFFE ID goes into the URI SAN; the subject stays empty. */
MUST_USE int csr_write(const struct keypair *key, struct span spiffe_id, struct buf *out,
                       struct err *err);

/* A request of somebody else. -ERR_PROTO: it does not parse, is not signed by its own key, or the key is weak. */
struct csr;
MUST_USE int csr_parse(struct csr **out, struct span pem, struct err *err);
void csr_free(struct csr *csr); /* NULL is fine */
/* The URI names it asks for (extensionRequest, RFC 2985 section 5.4.2): a wish that proves nothing. At most CSR_URIS_MAX; a request with more,
 * or with one that is not well formed, does not parse. They live as long as the request. */
#define CSR_URIS_MAX 8
const struct span *csr_uris(const struct csr *csr, size_t *count);
#endif
