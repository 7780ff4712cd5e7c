#ifndef CA_CA_H
#define CA_CA_H
/* The certificate authority: a root made at first start or brought along, join tokens, and SPIFFE certificates for signing requests
 * (gRPC istio.v1.auth.IstioCertificateService/CreateCertificate, proto/istio_ca.proto). Who somebody is comes from the proof (a
 * join token, a ServiceAccount's token, or the certificate of the TLS connection), never from the request. `mesh ca` has it alone; control has it in its process.
 *
 *   host's thread (one or several)
 *   desk: csr_service -> authenticate, token or ledger (store) -> grant -> ledger, committed (store) -> tls/issue -> answer
 *
 * A desk works on its own thread with a store port and a parsed copy of the key of its own; what desks share does not change after ca_new.
 * Tokens are counted and certificates written down by the store, which is one for all. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"
#include "io/loop.h"

struct ca;
struct ca_desk;
struct host;
struct http_server;
struct store;
struct tls_ctx;
struct token_reviews;

#define CA_LEAF_TTL_S 86400 /* what a workload gets */
#define CA_LEAF_TTL_MAX_S \
    86400               /* what it may ask for (validity_duration), unless leaf_ttl_s is more */
#define CA_PIN_BYTES 72 /* room for "sha256:" and 64 hex digits */

struct ca_spec {
    struct loop
        *loop; /* the CA's thread; everything here is called on it unless it says otherwise */
    struct store *store; /* borrowed; tokens and ledger */
    /* The folder of key and certificates; a first start makes a root there. The files of Istio's `cacerts` are taken as they are (ca/root.h). A
     * key that others can read is refused. */
    const char *data_dir;
    const char *trust_domain; /* NULL = cluster.local */
    int64_t leaf_ttl_s;       /* 0 = CA_LEAF_TTL_S */
};

/* -ERR_CONFIG, -errno: what is wrong with which file. tls_init must have been called. */
MUST_USE int ca_new(struct ca **out, const struct ca_spec *spec, struct err *err);
/* After all desks have been closed. NULL is fine. */
void ca_free(struct ca *ca);

/* ---- what everybody may know; any thread ---- */

struct span ca_trust_domain(const struct ca *ca);
/* What proxies trust, PEM: roots only. */
struct span ca_roots_pem(const struct ca *ca);
/* "sha256:<hex>" of the root certificate's DER: what `mesh proxy --ca-pin` takes. */
const char *ca_pin(const struct ca *ca);
/* "spiffe://TD/ns/mesh-system/sa/mesh-control": the name of our own servers; proxies check it. */
struct span ca_control_id(const struct ca *ca);
/* A server's TLS with a fresh key and certificate of our own (DNS mesh-control.mesh-system.svc and with .cluster.local, istiod.istio-system.svc,
 * mesh-control, localhost; ca_control_id), which asks clients for a certificate of the trust domain and goes on without one (TLS_PEER_OPTIONAL). */
MUST_USE int ca_server_tls(struct ca *ca, struct tls_ctx **out, struct err *err);
/* The same for clients that know nothing of SPIFFE, as the API server that calls a webhook: DNS names alone (NULL-terminated, at least one, at most
 * CA_WEBHOOK_NAMES_MAX), server authentication only, no client certificate asked for, HTTP/2 and HTTP/1 by ALPN. What such a client trusts is
 * ca_roots_pem. */
#define CA_WEBHOOK_NAMES_MAX 16
MUST_USE int ca_webhook_tls(struct ca *ca, const char *const *dns_names, struct tls_ctx **out,
                            struct err *err);
/* Gives `server` (made with ca_webhook_tls and these names, which are copied) a fresh one at half its life, until it is freed; on the server's
 * thread, and freed before the server. */
struct ca_webhook;
NONNULL_RETURN struct ca_webhook *ca_webhook_new(struct ca *ca, struct loop *loop,
                                                 struct http_server *server,
                                                 const char *const *dns_names);
void ca_webhook_free(struct ca_webhook *w); /* NULL is fine */

/* ---- ServiceAccount tokens ---- */

/* From now on a bearer token that is a JWT is asked about there (kube/token_review.h) and proves the ServiceAccount it is of; NULL, as at the start:
 * such tokens are refused. Borrowed until it is set anew or the CA is freed; those under way end with UNAVAILABLE. On the CA's thread, whose loop
 * is the reviews' too; desks ask by mail. */
void ca_set_reviews(struct ca *ca, struct token_reviews *reviews);

/* ---- on a host's thread ---- */

/* Serves signing requests on the servers "xds-tls" and "xds-plain" (where all are refused) of `host`, as far as there are such, and renews the
 * certificate of "xds-tls" (made by ca_server_tls) at half its life. */
MUST_USE int ca_attach(struct ca_desk **out, struct ca *ca, struct host *host, struct err *err);
/* Before host_free, on the host's thread; when that is not the CA's, while the CA's thread waits for its end (worker_stop), so that nothing is mailed
 * to a desk that has gone. Calls under way end with UNAVAILABLE. NULL is fine. */
void ca_desk_close(struct ca_desk *desk);

/* ---- tokens ---- */

#define CA_TOKEN_TTL_S 86400
#define CA_TOKEN_TTL_MAX_S (366 * 86400)
#define CA_TOKEN_USES_MAX 1000000

struct ca_token_spec {
    struct span ns, sa; /* sa "*": any service account of the namespace */
    int64_t uses;       /* 0 = 1; -1 = any number */
    int64_t ttl_s;      /* 0 = CA_TOKEN_TTL_S */
};
struct ca_token { /* never with the secret */
    struct span id, ns, sa;
    int64_t uses_left; /* -1 = any number */
    int64_t created_s, expires_s;
    bool revoked;
};
/* Once, not before the call has returned: the token's text (the only time it is seen) and row, or why not. */
typedef void (*ca_on_token)(void *arg, struct span text, const struct ca_token *token,
                            const struct err *err);
typedef void (*ca_on_tokens)(void *arg, const struct ca_token *tokens, size_t count,
                             const struct err *err);
typedef void (*ca_on_done)(void *arg, const struct err *err); /* NULL: done and committed */
void ca_token_create(struct ca *ca, const struct ca_token_spec *spec, ca_on_token on_token,
                     void *arg);
void ca_token_list(struct ca *ca, ca_on_tokens on_tokens, void *arg);
void ca_token_revoke(struct ca *ca, struct span id, ca_on_done on_done, void *arg);

/* ---- ledger ---- */

struct ca_issued {
    struct span serial; /* hex */
    struct span identity;
    int64_t not_before_s, not_after_s, issued_s;
    struct span
        proof; /* "token:<id>", "certificate:<serial>", "serviceaccount:NS/SA[:POD]", "self" */
    struct span peer; /* address */
    bool revoked;
};
typedef void (*ca_on_issued)(void *arg, const struct ca_issued *rows, size_t count,
                             const struct err *err);
/* The newest first, at most `most`; `identity` empty = all. */
void ca_issued_list(struct ca *ca, struct span identity, size_t most, ca_on_issued on_issued,
                    void *arg);
/* `what`: a serial (hex), or a SPIFFE ID: all that were issued to it until now. Such certificates can not renew themselves any more; they are valid
 * until they end (leaves are short). */
void ca_revoke(struct ca *ca, struct span what, ca_on_done on_done, void *arg);

/* Plain counts since the start, of all desks; they may lag by a turn. */
struct ca_numbers {
    uint64_t issued, refused, failed;
    int64_t root_not_after_s;
};
void ca_numbers_read(const struct ca *ca, struct ca_numbers *to);
#endif
