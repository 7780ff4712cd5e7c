/* Wanted objects and what of them was written.
 * In: root_maps, gateway_deployer, status_writer. Next: kube/kube_apply. */
#include "control/cluster/keeper.h"

#include "base/hash.h"
#include "base/instant.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "io/deadline.h"
#include "kube/kube_apply.h"

#define TEXT_MAX (1UL << 20) /* of one object */

struct wanted {
    struct keeper *keeper;
    struct span key; /* the path */
    struct arena arena;
    const struct doc_node *object;
    struct kube_kind kind;
    const char *sub;
    uint64_t hash;
    uint64_t written; /* hash of what the server has; 0 = not known */
    unsigned round;
    bool removes, is_going;
    struct kube_call *call; /* under way */
    int64_t again_ms;       /* after a failure: not before */
};

struct keeper {
    struct kube_client *client; /* borrowed */
    struct map all;             /* key -> struct wanted, owned */
    unsigned round;
    unsigned busy;
    bool leading;
    bool is_silent; /* a failure was said, and nothing has succeeded since */
    struct deadline pump, again;
    struct keeper_numbers numbers;
};

static void wanted_free(struct wanted *w)
{
    if (w->call) {
        kube_call_cancel(w->call);
        w->keeper->busy--;
    }
    arena_dispose(&w->arena);
    mem_free(w);
}

static bool is_due(const struct wanted *w, int64_t now_ms)
{
    return w->call == NULL && (w->is_going || w->written != w->hash) && w->again_ms <= now_ms;
}

static void forget(struct keeper *k, struct wanted *w)
{
    (void)map_remove(&k->all, w->key);
    wanted_free(w);
}

static void on_answer(void *arg, const struct kube_answer *a)
{
    struct wanted *w = arg;
    struct keeper *k = w->keeper;
    w->call = NULL;
    k->busy--;
    bool is_gone = a->code == -ENOENT; /* of what it is the status of, or what should go */
    if (a->code == 0 || is_gone) {
        k->numbers.written += a->code == 0;
        k->is_silent = false;
    } else {
        k->numbers.failed++;
        w->written = 0;
        w->again_ms = instant_mono_ms() + KEEPER_RETRY_MS;
        if (!k->is_silent) {
            k->is_silent = true;
            log_warn("cluster", "not written path=%.*s why=\"%s\"", SPAN_ARG(w->key), a->why);
        }
    }
    if (w->is_going && (a->code == 0 || is_gone)) {
        forget(k, w);
    }
    deadline_arm(&k->pump, kube_client_loop(k->client), 0);
}

static void write_one(struct wanted *w)
{
    struct keeper *k = w->keeper;
    w->written = w->hash; /* unless we hear otherwise; what changes meanwhile differs again */
    k->busy++;
    if (w->is_going) {
        w->call =
            kube_call(k->client,
                      &(struct kube_call_spec){
                          .method = "DELETE", .path = w->key.at, .on_answer = on_answer, .arg = w});
        return;
    }
    w->call = kube_apply(k->client, &(struct kube_apply_spec){.object = w->object,
                                                              .kind = &w->kind,
                                                              .sub = w->sub,
                                                              .on_answer = on_answer,
                                                              .arg = w});
}

static void on_pump(struct deadline *d)
{
    struct keeper *k = container_of(d, struct keeper, pump);
    int64_t now_ms = instant_mono_ms();
    if (!k->leading) {
        return;
    }
    bool rests = false; /* something waits for another try */
    for (struct map_slot *s = NULL; k->busy < KEEPER_AT_ONCE && (s = map_next(&k->all, s));) {
        struct wanted *w = s->value;
        if (is_due(w, now_ms)) {
            write_one(w);
        }
        rests |= w->again_ms > now_ms;
    }
    if (rests) {
        deadline_arm(&k->pump, kube_client_loop(k->client), KEEPER_RETRY_MS);
    }
}

static void pump_soon(struct keeper *k)
{
    if (k->leading) {
        deadline_arm(&k->pump, kube_client_loop(k->client), 0);
    }
}

static void write_all_again(struct keeper *k)
{
    for (struct map_slot *s = NULL; (s = map_next(&k->all, s));) {
        ((struct wanted *)s->value)->written = 0;
    }
    pump_soon(k);
}

static void on_again(struct deadline *d)
{
    struct keeper *k = container_of(d, struct keeper, again);
    write_all_again(k);
    deadline_arm(&k->again, kube_client_loop(k->client), KEEPER_AGAIN_MS);
}

struct keeper *keeper_new(struct kube_client *client)
{
    struct keeper *k = mem_new(struct keeper);
    k->client = client;
    map_init(&k->all);
    deadline_init(&k->pump, on_pump);
    deadline_init(&k->again, on_again);
    deadline_arm(&k->again, kube_client_loop(client), KEEPER_AGAIN_MS);
    return k;
}

void keeper_free(struct keeper *k)
{
    if (k == NULL) {
        return;
    }
    deadline_disarm(&k->pump);
    deadline_disarm(&k->again);
    for (struct map_slot *s = NULL; (s = map_next(&k->all, s));) {
        wanted_free(s->value);
    }
    map_dispose(&k->all);
    mem_free(k);
}

void keeper_lead(struct keeper *k, bool leading)
{
    k->leading = leading;
    if (leading) {
        write_all_again(k);
    }
}

void keeper_begin(struct keeper *k)
{
    k->round++;
}

static uint64_t hash_of(const struct doc_node *object, uint64_t salt)
{
    struct buf text;
    buf_init(&text, TEXT_MAX);
    if (doc_write_json(object, false, &text) != 0) {
        buf_reset(&text); /* larger than any that we make: written as it is, once */
    }
    uint64_t hash = hash_span(hash_process_key(), buf_span(&text)) ^ (salt * 0x9e3779b97f4a7c15ULL);
    buf_dispose(&text);
    return hash ? hash : 1;
}

void keeper_want(struct keeper *k, const struct keeper_want *want)
{
    struct arena arena;
    arena_init(&arena, 1024);
    struct doc_node *object = doc_dup(&arena, want->object);
    const struct doc_node *name = doc_path(object, "metadata.name");
    const struct doc_node *ns = doc_path(object, "metadata.namespace");
    ASSERT(doc_is(name, DOC_TEXT));
    struct span key = span_of(kube_path(
        &arena, want->kind, doc_is(ns, DOC_TEXT) ? ns->text : SPAN_EMPTY, name->text, want->sub));
    uint64_t hash = hash_of(object, want->salt);
    struct wanted *w = map_get(&k->all, key);
    if (w && w->hash == hash && !w->is_going) {
        w->round = k->round;
        arena_dispose(&arena);
        return;
    }
    if (w == NULL) {
        w = mem_new(struct wanted);
        w->keeper = k;
    } else {
        (void)map_remove(&k->all, w->key);
        arena_dispose(&w->arena);
    }
    w->arena = arena;
    w->key = key;
    w->object = object;
    w->kind = *want->kind;
    w->sub = want->sub;
    w->hash = hash;
    w->round = k->round;
    w->removes = want->removes;
    w->written = w->is_going ? 0 : w->written; /* it went, or goes */
    w->is_going = false;
    w->again_ms = 0;
    (void)map_put(&k->all, w->key, w);
}

void keeper_end(struct keeper *k)
{
    for (struct map_slot *s = NULL; (s = map_next(&k->all, s));) {
        struct wanted *w = s->value;
        if (w->round == k->round || w->is_going) {
            continue;
        }
        if (w->removes) {
            w->is_going = true;
            w->again_ms = 0;
        } else {
            forget(k, w);
        }
    }
    pump_soon(k);
}

struct keeper_numbers keeper_numbers(const struct keeper *k)
{
    struct keeper_numbers n = k->numbers;
    n.wanted = map_count(&k->all);
    n.waiting = 0;
    for (struct map_slot *s = NULL; (s = map_next(&k->all, s));) {
        const struct wanted *w = s->value;
        n.waiting += w->is_going || w->written != w->hash;
    }
    return n;
}
