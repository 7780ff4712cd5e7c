#ifndef CODEC_BASE64_H
#define CODEC_BASE64_H
/* Base64, RFC 4648 sections 4 and 5. Decoding is strict: canonical trailing bits, no foreign bytes;
 * padding is required in the standard alphabet, and optional in the URL alphabet, where JWTs leave it
 * out. */
#include "base/compiler.h"
#include "base/span.h"

enum base64_alphabet { BASE64_STANDARD, BASE64_URL };

/* Bytes that `len` bytes become; with padding for the standard alphabet, without for the other. */
size_t base64_encoded_len(enum base64_alphabet alphabet, size_t len);
/* Writes base64_encoded_len bytes, no NUL; returns how many. */
size_t base64_encode(enum base64_alphabet alphabet, struct span from, char *to);
/* Most bytes that `len` characters can become. */
static inline size_t base64_decoded_max(size_t len)
{
    return len / 4 * 3 + 3;
}
/* Returns the bytes written to `to` (base64_decoded_max), or -ERR_PROTO. */
ssize_t base64_decode(enum base64_alphabet alphabet, struct span from, void *to);
#endif
