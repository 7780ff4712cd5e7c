#ifndef SAMPLE_PEER_H
#define SAMPLE_PEER_H
/* Another service as a client sees it: by its URL, and through a forward proxy where there is one (requests in
 * absolute form, RFC 9112 section 3.2.2), as programs do that heed `http_proxy`. */
#include "base/compiler.h"
#include "base/err.h"
#include "http/http_client.h"

struct peer;
struct peer_spec {
    const char *url;           /* "http://reviews:9080" */
    const char *host;          /* Host to ask for, or NULL = the URL's */
    const char *proxy;         /* "http://127.66.0.1:15007", or NULL */
    struct resolver *resolver; /* borrowed; for names, when no proxy resolves them */
    unsigned conns;
};
MUST_USE int peer_new(struct peer **out, struct loop *loop, const struct peer_spec *spec,
                      struct err *err);
/* As http_client_call; the path is in origin form. */
void peer_call(struct peer *p, const struct http_call *call);
/* NULL is fine; calls that are out end with an error. */
void peer_free(struct peer *p);
#endif
