#ifndef PROXY_CONFIG_TLS_BIND_H
#define PROXY_CONFIG_TLS_BIND_H
/* A worker's TLS context for one place in the configuration (a filter chain, a cluster, a transport match),
 * rebuilt when its settings or the secrets behind them change. Open connections keep the old context by
 * reference. Without its secrets a binding has no context, and its place fails closed. */
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "proxy/config/snapshot.h"
#include "tls/tls_ctx.h"

struct tls_bind {
    struct tls_ctx *ctx; /* owned reference; NULL while secrets are missing or broken */
    struct span local_uri; /* our own SPIFFE ID here; empty without a certificate */
    /* private */
    struct buf uri_text;
    const struct conf_tls *conf;
    const struct conf_secret *identity, *trust;
};

/* Brings the binding up to date with the snapshot; returns true when the context changed, so that the owner
 * can drain what was built on the old one. `conf` NULL = plaintext. */
bool tls_bind_update(struct tls_bind *b, const struct conf_tls *conf, const struct snapshot *s);
void tls_bind_dispose(struct tls_bind *b);
#endif
