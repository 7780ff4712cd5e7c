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
    struct tls_ctx *ctx;   /* owned reference; NULL while secrets are missing or broken */
    struct span local_uri; /* our own SPIFFE ID here; empty without a certificate */
    /* private */
    struct buf uri_text;
    const struct conf_tls *conf;
    const struct conf_secret *identity, *trust;
};

/* What an update changed. New connections use the new context in any case; those that are open go on with the old
 * one, unless whom we trust, whom we accept or what we ask for has changed: then the owner drains them. */
enum tls_bind_change { TLS_BIND_SAME, TLS_BIND_IDENTITY, TLS_BIND_TRUST };
/* Brings the binding up to date with the snapshot. `conf` NULL = plaintext. */
enum tls_bind_change tls_bind_update(struct tls_bind *b, const struct conf_tls *conf,
                                     const struct snapshot *s);
/* May connections made under `old` go on under `now`? Both up to date with their snapshots. */
bool tls_bind_keeps(const struct tls_bind *old, const struct tls_bind *now);
void tls_bind_dispose(struct tls_bind *b);
#endif
