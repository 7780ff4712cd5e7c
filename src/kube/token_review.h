#ifndef KUBE_TOKEN_REVIEW_H
#define KUBE_TOKEN_REVIEW_H
/* Whose ServiceAccount token is this: authentication.k8s.io/v1 TokenReview, for an audience. Good answers are remembered for at most 60 s (by the token's
 * SHA-256, never beyond its `exp`), so that a storm of starts is one review a token. */
#include "kube/kube_client.h"

struct token_reviews;
/* `audiences`: any of them will do; NULL-terminated ("istio-ca", "mesh"). */
NONNULL_RETURN struct token_reviews *token_reviews_new(struct kube_client *client,
                                                       const char *const *audiences);
void token_reviews_free(struct token_reviews *t);

struct token_review_answer {
    int code; /* 0; -EACCES: not authenticated, other audience, or no service account; others: the server could not be asked */
    const char *why;
    struct span namespace, service_account;
    struct span pod,
        node; /* from extra authentication.kubernetes.io/pod-name, /node-name; may be empty */
};
struct token_review;
/* on_answer once, never before this returned; spans for its time only. */
struct token_review *token_review_ask(struct token_reviews *t, struct span token,
                                      void (*on_answer)(void *arg,
                                                        const struct token_review_answer *a),
                                      void *arg);
void token_review_cancel(struct token_review *r);
#endif
