/* Private keys: made, read, written as PKCS#8 (RFC 5958), wiped. */
#include "tls/keypair.h"

#include <mbedtls/asn1write.h>
#include <mbedtls/ecp.h>
#include <mbedtls/oid.h>
#include <mbedtls/rsa.h>

#include "base/mem.h"
#include "codec/pem.h"
#include "tls/keypair_int.h"
#include "tls/tls_int.h"

enum {
    KEY_PEM_BYTES_MAX = 16384, /* an RSA key of 8,192 bits takes 6,400 */
    KEY_DER_BYTES = 3072,      /* room to write one of 4,096 bits (2,400) */
    RSA_BITS_MIN = 2048,
};

struct keypair {
    mbedtls_pk_context *pk; /* owned */
};

static struct keypair *keypair_new(void)
{
    struct keypair *k = mem_new(struct keypair);
    k->pk = mem_new(mbedtls_pk_context);
    mbedtls_pk_init(k->pk);
    return k;
}

static int fill_ec(mbedtls_pk_context *pk, mbedtls_ecp_group_id group)
{
    int rc = mbedtls_pk_setup(pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    return rc != 0 ? rc : mbedtls_ecp_gen_key(group, mbedtls_pk_ec(*pk), tls_random, NULL);
}

static int fill_rsa(mbedtls_pk_context *pk)
{
    int rc = mbedtls_pk_setup(pk, mbedtls_pk_info_from_type(MBEDTLS_PK_RSA));
    return rc != 0 ? rc : mbedtls_rsa_gen_key(mbedtls_pk_rsa(*pk), tls_random, NULL, 2048, 65537);
}

static int fill(mbedtls_pk_context *pk, enum keypair_kind kind)
{
    switch (kind) {
    case KEYPAIR_P256:
        return fill_ec(pk, MBEDTLS_ECP_DP_SECP256R1);
    case KEYPAIR_P384:
        return fill_ec(pk, MBEDTLS_ECP_DP_SECP384R1);
    case KEYPAIR_RSA2048:
        return fill_rsa(pk);
    }
    return MBEDTLS_ERR_PK_BAD_INPUT_DATA;
}

int keypair_generate(struct keypair **out, enum keypair_kind kind, struct err *err)
{
    struct keypair *k = keypair_new();
    int rc = fill(k->pk, kind);
    if (rc != 0) {
        keypair_free(k);
        return tls_err(err, -ERR_TLS, rc, "can not make a private key");
    }
    *out = k;
    return 0;
}

int keypair_parse(struct keypair **out, struct span pem, struct err *err)
{
    if (pem.len > KEY_PEM_BYTES_MAX) {
        return err_set(err, -ERR_CONFIG, "private key is longer than %d bytes", KEY_PEM_BYTES_MAX);
    }
    struct keypair *k = keypair_new();
    char *text = mem_strndup(pem.at, pem.len); /* mbedTLS wants the NUL */
    int rc =
        mbedtls_pk_parse_key(k->pk, (unsigned char *)text, pem.len + 1, NULL, 0, tls_random, NULL);
    mem_free_secret(text, pem.len);
    if (rc != 0) {
        keypair_free(k);
        return tls_err(err, -ERR_CONFIG, rc, "private key is not usable PEM");
    }
    if (mbedtls_pk_can_do(k->pk, MBEDTLS_PK_RSA) && mbedtls_pk_get_bitlen(k->pk) < RSA_BITS_MIN) {
        keypair_free(k);
        return err_set(err, -ERR_CONFIG, "private key is RSA of less than %d bits", RSA_BITS_MIN);
    }
    *out = k;
    return 0;
}

/* AlgorithmIdentifier (RFC 5480 section 2.1.1, RFC 8017 appendix A.1), written backwards. */
static int write_algorithm(unsigned char **at, unsigned char *start, mbedtls_pk_context *pk)
{
    const char *oid;
    size_t oid_len;
    if (mbedtls_pk_can_do(pk, MBEDTLS_PK_RSA)) {
        return mbedtls_asn1_write_algorithm_identifier(at, start, MBEDTLS_OID_PKCS1_RSA,
                                                       MBEDTLS_OID_SIZE(MBEDTLS_OID_PKCS1_RSA), 0);
    }
    mbedtls_ecp_group_id group = mbedtls_ecp_keypair_get_group_id(mbedtls_pk_ec(*pk));
    int rc = mbedtls_oid_get_oid_by_ec_grp(group, &oid, &oid_len);
    if (rc != 0) {
        return rc;
    }
    int params = mbedtls_asn1_write_oid(at, start, oid, oid_len);
    if (params < 0) {
        return params;
    }
    return mbedtls_asn1_write_algorithm_identifier(
        at, start, MBEDTLS_OID_EC_ALG_UNRESTRICTED,
        MBEDTLS_OID_SIZE(MBEDTLS_OID_EC_ALG_UNRESTRICTED), (size_t)params);
}

/* The PrivateKeyInfo at the end of `der`; its length, or mbedTLS's negative code. */
static int write_der(mbedtls_pk_context *pk, unsigned char *der, size_t room)
{
    unsigned char *at = der + room;
    size_t len = 0;
    int ret;
    int inner = mbedtls_pk_write_key_der(pk, der, room);
    if (inner < 0) {
        return inner;
    }
    at -= inner; /* it wrote at the end of der, as we go on doing before it */
    len = (size_t)inner;
    MBEDTLS_ASN1_CHK_ADD(len, mbedtls_asn1_write_len(&at, der, len));
    MBEDTLS_ASN1_CHK_ADD(len, mbedtls_asn1_write_tag(&at, der, MBEDTLS_ASN1_OCTET_STRING));
    MBEDTLS_ASN1_CHK_ADD(len, write_algorithm(&at, der, pk));
    MBEDTLS_ASN1_CHK_ADD(len, mbedtls_asn1_write_int(&at, der, 0));
    MBEDTLS_ASN1_CHK_ADD(len, mbedtls_asn1_write_len(&at, der, len));
    MBEDTLS_ASN1_CHK_ADD(
        len, mbedtls_asn1_write_tag(&at, der, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE));
    return (int)len;
}

int keypair_write(const struct keypair *k, struct buf *out)
{
    unsigned char der[KEY_DER_BYTES];
    int len = write_der(k->pk, der, sizeof(der));
    int code = len < 0 ? -ERR_TLS
                       : pem_write(SPAN("PRIVATE KEY"),
                                   span_from(der + sizeof(der) - len, (size_t)len), out);
    mem_wipe(der, sizeof(der));
    return code;
}

mbedtls_pk_context *keypair_pk(const struct keypair *k)
{
    return k->pk;
}

mbedtls_md_type_t keypair_hash(const struct keypair *k)
{
    bool is_ec = mbedtls_pk_can_do(k->pk, MBEDTLS_PK_ECDSA);
    return is_ec && mbedtls_pk_get_bitlen(k->pk) > 256 ? MBEDTLS_MD_SHA384 : MBEDTLS_MD_SHA256;
}

void keypair_free(struct keypair *k)
{
    if (k != NULL) {
        mbedtls_pk_free(k->pk); /* wipes */
        mem_free(k->pk);
        mem_free(k);
    }
}
