#ifndef HTTP_IO_TUNNEL_H
#define HTTP_IO_TUNNEL_H
/* A struct io over an opaque exchange: CONNECT answered with 2xx, seen from either end (RFC 9113 section 8.5; RFC 9110
 * section 9.3.6). What runs in a tunnel (HTTP, TLS, opaque bytes) does not know that it does.
 *
 *    owner (arrival, http conn, relay ...)
 *      | struct io: read, writev, shut, close
 *    io_tunnel ---http_stream---> http_conn, shared with other tunnels ---> io_tls ---> io_tcp
 *
 * END_STREAM is the end of a direction; RST_STREAM and the connection's end are a reset. Credit is given back for what the owner has
 * read, so a slow reader stops the far end; writes answer -EAGAIN while the peer's window keeps a queue of 64 KiB
 * waiting. Events are told in the loop's ready phase, never from within the connection below: the thread's read buffer is free then.
 * A stream that is closed in order lingers until what was written has left; it is reset when the far end goes on sending.      */
#include "base/compiler.h"
#include "http/http_conn.h"
#include "io/io.h"

struct tls_peer;

/* Takes the stream over, after the 2xx was sent or has come. Never NULL. `peer` and `local` are the addresses that the io shall show. */
struct io *io_tunnel_take(struct http_stream *s, const struct addr *peer, const struct addr *local);
extern const struct io_ops io_tunnel_ops;
static inline bool io_is_tunnel(const struct io *io)
{
    return io->ops == &io_tunnel_ops;
}
/* Who is at the far end of the connection that carries the tunnel; NULL where that has no TLS. Kept for the tunnel's life, also when
 * the connection is gone: what came by it came from them. */
const struct tls_peer *io_tunnel_peer(const struct io *io);
#endif
