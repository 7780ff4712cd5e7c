/* In: cli/image; proxy/request/compress. */
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

/* ---- piece by piece ---- */

#define PIECE_BYTES 8192

struct gzip_stream {
    z_stream z;
    struct gzip_settings settings;
};

struct gzip_stream *gzip_stream_new(struct gzip_settings settings)
{
    struct gzip_stream *s = mem_new(struct gzip_stream);
    s->settings = settings;
    s->z.zalloc = allocate;
    s->z.zfree = give_back;
    int code =
        deflateInit2(&s->z, settings.level == 0 ? Z_DEFAULT_COMPRESSION : settings.level,
                     Z_DEFLATED, settings.window_bits + 16, settings.memory, settings.strategy);
    ASSERT(code == Z_OK); /* settings are checked where they are read, and memory is always there */
    return s;
}

void gzip_stream_free(struct gzip_stream *s)
{
    if (s != NULL) {
        (void)deflateEnd(&s->z);
        mem_free(s);
    }
}

void gzip_stream_reset(struct gzip_stream *s)
{
    (void)deflateReset(&s->z);
}

struct gzip_settings gzip_stream_settings(const struct gzip_stream *s)
{
    return s->settings;
}

size_t gzip_stream_bytes(struct gzip_settings settings)
{
    return ((size_t)1 << (settings.window_bits + 2)) + ((size_t)1 << (settings.memory + 9)) +
           sizeof(struct gzip_stream) + 6144; /* zlib's own state */
}

int gzip_stream_push(struct gzip_stream *s, struct span in, bool end,
                     int (*emit)(void *arg, struct span out), void *arg)
{
    unsigned char piece[PIECE_BYTES];
    int code = 0;
    if (in.len == 0 && !end) {
        return 0;
    }
    s->z.next_in = (const unsigned char *)in.at;
    s->z.avail_in = (unsigned)in.len;
    do {
        s->z.next_out = piece;
        s->z.avail_out = sizeof(piece);
        (void)deflate(&s->z, end ? Z_FINISH : Z_SYNC_FLUSH);
        size_t len = sizeof(piece) - s->z.avail_out;
        if (len > 0 && code == 0) {
            code = emit(arg, span_from(piece, len));
        }
    } while (s->z.avail_out == 0);
    return code;
}
