#ifndef TLS_TLS_CTX_INT_H
#define TLS_TLS_CTX_INT_H
/* What io_tls reads of a tls_ctx. */
#include <mbedtls/ssl.h>

#include "tls/keypair.h"
#include "tls/tls_ctx.h"
#include "tls/verify_int.h"

struct tls_ctx {
    unsigned refs;
    bool server;
    enum tls_peer_mode peer_mode;
    bool keep_chain;
    mbedtls_ssl_config conf;
    mbedtls_x509_crt chain;
    struct keypair *key; /* owned; NULL without a certificate */
    struct verify_rules rules;
    const char **alpn[TLS_OFFER_COUNT]; /* owned, each ends with NULL; NULL = none */
    mbedtls_ssl_config *offers
        [TLS_OFFER_COUNT]; /* owned copies of `conf` with their own ALPN, all else borrowed from it; NULL = `conf` */
    char *sni; /* owned; NULL = none */
    uint64_t record_limit;
    int64_t not_after_s;
};

/* IANA's name of a suite; static. */
const char *tls_ctx_suite_name(int id);
#endif
