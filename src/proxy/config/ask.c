/* A worker's questions: see ask.h. */
#include "proxy/config/ask.h"

#include "base/map.h"
#include "base/mem.h"
#include "io/deadline.h"
#include "io/loop.h"

struct question {
    struct asks *asks;
    enum conf_kind kind;
    struct span name; /* owned */
    struct list waits;
    struct deadline due; /* of the answer; then of the memory */
    bool is_asked;
    enum ask_answer answer; /* remembered, once is_asked is false */
};

struct asks {
    struct loop *loop;
    struct map listeners, hosts; /* name -> struct question */
    void (*post)(void *arg, enum conf_kind kind, struct span name);
    void *arg;
};

static struct map *map_of(struct asks *a, enum conf_kind kind)
{
    return kind == CONF_LISTENER ? &a->listeners : &a->hosts;
}

static void forget(struct question *q)
{
    (void)map_remove(map_of(q->asks, q->kind), q->name); /* it is there */
    deadline_disarm(&q->due);
    mem_free((void *)(uintptr_t)q->name.at);
    mem_free(q);
}

/* Those who wait may ask again at once: the question must be in order before they are told. */
static void settle(struct question *q, enum ask_answer answer)
{
    struct list waits;
    list_init(&waits);
    LIST_EACH(node, next, &q->waits) {
        list_remove(node);
        list_push_back(&waits, node);
    }
    q->is_asked = false;
    q->answer = answer;
    if (answer == ASK_FOUND) {
        forget(q);
    } else {
        deadline_arm(&q->due, q->asks->loop,
                     answer == ASK_UNKNOWN ? ASK_REMEMBER_MS : ASK_RETRY_MS);
    }
    while (!list_is_empty(&waits)) { /* one that is told may cancel another */
        struct ask_wait *w = list_item(waits.next, struct ask_wait, node);
        list_remove(&w->node);
        w->on_answer(w, answer);
    }
}

static void on_due(struct deadline *d)
{
    struct question *q = container_of(d, struct question, due);
    if (q->is_asked) {
        settle(q, ASK_AWAY);
    } else {
        forget(q);
    }
}

void ask_wait_init(struct ask_wait *w, void (*on_answer)(struct ask_wait *, enum ask_answer))
{
    w->on_answer = on_answer;
    list_init(&w->node);
}

bool ask_wait(struct asks *a, enum conf_kind kind, struct span name, struct ask_wait *w,
              enum ask_answer *answer)
{
    struct question *q = map_get(map_of(a, kind), name);
    if (q != NULL && !q->is_asked) {
        *answer = q->answer;
        return false;
    }
    if (q == NULL) {
        if (map_count(&a->listeners) + map_count(&a->hosts) >= ASK_NAMES_MAX) {
            *answer = ASK_UNKNOWN;
            return false;
        }
        q = mem_new(struct question);
        q->asks = a;
        q->kind = kind;
        q->name = span_from(mem_strndup(name.at, name.len), name.len);
        q->is_asked = true;
        list_init(&q->waits);
        deadline_init(&q->due, on_due);
        deadline_arm(&q->due, a->loop, ASK_WAIT_MS);
        (void)map_put(map_of(a, kind), q->name, q); /* new */
        a->post(a->arg, kind, q->name);
    }
    list_push_back(&q->waits, &w->node);
    return true;
}

void ask_cancel(struct ask_wait *w)
{
    list_remove(&w->node);
}

void asks_answer(struct asks *a, enum conf_kind kind, struct span name, enum ask_answer answer)
{
    struct question *q = map_get(map_of(a, kind), name);
    if (q == NULL) {
        return; /* its time was over and has been forgotten */
    }
    settle(q, answer);
}

struct asks *asks_new(struct loop *loop,
                      void (*post)(void *arg, enum conf_kind kind, struct span name), void *arg)
{
    struct asks *a = mem_new(struct asks);
    a->loop = loop;
    a->post = post;
    a->arg = arg;
    map_init(&a->listeners);
    map_init(&a->hosts);
    return a;
}

static void drop_all(struct map *m)
{
    for (struct map_slot *s = NULL; (s = map_next(m, s)) != NULL;) {
        struct question *q = s->value;
        ASSERT(list_is_empty(&q->waits));
        forget(q);
    }
    map_dispose(m);
}

void asks_free(struct asks *a)
{
    if (a == NULL) {
        return;
    }
    drop_all(&a->listeners);
    drop_all(&a->hosts);
    mem_free(a);
}
