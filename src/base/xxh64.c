/* XXH64: see xxh64.h. Four lanes take stripes of 32 bytes; the tail goes by 8, 4 and 1. */
#include "base/xxh64.h"

#include <string.h>

#define P1 0x9e3779b185ebca87U
#define P2 0xc2b2ae3d27d4eb4fU
#define P3 0x165667b19e3779f9U
#define P4 0x85ebca77c2b2ae63U
#define P5 0x27d4eb2f165667c5U
#define STRIPE 32

static inline uint64_t rotl(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static inline uint64_t read64(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static inline uint32_t read32(const char *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap32(word);
#endif
    return word;
}

static inline uint64_t take(uint64_t lane, uint64_t word)
{
    return rotl(lane + word * P2, 31) * P1;
}

static uint64_t stripes(const char **at, size_t *left, uint64_t seed)
{
    uint64_t lanes[4] = {seed + P1 + P2, seed + P2, seed, seed - P1};
    for (; *left >= STRIPE; *at += STRIPE, *left -= STRIPE) {
        for (size_t i = 0; i < 4; i++) {
            lanes[i] = take(lanes[i], read64(*at + 8 * i));
        }
    }
    uint64_t h = rotl(lanes[0], 1) + rotl(lanes[1], 7) + rotl(lanes[2], 12) + rotl(lanes[3], 18);
    for (size_t i = 0; i < 4; i++) {
        h = (h ^ take(0, lanes[i])) * P1 + P4;
    }
    return h;
}

uint64_t xxh64(struct span s, uint64_t seed)
{
    const char *at = s.at;
    size_t left = s.len;
    uint64_t h = left >= STRIPE ? stripes(&at, &left, seed) : seed + P5;
    h += s.len;
    for (; left >= 8; at += 8, left -= 8) {
        h = rotl(h ^ take(0, read64(at)), 27) * P1 + P4;
    }
    if (left >= 4) {
        h = rotl(h ^ (read32(at) * P1), 23) * P2 + P3;
        at += 4;
        left -= 4;
    }
    for (; left > 0; at++, left--) {
        h = rotl(h ^ ((uint8_t)*at * P5), 11) * P1;
    }
    h = (h ^ (h >> 33)) * P2;
    h = (h ^ (h >> 29)) * P3;
    return h ^ (h >> 32);
}
