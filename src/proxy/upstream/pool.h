#ifndef PROXY_UPSTREAM_POOL_H
#define PROXY_UPSTREAM_POOL_H
/* Connections of one worker to one endpoint in one protocol. HTTP/1: a connection serves one request at a time
 * and rests here between two; HTTP/2: it serves many. Requests that find no connection wait here, bounded by
 * the cluster's circuit breaker. Which connection rests longest is used last (LIFO), so that surplus ones age
 * out.
 *
 *   pool_conn:  CONNECTING --> READY (resting or serving) --> DRAINING --> gone
 *   waiter:     queued --> on_ready(conn) | on_fail(outcome)                                              */
#include "base/compiler.h"
#include "base/list.h"
#include "http/http_conn.h"
#include "proxy/report/outcome.h"

struct endpoint;
struct pool_conn;

struct pool {
    struct endpoint *endpoint; /* borrowed: its owner */
    enum http_proto proto;
    struct list resting; /* pool_conn with room for a request; most recently used first */
    struct list serving; /* full ones, and those that take no more */
    struct list connecting;
    struct list waiting; /* struct pool_waiter */
    unsigned connecting_count, waiting_count;
};

struct pool_waiter {
    struct list node;
    void (*on_ready)(struct pool_waiter *w, struct pool_conn *pc);
    void (*on_fail)(struct pool_waiter *w, enum outcome why, struct span failure);
};

void pool_init(struct pool *p, struct endpoint *e, enum http_proto proto);
/* A connection at once, or NULL: then the waiter is queued (*why OUTCOME_OK) and told later, or it may not wait
 * (*why says). `fresh`: not one that has served before. A connection in hand must be used in this turn. */
struct pool_conn *pool_get(struct pool *p, struct pool_waiter *w, bool fresh, enum outcome *why);
void pool_cancel(struct pool *p, struct pool_waiter *w);
/* Opens a stream on it. */
struct http_stream *pool_conn_request(struct pool_conn *pc, const struct http_stream_events *ev,
                                      void *arg);
/* Has it carried a request before? Then a silent close may be the idle kind. */
bool pool_conn_is_reused(const struct pool_conn *pc);
struct http_conn *pool_conn_http(struct pool_conn *pc);
/* Idle connections close now, busy ones after their requests; new ones may be opened again. */
void pool_drain(struct pool *p);
/* As drain, for good (the endpoint is removed): those who wait still get their connection, as in Envoy. */
void pool_close(struct pool *p);
/* Everything at once, at the worker's end. */
void pool_dispose(struct pool *p);
bool pool_is_empty(const struct pool *p);
#endif
