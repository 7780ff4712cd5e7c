/* The peer's identity as text: see who.h. */
#include "proxy/downstream/who.h"

#include "codec/hex.h"
#include "codec/pem.h"
#include "codec/url.h"
#include "http/io_tunnel.h"
#include "mesh/identity.h"
#include "proxy/config/snapshot.h"
#include "tls/io_tls.h"

static struct span first_of(struct span a, struct span b, struct span c)
{
    return a.len > 0 ? a : b.len > 0 ? b : c;
}

static void read_peer(struct who *w, const struct tls_peer *peer, struct arena *arena)
{
    if (w->sni.len == 0) {
        w->sni = arena_dup(arena, peer->sni);
    }
    if (!peer->verified) {
        return;
    }
    w->uri = arena_dup(arena, peer->spiffe_id);
    w->dns = arena_dup(arena, peer->dns_san);
    w->subject = arena_dup(arena, peer->subject);
    w->principal = first_of(w->uri, w->dns, w->subject);
    char *hex = arena_bytes(arena, 2 * sizeof(peer->sha256));
    hex_encode(span_from(peer->sha256, sizeof(peer->sha256)), hex);
    w->sha256_hex = span_from(hex, 2 * sizeof(peer->sha256));
    w->labels.principal = w->principal;
    struct identity id;
    if (w->uri.len > 0 && identity_parse(w->uri, &id) == 0) {
        w->labels.workload_namespace = id.ns; /* the rest comes by peer metadata */
    }
}

const struct tls_peer *who_peer(const struct io *io)
{
    return io_is_tls(io) ? io_tls_peer(io) : io_is_tunnel(io) ? io_tunnel_peer(io) : NULL;
}

void who_read(struct who *w, struct io *io, struct span sni, struct span local_uri,
              struct arena *arena)
{
    *w = (struct who){0};
    w->sni = arena_dup(arena, sni);
    w->local_uri = arena_dup(arena, local_uri);
    const struct tls_peer *peer = who_peer(io);
    if (peer != NULL) {
        read_peer(w, peer, arena);
    }
}

#define CLIENT_CERT_BYTES (128 * 1024) /* a chain as text; what is larger is left out */

static int put(struct buf *b, const char *before, struct span value, const char *after)
{
    int rc = buf_span(b).len > 0 ? buf_append_span(b, SPAN(";")) : 0;
    rc = rc != 0 ? rc : buf_append_span(b, span_of(before));
    rc = rc != 0 ? rc : buf_append_span(b, value);
    return rc != 0 ? rc : buf_append_span(b, span_of(after));
}

/* PEM of the first `count` certificates, as it may stand in quotes. */
static int put_chain(struct buf *b, const char *before, const struct tls_peer *peer, size_t count)
{
    struct buf pem, text;
    buf_init(&pem, CLIENT_CERT_BYTES);
    buf_init(&text, CLIENT_CERT_BYTES);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = pem_write(SPAN("CERTIFICATE"), peer->chain[i], &pem);
    }
    rc = rc != 0 ? rc : url_encode(buf_span(&pem), "-", &text);
    rc = rc != 0 ? rc : put(b, before, buf_span(&text), "\"");
    buf_dispose(&pem);
    buf_dispose(&text);
    return rc;
}

struct span who_client_cert(const struct who *w, const struct io *io, const struct conf_http *conf,
                            struct arena *arena)
{
    const struct tls_peer *peer = who_peer(io);
    if (w->sha256_hex.len == 0 || peer == NULL) {
        return SPAN_EMPTY;
    }
    struct buf b;
    buf_init(&b, CLIENT_CERT_BYTES);
    int rc = w->local_uri.len > 0 ? put(&b, "By=", w->local_uri, "") : 0;
    rc = rc != 0 ? rc : put(&b, "Hash=", w->sha256_hex, "");
    if (rc == 0 && conf->xfcc_cert && peer->chain_count > 0) {
        rc = put_chain(&b, "Cert=\"", peer, 1);
    }
    if (rc == 0 && conf->xfcc_chain && peer->chain_count > 0) {
        rc = put_chain(&b, "Chain=\"", peer, peer->chain_count);
    }
    if (rc == 0 && conf->xfcc_subject) {
        rc = put(&b, "Subject=\"", w->subject, "\"");
    }
    if (rc == 0 && conf->xfcc_uri) {
        rc = put(&b, "URI=", w->uri, "");
    }
    for (size_t i = 0; i < peer->dns_san_count && rc == 0 && conf->xfcc_dns; i++) {
        rc = put(&b, "DNS=", peer->dns_sans[i], "");
    }
    struct span element = rc == 0 ? arena_dup(arena, buf_span(&b)) : SPAN_EMPTY;
    buf_dispose(&b);
    return element;
}
