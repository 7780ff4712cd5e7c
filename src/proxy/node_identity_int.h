#ifndef PROXY_NODE_IDENTITY_INT_H
#define PROXY_NODE_IDENTITY_INT_H
/* One identity as texts: what the authority gave, what ingest and the state file take. */
#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

struct node_identity_papers {
    struct arena arena; /* owns the rest */
    struct span key_pem;
    struct span chain_pem; /* leaf first; no root */
    struct span roots_pem;
    int64_t not_before_s, not_after_s; /* of the leaf */
};

/* What papers must be. */
struct node_identity_rules {
    struct span spiffe_id;
    struct span trust_domain;
    struct span
        roots_pem; /* one of the papers' roots must be among these; empty = none to compare with */
    const uint8_t *pin; /* or have this SHA-256; NULL = none */
};

/* -ERR_DENIED, -ERR_CONFIG: of somebody else, of another root, ended, key and certificate do not fit, unreadable. Fills the times. */
MUST_USE int node_identity_papers_check(struct node_identity_papers *p,
                                        const struct node_identity_rules *rules, struct err *err);
/* From and to a file (JSON; 0600). */
MUST_USE int node_identity_papers_load(struct node_identity_papers *p, const char *path,
                                       struct err *err);
MUST_USE int node_identity_papers_save(const struct node_identity_papers *p, const char *path,
                                       struct err *err);
void node_identity_papers_init(struct node_identity_papers *p);
/* Wipes the key. */
void node_identity_papers_dispose(struct node_identity_papers *p);
#endif
