#ifndef PROXY_NODE_IDENTITY_H
#define PROXY_NODE_IDENTITY_H
/* Who this proxy is: a key made here, a certificate for it from the control plane's authority (gRPC
 * istio.v1.auth.IstioCertificateService/CreateCertificate), and the mesh's roots. They reach everything else as the two secrets that Istio's listeners and
 * clusters mention, `default` and `ROOTCA`, put into ingest as static resources: nobody asks the control plane for them and it can not replace them.
 *
 *   (state file) --good--> HELD <---------------------- an answer
 *        | none              | half its life             ^
 *        v                   v                           |
 *      ASKING ------ by token (first, or all else failed), by the certificate in hand (renewal);
 *        |             with a ServiceAccount's token by turns
 *        ^                   |
 *        '---- backoff ------' refused, nobody there: HELD goes on with what it has until that ends
 *
 * The key stays in this process and, with a state folder, in a file of its owner only, so that a restart while the control plane is away has its
 * identity at once. A fresh key is made for each certificate.
 * In: proxy_options. Out: config/ingest. Next: proxy_sources reaches the control plane with it. */
#include "base/compiler.h"
#include "base/err.h"
#include "base/metric.h"
#include "proxy/config/ingest.h"

#define NODE_IDENTITY_CERTIFICATE "default"
#define NODE_IDENTITY_ROOTS "ROOTCA"
#define NODE_IDENTITY_FILE "identity.json" /* in the state folder; mode 0600 */

struct loop;
struct resolver;
struct node_identity;

struct node_identity_spec { /* all borrowed for the identity's life */
    struct loop *loop;
    struct resolver *resolver;
    struct ingest *ingest;
    struct metric_registry *registry;
    const char *control; /* "host:port" */
    /* A join token, or a ServiceAccount token (a JWT); read at each use, since kubelet renews it. NULL: MESH_TOKEN in the environment, if any. */
    const char *token_file;
    const char *
        ca_root; /* file of PEM roots, looked at each minute: others there make it renew soon; or */
    const char *
        ca_pin; /* the root's SHA-256, hex, "sha256:" before it or not; one of the two must be there */
    const char *trust_domain, *ns, *service_account;
    const char *state_dir; /* NULL: nothing is kept; made if missing */
    /* The first identity is in ingest. */
    void (*on_ready)(void *arg);
    void *arg;
};

/* -ERR_CONFIG: what is wrong with which option. */
MUST_USE int node_identity_new(struct node_identity **out, const struct node_identity_spec *spec,
                               struct err *err);
/* Takes what the last run kept, or asks. The loop must run soon. */
void node_identity_start(struct node_identity *id);
/* There is a certificate, and it has not ended. */
bool node_identity_is_there(const struct node_identity *id);
/* Why there is none: what came of the last attempt, or NULL before there was one. */
const char *node_identity_why(const struct node_identity *id);
/* A name that comes from here and from nobody else. */
bool node_identity_owns(enum conf_kind kind, struct span name);
/* NULL is fine. */
void node_identity_free(struct node_identity *id);
#endif
