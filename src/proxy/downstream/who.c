/* The peer's identity as text: see who.h. */
#include "proxy/downstream/who.h"

#include "codec/hex.h"
#include "http/io_tunnel.h"
#include "mesh/identity.h"
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
