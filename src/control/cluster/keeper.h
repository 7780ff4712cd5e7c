#ifndef CONTROL_CLUSTER_KEEPER_H
#define CONTROL_CLUSTER_KEEPER_H
/* Keeps objects of the API server as they ought to be: whoever knows tells in rounds what each should say; what differs from what was written last is
 * applied (server-side, manager "mesh"), a few at a time; failures are tried again later. All of it is written anew every KEEPER_AGAIN_MS, so
 * that what others changed or removed comes back.
 *
 *   root_maps, gateway_deployer, status_writer --want--> keeper --kube_apply--> API server
 *
 * One thread: control's main. */
#include "base/compiler.h"
#include "codec/doc.h"
#include "kube/kube_client.h"
#include "kube/kube_path.h"

#define KEEPER_AT_ONCE 8
#define KEEPER_RETRY_MS 2000
#define KEEPER_AGAIN_MS 300000

struct keeper;
NONNULL_RETURN struct keeper *keeper_new(struct kube_client *client);
/* Calls under way are cancelled. NULL is fine. */
void keeper_free(struct keeper *k);
/* Only who leads writes; when it begins to, all that is wanted is written. */
void keeper_lead(struct keeper *k, bool leading);

/* A round: what is not wanted in it again is forgotten at keeper_end, and removed from the server where `removes` was said. */
void keeper_begin(struct keeper *k);
/* `object` with apiVersion, kind, metadata (copied); `sub` NULL or "status" (static text). `salt`: a change of it writes again, though the text is the same. */
struct keeper_want {
    const struct kube_kind *kind;
    const struct doc_node *object;
    const char *sub;
    uint64_t salt;
    bool removes;
};
void keeper_want(struct keeper *k, const struct keeper_want *w);
void keeper_end(struct keeper *k);

struct keeper_numbers {
    uint64_t written, failed;
    size_t wanted, waiting;
};
struct keeper_numbers keeper_numbers(const struct keeper *k);
#endif
