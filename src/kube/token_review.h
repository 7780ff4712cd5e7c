#ifndef KUBE_TOKEN_REVIEW_H
#define KUBE_TOKEN_REVIEW_H
/* Whose ServiceAccount token is this: authentication.k8s.io/v1 TokenReview, for an audience. Good answers are remembered for at most 60 s (by the token's
 * SHA-256, never beyond its `exp`, the last 10,000), and who asks for a token that is just asked for shares that answer, so that a storm of starts is one
 * review a token. At most 64 are asked at once; up to 10,000 more wait.
 * Sources: Kubernetes API, TokenReview v1; Kubernetes documentation "Managing Service Accounts" (usernames, bound tokens' extra fields); RFC 7519 (exp). */
#include "kube/kube_client.h"

struct token_reviews;
/* `audiences`: any of them will do; NULL-terminated ("istio-ca", "mesh"); copied. */
NONNULL_RETURN struct token_reviews *token_reviews_new(struct kube_client *client,
                                                       const char *const *audiences);
/* No answer comes any more. Before kube_client_free. NULL is fine. */
void token_reviews_free(struct token_reviews *t);

struct token_review_answer {
    int code; /* 0; -EACCES: not authenticated, other audience, or no service account; others: the server could not be asked */
    const char *why;
    struct span namespace, service_account;
    struct span pod,
        node; /* from extra authentication.kubernetes.io/pod-name, /node-name; may be empty */
};
struct token_review;
/* on_answer once, never before this returned; spans for its time only. `why` is a sentence that may be shown to who sent the token; it never holds it. */
struct token_review *token_review_ask(struct token_reviews *t, struct span token,
                                      void (*on_answer)(void *arg,
                                                        const struct token_review_answer *a),
                                      void *arg);
/* Only before the answer has come. */
void token_review_cancel(struct token_review *r);

/* `exp` of a JWT, in seconds since 1970, without any proof that it is true; -1 = the text is none, or has no such claim. For deciding how long to remember what
 * somebody else has proven. */
int64_t token_review_expiry(struct span token);
#endif
