#ifndef BASE_XXH64_H
#define BASE_XXH64_H
/* XXH64, the hash by which Envoy's consistent hashing places endpoints and requests. Everybody can compute it: not
 * for tables whose keys a peer chooses (that is base/hash.h).
 * Source: the xxHash fast digest algorithm, specification 0.1.1, section "XXH64". */
#include "base/compiler.h"
#include "base/span.h"

uint64_t xxh64(struct span s, uint64_t seed);
#endif
