/* In: cli/image. */
#include "codec/gzip.h"

#define ZLIB_CONST /* what it reads is not written */
#include <zlib.h>

#include "base/err.h"
#include "base/mem.h"

#define PART_BYTES 65536
#define GZIP_WINDOW (15 + 16) /* zlib's way to ask for gzip's frame */

static void *allocate(void *opaque, unsigned count, unsigned bytes)
{
    UNUSED(opaque);
    return mem_alloc((size_t)count * bytes);
}

static void give_back(void *opaque, void *memory)
{
    UNUSED(opaque);
    mem_free(memory);
}

int gzip_pack(struct span in, struct buf *out)
{
    z_stream z = {.zalloc = allocate, .zfree = give_back};
    int step = deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, MAX_MEM_LEVEL,
                            Z_DEFAULT_STRATEGY);
    int code = 0;
    ASSERT(step == Z_OK);
    z.next_in = (const unsigned char *)in.at;
    z.avail_in = (unsigned)in.len;
    while (code == 0 && step != Z_STREAM_END) {
        char *to = buf_reserve(out, PART_BYTES);
        if (!to) {
            code = -ERR_LIMIT;
            break;
        }
        z.next_out = (unsigned char *)to;
        z.avail_out = PART_BYTES;
        step = deflate(&z, Z_FINISH);
        buf_commit(out, PART_BYTES - z.avail_out);
    }
    (void)deflateEnd(&z);
    return code;
}
