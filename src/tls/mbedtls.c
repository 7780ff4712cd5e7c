/* The functions that mbedTLS expects of its platform. The library declares the first in a header that
 * it does not install. */
#include <mbedtls/platform_time.h>

#include "base/instant.h"
#include "base/rng.h"

int mbedtls_hardware_poll(void *unused, unsigned char *to, size_t len, size_t *got);

/* MBEDTLS_ENTROPY_HARDWARE_ALT: its own source opens a device file under musl, which an empty root has
 * not. */
int mbedtls_hardware_poll(void *unused, unsigned char *to, size_t len, size_t *got)
{
    UNUSED(unused);
    rng_fill_secret(to, len);
    *got = len;
    return 0;
}

/* MBEDTLS_PLATFORM_MS_TIME_ALT: age of tickets, which must not jump with the wall clock. */
mbedtls_ms_time_t mbedtls_ms_time(void)
{
    return instant_mono_ms();
}
