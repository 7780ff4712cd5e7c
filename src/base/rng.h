#ifndef BASE_RNG_H
#define BASE_RNG_H
/* Random numbers: a fast generator owned by one worker for balancing, jitter and sampling, and the
 * kernel's for anything secret. */
#include "base/compiler.h"

struct rng {
    uint64_t state[4];
};

/* From the kernel's entropy. */
void rng_init(struct rng *r);
/* Reproducible, for tests and --seed. */
void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_u64(struct rng *r);
/* Uniform in [0, bound); bound > 0. */
uint64_t rng_below(struct rng *r, uint64_t bound);
/* Secret bytes from getrandom(2); ends the process if the kernel has none. Any thread. */
void rng_fill_secret(void *to, size_t bytes);
#endif
