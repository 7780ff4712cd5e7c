#ifndef TLS_HELLO_PARSE_H
#define TLS_HELLO_PARSE_H
/* What a ClientHello asks for, read from peeked bytes without taking part (RFC 8446 section 4.1.2, RFC
 * 6066 section 3, RFC 7301): to choose a filter chain by SNI and ALPN, or to pass TLS through. Handles
 * a hello spread over several records. */
#include "base/compiler.h"
#include "base/span.h"

#define HELLO_BYTES_MAX 65536 /* record headers included; a hello that needs more is HELLO_BAD */
#define HELLO_ALPN_MAX 16     /* names kept; later ones are checked and left out */

struct hello {
    struct span sni; /* lower-cased host name; lives in `text` */
    struct span alpn[HELLO_ALPN_MAX];
    size_t alpn_count;
    uint16_t max_version; /* 0x0301 to 0x0304; GREASE and drafts are passed over */
    /* private */
    size_t text_len;
    char text[2048];
};

enum { HELLO_BAD = -1, HELLO_MORE = -2, HELLO_NOT_TLS = -3 };
/* 0 when complete; or one of the above. Keeps nothing of `bytes`; `out` points into itself, so it must
 * not be copied. Call again with all bytes so far when more have come. */
int hello_parse(struct span bytes, struct hello *out);
#endif
