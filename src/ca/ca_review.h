#ifndef CA_CA_REVIEW_H
#define CA_CA_REVIEW_H
/* Whose is this ServiceAccount token: a desk asks the CA's thread by mail, which asks the API server (kube/token_review.h), and is answered by mail.
 *
 *   desk --mail--> ca --token_review_ask--> API server
 *        <--mail--    <--------------------
 * In: csr_service. Next: kube/token_review. */
#include "ca/ca_int.h"
#include "kube/token_review.h"

#define CA_REVIEWS_MAX 1024 /* outstanding, of all desks; beyond: told at once */

struct ca_review;

/* On the desk's thread. on_answer once, later, unless forgotten: answer->code is that of token_review_answer, or -ENOTSUP when the authority takes no such
 * tokens, -ERR_LIMIT when too many are asked for. Spans for its time only. `token` is copied, and wiped. */
struct ca_review *ca_review_ask(struct ca_desk *desk, struct span token,
                                void (*on_answer)(void *arg, const struct token_review_answer *a),
                                void *arg);
/* Before the answer: none comes. NULL is fine. */
void ca_review_forget(struct ca_review *r);

/* Where a desk is answered: opened and closed on the desk's thread. It is the CA's from the first mail on and freed with it. */
struct ca_window *ca_window_open(struct ca_desk *desk);
void ca_window_close(struct ca_window *w);

/* On the CA's thread: ends what is outstanding. */
void ca_reviews_end(struct ca *ca, const char *why);
/* After all windows were closed and all mail is delivered. */
void ca_windows_free(struct ca *ca);
#endif
