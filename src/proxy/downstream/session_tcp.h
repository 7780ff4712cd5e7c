#ifndef PROXY_DOWNSTREAM_SESSION_TCP_H
#define PROXY_DOWNSTREAM_SESSION_TCP_H
/* An opaque downstream connection: authorization, one endpoint, and bytes both ways until both have ended.
 * Source: Envoy TcpProxy. In: downstream/arrival. Out: upstream/connect. Next: io/relay, then report/. */
#include "proxy/downstream/session_http.h"

void session_tcp_start_take(const struct session_start *start);
#endif
