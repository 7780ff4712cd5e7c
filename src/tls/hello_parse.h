#ifndef TLS_HELLO_PARSE_H
#define TLS_HELLO_PARSE_H
/* What a ClientHello asks for, read from peeked bytes without taking part (RFC 8446 section 4.1.2, RFC
 * 6066 section 3, RFC 7301): to choose a filter chain by SNI and ALPN, or to pass TLS through. Handles
 * a hello spread over several records. */
#include "base/compiler.h"
#include "base/span.h"

#define HELLO_BYTES_MAX 65536
#define HELLO_ALPN_MAX 16

struct hello {
    struct span sni; /* lower-cased host name; lives in `text` */
    struct span alpn[HELLO_ALPN_MAX];
    size_t alpn_count;
    uint16_t max_version;
    /* private */
    char text[2048];
};

enum { HELLO_BAD = -1, HELLO_MORE = -2, HELLO_NOT_TLS = -3 };
/* 0 when complete; or one of the above. Keeps nothing of `bytes`. */
int hello_parse(struct span bytes, struct hello *out);
#endif
