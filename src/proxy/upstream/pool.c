/* Connections to one endpoint: see pool.h.
 * In: upstream/attempt wants a connection. Out: upstream/connect makes one. Next: http/http_conn. */
#include "proxy/upstream/pool.h"

#include "base/mem.h"
#include "io/deadline.h"
#include "proxy/upstream/cluster.h"
#include "proxy/upstream/connect.h"
#include "tls/io_tls.h"

enum pool_conn_state {
    CONN_CONNECTING, /* waits for connect.c */
    CONN_READY,      /* in resting or serving */
    CONN_DRAINING,   /* in serving; closes after its last stream */
};

struct pool_conn {
    struct list node;
    struct pool *pool;         /* borrowed; the endpoint is held by reference */
    struct endpoint *endpoint; /* a reference is held */
    enum pool_conn_state state;
    struct connect *connect; /* CONN_CONNECTING */
    struct http_conn *http;  /* after it; owned until on_gone */
    struct deadline age;     /* max_connection_duration */
};

static struct cluster *cluster_of(const struct pool *p)
{
    return p->endpoint->cluster;
}

void pool_init(struct pool *p, struct endpoint *e, enum http_proto proto)
{
    *p = (struct pool){.endpoint = e, .proto = proto};
    list_init(&p->resting);
    list_init(&p->serving);
    list_init(&p->connecting);
    list_init(&p->waiting);
}

static void pool_conn_free(void *obj)
{
    mem_free(obj);
}

static void pool_conn_bury(struct pool_conn *pc)
{
    struct loop *loop = cluster_of(pc->pool)->up->loop;
    list_remove(&pc->node);
    deadline_disarm(&pc->age);
    endpoint_put(pc->endpoint);
    loop_bury(loop, pool_conn_free, pc);
}

static void waiter_unlink(struct pool *p, struct pool_waiter *w)
{
    list_remove(&w->node);
    p->waiting_count--;
    shared_give(&cluster_of(p)->shared->pending);
    metric_gauge_add(cluster_of(p)->stats.upstream_rq_pending_active, -1);
}

static void fail_waiters(struct pool *p, enum outcome why, struct span failure)
{
    struct list failed;
    list_init(&failed);
    list_splice(&failed, &p->waiting);
    struct list *node;
    while ((node = failed.next) != &failed) {
        struct pool_waiter *w = list_item(node, struct pool_waiter, node);
        waiter_unlink(p, w);
        w->on_fail(w, why, failure);
    }
}

/* Must this connection take no more requests? */
static bool is_spent(const struct pool_conn *pc)
{
    uint32_t most = cluster_of(pc->pool)->max_requests_per_connection;
    return (most > 0 && http_conn_served(pc->http) + http_conn_streams(pc->http) >= most) ||
           (pc->endpoint->tls != NULL && io_tls_is_worn(http_conn_io(pc->http)));
}

static void start_draining(struct pool_conn *pc)
{
    pc->state = CONN_DRAINING;
    list_remove(&pc->node);
    list_push_back(&pc->pool->serving, &pc->node);
    http_conn_drain(pc->http);
}

static void retire(struct pool_conn *pc)
{
    metric_add(cluster_of(pc->pool)->stats.upstream_cx_max_requests, 1);
    start_draining(pc);
}

/* Puts a ready connection where its room says. */
static void settle(struct pool_conn *pc)
{
    if (pc->state != CONN_READY) {
        return;
    }
    list_remove(&pc->node);
    if (http_conn_room(pc->http) > 0) {
        list_push_front(&pc->pool->resting, &pc->node);
    } else {
        list_push_back(&pc->pool->serving, &pc->node);
    }
}

static void feed_waiters(struct pool_conn *pc)
{
    struct pool *p = pc->pool;
    while (!list_is_empty(&p->waiting) && pc->state == CONN_READY && http_conn_room(pc->http) > 0) {
        if (is_spent(pc)) {
            retire(pc);
            return;
        }
        struct pool_waiter *w = list_item(p->waiting.next, struct pool_waiter, node);
        waiter_unlink(p, w);
        w->on_ready(w, pc);
    }
}

static void connect_more(struct pool *p, bool force);

static void on_room(void *arg)
{
    struct pool_conn *pc = arg;
    if (pc->state != CONN_READY) {
        return;
    }
    settle(pc);
    feed_waiters(pc);
    if (pc->state != CONN_READY || http_conn_room(pc->http) == 0) {
        return;
    }
    if (is_spent(pc)) {
        retire(pc);
    } else if (pc->endpoint->removed) { /* it was made for those who waited when it was removed */
        start_draining(pc);
    }
}

static void on_gone(void *arg, enum http_reset why)
{
    struct pool_conn *pc = arg;
    struct pool *p = pc->pool;
    UNUSED(why);
    pc->http = NULL;
    connect_released(pc->endpoint);
    endpoint_get(p->endpoint); /* the pool must outlive this call */
    struct endpoint *e = p->endpoint;
    pool_conn_bury(pc);
    if (!list_is_empty(&p->waiting) && p->connecting_count == 0) {
        connect_more(p, false);
    }
    endpoint_put(e);
}

static const struct http_conn_events conn_events = {.on_room = on_room, .on_gone = on_gone};

static void on_age(struct deadline *d)
{
    struct pool_conn *pc = container_of(d, struct pool_conn, age);
    if (pc->state == CONN_READY) {
        start_draining(pc);
    }
}

static enum http_proto proto_of(const struct pool *p, const struct io *io)
{
    if (cluster_of(p)->alpn_auto && io_is_tls(io) && p->proto != HTTP_PROTO_RAW) {
        return span_is(io_tls_peer(io)->alpn, "h2") ? HTTP_PROTO_2 : HTTP_PROTO_1;
    }
    return p->proto;
}

static void on_connected(void *arg, struct io *io)
{
    struct pool_conn *pc = arg;
    struct pool *p = pc->pool;
    struct cluster *c = cluster_of(p);
    pc->connect = NULL;
    p->connecting_count--;
    list_remove(&pc->node);
    pc->state = CONN_READY;
    list_push_back(&p->serving, &pc->node);
    struct http_conn_spec spec = {
        .io = io,
        .proto = proto_of(p, io),
        .server = false,
        .limits = &c->http_limits,
        .events = &conn_events,
        .arg = pc,
        .scheme = pc->endpoint->tls ? SPAN("https") : SPAN("http"),
    };
    pc->http = http_conn_new_take(c->up->loop, &spec);
    if (c->max_connection_ms > 0) {
        deadline_arm(&pc->age, c->up->loop, c->max_connection_ms);
    }
    on_room(pc);
    if (!list_is_empty(&p->waiting)) {
        connect_more(p, false);
    }
}

static void on_connect_fail(void *arg, enum outcome why, struct span failure)
{
    struct pool_conn *pc = arg;
    struct pool *p = pc->pool;
    struct endpoint *e = p->endpoint;
    pc->connect = NULL;
    p->connecting_count--;
    endpoint_get(e);
    pool_conn_bury(pc);
    /* Those who still have a connection to hope for go on waiting. */
    if (p->connecting_count == 0 && list_is_empty(&p->resting) && list_is_empty(&p->serving)) {
        fail_waiters(p, why, failure);
    } else if (!list_is_empty(&p->waiting) && p->connecting_count == 0) {
        struct pool_waiter *w = list_item(p->waiting.next, struct pool_waiter, node);
        waiter_unlink(p, w);
        w->on_fail(w, why, failure);
    }
    endpoint_put(e);
}

static const struct connect_events connect_events = {.on_done = on_connected,
                                                     .on_fail = on_connect_fail};

/* Where ALPN decides the protocol, what the cluster says is offered. */
static enum tls_offer offer_of(const struct pool *p)
{
    bool as_told = cluster_of(p)->alpn_auto || p->proto == HTTP_PROTO_RAW;
    return as_told                    ? TLS_OFFER_OPAQUE
           : p->proto == HTTP_PROTO_2 ? TLS_OFFER_HTTP2
                                      : TLS_OFFER_HTTP1;
}

/* As many connections under way as the waiting requests need: one each, or one for many in HTTP/2. */
static void connect_more(struct pool *p, bool force)
{
    unsigned want = p->proto == HTTP_PROTO_2 ? 1 : p->waiting_count;
    while (p->connecting_count < want) {
        struct pool_conn *pc = mem_new(struct pool_conn);
        pc->pool = p;
        pc->endpoint = p->endpoint;
        endpoint_get(pc->endpoint);
        list_init(&pc->node);
        deadline_init(&pc->age, on_age);
        pc->connect = connect_start(p->endpoint, offer_of(p), force, &connect_events, pc);
        if (pc->connect == NULL) { /* breaker full: they wait for a connection to come free */
            pool_conn_bury(pc);
            return;
        }
        list_push_back(&p->connecting, &pc->node);
        p->connecting_count++;
        force = false;
    }
}

struct pool_conn *pool_get(struct pool *p, struct pool_waiter *w, bool fresh, enum outcome *why)
{
    struct cluster *c = cluster_of(p);
    *why = OUTCOME_OK;
    list_init(&w->node);
    LIST_EACH(node, next, &p->resting) {
        struct pool_conn *pc = list_item(node, struct pool_conn, node);
        if (fresh && http_conn_served(pc->http) > 0) {
            continue;
        }
        if (http_conn_room(pc->http) == 0 || is_spent(pc)) {
            continue;
        }
        if (p->proto != HTTP_PROTO_2 && io_is_due(http_conn_io(pc->http))) {
            continue; /* it has ended, or speaks without being asked: RFC 9112 section 9.2 */
        }
        return pc;
    }
    if (!shared_take(&c->shared->pending, c->limits[0].pending)) {
        metric_add(c->stats.upstream_rq_pending_overflow, 1);
        *why = OUTCOME_OVERFLOW;
        return NULL;
    }
    metric_gauge_add(c->stats.upstream_rq_pending_active, 1);
    list_push_back(&p->waiting, &w->node);
    p->waiting_count++;
    /* As in Envoy, each pool may have one connection whatever the breaker says: else a full breaker on one
     * worker would starve the others for good. */
    bool force =
        p->connecting_count == 0 && list_is_empty(&p->resting) && list_is_empty(&p->serving);
    connect_more(p, force);
    return NULL;
}

static void stop_connecting(struct pool *p)
{
    LIST_EACH(node, next, &p->connecting) {
        struct pool_conn *pc = list_item(node, struct pool_conn, node);
        connect_cancel(pc->connect);
        p->connecting_count--;
        pool_conn_bury(pc);
    }
}

void pool_cancel(struct pool *p, struct pool_waiter *w)
{
    if (list_is_linked(&w->node)) {
        waiter_unlink(p, w);
    }
    if (p->endpoint->removed && list_is_empty(&p->waiting)) {
        stop_connecting(p);
    }
}

struct http_stream *pool_conn_request(struct pool_conn *pc, const struct http_stream_events *ev,
                                      void *arg)
{
    struct http_stream *s = http_conn_request(pc->http, ev, arg);
    settle(pc);
    return s;
}

bool pool_conn_is_reused(const struct pool_conn *pc)
{
    return http_conn_served(pc->http) > 0;
}

struct http_conn *pool_conn_http(struct pool_conn *pc)
{
    return pc->http;
}

void pool_drain(struct pool *p)
{
    LIST_EACH(node, next, &p->resting) {
        start_draining(list_item(node, struct pool_conn, node));
    }
    LIST_EACH(busy, next_busy, &p->serving) {
        struct pool_conn *pc = list_item(busy, struct pool_conn, node);
        if (pc->state == CONN_READY) {
            start_draining(pc);
        }
    }
}

void pool_close(struct pool *p)
{
    pool_drain(p);
    if (list_is_empty(&p->waiting)) {
        stop_connecting(p);
    }
}

void pool_dispose(struct pool *p)
{
    pool_drain(p);
    stop_connecting(p);
    fail_waiters(p, OUTCOME_NO_HEALTHY, SPAN("the worker ends"));
    LIST_EACH(node, next, &p->serving) {
        http_conn_close(list_item(node, struct pool_conn, node)->http);
    }
}

bool pool_is_empty(const struct pool *p)
{
    return list_is_empty(&p->resting) && list_is_empty(&p->serving) &&
           list_is_empty(&p->connecting) && list_is_empty(&p->waiting);
}
