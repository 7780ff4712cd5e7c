/* One try against one endpoint: see attempt.h. */
#include "proxy/upstream/attempt.h"

#include "proxy/upstream/outlier.h"

static void leave(struct attempt *a)
{
    struct endpoint *e = a->endpoint;
    struct cluster *c = e->cluster;
    a->busy = false;
    a->stream = NULL;
    e->active--;
    if (a->counted) {
        a->counted = false;
        shared_give(&c->shared->requests[a->priority_high]);
        metric_gauge_add(c->stats.upstream_rq_active, -1);
    }
    a->endpoint = NULL;
    endpoint_put(e);
}

static void on_head(void *arg, struct head *head, bool end)
{
    struct attempt *a = arg;
    a->ev->on_head(a->arg, head, end);
}

static void on_data(void *arg, struct span data, bool end)
{
    struct attempt *a = arg;
    a->ev->on_data(a->arg, data, end);
}

static void on_trailers(void *arg, struct head *trailers)
{
    struct attempt *a = arg;
    a->ev->on_trailers(a->arg, trailers);
}

static void on_drained(void *arg)
{
    struct attempt *a = arg;
    a->ev->on_drained(a->arg);
}

static enum outcome outcome_of(enum http_reset why, bool conn_gone)
{
    switch (why) {
    case HTTP_RESET_PROTO:
    case HTTP_RESET_LIMIT:
        return OUTCOME_UPSTREAM_PROTO;
    case HTTP_RESET_REFUSED:
    case HTTP_RESET_NONE:
    case HTTP_RESET_PEER:
    case HTTP_RESET_TIMEOUT:
    case HTTP_RESET_LOCAL:
        break;
    }
    return conn_gone ? OUTCOME_UPSTREAM_CLOSED : OUTCOME_UPSTREAM_RESET;
}

static void on_close(void *arg, enum http_reset why)
{
    struct attempt *a = arg;
    bool conn_gone = http_conn_is_gone(http_stream_conn(a->stream));
    if (why != HTTP_RESET_NONE) {
        metric_add(a->endpoint->cluster->stats.upstream_rq_rx_reset, 1);
        a->endpoint->rq_error++;
        if (why != HTTP_RESET_REFUSED ||
            !a->reused) { /* else its patience with an idle one was over */
            outlier_failed(a->endpoint, false);
        }
    }
    leave(a);
    if (why == HTTP_RESET_NONE) {
        a->ev->on_end(a->arg);
    } else {
        a->ev->on_fail(a->arg, outcome_of(why, conn_gone), span_of(http_reset_name(why)),
                       why == HTTP_RESET_REFUSED);
    }
}

static const struct http_stream_events stream_events = {
    .on_head = on_head,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_drained = on_drained,
    .on_close = on_close,
};

/* As in Envoy, a request counts against max_requests from when it has a connection; before, it is pending. */
static bool take_place(struct attempt *a)
{
    struct cluster *c = a->endpoint->cluster;
    if (!shared_take(&c->shared->requests[a->priority_high],
                     c->limits[a->priority_high].requests)) {
        metric_add(c->stats.upstream_rq_pending_overflow, 1);
        return false;
    }
    a->counted = true;
    metric_gauge_add(c->stats.upstream_rq_active, 1);
    return true;
}

static void on_ready(struct pool_waiter *w, struct pool_conn *pc)
{
    struct attempt *a = container_of(w, struct attempt, waiter);
    if (!take_place(a)) {
        leave(a);
        a->ev->on_fail(a->arg, OUTCOME_OVERFLOW, SPAN_EMPTY, true);
        return;
    }
    a->reused = pool_conn_is_reused(pc);
    a->local = http_conn_io(pool_conn_http(pc))->local;
    a->stream = pool_conn_request(pc, &stream_events, a);
    if (a->stream == NULL) { /* it went away in this very turn */
        leave(a);
        a->ev->on_fail(a->arg, OUTCOME_UPSTREAM_CLOSED, SPAN("connection lost before use"), true);
        return;
    }
    a->opened_ns = loop_now_ns(a->endpoint->cluster->up->loop);
    a->endpoint->rq_total++;
    metric_add(a->endpoint->cluster->stats.upstream_rq_total, 1);
    a->ev->on_open(a->arg);
}

static void on_fail(struct pool_waiter *w, enum outcome why, struct span failure)
{
    struct attempt *a = container_of(w, struct attempt, waiter);
    a->endpoint->rq_error++;
    outlier_failed(a->endpoint, why == OUTCOME_CONNECT_TIMEOUT);
    leave(a);
    a->ev->on_fail(a->arg, why, failure, true);
}

void attempt_init(struct attempt *a, const struct attempt_events *ev, void *arg)
{
    *a = (struct attempt){.ev = ev, .arg = arg};
    list_init(&a->waiter.node);
    a->waiter.on_ready = on_ready;
    a->waiter.on_fail = on_fail;
}

enum outcome attempt_start(struct attempt *a, struct endpoint *e, enum http_proto proto, bool fresh,
                           bool priority_high)
{
    DEBUG_ASSERT(!a->busy);
    a->busy = true;
    a->reused = false;
    a->priority_high = priority_high;
    a->endpoint = e;
    endpoint_get(e);
    e->active++;
    a->pool = &e->pools[proto];
    enum outcome why;
    struct pool_conn *pc = pool_get(a->pool, &a->waiter, fresh, &why);
    if (pc != NULL) {
        on_ready(&a->waiter, pc);
    } else if (why != OUTCOME_OK) {
        leave(a);
        return why;
    }
    return OUTCOME_OK;
}

void attempt_let_go(struct attempt *a)
{
    if (a->busy && a->stream != NULL) {
        http_stream_set_events(a->stream, NULL, NULL);
        leave(a);
    }
}

void attempt_cancel(struct attempt *a, enum http_reset why)
{
    if (!a->busy) {
        return;
    }
    struct http_stream *s = a->stream;
    struct cluster *c = a->endpoint->cluster;
    if (s != NULL) {
        metric_add(c->stats.upstream_rq_tx_reset, 1);
        http_stream_reset(s, why);
    } else {
        pool_cancel(a->pool, &a->waiter);
    }
    leave(a);
}
