#ifndef PROXY_DOWNSTREAM_WHO_H
#define PROXY_DOWNSTREAM_WHO_H
/* Who a downstream peer proved to be, in the forms that policy, headers, metrics and logs want; copied once a
 * connection. */
#include "base/arena.h"
#include "io/io.h"
#include "proxy/report/stats.h"

struct who {
    struct span principal; /* URI SAN, else DNS SAN, else subject */
    struct span uri, dns, subject, sha256_hex, sni, local_uri;
    struct stats_workload labels; /* what metrics know of the peer */
};
struct tls_peer;
/* Who is at the other end of the connection, or of the one that carries it; NULL without TLS. */
const struct tls_peer *who_peer(const struct io *io);
/* Texts go into `arena`. */
void who_read(struct who *w, struct io *io, struct span sni, struct span local_uri,
              struct arena *arena);
#endif
