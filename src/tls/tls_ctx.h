#ifndef TLS_TLS_CTX_H
#define TLS_TLS_CTX_H
/* What a TLS end knows before a connection: own certificate, whom it trusts, whom it accepts, ALPN and
 * versions. Immutable after creation; built once per worker from PEM held by the snapshot (mbedTLS's
 * parsed forms are not shared between threads). Suites and groups are set explicitly: AES-128-GCM,
 * AES-256-GCM, ChaCha20-Poly1305; P-256, X25519, P-384 (as a TLS 1.3 server mbedTLS takes what the client
 * likes best of these). No renegotiation, no resumption, no early data: a resumed session would carry no
 * identity. Call tls_init (tls/tls.h) first.
 * Sources: RFC 8446, RFC 5246; SPIFFE X.509-SVID section 5 (validation); Envoy CommonTlsContext,
 * CertificateValidationContext.match_typed_subject_alt_names. */
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"

enum tls_peer_mode {
    TLS_PEER_NONE,     /* no certificate asked for (server), nothing verified (client: dangerous) */
    TLS_PEER_OPTIONAL, /* server: verified when given, refused when given and bad */
    TLS_PEER_REQUIRED,
};

enum tls_match_kind { TLS_MATCH_EXACT, TLS_MATCH_PREFIX, TLS_MATCH_SUFFIX, TLS_MATCH_CONTAINS };
enum tls_san_kind { TLS_SAN_URI, TLS_SAN_DNS, TLS_SAN_IP };

/* One allowed name. A regex of Envoy's StringMatcher is refused at ingest, not here. */
struct tls_san_match {
    enum tls_san_kind san;
    enum tls_match_kind kind;
    bool ignore_case;
    struct span
        text; /* TLS_SAN_DNS exact: a certificate's "*.x" covers one label (RFC 6125 6.4.3) */
};

/* A SPIFFE peer is held against the bundles of its own trust domain, and only where there is none of that
 * name against those for any; a peer without a SPIFFE ID always against those for any. */
struct tls_trust {
    struct span
        trust_domain; /* "cluster.local"; empty = any (plain X.509 roots, or one bundle for all) */
    struct span roots_pem;
};

/* Which protocols a client's connection offers (io_tls_spec.offer): what `alpn` says, or a list for what it will carry. */
enum tls_offer { TLS_OFFER_OPAQUE, TLS_OFFER_HTTP1, TLS_OFFER_HTTP2, TLS_OFFER_COUNT };
struct tls_alpn {
    const struct span *names;
    size_t count;
};

struct tls_ctx_spec {
    bool server;
    struct span chain_pem; /* leaf first; empty = none (client without identity) */
    struct span key_pem;
    const struct tls_trust *trust; /* per trust domain: a peer's SPIFFE ID picks its bundle */
    size_t trust_count;
    /* Client, in place of `trust`: the SHA-256 (32 bytes) of the root's DER. The server sends that root at the end of its chain, which
     * is all that is trusted. NULL = none. */
    const uint8_t *pin;
    enum tls_peer_mode peer_mode;
    /* Secure naming: when there are any, a peer must match one of them; none = any verified peer. */
    const struct tls_san_match *allowed;
    size_t allowed_count;
    const struct span
        *alpn; /* in order of preference; a server picks its first that the client offers */
    size_t alpn_count;
    struct tls_alpn offers[TLS_OFFER_COUNT]; /* client: in place of `alpn`; empty = `alpn` */
    struct span sni;                         /* client: sent; empty = none */
    uint16_t min_version;                    /* 0x0303 or 0x0304; 0 = 0x0303 */
    uint16_t max_version;                    /* 0 = 0x0304 */
    bool keep_chain; /* server: tls_peer.chain holds what the client showed */
    uint64_t
        record_limit; /* records per direction before io_tls_is_worn; 0 = 2^23, which is the most:
                                 there is no KeyUpdate. At 2.8 times this the stream refuses to go on. */
};

struct tls_ctx;
/* Spans are copied. -ERR_CONFIG with what is wrong with which part (never a key's content): among others a
 * server without a certificate, a key that does not belong to it, a mode that verifies without any roots, and
 * `allowed` names or TLS_PEER_OPTIONAL where they would mean nothing (mode none; a client). */
MUST_USE int tls_ctx_new(struct tls_ctx **out, const struct tls_ctx_spec *spec, struct err *err);
void tls_ctx_get(struct tls_ctx *ctx); /* one thread's plain counter: connections hold it */
void tls_ctx_put(struct tls_ctx *ctx); /* NULL is fine */
/* Seconds since 1970 when the own leaf ends; 0 without one. */
int64_t tls_ctx_not_after(const struct tls_ctx *ctx);
#endif
