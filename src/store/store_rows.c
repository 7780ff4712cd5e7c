/* What each call does with the tables, in the transaction of its turn.
 * In: a call with its arguments.  Out: rows in the call's arena.  Next: store.c answers after the commit. */
#include <sqlite3.h>

#include "base/instant.h"
#include "store/store_int.h"

/* ---- statements ---- */

struct query {
    struct store_db *db;
    struct store_call *call;
    sqlite3_stmt *statement;
    int result; /* SQLITE_OK, ROW, DONE, or the failure that stops everything after it */
};

static void begin(struct query *q, enum store_statement which)
{
    q->statement = q->db->statements[which];
    (void)sqlite3_reset(q->statement); /* repeats what the last step said */
    (void)sqlite3_clear_bindings(q->statement);
    q->result = SQLITE_OK;
}

static void bind_text(struct query *q, int place, struct span s)
{
    if (q->result == SQLITE_OK) {
        q->result = sqlite3_bind_text(q->statement, place, s.at != NULL ? s.at : "", (int)s.len,
                                      SQLITE_STATIC);
    }
}

static void bind_blob(struct query *q, int place, const void *at, size_t len)
{
    if (q->result == SQLITE_OK) {
        q->result =
            sqlite3_bind_blob(q->statement, place, at != NULL ? at : "", (int)len, SQLITE_STATIC);
    }
}

static void bind_int(struct query *q, int place, int64_t value)
{
    if (q->result == SQLITE_OK) {
        q->result = sqlite3_bind_int64(q->statement, place, value);
    }
}

/* True: there is a row. */
static bool step(struct query *q)
{
    if (q->result == SQLITE_OK || q->result == SQLITE_ROW) {
        q->result = sqlite3_step(q->statement);
    }
    return q->result == SQLITE_ROW;
}

/* Must come before the transaction ends: an open statement would hold it. */
static int end(struct query *q, const char *what)
{
    bool failed = q->result != SQLITE_OK && q->result != SQLITE_ROW && q->result != SQLITE_DONE;
    int code = failed ? store_db_fail(q->db, q->result, what, &q->call->err) : 0;
    (void)sqlite3_reset(q->statement);
    return code;
}

static int run(struct query *q, const char *what)
{
    (void)step(q); /* end looks at what came of it */
    return end(q, what);
}

static struct span column_text(const struct query *q, int column)
{
    const void *at = sqlite3_column_blob(q->statement, column);
    int len = sqlite3_column_bytes(q->statement, column);
    return at != NULL ? arena_dup(&q->call->arena, span_from(at, (size_t)len)) : SPAN_EMPTY;
}

static int64_t column_int(const struct query *q, int column)
{
    return sqlite3_column_int64(q->statement, column);
}

/* Room for one more row of an answer: doubled, the old ones left in the arena. */
static void *more(struct store_call *c, void *rows, size_t count, size_t size)
{
    if ((count & (count - 1)) != 0) {
        return rows; /* count is no power of two, so there is room up to the next */
    }
    void *larger = arena_array(&c->arena, count == 0 ? 1 : count * 2, size);
    if (count > 0) {
        memcpy(larger, rows, count * size);
    }
    return larger;
}

static size_t limit_of(const struct store_call *c)
{
    return c->limit == 0 ? STORE_LIST_MAX : size_min(c->limit, STORE_LIST_MAX);
}

/* ---- objects ---- */

static int load_objects(struct store_db *db, struct store_call *c)
{
    struct query q = {.db = db, .call = c};
    struct store_object *rows = NULL;
    size_t count = 0;
    begin(&q, STORE_SQL_OBJECT_ALL);
    while (step(&q)) {
        rows = more(c, rows, count, sizeof(*rows));
        rows[count++] = (struct store_object){
            .key = column_text(&q, 0),
            .kind = column_text(&q, 1),
            .namespace = column_text(&q, 2),
            .name = column_text(&q, 3),
            .generation = column_int(&q, 4),
            .json = column_text(&q, 5),
            .created_us = column_int(&q, 6),
            .updated_us = column_int(&q, 7),
        };
    }
    c->answer.objects = rows;
    c->answer.count = count;
    return end(&q, "can not load objects");
}

static int add_history(struct query *q, const struct store_object *o, struct span before,
                       struct span after)
{
    begin(q, STORE_SQL_HISTORY_ADD);
    bind_text(q, 1, o->key);
    bind_text(q, 2, q->call->author);
    bind_int(q, 3, q->call->now_us);
    if (before.at != NULL) {
        bind_text(q, 4, before);
    }
    if (after.at != NULL) {
        bind_text(q, 5, after);
    }
    int code = run(q, "can not write the history");
    if (code != 0) {
        return code;
    }
    begin(q, STORE_SQL_HISTORY_PRUNE);
    bind_text(q, 1, o->key);
    bind_int(q, 2, STORE_HISTORY_KEPT);
    return run(q, "can not shorten the history");
}

static int change_object(struct query *q, struct store_change *change)
{
    struct store_object *o = &change->object;
    begin(q, STORE_SQL_OBJECT_GET);
    bind_text(q, 1, o->key);
    bool is_there = step(q);
    struct span before = is_there ? column_text(q, 0) : SPAN_EMPTY;
    o->created_us = is_there ? column_int(q, 1) : q->call->now_us;
    o->updated_us = q->call->now_us;
    int code = end(q, "can not read an object");
    if (code != 0 || (change->gone && !is_there)) {
        return code;
    }
    begin(q, change->gone ? STORE_SQL_OBJECT_DELETE : STORE_SQL_OBJECT_PUT);
    bind_text(q, 1, o->key);
    if (!change->gone) {
        bind_text(q, 2, o->kind);
        bind_text(q, 3, o->namespace);
        bind_text(q, 4, o->name);
        bind_int(q, 5, o->generation);
        bind_text(q, 6, o->json);
        bind_int(q, 7, o->created_us);
        bind_int(q, 8, o->updated_us);
    }
    code = run(q, "can not write an object");
    return code != 0 ? code : add_history(q, o, before, change->gone ? SPAN_EMPTY : o->json);
}

static int change_objects(struct store_db *db, struct store_call *c)
{
    struct query q = {.db = db, .call = c};
    struct store_object *rows = arena_array(&c->arena, c->change_count + 1, sizeof(*rows));
    for (size_t i = 0; i < c->change_count; i++) {
        int code = change_object(&q, &c->changes[i]);
        if (code != 0) {
            return code;
        }
        if (!c->changes[i].gone) {
            rows[c->answer.count++] = c->changes[i].object;
        }
    }
    c->answer.objects = rows;
    return 0;
}

static int list_history(struct store_db *db, struct store_call *c)
{
    struct query q = {.db = db, .call = c};
    struct store_history *rows = NULL;
    size_t count = 0;
    begin(&q, c->key.len > 0 ? STORE_SQL_HISTORY_OF : STORE_SQL_HISTORY_LIST);
    bind_int(&q, 1, (int64_t)limit_of(c));
    if (c->key.len > 0) {
        bind_text(&q, 2, c->key);
    }
    while (step(&q)) {
        rows = more(c, rows, count, sizeof(*rows));
        rows[count++] = (struct store_history){
            .seq = column_int(&q, 0),
            .key = column_text(&q, 1),
            .author = column_text(&q, 2),
            .time_us = column_int(&q, 3),
            .before = column_text(&q, 4),
            .after = column_text(&q, 5),
        };
    }
    c->answer.history = rows;
    c->answer.count = count;
    return end(&q, "can not list the history");
}

/* ---- tokens ---- */

static int create_token(struct store_db *db, struct store_call *c)
{
    struct query q = {.db = db, .call = c};
    const struct store_token *t = &c->token;
    begin(&q, STORE_SQL_TOKEN_ADD);
    bind_text(&q, 1, t->id);
    bind_blob(&q, 2, t->hash, sizeof(t->hash));
    bind_text(&q, 3, t->identity);
    bind_text(&q, 4, t->author);
    bind_int(&q, 5, t->uses_left);
    bind_int(&q, 6, c->now_us);
    bind_int(&q, 7, t->expires_us);
    int code = run(&q, "can not write a token");
    if (code == 0 && sqlite3_changes(db->sqlite) == 0) {
        code = err_set(&c->err, -EEXIST, "there is a token '%.*s' already", SPAN_ARG(t->id));
    }
    return code;
}

static struct store_token token_of(const struct query *q)
{
    return (struct store_token){
        .id = column_text(q, 0),
        .identity = column_text(q, 1),
        .author = column_text(q, 2),
        .uses_left = column_int(q, 3),
        .created_us = column_int(q, 4),
        .expires_us = column_int(q, 5),
        .used_us = column_int(q, 6),
        .revoked = column_int(q, 7) != 0,
    };
}

/* In a time that does not tell how much was right. */
static bool is_same_hash(const struct query *q, int column, const unsigned char *hash, size_t len)
{
    const unsigned char *kept = sqlite3_column_blob(q->statement, column);
    if (kept == NULL || (size_t)sqlite3_column_bytes(q->statement, column) != len) {
        return false;
    }
    unsigned differs = 0;
    for (size_t i = 0; i < len; i++) {
        differs |= (unsigned)(kept[i] ^ hash[i]);
    }
    return differs == 0;
}

/* "ns/sa" is bound to "ns/sa", or to any account of "ns". */
static bool is_bound(struct span bound, struct span wanted)
{
    struct span any = span_first(bound, bound.len > 0 ? bound.len - 1 : 0);
    return wanted.len == 0 || span_eq(bound, wanted) ||
           (span_ends(bound, SPAN("/*")) && span_starts(wanted, any) && wanted.len > any.len);
}

static const char *why_refused(const struct store_token *t, const struct store_call *c)
{
    return t->revoked                                         ? "is revoked"
           : t->expires_us != 0 && t->expires_us <= c->now_us ? "has expired"
           : t->uses_left <= 0                                ? "is used up"
                                                              : NULL;
}

static int use_token(struct store_db *db, struct store_call *c)
{
    struct query q = {.db = db, .call = c};
    begin(&q, STORE_SQL_TOKEN_GET);
    bind_text(&q, 1, c->token.id);
    bool is_there = step(&q);
    struct store_token *t = arena_new(&c->arena, struct store_token);
    const char *why = "is not known";
    if (is_there) {
        *t = token_of(&q);
        why = is_same_hash(&q, 8, c->token.hash, sizeof(c->token.hash)) ? why_refused(t, c)
                                                                        : "has another secret";
    }
    int code = end(&q, "can not read a token");
    if (code != 0) {
        return code;
    }
    if (why != NULL) {
        return err_set(&c->err, -ERR_DENIED, "token '%.*s' %s", SPAN_ARG(c->token.id), why);
    }
    if (!is_bound(t->identity, c->token.identity)) {
        return err_set(&c->err, -EACCES, "token '%.*s' is for another identity",
                       SPAN_ARG(c->token.id));
    }
    begin(&q, STORE_SQL_TOKEN_USE);
    bind_text(&q, 1, c->token.id);
    bind_int(&q, 2, c->now_us);
    code = run(&q, "can not count a token's use");
    t->uses_left--;
    t->used_us = c->now_us;
    c->answer.tokens = t;
    c->answer.count = 1;
    return code;
}

static int list_tokens(struct store_db *db, struct store_call *c)
{
    struct query q = {.db = db, .call = c};
    struct store_token *rows = NULL;
    size_t count = 0;
    begin(&q, STORE_SQL_TOKEN_LIST);
    bind_int(&q, 1, (int64_t)limit_of(c));
    while (step(&q)) {
        rows = more(c, rows, count, sizeof(*rows));
        rows[count++] = token_of(&q);
    }
    c->answer.tokens = rows;
    c->answer.count = count;
    return end(&q, "can not list tokens");
}

static int revoke_token(struct store_db *db, struct store_call *c)
{
    struct query q = {.db = db, .call = c};
    begin(&q, STORE_SQL_TOKEN_REVOKE);
    bind_text(&q, 1, c->token.id);
    int code = run(&q, "can not revoke a token");
    if (code == 0 && sqlite3_changes(db->sqlite) == 0) {
        code = err_set(&c->err, -ENOENT, "there is no token '%.*s'", SPAN_ARG(c->token.id));
    }
    return code;
}

/* ---- ledger ---- */

static int append_ledger(struct store_db *db, struct store_call *c)
{
    struct query q = {.db = db, .call = c};
    const struct store_issue *i = &c->issue;
    begin(&q, STORE_SQL_LEDGER_ADD);
    bind_text(&q, 1, i->serial);
    bind_text(&q, 2, i->identity);
    bind_int(&q, 3, i->not_before_us);
    bind_int(&q, 4, i->not_after_us);
    bind_text(&q, 5, i->proof);
    bind_int(&q, 6, i->issued_us);
    bind_text(&q, 7, i->peer);
    int code = run(&q, "can not write to the ledger");
    if (code == 0 && sqlite3_changes(db->sqlite) == 0) {
        code = err_set(&c->err, -EEXIST, "serial '%.*s' was issued before", SPAN_ARG(i->serial));
    }
    return code;
}

static int list_ledger(struct store_db *db, struct store_call *c)
{
    struct query q = {.db = db, .call = c};
    struct store_issue *rows = NULL;
    size_t count = 0;
    begin(&q, c->issue.identity.len > 0 ? STORE_SQL_LEDGER_OF : STORE_SQL_LEDGER_LIST);
    bind_int(&q, 1, c->seq > 0 ? c->seq : INT64_MAX);
    bind_int(&q, 2, (int64_t)limit_of(c));
    if (c->issue.identity.len > 0) {
        bind_text(&q, 3, c->issue.identity);
    }
    while (step(&q)) {
        rows = more(c, rows, count, sizeof(*rows));
        rows[count++] = (struct store_issue){
            .seq = column_int(&q, 0),
            .serial = column_text(&q, 1),
            .identity = column_text(&q, 2),
            .not_before_us = column_int(&q, 3),
            .not_after_us = column_int(&q, 4),
            .proof = column_text(&q, 5),
            .issued_us = column_int(&q, 6),
            .peer = column_text(&q, 7),
        };
    }
    c->answer.issues = rows;
    c->answer.count = count;
    return end(&q, "can not list the ledger");
}

/* ---- blobs ---- */

static int put_blob(struct store_db *db, struct store_call *c)
{
    struct query q = {.db = db, .call = c};
    begin(&q, STORE_SQL_BLOB_PUT);
    bind_text(&q, 1, c->space);
    bind_text(&q, 2, c->key);
    bind_blob(&q, 3, c->value.at, c->value.len);
    bind_int(&q, 4, c->now_us);
    return run(&q, "can not write a blob");
}

static int remove_blob(struct store_db *db, struct store_call *c)
{
    struct query q = {.db = db, .call = c};
    begin(&q, STORE_SQL_BLOB_REMOVE);
    bind_text(&q, 1, c->space);
    bind_text(&q, 2, c->key);
    return run(&q, "can not remove a blob");
}

static int read_blobs(struct store_db *db, struct store_call *c)
{
    struct query q = {.db = db, .call = c};
    struct store_blob *rows = NULL;
    size_t count = 0;
    begin(&q, c->op == STORE_BLOB_GET ? STORE_SQL_BLOB_GET : STORE_SQL_BLOB_LIST);
    bind_text(&q, 1, c->space);
    if (c->op == STORE_BLOB_GET) {
        bind_text(&q, 2, c->key);
    } else {
        bind_int(&q, 2, (int64_t)limit_of(c));
    }
    while (step(&q)) {
        rows = more(c, rows, count, sizeof(*rows));
        rows[count++] = (struct store_blob){.key = column_text(&q, 0), .value = column_text(&q, 1)};
    }
    c->answer.blobs = rows;
    c->answer.count = count;
    return end(&q, "can not read blobs");
}

/* ---- the table ---- */

static const struct {
    int (*run)(struct store_db *db, struct store_call *c);
    bool steps; /* several writes: a savepoint makes them one */
} actions[STORE_OP_COUNT] = {
    [STORE_OBJECTS_LOAD] = {load_objects, false}, [STORE_OBJECTS_CHANGE] = {change_objects, true},
    [STORE_HISTORY_LIST] = {list_history, false}, [STORE_TOKEN_CREATE] = {create_token, false},
    [STORE_TOKEN_USE] = {use_token, false},       [STORE_TOKEN_LIST] = {list_tokens, false},
    [STORE_TOKEN_REVOKE] = {revoke_token, false}, [STORE_LEDGER_APPEND] = {append_ledger, false},
    [STORE_LEDGER_LIST] = {list_ledger, false},   [STORE_BLOB_PUT] = {put_blob, false},
    [STORE_BLOB_REMOVE] = {remove_blob, false},   [STORE_BLOB_GET] = {read_blobs, false},
    [STORE_BLOB_LIST] = {read_blobs, false},
};

static int savepoint(struct store_db *db, struct store_call *c, const char *sql)
{
    int result = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
    return result == SQLITE_OK ? 0
                               : store_db_fail(db, result, "can not write to the store", &c->err);
}

int store_db_run(struct store_db *db, struct store_call *c)
{
    if (!actions[c->op].steps) {
        return actions[c->op].run(db, c);
    }
    int code = savepoint(db, c, "SAVEPOINT call");
    if (code == 0) {
        code = actions[c->op].run(db, c);
        bool drop = code != 0 && !store_db_is_lost(db);
        if (drop && sqlite3_exec(db->sqlite, "ROLLBACK TO call", NULL, NULL, NULL) != SQLITE_OK) {
            store_db_rollback(db); /* better nothing than a half */
            return code;
        }
        if (!store_db_is_lost(db)) {
            int released = savepoint(db, c, "RELEASE call");
            code = code != 0 ? code : released;
        }
    }
    return code;
}
