#ifndef TLS_TLS_H
#define TLS_TLS_H
/* The library's process-wide set-up: PSA, entropy by getrandom (an empty root directory has no device
 * files), allocation through base/mem, the clock of base/instant. */
#include "base/compiler.h"
#include "base/err.h"

/* Main thread, before anything else of this folder and before other threads start. Again is harmless. */
MUST_USE int tls_init(struct err *err);
#endif
