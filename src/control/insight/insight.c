/* Taking reports: see insight.h.
 * In: push/telemetry. Out: rings of each edge, read by insight_query.c.
 *
 * The destination's word counts for how many and how they ended, the source's for how long it took (retries, delays and the way
 * are part of what the caller waits for) and for what never arrived. What the other end's word makes void is not kept. */
#include "control/insight/insight.h"

#include "base/log.h"
#include "base/mem.h"
#include "control/insight/insight_int.h"
#include "control/insight/insight_otlp.h"
#include "mesh/identity.h"

#define SWEEP_S 60
#define IDLE_S 86400     /* an edge without a report for so long is forgotten */
#define EVICT_IDLE_S 300 /* ... or for so long, when room is wanted */
#define SHED_BATCH 256
#define TEXT_BYTES_MAX 255 /* of one label, as base/metric cuts them */
#define KEY_BYTES (5 * (TEXT_BYTES_MAX + 1))

/* ---- records ---- */

static struct span key_text(const struct insight_point *p, char *to)
{
    const struct span parts[] = {p->source.namespace, p->source.workload, p->destination.namespace,
                                 p->destination.workload, p->protocol};
    size_t len = 0;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        size_t part = size_min(parts[i].len, TEXT_BYTES_MAX);
        if (part > 0) {
            memcpy(to + len, parts[i].at, part);
        }
        len += part;
        to[len++] = '\0';
    }
    return span_from(to, len);
}

static void record_drop(struct insight *in, struct insight_record *e)
{
    struct insight_record *first = map_remove(&in->pairs, e->key);
    struct insight_record **at = &first;
    while (*at != e) {
        at = &(*at)->next;
    }
    *at = e->next;
    if (first != NULL) {
        (void)map_put(&in->pairs, first->key, first); /* just removed */
    }
    list_remove(&e->by_age);
    in->count--;
    insight_ring_free(e->sides[INSIGHT_SOURCE].ring);
    insight_ring_free(e->sides[INSIGHT_DESTINATION].ring);
    mem_free((void *)(uintptr_t)e->key.at); /* ours, kept as a span */
    mem_free(e->texts);
    mem_free(e);
}

static int64_t last_told(const struct insight_record *e)
{
    return i64_max(e->sides[INSIGHT_SOURCE].last_s, e->sides[INSIGHT_DESTINATION].last_s);
}

/* All texts of a record but its key, in one order for reading and writing. */
#define TEXTS 14
static void texts_of(struct insight_record *e, struct span *to[TEXTS])
{
    struct span *const all[TEXTS] = {
        &e->source.workload,       &e->source.namespace, &e->source.app,
        &e->source.version,        &e->source.principal, &e->destination.workload,
        &e->destination.namespace, &e->destination.app,  &e->destination.version,
        &e->destination.principal, &e->service_host,     &e->service_name,
        &e->service_namespace,     &e->protocol,
    };
    memcpy(to, all, sizeof(all));
}

/* Copies what the record now points to into memory of its own. */
static void texts_own(struct insight_record *e)
{
    struct span *all[TEXTS];
    texts_of(e, all);
    size_t bytes = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        bytes += all[i]->len;
    }
    char *fresh = mem_alloc(bytes + 1);
    size_t len = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        if (all[i]->len > 0) {
            memcpy(fresh + len, all[i]->at, all[i]->len);
        }
        all[i]->at = fresh + len;
        len += all[i]->len;
    }
    mem_free(e->texts);
    e->texts = fresh;
}

/* What is told fills what is not known; of itself an end knows better than the other. */
static bool text_learn(struct span *have, struct span told, bool better)
{
    told = span_first(told, TEXT_BYTES_MAX);
    if (told.len == 0 || span_eq(*have, told) || (have->len > 0 && !better)) {
        return false;
    }
    *have = told;
    return true;
}

static bool end_learn(struct insight_end *have, const struct insight_end *told, bool better)
{
    bool changed = text_learn(&have->app, told->app, better);
    changed |= text_learn(&have->version, told->version, better);
    changed |= text_learn(&have->principal, told->principal, better);
    return changed;
}

static struct insight_record *record_new(struct insight *in, const struct insight_point *p,
                                         struct span key)
{
    struct insight_record *e = mem_new(struct insight_record);
    e->key = span_from(mem_dup(key.at, key.len), key.len);
    e->source.workload = span_first(p->source.workload, TEXT_BYTES_MAX);
    e->source.namespace = span_first(p->source.namespace, TEXT_BYTES_MAX);
    e->destination.workload = span_first(p->destination.workload, TEXT_BYTES_MAX);
    e->destination.namespace = span_first(p->destination.namespace, TEXT_BYTES_MAX);
    e->protocol = span_first(p->protocol, TEXT_BYTES_MAX);
    e->service_host = span_first(p->service_host, TEXT_BYTES_MAX);
    e->mtls = -1;
    texts_own(e);
    struct insight_record *first = map_get(&in->pairs, key);
    if (first != NULL) {
        e->next = first->next;
        first->next = e;
    } else {
        (void)map_put(&in->pairs, e->key, e); /* there was none */
    }
    list_push_back(&in->by_age, &e->by_age);
    in->count++;
    return e;
}

static bool hosts_agree(struct insight_record *e, const struct insight_point *p)
{
    return e->service_host.len == 0 || p->service_host.len == 0 ||
           span_eq(e->service_host, p->service_host);
}

/* The record that a point belongs to. The name of the service is the source's word: it called it. A destination that says another
 * one is taken to mean the one that its caller told of last. */
static struct insight_record *record_find(struct insight_record *first,
                                          const struct insight_point *p)
{
    struct insight_record *best = NULL;
    for (struct insight_record *e = first; e != NULL; e = e->next) {
        if (hosts_agree(e, p)) {
            return e;
        }
        const struct insight_side *source = &e->sides[INSIGHT_SOURCE];
        if (!p->by_source && source->last_s != 0 &&
            (best == NULL || source->last_s > best->sides[INSIGHT_SOURCE].last_s)) {
            best = e;
        }
        if (p->by_source && source->last_s == 0) {
            best = e; /* only its destination told of it */
        }
    }
    return best;
}

/* NULL: there is no room. */
static struct insight_record *record_get(struct insight *in, const struct insight_point *p,
                                         int64_t now_s)
{
    char text[KEY_BYTES];
    struct span key = key_text(p, text);
    struct insight_record *e = record_find(map_get(&in->pairs, key), p);
    if (e == NULL && in->count >= INSIGHT_EDGES_MAX) {
        struct insight_record *oldest = list_item(in->by_age.next, struct insight_record, by_age);
        if (now_s - last_told(oldest) < EVICT_IDLE_S) {
            return NULL;
        }
        record_drop(in, oldest);
    }
    if (e == NULL) {
        e = record_new(in, p, key);
    }
    bool changed = end_learn(&e->source, &p->source, p->by_source);
    changed |= end_learn(&e->destination, &p->destination, !p->by_source);
    changed |= text_learn(&e->service_host, p->service_host, p->by_source);
    changed |= text_learn(&e->service_name, p->service_name, p->by_source);
    changed |= text_learn(&e->service_namespace, p->service_namespace, p->by_source);
    if (changed) {
        texts_own(e);
    }
    return e;
}

/* ---- limits ---- */

static bool side_expire(struct insight_side *side, int64_t now_s)
{
    if (side->ring != NULL && insight_ring_expire(side->ring, now_s)) {
        insight_ring_free(side->ring);
        side->ring = NULL;
    }
    return side->ring == NULL;
}

static void sweep(struct insight *in, int64_t now_s)
{
    if (now_s - in->swept_s < SWEEP_S) {
        return;
    }
    in->swept_s = now_s;
    LIST_EACH(node, next, &in->by_age) {
        struct insight_record *e = list_item(node, struct insight_record, by_age);
        bool empty = side_expire(&e->sides[INSIGHT_SOURCE], now_s);
        empty = side_expire(&e->sides[INSIGHT_DESTINATION], now_s) && empty;
        if (empty && now_s - last_told(e) > IDLE_S) {
            record_drop(in, e);
        }
    }
    if (in->refused > 0) {
        log_warn("insight", "reports dropped points=%llu edges=%zu limit=%d",
                 (unsigned long long)in->refused, in->count, INSIGHT_EDGES_MAX);
        in->refused = 0;
    }
}

/* The oldest of the coarsest goes first, of edge after edge. */
static void shed(struct insight *in)
{
    for (int i = 0; i < SHED_BATCH && in->bytes > INSIGHT_BYTES_MAX; i++) {
        struct list *node = list_pop_front(&in->by_age);
        if (node == NULL) {
            return;
        }
        struct insight_record *e = list_item(node, struct insight_record, by_age);
        list_push_back(&in->by_age, node);
        for (int side = 0; side < 2; side++) {
            if (e->sides[side].ring != NULL) {
                (void)insight_ring_shed(e->sides[side].ring); /* or there is nothing to shed */
            }
        }
    }
}

/* ---- adding ---- */

static bool tells_now(const struct insight_side *side, int64_t now_s)
{
    return side->last_s != 0 && now_s - side->last_s <= INSIGHT_NOW_S;
}

/* Without what the other end knows better, if it is there to tell. */
static struct insight_sum kept(const struct insight_sum *sum, int side, bool other_tells)
{
    struct insight_sum s = *sum;
    if (!other_tells) {
        return s;
    }
    if (side == INSIGHT_DESTINATION) {
        memset(s.buckets, 0, sizeof(s.buckets));
        return s;
    }
    for (size_t i = 0; i < INSIGHT_FIELDS; i++) {
        if (i != INSIGHT_LOST && i != INSIGHT_LOST_FAILURES) {
            s.fields[i] = 0;
        }
    }
    return s;
}

/* The share of one of `parts` seconds; shares add up to the whole. */
static struct insight_sum part_of(const struct insight_sum *sum, int64_t part, int64_t parts)
{
    struct insight_sum s;
    uint64_t i = (uint64_t)part, n = (uint64_t)parts;
    for (size_t f = 0; f < INSIGHT_FIELDS; f++) {
        s.fields[f] = sum->fields[f] / n + (i < sum->fields[f] % n);
    }
    for (size_t b = 0; b < INSIGHT_BUCKETS; b++) {
        s.buckets[b] = sum->buckets[b] / n + (i < sum->buckets[b] % n);
    }
    return s;
}

/* What one message tells of one side, put together before it goes into the ring. */
struct telling {
    struct telling *next;
    struct insight_side *side;
    struct insight_sum sum;
    int64_t covers_s;
};

static void side_add(struct insight *in, struct insight_side *side, const struct insight_sum *sum,
                     int64_t covers_s, int64_t now_s)
{
    if (side->ring == NULL) {
        side->ring = insight_ring_new(&in->bytes);
    }
    /* A proxy that was without us for a while tells it all at once. */
    if (covers_s <= 2) {
        insight_ring_add(side->ring, now_s, sum);
        return;
    }
    for (int64_t i = 0; i < covers_s; i++) {
        struct insight_sum part = part_of(sum, i, covers_s);
        insight_ring_add(side->ring, now_s - covers_s + 1 + i, &part);
    }
}

struct taking {
    struct insight *in;
    struct span identity;
    struct identity who;
    int64_t now_s, now_us;
    size_t denied;
    struct err *err;
    struct arena arena; /* of tellings */
    struct telling *tellings;
};

static void side_tell(struct taking *t, struct insight_side *side, const struct insight_sum *sum,
                      int64_t covers_s)
{
    if (insight_sum_is_empty(sum)) {
        return;
    }
    if (side->telling == NULL) {
        side->telling = arena_new(&t->arena, struct telling);
        side->telling->side = side;
        side->telling->next = t->tellings;
        t->tellings = side->telling;
    }
    insight_sum_add(&side->telling->sum, sum);
    side->telling->covers_s = i64_max(side->telling->covers_s, covers_s);
}

static void tellings_add(struct taking *t)
{
    for (struct telling *g = t->tellings; g != NULL; g = g->next) {
        g->side->telling = NULL;
        side_add(t->in, g->side, &g->sum, g->covers_s, t->now_s);
    }
    arena_dispose(&t->arena);
}

/* A proxy speaks for its own end only. */
static bool may_tell(struct taking *t, const struct insight_point *p)
{
    if (t->identity.len == 0) {
        return true;
    }
    const struct insight_end *own = p->by_source ? &p->source : &p->destination;
    struct span account = SPAN_EMPTY;
    if (own->principal.len == 0 && t->in->owner) {
        account = t->in->owner(t->in->owner_arg, own->namespace, own->workload);
    }
    if (span_eq(own->namespace, t->who.ns) &&
        (own->principal.len == 0 || span_eq(own->principal, t->identity)) &&
        (account.len == 0 || span_eq(account, t->who.sa))) {
        return true;
    }
    if (t->denied++ == 0) {
        (void)err_set(
            t->err, -ERR_DENIED,
            "'%.*s' reports an edge of '%.*s' in namespace '%.*s'; a proxy may only report its own",
            SPAN_ARG(t->identity), SPAN_ARG(own->workload), SPAN_ARG(own->namespace));
    }
    return false;
}

static void on_point(void *arg, const struct insight_point *p)
{
    struct taking *t = arg;
    struct insight *in = t->in;
    if (!may_tell(t, p)) {
        return;
    }
    struct insight_record *e = record_get(in, p, t->now_s);
    if (e == NULL) {
        in->refused++;
        return;
    }
    int which = p->by_source ? INSIGHT_SOURCE : INSIGHT_DESTINATION;
    struct insight_side *side = &e->sides[which];
    struct insight_sum sum = kept(&p->sum, which, tells_now(&e->sides[!which], t->now_s));
    side_tell(t, side, &sum, p->covers_s);
    if (side->first_s == 0) {
        side->first_s = t->now_s - p->covers_s + 1;
    }
    side->last_s = t->now_s;
    side->opened += p->opened;
    side->closed += p->closed;
    if (p->mtls >= 0) {
        e->mtls = p->mtls;
    }
    int64_t began_us = t->now_us - p->covers_s * 1000000;
    if (in->started_us == 0 || began_us < in->started_us) {
        in->started_us = began_us;
    }
    list_remove(&e->by_age);
    list_push_back(&in->by_age, &e->by_age);
}

int insight_take(struct insight *i, struct span otlp, struct span identity, int64_t now_us,
                 struct err *err)
{
    struct taking t = {
        .in = i, .identity = identity, .now_s = now_us / 1000000, .now_us = now_us, .err = err};
    if (identity.len > 0 && identity_parse(identity, &t.who) < 0) {
        return err_set(err, -ERR_DENIED, "'%.*s' is no SPIFFE ID", SPAN_ARG(identity));
    }
    arena_init(&t.arena, 4096);
    sweep(i, t.now_s);
    int rc = insight_otlp_read(otlp, on_point, &t, err);
    tellings_add(&t);
    shed(i);
    return rc < 0 ? rc : t.denied > 0 ? -ERR_DENIED : 0;
}

struct insight *insight_new(void)
{
    struct insight *in = mem_new(struct insight);
    map_init(&in->pairs);
    list_init(&in->by_age);
    return in;
}

void insight_set_owner(struct insight *i, insight_owner owner, void *arg)
{
    i->owner = owner;
    i->owner_arg = arg;
}

void insight_free(struct insight *i)
{
    if (i == NULL) {
        return;
    }
    LIST_EACH(node, next, &i->by_age) {
        record_drop(i, list_item(node, struct insight_record, by_age));
    }
    map_dispose(&i->pairs);
    mem_free(i);
}
