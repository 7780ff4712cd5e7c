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
#include "tls/x509_int.h"

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

struct csr {
    struct arena arena; /* the DER, and what is below */
    mbedtls_pk_context key;
    struct span uris[CSR_URIS_MAX];
    size_t uri_count;
};

/* What counts of a request (RFC 2986 section 4). */
struct request {
    struct span info;       /* CertificationRequestInfo, which is signed */
    struct span key;        /* SubjectPublicKeyInfo */
    struct span attributes; /* of [0]; empty when there are none */
    mbedtls_asn1_buf algorithm;
    struct span signature;
};

enum {
    SEQUENCE = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE,
    SET = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SET,
    ATTRIBUTES = MBEDTLS_ASN1_CONTEXT_SPECIFIC | MBEDTLS_ASN1_CONSTRUCTED,
};

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

static bool take_value(struct span *rest, int tag, struct span *value)
{
    struct span whole;
    return take(rest, tag, &whole, value);
}

/* version 0, a subject that nobody reads, the key, attributes. */
static bool take_info(struct span info, struct request *out)
{
    struct span value;
    out->attributes = SPAN_EMPTY;
    return take_value(&info, MBEDTLS_ASN1_INTEGER, &value) && value.len == 1 && value.at[0] == 0 &&
           take_value(&info, SEQUENCE, &value) && take(&info, SEQUENCE, &out->key, &value) &&
           (info.len == 0 || (take_value(&info, ATTRIBUTES, &out->attributes) && info.len == 0));
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

/* GeneralNames (RFC 5280 section 4.2.1.6), of which the URIs count. */
static bool take_names(struct span names, struct csr *csr)
{
    struct span list, value;
    if (!take_value(&names, SEQUENCE, &list) || names.len != 0) {
        return false;
    }
    while (list.len > 0) {
        int tag = (unsigned char)list.at[0];
        if (!take_value(&list, tag, &value)) {
            return false;
        }
        if (tag != (MBEDTLS_ASN1_CONTEXT_SPECIFIC | X509_SAN_URI)) {
            continue;
        }
        if (csr->uri_count == CSR_URIS_MAX) {
            return false;
        }
        csr->uris[csr->uri_count++] = value;
    }
    return true;
}

/* Extensions ::= SEQUENCE OF SEQUENCE { OID, [BOOLEAN,] OCTET STRING } */
static bool take_extensions(struct span extensions, struct csr *csr)
{
    struct span list, one, oid, critical, value;
    if (!take_value(&extensions, SEQUENCE, &list)) {
        return false;
    }
    while (list.len > 0) {
        if (!take_value(&list, SEQUENCE, &one) || !take_value(&one, MBEDTLS_ASN1_OID, &oid)) {
            return false;
        }
        (void)take_value(&one, MBEDTLS_ASN1_BOOLEAN, &critical); /* may be left out */
        if (!take_value(&one, MBEDTLS_ASN1_OCTET_STRING, &value)) {
            return false;
        }
        if (span_eq(oid, SPAN(MBEDTLS_OID_SUBJECT_ALT_NAME)) && !take_names(value, csr)) {
            return false;
        }
    }
    return true;
}

/* Attribute ::= SEQUENCE { OID, SET }; only extensionRequest concerns us. */
static bool take_attributes(struct span attributes, struct csr *csr)
{
    struct span one, oid, set;
    while (attributes.len > 0) {
        if (!take_value(&attributes, SEQUENCE, &one) || !take_value(&one, MBEDTLS_ASN1_OID, &oid) ||
            !take_value(&one, SET, &set)) {
            return false;
        }
        if (span_eq(oid, SPAN(MBEDTLS_OID_PKCS9_CSR_EXT_REQ)) && !take_extensions(set, csr)) {
            return false;
        }
    }
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

static int read_der(struct span der, struct csr *csr, struct err *err)
{
    struct request rq;
    if (!take_request(der, &rq) || !take_attributes(rq.attributes, csr)) {
        return err_set(err, -ERR_PROTO, "signing request is not well formed");
    }
    unsigned char *at = (unsigned char *)(uintptr_t)rq.key.at;
    int rc = mbedtls_pk_parse_subpubkey(&at, at + rq.key.len, &csr->key);
    return rc == 0 ? check(&rq, &csr->key, err)
                   : tls_err(err, -ERR_PROTO, rc, "signing request has no usable key");
}

static int read_pem(struct span pem, struct csr *csr, struct err *err)
{
    if (pem.len > CSR_BYTES_MAX) {
        return err_set(err, -ERR_PROTO, "signing request is longer than %d bytes", CSR_BYTES_MAX);
    }
    struct pem_block block;
    int code = pem_next(&pem, &csr->arena, &block, err);
    if (code == 1 && (span_is(block.label, "CERTIFICATE REQUEST") ||
                      span_is(block.label, "NEW CERTIFICATE REQUEST"))) {
        return read_der(block.der, csr, err);
    }
    if (code >= 0) {
        return err_set(err, -ERR_PROTO, "no signing request in PEM found");
    }
    err_prefix(err, "signing request");
    return code;
}

int csr_parse(struct csr **out, struct span pem, struct err *err)
{
    struct csr *csr = mem_new(struct csr);
    arena_init(&csr->arena, 2048);
    mbedtls_pk_init(&csr->key);
    int code = read_pem(pem, csr, err);
    if (code != 0) {
        csr_free(csr);
        return code;
    }
    *out = csr;
    return 0;
}

void csr_free(struct csr *csr)
{
    if (csr != NULL) {
        mbedtls_pk_free(&csr->key);
        arena_dispose(&csr->arena);
        mem_free(csr);
    }
}

mbedtls_pk_context *csr_key(struct csr *csr)
{
    return &csr->key;
}

const struct span *csr_uris(const struct csr *csr, size_t *count)
{
    *count = csr->uri_count;
    return csr->uris;
}
