#ifndef KUBE_KUBE_EXEC_H
#define KUBE_KUBE_EXEC_H
/* One run of a credential plugin: a program that prints an ExecCredential.
 * Source: client authentication API, client.authentication.k8s.io/v1 and v1beta1. */
#include "base/err.h"
#include "io/loop.h"
#include "kube/kube_conf.h"

struct kube_exec_answer {
    struct span token;             /* may be empty */
    struct span cert_pem, key_pem; /* both or neither */
    int64_t expires_us;            /* INT64_MAX when it is not told */
};
struct kube_exec_run;
/* `conf` has an exec and is borrowed until the end. on_done once, never before this returned; the answer for its time only, or NULL with
 * why (-EACCES); the run is over then and is freed by nobody else. */
MUST_USE int kube_exec_start(struct kube_exec_run **out, struct loop *loop,
                             const struct kube_conf *conf,
                             void (*on_done)(void *arg, const struct kube_exec_answer *a,
                                             const struct err *err),
                             void *arg, struct err *err);
/* Ends it without on_done. NULL is fine. */
void kube_exec_free(struct kube_exec_run *run);
/* From what it printed; the answer lives in the arena. */
MUST_USE int kube_exec_read(struct arena *arena, struct span text, struct span api_version,
                            struct kube_exec_answer *out, struct err *err);
#endif
