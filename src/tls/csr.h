#ifndef TLS_CSR_H
#define TLS_CSR_H
/* Certificate signing requests (RFC 2986) for a SPIFFE ID. */
#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "tls/keypair.h"

#define CSR_BYTES_MAX 16384 /* of PEM */

/* Appends PEM. The SPIFFE ID goes into the URI SAN; the subject stays empty. */
MUST_USE int csr_write(const struct keypair *key, struct span spiffe_id, struct buf *out,
                       struct err *err);
#endif
