#ifndef PROXY_DOWNSTREAM_SNIFF_H
#define PROXY_DOWNSTREAM_SNIFF_H
/* What a new connection speaks, found from its first bytes without taking part: TLS (with SNI and ALPN), HTTP/2,
 * HTTP/1, or something else. It waits only while the bytes so far could still become either, and no longer than
 * the listener allows; a protocol whose server speaks first sends nothing, and is opaque when the time is up.
 * Source: Envoy tls_inspector, http_inspector, Listener.listener_filters_timeout.                              */
#include "base/compiler.h"
#include "base/span.h"
#include "tls/hello_parse.h"

#define SNIFF_BYTES_MAX 65536

enum sniff_kind {
    SNIFF_MORE, /* not yet known */
    SNIFF_TLS,
    SNIFF_HTTP2, /* the client connection preface (RFC 9113 section 3.4) */
    SNIFF_HTTP1, /* a method, a target, "HTTP/1." */
    SNIFF_OPAQUE,
};

struct sniff_want {
    bool tls, http;
};

/* Pure: `hello` is filled for SNIFF_TLS. */
enum sniff_kind sniff(struct span bytes, struct sniff_want want, struct hello *hello);
#endif
