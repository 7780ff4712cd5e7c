#ifndef BASE_BUF_H
#define BASE_BUF_H
/* Owned growable bytes, written at the end and consumed at the front, born with a ceiling that no
 * peer can push it over. Not thread-safe. */
#include "base/compiler.h"
#include "base/span.h"

struct buf {
    /* private */
    char *data;   /* owned; NULL until the first byte */
    size_t start; /* first unread byte */
    size_t end;   /* one past the last byte */
    size_t room;  /* bytes allocated */
    size_t limit; /* most unread bytes this may hold */
};

void buf_init(struct buf *b, size_t limit_bytes);
/* 0, or -ERR_LIMIT and nothing appended. */
MUST_USE int buf_append(struct buf *b, const void *from, size_t len);
MUST_USE int buf_append_span(struct buf *b, struct span s);
MUST_USE int buf_append_byte(struct buf *b, char c);
MUST_USE int buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Room for `len` more bytes at the returned place, or NULL over the limit; follow with buf_commit. */
MUST_USE char *buf_reserve(struct buf *b, size_t len);
void buf_commit(struct buf *b, size_t len);
/* Drops `len` bytes at the front (at most buf_len). An emptied buf keeps its memory. */
void buf_consume(struct buf *b, size_t len);
/* Adds a NUL that the length does not count; NULL over the limit. */
MUST_USE const char *buf_cstr(struct buf *b);
/* Empty, memory kept. */
void buf_reset(struct buf *b);
/* Empty, memory given back; usable again with the same limit. */
void buf_release(struct buf *b);
void buf_dispose(struct buf *b);

static inline size_t buf_len(const struct buf *b)
{
    return b->end - b->start;
}

static inline struct span buf_span(const struct buf *b)
{
    return (struct span){b->data ? b->data + b->start : NULL, b->end - b->start};
}
#endif
