/* From configured TLS and secrets to a worker's own context: see tls_bind.h.
 * In: config/snapshot. Out: tls_ctx. Next: upstream/cluster and downstream/entry use it. */
#include "proxy/config/tls_bind.h"

#include "base/log.h"
#include "mesh/names.h"
#include "tls/x509.h"

#define URI_MAX 2048 /* SPIFFE-ID section 2.3 */

static const struct conf_secret *secret_at(const struct snapshot *s, uint32_t slot)
{
    return slot < s->slots ? s->secrets[slot] : NULL;
}

/* Opaque bytes between sidecars come under a name of their own; requests tell by theirs what they are, so that the other side knows
 * HTTP where no port says so. Source: istio/proxy, HTTP filter alpn, with the lists that Istio gives it. */
static void fill_offers(struct tls_ctx_spec *spec)
{
    static const struct span http1[] = {SPAN_INIT(ALPN_MESH_HTTP_1_1), SPAN_INIT(ALPN_MESH),
                                        SPAN_INIT(ALPN_HTTP_1_1)};
    static const struct span http2[] = {SPAN_INIT(ALPN_MESH_H2), SPAN_INIT(ALPN_MESH),
                                        SPAN_INIT(ALPN_H2)};
    for (size_t i = 0; i < spec->alpn_count && !spec->server; i++) {
        if (span_is(spec->alpn[i], ALPN_PEER_EXCHANGE)) {
            spec->offers[TLS_OFFER_HTTP1] = (struct tls_alpn){http1, ARRAY_LEN(http1)};
            spec->offers[TLS_OFFER_HTTP2] = (struct tls_alpn){http2, ARRAY_LEN(http2)};
        }
    }
}

static struct tls_ctx *build(const struct conf_tls *conf, const struct conf_secret *identity,
                             const struct conf_secret *trust)
{
    struct tls_ctx_spec spec = {
        .server = conf->server,
        .chain_pem = identity ? identity->chain_pem : conf->chain_pem,
        .key_pem = identity ? identity->key_pem : conf->key_pem,
        .trust = trust ? trust->trust : conf->trust,
        .trust_count = trust ? trust->trust_count : conf->trust_count,
        .peer_mode = conf->peer_mode,
        .keep_chain = conf->keep_chain,
        /* A combined validation context merges the secret's names with the place's own; the place's win
         * (Envoy CombinedCertificateValidationContext). */
        .allowed = conf->allowed_count > 0 || !trust ? conf->allowed : trust->allowed,
        .allowed_count =
            conf->allowed_count > 0 || !trust ? conf->allowed_count : trust->allowed_count,
        .alpn = conf->alpn,
        .alpn_count = conf->alpn_count,
        .sni = conf->sni,
        .min_version = conf->min_version,
        .max_version = conf->max_version,
    };
    fill_offers(&spec);
    struct err err;
    struct tls_ctx *ctx = NULL;
    if (tls_ctx_new(&ctx, &spec, &err) != 0) {
        log_warn("tls", "context refused reason=\"%s\"", err.text);
        return NULL;
    }
    return ctx;
}

static void read_local_uri(struct tls_bind *b, struct span chain_pem)
{
    struct arena arena;
    struct x509_facts *facts;
    size_t count;
    arena_init(&arena, 4096);
    buf_init(&b->uri_text, URI_MAX);
    if (chain_pem.len > 0 && x509_read(&arena, chain_pem, &facts, &count, NULL) == 0 && count > 0 &&
        buf_append_span(&b->uri_text, facts[0].spiffe_id) == 0) {
        b->local_uri = buf_span(&b->uri_text);
    }
    arena_dispose(&arena);
}

static void forget(struct tls_bind *b)
{
    tls_ctx_put(b->ctx);
    b->ctx = NULL;
    buf_dispose(&b->uri_text);
    b->local_uri = SPAN_EMPTY;
}

static bool trusts_eq(const struct tls_trust *a, size_t a_count, const struct tls_trust *b,
                      size_t b_count)
{
    for (size_t i = 0; i < a_count && a_count == b_count; i++) {
        if (!span_eq(a[i].trust_domain, b[i].trust_domain) ||
            !span_eq(a[i].roots_pem, b[i].roots_pem)) {
            return false;
        }
    }
    return a_count == b_count;
}

static bool allowed_eq(const struct tls_san_match *a, size_t a_count, const struct tls_san_match *b,
                       size_t b_count)
{
    for (size_t i = 0; i < a_count && a_count == b_count; i++) {
        if (a[i].san != b[i].san || a[i].kind != b[i].kind ||
            a[i].ignore_case != b[i].ignore_case || !span_eq(a[i].text, b[i].text)) {
            return false;
        }
    }
    return a_count == b_count;
}

/* Would a connection made under `a` and `old` also be made under `b` and `now`? Own identity aside. */
static bool is_trust_eq(const struct conf_tls *a, const struct conf_secret *old,
                        const struct conf_tls *b, const struct conf_secret *now)
{
    if (a == NULL || b == NULL || (old == NULL) != (now == NULL)) {
        return false;
    }
    bool secrets = old == now ||
                   (trusts_eq(old->trust, old->trust_count, now->trust, now->trust_count) &&
                    allowed_eq(old->allowed, old->allowed_count, now->allowed, now->allowed_count));
    return secrets && a->server == b->server && a->peer_mode == b->peer_mode &&
           a->min_version == b->min_version && a->max_version == b->max_version &&
           span_eq(a->sni, b->sni) &&
           trusts_eq(a->trust, a->trust_count, b->trust, b->trust_count) &&
           allowed_eq(a->allowed, a->allowed_count, b->allowed, b->allowed_count);
}

/* The old settings are still there to compare with: the owner retires its old view after the update. */
enum tls_bind_change tls_bind_update(struct tls_bind *b, const struct conf_tls *conf,
                                     const struct snapshot *s)
{
    const struct conf_secret *identity = conf ? secret_at(s, conf->identity_slot) : NULL;
    const struct conf_secret *trust = conf ? secret_at(s, conf->trust_slot) : NULL;
    if (b->conf == conf && b->identity == identity && b->trust == trust) {
        return TLS_BIND_SAME;
    }
    enum tls_bind_change change =
        is_trust_eq(b->conf, b->trust, conf, trust) ? TLS_BIND_IDENTITY : TLS_BIND_TRUST;
    b->conf = conf;
    b->identity = identity;
    b->trust = trust;
    forget(b);
    if (conf == NULL) {
        return change;
    }
    bool missing = (conf->identity_slot != SLOT_NONE && identity == NULL) ||
                   (conf->trust_slot != SLOT_NONE && trust == NULL);
    if (!missing) {
        b->ctx = build(conf, identity, trust);
        read_local_uri(b, identity ? identity->chain_pem : conf->chain_pem);
    }
    return change;
}

bool tls_bind_keeps(const struct tls_bind *old, const struct tls_bind *now)
{
    bool plain = old->conf == NULL && now->conf == NULL;
    return plain || is_trust_eq(old->conf, old->trust, now->conf, now->trust);
}

void tls_bind_dispose(struct tls_bind *b)
{
    forget(b);
    *b = (struct tls_bind){0};
}
