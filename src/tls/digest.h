#ifndef TLS_DIGEST_H
#define TLS_DIGEST_H
/* SHA-256 (FIPS 180-4), for those above who keep or compare hashes. */
#include "base/compiler.h"
#include "base/span.h"

#define DIGEST_BYTES 32

void digest_sha256(struct span bytes, uint8_t to[DIGEST_BYTES]);
#endif
