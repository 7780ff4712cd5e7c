/* One data-plane thread: see proxy_worker.h. */
#include "proxy/proxy_worker.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "proxy/downstream/entry.h"
#include "proxy/request/mirror.h"
#include "proxy/request/packers.h"

struct proxy_worker {
    struct proxy_worker_spec spec;
    struct worker *worker;
    struct loop *loop;
    struct rng rng;
    struct stats *stats;
    struct downstream ds;
    struct cluster **clusters; /* by slot; owned references */
    size_t cluster_slots;
    struct err listen_err; /* of the update in hand */
    struct deadline watch; /* draining: is anybody left? */
};

/* ---- mail to the main thread ---- */

struct report_mail {
    struct mail mail;
    struct proxy_worker_spec spec; /* a copy: mail may outlive its worker */
    struct snapshot *snapshot;
    uint64_t number;
    struct err err;
};

static void on_done_arrive(struct mail *mail, void *owner)
{
    struct report_mail *m = container_of(mail, struct report_mail, mail);
    m->spec.on_snapshot_done(owner, m->snapshot);
    mem_free(m);
}

static void on_applied_arrive(struct mail *mail, void *owner)
{
    struct report_mail *m = container_of(mail, struct report_mail, mail);
    m->spec.on_applied(owner, m->spec.index, m->number, &m->err);
    mem_free(m);
}

static void on_idle_arrive(struct mail *mail, void *owner)
{
    struct report_mail *m = container_of(mail, struct report_mail, mail);
    m->spec.on_idle(owner, m->spec.index);
    mem_free(m);
}

/* A question goes out and its answer comes back in the same form. */
struct name_mail {
    struct mail mail;
    void (*on_question)(void *arg, unsigned index, enum conf_kind kind, struct span name);
    unsigned index;
    enum conf_kind kind;
    enum ask_answer answer;
    size_t len;
    char text[];
};

static struct name_mail *name_mail_new(enum conf_kind kind, struct span name)
{
    struct name_mail *m = mem_zalloc(sizeof(*m) + name.len + 1);
    m->kind = kind;
    m->len = name.len;
    memcpy(m->text, name.at, name.len);
    return m;
}

static void on_question_arrive(struct mail *mail, void *owner)
{
    struct name_mail *m = container_of(mail, struct name_mail, mail);
    m->on_question(owner, m->index, m->kind, span_from(m->text, m->len));
    mem_free(m);
}

static void post_question(void *arg, enum conf_kind kind, struct span name)
{
    struct proxy_worker *w = arg;
    struct name_mail *m = name_mail_new(kind, name);
    m->mail.on_arrive = on_question_arrive;
    m->on_question = w->spec.on_question;
    m->index = w->spec.index;
    mailbox_post_take(w->spec.main, &m->mail);
}

static struct report_mail *report_new(struct proxy_worker *w,
                                      void (*on_arrive)(struct mail *, void *))
{
    struct report_mail *m = mem_new(struct report_mail);
    m->mail.on_arrive = on_arrive;
    m->spec = w->spec;
    return m;
}

/* ---- clusters ---- */

static struct cluster *cluster_at(void *arg, uint32_t slot)
{
    struct proxy_worker *w = arg;
    struct cluster *c = slot < w->cluster_slots ? w->clusters[slot] : NULL;
    return c != NULL && !c->gone ? c : NULL;
}

/* Only for routes that name their cluster by a request header. */
static struct cluster *cluster_named(void *arg, struct span name)
{
    struct proxy_worker *w = arg;
    for (size_t i = 0; i < w->cluster_slots; i++) {
        struct cluster *c = w->clusters[i];
        if (c != NULL && !c->gone && span_eq(c->name, name)) {
            return c;
        }
    }
    return NULL;
}

/* An internal listener that does nothing but tunnel (Istio's connect_originate) is a name for its cluster. */
static struct cluster *tunnel_via(void *arg, struct span listener)
{
    struct proxy_worker *w = arg;
    const struct entry *e = map_get(&w->ds.by_name, listener);
    const struct conf_listener *l = e != NULL ? e->conf : NULL;
    if (l == NULL || !l->internal) {
        return NULL;
    }
    const struct conf_chain *chain = l->chain_count > 0 ? &l->chains[0] : l->default_chain;
    const struct conf_tcp *tcp = chain->tcp;
    return tcp != NULL && tcp->tunnel_to.len > 0 ? cluster_at(w, tcp->clusters[0].slot) : NULL;
}

static void grow_slots(struct proxy_worker *w, size_t slots)
{
    if (slots <= w->cluster_slots) {
        return;
    }
    w->clusters = mem_realloc(w->clusters, slots * sizeof(struct cluster *));
    memset(w->clusters + w->cluster_slots, 0,
           (slots - w->cluster_slots) * sizeof(struct cluster *));
    w->cluster_slots = slots;
}

static void update_clusters(struct proxy_worker *w, const struct snapshot *s)
{
    grow_slots(w, s->slots);
    for (size_t i = 0; i < w->cluster_slots; i++) {
        const struct conf_cluster *conf = i < s->slots ? s->clusters[i] : NULL;
        if (conf == NULL) {
            if (w->clusters[i] != NULL) {
                cluster_update(w->clusters[i], s, NULL, NULL);
                cluster_put(w->clusters[i]);
                w->clusters[i] = NULL;
            }
            continue;
        }
        if (w->clusters[i] == NULL) {
            w->clusters[i] = cluster_new(&w->ds.upstream, conf);
        }
        cluster_update(w->clusters[i], s, conf, s->endpoints[i]);
    }
}

/* ---- entries ---- */

static const struct conf_listener *listener_named(const struct snapshot *s, struct span name)
{
    size_t from = 0;
    size_t to = s->listener_count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = span_cmp(s->listeners[middle]->conf.name, name);
        if (order == 0) {
            return s->listeners[middle];
        }
        from = order < 0 ? middle + 1 : from;
        to = order < 0 ? to : middle;
    }
    return NULL;
}

/* Removed listeners first, so that their addresses are free for new ones. */
static void update_entries(struct proxy_worker *w, const struct snapshot *s)
{
    LIST_EACH(node, next, &w->ds.entries) {
        struct entry *e = list_item(node, struct entry, node);
        if (listener_named(s, e->name) == NULL) {
            entry_update(e, NULL);
            if (entry_is_empty(e)) {
                entry_free(e);
            }
        }
    }
    for (size_t i = 0; i < s->listener_count; i++) {
        struct entry *e = map_get(&w->ds.by_name, s->listeners[i]->conf.name);
        if (e == NULL) {
            entry_new(&w->ds, s->listeners[i]);
        } else {
            entry_update(e, s->listeners[i]);
        }
    }
}

static void on_listen_fail(void *arg, struct span name, const struct err *err)
{
    struct proxy_worker *w = arg;
    UNUSED(name);
    w->listen_err = *err;
}

/* ---- mail from the main thread ---- */

static void on_view_unused(void *arg, struct view *v)
{
    struct proxy_worker *w = arg;
    struct report_mail *m = report_new(w, on_done_arrive);
    m->snapshot = (struct snapshot *)(uintptr_t)v->snapshot; /* main's own, on its way home */
    view_free(v);
    mailbox_post_take(w->spec.main, &m->mail);
}

struct apply_mail {
    struct mail mail;
    struct snapshot *snapshot;
};

static void on_apply(struct mail *mail, void *owner)
{
    struct proxy_worker *w = owner;
    struct apply_mail *m = container_of(mail, struct apply_mail, mail);
    struct snapshot *s = m->snapshot;
    mem_free(m);
    err_clear(&w->listen_err);
    w->ds.before = w->ds.view;
    w->ds.view = view_new(s, on_view_unused, w);
    update_clusters(w, s);
    update_entries(w, s);
    struct view *before = w->ds.before;
    w->ds.before = NULL;
    if (before != NULL) {
        view_retire(before);
    }
    struct report_mail *answer = report_new(w, on_applied_arrive);
    answer->number = s->number;
    answer->err = w->listen_err;
    mailbox_post_take(w->spec.main, &answer->mail);
}

static void on_name_answer(struct mail *mail, void *owner)
{
    struct proxy_worker *w = owner;
    struct name_mail *m = container_of(mail, struct name_mail, mail);
    asks_answer(w->ds.asks, m->kind, span_from(m->text, m->len), m->answer);
    mem_free(m);
}

void proxy_worker_answer(struct proxy_worker *w, enum conf_kind kind, struct span name,
                         enum ask_answer answer)
{
    struct name_mail *m = name_mail_new(kind, name);
    m->mail.on_arrive = on_name_answer;
    m->answer = answer;
    mailbox_post_take(worker_mailbox(w->worker), &m->mail);
}

struct word_mail {
    struct mail mail;
    bool stop_accepting;
};

#define SHED_PART \
    4 /* overload: of the connections, at most this part at once ends for being idle */
#define SHED_LEAST 16 /* ... and so many more */
#define WATCH_MS 100  /* how often a draining worker looks whether anybody is left */

static void on_watch(struct deadline *d)
{
    struct proxy_worker *w = container_of(d, struct proxy_worker, watch);
    bool empty = w->ds.session_count == 0;
    LIST_EACH(node, next, &w->ds.entries) {
        empty = empty && entry_is_empty(list_item(node, struct entry, node));
    }
    if (empty) {
        mailbox_post_take(w->spec.main, &report_new(w, on_idle_arrive)->mail);
        return;
    }
    deadline_arm(&w->watch, w->loop, WATCH_MS);
}

static void on_drain(struct mail *mail, void *owner)
{
    struct proxy_worker *w = owner;
    struct word_mail *m = container_of(mail, struct word_mail, mail);
    w->ds.draining = true;
    if (m->stop_accepting) {
        LIST_EACH(node, next, &w->ds.entries) {
            struct entry *e = list_item(node, struct entry, node);
            entry_stop(e);
            entry_drain(e);
        }
        deadline_arm(&w->watch, w->loop, 0);
    }
    mem_free(m);
}

struct shed_mail {
    struct mail mail;
    struct proxy_shed what;
};

static void shed_idle(struct proxy_worker *w)
{
    size_t left = shared_connections(w->spec.shared) / SHED_PART + SHED_LEAST;
    LIST_EACH(node, next, &w->ds.entries) {
        struct entry *e = list_item(node, struct entry, node);
        if (e->conf == NULL || !e->conf->ignore_overload) {
            left -= entry_shed(e, left);
        }
    }
}

static void on_shed(struct mail *mail, void *owner)
{
    struct proxy_worker *w = owner;
    struct shed_mail *m = container_of(mail, struct shed_mail, mail);
    w->ds.ends_soon = m->what.connections;
    w->ds.refusing = m->what.connections;
    w->ds.upstream.shedding = m->what.requests;
    if (m->what.idle) {
        shed_idle(w);
    }
    mem_free(m);
}

void proxy_worker_shed(struct proxy_worker *w, struct proxy_shed what)
{
    struct shed_mail *m = mem_new(struct shed_mail);
    m->mail.on_arrive = on_shed;
    m->what = what;
    mailbox_post_take(worker_mailbox(w->worker), &m->mail);
}

static void on_reopen(struct mail *mail, void *owner)
{
    struct proxy_worker *w = owner;
    access_logs_reopen(w->ds.logs);
    mem_free(container_of(mail, struct word_mail, mail));
}

void proxy_worker_apply(struct proxy_worker *w, struct snapshot *s)
{
    struct apply_mail *m = mem_new(struct apply_mail);
    m->mail.on_arrive = on_apply;
    m->snapshot = s;
    mailbox_post_take(worker_mailbox(w->worker), &m->mail);
}

static void post_word(struct proxy_worker *w, void (*on_arrive)(struct mail *, void *),
                      bool stop_accepting)
{
    struct word_mail *m = mem_new(struct word_mail);
    m->mail.on_arrive = on_arrive;
    m->stop_accepting = stop_accepting;
    mailbox_post_take(worker_mailbox(w->worker), &m->mail);
}

void proxy_worker_drain(struct proxy_worker *w, bool stop_accepting)
{
    post_word(w, on_drain, stop_accepting);
}

void proxy_worker_reopen_logs(struct proxy_worker *w)
{
    post_word(w, on_reopen, false);
}

/* ---- questions ---- */

struct ask_mail {
    struct mail mail;
    void (*on_answer)(void *arg, const struct proxy_endpoint_state *states, size_t count);
    void *arg;
    struct mailbox *main;
    struct proxy_endpoint_state *states; /* owned */
    size_t count, room;
};

static void on_answer_arrive(struct mail *mail, void *owner)
{
    struct ask_mail *m = container_of(mail, struct ask_mail, mail);
    UNUSED(owner);
    m->on_answer(m->arg, m->states, m->count);
    mem_free(m->states);
    mem_free(m);
}

static void add_state(struct ask_mail *m, uint32_t slot, const struct endpoint *e)
{
    if (m->count == m->room) {
        m->room = m->room ? m->room * 2 : 64;
        m->states = mem_realloc(m->states, m->room * sizeof(*m->states));
    }
    m->states[m->count++] = (struct proxy_endpoint_state){
        .slot = slot,
        .addr = e->addr,
        .usable = e->usable,
        .ejected = e->ejected,
        .weight = e->weight,
        .priority = e->priority,
        .rq_active = e->active,
        .cx_active = e->cx_active,
        .rq_total = e->rq_total,
        .rq_error = e->rq_error,
        .cx_total = e->cx_total,
        .cx_connect_fail = e->cx_connect_fail,
    };
}

static void on_ask(struct mail *mail, void *owner)
{
    struct proxy_worker *w = owner;
    struct ask_mail *m = container_of(mail, struct ask_mail, mail);
    for (size_t i = 0; i < w->cluster_slots; i++) {
        struct cluster *c = w->clusters[i];
        for (size_t k = 0; c != NULL && k < c->endpoint_count; k++) {
            add_state(m, c->slot, c->endpoints[k]);
        }
        for (struct map_slot *s = NULL; c != NULL && (s = map_next(&c->by_addr, s)) != NULL;) {
            add_state(m, c->slot, s->value);
        }
    }
    m->mail.on_arrive = on_answer_arrive;
    mailbox_post_take(m->main, &m->mail);
}

void proxy_worker_ask_endpoints(struct proxy_worker *w,
                                void (*on_answer)(void *arg,
                                                  const struct proxy_endpoint_state *states,
                                                  size_t count),
                                void *arg)
{
    struct ask_mail *m = mem_new(struct ask_mail);
    m->mail.on_arrive = on_ask;
    m->on_answer = on_answer;
    m->arg = arg;
    m->main = w->spec.main;
    mailbox_post_take(worker_mailbox(w->worker), &m->mail);
}

struct use_mail {
    struct mail mail;
    void (*on_use)(void *arg, const struct proxy_use *use);
    void *arg;
    struct mailbox *main;
    struct arena arena;
    struct proxy_use use;
};

static void on_use_arrive(struct mail *mail, void *owner)
{
    struct use_mail *m = container_of(mail, struct use_mail, mail);
    UNUSED(owner);
    m->on_use(m->arg, &m->use);
    arena_dispose(&m->arena);
    mem_free(m);
}

static bool is_used(struct entry *e)
{
    bool used = e->uses != e->uses_told || !list_is_empty(&e->sessions);
    e->uses_told = e->uses;
    return used;
}

static bool is_cluster_used(struct cluster *c)
{
    uint64_t sum = 0;
    for (size_t k = 0; k < c->endpoint_count; k++) {
        const struct endpoint *e = c->endpoints[k];
        sum += e->rq_total + e->cx_total + e->active + e->cx_active;
    }
    bool used = sum != c->uses_told;
    c->uses_told = sum;
    return used;
}

static void on_ask_use(struct mail *mail, void *owner)
{
    struct proxy_worker *w = owner;
    struct use_mail *m = container_of(mail, struct use_mail, mail);
    size_t entries = 0;
    LIST_EACH(node, next, &w->ds.entries) {
        entries++;
    }
    struct span *names = arena_array(&m->arena, entries, sizeof(*names));
    LIST_EACH(node, next, &w->ds.entries) {
        struct entry *e = list_item(node, struct entry, node);
        if (is_used(e)) {
            names[m->use.listener_count++] = arena_dup(&m->arena, e->name);
        }
    }
    bool *slots = arena_array(&m->arena, w->cluster_slots, sizeof(*slots));
    for (size_t i = 0; i < w->cluster_slots; i++) {
        slots[i] = w->clusters[i] != NULL && is_cluster_used(w->clusters[i]);
    }
    m->use.listeners = names;
    m->use.slots = slots;
    m->use.slot_count = w->cluster_slots;
    m->mail.on_arrive = on_use_arrive;
    mailbox_post_take(m->main, &m->mail);
}

void proxy_worker_ask_use(struct proxy_worker *w,
                          void (*on_use)(void *arg, const struct proxy_use *use), void *arg)
{
    struct use_mail *m = mem_new(struct use_mail);
    m->mail.on_arrive = on_ask_use;
    m->on_use = on_use;
    m->arg = arg;
    m->main = w->spec.main;
    arena_init(&m->arena, 4096);
    mailbox_post_take(worker_mailbox(w->worker), &m->mail);
}

/* ---- tap ---- */

struct tap_mail {
    struct mail mail;
    struct mailbox *main;
    void (*on_batch)(void *arg, const struct tap_batch *batch);
    void *arg;
    struct tap_batch batch;
    bool on;
};

static void on_tap_arrive(struct mail *mail, void *owner)
{
    struct tap_mail *m = container_of(mail, struct tap_mail, mail);
    UNUSED(owner);
    m->on_batch(m->arg, &m->batch);
    buf_dispose(&m->batch.entries);
    mem_free(m);
}

static void on_ask_tap(struct mail *mail, void *owner)
{
    struct proxy_worker *w = owner;
    struct tap_mail *m = container_of(mail, struct tap_mail, mail);
    struct tap **tap = &w->ds.upstream.tap;
    if (*tap != NULL) {
        tap_take(*tap, &m->batch);
    }
    if (m->on && *tap == NULL) {
        *tap = tap_new();
    } else if (!m->on) {
        tap_free(*tap);
        *tap = NULL;
    }
    m->mail.on_arrive = on_tap_arrive;
    mailbox_post_take(m->main, &m->mail);
}

void proxy_worker_ask_tap(struct proxy_worker *w, bool on,
                          void (*on_batch)(void *arg, const struct tap_batch *batch), void *arg)
{
    struct tap_mail *m = mem_new(struct tap_mail);
    m->mail.on_arrive = on_ask_tap;
    m->main = w->spec.main;
    m->on_batch = on_batch;
    m->arg = arg;
    m->on = on;
    buf_init(&m->batch.entries, 0);
    mailbox_post_take(worker_mailbox(w->worker), &m->mail);
}

/* ---- life ---- */

static int on_start(struct worker *worker, void *arg, struct err *err)
{
    struct proxy_worker *w = arg;
    UNUSED(err);
    w->worker = worker;
    w->loop = worker_loop(worker);
    rng_init(&w->rng);
    w->stats = stats_new(w->spec.families, w->spec.shard);
    w->ds = (struct downstream){
        .loop = w->loop,
        .upstream = {.loop = w->loop,
                     .rng = &w->rng,
                     .stats = w->stats,
                     .shared = w->spec.shared,
                     .peers = peers_new(),
                     .mirrors = mirrors_new(w->loop),
                     .tunnel_via = tunnel_via,
                     .arg = w,
                     .packers = packers_new(),
                     .self = w->spec.self},
        .logs = access_logs_new(w->loop),
        .cluster_at = cluster_at,
        .cluster_named = cluster_named,
        .arg = w,
        .reuse_port = w->spec.several,
        .on_listen_fail = on_listen_fail,
        .asks = w->spec.on_question != NULL ? asks_new(w->loop, post_question, w) : NULL,
    };
    entry_init(&w->ds);
    deadline_init(&w->watch, on_watch);
    return 0;
}

static void drop_pools(struct endpoint *e)
{
    for (unsigned i = 0; i < HTTP_PROTO_COUNT; i++) {
        pool_dispose(&e->pools[i]);
    }
}

static void drop_clusters(struct proxy_worker *w)
{
    for (size_t i = 0; i < w->cluster_slots; i++) {
        struct cluster *c = w->clusters[i];
        if (c == NULL) {
            continue;
        }
        for (size_t k = 0; k < c->endpoint_count; k++) {
            drop_pools(c->endpoints[k]);
        }
        for (struct map_slot *s = NULL; (s = map_next(&c->by_addr, s)) != NULL;) {
            drop_pools(s->value);
        }
        cluster_update(c, w->ds.view->snapshot, NULL, NULL);
        cluster_put(c);
    }
    mem_free(w->clusters);
    w->clusters = NULL;
    w->cluster_slots = 0;
}

static void on_stop(struct worker *worker, void *arg)
{
    struct proxy_worker *w = arg;
    UNUSED(worker);
    deadline_disarm(&w->watch);
    LIST_EACH(node, next, &w->ds.entries) {
        struct entry *e = list_item(node, struct entry, node);
        entry_stop(e);
        entry_close(e);
    }
    loop_turn(w->loop, false); /* closed connections tell in this turn, and are buried */
    LIST_EACH(left, next_left, &w->ds.entries) {
        entry_free(list_item(left, struct entry, node));
    }
    entry_dispose(&w->ds);
    mirrors_free(w->ds.upstream.mirrors);
    drop_clusters(w);
    loop_turn(w->loop, false);
    packers_free(w->ds.upstream.packers);
    if (w->ds.view != NULL) {
        view_retire(w->ds.view);
    }
    asks_free(w->ds.asks);
    access_logs_free(w->ds.logs);
    peers_free(w->ds.upstream.peers);
    tap_free(w->ds.upstream.tap);
    stats_free(w->stats);
}

static const struct worker_ops ops = {.on_start = on_start, .on_stop = on_stop};

int proxy_worker_start(struct proxy_worker **out, const struct proxy_worker_spec *spec,
                       struct err *err)
{
    struct proxy_worker *w = mem_new(struct proxy_worker);
    w->spec = *spec;
    struct worker *worker;
    int code = worker_start(&worker, spec->index, &ops, w, err);
    if (code != 0) {
        mem_free(w);
        return code;
    }
    w->worker = worker;
    *out = w;
    return 0;
}

void proxy_worker_stop(struct proxy_worker *w)
{
    worker_stop(w->worker);
    mem_free(w);
}
