#ifndef PROXY_REQUEST_PACKERS_H
#define PROXY_REQUEST_PACKERS_H
/* What a worker has to compress with: gzip states, bounded in bytes over all that are in use. */
#include "base/compiler.h"
#include "codec/gzip.h"

#define PACKERS_BYTES_MAX (32u << 20) /* of a worker; beyond, answers go as they are */
#define PACKERS_IDLE_MAX 4            /* kept for the next */

struct packers;
NONNULL_RETURN struct packers *packers_new(void);
/* After the last request. NULL is fine. */
void packers_free(struct packers *p);
/* NULL: too much is in use. */
struct gzip_stream *packers_get(struct packers *p, struct gzip_settings settings);
void packers_put_take(struct packers *p, struct gzip_stream *z);
#endif
