/* xoshiro256** by Blackman and Vigna, seeded through splitmix64 as its authors advise. */
#include "base/rng.h"

#include <errno.h>
#include <sys/random.h>

static uint64_t rotl(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

void rng_init(struct rng *r)
{
    uint64_t seed;
    rng_fill_secret(&seed, sizeof(seed));
    rng_seed(r, seed);
}

void rng_seed(struct rng *r, uint64_t seed)
{
    for (size_t i = 0; i < ARRAY_LEN(r->state); i++) {
        seed += 0x9e3779b97f4a7c15U;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
        r->state[i] = z ^ (z >> 31);
    }
}

uint64_t rng_u64(struct rng *r)
{
    uint64_t *s = r->state;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

__extension__ typedef unsigned __int128 uint128;

/* Lemire, "Fast random integer generation in an interval": the high half of a product is uniform once
 * the few low halves that would favour some results are thrown away. */
uint64_t rng_below(struct rng *r, uint64_t bound)
{
    ASSERT(bound > 0);
    uint128 product = (uint128)rng_u64(r) * bound;
    if ((uint64_t)product < bound) {
        uint64_t unfair = (0 - bound) % bound;
        while ((uint64_t)product < unfair) {
            product = (uint128)rng_u64(r) * bound;
        }
    }
    return (uint64_t)(product >> 64);
}

void rng_fill_secret(void *to, size_t bytes)
{
    char *at = to;
    while (bytes > 0) {
        ssize_t got = getrandom(at, bytes, 0);
        ASSERT(got > 0 || (got == -1 && errno == EINTR));
        if (got > 0) {
            at += got;
            bytes -= (size_t)got;
        }
    }
}
