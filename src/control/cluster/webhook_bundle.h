#ifndef CONTROL_CLUSTER_WEBHOOK_BUNDLE_H
#define CONTROL_CLUSTER_WEBHOOK_BUNDLE_H
/* The API server calls the injector over TLS and trusts the certificates that the webhook's object names: sees to it that they are the mesh's
 * roots, from every control (not the leader alone: without them no labelled pod can start). Looked at every WEBHOOK_BUNDLE_MS. */
#include "base/compiler.h"
#include "kube/kube_client.h"

#define WEBHOOK_BUNDLE_MS 15000
#define WEBHOOK_BUNDLE_SOON_MS 1000 /* after a failure, or while there is no such object */

struct webhook_bundle;
NONNULL_RETURN struct webhook_bundle *webhook_bundle_new(struct kube_client *client,
                                                         const char *name, struct span roots_pem);
void webhook_bundle_free(struct webhook_bundle *b); /* NULL is fine */
#endif
