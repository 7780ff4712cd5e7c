#ifndef HTTP_H1_WRITE_H
#define HTTP_H1_WRITE_H
/* HTTP/1 messages from values to bytes, with no I/O (RFC 9112). */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/span.h"
#include "http/head.h"

/* How the message is framed and what becomes of the connection. */
struct h1_shape {
    bool request;
    bool chunked;    /* Transfer-Encoding: chunked */
    int64_t length;  /* Content-Length, or HEAD_LENGTH_UNKNOWN for none */
    bool close;      /* Connection: close */
    bool keep_alive; /* Connection: keep-alive, which HTTP/1.0 wants to be told */
};

/* The whole head with its empty line, in `arena`. Fields that belong to a connection are not taken from
 * `head` but made from `out` and head->upgrade. */
struct span h1_write_head(struct arena *arena, const struct head *head, const struct h1_shape *out);
/* What ends a chunked body with these trailers, from the last chunk on. */
struct span h1_write_trailers(struct arena *arena, const struct head *trailers);

#define H1_CHUNK_LINE_BYTES 18
/* "<size in hex>\r\n" into `to`; its length. */
size_t h1_write_chunk_line(char *to, size_t size);
/* The usual phrase for a status, "Unknown" for others. */
struct span h1_write_reason(unsigned status);
#endif
