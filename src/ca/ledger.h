#ifndef CA_LEDGER_H
#define CA_LEDGER_H
/* The ledger: each certificate is written down, committed, before it leaves; and what was revoked. Revoking stops a certificate from being renewed;
 * it is valid until it ends, which is why leaves are short. On the thread of the port that is given. */
#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"
#include "store/store.h"

struct ledger_entry {
    struct span serial; /* hex */
    struct span identity;
    int64_t not_before_s, not_after_s;
    struct span proof; /* "token:ID", "certificate:SERIAL", "self" */
    struct span peer;  /* address, or empty */
};
struct store_call *ledger_write(struct store_port *port, const struct ledger_entry *entry,
                                store_on_answer on_answer, void *arg);

/* Is this certificate revoked: by its serial, or by its identity at or after the time it was issued? */
struct ledger_look {
    /* Once. -ERR_DENIED with why when it is; another negative code when the store fails. */
    void (*on_known)(void *arg, int code, const struct err *err);
    void *arg;
    /* private */
    struct store_port *port;
    struct store_call *call;
    const char *identity_key; /* owned */
    int64_t issued_s;
};
void ledger_look_start(struct ledger_look *look, struct store_port *port, struct span serial,
                       struct span identity, int64_t issued_s);
/* No answer comes any more; after an answer it is harmless. */
void ledger_look_stop(struct ledger_look *look);

/* All that was revoked, and whether a row of the ledger is. */
struct ledger_revoked {
    const struct store_blob *rows; /* by key */
    size_t count;
};
struct store_call *ledger_revoked_list(struct store_port *port, store_on_answer on_answer,
                                       void *arg);
void ledger_revoked_copy(struct ledger_revoked *to, struct arena *arena,
                         const struct store_answer *from);
bool ledger_is_revoked(const struct ledger_revoked *r, const struct store_issue *issue);

bool ledger_is_serial(struct span text);
/* `what`: a serial (hex) or a SPIFFE ID. Commits before it answers. */
struct store_call *ledger_revoke(struct store_port *port, struct span what,
                                 store_on_answer on_answer, void *arg);
#endif
