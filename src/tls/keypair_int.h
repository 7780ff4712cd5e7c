#ifndef TLS_KEYPAIR_INT_H
#define TLS_KEYPAIR_INT_H
/* mbedTLS's form of a private key, for csr, issue and tls_ctx. */
#include <mbedtls/md.h>
#include <mbedtls/pk.h>

#include "tls/keypair.h"

/* Borrowed from `k`. Not const, because mbedTLS's signing functions do not say so. */
mbedtls_pk_context *keypair_pk(const struct keypair *k);
/* The hash that goes with the key in signatures: SHA-384 for P-384 and P-521, else SHA-256. */
mbedtls_md_type_t keypair_hash(const struct keypair *k);
#endif
