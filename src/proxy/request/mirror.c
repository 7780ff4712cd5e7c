/* Copies of requests to other clusters: see mirror.h. */
#include "proxy/request/mirror.h"

#include "base/mem.h"
#include "proxy/request/steps.h"
#include "proxy/upstream/outlier.h"

#define ARENA_BYTES 2048
#define SHADOW "-shadow"

struct mirrors {
    struct loop *loop;
    struct list live; /* struct mirror */
    unsigned count;
};

struct mirror {
    struct list node;
    struct mirrors *owner;
    struct mirror **feed; /* the request's place for it, while it brings more; else NULL */
    struct arena arena;   /* of the copy */
    struct head *head;
    struct head *trailers; /* that wait for a connection, or NULL */
    struct buf waiting;    /* of the body, likewise */
    bool ended;            /* the request is whole */
    bool is_grpc;
    const struct upstream *up;
    struct cluster *cluster; /* a reference is held */
    struct attempt attempt;
    struct deadline longest;
    int64_t longest_ms, start_ns;
    struct stats_edge *edge; /* NULL: no endpoint was found */
    unsigned status;
    int grpc_status; /* -1 = not seen */
    uint64_t bytes_up, bytes_back;
};

struct request_mirrors {
    size_t count;
    struct mirror *at[]; /* NULL: it is over */
};

/* ---- the end of a copy ---- */

static void free_mirror(void *obj)
{
    struct mirror *m = obj;
    buf_dispose(&m->waiting);
    arena_dispose(&m->arena);
    mem_free(m);
}

static void over(struct mirror *m, enum outcome why)
{
    const struct outcome_row *row = outcome_row(why);
    deadline_disarm(&m->longest);
    attempt_cancel(&m->attempt, HTTP_RESET_LOCAL);
    if (m->edge != NULL) {
        stats_request(m->edge, m->status > 0 ? m->status : row->status, m->grpc_status, row->flag,
                      (loop_now_ns(m->owner->loop) - m->start_ns) / 1000, m->bytes_up,
                      m->bytes_back);
    }
    if (m->feed != NULL) {
        *m->feed = NULL;
        m->feed = NULL;
    }
    cluster_put(m->cluster);
    list_remove(&m->node);
    m->owner->count--;
    loop_bury(m->owner->loop, free_mirror, m);
}

static void on_longest(struct deadline *d)
{
    struct mirror *m = container_of(d, struct mirror, longest);
    metric_add(m->cluster->stats.upstream_rq_timeout, 1);
    if (m->attempt.busy) {
        outlier_failed(m->attempt.endpoint, true);
    }
    over(m, OUTCOME_TIMEOUT);
}

/* ---- the attempt ---- */

/* False: it does not keep up; the caller gives it up. */
static bool keeps_up(const struct mirror *m)
{
    return m->attempt.stream == NULL || http_stream_queued(m->attempt.stream) <= MIRROR_QUEUE_BYTES;
}

static void on_open(void *arg)
{
    struct mirror *m = arg;
    struct http_stream *s = m->attempt.stream;
    bool has_body = buf_len(&m->waiting) > 0;
    peering_sign(m->head, m->attempt.endpoint, m->up);
    int code = http_stream_head(s, m->head, m->ended && !has_body && m->trailers == NULL);
    if (code == 0 && has_body) {
        code = http_stream_data(s, buf_span(&m->waiting), m->ended && m->trailers == NULL);
    }
    if (code == 0 && m->trailers != NULL) {
        code = http_stream_trailers(s, m->trailers);
    }
    UNUSED(code); /* a stream that takes no more tells by on_fail */
    buf_release(&m->waiting);
}

static void read_grpc_status(struct mirror *m, const struct head *h)
{
    uint64_t status;
    if (m->is_grpc && span_to_u64(head_get_known(h, HEAD_GRPC_STATUS), &status) && status <= 16) {
        m->grpc_status = (int)status;
    }
}

static void on_head(void *arg, struct head *head, bool end)
{
    struct mirror *m = arg;
    UNUSED(end);
    if (head->status >= 200) {
        m->status = head->status;
        read_grpc_status(m, head);
        metric_add(
            m->cluster->stats.upstream_rq_xx[head->status / 100 < 6 ? head->status / 100 : 0], 1);
        outlier_answered(m->attempt.endpoint, head->status);
    }
}

static void on_data(void *arg, struct span data, bool end)
{
    struct mirror *m = arg;
    UNUSED(end);
    m->bytes_back += data.len;
    http_stream_consume(m->attempt.stream, data.len);
}

static void on_trailers(void *arg, struct head *trailers)
{
    read_grpc_status(arg, trailers);
}

static void on_drained(void *arg)
{
    UNUSED(arg); /* nobody waits for it */
}

static void on_end(void *arg)
{
    over(arg, OUTCOME_OK);
}

static void on_fail(void *arg, enum outcome why, struct span failure, bool replayable)
{
    UNUSED(failure);
    UNUSED(replayable); /* a copy is tried once */
    over(arg, why);
}

static const struct attempt_events attempt_events = {
    .on_open = on_open,
    .on_head = on_head,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_drained = on_drained,
    .on_end = on_end,
    .on_fail = on_fail,
};

/* ---- the copy ---- */

static struct head *copy_head(struct arena *arena, const struct head *from)
{
    struct head *h = arena_new(arena, struct head);
    head_init(h, arena);
    head_reserve(h, from->count);
    h->method_id = from->method_id;
    h->method = arena_dup(arena, from->method);
    h->scheme = arena_dup(arena, from->scheme);
    h->authority = arena_dup(arena, from->authority);
    h->path = arena_dup(arena, from->path);
    h->http_minor = from->http_minor;
    h->http2 = from->http2;
    h->content_length = from->content_length;
    int code = 0;
    for (size_t i = 0; i < from->count && code == 0; i++) {
        code =
            head_add_as(h, (enum head_known)from->known[i], arena_dup(arena, from->fields[i].name),
                        arena_dup(arena, from->fields[i].value));
    }
    UNUSED(code); /* not more fields than before */
    return h;
}

/* Who looks at the mirror's logs sees that nobody waits for the answer: "host-shadow:port". */
static struct span host_of(struct arena *arena, const struct route_mirror *to, struct span host)
{
    if (to->host_rewrite.len > 0) {
        return arena_dup(arena, to->host_rewrite);
    }
    if (to->keep_host) {
        return host;
    }
    ssize_t colon = span_rfind_byte(host, ':');
    bool in_brackets = span_rfind_byte(host, ']') > colon;
    size_t len = colon >= 0 && !in_brackets ? (size_t)colon : host.len;
    return span_of(arena_printf(arena, "%.*s" SHADOW "%.*s", SPAN_ARG(span_first(host, len)),
                                SPAN_ARG(span_from_offset(host, len))));
}

static bool is_drawn(const struct request *rq, const struct route_mirror *to)
{
    return to->parts_per_million >= 1000000 ||
           rng_below(rq->place->upstream->rng, 1000000) < to->parts_per_million;
}

static void drop(struct request *rq, struct mirror *m)
{
    metric_add(rq->place->stats->downstream_rq_mirror_dropped, 1);
    if (m != NULL) {
        over(m, OUTCOME_OVERFLOW);
    }
}

static void become_whole(struct mirror *m)
{
    m->ended = true;
    deadline_arm(&m->longest, m->owner->loop, m->longest_ms);
}

static struct mirror *new_mirror(struct request *rq, const struct route_mirror *to,
                                 struct cluster *cluster)
{
    struct mirror *m = mem_new(struct mirror);
    m->owner = rq->place->upstream->mirrors;
    m->up = rq->place->upstream;
    arena_init(&m->arena, ARENA_BYTES);
    m->head = copy_head(&m->arena, rq->head);
    m->head->authority = host_of(&m->arena, to, m->head->authority);
    buf_init(&m->waiting, MIRROR_QUEUE_BYTES);
    m->is_grpc = rq->is_grpc;
    m->grpc_status = -1;
    m->cluster = cluster;
    cluster_get(cluster);
    attempt_init(&m->attempt, &attempt_events, m);
    deadline_init(&m->longest, on_longest);
    m->longest_ms = rq->timeout_ms > 0 ? rq->timeout_ms : MIRROR_LONGEST_MS;
    m->start_ns = loop_now_ns(m->owner->loop);
    list_init(&m->node);
    list_push_back(&m->owner->live, &m->node);
    m->owner->count++;
    return m;
}

static void start(struct request *rq, struct mirror *m)
{
    const struct request_place *p = rq->place;
    struct cluster_want want = {.original_dst = p->redirected ? &p->original_dst : NULL,
                                .has_hash = rq->has_hash,
                                .hash = rq->hash};
    struct endpoint *e = cluster_pick(m->cluster, &want);
    if (e == NULL) {
        drop(rq, m);
        return;
    }
    enum http_proto proto = m->cluster->http2 ? HTTP_PROTO_2 : HTTP_PROTO_1;
    if (m->cluster->use_downstream_protocol) {
        proto = http_conn_proto(http_stream_conn(rq->down));
    }
    metric_add(p->stats->downstream_rq_mirrored, 1);
    m->edge = endpoint_edge(e, m->is_grpc ? STATS_GRPC : STATS_HTTP);
    enum outcome why = attempt_start(&m->attempt, e, proto, false, rq->priority_high);
    if (why != OUTCOME_OK) {
        over(m, why);
    }
}

/* What has come of the request already may be all of it. */
static void begin_one(struct request *rq, const struct route_mirror *to, struct mirror **place)
{
    const struct request_place *p = rq->place;
    struct cluster *cluster = p->cluster_at(p->arg, to->slot);
    if (cluster == NULL || p->upstream->mirrors->count >= MIRRORS_MAX) {
        drop(rq, NULL);
        return;
    }
    struct mirror *m = new_mirror(rq, to, cluster);
    m->feed = place;
    *place = m;
    struct span body = buf_span(&rq->up.kept);
    m->bytes_up = body.len;
    if (buf_append_span(&m->waiting, body) != 0) {
        drop(rq, m);
        return;
    }
    if (rq->trailers_up != NULL) {
        m->trailers = copy_head(&m->arena, rq->trailers_up);
    }
    if (rq->request_ended) {
        become_whole(m);
    }
    start(rq, m);
}

void mirror_begin(struct request *rq)
{
    const struct route *r = rq->route;
    if (rq->head->upgrade.len > 0) {
        return; /* what follows is no message that has an end */
    }
    struct request_mirrors *all =
        arena_alloc(rq->arena, sizeof(*all) + r->mirror_count * sizeof(all->at[0]));
    all->count = 0;
    for (size_t i = 0; i < r->mirror_count; i++) {
        if (is_drawn(rq, &r->mirrors[i])) {
            struct mirror **place = &all->at[all->count++];
            *place = NULL;
            begin_one(rq, &r->mirrors[i], place);
        }
    }
    rq->mirrors = all;
}

/* ---- what the request brings ---- */

static void feed(struct request *rq, struct mirror *m, struct span data, bool end)
{
    m->bytes_up += data.len;
    if (end) {
        become_whole(m);
    }
    if (m->attempt.stream == NULL) {
        if (buf_append_span(&m->waiting, data) != 0) {
            drop(rq, m);
        }
        return;
    }
    int code = http_stream_data(m->attempt.stream, data, end);
    UNUSED(code); /* a stream that takes no more tells by on_fail */
    if (!keeps_up(m)) {
        drop(rq, m);
    }
}

void mirror_body(struct request *rq, struct span data, bool end)
{
    for (size_t i = 0; i < rq->mirrors->count; i++) {
        if (rq->mirrors->at[i] != NULL) {
            feed(rq, rq->mirrors->at[i], data, end);
        }
    }
}

void mirror_trailers(struct request *rq, const struct head *trailers)
{
    for (size_t i = 0; i < rq->mirrors->count; i++) {
        struct mirror *m = rq->mirrors->at[i];
        if (m == NULL) {
            continue;
        }
        become_whole(m);
        m->trailers = copy_head(&m->arena, trailers);
        if (m->attempt.stream != NULL) {
            int code = http_stream_trailers(m->attempt.stream, m->trailers);
            UNUSED(code);
        }
    }
}

void mirror_leave(struct request *rq)
{
    for (size_t i = 0; i < rq->mirrors->count; i++) {
        struct mirror *m = rq->mirrors->at[i];
        if (m == NULL) {
            continue;
        }
        if (m->ended) {
            m->feed = NULL;
        } else {
            over(m, OUTCOME_CLIENT_GONE);
        }
    }
    rq->mirrors = NULL;
}

/* ---- life ---- */

struct mirrors *mirrors_new(struct loop *loop)
{
    struct mirrors *all = mem_new(struct mirrors);
    all->loop = loop;
    list_init(&all->live);
    return all;
}

void mirrors_free(struct mirrors *all)
{
    if (all == NULL) {
        return;
    }
    LIST_EACH(node, next, &all->live) {
        over(list_item(node, struct mirror, node), OUTCOME_CLIENT_GONE);
    }
    mem_free(all);
}
