#ifndef CODEC_GZIP_H
#define CODEC_GZIP_H
/* gzip (RFC 1952) by zlib, the only place that includes it. */
#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"

/* Appends `in` as one member without a time or a name, so that the same bytes give the same bytes. 0, or -ERR_LIMIT when `out` is full. */
MUST_USE int gzip_pack(struct span in, struct buf *out);

/* ---- piece by piece ---- */

struct gzip_settings {
    uint8_t level;       /* 1 to 9; 0 = zlib's default */
    uint8_t window_bits; /* 9 to 15 */
    uint8_t memory;      /* 1 to 9 */
    uint8_t strategy;    /* zlib's number */
};
struct gzip_stream;
NONNULL_RETURN struct gzip_stream *gzip_stream_new(struct gzip_settings settings);
void gzip_stream_free(struct gzip_stream *z); /* NULL is fine */
/* Ready for another member, with the same settings. */
void gzip_stream_reset(struct gzip_stream *z);
struct gzip_settings gzip_stream_settings(const struct gzip_stream *z);
/* What one holds, as zlib's manual has it. */
size_t gzip_stream_bytes(struct gzip_settings settings);
/* Takes all of `in`; what is ready goes to `emit` in pieces. Without `end` all that was put in can be unpacked from what has come out. 0,
 * or the first code of `emit` that is not. */
MUST_USE int gzip_stream_push(struct gzip_stream *z, struct span in, bool end,
                              int (*emit)(void *arg, struct span out), void *arg);
#endif
