#ifndef CA_ROOT_H
#define CA_ROOT_H
/* The authority's own certificates and key, as PEM files in one folder under the names of Istio's `cacerts` secret:
 *
 *   ca-key.pem      the key that signs; owner only                      made at first start
 *   ca-cert.pem     its certificate: a root, or one that a root signed  made at first start: a root
 *   cert-chain.pem  certificates between it and the root                brought along, may be missing
 *   root-cert.pem   root or roots                                       brought along; missing: ca-cert.pem is the root
 *   ca-root.pem     a copy of the roots, for the proxies of other machines (--ca-root)  written at each start
 *
 * A first start writes the key before the certificate, so that one that was killed between the two goes on with the same key. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"

#define ROOT_LIFE_S (10LL * 365 * 86400)
#define ROOT_PIN_BYTES 72 /* "sha256:" and 64 hex digits */

struct root {
    struct arena arena;
    struct span key_pem;   /* wiped by root_dispose */
    struct span chain_pem; /* the certificate that signs, then those between it and the root */
    struct span roots_pem;
    /* What is between a leaf and the root: `chain_pem` one by one, without a root. */
    struct span *between;
    size_t between_count;
    struct span own_root_pem; /* of roots_pem the one that the chain leads to */
    char pin[ROOT_PIN_BYTES]; /* its hash */
    int64_t not_after_s;      /* of the certificate that signs */
    bool is_new;
};

/* -ERR_CONFIG, -ERR_DENIED or -errno: which file, what is wrong, what to do; nothing to dispose then. */
MUST_USE int root_load(struct root *r, const char *folder, struct span trust_domain,
                       struct err *err);
void root_dispose(struct root *r);
#endif
