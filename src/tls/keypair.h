#ifndef TLS_KEYPAIR_H
#define TLS_KEYPAIR_H
/* Private keys. A workload's key is made here and never leaves the process. */
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"

enum keypair_kind { KEYPAIR_P256, KEYPAIR_P384, KEYPAIR_RSA2048 };

struct keypair;
MUST_USE int keypair_generate(struct keypair **out, enum keypair_kind kind, struct err *err);
/* PKCS#8, SEC 1 or PKCS#1 PEM, without a passphrase. */
MUST_USE int keypair_parse(struct keypair **out, struct span pem, struct err *err);
/* Appends PKCS#8 PEM (at most 4 KiB); the caller wipes the buffer (mem_wipe) when done. */
MUST_USE int keypair_write(const struct keypair *k, struct buf *out);
void keypair_free(struct keypair *k); /* wipes; NULL is fine */
#endif
