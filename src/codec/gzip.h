#ifndef CODEC_GZIP_H
#define CODEC_GZIP_H
/* gzip (RFC 1952) by zlib, the only place that includes it. */
#include "base/buf.h"
#include "base/compiler.h"
#include "base/span.h"

/* Appends `in` as one member without a time or a name, so that the same bytes give the same bytes. 0, or -ERR_LIMIT when `out` is full. */
MUST_USE int gzip_pack(struct span in, struct buf *out);
#endif
