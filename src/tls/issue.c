/* Making certificates (RFC 5280, SPIFFE X.509-SVID). The DER is written here and not by mbedTLS's writer,
 * which takes names as text (a chain needs the issuer's name byte by byte) and can not make a SAN
 * critical (section 4.2.1.6 asks for it when the subject is empty).
 * In: ca/grant, or tests. Out: PEM. */
#include "tls/issue.h"

#include <stdio.h>

#include <mbedtls/oid.h>
#include <mbedtls/sha256.h>

#include "base/instant.h"
#include "base/mem.h"
#include "base/rng.h"
#include "codec/pem.h"
#include "mesh/identity.h"
#include "tls/csr_int.h"
#include "tls/der_int.h"
#include "tls/keypair_int.h"
#include "tls/tls_int.h"
#include "tls/x509_int.h"

enum {
    CERT_DER_BYTES = 24576,     /* ISSUE_NAMES_MAX names of 253 bytes, and all the rest */
    COMMON_NAME_BYTES_MAX = 64, /* ub-common-name, RFC 5280 appendix A.1 */
    DNS_BYTES_MAX = 253,
    KEY_ID_BYTES = 20,
};

struct issuer {
    mbedtls_x509_crt chain;
    struct keypair *key; /* owned */
};

/* One certificate to be, beside its spec. */
struct draft {
    const struct issue_spec *spec;
    mbedtls_pk_context *subject_key; /* borrowed; its public half */
    const struct keypair *signer;    /* borrowed */
    const mbedtls_x509_crt *parent;  /* borrowed; NULL = self-signed */
    bool ca;
    int path_length; /* -1 = any */
    int64_t not_after_s;
};

/* --- the issuer --- */

int issuer_parse(struct issuer **out, struct span chain_pem, struct span key_pem, struct err *err)
{
    struct issuer *issuer = mem_new(struct issuer);
    mbedtls_x509_crt_init(&issuer->chain);
    int code = x509_parse_chain(&issuer->chain, chain_pem, err);
    if (code == 0) {
        code = keypair_parse(&issuer->key, key_pem, err);
    }
    const mbedtls_x509_crt *own = &issuer->chain;
    if (code == 0 &&
        mbedtls_pk_check_pair(&own->pk, keypair_pk(issuer->key), tls_random, NULL) != 0) {
        code = err_set(err, -ERR_CONFIG, "the CA's key does not belong to its certificate");
    }
    if (code == 0 && (mbedtls_x509_crt_get_ca_istrue(own) <= 0 ||
                      mbedtls_x509_crt_check_key_usage(own, MBEDTLS_X509_KU_KEY_CERT_SIGN) != 0)) {
        code = err_set(err, -ERR_CONFIG, "the CA's certificate may not sign others");
    }
    if (code != 0) {
        issuer_free(issuer);
        return code;
    }
    *out = issuer;
    return 0;
}

void issuer_free(struct issuer *issuer)
{
    if (issuer != NULL) {
        mbedtls_x509_crt_free(&issuer->chain);
        keypair_free(issuer->key);
        mem_free(issuer);
    }
}

int issuer_check_roots(const struct issuer *issuer, struct span roots_pem, struct err *err)
{
    mbedtls_x509_crt roots;
    mbedtls_x509_crt_init(&roots);
    int skipped;
    int code = x509_parse_roots(&roots, roots_pem, &skipped, err);
    uint32_t flags = 0;
    /* It only reads the chain. */
    mbedtls_x509_crt *chain = (mbedtls_x509_crt *)(uintptr_t)&issuer->chain;
    if (code == 0 && mbedtls_x509_crt_verify(chain, &roots, NULL, NULL, &flags, NULL, NULL) != 0) {
        code = err_set(err, -ERR_CONFIG, "the CA's certificate %s",
                       (flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0 ? "or one above it has expired"
                       : (flags & MBEDTLS_X509_BADCERT_FUTURE) != 0
                           ? "or one above it is not valid yet"
                           : "does not lead to its root");
    }
    mbedtls_x509_crt_free(&roots);
    return code;
}

int64_t issuer_not_after(const struct issuer *issuer)
{
    return x509_time(&issuer->chain.valid_to);
}

/* --- the parts of a certificate, in the order of RFC 5280 section 4.1, bottom up --- */

static void put_time(struct der *d, int64_t at_s)
{
    struct instant_civil t = instant_to_civil(at_s);
    char text[64];
    bool is_utc_time = t.year < 2050; /* RFC 5280 section 4.1.2.5 */
    int len = snprintf(text, sizeof(text), "%04d%02d%02d%02d%02d%02dZ", t.year, t.month, t.day,
                       t.hour, t.minute, t.second);
    ASSERT(len == 15);
    if (is_utc_time) {
        der_put(d, MBEDTLS_ASN1_UTC_TIME, span_from(text + 2, 13));
    } else {
        der_put(d, MBEDTLS_ASN1_GENERALIZED_TIME, span_from(text, 15));
    }
}

static void put_validity(struct der *d, const struct draft *draft)
{
    const unsigned char *end = d->at;
    put_time(d, draft->not_after_s);
    put_time(d, draft->spec->not_before_s);
    der_wrap(d, end, DER_SEQUENCE);
}

static void put_name(struct der *d, struct span common_name)
{
    const unsigned char *end = d->at;
    if (common_name.len > 0) {
        der_put(d, MBEDTLS_ASN1_UTF8_STRING, common_name);
        DER_OID(d, MBEDTLS_OID_AT_CN);
        der_wrap(d, end, DER_SEQUENCE);
        der_wrap(d, end, DER_SET);
    }
    der_wrap(d, end, DER_SEQUENCE);
}

static void put_serial(struct der *d, const struct issue_spec *spec)
{
    uint8_t serial[sizeof(spec->serial)];
    static const uint8_t zero[sizeof(serial)];
    memcpy(serial, spec->serial, sizeof(serial));
    while (memcmp(serial, zero, sizeof(serial)) == 0) {
        rng_fill_secret(serial, sizeof(serial));
    }
    serial[0] &= 0x7f; /* positive */
    size_t skip = 0;
    while (skip < sizeof(serial) - 1 && serial[skip] == 0 && serial[skip + 1] < 0x80) {
        skip++;
    }
    der_put(d, MBEDTLS_ASN1_INTEGER, span_from(serial + skip, sizeof(serial) - skip));
}

static void put_signature_algorithm(struct der *d, const struct keypair *signer)
{
    const char *oid;
    size_t len;
    bool is_ec = mbedtls_pk_can_do(keypair_pk(signer), MBEDTLS_PK_ECDSA);
    int rc = mbedtls_oid_get_oid_by_sig_alg(is_ec ? MBEDTLS_PK_ECDSA : MBEDTLS_PK_RSA,
                                            keypair_hash(signer), &oid, &len);
    ASSERT(rc == 0);
    const unsigned char *end = d->at;
    if (!is_ec) {
        der_put(d, MBEDTLS_ASN1_NULL,
                SPAN_EMPTY); /* RFC 4055 section 5; absent for ECDSA, RFC 5758 */
    }
    der_oid(d, oid, len);
    der_wrap(d, end, DER_SEQUENCE);
}

/* --- extensions (section 4.2) --- */

/* `end` is where the extension's value, already written, ends. */
static void wrap_extension(struct der *d, const unsigned char *end, const char *oid, size_t oid_len,
                           bool critical)
{
    der_wrap(d, end, MBEDTLS_ASN1_OCTET_STRING);
    if (critical) {
        der_put(d, MBEDTLS_ASN1_BOOLEAN, span_from("\xff", 1));
    }
    der_oid(d, oid, oid_len);
    der_wrap(d, end, DER_SEQUENCE);
}
#define WRAP_EXTENSION(d, end, oid, critical) \
    wrap_extension((d), (end), (oid), MBEDTLS_OID_SIZE(oid), (critical))

static void put_names(struct der *d, const struct issue_spec *spec)
{
    if (spec->spiffe_id.len == 0 && spec->dns_count == 0) {
        return;
    }
    const unsigned char *end = d->at;
    for (size_t i = spec->dns_count; i-- > 0;) {
        der_put(d, DER_TAGGED_PLAIN(X509_SAN_DNS), spec->dns[i]);
    }
    if (spec->spiffe_id.len > 0) {
        der_put(d, DER_TAGGED_PLAIN(X509_SAN_URI), spec->spiffe_id);
    }
    der_wrap(d, end, DER_SEQUENCE);
    WRAP_EXTENSION(d, end, MBEDTLS_OID_SUBJECT_ALT_NAME, spec->common_name.len == 0);
}

static void put_key_usage(struct der *d, bool ca, bool server_only)
{
    const unsigned char *end = d->at;
    if (!ca) {
        if (!server_only) {
            DER_OID(d, MBEDTLS_OID_CLIENT_AUTH);
        }
        DER_OID(d, MBEDTLS_OID_SERVER_AUTH);
        der_wrap(d, end, DER_SEQUENCE);
        WRAP_EXTENSION(d, end, MBEDTLS_OID_EXTENDED_KEY_USAGE, false);
        end = d->at;
    }
    /* BIT STRING: unused bits, then keyCertSign and cRLSign (bits 5, 6), or digitalSignature (bit 0) */
    der_put(d, MBEDTLS_ASN1_BIT_STRING, ca ? span_from("\x01\x06", 2) : span_from("\x07\x80", 2));
    WRAP_EXTENSION(d, end, MBEDTLS_OID_KEY_USAGE, true);
}

static void put_basic_constraints(struct der *d, const struct draft *draft)
{
    const unsigned char *end = d->at;
    if (draft->ca) {
        if (draft->path_length >= 0) {
            der_note(d, mbedtls_asn1_write_int(&d->at, d->start, draft->path_length));
        }
        der_put(d, MBEDTLS_ASN1_BOOLEAN, span_from("\xff", 1));
    }
    der_wrap(d, end, DER_SEQUENCE);
    WRAP_EXTENSION(d, end, MBEDTLS_OID_BASIC_CONSTRAINTS, true);
}

/* RFC 7093 section 2 method 1: the first 160 bits of SHA-256 of the key's bits. */
static void key_id(struct der *d, mbedtls_pk_context *key, uint8_t to[32])
{
    unsigned char bits[2048];
    unsigned char *at = bits + sizeof(bits);
    int len = mbedtls_pk_write_pubkey(&at, bits, key);
    der_note(d, len);
    int rc = len < 0 ? 0 : mbedtls_sha256(at, (size_t)len, to, 0);
    ASSERT(rc == 0);
}

static void put_key_ids(struct der *d, const struct draft *draft)
{
    uint8_t own[32] = {0};
    key_id(d, draft->subject_key, own);
    struct span parent = span_from(own, KEY_ID_BYTES);
    if (draft->parent != NULL) {
        parent = span_from(draft->parent->subject_key_id.p, draft->parent->subject_key_id.len);
    }
    const unsigned char *end = d->at;
    if (parent.len > 0) {
        der_put(d, DER_TAGGED_PLAIN(0), parent);
        der_wrap(d, end, DER_SEQUENCE);
        WRAP_EXTENSION(d, end, MBEDTLS_OID_AUTHORITY_KEY_IDENTIFIER, false);
    }
    end = d->at;
    der_put(d, MBEDTLS_ASN1_OCTET_STRING, span_from(own, KEY_ID_BYTES));
    WRAP_EXTENSION(d, end, MBEDTLS_OID_SUBJECT_KEY_IDENTIFIER, false);
}

static void put_extensions(struct der *d, const struct draft *draft)
{
    const unsigned char *end = d->at;
    put_names(d, draft->spec);
    put_key_ids(d, draft);
    put_basic_constraints(d, draft);
    put_key_usage(d, draft->ca, draft->spec->server_only);
    der_wrap(d, end, DER_SEQUENCE);
    der_wrap(d, end, DER_TAGGED(3));
}

/* --- the whole --- */

static void put_public_key(struct der *d, mbedtls_pk_context *key)
{
    unsigned char spki[2048];
    int len = mbedtls_pk_write_pubkey_der(key, spki, sizeof(spki));
    der_note(d, len);
    if (len > 0) {
        der_raw(d, span_from(spki + sizeof(spki) - len, (size_t)len));
    }
}

static void put_tbs(struct der *d, const struct draft *draft)
{
    const unsigned char *end = d->at;
    put_extensions(d, draft);
    put_public_key(d, draft->subject_key);
    put_name(d, draft->spec->common_name);
    put_validity(d, draft);
    if (draft->parent != NULL) {
        der_raw(d, span_from(draft->parent->subject_raw.p, draft->parent->subject_raw.len));
    } else {
        put_name(d, draft->spec->common_name);
    }
    put_signature_algorithm(d, draft->signer);
    put_serial(d, draft->spec);
    const unsigned char *version = d->at;
    der_note(d, mbedtls_asn1_write_int(&d->at, d->start, 2)); /* v3 */
    der_wrap(d, version, DER_TAGGED(0));
    der_wrap(d, end, DER_SEQUENCE);
}

/* The signature over `tbs` as a BIT STRING. */
static void put_signature(struct der *d, struct span tbs, const struct keypair *signer)
{
    unsigned char hash[MBEDTLS_MD_MAX_SIZE], sig[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    size_t sig_len = 0;
    mbedtls_md_type_t md = keypair_hash(signer);
    int rc =
        mbedtls_md(mbedtls_md_info_from_type(md), (const unsigned char *)tbs.at, tbs.len, hash);
    if (rc == 0) {
        rc = mbedtls_pk_sign(keypair_pk(signer), md, hash, 0, sig, sizeof(sig), &sig_len,
                             tls_random, NULL);
    }
    der_note(d, rc);
    const unsigned char *end = d->at;
    der_raw(d, span_from(sig, sig_len));
    der_raw(d, SPAN("\0")); /* no unused bits */
    der_wrap(d, end, MBEDTLS_ASN1_BIT_STRING);
}

static int write_pem(const struct draft *draft, unsigned char *room, struct buf *out,
                     struct err *err)
{
    struct der tbs, whole;
    der_init(&tbs, room, CERT_DER_BYTES);
    const unsigned char *tbs_end = tbs.at;
    put_tbs(&tbs, draft);
    der_init(&whole, room + CERT_DER_BYTES, CERT_DER_BYTES);
    const unsigned char *end = whole.at;
    if (tbs.code == 0) {
        put_signature(&whole, der_since(&tbs, tbs_end), draft->signer);
        put_signature_algorithm(&whole, draft->signer);
        der_raw(&whole, der_since(&tbs, tbs_end));
        der_wrap(&whole, end, DER_SEQUENCE);
    }
    int rc = tbs.code != 0 ? tbs.code : whole.code;
    if (rc != 0) {
        return tls_err(err, -ERR_TLS, rc, "can not write a certificate");
    }
    int code = pem_write(SPAN("CERTIFICATE"), der_since(&whole, end), out);
    return code == 0 ? 0 : err_set(err, code, "no room for a certificate");
}

static int check_spec(const struct draft *draft, struct err *err)
{
    const struct issue_spec *spec = draft->spec;
    struct identity id;
    if (spec->spiffe_id.len > 0 && identity_parse(spec->spiffe_id, &id) != 0) {
        return err_set(err, -ERR_CONFIG, "'%.*s' is not a SPIFFE ID",
                       SPAN_ARG(span_first(spec->spiffe_id, 256)));
    }
    if (spec->dns_count > ISSUE_NAMES_MAX) {
        return err_set(err, -ERR_CONFIG, "%zu DNS names in a certificate; at most %d",
                       spec->dns_count, ISSUE_NAMES_MAX);
    }
    for (size_t i = 0; i < spec->dns_count; i++) {
        if (spec->dns[i].len == 0 || spec->dns[i].len > DNS_BYTES_MAX) {
            return err_set(err, -ERR_CONFIG, "a DNS name has %zu bytes; 1 to %d", spec->dns[i].len,
                           DNS_BYTES_MAX);
        }
    }
    if (spec->common_name.len > COMMON_NAME_BYTES_MAX ||
        (draft->ca && spec->common_name.len == 0)) {
        return err_set(err, -ERR_CONFIG,
                       "a common name has %zu bytes; a CA's 1 to %d, else up to that",
                       spec->common_name.len, COMMON_NAME_BYTES_MAX);
    }
    if (!draft->ca && spec->spiffe_id.len == 0 && spec->dns_count == 0) {
        return err_set(err, -ERR_CONFIG, "a certificate for nobody: no SPIFFE ID and no DNS name");
    }
    /* mbedTLS keeps the path length plus one, 0 for none. */
    if (draft->ca && draft->parent != NULL && draft->parent->MBEDTLS_PRIVATE(max_pathlen) == 1) {
        return err_set(err, -ERR_CONFIG, "the CA's certificate allows no CA below it");
    }
    if (spec->not_before_s >= draft->not_after_s || spec->not_before_s < 0 ||
        instant_to_civil(draft->not_after_s).year > 9999) {
        return err_set(err, -ERR_CONFIG, "a certificate that would end before it begins");
    }
    return 0;
}

static int write_certificate(const struct draft *draft, struct buf *out, struct err *err)
{
    int code = check_spec(draft, err);
    if (code == 0) {
        unsigned char *room = mem_alloc(2 * CERT_DER_BYTES);
        code = write_pem(draft, room, out, err);
        mem_free(room);
    }
    return code;
}

int issue_root(const struct keypair *key, const struct issue_spec *spec, struct buf *out,
               struct err *err)
{
    const struct draft draft = {
        .spec = spec,
        .subject_key = keypair_pk(key),
        .signer = key,
        .ca = true,
        .path_length = -1,
        .not_after_s = spec->not_after_s,
    };
    return write_certificate(&draft, out, err);
}

static int issue_for(const struct issuer *issuer, mbedtls_pk_context *subject_key,
                     const struct issue_spec *spec, struct buf *out, struct err *err)
{
    const struct draft draft = {
        .spec = spec,
        .subject_key = subject_key,
        .signer = issuer->key,
        .parent = &issuer->chain,
        .ca = spec->ca,
        .path_length = 0,
        .not_after_s = i64_min(spec->not_after_s, issuer_not_after(issuer)),
    };
    return write_certificate(&draft, out, err);
}

int issue_key(const struct issuer *issuer, const struct keypair *key, const struct issue_spec *spec,
              struct buf *out, struct err *err)
{
    return issue_for(issuer, keypair_pk(key), spec, out, err);
}

int issue_request(const struct issuer *issuer, struct csr *csr, const struct issue_spec *spec,
                  struct buf *out, struct err *err)
{
    return issue_for(issuer, csr_key(csr), spec, out, err);
}

int issue_csr(const struct issuer *issuer, struct span csr_pem, const struct issue_spec *spec,
              struct buf *out, struct err *err)
{
    struct csr *csr;
    int code = csr_parse(&csr, csr_pem, err);
    if (code == 0) {
        code = issue_request(issuer, csr, spec, out, err);
        csr_free(csr);
    }
    return code;
}
