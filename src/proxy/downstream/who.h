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
struct conf_http;
struct tls_peer;
/* Who is at the other end of the connection, or of the one that carries it; NULL without TLS. */
const struct tls_peer *who_peer(const struct io *io);
/* Texts go into `arena`. */
void who_read(struct who *w, struct io *io, struct span sni, struct span local_uri,
              struct arena *arena);
/* The peer's element of x-forwarded-client-cert, By=...;Hash=...;Cert="...";Chain="...";Subject="...";URI=...;DNS=..., with what the
 * listener asks for; empty where nobody was proven. Cert and Chain are PEM, percent-encoded. Source: Envoy
 * "x-forwarded-client-cert", HttpConnectionManager.SetCurrentClientCertDetails. */
struct span who_client_cert(const struct who *w, const struct io *io, const struct conf_http *conf,
                            struct arena *arena);
#endif
