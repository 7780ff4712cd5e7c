/* Certificate signing requests. */
#include "tls/csr.h"

#include <mbedtls/asn1.h>
#include <mbedtls/md.h>
#include <mbedtls/oid.h>
#include <mbedtls/x509_csr.h>

#include "base/arena.h"
#include "base/mem.h"
#include "codec/pem.h"
#include "mesh/identity.h"
#include "tls/csr_int.h"
#include "tls/keypair_int.h"
#include "tls/tls_int.h"

enum {
    RSA_BITS_MIN = 2048,
    CSR_TEXT_BYTES = 8192, /* RSA of 4,096 bits and the longest SPIFFE ID take 5,300 */
};

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
    int rc = mbedtls_x509write_csr_set_subject_alternative_name(csr, &san);
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

/* --- reading. mbedTLS's reader refuses the empty subject that workloads send. --- */

/* What counts of a request (RFC 2986 section 4). */
struct request {
    struct span info; /* CertificationRequestInfo, which is signed */
    struct span key;  /* SubjectPublicKeyInfo */
    mbedtls_asn1_buf algorithm;
    struct span signature;
};

enum { SEQUENCE = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE };

/* The next TLV, header and all. */
static bool take(struct span *rest, int tag, struct span *whole, struct span *value)
{
    unsigned char *at = (unsigned char *)(uintptr_t)rest->at;
    size_t len;
    if (mbedtls_asn1_get_tag(&at, at + rest->len, &len, tag) != 0) {
        return false;
    }
    size_t header = (size_t)((const char *)at - rest->at);
    *whole = span_first(*rest, header + len);
    *value = span_from_offset(*whole, header);
    *rest = span_from_offset(*rest, header + len);
    return true;
}

/* version 0, a subject that nobody reads, the key; attributes are what the grant decides. */
static bool take_info(struct span info, struct request *out)
{
    struct span whole, value;
    return take(&info, MBEDTLS_ASN1_INTEGER, &whole, &value) && value.len == 1 &&
           value.at[0] == 0 && take(&info, SEQUENCE, &whole, &value) &&
           take(&info, SEQUENCE, &out->key, &value);
}

static bool take_request(struct span der, struct request *out)
{
    struct span whole, all, info, algorithm, oid, bits;
    if (!take(&der, SEQUENCE, &whole, &all) || der.len != 0 ||
        !take(&all, SEQUENCE, &out->info, &info) || !take_info(info, out) ||
        !take(&all, SEQUENCE, &whole, &algorithm) ||
        !take(&algorithm, MBEDTLS_ASN1_OID, &whole, &oid) ||
        !take(&all, MBEDTLS_ASN1_BIT_STRING, &whole, &bits) || all.len != 0 || bits.len < 2 ||
        bits.at[0] != 0) {
        return false;
    }
    out->algorithm = (mbedtls_asn1_buf){
        .tag = MBEDTLS_ASN1_OID, .len = oid.len, .p = (unsigned char *)(uintptr_t)oid.at};
    out->signature = span_from_offset(bits, 1);
    return true;
}

/* Who asks must hold the key (RFC 2986 section 4.2). */
static int check(const struct request *rq, mbedtls_pk_context *key, struct err *err)
{
    bool is_rsa = mbedtls_pk_can_do(key, MBEDTLS_PK_RSA);
    if (!is_rsa && !mbedtls_pk_can_do(key, MBEDTLS_PK_ECDSA)) {
        return err_set(err, -ERR_PROTO, "signing request has a key that can not sign");
    }
    if (is_rsa && mbedtls_pk_get_bitlen(key) < RSA_BITS_MIN) {
        return err_set(err, -ERR_PROTO, "signing request has an RSA key of %zu bits; at least %d",
                       mbedtls_pk_get_bitlen(key), RSA_BITS_MIN);
    }
    mbedtls_md_type_t md;
    mbedtls_pk_type_t kind;
    unsigned char hash[MBEDTLS_MD_MAX_SIZE];
    if (mbedtls_oid_get_sig_alg(&rq->algorithm, &md, &kind) != 0 || md == MBEDTLS_MD_SHA1 ||
        md == MBEDTLS_MD_MD5 || kind != (is_rsa ? MBEDTLS_PK_RSA : MBEDTLS_PK_ECDSA) ||
        mbedtls_md(mbedtls_md_info_from_type(md), (const unsigned char *)rq->info.at, rq->info.len,
                   hash) != 0) {
        return err_set(err, -ERR_PROTO, "signing request is signed in an unknown or broken way");
    }
    if (mbedtls_pk_verify(key, md, hash, 0, (const unsigned char *)rq->signature.at,
                          rq->signature.len) != 0) {
        return err_set(err, -ERR_PROTO, "signing request is not signed by its own key");
    }
    return 0;
}

static int read_der(struct span der, mbedtls_pk_context *key, struct err *err)
{
    struct request rq;
    if (!take_request(der, &rq)) {
        return err_set(err, -ERR_PROTO, "signing request is not well formed");
    }
    unsigned char *at = (unsigned char *)(uintptr_t)rq.key.at;
    int rc = mbedtls_pk_parse_subpubkey(&at, at + rq.key.len, key);
    return rc == 0 ? check(&rq, key, err)
                   : tls_err(err, -ERR_PROTO, rc, "signing request has no usable key");
}

int csr_read(struct span pem, mbedtls_pk_context *key, struct err *err)
{
    if (pem.len > CSR_BYTES_MAX) {
        return err_set(err, -ERR_PROTO, "signing request is longer than %d bytes", CSR_BYTES_MAX);
    }
    struct arena arena;
    struct pem_block block;
    arena_init(&arena, 4096);
    int code = pem_next(&pem, &arena, &block, err);
    if (code == 1 && (span_is(block.label, "CERTIFICATE REQUEST") ||
                      span_is(block.label, "NEW CERTIFICATE REQUEST"))) {
        code = read_der(block.der, key, err);
    } else if (code >= 0) {
        code = err_set(err, -ERR_PROTO, "no signing request in PEM found");
    } else {
        err_prefix(err, "signing request");
    }
    arena_dispose(&arena);
    return code;
}
