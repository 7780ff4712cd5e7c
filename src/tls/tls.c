/* Process-wide set-up of mbedTLS, its randomness and its error texts. */
#include "tls/tls.h"

#include <stdio.h>

#include <mbedtls/error.h>
#include <mbedtls/platform.h>
#include <mbedtls/platform_time.h>
#include <psa/crypto.h>

#include "base/instant.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tls/tls_int.h"

static mbedtls_time_t wall_time(mbedtls_time_t *to)
{
    mbedtls_time_t now = (mbedtls_time_t)instant_wall_s();
    if (to != NULL) {
        *to = now;
    }
    return now;
}

int tls_init(struct err *err)
{
    int rc = mbedtls_platform_set_calloc_free(mem_array, mem_free);
    if (rc == 0) {
        rc = mbedtls_platform_set_time(wall_time);
    }
    if (rc == 0) {
        rc = (int)psa_crypto_init();
    }
    return rc == 0 ? 0 : err_set(err, -ERR_TLS, "the TLS library does not start (%d)", rc);
}

int tls_random(void *unused, unsigned char *to, size_t len)
{
    UNUSED(unused);
    rng_fill_secret(to, len);
    return 0;
}

const char *tls_err_text(int rc, char *to, size_t room)
{
    mbedtls_strerror(rc, to, room);
    return to;
}

int tls_err(struct err *err, int code, int rc, const char *fmt, ...)
{
    char text[ERR_TEXT_BYTES], why[192];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    ASSERT(len >= 0);
    return err_set(err, code, "%s: %s", text, tls_err_text(rc, why, sizeof(why)));
}
