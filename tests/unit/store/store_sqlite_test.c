/* Opening: new files, our own, and all that must be refused with a sentence that says what to do. */
#include "store/store_sqlite.c"

#include "unit/cm.h"

struct place {
    char folder[64];
    char path[128];
};

static void make_place(struct place *p)
{
    snprintf(p->folder, sizeof(p->folder), "/tmp/mesh-sqlite-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->path, sizeof(p->path), "%s/mesh.db", p->folder);
}

static void clear_place(const struct place *p)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    char path[160];
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        snprintf(path, sizeof(path), "%s%s", p->path, ends[i]);
        unlink(path);
    }
}

static void remove_place(const struct place *p)
{
    clear_place(p);
    rmdir(p->path);
    assert_int_equal(rmdir(p->folder), 0);
}

static void write_file(const char *path, const void *bytes, size_t len)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd != -1);
    assert_int_equal(write(fd, bytes, len), len);
    close(fd);
}

static size_t read_file(const char *path, char *to, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd != -1);
    ssize_t n = read(fd, to, room);
    assert_true(n >= 0);
    close(fd);
    return (size_t)n;
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void expect(const struct place *p, int want_code, const char *want)
{
    struct store_db *db = NULL;
    struct err err = {0};
    int code = store_db_open(&db, p->path, &err);
    if (code == 0) {
        store_db_close(db);
    }
    if (want != NULL && strstr(err.text, want) == NULL) {
        print_error("'%s' has no '%s'\n", err.text, want);
        fail();
    }
    assert_int_equal(code, want_code);
}

static void test_new(void **state)
{
    UNUSED(state);
    struct place p;
    struct err err;
    struct first_row row;
    struct store_db *db;
    make_place(&p);
    expect(&p, 0, NULL);
    expect(&p, 0, NULL);
    assert_int_equal(store_db_open(&db, p.path, &err), 0);
    assert_int_equal(ask(db, "PRAGMA journal_mode", &row), SQLITE_OK);
    assert_string_equal(row.text, "wal");
    assert_int_equal(ask(db, "PRAGMA synchronous", &row), SQLITE_OK);
    assert_int_equal(row.number, 2); /* FULL */
    assert_int_equal(ask(db, "PRAGMA locking_mode", &row), SQLITE_OK);
    assert_string_equal(row.text, "exclusive");
    assert_int_equal(ask(db, "SELECT value FROM meta WHERE name='schema'", &row), SQLITE_OK);
    assert_int_equal(row.number, ARRAY_LEN(migrations));
    store_db_close(db);
    clear_place(&p);
    write_file(p.path, "", 0); /* killed before anything was written */
    expect(&p, 0, NULL);
    remove_place(&p);
}

static void test_refused(void **state)
{
    UNUSED(state);
    struct place p;
    static char text[4096];
    memset(text, 'a', sizeof(text));
    make_place(&p);
    write_file(p.path, text, sizeof(text));
    expect(&p, -ERR_CONFIG,
           "is no database, so it is left alone; move it away, or choose another --data-dir");
    write_file(p.path, "kind: Service\n", 14);
    expect(&p, -ERR_CONFIG, "is no database");
    clear_place(&p);
    run_sql(p.path, "CREATE TABLE songs(name TEXT)");
    expect(&p, -ERR_CONFIG, "is the database of another program, so it is left alone");
    clear_place(&p);
    run_sql(p.path, "PRAGMA application_id=7");
    expect(&p, -ERR_CONFIG, "is the database of another program");
    clear_place(&p);
    expect(&p, 0, NULL);
    run_sql(p.path, "UPDATE meta SET value=99");
    expect(&p, -ERR_CONFIG, "was written by a newer mesh (tables of version 99, this one knows 1)");
    clear_place(&p);
    expect(&p, 0, NULL);
    run_sql(p.path, "DROP TABLE tokens");
    expect(&p, -ERR_CONFIG, "is damaged: no such table: tokens");
    clear_place(&p);
    assert_int_equal(mkdir(p.path, 0700), 0);
    expect(&p, -ERR_CONFIG, "is no ordinary file");
    assert_int_equal(rmdir(p.path), 0);
    assert_int_equal(symlink("/etc/passwd", p.path), 0);
    expect(&p, -ERR_CONFIG, "is no ordinary file");
    remove_place(&p);
}

/* Two control planes on one file would each overwrite what the other knows. */
static void test_open_twice(void **state)
{
    UNUSED(state);
    struct place p;
    struct store_db *db;
    struct err err;
    make_place(&p);
    assert_int_equal(store_db_open(&db, p.path, &err), 0);
    expect(&p, -EBUSY, "is open in another process");
    store_db_close(db);
    expect(&p, 0, NULL);
    remove_place(&p);
}

static size_t make_full(const struct place *p, char *bytes, size_t room)
{
    expect(p, 0, NULL);
    run_sql(
        p->path,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<200) "
        "INSERT INTO objects SELECT 'Service/a/'||i,'Service','a',i,1,hex(randomblob(200)),1,1 FROM n;"
        "PRAGMA journal_mode=DELETE");
    size_t len = read_file(p->path, bytes, room);
    assert_true(len > 50000 && len < room);
    return len;
}

static void test_damaged(void **state)
{
    UNUSED(state);
    struct place p;
    static char bytes[1 << 20];
    static char bad[1 << 20];
    make_place(&p);
    size_t len = make_full(&p, bytes, sizeof(bytes));
    memcpy(bad, bytes, len);
    memset(bad + len / 2, 0x5a, 8192);
    write_file(p.path, bad, len);
    expect(&p, -ERR_CONFIG, "is damaged: ");
    expect(&p, -ERR_CONFIG, "put a copy from before back, or start without it");
    /* It is as it was: somebody may want to save what can be saved. */
    static char now[1 << 20];
    assert_int_equal(read_file(p.path, now, sizeof(now)), len);
    assert_memory_equal(now, bad, len);
    /* Cut at any length: refused, never half of it taken for the whole. */
    for (size_t cut = 512; cut < len; cut += 1536) {
        clear_place(&p);
        write_file(p.path, bytes, cut);
        expect(&p, -ERR_CONFIG, NULL);
    }
    clear_place(&p);
    write_file(p.path, bytes, len);
    expect(&p, 0, NULL);
    remove_place(&p);
}

/* Whatever one byte becomes: refused, or opened and read without harm. */
static void test_flipped(void **state)
{
    UNUSED(state);
    struct place p;
    static char bytes[1 << 20];
    make_place(&p);
    size_t len = make_full(&p, bytes, sizeof(bytes));
    for (size_t i = 0; i < 150; i++) {
        size_t at = i < 100 ? i : (i * 7919) % len; /* the header, then anywhere */
        char was = bytes[at];
        bytes[at] = (char)(bytes[at] ^ 0x41);
        clear_place(&p);
        write_file(p.path, bytes, len);
        struct store_db *db;
        struct err err;
        if (store_db_open(&db, p.path, &err) == 0) {
            struct first_row row;
            (void)ask(db, "SELECT sum(length(json)) FROM objects", &row);
            store_db_close(db);
        } else {
            assert_true(strlen(err.text) > 20);
        }
        bytes[at] = was;
    }
    remove_place(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new),        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_open_twice), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_flipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
