#ifndef PROXY_DOWNSTREAM_SESSION_H
#define PROXY_DOWNSTREAM_SESSION_H
/* What HTTP and opaque sessions have in common: their place in an entry, and what an entry asks of them. */
#include "base/compiler.h"
#include "base/list.h"
#include "base/span.h"

struct entry;
struct entry_chain;

/* Head of every session, for the entry's list. */
struct session {
    struct list node;
    struct entry *entry;
    struct span chain_name; /* owned copy; empty names are matched by their place */
    int chain_index;
    uint64_t ticket; /* of shared_enter; 0 = not counted */
    /* The chain it came by, in the new configuration; NULL = gone, or its security has changed (then
     * `must_end`: what goes on would go on under rules that do not hold any more). */
    void (*on_rebind)(struct session *s, struct entry_chain *chain, bool must_end);
    void (*drain)(struct session *s);
    void (*close)(struct session *s);
    bool (*is_idle)(
        const struct session *s); /* draining it now would take nothing away; NULL: never */
};
void session_init(struct session *s, struct entry *e, int chain_index, uint64_t ticket);
void session_dispose(struct session *s);
#endif
