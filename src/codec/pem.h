#ifndef CODEC_PEM_H
#define CODEC_PEM_H
/* PEM blocks, RFC 7468: strict labels and base64 (lines of any length up to 76, blanks at their ends
 * allowed). Text between blocks is skipped, as certificate bundles carry comments. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"

struct pem_block {
    struct span label; /* "CERTIFICATE"; points into the input */
    struct span der;   /* lives in the arena */
    struct span text;  /* the whole block as written, from BEGIN to the line's end of END */
};

/* Cuts the next block off `*rest`. 1 with a block; 0 when there is none; -ERR_PROTO with the reason
 * when one is broken (`*rest` then stands at it). */
MUST_USE int pem_next(struct span *rest, struct arena *arena, struct pem_block *out,
                      struct err *err);
/* Appends a block with lines of 64 characters; -ERR_LIMIT. */
MUST_USE int pem_write(struct span label, struct span der, struct buf *out);
#endif
