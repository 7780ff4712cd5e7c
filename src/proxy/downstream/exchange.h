#ifndef PROXY_DOWNSTREAM_EXCHANGE_H
#define PROXY_DOWNSTREAM_EXCHANGE_H
/* Istio's metadata exchange on an opaque connection (ALPN istio-peer-exchange), as a stream above TLS: our frame goes out before the
 * first byte, the peer's is taken off what comes. Without the magic what came is passed on as it is: the peer does not take part. The
 * two directions do not wait for each other, so that a server may speak first.
 * Source: istio/proxy, network filter metadata_exchange. In: downstream/session_tcp. Next: io/relay. */
#include "base/compiler.h"
#include "io/io.h"
#include "proxy/report/peers.h"

struct exchange_spec {
    struct io *lower;  /* taken; nothing has been read of it */
    struct span frame; /* ours: borrowed for the stream's life */
    /* Once, unless the stream is closed before: the Any that the peer sent, or an empty span when there is none. Not before this
     * returned. */
    void (*on_peer)(void *arg, struct span any);
    void *arg;
};

struct io *exchange_start_take(struct loop *loop, const struct exchange_spec *spec);
#endif
