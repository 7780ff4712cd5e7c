#ifndef KUBE_KUBE_CREDENTIALS_H
#define KUBE_KUBE_CREDENTIALS_H
/* Who we are to the API server, as a request field: a bearer token, one from a file that is read again each minute, a user name with
 * password, or what a credential plugin prints until that expires. A client certificate belongs to the connection: it is told by on_certificate.
 * Sources: Kubernetes "Authenticating" (client-go credential plugins), RFC 6750, RFC 7617. */
#include "base/err.h"
#include "base/list.h"
#include "http/head.h"
#include "io/loop.h"
#include "kube/kube_conf.h"

struct kube_exec_run;

struct kube_credentials {
    struct loop *loop;            /* borrowed */
    const struct kube_conf *conf; /* borrowed */
    /* A plugin gave another client certificate; err says why it can not be used. */
    int (*on_certificate)(void *arg, struct span cert_pem, struct span key_pem, struct err *err);
    void *arg;
    uint64_t generation; /* another one whenever they changed */
    /* private */
    char *authorization;       /* owned; NULL = none */
    int64_t read_ms;           /* when the token file was read last */
    struct kube_exec_run *run; /* the plugin that runs now */
    struct list waiting;       /* tickets */
    int64_t good_until_us;     /* what the plugin gave; wall time; 0 = nothing yet */
    int64_t renewed_ms;        /* when a refusal last made the plugin run */
    int64_t failed_ms;         /* when the plugin failed last */
    struct err failure;        /* why; code 0 = it has not */
    char *certificate;         /* owned; that the plugin gave last */
};

/* Somebody who waits for credentials. */
struct kube_ticket {
    void (*on_ready)(struct kube_ticket *t, const struct err *err); /* err NULL = they are there */
    /* private */
    struct list node;
};

void kube_credentials_init(struct kube_credentials *c, struct loop *loop,
                           const struct kube_conf *conf);
/* Those who wait are told that it was closed. */
void kube_credentials_dispose(struct kube_credentials *c);
/* 0: they are good now. -EAGAIN: on_ready will come. Others: there are none, and why. */
MUST_USE int kube_credentials_get(struct kube_credentials *c, struct kube_ticket *t,
                                  struct err *err);
/* No on_ready comes. */
void kube_credentials_cancel(struct kube_ticket *t);
/* Adds the fields to a request's head. */
MUST_USE int kube_credentials_put(const struct kube_credentials *c, struct head *head);
/* The server refused (401) what was sent at `generation`: whether asking for them anew may help. The next get does. */
bool kube_credentials_renew(struct kube_credentials *c, uint64_t generation);
/* What they are, for a message: "the token of '/x/token'"; static or of the arena. */
const char *kube_credentials_name(const struct kube_credentials *c, struct arena *arena);
#endif
