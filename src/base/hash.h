#ifndef BASE_HASH_H
#define BASE_HASH_H
/* SipHash-1-3 with a key drawn once per process, so that a peer who chooses names can not make them
 * collide. For hashes that must be equal in every process, give the key. */
#include "base/compiler.h"
#include "base/span.h"

struct hash_key {
    uint64_t k0, k1;
};

/* Process-wide random key; drawn at the first call, which must be on the main thread before others
 * start (metric_init does it). */
const struct hash_key *hash_process_key(void);
uint64_t hash_bytes(const struct hash_key *key, const void *bytes, size_t len);

static inline uint64_t hash_span(const struct hash_key *key, struct span s)
{
    return hash_bytes(key, s.at, s.len);
}
#endif
