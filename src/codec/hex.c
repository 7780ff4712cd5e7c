/* Hexadecimal. */
#include "codec/hex.h"

#include "base/err.h"

static const char digits_text[] = "0123456789abcdef";

size_t hex_encode(struct span from, char *to)
{
    for (size_t i = 0; i < from.len; i++) {
        unsigned char c = (unsigned char)from.at[i];
        to[2 * i] = digits_text[c >> 4];
        to[2 * i + 1] = digits_text[c & 15];
    }
    return from.len * 2;
}

ssize_t hex_decode(struct span from, void *to)
{
    unsigned char *out = to;
    if (from.len % 2 != 0) {
        return -ERR_PROTO;
    }
    for (size_t i = 0; i < from.len; i += 2) {
        int high = hex_digit(from.at[i]);
        int low = hex_digit(from.at[i + 1]);
        if (high < 0 || low < 0) {
            return -ERR_PROTO;
        }
        *out++ = (unsigned char)(high << 4 | low);
    }
    return (ssize_t)(from.len / 2);
}

void hex_put_u64(uint64_t value, size_t digits, char *to)
{
    for (size_t i = digits; i-- > 0; value >>= 4) {
        to[i] = digits_text[value & 15];
    }
}

bool hex_to_u64(struct span s, uint64_t *value)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        int digit = hex_digit(s.at[i]);
        if (digit < 0) {
            return false;
        }
        n = n << 4 | (uint64_t)digit;
    }
    *value = n;
    return s.len > 0 && s.len <= 16;
}
