#ifndef CA_CA_INT_H
#define CA_CA_INT_H
/* What ca.c, ca_desk.c and csr_service.c share. */
#include "base/list.h"
#include "base/log.h"
#include "base/rng.h"
#include "ca/ca.h"
#include "ca/grant.h"
#include "ca/root.h"
#include "http/host.h"
#include "io/deadline.h"
#include "io/mailbox.h"
#include "store/store.h"
#include "tls/issue.h"

/* Desks read it on their threads: what they read does not change after ca_new. */
struct ca {
    struct loop *loop;   /* borrowed */
    struct store *store; /* borrowed */
    struct root root;
    char *trust_domain; /* owned */
    char *control_id;   /* owned */
    struct grant_rules rules;
    struct mailbox *mailbox; /* owned: what desks tell */
    /* The CA's thread only. */
    struct store_port *port;       /* owned */
    struct list asks;              /* struct ca_ask: what the owner asked of the store */
    struct list windows;           /* struct ca_window, one a desk */
    struct token_reviews *reviews; /* borrowed; NULL: no ServiceAccount tokens */
    struct list reviews_now;       /* struct ca_review */
    size_t review_count;
    struct ca_numbers numbers;
};

/* The authority on one host; on that host's thread. */
struct ca_desk {
    struct ca *ca;            /* borrowed */
    struct host *host;        /* borrowed */
    struct loop *loop;        /* the host's */
    struct store_port *port;  /* owned */
    struct issuer *issuer;    /* owned: this thread's parsed copy */
    struct ca_window *window; /* where the CA's thread answers */
    struct list calls;        /* of csr_service */
    size_t busy_count;
    struct deadline renew; /* the server's own certificate */
    struct rng rng;
    struct log_limit refusals;
};

enum ca_outcome { CA_ISSUED, CA_REFUSED, CA_FAILED };
/* Any thread: adds one to a number. */
void ca_count(struct ca *ca, enum ca_outcome outcome);
/* Until a server's own certificate, made now, is renewed: half its life, and up to a tenth less, so that not all threads do it at once. */
int64_t ca_renewal_ms(const struct ca *ca, struct rng *rng);
#endif
