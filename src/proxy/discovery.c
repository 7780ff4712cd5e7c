/* Learned names: see discovery.h. */
#include "proxy/discovery.h"

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "io/deadline.h"
#include "io/loop.h"

/* Each list is in the order of its deadlines, since those of one state are all equally long. */
enum state { FIRST, PENDING, KNOWN, UNKNOWN, STATE_COUNT };

struct learned {
    enum discovery_type type;
    enum state state;
    struct span name; /* owned */
    struct list waits;
    struct list node;   /* in lists[state] */
    int64_t until_ms;   /* of FIRST, PENDING, UNKNOWN */
    int64_t used_ms;    /* KNOWN */
    int64_t asked_ns;   /* for how long somebody waited */
    enum ask_answer no; /* UNKNOWN: ASK_UNKNOWN, or ASK_AWAY when nothing was said in time */
};

/* Label "answer" of what was asked and not known yet. */
enum count { FOUND, UNKNOWN_NAME, LATE, LIMITED, AWAY, COUNT_COUNT };

struct discovery {
    struct loop *loop;
    struct discovery_ops ops;
    void *arg;
    struct map names[DISCOVERY_TYPE_COUNT]; /* -> struct learned */
    struct list lists[STATE_COUNT];
    size_t count;
    struct deadline due;
    int64_t sweep_ms;
    struct bucket { /* look-ups that may be made now, times 1000, as of then */
        int64_t tokens, tokens_ms;
    } buckets[2]; /* of traffic; of DNS, which must not starve it */
    struct log_limit limited;
    struct metric_series *counts[DISCOVERY_TYPE_COUNT][COUNT_COUNT];
    struct metric_series *learned[DISCOVERY_TYPE_COUNT];
    struct metric_series *seconds;
};

static const char *const type_names[DISCOVERY_TYPE_COUNT] = {"Listener", "VirtualHost",
                                                             "NameTable"};

const char *discovery_type_name(enum discovery_type type)
{
    return type_names[type];
}

/* ---- metrics ---- */

static void bind_metrics(struct discovery *d, struct metric_registry *registry)
{
    static const char *const answers[COUNT_COUNT] = {"found", "unknown", "late", "limited", "away"};
    static const char *const both[] = {"type", "answer", NULL};
    static const char *const one[] = {"type", NULL};
    static const double bounds[] = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 2};
    static const struct metric_family_spec lookups = {
        .name = "mesh_discovery_lookups_total",
        .help = "names asked of the control plane on first use, by what was answered",
        .kind = METRIC_COUNTER,
        .labels = both,
    };
    static const struct metric_family_spec learned = {
        .name = "mesh_discovery_learned",
        .help = "names that this proxy is subscribed to because it uses them",
        .kind = METRIC_GAUGE,
        .labels = one,
    };
    static const struct metric_family_spec seconds = {
        .name = "mesh_discovery_wait_seconds",
        .help = "how long first uses waited for the control plane",
        .kind = METRIC_HISTOGRAM,
        .buckets = bounds,
        .bucket_count = ARRAY_LEN(bounds),
    };
    struct metric_family *f = metric_family_add(registry, &lookups);
    struct metric_family *g = metric_family_add(registry, &learned);
    struct metric_family *h = metric_family_add(registry, &seconds);
    struct metric_shard *shard = metric_shard_new(registry);
    for (size_t t = 0; t < DISCOVERY_TYPE_COUNT; t++) {
        for (size_t a = 0; a < COUNT_COUNT; a++) {
            const struct span labels[] = {span_of(type_names[t]), span_of(answers[a])};
            d->counts[t][a] = metric_series_get(shard, f, labels);
        }
        const struct span label = span_of(type_names[t]);
        d->learned[t] = metric_series_get(shard, g, &label);
    }
    d->seconds = metric_series_get(shard, h, NULL);
}

/* ---- life of a name ---- */

static struct learned *find(const struct discovery *d, enum discovery_type type, struct span name)
{
    return map_get(&d->names[type], name);
}

static void arm(struct discovery *d)
{
    int64_t due_ms = d->sweep_ms;
    for (enum state s = FIRST; s < STATE_COUNT; s++) {
        if (s != KNOWN && !list_is_empty(&d->lists[s])) {
            due_ms = i64_min(due_ms, list_item(d->lists[s].next, struct learned, node)->until_ms);
        }
    }
    deadline_arm(&d->due, d->loop, i64_max(due_ms - loop_now_ms(d->loop), 0));
}

static void move(struct discovery *d, struct learned *l, enum state state)
{
    static const int64_t lasts_ms[STATE_COUNT] = {
        [FIRST] = DISCOVERY_FIRST_MS,
        [PENDING] = ASK_WAIT_MS,
        [UNKNOWN] = DISCOVERY_UNKNOWN_MS,
    };
    bool matters = state == KNOWN || (list_is_linked(&l->node) && l->state != PENDING);
    list_remove(&l->node);
    l->state = state;
    l->until_ms = loop_now_ms(d->loop) + lasts_ms[state];
    l->used_ms = loop_now_ms(d->loop);
    list_push_back(&d->lists[state], &l->node);
    if (matters) { /* what is known, or what is awaited before ready */
        d->ops.on_known(d->arg);
    }
}

static void tell(struct discovery *d, struct learned *l, enum ask_answer answer)
{
    bool any = !list_is_empty(&l->waits);
    if (any) {
        metric_observe(d->seconds, (double)(loop_now_ns(d->loop) - l->asked_ns) / 1e9);
    }
    while (!list_is_empty(&l->waits)) {
        struct discovery_wait *w = list_item(l->waits.next, struct discovery_wait, node);
        list_remove(&w->node);
        w->on_answer(w, l->name, answer);
    }
}

static struct learned *add(struct discovery *d, enum discovery_type type, struct span name,
                           enum state state)
{
    struct learned *l = mem_new(struct learned);
    l->type = type;
    l->name = span_from(mem_strndup(name.at, name.len), name.len);
    l->asked_ns = loop_now_ns(d->loop);
    list_init(&l->waits);
    list_init(&l->node);
    (void)map_put(&d->names[type], l->name, l); /* new */
    d->count++;
    metric_gauge_add(d->learned[type], 1);
    move(d, l, state);
    d->ops.want(d->arg, type, l->name, true);
    arm(d);
    return l;
}

static void forget(struct discovery *d, struct learned *l)
{
    bool was_known = l->state == KNOWN;
    ASSERT(list_is_empty(&l->waits));
    list_remove(&l->node);
    (void)map_remove(&d->names[l->type], l->name); /* it is there */
    d->count--;
    metric_gauge_add(d->learned[l->type], -1);
    d->ops.want(d->arg, l->type, l->name, false);
    mem_free((void *)(uintptr_t)l->name.at);
    mem_free(l);
    if (was_known) {
        d->ops.on_known(d->arg);
    }
}

/* PENDING or FIRST: has it come? */
static void look(struct discovery *d, struct learned *l)
{
    enum ingest_state state = d->ops.look(d->arg, l->type, l->name);
    if (state == INGEST_COMING) {
        return;
    }
    bool is_first = l->state == FIRST;
    bool found = state == INGEST_ACTIVE;
    l->no = ASK_UNKNOWN;
    move(d, l, found ? KNOWN : UNKNOWN);
    if (!is_first) {
        metric_add(d->counts[l->type][found ? FOUND : UNKNOWN_NAME], 1);
    }
    tell(d, l, found ? ASK_FOUND : ASK_UNKNOWN);
}

/* ---- limits ---- */

static bool take_token(struct discovery *d, enum discovery_type type)
{
    struct bucket *b = &d->buckets[type == DISCOVERY_NAME_TABLE];
    int64_t now_ms = loop_now_ms(d->loop);
    int64_t gained = (now_ms - b->tokens_ms) * DISCOVERY_PER_SECOND;
    b->tokens = i64_min(b->tokens + gained, (int64_t)DISCOVERY_PER_SECOND * 1000);
    b->tokens_ms = now_ms;
    if (b->tokens < 1000) {
        return false;
    }
    b->tokens -= 1000;
    return true;
}

static void say_limited(struct discovery *d, enum discovery_type type, struct span name)
{
    uint32_t dropped;
    if (log_limit_allows(&d->limited, loop_now_ms(d->loop), &dropped)) {
        log_warn("discovery",
                 "MESH4051 treated as unknown: %d names are learned, or more than %d new ones in a "
                 "second type=%s name=%.*s more=%u",
                 DISCOVERY_NAMES_MAX, DISCOVERY_PER_SECOND, type_names[type], SPAN_ARG(name),
                 dropped);
    }
}

/* ---- asking ---- */

static void ask_known(struct discovery *d, struct learned *l, struct discovery_wait *w)
{
    if (l->state == KNOWN) {
        l->used_ms = loop_now_ms(d->loop);
        switch (d->ops.look(d->arg, l->type, l->name)) {
        case INGEST_ACTIVE:
            w->on_answer(w, l->name, ASK_FOUND);
            return;
        case INGEST_COMING: /* it was taken away and comes again */
            move(d, l, PENDING);
            break;
        case INGEST_MISSING:
            l->no = ASK_UNKNOWN;
            move(d, l, UNKNOWN);
            break;
        }
        arm(d);
    }
    if (l->state == UNKNOWN || !d->ops.is_connected(d->arg)) {
        w->on_answer(w, l->name, l->state == UNKNOWN ? l->no : ASK_AWAY);
        return;
    }
    list_push_back(&l->waits, &w->node);
}

void discovery_ask(struct discovery *d, enum discovery_type type, struct span name,
                   struct discovery_wait *w)
{
    struct learned *l = find(d, type, name);
    if (l != NULL) {
        ask_known(d, l, w);
        return;
    }
    if (!d->ops.is_connected(d->arg)) {
        metric_add(d->counts[type][AWAY], 1);
        w->on_answer(w, name, ASK_AWAY);
        return;
    }
    if (d->count >= DISCOVERY_NAMES_MAX || name.len > DISCOVERY_NAME_BYTES_MAX ||
        !take_token(d, type)) {
        metric_add(d->counts[type][LIMITED], 1);
        say_limited(d, type, name);
        w->on_answer(w, name, ASK_UNKNOWN);
        return;
    }
    l = add(d, type, name, PENDING);
    list_push_back(&l->waits, &w->node);
    look(d, l);
}

bool discovery_add(struct discovery *d, enum discovery_type type, struct span name)
{
    if (find(d, type, name) != NULL) {
        return true;
    }
    if (d->count >= DISCOVERY_NAMES_MAX || name.len == 0 || name.len > DISCOVERY_NAME_BYTES_MAX) {
        return false;
    }
    look(d, add(d, type, name, FIRST));
    return true;
}

void discovery_add_text(struct discovery *d, struct span text)
{
    struct span name = text;
    struct span type = span_cut(&name, '|');
    for (enum discovery_type t = DISCOVERY_LISTENER; name.at && t < DISCOVERY_TYPE_COUNT; t++) {
        if (span_is(type, type_names[t])) {
            (void)discovery_add(d, t, name); /* without it the name is learned when it is used */
        }
    }
}

void discovery_touch(struct discovery *d, enum discovery_type type, struct span name)
{
    struct learned *l = find(d, type, name);
    if (l != NULL) {
        l->used_ms = loop_now_ms(d->loop);
    }
}

/* ---- time ---- */

static void look_at_all(struct discovery *d, enum state state)
{
    LIST_EACH(node, next, &d->lists[state]) {
        look(d, list_item(node, struct learned, node));
    }
}

void discovery_settled(struct discovery *d)
{
    look_at_all(d, FIRST);
    look_at_all(d, PENDING);
    arm(d);
}

/* Nothing was said in time. What comes late is still taken. */
static void give_up(struct discovery *d, struct learned *l)
{
    if (l->state == FIRST && !d->ops.is_connected(d->arg)) {
        move(d, l, FIRST); /* nobody could have answered yet */
        return;
    }
    metric_add(d->counts[l->type][LATE], 1);
    l->no = ASK_AWAY;
    move(d, l, UNKNOWN);
    tell(d, l, ASK_AWAY);
}

static void end_unknown(struct discovery *d, struct learned *l)
{
    if (d->ops.look(d->arg, l->type, l->name) == INGEST_ACTIVE) {
        move(d, l, KNOWN); /* it was made meanwhile */
    } else {
        forget(d, l);
    }
}

static void sweep(struct discovery *d, int64_t now_ms)
{
    d->sweep_ms = now_ms + DISCOVERY_SWEEP_MS;
    LIST_EACH(node, next, &d->lists[KNOWN]) {
        struct learned *l = list_item(node, struct learned, node);
        bool gone = d->ops.look(d->arg, l->type, l->name) == INGEST_MISSING;
        if (gone || now_ms - l->used_ms >= DISCOVERY_UNUSED_MS) {
            forget(d, l);
        }
    }
    d->ops.on_sweep(d->arg);
}

static void on_due(struct deadline *due)
{
    struct discovery *d = container_of(due, struct discovery, due);
    int64_t now_ms = loop_now_ms(d->loop);
    for (enum state s = FIRST; s < STATE_COUNT; s++) {
        LIST_EACH(node, next, &d->lists[s]) {
            struct learned *l = list_item(node, struct learned, node);
            if (s == KNOWN || l->until_ms > now_ms) {
                break;
            }
            if (s == UNKNOWN) {
                end_unknown(d, l);
            } else {
                give_up(d, l);
            }
        }
    }
    if (now_ms >= d->sweep_ms) {
        sweep(d, now_ms);
    }
    arm(d);
}

/* ---- the rest ---- */

bool discovery_is_settled(const struct discovery *d)
{
    return list_is_empty(&d->lists[FIRST]);
}

void discovery_each_known(const struct discovery *d,
                          void (*on_name)(void *arg, enum discovery_type type, struct span name),
                          void *arg)
{
    LIST_EACH(node, next, &d->lists[KNOWN]) {
        const struct learned *l = list_item(node, struct learned, node);
        on_name(arg, l->type, l->name);
    }
}

int discovery_write(const struct discovery *d, struct buf *out)
{
    int code = 0;
    LIST_EACH(node, next, &d->lists[KNOWN]) {
        const struct learned *l = list_item(node, struct learned, node);
        code = code ? code : buf_printf(out, "%s|%.*s\n", type_names[l->type], SPAN_ARG(l->name));
    }
    return code;
}

struct discovery *discovery_new(struct loop *loop, struct metric_registry *registry,
                                const struct discovery_ops *ops, void *arg)
{
    struct discovery *d = mem_new(struct discovery);
    d->loop = loop;
    d->ops = *ops;
    d->arg = arg;
    for (size_t t = 0; t < DISCOVERY_TYPE_COUNT; t++) {
        map_init(&d->names[t]);
    }
    for (size_t s = 0; s < STATE_COUNT; s++) {
        list_init(&d->lists[s]);
    }
    deadline_init(&d->due, on_due);
    for (size_t i = 0; i < ARRAY_LEN(d->buckets); i++) {
        d->buckets[i] = (struct bucket){.tokens = (int64_t)DISCOVERY_PER_SECOND * 1000,
                                        .tokens_ms = loop_now_ms(loop)};
    }
    d->sweep_ms = loop_now_ms(loop) + DISCOVERY_SWEEP_MS;
    bind_metrics(d, registry);
    arm(d);
    return d;
}

void discovery_free(struct discovery *d, void (*drop)(struct discovery_wait *w))
{
    if (d == NULL) {
        return;
    }
    deadline_disarm(&d->due);
    for (size_t t = 0; t < DISCOVERY_TYPE_COUNT; t++) {
        for (struct map_slot *s = NULL; (s = map_next(&d->names[t], s)) != NULL;) {
            struct learned *l = s->value;
            LIST_EACH(node, next, &l->waits) {
                list_remove(node);
                drop(list_item(node, struct discovery_wait, node));
            }
            mem_free((void *)(uintptr_t)l->name.at);
            mem_free(l);
        }
        map_dispose(&d->names[t]);
    }
    mem_free(d);
}
