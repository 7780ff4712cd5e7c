#ifndef HTTP_H1_PARSE_H
#define HTTP_H1_PARSE_H
/* HTTP/1 messages from bytes to values, with no I/O (RFC 9112). Strict: what two parsers could read in two
 * ways is refused, never repaired: bare LF, folded lines, space before a colon, Content-Length beside
 * Transfer-Encoding, and so on.
 *
 *   bytes -> h1_parse_head_end (where does the head end?) -> the owner copies the block into the arena of the
 *   exchange -> h1_parse_request | _response | _trailers -> struct head + struct h1_framing
 *   body bytes -> h1_parse_chunks -> pieces of body */
#include "base/compiler.h"
#include "base/span.h"
#include "http/head.h"
#include "http/http_conn.h"

/* Why a message is refused: the status that a server answers (0 = it hangs up without one), and static
 * text. */
struct h1_bad {
    unsigned status;
    const char *why;
};

enum h1_block { H1_REQUEST, H1_RESPONSE, H1_TRAILERS };

/* How far the search for the end of a head has come; zero at first. */
struct h1_scan {
    size_t at;    /* bytes looked at */
    size_t line;  /* where the current line begins */
    size_t lines; /* complete lines */
};
/* `bytes` begin with the head, and are the same at each call but for more at the end. The length of the
 * block with its empty line; 0 = more is needed; -ERR_PROTO or -ERR_LIMIT with `bad` filled. */
ssize_t h1_parse_head_end(struct h1_scan *scan, enum h1_block kind, struct span bytes,
                          const struct http_limits *limits, struct h1_bad *bad);

enum h1_body {
    H1_BODY_NONE,
    H1_BODY_LENGTH,
    H1_BODY_CHUNKED,
    H1_BODY_UNTIL_CLOSE, /* responses */
    H1_BODY_OPAQUE,      /* after CONNECT or an upgrade; for a request: if it is answered so */
};
struct h1_framing {
    enum h1_body body;
    int64_t length;  /* H1_BODY_LENGTH */
    bool keep_alive; /* the peer will go on after this exchange */
};
/* `block` is a whole head, writable (names become lower case in place) and lives as long as `h`, which has
 * been initialised. 0, or -ERR_PROTO or -ERR_LIMIT with `bad` filled. */
MUST_USE int h1_parse_request(struct head *h, char *block, size_t len, struct h1_framing *framing,
                              struct h1_bad *bad);
/* `asked`: the request that this answers; `upgrade`: it asked for one. */
MUST_USE int h1_parse_response(struct head *h, char *block, size_t len, enum head_method asked,
                               bool upgrade, struct h1_framing *framing, struct h1_bad *bad);
/* The section after the last chunk. Fields that may not come there are left out (RFC 9110 section 6.5.1). */
MUST_USE int h1_parse_trailers(struct head *h, char *block, size_t len, struct h1_bad *bad);

/* Chunked transfer coding, RFC 9112 section 7.1. Zero at first. */
struct h1_chunks {
    uint64_t left;      /* of the chunk in hand */
    uint32_t ext_bytes; /* of all chunk extensions so far */
    uint8_t state;
    uint8_t digits;
};
enum h1_chunks_what {
    H1_CHUNKS_MORE, /* all of `in` is used */
    H1_CHUNKS_DATA, /* `piece` is a part of the body */
    H1_CHUNKS_LAST, /* the last chunk has passed: the trailer section begins */
    H1_CHUNKS_BAD,
};
/* Takes what it used off the front of `in`. */
enum h1_chunks_what h1_parse_chunks(struct h1_chunks *c, struct span *in, struct span *piece,
                                    struct h1_bad *bad);
#endif
