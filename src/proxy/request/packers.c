/* gzip states of a worker: see packers.h. */
#include "proxy/request/packers.h"

#include "base/mem.h"

struct packers {
    struct gzip_stream *idle[PACKERS_IDLE_MAX];
    size_t idle_count;
    size_t used_bytes;
};

struct packers *packers_new(void)
{
    return mem_new(struct packers);
}

void packers_free(struct packers *p)
{
    for (size_t i = 0; p != NULL && i < p->idle_count; i++) {
        gzip_stream_free(p->idle[i]);
    }
    mem_free(p);
}

struct gzip_stream *packers_get(struct packers *p, struct gzip_settings settings)
{
    size_t bytes = gzip_stream_bytes(settings);
    if (p->used_bytes + bytes > PACKERS_BYTES_MAX) {
        return NULL;
    }
    p->used_bytes += bytes;
    for (size_t i = p->idle_count; i-- > 0;) {
        struct gzip_stream *z = p->idle[i];
        struct gzip_settings its = gzip_stream_settings(z);
        if (memcmp(&its, &settings, sizeof(its)) == 0) {
            p->idle[i] = p->idle[--p->idle_count];
            gzip_stream_reset(z);
            return z;
        }
    }
    return gzip_stream_new(settings);
}

void packers_put_take(struct packers *p, struct gzip_stream *z)
{
    p->used_bytes -= gzip_stream_bytes(gzip_stream_settings(z));
    if (p->idle_count == PACKERS_IDLE_MAX) { /* the oldest goes: settings may have changed */
        gzip_stream_free(p->idle[0]);
        memmove(p->idle, p->idle + 1, --p->idle_count * sizeof(p->idle[0]));
    }
    p->idle[p->idle_count++] = z;
}
