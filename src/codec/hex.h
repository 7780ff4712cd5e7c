#ifndef CODEC_HEX_H
#define CODEC_HEX_H
/* Hexadecimal, lower case when written, either case when read. */
#include "base/compiler.h"
#include "base/span.h"

/* The value of a hexadecimal digit, or -1. */
static inline int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
/* Writes 2 * from.len characters, no NUL; returns how many. */
size_t hex_encode(struct span from, char *to);
/* Returns the bytes written (half the length), or -ERR_PROTO. */
ssize_t hex_decode(struct span from, void *to);
/* `digits` lower-case characters of a number, high digits first, no NUL: for trace and span ids. */
void hex_put_u64(uint64_t value, size_t digits, char *to);
/* 1 to 16 digits, all of the span. */
MUST_USE bool hex_to_u64(struct span s, uint64_t *value);
#endif
