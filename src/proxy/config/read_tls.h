#ifndef PROXY_CONFIG_READ_TLS_H
#define PROXY_CONFIG_READ_TLS_H
/* Transport sockets and secrets -> conf_tls, conf_secret.
 * Source: envoy.extensions.transport_sockets.tls.v3 (CommonTlsContext, CertificateValidationContext). What
 * would weaken a check (untrusted chains, expired certificates) or could not be checked (CRLs, pinned keys,
 * regular expressions on names) is refused. */
#include "proxy/config/read.h"

struct pb_tls_Secret;

/* `*out` NULL: plaintext. `server`: wants DownstreamTlsContext, else UpstreamTlsContext. */
MUST_USE int read_tls_socket(struct read *rd, const struct conf_tls **out, bool server,
                             const struct pb_core_TransportSocket *config, struct err *err);
MUST_USE int read_tls_secret(struct read *rd, struct conf_secret *out,
                             const struct pb_tls_Secret *config, struct err *err);
#endif
