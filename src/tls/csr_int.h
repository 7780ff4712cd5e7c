#ifndef TLS_CSR_INT_H
#define TLS_CSR_INT_H
/* What issue needs of a signing request. */
#include <mbedtls/pk.h>

#include "tls/csr.h"

/* Its public key; borrowed. Not const, because mbedTLS's functions do not say so. */
mbedtls_pk_context *csr_key(struct csr *csr);
#endif
