#ifndef CA_AUTHENTICATE_H
#define CA_AUTHENTICATE_H
/* Who asks for a certificate: what can be told from the call alone. A join token is then held against the store, a certificate against what was
 * revoked (ledger), a ServiceAccount's token is shown to the API server (ca_review). Nothing that the caller merely says counts. Any thread.
 * In: csr_service. Next: ledger, store_token_use, or ca_review. */
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"
#include "ca/token.h"
#include "mesh/identity.h"
#include "tls/io_tls.h"

#define AUTHENTICATE_JWT_BYTES_MAX 16384
#define AUTHENTICATE_SERIAL_BYTES 48 /* hex of 20 bytes (RFC 5280 section 4.1.2.2), and room */

enum authenticate_kind { AUTHENTICATE_TOKEN, AUTHENTICATE_CERTIFICATE, AUTHENTICATE_ACCOUNT };

struct authenticate_proof {
    enum authenticate_kind kind;
    struct token token; /* AUTHENTICATE_TOKEN */
    struct span
        jwt; /* AUTHENTICATE_ACCOUNT; as long as the call's head. A form, and no proof yet */
    /* AUTHENTICATE_CERTIFICATE; spans live as long as the connection */
    struct identity identity;
    struct span spiffe_id;
    char serial[AUTHENTICATE_SERIAL_BYTES];
    int64_t not_before_s;
};

struct authenticate_call {
    struct span authorization;   /* the metadata's value; empty = none */
    const struct tls_peer *peer; /* NULL = the connection is plaintext */
    struct span trust_domain;    /* ours */
    int64_t now_s;
};

/* -ERR_DENIED and why: no proof, or one that is bad on its face. With a token in hand it is the token that counts. */
MUST_USE int authenticate_read(const struct authenticate_call *call, struct authenticate_proof *out,
                               struct err *err);
#endif
