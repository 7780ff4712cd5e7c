#ifndef TLS_TLS_INT_H
#define TLS_TLS_INT_H
/* What the files of this folder share about mbedTLS. */
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"

/* mbedTLS's f_rng: the kernel's random bytes. No state, so nothing to seed, share or lock; a handshake
 * asks a few dozen times at 0.3 us. */
int tls_random(void *unused, unsigned char *to, size_t len);
/* err_set with ": <what mbedTLS says about `rc`>" at the end. */
int tls_err(struct err *err, int code, int rc, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* What mbedTLS says about `rc`, in `to`; returns `to`. */
const char *tls_err_text(int rc, char *to, size_t room);
#endif
