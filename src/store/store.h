#ifndef STORE_STORE_H
#define STORE_STORE_H
/* State without Kubernetes: objects that came by the API, join tokens, the ledger of certificates, and small things
 * to remember, in one SQLite file. One thread owns the file, so that its fsync stalls nobody: requests go there by mail, answers come
 * back by mail to the loop that asked. Requests of one port are carried out in their order; many writes of one turn share a transaction, each one
 * whole or not at all; a write is answered only after its commit is on the disk (WAL, synchronous=FULL).
 *
 *    any loop: store_port --call--> [store thread: queue -> transaction -> commit] --answer--> the same loop
 *
 * What is given to a call is copied. Times are microseconds since 1970, UTC; 0 = none. */
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"
#include "io/loop.h"

#define STORE_VALUE_MAX (16UL << 20) /* of one object or blob; -ERR_LIMIT beyond */
#define STORE_HISTORY_KEPT 50        /* of one object */
#define STORE_LIST_MAX 10000         /* rows of one answer, but for objects, which come whole */
#define STORE_KEPT_US \
    2592000000000LL /* 30 days: expired tokens and certificates are then forgotten */

struct store;
/* Opens or makes the file (mode 0600; its folder is made with 0700 if missing), checks it whole, brings its tables to this version, starts the
 * thread. Fails with a sentence that says what to do when the file is damaged, is no store of ours, was written by a newer mesh, or is
 * open in another process. */
MUST_USE int store_open(struct store **out, const char *path, struct err *err);
/* What was asked before is carried out first. All ports must be freed. NULL is fine. */
void store_close(struct store *s);

/* Where answers arrive: one for each loop that asks, used on that loop's thread only. */
struct store_port;
NONNULL_RETURN struct store_port *store_port_new(struct store *s, struct loop *loop);
/* No answer comes any more; what was asked is carried out (this waits for it: at most the disk's time). NULL is fine. */
void store_port_free(struct store_port *p);

/* ---- what is kept ---- */

struct store_object {
    struct span key; /* "kind/namespace/name": unique */
    struct span kind, namespace, name;
    int64_t generation;
    struct span json;
    int64_t created_us, updated_us; /* set by the store: `created` is kept over changes */
};

struct store_change {
    struct store_object object; /* only `key` counts when it is to go */
    bool gone;
};

struct store_history {
    int64_t seq;
    struct span key, author;
    int64_t time_us;
    struct span before, after; /* JSON; empty: there was none, it is gone */
};

/* A join token. The secret itself never gets here. */
struct store_token {
    struct span id;         /* the public part of its text */
    unsigned char hash[32]; /* SHA-256 of the secret part; not in lists */
    struct span identity; /* "namespace/serviceaccount", or "namespace/" and an asterisk for any */
    struct span author;
    int64_t uses_left;
    int64_t created_us; /* set by the store */
    int64_t expires_us; /* 0 = never */
    int64_t used_us;    /* last use; 0 = never */
    bool revoked;
};

/* A certificate that was issued. */
struct store_issue {
    int64_t seq;        /* set by the store; grows */
    struct span serial; /* lower-case hex */
    struct span identity;
    int64_t not_before_us, not_after_us;
    struct span proof; /* "token:ID", "certificate:SERIAL" */
    int64_t issued_us;
    struct span peer; /* address of who asked */
};

struct store_blob {
    struct span key, value;
};

/* ---- calls ---- */

/* What came of a call; for the time of the callback only. Those members that the call speaks of are filled. */
struct store_answer {
    int code;        /* 0, or negative: nothing of this call was done */
    const char *why; /* one sentence; "" when code is 0 */
    const struct store_object *objects;
    const struct store_history *history;
    const struct store_token *tokens;
    const struct store_issue *issues;
    const struct store_blob *blobs;
    size_t count; /* of the one that is filled */
};
typedef void (*store_on_answer)(void *arg, const struct store_answer *a);

/* A call under way: gone when its answer arrives. */
struct store_call;
/* No answer is wanted any more (who asked is gone); it is carried out all the same. NULL is fine. */
void store_call_forget(struct store_call *c);

/* Fills `objects`: all of them, by key. */
struct store_call *store_objects_load(struct store_port *p, store_on_answer on_answer, void *arg);
/* All of them or none, with history. To remove what is not there is no error. Fills `objects` with the puts as they are kept now. */
struct store_call *store_objects_change(struct store_port *p, const struct store_change *changes,
                                        size_t count, struct span author, store_on_answer on_answer,
                                        void *arg);
/* Fills `history`, newest first. `key` empty: of all objects. */
struct store_call *store_history_list(struct store_port *p, struct span key, size_t limit,
                                      store_on_answer on_answer, void *arg);

/* -EEXIST: that id is taken. */
struct store_call *store_token_create(struct store_port *p, const struct store_token *t,
                                      store_on_answer on_answer, void *arg);
/* In one step: there is such a token with this hash, not revoked, not expired at `now_us`, uses left, and bound to `identity` ("ns/sa"; empty:
 * whatever it is bound to); then one use less. Fills `tokens` with it as it is after that. -EACCES: all is well but the
 * identity. -ERR_DENIED otherwise: `why` is for the log and says which; a caller should not be told more than that it is refused. */
struct store_call *store_token_use(struct store_port *p, struct span id,
                                   const unsigned char hash[32], struct span identity,
                                   int64_t now_us, store_on_answer on_answer, void *arg);
/* Fills `tokens`, newest first, without hashes. */
struct store_call *store_token_list(struct store_port *p, store_on_answer on_answer, void *arg);
/* -ENOENT: there is none. To revoke twice is no error. */
struct store_call *store_token_revoke(struct store_port *p, struct span id,
                                      store_on_answer on_answer, void *arg);

/* -EEXIST: that serial was issued before. */
struct store_call *store_ledger_append(struct store_port *p, const struct store_issue *issue,
                                       store_on_answer on_answer, void *arg);
/* Fills `issues`, newest first: of one identity (empty: all), older than `before_seq` (0: from the newest), at most `limit` (0: STORE_LIST_MAX). */
struct store_call *store_ledger_list(struct store_port *p, struct span identity, int64_t before_seq,
                                     size_t limit, store_on_answer on_answer, void *arg);

/* Blobs by space ("known-destinations") and key. Get fills `blobs` with none or one; list with all of a space, by key. */
struct store_call *store_blob_put(struct store_port *p, struct span space, struct span key,
                                  struct span value, store_on_answer on_answer, void *arg);
struct store_call *store_blob_remove(struct store_port *p, struct span space, struct span key,
                                     store_on_answer on_answer, void *arg);
struct store_call *store_blob_get(struct store_port *p, struct span space, struct span key,
                                  store_on_answer on_answer, void *arg);
struct store_call *store_blob_list(struct store_port *p, struct span space,
                                   store_on_answer on_answer, void *arg);
#endif
