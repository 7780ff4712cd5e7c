/* Calls over a real file: objects with history, tokens, ledger, blobs; many at once; failures that spare the others. */
#include "store/store.c"

#include <dirent.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/cm.h"

struct bench {
    char folder[64];
    char path[128];
    struct loop *loop;
    struct store *store;
    struct store_port *port;
    /* of the last answer, copied */
    unsigned answers;
    unsigned failures;
    char failed[ERR_TEXT_BYTES]; /* why the last failure was */
    int code;
    char why[ERR_TEXT_BYTES];
    char text[4096];
    size_t count;
};

static void open_bench(struct bench *b)
{
    struct err err = {0};
    int code = store_open(&b->store, b->path, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(code, 0);
    b->port = store_port_new(b->store, b->loop);
}

static void close_bench(struct bench *b)
{
    store_port_free(b->port);
    store_close(b->store);
    loop_turn(b->loop, false);
}

static void setup(struct bench *b)
{
    memset(b, 0, sizeof(*b));
    snprintf(b->folder, sizeof(b->folder), "/tmp/mesh-store-XXXXXX");
    assert_non_null(mkdtemp(b->folder));
    snprintf(b->path, sizeof(b->path), "%s/data/mesh.db", b->folder);
    b->loop = loop_new(false);
    open_bench(b);
}

static void remove_all(const char *folder)
{
    char path[512];
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        if (e->d_type == DT_DIR) {
            remove_all(path);
        } else {
            unlink(path);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    rmdir(folder);
}

static void teardown(struct bench *b)
{
    close_bench(b);
    loop_free(b->loop);
    remove_all(b->folder);
}

/* Everything that an answer has, as text that a row can be compared with. */
static void on_any(void *arg, const struct store_answer *a)
{
    struct bench *b = arg;
    b->answers++;
    b->code = a->code;
    b->count = a->count;
    snprintf(b->why, sizeof(b->why), "%s", a->why);
    if (a->code != 0) {
        b->failures++;
        snprintf(b->failed, sizeof(b->failed), "%s", a->why);
    }
    size_t n = 0;
    b->text[0] = '\0';
#define PUT(...) n += (size_t)snprintf(b->text + n, sizeof(b->text) - n, __VA_ARGS__)
    for (size_t i = 0; i < a->count && n < sizeof(b->text); i++) {
        if (a->objects != NULL) {
            const struct store_object *o = &a->objects[i];
            assert_true(o->created_us > 0 && o->updated_us >= o->created_us);
            PUT("%.*s %.*s/%.*s/%.*s g%d %.*s\n", SPAN_ARG(o->key), SPAN_ARG(o->kind),
                SPAN_ARG(o->namespace), SPAN_ARG(o->name), (int)o->generation, SPAN_ARG(o->json));
        } else if (a->history != NULL) {
            const struct store_history *h = &a->history[i];
            PUT("%.*s by %.*s '%.*s' '%.*s'\n", SPAN_ARG(h->key), SPAN_ARG(h->author),
                SPAN_ARG(h->before), SPAN_ARG(h->after));
        } else if (a->tokens != NULL) {
            const struct store_token *t = &a->tokens[i];
            PUT("%.*s %.*s left=%d expires=%d used=%d%s\n", SPAN_ARG(t->id), SPAN_ARG(t->identity),
                (int)t->uses_left, (int)t->expires_us, (int)t->used_us,
                t->revoked ? " revoked" : "");
        } else if (a->issues != NULL) {
            const struct store_issue *s = &a->issues[i];
            PUT("%.*s %.*s %d-%d %.*s %d %.*s\n", SPAN_ARG(s->serial), SPAN_ARG(s->identity),
                (int)s->not_before_us, (int)(s->not_after_us - INT64_C(9000000000000000)),
                SPAN_ARG(s->proof), (int)s->issued_us, SPAN_ARG(s->peer));
        } else {
            PUT("%.*s=%.*s\n", SPAN_ARG(a->blobs[i].key), SPAN_ARG(a->blobs[i].value));
        }
    }
}

static void until(struct bench *b, unsigned answers)
{
    int64_t begin = instant_mono_ms();
    while (b->answers < answers) {
        loop_turn(b->loop, true);
        assert_true(instant_mono_ms() - begin < 60000);
    }
}

/* One call after the other. */
#define ASK(b, call)                  \
    do {                              \
        assert_non_null(call);        \
        until((b), (b)->answers + 1); \
    } while (0)
#define ARGS(b) on_any, (b)

static struct store_change put(const char *name, int64_t generation, const char *json)
{
    static char keys[8][64];
    static unsigned at;
    char *key = keys[at++ % 8];
    snprintf(key, 64, "Service/default/%s", name);
    return (struct store_change){.object = {.key = span_of(key),
                                            .kind = SPAN("Service"),
                                            .namespace = SPAN("default"),
                                            .name = span_of(name),
                                            .generation = generation,
                                            .json = span_of(json)}};
}

static struct store_change gone(const char *name)
{
    struct store_change c = put(name, 0, "");
    c.gone = true;
    return c;
}

static void change(struct bench *b, struct store_change one)
{
    ASK(b, store_objects_change(b->port, &one, 1, SPAN("me"), ARGS(b)));
}

static void test_objects(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    ASK(&b, store_objects_load(b.port, ARGS(&b)));
    assert_int_equal(b.count, 0);
    struct store_change two[] = {put("b", 1, "{\"b\":1}"), put("a", 1, "{\"a\":1}")};
    ASK(&b, store_objects_change(b.port, two, 2, SPAN("me"), ARGS(&b)));
    assert_int_equal(b.code, 0);
    assert_string_equal(b.text, "Service/default/b Service/default/b g1 {\"b\":1}\n"
                                "Service/default/a Service/default/a g1 {\"a\":1}\n");
    change(&b, put("a", 2, "{\"a\":2}"));
    change(&b, gone("b"));
    change(&b, gone("never"));
    assert_int_equal(b.code, 0);
    ASK(&b, store_objects_load(b.port, ARGS(&b)));
    assert_string_equal(b.text, "Service/default/a Service/default/a g2 {\"a\":2}\n");
    ASK(&b, store_history_list(b.port, SPAN("Service/default/b"), 0, ARGS(&b)));
    assert_string_equal(b.text, "Service/default/b by me '{\"b\":1}' ''\n"
                                "Service/default/b by me '' '{\"b\":1}'\n");
    ASK(&b, store_history_list(b.port, SPAN_EMPTY, 2, ARGS(&b)));
    assert_string_equal(b.text, "Service/default/b by me '{\"b\":1}' ''\n"
                                "Service/default/a by me '{\"a\":1}' '{\"a\":2}'\n");
    /* All of it is there after a restart. */
    close_bench(&b);
    open_bench(&b);
    ASK(&b, store_objects_load(b.port, ARGS(&b)));
    assert_string_equal(b.text, "Service/default/a Service/default/a g2 {\"a\":2}\n");
    teardown(&b);
}

/* One that fails leaves nothing of itself, and spares those that share its transaction. */
static void test_failure_is_whole(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    char *large = mem_zalloc(STORE_VALUE_MAX + 2);
    memset(large, 'x', STORE_VALUE_MAX + 1);
    struct store_change rows[] = {put("a", 1, "{}"), put("b", 1, large)};
    struct store_change good = put("c", 1, "{}");
    store_objects_change(b.port, rows, 2, SPAN("me"), ARGS(&b));
    store_objects_change(b.port, &good, 1, SPAN("me"), ARGS(&b));
    until(&b, 2); /* in one turn, or in two */
    assert_int_equal(b.code, 0);
    assert_int_equal(b.failures, 1);
    assert_string_equal(b.failed, "16777217 bytes are more than the store takes; at most 16777216");
    ASK(&b, store_objects_load(b.port, ARGS(&b)));
    assert_string_equal(b.text, "Service/default/c Service/default/c g1 {}\n");
    mem_free(large);
    teardown(&b);
}

static void test_history_is_bounded(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    unsigned all = STORE_HISTORY_KEPT * 3;
    for (unsigned i = 0; i < all; i++) {
        char json[32];
        snprintf(json, sizeof(json), "{\"i\":%u}", i);
        struct store_change one = put("a", i + 1, json);
        store_objects_change(b.port, &one, 1, SPAN("me"), ARGS(&b));
    }
    until(&b, all);
    ASK(&b, store_history_list(b.port, SPAN_EMPTY, 0, ARGS(&b)));
    assert_int_equal(b.count, STORE_HISTORY_KEPT);
    assert_non_null(strstr(b.text, "'{\"i\":148}' '{\"i\":149}'"));
    teardown(&b);
}

static void test_tokens(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    struct store_token t = {.id = SPAN("one"),
                            .identity = SPAN("default/reviews"),
                            .author = SPAN("me"),
                            .uses_left = 2,
                            .expires_us = 0};
    memset(t.hash, 7, sizeof(t.hash));
    ASK(&b, store_token_create(b.port, &t, ARGS(&b)));
    assert_int_equal(b.code, 0);
    ASK(&b, store_token_create(b.port, &t, ARGS(&b)));
    assert_int_equal(b.code, -EEXIST);
    assert_string_equal(b.why, "there is a token 'one' already");
    t.id = SPAN("any");
    t.identity = SPAN("default/*");
    t.uses_left = 100;
    t.expires_us = INT64_C(1000000000) + 500;
    ASK(&b, store_token_create(b.port, &t, ARGS(&b)));
    t.id = SPAN("dead");
    ASK(&b, store_token_create(b.port, &t, ARGS(&b)));
    ASK(&b, store_token_revoke(b.port, SPAN("dead"), ARGS(&b)));
    ASK(&b, store_token_revoke(b.port, SPAN("dead"), ARGS(&b)));
    assert_int_equal(b.code, 0);
    ASK(&b, store_token_revoke(b.port, SPAN("none"), ARGS(&b)));
    assert_int_equal(b.code, -ENOENT);
    const struct {
        const char *id;
        unsigned char hash;
        const char *identity;
        int64_t now_us;
        const char *want; /* the token, or why not */
    } rows[] = {
        {"one", 7, "default/reviews", 10, "one default/reviews left=1 expires=0 used=10\n"},
        {"one", 8, "default/reviews", 10, "token 'one' has another secret"},
        {"one", 7, "default/ratings", 10, "token 'one' is for another identity"},
        {"one", 7, "", 11, "one default/reviews left=0 expires=0 used=11\n"},
        {"one", 7, "", 11, "token 'one' is used up"},
        {"none", 7, "", 11, "token 'none' is not known"},
        {"dead", 7, "", 11, "token 'dead' is revoked"},
        {"any", 7, "default/x", 11, "any default/* left=99 expires=1000000500 used=11\n"},
        {"any", 7, "default/", 11, "token 'any' is for another identity"},
        {"any", 7, "default2/x", 11, "token 'any' is for another identity"},
        {"any", 7, "other/x", 11, "token 'any' is for another identity"},
        {"any", 7, "default/y", 1000000499,
         "any default/* left=98 expires=1000000500 used=1000000499\n"},
        {"any", 7, "default/y", 1000000500, "token 'any' has expired"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsigned char hash[32];
        memset(hash, rows[i].hash, sizeof(hash));
        ASK(&b, store_token_use(b.port, span_of(rows[i].id), hash, span_of(rows[i].identity),
                                rows[i].now_us, ARGS(&b)));
        assert_string_equal(b.code == 0 ? b.text : b.why, rows[i].want);
        assert_int_equal(b.code, b.count == 1                        ? 0
                                 : strstr(b.why, "another identity") ? -EACCES
                                                                     : -ERR_DENIED);
    }
    ASK(&b, store_token_list(b.port, ARGS(&b)));
    assert_int_equal(b.count, 3);
    assert_non_null(strstr(b.text, "dead default/* left=100 expires=1000000500 used=0 revoked\n"));
    /* Expired longer ago than they are kept: gone at the next opening. */
    close_bench(&b);
    open_bench(&b);
    ASK(&b, store_token_list(b.port, ARGS(&b)));
    assert_string_equal(b.text, "one default/reviews left=0 expires=0 used=11\n");
    teardown(&b);
}

/* However many ask at once, a token of n uses is good for n. */
static void test_token_race(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    struct store_token t = {.id = SPAN("one"), .identity = SPAN("a/b"), .uses_left = 3};
    store_token_create(b.port, &t, ARGS(&b));
    for (unsigned i = 0; i < 20; i++) {
        store_token_use(b.port, t.id, t.hash, t.identity, 5, ARGS(&b));
    }
    until(&b, 21);
    assert_int_equal(b.failures, 17);
    assert_string_equal(b.failed, "token 'one' is used up");
    ASK(&b, store_token_list(b.port, ARGS(&b)));
    assert_string_equal(b.text, "one a/b left=0 expires=0 used=5\n");
    teardown(&b);
}

static void append(struct bench *b, const char *serial, const char *identity)
{
    struct store_issue i = {.serial = span_of(serial),
                            .identity = span_of(identity),
                            .not_before_us = 1,
                            .not_after_us = INT64_C(9000000000000000) + 2,
                            .proof = SPAN("token:one"),
                            .issued_us = 3,
                            .peer = SPAN("10.0.0.1:5")};
    ASK(b, store_ledger_append(b->port, &i, ARGS(b)));
}

static void test_ledger(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    append(&b, "01", "spiffe://x/ns/a/sa/b");
    append(&b, "02", "spiffe://x/ns/a/sa/c");
    append(&b, "03", "spiffe://x/ns/a/sa/b");
    assert_int_equal(b.code, 0);
    append(&b, "02", "spiffe://x/ns/a/sa/c");
    assert_int_equal(b.code, -EEXIST);
    assert_string_equal(b.why, "serial '02' was issued before");
#define ROW(serial, identity) serial " spiffe://x/ns/a/sa/" identity " 1-2 token:one 3 10.0.0.1:5\n"
    const struct {
        const char *identity;
        int64_t before;
        size_t limit;
        const char *want;
    } rows[] = {
        {"", 0, 0, ROW("03", "b") ROW("02", "c") ROW("01", "b")},
        {"", 0, 2, ROW("03", "b") ROW("02", "c")},
        {"", 3, 2, ROW("02", "c") ROW("01", "b")},
        {"spiffe://x/ns/a/sa/b", 0, 0, ROW("03", "b") ROW("01", "b")},
        {"spiffe://x/ns/a/sa/b", 3, 0, ROW("01", "b")},
        {"spiffe://x/ns/a/sa/z", 0, 0, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        ASK(&b, store_ledger_list(b.port, span_of(rows[i].identity), rows[i].before, rows[i].limit,
                                  ARGS(&b)));
        assert_string_equal(b.text, rows[i].want);
    }
    teardown(&b);
}

static void test_blobs(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    ASK(&b, store_blob_put(b.port, SPAN("known"), SPAN("k"), SPAN("v"), ARGS(&b)));
    ASK(&b, store_blob_put(b.port, SPAN("known"), SPAN("k"), SPAN("v\n2"), ARGS(&b)));
    ASK(&b, store_blob_put(b.port, SPAN("known"), SPAN("empty"), SPAN(""), ARGS(&b)));
    ASK(&b, store_blob_put(b.port, SPAN("other"), SPAN("k"), SPAN("w"), ARGS(&b)));
    ASK(&b, store_blob_get(b.port, SPAN("known"), SPAN("k"), ARGS(&b)));
    assert_string_equal(b.text, "k=v\n2\n");
    ASK(&b, store_blob_get(b.port, SPAN("known"), SPAN("none"), ARGS(&b)));
    assert_int_equal(b.code, 0);
    assert_int_equal(b.count, 0);
    ASK(&b, store_blob_list(b.port, SPAN("known"), ARGS(&b)));
    assert_string_equal(b.text, "empty=\nk=v\n2\n");
    ASK(&b, store_blob_remove(b.port, SPAN("known"), SPAN("k"), ARGS(&b)));
    ASK(&b, store_blob_list(b.port, SPAN("known"), ARGS(&b)));
    assert_string_equal(b.text, "empty=\n");
    teardown(&b);
}

static void on_never(void *arg, const struct store_answer *a)
{
    UNUSED(arg);
    UNUSED(a);
    fail();
}

/* Who forgets, or frees the port, gets no answer; the writes are made all the same. */
static void test_forgotten(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    store_call_forget(store_blob_put(b.port, SPAN("s"), SPAN("a"), SPAN("1"), on_never, &b));
    store_call_forget(NULL);
    ASK(&b, store_blob_get(b.port, SPAN("s"), SPAN("a"), ARGS(&b)));
    assert_string_equal(b.text, "a=1\n");
    for (unsigned i = 0; i < BATCH_MAX * 2 + 10; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%04u", i);
        store_blob_put(b.port, SPAN("t"), span_of(key), SPAN("1"), on_never, &b);
    }
    store_port_free(b.port);
    b.port = store_port_new(b.store, b.loop);
    ASK(&b, store_blob_list(b.port, SPAN("t"), ARGS(&b)));
    assert_int_equal(b.count, BATCH_MAX * 2 + 10);
    teardown(&b);
}

static void test_modes(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    ASK(&b, store_blob_put(b.port, SPAN("s"), SPAN("a"), SPAN("1"), ARGS(&b)));
    char path[160];
    const char *const ends[] = {"", "-wal"};
    struct stat status;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        snprintf(path, sizeof(path), "%s%s", b.path, ends[i]);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
    }
    snprintf(path, sizeof(path), "%s/data", b.folder);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    close_bench(&b);
    assert_int_equal(chmod(b.path, 0644), 0);
    open_bench(&b);
    assert_int_equal(stat(b.path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    teardown(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_failure_is_whole),
        cmocka_unit_test(test_history_is_bounded),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_token_race),
        cmocka_unit_test(test_ledger),
        cmocka_unit_test(test_blobs),
        cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_modes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
