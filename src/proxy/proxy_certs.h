#ifndef PROXY_PROXY_CERTS_H
#define PROXY_PROXY_CERTS_H
/* Envoy's /certs: the certificates of the current snapshot with their names and the days they have left. */
#include "base/buf.h"
#include "base/compiler.h"
#include "proxy/config/snapshot.h"

/* Appends JSON ({"certificates": [{"ca_cert": [...], "cert_chain": [...]}]}); `s` may be NULL. -ERR_LIMIT. */
MUST_USE int proxy_certs_write(const struct snapshot *s, struct buf *out);
#endif
