/* Certificate signing requests. */
#include "tls/csr.h"

#include <mbedtls/x509_csr.h>

#include "base/mem.h"
#include "mesh/identity.h"
#include "tls/keypair_int.h"
#include "tls/tls_int.h"

enum { CSR_TEXT_BYTES = 8192 }; /* RSA of 4,096 bits and the longest SPIFFE ID take 5,300 */

static int write_pem(mbedtls_x509write_csr *csr, const struct keypair *key, char *id, size_t id_len,
                     unsigned char *text)
{
    mbedtls_x509_san_list san = {
        .node = {.type = MBEDTLS_X509_SAN_UNIFORM_RESOURCE_IDENTIFIER,
                 .san.unstructured_name = {.tag = MBEDTLS_ASN1_IA5_STRING,
                                           .len = id_len,
                                           .p = (unsigned char *)id}},
    };
    mbedtls_x509write_csr_set_key(csr, keypair_pk(key));
    mbedtls_x509write_csr_set_md_alg(csr, keypair_hash(key));
    int rc = mbedtls_x509write_csr_set_subject_name(csr, "");
    if (rc == 0) {
        rc = mbedtls_x509write_csr_set_subject_alternative_name(csr, &san);
    }
    return rc != 0 ? rc : mbedtls_x509write_csr_pem(csr, text, CSR_TEXT_BYTES, tls_random, NULL);
}

int csr_write(const struct keypair *key, struct span spiffe_id, struct buf *out, struct err *err)
{
    struct identity id;
    if (identity_parse(spiffe_id, &id) != 0) {
        return err_set(err, -ERR_CONFIG, "'%.*s' is not a SPIFFE ID",
                       SPAN_ARG(span_first(spiffe_id, 256)));
    }
    unsigned char text[CSR_TEXT_BYTES];
    char *copy = mem_strndup(spiffe_id.at, spiffe_id.len);
    mbedtls_x509write_csr csr;
    mbedtls_x509write_csr_init(&csr);
    int rc = write_pem(&csr, key, copy, spiffe_id.len, text);
    mbedtls_x509write_csr_free(&csr);
    mem_free(copy);
    if (rc != 0) {
        return tls_err(err, -ERR_TLS, rc, "can not write a signing request");
    }
    int code = buf_append_span(out, span_of((const char *)text));
    return code == 0 ? 0 : err_set(err, code, "no room for a signing request");
}
