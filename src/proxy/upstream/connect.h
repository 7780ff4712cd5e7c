#ifndef PROXY_UPSTREAM_CONNECT_H
#define PROXY_UPSTREAM_CONNECT_H
/* From an endpoint to an open stream: dial, then TLS with secure naming where the endpoint asks for it, under
 * one deadline (Cluster.connect_timeout). Counts the connection against the circuit breaker until
 * connect_released. */
#include "base/compiler.h"
#include "io/io.h"
#include "proxy/report/outcome.h"
#include "codec/proxy_protocol.h"
#include "proxy/upstream/endpoint.h"

struct connect;
struct connect_events {
    /* Takes `io`. */
    void (*on_done)(void *arg, struct io *io);
    void (*on_fail)(void *arg, enum outcome why, struct span failure);
};

/* NULL when the breaker is full and `force` is not set (OUTCOME_OVERFLOW). Never calls back at once. */
struct connect *connect_start(struct endpoint *e, enum tls_offer offer, bool force,
                              const struct connect_events *ev, void *arg);
/* Right after the start: whose connection it is, for clusters that tell so by the PROXY protocol. Without a word the
 * header says that it is nobody's (UNKNOWN, LOCAL). */
void connect_tell(struct connect *c, const struct proxy_protocol *whose);
/* No answer will come. Gives the breaker's place back. */
void connect_cancel(struct connect *c);
/* The connection made for this endpoint is closed: gives the breaker's place back. */
void connect_released(struct endpoint *e);
#endif
