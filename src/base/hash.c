/* SipHash-1-3: Aumasson and Bernstein, "SipHash: a fast short-input PRF", with one compression and
 * three finalization rounds, which is what hash tables use. Little-endian reads as in the paper. */
#include "base/hash.h"

#include <string.h>

#include "base/rng.h"

static struct {
    bool is_drawn;
    struct hash_key key;
} hash_process;

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotl(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static inline void sip_rounds(struct sip *s, int count)
{
    for (int i = 0; i < count; i++) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = rotl(s->v1, 13) ^ s->v0;
        s->v3 = rotl(s->v3, 16) ^ s->v2;
        s->v0 = rotl(s->v0, 32);
        s->v2 += s->v1;
        s->v0 += s->v3;
        s->v1 = rotl(s->v1, 17) ^ s->v2;
        s->v3 = rotl(s->v3, 21) ^ s->v0;
        s->v2 = rotl(s->v2, 32);
    }
}

static inline uint64_t read_le(const unsigned char *at, size_t len)
{
    uint64_t word = 0;
    if (len == 8) {
        memcpy(&word, at, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap64(word);
#endif
        return word;
    }
    for (size_t i = 0; i < len; i++) {
        word |= (uint64_t)at[i] << (8 * i);
    }
    return word;
}

static inline void sip_word(struct sip *s, uint64_t word, int rounds)
{
    s->v3 ^= word;
    sip_rounds(s, rounds);
    s->v0 ^= word;
}

/* The rounds are arguments so that the tests can check the code against the paper's 2-4 vectors. */
static inline uint64_t sip_hash(const struct hash_key *key, const void *bytes, size_t len,
                                int compress, int finish)
{
    struct sip s = {.v0 = key->k0 ^ 0x736f6d6570736575U,
                    .v1 = key->k1 ^ 0x646f72616e646f6dU,
                    .v2 = key->k0 ^ 0x6c7967656e657261U,
                    .v3 = key->k1 ^ 0x7465646279746573U};
    const unsigned char *at = bytes;
    size_t left = len;
    for (; left >= 8; at += 8, left -= 8) {
        sip_word(&s, read_le(at, 8), compress);
    }
    sip_word(&s, read_le(at, left) | (uint64_t)len << 56, compress);
    s.v2 ^= 0xff;
    sip_rounds(&s, finish);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

const struct hash_key *hash_process_key(void)
{
    if (UNLIKELY(!hash_process.is_drawn)) {
        rng_fill_secret(&hash_process.key, sizeof(hash_process.key));
        hash_process.is_drawn = true;
    }
    return &hash_process.key;
}

uint64_t hash_bytes(const struct hash_key *key, const void *bytes, size_t len)
{
    return sip_hash(key, bytes, len, 1, 3);
}
