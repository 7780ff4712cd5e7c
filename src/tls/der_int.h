#ifndef TLS_DER_INT_H
#define TLS_DER_INT_H
/* DER written backwards into fixed memory, with an error that sticks, on mbedTLS's writing functions. Since
 * the inner comes before the outer:
 *
 *     const unsigned char *end = der->at;
 *     ... last member; ... first member;
 *     der_wrap(der, end, DER_SEQUENCE);                                                              */
#include <mbedtls/asn1write.h>

#include "base/compiler.h"
#include "base/span.h"

#define DER_SEQUENCE (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE)
#define DER_SET (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SET)
/* [n] in a constructed or primitive form */
#define DER_TAGGED(n) (MBEDTLS_ASN1_CONTEXT_SPECIFIC | MBEDTLS_ASN1_CONSTRUCTED | (n))
#define DER_TAGGED_PLAIN(n) (MBEDTLS_ASN1_CONTEXT_SPECIFIC | (n))

struct der {
    unsigned char *start;
    unsigned char *at; /* what is written so far begins here */
    int code;          /* 0, or mbedTLS's first failure */
};

static inline void der_init(struct der *d, unsigned char *room, size_t bytes)
{
    *d = (struct der){.start = room, .at = room + bytes};
}

static inline void der_note(struct der *d, int rc)
{
    if (rc < 0 && d->code == 0) {
        d->code = rc;
    }
}

/* Tag and length before what was written since `end`. */
static inline void der_wrap(struct der *d, const unsigned char *end, int tag)
{
    der_note(d, mbedtls_asn1_write_len(&d->at, d->start, (size_t)(end - d->at)));
    der_note(d, mbedtls_asn1_write_tag(&d->at, d->start, (unsigned char)tag));
}

static inline void der_raw(struct der *d, struct span bytes)
{
    der_note(d, mbedtls_asn1_write_raw_buffer(&d->at, d->start, (const unsigned char *)bytes.at,
                                              bytes.len));
}

static inline void der_put(struct der *d, int tag, struct span value)
{
    const unsigned char *end = d->at;
    der_raw(d, value);
    der_wrap(d, end, tag);
}

static inline void der_oid(struct der *d, const char *oid, size_t len)
{
    der_put(d, MBEDTLS_ASN1_OID, span_from(oid, len));
}
#define DER_OID(d, oid) der_oid((d), (oid), MBEDTLS_OID_SIZE(oid))

static inline struct span der_since(const struct der *d, const unsigned char *end)
{
    return span_from(d->at, (size_t)(end - d->at));
}
#endif
