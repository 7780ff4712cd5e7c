/* What a certificate says. */
#include "tls/x509_int.h"

#include <stdio.h>

#include <mbedtls/asn1.h>
#include <mbedtls/oid.h>
#include <mbedtls/sha256.h>

#include "base/buf.h"
#include "base/instant.h"
#include "base/mem.h"
#include "codec/hex.h"
#include "mesh/identity.h"

enum {
    PEM_BYTES_MAX = 4 << 20, /* the bundles of distributions have 250 KiB */
    NAME_BYTES_MAX = 8192,   /* text of a subject; longer ones are cut */
};

static int parse_pem(mbedtls_x509_crt *to, struct span pem, int *bad, struct err *err)
{
    *bad = 0;
    if (pem.len > PEM_BYTES_MAX) {
        return err_set(err, -ERR_CONFIG, "certificates are longer than %d bytes", PEM_BYTES_MAX);
    }
    if (span_find(pem, SPAN("-----BEGIN CERTIFICATE-----")) < 0) {
        return err_set(err, -ERR_CONFIG, "no certificate in PEM found");
    }
    char *text = mem_strndup(pem.at, pem.len); /* mbedTLS wants the NUL */
    int rc = mbedtls_x509_crt_parse(to, (const unsigned char *)text, pem.len + 1);
    mem_free(text);
    *bad = rc > 0 ? rc : 0;
    return rc < 0 || to->version == 0 ? err_set(err, -ERR_CONFIG, "no usable certificate in PEM")
                                      : 0;
}

int x509_parse_chain(mbedtls_x509_crt *chain, struct span pem, struct err *err)
{
    int bad;
    int code = parse_pem(chain, pem, &bad, err);
    if (code == 0 && bad > 0) {
        code = err_set(err, -ERR_CONFIG, "%d of the certificates do not parse", bad);
    }
    return code;
}

int x509_parse_roots(mbedtls_x509_crt *roots, struct span pem, int *skipped, struct err *err)
{
    return parse_pem(roots, pem, skipped, err);
}

const mbedtls_x509_sequence *x509_san_first(const mbedtls_x509_crt *crt)
{
    return crt->subject_alt_names.buf.p != NULL ? &crt->subject_alt_names : NULL;
}

int x509_san(const mbedtls_x509_sequence *san, struct span *value)
{
    *value = span_from(san->buf.p, san->buf.len);
    return san->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK;
}

struct span x509_spiffe_id(const mbedtls_x509_crt *crt)
{
    struct span only = SPAN_EMPTY;
    size_t count = 0;
    for (const mbedtls_x509_sequence *san = x509_san_first(crt); san != NULL; san = san->next) {
        struct span value;
        if (x509_san(san, &value) == X509_SAN_URI) {
            only = value;
            count++;
        }
    }
    struct identity id;
    return count == 1 && identity_parse(only, &id) == 0 ? only : SPAN_EMPTY;
}

/* RFC 2253 section 2.4. */
static int put_escaped(struct buf *to, struct span value)
{
    int code = 0;
    for (size_t i = 0; i < value.len && code == 0; i++) {
        char c = value.at[i];
        bool edge = (i == 0 && (c == ' ' || c == '#')) || (i == value.len - 1 && c == ' ');
        if (c < ' ' || c >= 0x7f) {
            code = buf_printf(to, "\\%02X", (unsigned char)c);
        } else if (edge || strchr(",+\"\\<>;", c) != NULL) {
            code = buf_printf(to, "\\%c", c);
        } else {
            code = buf_append_byte(to, c);
        }
    }
    return code;
}

static int put_attribute(struct buf *to, const mbedtls_x509_name *a)
{
    const char *key;
    char oid[64];
    if (mbedtls_oid_get_attr_short_name(&a->oid, &key) != 0) {
        key = mbedtls_oid_get_numeric_string(oid, sizeof(oid), &a->oid) > 0 ? oid : "?";
    }
    int code = buf_printf(to, "%s=", key);
    return code != 0 ? code : put_escaped(to, span_from(a->val.p, a->val.len));
}

/* Attributes of one RDN hang together by next_merged, which says that the next belongs to the same. */
static const mbedtls_x509_name *rdn_end(const mbedtls_x509_name *a)
{
    while (a->next != NULL && a->MBEDTLS_PRIVATE(next_merged)) {
        a = a->next;
    }
    return a->next;
}

static int put_rdn(struct buf *to, const mbedtls_x509_name *from, const mbedtls_x509_name *end)
{
    int code = 0;
    for (const mbedtls_x509_name *a = from; a != end && code == 0; a = a->next) {
        if (a != from) {
            code = buf_append_byte(to, '+');
        }
        if (code == 0) {
            code = put_attribute(to, a);
        }
    }
    return code;
}

enum { RDN_COUNT_MAX = 32 };

struct span x509_name_text(struct arena *arena, const mbedtls_x509_name *name)
{
    const mbedtls_x509_name *rdns[RDN_COUNT_MAX + 1];
    size_t count = 0;
    const mbedtls_x509_name *a = name->oid.p != NULL ? name : NULL;
    while (a != NULL && count < RDN_COUNT_MAX) {
        rdns[count++] = a;
        a = rdn_end(a);
    }
    rdns[count] = a;
    struct buf text;
    buf_init(&text, NAME_BYTES_MAX);
    int code = 0;
    for (size_t i = count; i-- > 0 && code == 0;) {
        code = put_rdn(&text, rdns[i], rdns[i + 1]);
        if (code == 0 && i > 0) {
            code = buf_append_byte(&text, ',');
        }
    }
    struct span copy = buf_len(&text) > 0 ? arena_dup(arena, buf_span(&text)) : SPAN_EMPTY;
    buf_dispose(&text);
    return copy;
}

/* The next TLV of [*at, end) when it has that tag; moves behind it. */
static bool next_tlv(unsigned char **at, const unsigned char *end, int tag, struct span *value)
{
    size_t len;
    if (mbedtls_asn1_get_tag(at, end, &len, tag) != 0) {
        return false;
    }
    *value = span_from(*at, len);
    *at += len;
    return true;
}

bool x509_has_extension(const mbedtls_x509_crt *crt, struct span oid)
{
    enum { SEQUENCE = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE };
    struct span all, extension, own;
    unsigned char *at = crt->v3_ext.p;
    if (at == NULL || !next_tlv(&at, at + crt->v3_ext.len, SEQUENCE, &all)) {
        return false;
    }
    const unsigned char *end = at;
    at -= all.len;
    while (next_tlv(&at, end, SEQUENCE, &extension)) {
        unsigned char *inner = at - extension.len;
        if (next_tlv(&inner, at, MBEDTLS_ASN1_OID, &own) && span_eq(own, oid)) {
            return true;
        }
    }
    return false;
}

void x509_sha256(const mbedtls_x509_crt *crt, uint8_t to[32])
{
    int rc = mbedtls_sha256(crt->raw.p, crt->raw.len, to, 0);
    ASSERT(rc == 0);
}

int64_t x509_time(const mbedtls_x509_time *t)
{
    const struct instant_civil civil = {
        .year = t->year,
        .month = t->mon,
        .day = t->day,
        .hour = t->hour,
        .minute = t->min,
        .second = t->sec,
    };
    return instant_from_civil(&civil);
}

static size_t count_sans(const mbedtls_x509_crt *crt, int kind)
{
    size_t count = 0;
    struct span value;
    for (const mbedtls_x509_sequence *san = x509_san_first(crt); san != NULL; san = san->next) {
        count += x509_san(san, &value) == kind;
    }
    return count;
}

static struct span *copy_sans(struct arena *arena, const mbedtls_x509_crt *crt, int kind,
                              size_t *count)
{
    *count = count_sans(crt, kind);
    struct span *to = arena_array(arena, *count, sizeof(*to));
    size_t at = 0;
    for (const mbedtls_x509_sequence *san = x509_san_first(crt); san != NULL; san = san->next) {
        struct span value;
        if (x509_san(san, &value) == kind) {
            to[at++] = arena_dup(arena, value);
        }
    }
    return to;
}

static void read_facts(struct arena *arena, const mbedtls_x509_crt *crt, struct x509_facts *out)
{
    out->spiffe_id = arena_dup(arena, x509_spiffe_id(crt));
    out->uris = copy_sans(arena, crt, X509_SAN_URI, &out->uri_count);
    out->dns = copy_sans(arena, crt, X509_SAN_DNS, &out->dns_count);
    out->subject = x509_name_text(arena, &crt->subject);
    out->issuer = x509_name_text(arena, &crt->issuer);
    char *hex = arena_bytes(arena, 2 * crt->serial.len);
    out->serial_hex = span_from(hex, hex_encode(span_from(crt->serial.p, crt->serial.len), hex));
    out->not_before_s = x509_time(&crt->valid_from);
    out->not_after_s = x509_time(&crt->valid_to);
    out->ca = mbedtls_x509_crt_get_ca_istrue(crt) > 0;
    x509_sha256(crt, out->sha256);
}

int x509_read(struct arena *arena, struct span pem, struct x509_facts **out, size_t *count,
              struct err *err)
{
    mbedtls_x509_crt chain;
    mbedtls_x509_crt_init(&chain);
    int code = x509_parse_chain(&chain, pem, err);
    if (code == 0) {
        *count = 0;
        for (const mbedtls_x509_crt *crt = &chain; crt != NULL; crt = crt->next) {
            ++*count;
        }
        *out = arena_array(arena, *count, sizeof(**out));
        struct x509_facts *facts = *out;
        for (const mbedtls_x509_crt *crt = &chain; crt != NULL; crt = crt->next) {
            read_facts(arena, crt, facts++);
        }
    }
    mbedtls_x509_crt_free(&chain);
    return code;
}
