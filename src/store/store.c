/* Calls to the store: copied here, carried out on its thread, many in one transaction, answered after its commit.
 * In: store_* on any loop.  Out: on_answer, on the same loop.  Next: store_sqlite.c, store_rows.c. */
#include "store/store.h"

#include <errno.h>
#include <pthread.h>

#include "base/instant.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/worker.h"
#include "store/store_int.h"

enum {
    BATCH_MAX =
        512, /* calls of one transaction: it stays small, and the first of them need not wait long */
    CALL_ARENA_BYTES = 512,
};

struct store {
    struct worker *worker; /* owned */
    const char *path;      /* borrowed from store_open, until it returns */
    /* the store thread's */
    struct store_db *db; /* owned */
    struct list queue;   /* struct store_call, in order */
    struct loop_task run;
    struct log_limit failures;
};

struct store_port {
    struct store *store;
    struct mailbox *box; /* owned */
    bool closed;
};

static void free_call(struct store_call *c)
{
    arena_dispose(&c->arena);
    mem_free(c);
}

/* ---- on the store's thread ---- */

static void on_answer_mail(struct mail *mail, void *owner)
{
    struct store_call *c = container_of(mail, struct store_call, mail);
    const struct store_port *p = owner;
    if (!p->closed && c->on_answer != NULL) {
        c->answer.why = c->err.text;
        c->on_answer(c->arg, &c->answer);
    }
    free_call(c);
}

static void answer(struct store_call *c)
{
    if (c->op == STORE_FLUSH) {
        (void)sem_post(c->flushed); /* who waits there frees the port; the call is done with */
        free_call(c);
        return;
    }
    c->mail.on_arrive = on_answer_mail;
    mailbox_post_take(c->port->box, &c->mail);
}

static void fail_call(struct store_call *c, const struct err *err)
{
    c->err = *err;
    memset(&c->answer, 0, sizeof(c->answer));
    c->answer.code = err->code;
}

/* One transaction. When it is lost as a whole, so is every call in it, also what they read. */
static int run_batch(struct store *s, struct list *batch, struct err *err)
{
    int code = store_db_begin(s->db, err);
    if (code != 0) {
        return code;
    }
    LIST_EACH(node, next, batch) {
        struct store_call *c = list_item(node, struct store_call, node);
        if (c->answer.code == 0 && c->op != STORE_FLUSH) {
            c->answer.code = store_db_run(s->db, c);
            if (store_db_is_lost(s->db)) {
                return err_set(err, c->answer.code != 0 ? c->answer.code : -EIO, "%s", c->err.text);
            }
        }
    }
    code = store_db_commit(s->db, err);
    if (code != 0) {
        store_db_rollback(s->db);
    }
    return code;
}

static void on_run(struct loop_task *task)
{
    struct store *s = container_of(task, struct store, run);
    struct list batch;
    list_init(&batch);
    for (unsigned n = 0; n < BATCH_MAX && !list_is_empty(&s->queue); n++) {
        list_push_back(&batch, list_pop_front(&s->queue));
    }
    struct err err;
    err_clear(&err);
    int code = run_batch(s, &batch, &err);
    uint32_t dropped;
    if (code != 0 && log_limit_allows(&s->failures, instant_mono_ms(), &dropped)) {
        log_error("store", "nothing of this turn was kept why=\"%s\"", err.text);
    }
    while (!list_is_empty(&batch)) {
        struct store_call *c = list_item(list_pop_front(&batch), struct store_call, node);
        if (code != 0) {
            fail_call(c, &err);
        }
        answer(c);
    }
    if (!list_is_empty(&s->queue)) {
        loop_task_add(worker_loop(s->worker), &s->run);
    }
}

static void on_call_mail(struct mail *mail, void *owner)
{
    struct store *s = owner;
    struct store_call *c = container_of(mail, struct store_call, mail);
    list_push_back(&s->queue, &c->node);
    loop_task_add(worker_loop(s->worker), &s->run);
}

static int on_start(struct worker *w, void *arg, struct err *err)
{
    struct store *s = arg;
    s->worker = w;
    (void)pthread_setname_np(pthread_self(), "store"); /* only for people to see */
    return store_db_open(&s->db, s->path, err);
}

static void on_stop(struct worker *w, void *arg)
{
    UNUSED(w);
    struct store *s = arg;
    while (!list_is_empty(&s->queue)) {
        on_run(&s->run);
    }
    loop_task_cancel(&s->run);
    store_db_close(s->db);
}

static const struct worker_ops ops = {.on_start = on_start, .on_stop = on_stop};

/* ---- opening ---- */

int store_open(struct store **out, const char *path, struct err *err)
{
    struct store *s = mem_new(struct store);
    s->path = path;
    list_init(&s->queue);
    loop_task_init(&s->run, on_run);
    struct worker *worker;
    int code = worker_start(&worker, 0, &ops, s, err);
    if (code != 0) {
        mem_free(s);
        return code;
    }
    s->path = NULL;
    *out = s;
    return 0;
}

void store_close(struct store *s)
{
    if (s != NULL) {
        worker_stop(s->worker);
        mem_free(s);
    }
}

struct store_port *store_port_new(struct store *s, struct loop *loop)
{
    struct store_port *p = mem_new(struct store_port);
    p->store = s;
    p->box = mailbox_new(loop, p);
    return p;
}

/* ---- calls ---- */

static struct store_call *new_call(struct store_port *p, enum store_op op,
                                   store_on_answer on_answer, void *arg)
{
    struct store_call *c = mem_new(struct store_call);
    c->port = p;
    c->op = op;
    c->on_answer = on_answer;
    c->arg = arg;
    c->mail.on_arrive = on_call_mail;
    list_init(&c->node);
    arena_init(&c->arena, CALL_ARENA_BYTES);
    return c;
}

static struct store_call *post(struct store_call *c)
{
    mailbox_post_take(worker_mailbox(c->port->store->worker), &c->mail);
    return c;
}

/* Too large is answered like any other failure, in its turn. */
static struct span copy(struct store_call *c, struct span s)
{
    if (s.len > STORE_VALUE_MAX) {
        c->answer.code =
            err_set(&c->err, -ERR_LIMIT, "%zu bytes are more than the store takes; at most %lu",
                    s.len, STORE_VALUE_MAX);
        return SPAN_EMPTY;
    }
    return arena_dup(&c->arena, s);
}

void store_port_free(struct store_port *p)
{
    if (p == NULL) {
        return;
    }
    sem_t flushed;
    (void)sem_init(&flushed, 0, 0); /* fails on misuse only */
    p->closed = true;
    struct store_call *c = new_call(p, STORE_FLUSH, NULL, NULL);
    c->flushed = &flushed;
    (void)post(c);
    while (sem_wait(&flushed) == -1 && errno == EINTR) {
    }
    (void)sem_destroy(&flushed);
    mailbox_free(p->box); /* answers that nobody wants any more are freed here */
    mem_free(p);
}

void store_call_forget(struct store_call *c)
{
    if (c != NULL) {
        c->on_answer = NULL;
    }
}

struct store_call *store_objects_load(struct store_port *p, store_on_answer on_answer, void *arg)
{
    return post(new_call(p, STORE_OBJECTS_LOAD, on_answer, arg));
}

struct store_call *store_objects_change(struct store_port *p, const struct store_change *changes,
                                        size_t count, struct span author, store_on_answer on_answer,
                                        void *arg)
{
    struct store_call *c = new_call(p, STORE_OBJECTS_CHANGE, on_answer, arg);
    c->author = copy(c, author);
    c->now_us = instant_wall_us();
    c->change_count = count;
    c->changes = arena_array(&c->arena, count + 1, sizeof(*c->changes));
    for (size_t i = 0; i < count; i++) {
        const struct store_object *o = &changes[i].object;
        c->changes[i] = (struct store_change){
            .object = {.key = copy(c, o->key),
                       .kind = copy(c, o->kind),
                       .namespace = copy(c, o->namespace),
                       .name = copy(c, o->name),
                       .generation = o->generation,
                       .json = copy(c, o->json)},
            .gone = changes[i].gone,
        };
    }
    return post(c);
}

struct store_call *store_history_list(struct store_port *p, struct span key, size_t limit,
                                      store_on_answer on_answer, void *arg)
{
    struct store_call *c = new_call(p, STORE_HISTORY_LIST, on_answer, arg);
    c->key = copy(c, key);
    c->limit = limit;
    return post(c);
}

struct store_call *store_token_create(struct store_port *p, const struct store_token *t,
                                      store_on_answer on_answer, void *arg)
{
    struct store_call *c = new_call(p, STORE_TOKEN_CREATE, on_answer, arg);
    c->token = *t;
    c->token.id = copy(c, t->id);
    c->token.identity = copy(c, t->identity);
    c->token.author = copy(c, t->author);
    c->now_us = instant_wall_us();
    return post(c);
}

struct store_call *store_token_use(struct store_port *p, struct span id,
                                   const unsigned char hash[32], struct span identity,
                                   int64_t now_us, store_on_answer on_answer, void *arg)
{
    struct store_call *c = new_call(p, STORE_TOKEN_USE, on_answer, arg);
    c->token.id = copy(c, id);
    memcpy(c->token.hash, hash, sizeof(c->token.hash));
    c->token.identity = copy(c, identity);
    c->now_us = now_us;
    return post(c);
}

struct store_call *store_token_list(struct store_port *p, store_on_answer on_answer, void *arg)
{
    return post(new_call(p, STORE_TOKEN_LIST, on_answer, arg));
}

struct store_call *store_token_revoke(struct store_port *p, struct span id,
                                      store_on_answer on_answer, void *arg)
{
    struct store_call *c = new_call(p, STORE_TOKEN_REVOKE, on_answer, arg);
    c->token.id = copy(c, id);
    return post(c);
}

struct store_call *store_ledger_append(struct store_port *p, const struct store_issue *issue,
                                       store_on_answer on_answer, void *arg)
{
    struct store_call *c = new_call(p, STORE_LEDGER_APPEND, on_answer, arg);
    c->issue = *issue;
    c->issue.serial = copy(c, issue->serial);
    c->issue.identity = copy(c, issue->identity);
    c->issue.proof = copy(c, issue->proof);
    c->issue.peer = copy(c, issue->peer);
    return post(c);
}

struct store_call *store_ledger_list(struct store_port *p, struct span identity, int64_t before_seq,
                                     size_t limit, store_on_answer on_answer, void *arg)
{
    struct store_call *c = new_call(p, STORE_LEDGER_LIST, on_answer, arg);
    c->issue.identity = copy(c, identity);
    c->seq = before_seq;
    c->limit = limit;
    return post(c);
}

static struct store_call *blob_call(struct store_port *p, enum store_op op, struct span space,
                                    struct span key, store_on_answer on_answer, void *arg)
{
    struct store_call *c = new_call(p, op, on_answer, arg);
    c->space = copy(c, space);
    c->key = copy(c, key);
    c->now_us = instant_wall_us();
    return c;
}

struct store_call *store_blob_put(struct store_port *p, struct span space, struct span key,
                                  struct span value, store_on_answer on_answer, void *arg)
{
    struct store_call *c = blob_call(p, STORE_BLOB_PUT, space, key, on_answer, arg);
    c->value = copy(c, value);
    return post(c);
}

struct store_call *store_blob_remove(struct store_port *p, struct span space, struct span key,
                                     store_on_answer on_answer, void *arg)
{
    return post(blob_call(p, STORE_BLOB_REMOVE, space, key, on_answer, arg));
}

struct store_call *store_blob_get(struct store_port *p, struct span space, struct span key,
                                  store_on_answer on_answer, void *arg)
{
    return post(blob_call(p, STORE_BLOB_GET, space, key, on_answer, arg));
}

struct store_call *store_blob_list(struct store_port *p, struct span space,
                                   store_on_answer on_answer, void *arg)
{
    return post(blob_call(p, STORE_BLOB_LIST, space, SPAN_EMPTY, on_answer, arg));
}
