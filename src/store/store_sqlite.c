/* The file itself: opened, checked, brought to this version; transactions. The rows are store_rows.c's.
 * In: store.c, on the store's thread.  Out: SQLite.  Next: store_rows.c. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/instant.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/store_int.h"

enum {
    APPLICATION_ID = 0x6d657368, /* "mesh": tells our files from others */
    BUSY_MS = 2000,              /* the process before us may still be ending */
    FOLDER_MODE = 0700,
    FILE_MODE = 0600,
};

/* Each entry brings the tables from the version of its place to the next; written ones never change. */
static const char *const migrations[] = {
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;"
    "INSERT INTO meta VALUES('schema',0);"
    "CREATE TABLE objects(key TEXT PRIMARY KEY, kind TEXT NOT NULL, namespace TEXT NOT NULL,"
    " name TEXT NOT NULL, generation INTEGER NOT NULL, json TEXT NOT NULL, created INTEGER NOT NULL,"
    " updated INTEGER NOT NULL) STRICT;"
    "CREATE TABLE history(seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, author TEXT NOT NULL,"
    " time INTEGER NOT NULL, before TEXT, after TEXT) STRICT;"
    "CREATE INDEX history_of ON history(key, seq);"
    "CREATE TABLE tokens(id TEXT PRIMARY KEY, hash BLOB NOT NULL, identity TEXT NOT NULL,"
    " author TEXT NOT NULL, uses_left INTEGER NOT NULL CHECK(uses_left >= 0), created INTEGER NOT NULL,"
    " expires INTEGER NOT NULL, used INTEGER NOT NULL, revoked INTEGER NOT NULL) STRICT;"
    "CREATE TABLE ledger(seq INTEGER PRIMARY KEY AUTOINCREMENT, serial TEXT NOT NULL UNIQUE,"
    " identity TEXT NOT NULL, not_before INTEGER NOT NULL, not_after INTEGER NOT NULL,"
    " proof TEXT NOT NULL, issued INTEGER NOT NULL, peer TEXT NOT NULL) STRICT;"
    "CREATE INDEX ledger_of ON ledger(identity, seq);"
    "CREATE TABLE blobs(space TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,"
    " updated INTEGER NOT NULL, PRIMARY KEY(space, key)) STRICT;",
};

int store_db_fail(const struct store_db *db, int result, const char *what, struct err *err)
{
    int code;
    switch (result & 0xff) { /* the primary code; what is above says more */
    case SQLITE_FULL:
        code = -ENOSPC;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(
            err, -EBUSY,
            "%s: '%s' is open in another process; a store belongs to one control plane, so "
            "stop the other one or choose another --data-dir",
            what, db->path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        code = -EACCES;
        break;
    case SQLITE_CANTOPEN:
        code = -ENOENT;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        code = -ERR_CONFIG;
        break;
    case SQLITE_TOOBIG:
        code = -ERR_LIMIT;
        break;
    case SQLITE_NOMEM:
        code = -ENOMEM;
        break;
    default:
        code = -EIO;
        break;
    }
    return err_set(err, code, "%s: %s", what,
                   db->sqlite != NULL ? sqlite3_errmsg(db->sqlite) : sqlite3_errstr(result));
}

static int execute(struct store_db *db, const char *sql, const char *what, struct err *err)
{
    int result = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
    return result == SQLITE_OK ? 0 : store_db_fail(db, result, what, err);
}

/* The first column of the first row, as a number or as text. */
struct first_row {
    int64_t number;
    char text[160];
};

static int ask(struct store_db *db, const char *sql, struct first_row *row)
{
    sqlite3_stmt *statement;
    int result = sqlite3_prepare_v2(db->sqlite, sql, -1, &statement, NULL);
    if (result != SQLITE_OK) {
        return result;
    }
    result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        row->number = sqlite3_column_int64(statement, 0);
        (void)snprintf(row->text, sizeof(row->text), "%s", text != NULL ? text : "");
        result = SQLITE_OK;
    } else if (result == SQLITE_DONE) {
        *row = (struct first_row){0};
        result = SQLITE_OK;
    }
    (void)sqlite3_finalize(statement); /* repeats what step said */
    return result;
}

/* ---- the place ---- */

/* The folder of the file and those above it, as far as they are missing. */
static int make_folders(const char *path, struct err *err)
{
    char *copy = mem_strdup(path);
    int code = 0;
    for (char *at = strchr(copy + 1, '/'); at != NULL && code == 0; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (mkdir(copy, FOLDER_MODE) == -1 && errno != EEXIST) {
            code = err_set(err, -errno, "no folder '%s' for the store: %s", copy, err_name(-errno));
        }
        *at = '/';
    }
    mem_free(copy);
    return code;
}

/* Only the owner reads and writes it; SQLite gives its side files the same mode. A file that is there is not opened here: to close it
 * would drop locks that this process may hold on it. */
static int make_file(const char *path, struct err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (fd != -1) {
        (void)close(fd); /* nothing was written */
        return 0;
    }
    if (errno != EEXIST) {
        return err_set(err, -errno, "can not make the store '%s': %s", path, err_name(-errno));
    }
    struct stat status;
    if (lstat(path, &status) == -1) {
        return err_set(err, -errno, "can not look at the store '%s': %s", path, err_name(-errno));
    }
    if (!S_ISREG(status.st_mode)) {
        return err_set(err, -ERR_CONFIG,
                       "the store '%s' is no ordinary file; choose another --data-dir", path);
    }
    if ((status.st_mode & 077) != 0) {
        if (chmod(path, FILE_MODE) == -1) {
            return err_set(err, -errno,
                           "others can read the store '%s', and that can not be changed: %s", path,
                           err_name(-errno));
        }
        log_warn("store", "others could read the store; mode set to 0600 path=\"%s\"", path);
    }
    return 0;
}

/* ---- is it ours, and whole? ---- */

static int refuse_damaged(const struct store_db *db, const char *why, struct err *err)
{
    return err_set(
        err, -ERR_CONFIG,
        "the store '%s' is damaged: %.160s; copy it and its -wal file aside, then put a copy from "
        "before back, or start without it (objects of the API, tokens and the ledger begin empty)",
        db->path, why);
}

static int refuse_foreign(const struct store_db *db, const char *why, struct err *err)
{
    return err_set(err, -ERR_CONFIG,
                   "'%s' is %s, so it is left alone; move it away, or choose another --data-dir",
                   db->path, why);
}

/* A result that says something about the file is said as that. */
static int check_result(const struct store_db *db, int result, struct err *err)
{
    switch (result & 0xff) {
    case SQLITE_NOTADB:
        return refuse_foreign(db, "no database", err);
    case SQLITE_CORRUPT:
        return refuse_damaged(db, sqlite3_errmsg(db->sqlite), err);
    default:
        return store_db_fail(db, result, "can not open the store", err);
    }
}

static int check_owner(struct store_db *db, bool *is_new, struct err *err)
{
    struct first_row id = {0};
    struct first_row tables = {0};
    int result = ask(db, "PRAGMA application_id", &id);
    if (result == SQLITE_OK) {
        result = ask(db, "SELECT count(*) FROM sqlite_schema", &tables);
    }
    if (result != SQLITE_OK) {
        return check_result(db, result, err);
    }
    *is_new = id.number == 0 && tables.number == 0;
    if (!*is_new && id.number != APPLICATION_ID) {
        return refuse_foreign(db, "the database of another program", err);
    }
    return 0;
}

static int check_whole(struct store_db *db, struct err *err)
{
    struct first_row row;
    int result = ask(db, "PRAGMA integrity_check(1)", &row);
    if (result != SQLITE_OK) {
        return check_result(db, result, err);
    }
    return strcmp(row.text, "ok") == 0 ? 0 : refuse_damaged(db, row.text, err);
}

/* All steps in one transaction: a kill in the middle leaves the version of before. */
static int migrate(struct store_db *db, bool is_new, struct err *err)
{
    struct first_row schema = {0};
    int result =
        is_new ? SQLITE_OK : ask(db, "SELECT value FROM meta WHERE name='schema'", &schema);
    if (result != SQLITE_OK) {
        return check_result(db, result, err);
    }
    const int64_t newest = ARRAY_LEN(migrations);
    if (schema.number > newest) {
        return err_set(err, -ERR_CONFIG,
                       "the store '%s' was written by a newer mesh (tables of version %" PRId64
                       ", this one knows %" PRId64 "); use that version, or another --data-dir",
                       db->path, schema.number, newest);
    }
    if (schema.number == newest) {
        return 0;
    }
    char last[128];
    (void)snprintf(last, sizeof(last),
                   "UPDATE meta SET value=%" PRId64
                   " WHERE name='schema'; PRAGMA application_id=%d",
                   newest, APPLICATION_ID);
    int code = execute(db, "BEGIN IMMEDIATE", "can not bring the store to this version", err);
    for (int64_t i = schema.number; i < newest && code == 0; i++) {
        code = execute(db, migrations[i], "can not bring the store to this version", err);
    }
    if (code == 0) {
        code = execute(db, last, "can not bring the store to this version", err);
    }
    if (code == 0) {
        code = execute(db, "COMMIT", "can not bring the store to this version", err);
    }
    return code;
}

/* ---- opening ---- */

/* EXCLUSIVE: one process, and no shared memory file beside it. FULL: a commit is on the disk before it is answered. */
static int set_up(struct store_db *db, struct err *err)
{
    static const char settings[] =
        "PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF;"
        "PRAGMA cell_size_check=ON; PRAGMA journal_size_limit=16777216";
    struct first_row mode;
    int result = ask(db, "PRAGMA journal_mode=WAL", &mode);
    if (result != SQLITE_OK) {
        return check_result(db, result, err);
    }
    if (strcmp(mode.text, "wal") != 0) {
        return err_set(
            err, -ERR_CONFIG,
            "the store '%s' can not keep a write-ahead log there; choose another --data-dir",
            db->path);
    }
    return execute(db, settings, "can not set the store up", err);
}

static int prepare(struct store_db *db, struct err *err)
{
    static const char *const texts[STORE_SQL_COUNT] = {
#define STORE_STATEMENT_TEXT(id, sql) [STORE_SQL_##id] = (sql),
        STORE_STATEMENTS(STORE_STATEMENT_TEXT)
#undef STORE_STATEMENT_TEXT
    };
    for (size_t i = 0; i < STORE_SQL_COUNT; i++) {
        int result = sqlite3_prepare_v3(db->sqlite, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                        &db->statements[i], NULL);
        if (result != SQLITE_OK) { /* ours, but not with our tables */
            return refuse_damaged(db, sqlite3_errmsg(db->sqlite), err);
        }
    }
    return 0;
}

static int forget_old(struct store_db *db, struct err *err)
{
    char sql[256];
    int64_t before = instant_wall_us() - STORE_KEPT_US;
    (void)snprintf(sql, sizeof(sql),
                   "DELETE FROM ledger WHERE not_after<%" PRId64 ";"
                   "DELETE FROM tokens WHERE expires>0 AND expires<%" PRId64,
                   before, before);
    return execute(db, sql, "can not tidy the store up", err);
}

static int open_steps(struct store_db *db, struct err *err)
{
    int code = make_folders(db->path, err);
    if (code == 0) {
        code = make_file(db->path, err);
    }
    if (code != 0) {
        return code;
    }
    int result =
        sqlite3_open_v2(db->path, &db->sqlite,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);
    if (result != SQLITE_OK) {
        return store_db_fail(db, result, "can not open the store", err);
    }
    (void)sqlite3_extended_result_codes(db->sqlite, 1); /* fails on misuse only, as does the next */
    (void)sqlite3_busy_timeout(db->sqlite, BUSY_MS);
    bool is_new = false;
    code = execute(db, "PRAGMA locking_mode=EXCLUSIVE", "can not open the store", err);
    if (code == 0) {
        code = check_owner(db, &is_new, err);
    }
    if (code == 0 && !is_new) {
        code = check_whole(db, err);
    }
    if (code == 0) {
        code = set_up(db, err);
    }
    if (code == 0) {
        code = migrate(db, is_new, err);
    }
    if (code == 0) {
        code = prepare(db, err);
    }
    return code == 0 ? forget_old(db, err) : code;
}

int store_db_open(struct store_db **out, const char *path, struct err *err)
{
    struct store_db *db = mem_new(struct store_db);
    db->path = mem_strdup(path);
    int code = open_steps(db, err);
    if (code != 0) {
        store_db_close(db);
        return code;
    }
    *out = db;
    return 0;
}

void store_db_close(struct store_db *db)
{
    for (size_t i = 0; i < STORE_SQL_COUNT; i++) {
        (void)sqlite3_finalize(db->statements[i]); /* repeats what the last step said */
    }
    (void)sqlite3_close(db->sqlite); /* no statement is left, so it does */
    mem_free(db->path);
    mem_free(db);
}

/* ---- transactions ---- */

int store_db_begin(struct store_db *db, struct err *err)
{
    return execute(db, "BEGIN", "can not write to the store", err);
}

bool store_db_is_lost(const struct store_db *db)
{
    return sqlite3_get_autocommit(db->sqlite) != 0;
}

int store_db_commit(struct store_db *db, struct err *err)
{
    return execute(db, "COMMIT", "can not write to the store", err);
}

void store_db_rollback(struct store_db *db)
{
    if (!store_db_is_lost(db)) {
        (void)sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL); /* drops memory only */
    }
}
