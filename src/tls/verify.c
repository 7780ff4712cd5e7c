/* Whom to believe.
 * In: tls/io_tls, through mbedTLS's callback.  Out: struct verify_result. */
#include "tls/verify_int.h"

#include <stdio.h>

#include <mbedtls/oid.h>

#include "base/log.h"
#include "codec/ip.h"
#include "mesh/identity.h"
#include "tls/x509_int.h"

enum {
    NAMES_SHOWN = 4,       /* of the allowed ones, in `why` */
    NAME_BYTES_SHOWN = 96, /* of each */
};

/* --- rules --- */

static int add_bundle(struct verify_rules *rules, const struct tls_trust *trust, struct err *err)
{
    mbedtls_x509_crt *last = &rules->roots;
    while (last->next != NULL) {
        last = last->next;
    }
    bool was_empty = last->version == 0;
    int skipped;
    int code = x509_parse_roots(&rules->roots, trust->roots_pem, &skipped, err);
    if (code != 0) {
        err_prefix(err, "trust bundle '%.*s'", SPAN_ARG(trust->trust_domain));
        return code;
    }
    struct verify_bundle *bundle = &rules->bundles[rules->bundle_count];
    bundle->trust_domain = arena_dup(&rules->arena, trust->trust_domain);
    bundle->first = was_empty ? &rules->roots : last->next;
    for (const mbedtls_x509_crt *crt = bundle->first; crt != NULL; crt = crt->next) {
        bundle->count++;
    }
    if (bundle->count == 0) {
        return err_set(err, -ERR_CONFIG, "trust bundle '%.*s': no usable certificate in PEM",
                       SPAN_ARG(trust->trust_domain));
    }
    rules->bundle_count++;
    if (skipped > 0) {
        log_warn("tls", "trust bundle '%.*s' used without what does not parse skipped=%d",
                 SPAN_ARG(trust->trust_domain), skipped);
    }
    return 0;
}

int verify_rules_init(struct verify_rules *rules, const struct tls_ctx_spec *spec, struct err *err)
{
    *rules = (struct verify_rules){
        .peer_is_client = spec->server,
        .refuse_hard = spec->peer_mode == TLS_PEER_OPTIONAL || spec->pin != NULL,
        .has_pin = spec->pin != NULL,
        .allowed_count = spec->allowed_count,
    };
    if (spec->pin != NULL) {
        memcpy(rules->pin, spec->pin, sizeof(rules->pin));
    }
    arena_init(&rules->arena, 512);
    mbedtls_x509_crt_init(&rules->roots);
    rules->bundles = arena_array(&rules->arena, spec->trust_count, sizeof(*rules->bundles));
    rules->allowed = arena_array(&rules->arena, spec->allowed_count, sizeof(*rules->allowed));
    for (size_t i = 0; i < spec->allowed_count; i++) {
        rules->allowed[i] = spec->allowed[i];
        rules->allowed[i].text = arena_dup(&rules->arena, spec->allowed[i].text);
    }
    for (size_t i = 0; i < spec->trust_count; i++) {
        int code = add_bundle(rules, &spec->trust[i], err);
        if (code != 0) {
            verify_rules_dispose(rules);
            return code;
        }
    }
    return 0;
}

void verify_rules_dispose(struct verify_rules *rules)
{
    mbedtls_x509_crt_free(&rules->roots);
    arena_dispose(&rules->arena);
}

/* --- refusing --- */

static void refuse(struct verify_result *v, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The first reason stays. */
static void refuse(struct verify_result *v, const char *fmt, ...)
{
    if (v->refused) {
        return;
    }
    v->refused = true;
    char text[ERR_TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    ASSERT(len >= 0);
    (void)err_set(&v->why, -ERR_DENIED, "%s", text); /* kept, not returned */
}

/* mbedTLS's findings, the most telling first. */
static const struct {
    uint32_t flag;
    const char *text;
} findings[] = {
    {MBEDTLS_X509_BADCERT_NOT_TRUSTED, "is not signed by a trusted root"},
    {MBEDTLS_X509_BADCERT_EXPIRED, "has expired"},
    {MBEDTLS_X509_BADCERT_FUTURE, "is not valid yet"},
    {MBEDTLS_X509_BADCERT_BAD_MD, "is signed with a hash that is too weak"},
    {MBEDTLS_X509_BADCERT_BAD_PK, "has a kind of key that is not accepted"},
    {MBEDTLS_X509_BADCERT_BAD_KEY, "has a key that is too weak"},
    {MBEDTLS_X509_BADCERT_KEY_USAGE, "is not meant for signing handshakes (key usage)"},
    {MBEDTLS_X509_BADCERT_EXT_KEY_USAGE, "is not meant for this side (extended key usage)"},
};

static const char *finding_text(uint32_t flags)
{
    for (size_t i = 0; i < ARRAY_LEN(findings); i++) {
        if ((flags & findings[i].flag) != 0) {
            return findings[i].text;
        }
    }
    return "is not acceptable";
}

/* What to call the peer: its SPIFFE ID, first DNS name or subject. */
static struct span peer_name(const struct verify_result *v)
{
    struct span name = v->spiffe_id.len > 0 ? v->spiffe_id
                       : v->dns_san.len > 0 ? v->dns_san
                                            : v->subject;
    return span_first(name.len > 0 ? name : SPAN("(no name)"), 256);
}

/* --- names --- */

static bool text_matches(const struct tls_san_match *m, struct span value)
{
    switch (m->kind) {
    case TLS_MATCH_EXACT:
        return m->ignore_case ? span_eq_nocase(value, m->text) : span_eq(value, m->text);
    case TLS_MATCH_PREFIX:
        return m->ignore_case ? span_starts_nocase(value, m->text) : span_starts(value, m->text);
    case TLS_MATCH_SUFFIX:
        return m->ignore_case ? span_ends_nocase(value, m->text) : span_ends(value, m->text);
    case TLS_MATCH_CONTAINS:
        break;
    }
    for (size_t i = 0; i + m->text.len <= value.len; i++) {
        struct span part = span_from(value.at + i, m->text.len);
        if (m->ignore_case ? span_eq_nocase(part, m->text) : span_eq(part, m->text)) {
            return true;
        }
    }
    return false;
}

/* RFC 6125 section 6.4.3: "*.x.y" of a certificate covers exactly one label, the whole leftmost one, and
 * names compare without regard to case. "*.y" covers nothing: a whole top-level domain. */
static bool dns_exact_matches(struct span pattern, struct span name)
{
    if (span_eq_nocase(pattern, name)) {
        return true;
    }
    if (!span_starts(pattern, SPAN("*."))) {
        return false;
    }
    struct span rest = span_from_offset(pattern, 1); /* ".x.y" */
    ssize_t dot = span_find_byte(name, '.');
    return span_find_byte(span_from_offset(rest, 1), '.') > 0 && dot > 0 &&
           span_eq_nocase(span_from_offset(name, (size_t)dot), rest);
}

static bool san_matches(const struct tls_san_match *m, int kind, struct span value)
{
    char text[IP_TEXT_BYTES];
    switch (m->san) {
    case TLS_SAN_URI:
        return kind == X509_SAN_URI && text_matches(m, value);
    case TLS_SAN_DNS:
        return kind == X509_SAN_DNS &&
               (m->kind == TLS_MATCH_EXACT ? dns_exact_matches(value, m->text)
                                           : text_matches(m, value));
    case TLS_SAN_IP:
        break;
    }
    if (kind != X509_SAN_IP) {
        return false;
    }
    struct ip ip = ip_from_bytes(value.at, value.len);
    return ip.family != 0 && text_matches(m, span_of(ip_format(&ip, text)));
}

static bool is_allowed(const struct verify_rules *rules, const mbedtls_x509_crt *leaf)
{
    if (rules->allowed_count == 0) {
        return true;
    }
    for (const mbedtls_x509_sequence *san = x509_san_first(leaf); san != NULL; san = san->next) {
        struct span value;
        int kind = x509_san(san, &value);
        for (size_t i = 0; i < rules->allowed_count; i++) {
            if (san_matches(&rules->allowed[i], kind, value)) {
                return true;
            }
        }
    }
    return false;
}

static void refuse_name(struct verify_result *v)
{
    static const char *const ends[][2] = {
        [TLS_MATCH_EXACT] = {"", ""},
        [TLS_MATCH_PREFIX] = {"", "*"},
        [TLS_MATCH_SUFFIX] = {"*", ""},
        [TLS_MATCH_CONTAINS] = {"*", "*"},
    };
    const struct verify_rules *rules = v->rules;
    char list[NAMES_SHOWN * (NAME_BYTES_SHOWN + 8)];
    size_t at = 0;
    list[0] = '\0';
    for (size_t i = 0; i < rules->allowed_count && i < NAMES_SHOWN; i++) {
        const struct tls_san_match *m = &rules->allowed[i];
        struct span text = span_first(m->text, NAME_BYTES_SHOWN);
        int len = snprintf(list + at, sizeof(list) - at, "%s'%s%.*s%s'", i > 0 ? ", " : "",
                           ends[m->kind][0], SPAN_ARG(text), ends[m->kind][1]);
        at = size_min(at + (size_t)len, sizeof(list) - 1);
    }
    refuse(v, "peer is '%.*s', allowed are %s%s", SPAN_ARG(peer_name(v)), list,
           rules->allowed_count > NAMES_SHOWN ? ", ..." : "");
}

/* --- certificates --- */

static bool bundle_has(const struct verify_bundle *bundle, const mbedtls_x509_crt *root)
{
    const mbedtls_x509_crt *crt = bundle->first;
    for (size_t i = 0; i < bundle->count; i++, crt = crt->next) {
        if (span_eq(span_from(crt->raw.p, crt->raw.len), span_from(root->raw.p, root->raw.len))) {
            return true;
        }
    }
    return false;
}

/* The bundles of that trust domain; where there is none, those for any. */
static bool root_is_trusted(const struct verify_result *v, struct span trust_domain)
{
    const struct verify_rules *rules = v->rules;
    if (rules->has_pin) {
        return v->top_is_pinned;
    }
    bool named = false;
    for (size_t i = 0; i < rules->bundle_count && trust_domain.len > 0; i++) {
        named |= span_eq(rules->bundles[i].trust_domain, trust_domain);
    }
    struct span wanted = named ? trust_domain : SPAN_EMPTY;
    for (size_t i = 0; i < rules->bundle_count; i++) {
        if (span_eq(rules->bundles[i].trust_domain, wanted) &&
            bundle_has(&rules->bundles[i], v->top)) {
            return true;
        }
    }
    return false;
}

static void keep_dns_names(struct verify_result *v, const mbedtls_x509_crt *leaf, size_t count)
{
    struct span value;
    size_t at = 0;
    v->dns_sans = arena_array(v->arena, count, sizeof(*v->dns_sans));
    for (const mbedtls_x509_sequence *san = x509_san_first(leaf); san != NULL && at < count;
         san = san->next) {
        if (x509_san(san, &value) == X509_SAN_DNS) {
            v->dns_sans[at++] = arena_dup(v->arena, value);
        }
    }
    v->dns_san_count = at;
    v->dns_san = at > 0 ? v->dns_sans[0] : SPAN_EMPTY;
}

/* SPIFFE X.509-SVID section 2: one URI SAN and no other; a certificate that mixes is no SVID and no plain
 * one either. Returns false when refused. */
static bool read_names(struct verify_result *v, const mbedtls_x509_crt *leaf, struct identity *id)
{
    struct span uri = SPAN_EMPTY, value;
    size_t uri_count = 0, dns_count = 0;
    bool has_spiffe = false;
    for (const mbedtls_x509_sequence *san = x509_san_first(leaf); san != NULL; san = san->next) {
        int kind = x509_san(san, &value);
        if (kind == X509_SAN_URI) {
            uri = value;
            uri_count++;
            has_spiffe |= span_starts_nocase(value, SPAN("spiffe:"));
        } else if (kind == X509_SAN_DNS) {
            dns_count++;
        }
    }
    keep_dns_names(v, leaf, dns_count);
    v->subject = x509_name_text(v->arena, &leaf->subject);
    *id = (struct identity){.path = SPAN_EMPTY};
    if (!has_spiffe) {
        return true;
    }
    v->spiffe_id = arena_dup(v->arena, uri);
    if (uri_count != 1) {
        refuse(v, "peer '%.*s' has %zu URI names; a SPIFFE certificate has one",
               SPAN_ARG(peer_name(v)), uri_count);
    } else if (identity_parse(v->spiffe_id, id) != 0 ||
               !span_starts(v->spiffe_id, SPAN("spiffe://"))) {
        /* Schemes may be written in capitals (RFC 3986), but policy compares text: one spelling only. */
        refuse(v, "peer's URI name '%.*s' is not a SPIFFE ID", SPAN_ARG(peer_name(v)));
    } else if (id->path.len == 0) {
        refuse(v, "peer '%.*s' is a trust domain, not a workload", SPAN_ARG(peer_name(v)));
    }
    return !v->refused;
}

static void check_usage(struct verify_result *v, const mbedtls_x509_crt *leaf)
{
    bool client = v->rules->peer_is_client;
    const char *oid = client ? MBEDTLS_OID_CLIENT_AUTH : MBEDTLS_OID_SERVER_AUTH;
    size_t len = client ? MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)
                        : MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH);
    if (v->spiffe_id.len > 0 && mbedtls_x509_crt_get_ca_istrue(leaf) > 0) {
        refuse(v, "peer '%.*s' shows a CA's certificate", SPAN_ARG(peer_name(v)));
    }
    if (mbedtls_x509_crt_check_key_usage(leaf, MBEDTLS_X509_KU_DIGITAL_SIGNATURE) != 0) {
        v->flags |= MBEDTLS_X509_BADCERT_KEY_USAGE;
    }
    if (mbedtls_x509_crt_check_extended_key_usage(leaf, oid, len) != 0) {
        v->flags |= MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
    }
}

static void check_leaf(struct verify_result *v, const mbedtls_x509_crt *leaf)
{
    struct identity id;
    x509_sha256(leaf, v->sha256);
    v->serial = arena_dup(v->arena, span_from(leaf->serial.p, leaf->serial.len));
    v->not_before_s = x509_time(&leaf->valid_from);
    v->not_after_s = x509_time(&leaf->valid_to);
    if (!read_names(v, leaf, &id)) {
        return;
    }
    check_usage(v, leaf);
    if (v->flags != 0) {
        refuse(v, "certificate of '%.*s' %s", SPAN_ARG(peer_name(v)), finding_text(v->flags));
    } else if (!root_is_trusted(v, id.trust_domain)) {
        refuse(v, "certificate of '%.*s' is not signed by a root of its trust domain",
               SPAN_ARG(peer_name(v)));
    } else if (!is_allowed(v->rules, leaf)) {
        refuse_name(v);
    }
}

/* The root that was pinned stands in for trusted ones; mbedTLS has checked that it signs what is below it. It is no leaf. */
static void look_for_pin(struct verify_result *v, int depth, uint32_t *flags)
{
    uint8_t hash[32];
    x509_sha256(v->top, hash);
    v->top_is_pinned = depth > 0 && memcmp(hash, v->rules->pin, sizeof(hash)) == 0;
    if (v->top_is_pinned) {
        *flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_NOT_TRUSTED;
    }
}

int verify_on_cert(void *result, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct verify_result *v = result;
    *flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_CN_MISMATCH; /* see the header */
    if (v->top == NULL) {
        v->top = crt;
        if (v->rules->has_pin) {
            look_for_pin(v, depth, flags);
        }
    }
    v->flags |= *flags;
    /* A critical one does not even parse. */
    if (x509_has_extension(crt, SPAN(MBEDTLS_OID_NAME_CONSTRAINTS))) {
        refuse(v, "chain has name constraints, which are not supported");
    }
    if (depth > 0) {
        return 0;
    }
    check_leaf(v, crt);
    v->top = NULL;
    v->top_is_pinned = false;
    v->passed = !v->refused && v->flags == 0;
    if (v->passed) {
        return 0;
    }
    if (v->rules->refuse_hard) {
        return MBEDTLS_ERR_X509_FATAL_ERROR;
    }
    /* mbedTLS picks the alert by the flags. */
    *flags |= v->flags != 0 ? v->flags : MBEDTLS_X509_BADCERT_OTHER;
    return 0;
}
