#ifndef STORE_STORE_INT_H
#define STORE_STORE_INT_H
/* Between store.c (threads, calls, answers) and store_sqlite.c with store_rows.c (the file). Engine functions run on
 * the store's thread. */
#include <semaphore.h>

#include "base/arena.h"
#include "base/list.h"
#include "io/mailbox.h"
#include "store/store.h"

enum store_op {
    STORE_OBJECTS_LOAD,
    STORE_OBJECTS_CHANGE,
    STORE_HISTORY_LIST,
    STORE_TOKEN_CREATE,
    STORE_TOKEN_USE,
    STORE_TOKEN_LIST,
    STORE_TOKEN_REVOKE,
    STORE_LEDGER_APPEND,
    STORE_LEDGER_LIST,
    STORE_BLOB_PUT,
    STORE_BLOB_REMOVE,
    STORE_BLOB_GET,
    STORE_BLOB_LIST,
    STORE_FLUSH, /* a port that is being freed waits on `flushed` */
    STORE_OP_COUNT
};

/* Made by the loop that asks, then the store thread's, then the loop's again: mail both ways. */
struct store_call {
    struct mail mail;
    struct list node; /* of the store thread's queue */
    struct store_port *port;
    enum store_op op;
    struct arena arena; /* of arguments and answer */
    /* arguments, as the operation needs them */
    struct store_change *changes;
    size_t change_count;
    struct store_token token;
    struct store_issue issue;
    struct span space, key, value, author;
    int64_t seq, now_us;
    size_t limit;
    sem_t *flushed; /* borrowed from store_port_free */
    /* result */
    struct store_answer answer;
    struct err err;
    /* the loop's alone */
    store_on_answer on_answer; /* NULL = forgotten */
    void *arg;
};

struct store_db;
MUST_USE int store_db_open(struct store_db **out, const char *path, struct err *err);
void store_db_close(struct store_db *db);
MUST_USE int store_db_begin(struct store_db *db, struct err *err);
/* Fills the answer of one call, in the transaction. Negative: the call alone failed and left nothing, unless store_db_is_lost. */
MUST_USE int store_db_run(struct store_db *db, struct store_call *c);
/* The engine gave the whole transaction up. */
bool store_db_is_lost(const struct store_db *db);
MUST_USE int store_db_commit(struct store_db *db, struct err *err);
void store_db_rollback(struct store_db *db);

/* ---- within the engine ---- */
struct sqlite3;
struct sqlite3_stmt;

#define STORE_STATEMENTS(X)                                                                            \
    X(OBJECT_ALL,                                                                                      \
      "SELECT key,kind,namespace,name,generation,json,created,updated FROM objects ORDER BY key")      \
    X(OBJECT_GET, "SELECT json,created FROM objects WHERE key=?1")                                     \
    X(OBJECT_PUT, "INSERT INTO objects(key,kind,namespace,name,generation,json,created,updated) "      \
                  "VALUES(?1,?2,?3,?4,?5,?6,?7,?8) ON CONFLICT(key) DO UPDATE SET "                    \
                  "generation=excluded.generation,json=excluded.json,updated=excluded.updated")        \
    X(OBJECT_DELETE, "DELETE FROM objects WHERE key=?1")                                               \
    X(HISTORY_ADD, "INSERT INTO history(key,author,time,before,after) VALUES(?1,?2,?3,?4,?5)")         \
    X(HISTORY_PRUNE,                                                                                   \
      "DELETE FROM history WHERE key=?1 AND seq<=(SELECT seq FROM history WHERE key=?1 "               \
      "ORDER BY seq DESC LIMIT 1 OFFSET ?2)")                                                          \
    X(HISTORY_LIST,                                                                                    \
      "SELECT seq,key,author,time,before,after FROM history ORDER BY seq DESC LIMIT ?1")               \
    X(HISTORY_OF,                                                                                      \
      "SELECT seq,key,author,time,before,after FROM history WHERE key=?2 ORDER BY seq DESC LIMIT ?1")  \
    X(TOKEN_ADD,                                                                                       \
      "INSERT INTO tokens(id,hash,identity,author,uses_left,created,expires,used,revoked) "            \
      "VALUES(?1,?2,?3,?4,?5,?6,?7,0,0) ON CONFLICT(id) DO NOTHING")                                   \
    X(TOKEN_GET,                                                                                       \
      "SELECT id,identity,author,uses_left,created,expires,used,revoked,hash FROM tokens WHERE id=?1") \
    X(TOKEN_USE, "UPDATE tokens SET uses_left=uses_left-1,used=?2 WHERE id=?1 AND uses_left>0")        \
    X(TOKEN_LIST, "SELECT id,identity,author,uses_left,created,expires,used,revoked FROM tokens "      \
                  "ORDER BY created DESC,id LIMIT ?1")                                                 \
    X(TOKEN_REVOKE, "UPDATE tokens SET revoked=1 WHERE id=?1")                                         \
    X(LEDGER_ADD, "INSERT INTO ledger(serial,identity,not_before,not_after,proof,issued,peer) "        \
                  "VALUES(?1,?2,?3,?4,?5,?6,?7) ON CONFLICT(serial) DO NOTHING")                       \
    X(LEDGER_LIST,                                                                                     \
      "SELECT seq,serial,identity,not_before,not_after,proof,issued,peer FROM ledger "                 \
      "WHERE seq<?1 ORDER BY seq DESC LIMIT ?2")                                                       \
    X(LEDGER_OF, "SELECT seq,serial,identity,not_before,not_after,proof,issued,peer FROM ledger "      \
                 "WHERE identity=?3 AND seq<?1 ORDER BY seq DESC LIMIT ?2")                            \
    X(BLOB_PUT,                                                                                        \
      "INSERT INTO blobs(space,key,value,updated) VALUES(?1,?2,?3,?4) "                                \
      "ON CONFLICT(space,key) DO UPDATE SET value=excluded.value,updated=excluded.updated "            \
      "WHERE blobs.value IS NOT excluded.value")                                                       \
    X(BLOB_REMOVE, "DELETE FROM blobs WHERE space=?1 AND key=?2")                                      \
    X(BLOB_GET, "SELECT key,value FROM blobs WHERE space=?1 AND key=?2")                               \
    X(BLOB_LIST, "SELECT key,value FROM blobs WHERE space=?1 ORDER BY key LIMIT ?2")

enum store_statement {
#define STORE_STATEMENT_ENUM(id, sql) STORE_SQL_##id,
    STORE_STATEMENTS(STORE_STATEMENT_ENUM)
#undef STORE_STATEMENT_ENUM
        STORE_SQL_COUNT
};

struct store_db {
    struct sqlite3 *sqlite;                           /* owned */
    struct sqlite3_stmt *statements[STORE_SQL_COUNT]; /* owned */
    char *path;                                       /* owned; for messages */
};
/* "what: reason" by SQLite's result code; a code of ours. */
int store_db_fail(const struct store_db *db, int result, const char *what, struct err *err);
#endif
