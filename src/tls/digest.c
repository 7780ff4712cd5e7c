/* SHA-256. */
#include "tls/digest.h"

#include <mbedtls/sha256.h>

void digest_sha256(struct span bytes, uint8_t to[DIGEST_BYTES])
{
    int rc = mbedtls_sha256((const unsigned char *)bytes.at, bytes.len, to, 0);
    ASSERT(rc == 0); /* it fails only in forms that use hardware */
}
