#ifndef TLS_X509_INT_H
#define TLS_X509_INT_H
/* mbedTLS's form of certificates, for verification, tls_ctx and issue. */
#include <mbedtls/x509_crt.h>

#include "tls/x509.h"

/* GeneralName tags (RFC 5280 section 4.2.1.6). */
enum { X509_SAN_DNS = 2, X509_SAN_URI = 6, X509_SAN_IP = 7 };

/* A chain, own certificate first: each PEM block must parse and there must be one. `chain` is initialized
 * by the caller, who also frees it when this fails. */
MUST_USE int x509_parse_chain(mbedtls_x509_crt *chain, struct span pem, struct err *err);
/* Roots, appended to `roots`: blocks that mbedTLS can not use (an unknown curve, a critical extension) are
 * counted in `skipped` and trusted by nobody; at least one must be left. */
MUST_USE int x509_parse_roots(mbedtls_x509_crt *roots, struct span pem, int *skipped,
                              struct err *err);
/* Calls: for (san = x509_san_first(crt); san != NULL; san = san->next) ... x509_san(san, &value). */
const mbedtls_x509_sequence *x509_san_first(const mbedtls_x509_crt *crt);
/* The kind (X509_SAN_x, or another tag) and the raw value, borrowed from the certificate. */
int x509_san(const mbedtls_x509_sequence *san, struct span *value);
/* The URI SAN when it is the only one and a SPIFFE ID; else empty. */
struct span x509_spiffe_id(const mbedtls_x509_crt *crt);
/* RFC 2253 text: last RDN first, "CN=web,O=acme". */
struct span x509_name_text(struct arena *arena, const mbedtls_x509_name *name);
/* Whether there is an extension with that OID (its DER content), critical or not. */
bool x509_has_extension(const mbedtls_x509_crt *crt, struct span oid);
void x509_sha256(const mbedtls_x509_crt *crt, uint8_t to[32]);
/* Seconds since 1970. */
int64_t x509_time(const mbedtls_x509_time *t);
#endif
