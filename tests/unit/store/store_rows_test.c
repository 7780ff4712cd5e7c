/* THE BAR: 200 times `kill -9` at any moment while a child writes. Nothing that it was told is kept is lost, nothing is there by
 * half, and the file opens every time. */
#include "store/store_rows.c"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "io/loop.h"
#include "unit/cm.h"

enum {
    ROUNDS = 200,
    KEYS = 64,   /* pairs of objects, written in turn */
    FLIGHT = 48, /* calls under way at a time: fewer than KEYS, so at most one of each key */
    USES = 1000000000,
    PAD_MAX = 6000, /* so that the log grows and is folded back into the file now and then */
};

/* ---- the child: writes for ever, and says what was acknowledged ---- */

struct writer {
    struct loop *loop;
    struct store_port *port;
    struct rng rng;
    uint32_t next;
    unsigned flight;
    int pipe;
};

/* One write: its number and what it was. */
struct note {
    uint32_t n;
    uint32_t what;
};
enum { NOTE_OBJECTS, NOTE_LEDGER, NOTE_TOKEN, NOTE_BLOB };

struct pending {
    struct writer *w;
    struct note note;
};

static void write_more(struct writer *w);

static void on_written(void *arg, const struct store_answer *a)
{
    struct pending *p = arg;
    if (a->code != 0) {
        _exit(7);
    }
    if (write(p->w->pipe, &p->note, sizeof(p->note)) != (ssize_t)sizeof(p->note)) {
        _exit(8);
    }
    p->w->flight--;
    write_more(p->w);
    mem_free(p);
}

static struct pending *note(struct writer *w, uint32_t n, uint32_t what)
{
    struct pending *p = mem_new(struct pending);
    *p = (struct pending){.w = w, .note = {n, what}};
    w->flight++;
    return p;
}

/* Every fifth write of a pair removes it. */
static bool is_removal(uint32_t n)
{
    return n / KEYS % 5 == 4;
}

static void write_pair(struct writer *w, uint32_t n)
{
    static char json[PAD_MAX + 64];
    char keys[2][32];
    struct store_change changes[2];
    int pad = (int)rng_below(&w->rng, PAD_MAX);
    snprintf(json, sizeof(json), "{\"n\":%u,\"pad\":\"%0*d\"}", n, pad, 0);
    for (int i = 0; i < 2; i++) {
        snprintf(keys[i], sizeof(keys[i]), "Service/%c/%02u", 'a' + i, n % KEYS);
        changes[i] = (struct store_change){.object = {.key = span_of(keys[i]),
                                                      .kind = SPAN("Service"),
                                                      .generation = n,
                                                      .json = span_of(json)},
                                           .gone = is_removal(n)};
    }
    store_objects_change(w->port, changes, 2, SPAN("child"), on_written, note(w, n, NOTE_OBJECTS));
}

static void write_one(struct writer *w, uint32_t n)
{
    static const unsigned char hash[32];
    char text[32];
    snprintf(text, sizeof(text), "%08x", n);
    write_pair(w, n);
    if (n % 3 == 0) {
        struct store_issue issue = {
            .serial = span_of(text), .identity = SPAN("a/b"), .not_after_us = INT64_MAX};
        store_ledger_append(w->port, &issue, on_written, note(w, n, NOTE_LEDGER));
        store_token_use(w->port, SPAN("t"), hash, SPAN_EMPTY, 1, on_written,
                        note(w, n, NOTE_TOKEN));
        store_blob_put(w->port, SPAN("s"), SPAN("k"), span_of(text), on_written,
                       note(w, n, NOTE_BLOB));
    }
}

static void write_more(struct writer *w)
{
    while (w->flight < FLIGHT) {
        write_one(w, w->next++);
    }
}

static void be_child(const char *path, uint32_t first, int pipe)
{
    struct store *store;
    struct err err;
    struct writer w = {.next = first, .pipe = pipe};
    rng_seed(&w.rng, first);
    if (store_open(&store, path, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        _exit(6);
    }
    w.loop = loop_new(false);
    w.port = store_port_new(store, w.loop);
    write_more(&w);
    loop_run(w.loop);
}

/* ---- the parent: kills it, and looks ---- */

struct known {
    uint32_t pair[KEYS]; /* the last write that counts for each; 0 = none */
    uint32_t ledger[4096];
    size_t ledger_count;
    uint32_t uses; /* acknowledged ones of the token */
    uint32_t blob;
};

struct watcher {
    char folder[64], path[128];
    struct loop *loop;
    struct store *store;
    struct store_port *port;
    bool answered;
    struct known known;
    uint32_t pair_now[KEYS][2]; /* as read from the store; 0 = gone */
    size_t ledger_found;
    uint32_t first, next; /* numbers of this round */
    size_t acknowledged;
};

static void wait_answer(struct watcher *w)
{
    w->answered = false;
    while (!w->answered) {
        loop_turn(w->loop, true);
    }
}

static void on_done(void *arg, const struct store_answer *a)
{
    struct watcher *w = arg;
    assert_string_equal(a->why, "");
    w->answered = true;
}

static void open_store(struct watcher *w)
{
    struct err err = {0};
    int code = store_open(&w->store, w->path, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(code, 0);
    w->port = store_port_new(w->store, w->loop);
}

static void close_store(struct watcher *w)
{
    store_port_free(w->port);
    store_close(w->store);
    loop_turn(w->loop, false);
}

static void take_note(struct watcher *w, const struct note *n)
{
    struct known *k = &w->known;
    w->acknowledged++;
    w->next = n->n >= w->next ? n->n + 1 : w->next;
    switch (n->what) {
    case NOTE_OBJECTS:
        k->pair[n->n % KEYS] = n->n;
        break;
    case NOTE_LEDGER:
        if (k->ledger_count < ARRAY_LEN(k->ledger)) {
            k->ledger[k->ledger_count++] = n->n;
        }
        break;
    case NOTE_TOKEN:
        k->uses++;
        break;
    default:
        k->blob = n->n;
        break;
    }
}

/* Kills it after so many notes and a little; reads what it had said until then. */
static void run_child(struct watcher *w, unsigned notes, int linger_us)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid != -1);
    if (pid == 0) {
        close(ends[0]);
        be_child(w->path, w->next, ends[1]);
        _exit(9);
    }
    close(ends[1]);
    struct note n;
    unsigned read_count = 0;
    while (read_count < notes && read(ends[0], &n, sizeof(n)) == (ssize_t)sizeof(n)) {
        take_note(w, &n);
        read_count++;
    }
    struct timespec linger = {.tv_nsec = (long)linger_us * 1000};
    (void)ppoll(NULL, 0, &linger, NULL);
    assert_int_equal(kill(pid, SIGKILL), 0);
    while (read(ends[0], &n, sizeof(n)) == (ssize_t)sizeof(n)) {
        take_note(w, &n);
    }
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status)); /* not one of its own exits */
}

static void on_objects(void *arg, const struct store_answer *a)
{
    struct watcher *w = arg;
    memset(w->pair_now, 0, sizeof(w->pair_now));
    for (size_t i = 0; i < a->count; i++) {
        unsigned key;
        char side;
        uint32_t n;
        assert_int_equal(sscanf(a->objects[i].key.at, "Service/%c/%02u", &side, &key), 2);
        assert_int_equal(sscanf(a->objects[i].json.at, "{\"n\":%u,", &n), 1);
        assert_int_equal(a->objects[i].generation, n);
        w->pair_now[key][side - 'a'] = n;
    }
    on_done(w, a);
}

/* What was acknowledged last, or the one write of that key that was under way. */
static void check_pair(struct watcher *w, uint32_t key)
{
    uint32_t now = w->pair_now[key][0];
    uint32_t last = w->known.pair[key];
    uint32_t under_way = last >= w->first ? last + KEYS : w->first + key;
    assert_int_equal(now, w->pair_now[key][1]); /* both or none */
    if (now == (is_removal(under_way) ? 0 : under_way)) {
        w->known.pair[key] = under_way;
    } else {
        assert_int_equal(now, last == 0 || is_removal(last) ? 0 : last);
    }
}

static void on_ledger(void *arg, const struct store_answer *a)
{
    struct watcher *w = arg;
    static unsigned char found[1 << 20];
    memset(found, 0, sizeof(found));
    for (size_t i = 0; i < a->count; i++) {
        uint32_t n;
        assert_int_equal(sscanf(a->issues[i].serial.at, "%x", &n), 1);
        found[n % sizeof(found)] = 1;
        w->next = n >= w->next ? n + 1 : w->next; /* no serial twice */
    }
    for (size_t i = 0; i < w->known.ledger_count; i++) {
        assert_true(found[w->known.ledger[i] % sizeof(found)]);
    }
    w->known.ledger_count = 0; /* the answer is bounded, so each round looks at its own */
    on_done(w, a);
}

static void on_token(void *arg, const struct store_answer *a)
{
    struct watcher *w = arg;
    assert_int_equal(a->count, 1);
    uint32_t used = (uint32_t)(USES - a->tokens[0].uses_left);
    assert_true(used >= w->known.uses && used <= w->known.uses + FLIGHT);
    w->known.uses = used;
    on_done(w, a);
}

static void on_blob(void *arg, const struct store_answer *a)
{
    struct watcher *w = arg;
    if (w->known.blob > 0) {
        uint32_t n;
        assert_int_equal(a->count, 1);
        assert_int_equal(sscanf(a->blobs[0].value.at, "%x", &n), 1);
        assert_true(n >= w->known.blob);
    }
    on_done(w, a);
}

static void check_all(struct watcher *w)
{
    open_store(w);
    store_objects_load(w->port, on_objects, w);
    wait_answer(w);
    for (uint32_t key = 0; key < KEYS; key++) {
        check_pair(w, key);
    }
    store_ledger_list(w->port, SPAN_EMPTY, 0, 0, on_ledger, w);
    wait_answer(w);
    store_token_list(w->port, on_token, w);
    wait_answer(w);
    store_blob_get(w->port, SPAN("s"), SPAN("k"), on_blob, w);
    wait_answer(w);
    close_store(w);
}

static void test_kill(void **state)
{
    UNUSED(state);
    static struct watcher w;
    struct rng rng;
    rng_seed(&rng, 42);
    snprintf(w.folder, sizeof(w.folder), "/tmp/mesh-kill-XXXXXX");
    assert_non_null(mkdtemp(w.folder));
    snprintf(w.path, sizeof(w.path), "%s/mesh.db", w.folder);
    w.loop = loop_new(false);
    w.next = KEYS;
    for (unsigned round = 0; round < ROUNDS; round++) {
        /* Numbers begin anew at a multiple of KEYS: what was under way in the last round is settled. */
        w.first = w.next = (w.next + 2 * KEYS) / KEYS * KEYS;
        if (round == 1) { /* round 0 is killed while the file is made */
            open_store(&w);
            struct store_token t = {.id = SPAN("t"), .identity = SPAN("a/b"), .uses_left = USES};
            store_token_create(w.port, &t, on_done, &w);
            wait_answer(&w);
            close_store(&w);
        }
        unsigned notes = round % 4 == 0 ? 0 : (unsigned)rng_below(&rng, 400);
        run_child(&w, round == 0 ? 0 : notes, (int)rng_below(&rng, 6000));
        if (round > 0) {
            check_all(&w);
        }
    }
    print_message("# %zu writes acknowledged over %d kills\n", w.acknowledged, ROUNDS);
    assert_true(w.acknowledged > ROUNDS);
    loop_free(w.loop);
    char path[160];
    const char *const ends[] = {"", "-wal"};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        snprintf(path, sizeof(path), "%s%s", w.path, ends[i]);
        unlink(path);
    }
    rmdir(w.folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kill)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
