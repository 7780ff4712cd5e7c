/* Answers out of the rings: see insight.h.
 * In: api. Both ends of an edge are merged here: a source's counts are void while its destination told too, a destination's durations
 * while its source did. */
#include <math.h>

#include "base/mem.h"
#include "control/insight/insight.h"
#include "control/insight/insight_int.h"

/* A stretch of time and the level that tells of it. */
struct stretch {
    int level;
    int64_t from_s;
    double s; /* how long it is */
};

struct tally {
    struct insight_sum sum;
    uint64_t spark[INSIGHT_SPARK];
    int64_t open; /* opaque connections */
    int mtls;     /* last heard */
};

/* What an edge counts for. */
struct edge_tally {
    struct tally told; /* by the destination, with what never arrived */
    struct tally rest; /* by the source, where the destination was silent */
    bool destination_tells;
};

struct asking {
    struct stretch window, spark;
    double spark_point_s;
};

static struct stretch stretch_of(const struct insight *in, int64_t now_us, int window_s)
{
    int level = insight_level_for(window_s);
    int64_t slot_s = insight_levels[level].slot_s;
    int64_t from_s = now_us / 1000000 - window_s + 1;
    from_s = (from_s + slot_s - 1) / slot_s * slot_s;
    /* Who has watched for a second only can not divide by a minute. */
    int64_t begin_us = i64_max(from_s * 1000000, in->started_us);
    double s = (double)(now_us - begin_us) / 1e6;
    return (struct stretch){.level = level, .from_s = from_s, .s = s < 1 ? 1 : s};
}

static struct asking ask(const struct insight *in, int64_t now_us, int window_s, int spark_s)
{
    spark_s = spark_s < INSIGHT_SPARK ? INSIGHT_SPARK : spark_s > 86400 ? 86400 : spark_s;
    window_s = window_s < 1 ? 1 : window_s > 86400 ? 86400 : window_s;
    return (struct asking){
        .window = stretch_of(in, now_us, window_s),
        .spark = stretch_of(in, now_us, spark_s),
        .spark_point_s = (double)spark_s / INSIGHT_SPARK,
    };
}

/* ---- one edge ---- */

struct walk {
    struct edge_tally *to;
    const struct insight_record *edge;
    int side;
    int64_t slot_s;
    const struct asking *asking;
};

/* Did the other end tell too, in this slot? Reports of one moment come some seconds apart. */
static bool other_told(const struct walk *w, int64_t begin_s)
{
    const struct insight_side *other = &w->edge->sides[!w->side];
    return other->first_s != 0 && begin_s + w->slot_s > other->first_s - INSIGHT_NOW_S &&
           begin_s <= other->last_s + INSIGHT_NOW_S;
}

/* What of a slot counts: `told` for what the destination says or would not know of, else `rest`. */
static void slot_split(const struct walk *w, int64_t begin_s, const struct insight_sum *sum,
                       struct insight_sum *told, struct insight_sum *rest)
{
    memset(told, 0, sizeof(*told));
    memset(rest, 0, sizeof(*rest));
    bool other = other_told(w, begin_s);
    if (w->side == INSIGHT_DESTINATION) {
        *told = *sum;
        if (other) {
            memset(told->buckets, 0, sizeof(told->buckets));
        }
        return;
    }
    memcpy((other ? told : rest)->buckets, sum->buckets, sizeof(sum->buckets));
    if (!other) {
        memcpy(rest->fields, sum->fields, sizeof(sum->fields));
        return;
    }
    told->fields[INSIGHT_REQUESTS] = sum->fields[INSIGHT_LOST];
    told->fields[INSIGHT_FAILURES] = sum->fields[INSIGHT_LOST_FAILURES];
}

static void on_window(void *arg, int64_t begin_s, const struct insight_sum *sum)
{
    const struct walk *w = arg;
    struct insight_sum told, rest;
    slot_split(w, begin_s, sum, &told, &rest);
    insight_sum_add(&w->to->told.sum, &told);
    insight_sum_add(&w->to->rest.sum, &rest);
}

static void on_spark(void *arg, int64_t begin_s, const struct insight_sum *sum)
{
    const struct walk *w = arg;
    struct insight_sum told, rest;
    slot_split(w, begin_s, sum, &told, &rest);
    double point = (double)(begin_s - w->asking->spark.from_s) / w->asking->spark_point_s;
    size_t i = point >= INSIGHT_SPARK ? INSIGHT_SPARK - 1 : (size_t)point;
    w->to->told.spark[i] += told.fields[INSIGHT_REQUESTS];
    w->to->rest.spark[i] += rest.fields[INSIGHT_REQUESTS];
}

static int64_t open_of(const struct insight_side *side)
{
    return i64_max(side->opened - side->closed, 0);
}

static void edge_tally(const struct insight_record *e, const struct asking *a,
                       struct edge_tally *to)
{
    memset(to, 0, sizeof(*to));
    for (int side = 0; side < 2; side++) {
        if (e->sides[side].ring == NULL) {
            continue;
        }
        struct walk w = {.to = to, .edge = e, .side = side, .asking = a};
        w.slot_s = insight_levels[a->window.level].slot_s;
        insight_ring_each(e->sides[side].ring, a->window.level, a->window.from_s, on_window, &w);
        w.slot_s = insight_levels[a->spark.level].slot_s;
        insight_ring_each(e->sides[side].ring, a->spark.level, a->spark.from_s, on_spark, &w);
    }
    to->destination_tells = e->sides[INSIGHT_DESTINATION].last_s != 0;
    to->told.mtls = to->rest.mtls = e->mtls;
    if (to->destination_tells) {
        to->told.open = open_of(&e->sides[INSIGHT_DESTINATION]);
    } else {
        to->rest.open = open_of(&e->sides[INSIGHT_SOURCE]);
    }
}

static void tally_add(struct tally *to, const struct tally *from)
{
    insight_sum_add(&to->sum, &from->sum);
    for (size_t i = 0; i < INSIGHT_SPARK; i++) {
        to->spark[i] += from->spark[i];
    }
    to->open += from->open;
    to->mtls = from->mtls;
}

static bool tally_is_empty(const struct tally *t)
{
    return t->open == 0 && insight_sum_is_empty(&t->sum);
}

static void numbers_of(const struct tally *t, const struct asking *a, struct insight_numbers *out)
{
    const uint64_t *f = t->sum.fields;
    double s = a->window.s;
    double requests = (double)f[INSIGHT_REQUESTS];
    double secured = (double)f[INSIGHT_TLS], known = secured + (double)f[INSIGHT_PLAIN];
    *out = (struct insight_numbers){
        .rps = requests / s,
        .success = requests > 0 ? 1 - (double)f[INSIGHT_FAILURES] / requests : -1,
        .p50_ms = insight_sum_quantile(&t->sum, 0.50),
        .p95_ms = insight_sum_quantile(&t->sum, 0.95),
        .p99_ms = insight_sum_quantile(&t->sum, 0.99),
        .bytes_sent = (double)f[INSIGHT_SENT] / s,
        .bytes_received = (double)f[INSIGHT_RECEIVED] / s,
        .connections = (double)t->open,
        .mtls = known > 0     ? secured / known
                : t->open > 0 ? t->mtls
                              : -1,
    };
    /* The last point is not over yet. */
    double last = fmod(a->spark.s, a->spark_point_s);
    for (size_t i = 0; i < INSIGHT_SPARK; i++) {
        double point = i == INSIGHT_SPARK - 1 && last >= 1 ? last : a->spark_point_s;
        out->spark[i] = (float)((double)t->spark[i] / point);
    }
}

/* ---- all edges ---- */

static struct insight_end end_copy(struct arena *arena, const struct insight_end *e)
{
    return (struct insight_end){
        .workload = arena_dup(arena, e->workload),
        .namespace = arena_dup(arena, e->namespace),
        .app = arena_dup(arena, e->app),
        .version = arena_dup(arena, e->version),
        .principal = arena_dup(arena, e->principal),
    };
}

size_t insight_edges(struct insight *in, int64_t now_us, int window_s, int spark_s,
                     struct arena *arena, struct insight_edge **out)
{
    struct asking a = ask(in, now_us, window_s, spark_s);
    *out = arena_array(arena, in->count + 1, sizeof(**out));
    size_t count = 0;
    LIST_EACH(node, next, &in->by_age) {
        struct insight_record *e = list_item(node, struct insight_record, by_age);
        struct edge_tally t;
        edge_tally(e, &a, &t);
        tally_add(&t.told, &t.rest);
        if (tally_is_empty(&t.told)) {
            continue;
        }
        struct insight_edge *to = &(*out)[count++];
        to->source = end_copy(arena, &e->source);
        to->destination = end_copy(arena, &e->destination);
        to->service_host = arena_dup(arena, e->service_host);
        to->service_name = arena_dup(arena, e->service_name);
        to->service_namespace = arena_dup(arena, e->service_namespace);
        to->protocol = arena_dup(arena, e->protocol);
        numbers_of(&t.told, &a, &to->numbers);
    }
    return count;
}

/* ---- by workload ---- */

struct sums {
    struct span key;
    struct insight_end end;
    struct tally in, out;
};
struct by_workload {
    struct arena *arena;
    struct map map;
    struct sums **all;
    size_t count;
};

static struct sums *sums_get(struct by_workload *b, const struct insight_end *end)
{
    char text[4096];
    size_t len = 0;
    const struct span parts[] = {end->namespace, end->workload, end->version};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (parts[i].len > 0) {
            memcpy(text + len, parts[i].at, parts[i].len); /* at most 255 each */
        }
        len += parts[i].len;
        text[len++] = '\0';
    }
    struct span key = span_from(text, len);
    struct sums *s = map_get(&b->map, key);
    if (s == NULL) {
        s = arena_new(b->arena, struct sums);
        s->key = arena_dup(b->arena, key);
        s->end = end_copy(b->arena, end);
        (void)map_put(&b->map, s->key, s); /* there was none */
        b->all[b->count++] = s;
    } else if (s->end.app.len == 0 || s->end.principal.len == 0) {
        s->end = end_copy(b->arena, end);
    }
    return s;
}

static struct span end_key(struct arena *arena, const struct insight_end *e)
{
    return span_of(arena_printf(arena, "%.*s/%.*s", SPAN_ARG(e->namespace), SPAN_ARG(e->workload)));
}

/* Workloads that tell of what they serve: nobody else's word is taken for how many came. */
static void tellers_find(struct insight *in, struct arena *arena, struct map *tellers)
{
    LIST_EACH(node, next, &in->by_age) {
        struct insight_record *e = list_item(node, struct insight_record, by_age);
        if (e->sides[INSIGHT_DESTINATION].last_s != 0) {
            (void)map_put(tellers, end_key(arena, &e->destination), e); /* one of them will do */
        }
    }
}

static size_t workloads_sum(struct insight *in, const struct asking *a, const struct span *host,
                            struct arena *arena, struct insight_workload **out)
{
    struct map tellers;
    map_init(&tellers);
    tellers_find(in, arena, &tellers);
    struct by_workload b = {.arena = arena};
    map_init(&b.map);
    b.all = arena_array(arena, 2 * in->count + 1, sizeof(struct sums *));
    LIST_EACH(node, next, &in->by_age) {
        struct insight_record *e = list_item(node, struct insight_record, by_age);
        if (host != NULL && !span_eq(*host, e->service_host)) {
            continue;
        }
        struct edge_tally t;
        edge_tally(e, a, &t);
        bool self =
            !t.destination_tells && map_get(&tellers, end_key(arena, &e->destination)) != NULL;
        struct tally all = t.told;
        tally_add(&all, &t.rest);
        if (tally_is_empty(&all)) {
            continue;
        }
        if (e->destination.workload.len > 0) {
            tally_add(&sums_get(&b, &e->destination)->in, self ? &t.told : &all);
        }
        if (host == NULL && e->source.workload.len > 0) {
            tally_add(&sums_get(&b, &e->source)->out, &all);
        }
    }
    *out = arena_array(arena, b.count + 1, sizeof(**out));
    for (size_t i = 0; i < b.count; i++) {
        (*out)[i].workload = b.all[i]->end;
        numbers_of(&b.all[i]->in, a, &(*out)[i].in);
        numbers_of(&b.all[i]->out, a, &(*out)[i].out);
    }
    map_dispose(&tellers);
    map_dispose(&b.map);
    return b.count;
}

size_t insight_workloads(struct insight *in, int64_t now_us, int window_s, int spark_s,
                         struct arena *arena, struct insight_workload **out)
{
    struct asking a = ask(in, now_us, window_s, spark_s);
    return workloads_sum(in, &a, NULL, arena, out);
}

size_t insight_shares(struct insight *in, int64_t now_us, int window_s, struct span service_host,
                      struct arena *arena, struct insight_workload **out)
{
    struct asking a = ask(in, now_us, window_s, window_s);
    return workloads_sum(in, &a, &service_host, arena, out);
}
