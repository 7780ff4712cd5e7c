/* Hexadecimal. */
#include "codec/hex.h"

#include <endian.h>
#include <string.h>

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

/* Eight digits at once, the first in the highest byte: each nibble in a byte of its own, then '0' added, and what lies
 * between '9' and 'a' where it is above 9. */
static uint64_t digits_of(uint32_t value)
{
    uint64_t n = value;
    n = (n | n << 16) & 0x0000ffff0000ffffu;
    n = (n | n << 8) & 0x00ff00ff00ff00ffu;
    n = (n | n << 4) & 0x0f0f0f0f0f0f0f0fu;
    uint64_t letters = (n + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
    return n + 0x3030303030303030u + letters * ('a' - '9' - 1);
}

void hex_put_u64(uint64_t value, size_t digits, char *to)
{
    uint64_t words[2] = {htobe64(digits_of((uint32_t)(value >> 32))),
                         htobe64(digits_of((uint32_t)value))};
    memcpy(to, (const char *)words + sizeof(words) - digits, digits);
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
