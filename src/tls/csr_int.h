#ifndef TLS_CSR_INT_H
#define TLS_CSR_INT_H
/* Reading a signing request, for issue. */
#include <mbedtls/pk.h>

#include "tls/csr.h"

/* The public key of a request (RFC 2986), for which `key` is initialized by the caller, who also frees it.
 * Names and attributes are not read: they come from the grant. -ERR_PROTO: it does not parse, is not signed
 * by its own key, or the key is weak. */
MUST_USE int csr_read(struct span pem, mbedtls_pk_context *key, struct err *err);
#endif
