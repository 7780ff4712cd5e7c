#ifndef TLS_IO_TLS_H
#define TLS_IO_TLS_H
/* TLS 1.3 and 1.2 as a struct io above another. Buffered: one large read of the lower stream into the
 * thread's shared buffer, one gathered send per writev, records of at most 16,383 bytes (one more and
 * mbedTLS cuts two). Ciphertext that the lower stream refuses waits here; until it is gone writev
 * answers -EAGAIN.
 *
 *   HANDSHAKE --on_done(0)--> OPEN --close_notify both ways--> SHUT
 *       |  bad peer, deadline: alert, then on_done(-ERR_DENIED | -ERR_TLS | -ERR_TIMEOUT | ...)
 *
 * As a stream: read answers 0 only after the peer's close_notify; an end without it is -ERR_EOF
 * (truncation). shut sends close_notify and then ends the lower direction; reading goes on (half-close).
 * close and io_abort send nothing: without a shut before, the peer sees a truncated stream. */
#include "base/compiler.h"
#include "base/span.h"
#include "io/io.h"
#include "tls/tls_ctx.h"

/* Who the other end proved to be. Spans live as long as the stream. */
struct tls_peer {
    bool verified; /* presented a certificate and it verified */
    struct span
        spiffe_id;       /* "spiffe://..." or empty; empty unless verified, like the next eleven */
    struct span dns_san; /* first one, or empty */
    const struct span *dns_sans; /* all */
    size_t dns_san_count;
    const struct span *chain; /* DER, the leaf first, where tls_ctx_spec.keep_chain asks for it */
    size_t chain_count;
    struct span subject;               /* RFC 2253 text, or empty */
    uint8_t sha256[32];                /* of the leaf's DER */
    struct span serial;                /* of the leaf: bytes, or empty */
    int64_t not_before_s, not_after_s; /* of the leaf; a connection may outlive it */
    struct span alpn;                  /* negotiated, or empty */
    struct span sni;                   /* server: what the client asked for, in lower case */
    uint16_t version;                  /* 0x0303, 0x0304 */
    const char *suite;                 /* IANA name; static */
};

struct io_tls_spec {
    struct io *lower;    /* taken, also on failure; not itself TLS */
    struct tls_ctx *ctx; /* a reference is kept */
    struct span
        first_bytes;      /* read from lower before TLS began (sniffing); copied; at most 64 KiB */
    struct span sni;      /* client: overrides the ctx's, when not empty; at most 255 bytes */
    enum tls_offer offer; /* client: which protocols are offered */
    int64_t handshake_ms; /* deadline; 0 = 10 s */
    /* Once. On a negative code the stream is useless: the owner closes it. `why` names the failing
     * check ("peer is 'spiffe://x', allowed are ..."), for a debug line and the denial counter; it is
     * "" on success and dies with the stream. */
    void (*on_done)(void *arg, struct io *io, int code, const char *why);
    void *arg;
};

/* Starts the handshake; on_done never comes before this returned. */
struct io *io_tls_start_take(struct loop *loop, const struct io_tls_spec *spec);
/* After on_done(0). */
const struct tls_peer *io_tls_peer(const struct io *io);
extern const struct io_ops io_tls_ops;
static inline bool io_is_tls(const struct io *io)
{
    return io->ops == &io_tls_ops;
}
/* Too many records under one key: finish what runs and replace the connection. */
bool io_tls_is_worn(const struct io *io);
/* Why the last read or write failed, or the handshake ("peer sent the alert 'unknown ca'"); "" if nothing
 * did. Dies with the stream. */
const char *io_tls_why(const struct io *io);
#endif
