/* Growable bytes under a ceiling. Consuming moves a mark; bytes are moved only when room runs out. */
#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#define BUF_FIRST_BYTES 256

void buf_init(struct buf *b, size_t limit_bytes)
{
    *b = (struct buf){.limit = limit_bytes};
}

/* Room at the end for `len` more; the caller has checked the limit. Moves rather than grows when at
 * least half of the memory is consumed, so that each byte moves at most once for each byte read, and
 * when the memory has grown to the limit already. */
static void buf_make_room(struct buf *b, size_t len)
{
    size_t held = buf_len(b);
    if (b->room - b->end >= len) {
        return;
    }
    bool move = b->start >= b->room - b->start || b->room >= b->limit;
    if (move && b->room - held >= len) {
        memmove(b->data, b->data + b->start, held);
    } else {
        size_t room = size_max(size_max(b->room * 2, held + len), BUF_FIRST_BYTES);
        room = size_max(size_min(room, b->limit), held + len);
        char *data = mem_alloc(room);
        if (held > 0) {
            memcpy(data, b->data + b->start, held);
        }
        mem_free(b->data);
        b->data = data;
        b->room = room;
    }
    b->start = 0;
    b->end = held;
}

char *buf_reserve(struct buf *b, size_t len)
{
    if (len > b->limit - buf_len(b)) {
        return NULL;
    }
    buf_make_room(b, size_max(len, 1));
    return b->data + b->end;
}

void buf_commit(struct buf *b, size_t len)
{
    ASSERT(len <= b->room - b->end);
    b->end += len;
}

int buf_append(struct buf *b, const void *from, size_t len)
{
    if (len == 0) {
        return 0;
    }
    char *to = buf_reserve(b, len);
    if (to == NULL) {
        return -ERR_LIMIT;
    }
    memcpy(to, from, len);
    b->end += len;
    return 0;
}

int buf_append_span(struct buf *b, struct span s)
{
    return buf_append(b, s.at, s.len);
}

int buf_append_byte(struct buf *b, char c)
{
    return buf_append(b, &c, 1);
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    size_t room = b->room - b->end;
    va_start(args, fmt);
    int len = vsnprintf(room ? b->data + b->end : NULL, room, fmt, args);
    va_end(args);
    ASSERT(len >= 0);
    size_t wanted = (size_t)len;
    if (wanted > b->limit - buf_len(b)) {
        return -ERR_LIMIT;
    }
    if (wanted >= room) {
        buf_make_room(b, wanted + 1);
        va_start(args, fmt);
        len = vsnprintf(b->data + b->end, wanted + 1, fmt, args);
        va_end(args);
        ASSERT((size_t)len == wanted);
    }
    b->end += wanted;
    return 0;
}

void buf_consume(struct buf *b, size_t len)
{
    ASSERT(len <= buf_len(b));
    b->start += len;
    if (b->start == b->end) {
        b->start = b->end = 0;
    }
}

const char *buf_cstr(struct buf *b)
{
    char *end = buf_reserve(b, 1);
    if (end == NULL) {
        return NULL;
    }
    *end = '\0';
    return b->data + b->start;
}

void buf_reset(struct buf *b)
{
    b->start = b->end = 0;
}

void buf_release(struct buf *b)
{
    mem_free(b->data);
    *b = (struct buf){.limit = b->limit};
}

void buf_dispose(struct buf *b)
{
    mem_free(b->data);
    *b = (struct buf){.limit = 0};
}
