/* Dial and TLS under one deadline: see connect.h.
 * In: upstream/pool, downstream/session_tcp. Out: an open stream. Next: http/http_conn or io/relay. */
#include "proxy/upstream/connect.h"

#include "base/mem.h"
#include "http/io_tunnel.h"
#include "io/deadline.h"
#include "io/dial.h"
#include "proxy/upstream/cluster.h"
#include "proxy/upstream/tunnel.h"
#include "tls/io_tls.h"

struct connect {
    struct endpoint *endpoint; /* a reference is held */
    enum tls_offer offer;      /* what it will carry */
    const struct connect_events *ev;
    void *arg;
    struct dial *dial;     /* while connecting */
    struct tunnel *tunnel; /* ... in place of it */
    struct io *io;         /* while shaking hands; owned */
    struct deadline soon;  /* tells a failure found at once in the next turn */
    enum outcome why;
    int64_t started_ms;
    struct proxy_protocol whose;
};

static struct loop *loop_of(const struct connect *c)
{
    return c->endpoint->cluster->up->loop;
}

static void connect_free(void *obj)
{
    mem_free(obj);
}

static void let_go(struct connect *c)
{
    struct loop *loop = loop_of(c);
    deadline_disarm(&c->soon);
    endpoint_put(c->endpoint);
    loop_bury(loop, connect_free, c);
}

static void fail(struct connect *c, enum outcome why, struct span failure)
{
    struct cluster *cluster = c->endpoint->cluster;
    const struct connect_events *ev = c->ev;
    void *arg = c->arg;
    c->endpoint->cx_connect_fail++;
    metric_add(why == OUTCOME_CONNECT_TIMEOUT ? cluster->stats.upstream_cx_connect_timeout
                                              : cluster->stats.upstream_cx_connect_fail,
               1);
    connect_released(c->endpoint);
    struct io *io = c->io;
    c->io = NULL;
    ev->on_fail(arg, why, failure);
    io_close(io);
    let_go(c);
}

static void succeed(struct connect *c)
{
    struct io *io = c->io;
    c->io = NULL;
    c->endpoint->cx_total++;
    metric_add(c->endpoint->cluster->stats.upstream_cx_total, 1);
    c->ev->on_done(c->arg, io);
    let_go(c);
}

static void on_handshake(void *arg, struct io *io, int code, const char *why)
{
    struct connect *c = arg;
    struct stats_cluster *stats = &c->endpoint->cluster->stats;
    if (code == 0) {
        metric_add(stats->ssl_handshake, 1);
        endpoint_learn(c->endpoint, io_tls_peer(io)->spiffe_id);
        succeed(c);
        return;
    }
    if (code == -ERR_DENIED) {
        metric_add(stats->ssl_fail_verify_san, 1);
        fail(c, OUTCOME_WRONG_IDENTITY, span_of(why));
    } else if (code == -ERR_TIMEOUT) {
        fail(c, OUTCOME_CONNECT_TIMEOUT, span_of(why));
    } else {
        metric_add(stats->ssl_connection_error, 1);
        fail(c, OUTCOME_TLS_FAILURE, span_of(why));
    }
}

/* Below TLS, and before any other byte. A new connection takes so few at once. */
static bool write_header(struct connect *c)
{
    char to[PROXY_PROTOCOL_WRITE_MAX];
    c->whose.version = c->endpoint->cluster->proxy_version;
    size_t len = proxy_protocol_write(&c->whose, to);
    return io_write(c->io, to, len) == (ssize_t)len;
}

/* The bottom is there: TLS above it, where the endpoint wants that. */
static void secure(struct connect *c, struct io *io)
{
    c->io = io;
    const struct endpoint *e = c->endpoint;
    if (e->cluster->proxy_version != 0 && !write_header(c)) {
        fail(c, OUTCOME_CONNECT_FAILURE, SPAN("the PROXY header could not be sent"));
        return;
    }
    if (e->tls == NULL) {
        succeed(c);
        return;
    }
    if (e->tls->ctx == NULL) { /* its secrets went away meanwhile */
        fail(c, OUTCOME_TLS_FAILURE, SPAN("certificate or trust not there yet"));
        return;
    }
    int64_t left = c->started_ms + e->cluster->connect_ms - loop_now_ms(loop_of(c));
    struct io_tls_spec spec = {
        .lower = io,
        .ctx = e->tls->ctx,
        .offer = c->offer,
        .handshake_ms = i64_max(left, 1),
        .on_done = on_handshake,
        .arg = c,
    };
    c->io = io_tls_start_take(loop_of(c), &spec);
}

static void on_dialed(void *arg, struct io *io, int code)
{
    struct connect *c = arg;
    c->dial = NULL;
    if (io == NULL) {
        fail(c, code == -ERR_TIMEOUT ? OUTCOME_CONNECT_TIMEOUT : OUTCOME_CONNECT_FAILURE,
             span_of(err_name(code)));
        return;
    }
    secure(c, io);
}

static void on_soon(struct deadline *d)
{
    struct connect *c = container_of(d, struct connect, soon);
    if (cluster_tls_missing(c->endpoint->cluster, c->endpoint)) {
        fail(c, OUTCOME_TLS_FAILURE, SPAN("certificate or trust not there yet"));
    } else {
        fail(c, OUTCOME_CONNECT_FAILURE, SPAN("the internal listener is not there"));
    }
}

/* ---- by a tunnel ---- */

static void on_tunnel(void *arg, struct io *io)
{
    struct connect *c = arg;
    const struct tls_peer *peer = io_tunnel_peer(io);
    endpoint_learn_tunnel(c->endpoint, tunnel_local_uri(c->tunnel));
    c->tunnel = NULL;
    if (peer != NULL) {
        endpoint_learn(c->endpoint, peer->spiffe_id);
    }
    secure(c, io);
}

static void on_tunnel_fail(void *arg, enum outcome why, struct span failure)
{
    struct connect *c = arg;
    c->tunnel = NULL;
    fail(c, why, failure);
}

static const struct connect_events tunnel_events = {.on_done = on_tunnel,
                                                    .on_fail = on_tunnel_fail};

static void start_tunnel(struct connect *c)
{
    const struct endpoint *e = c->endpoint;
    struct upstream *up = e->cluster->up;
    struct cluster *via = up->tunnel_via != NULL ? up->tunnel_via(up->arg, e->tunnel) : NULL;
    if (via == NULL) {
        deadline_arm(&c->soon, up->loop, 0);
        return;
    }
    char to[ADDR_TEXT_BYTES];
    struct tunnel_spec spec = {
        .via = via,
        .to = &e->addr,
        .authority = span_of(addr_format(&e->addr, to)),
        .identity = e->tunnel_identity,
        .timeout_ms = e->cluster->connect_ms,
        .ev = &tunnel_events,
        .arg = c,
    };
    c->tunnel = tunnel_start(&spec);
}

struct connect *connect_start(struct endpoint *e, enum tls_offer offer, bool force,
                              const struct connect_events *ev, void *arg)
{
    struct cluster *cluster = e->cluster;
    if (force) {
        shared_force(&cluster->shared->connections);
    } else if (!shared_take(&cluster->shared->connections, cluster->limits[0].connections)) {
        metric_add(cluster->stats.upstream_cx_overflow, 1);
        return NULL;
    }
    e->cx_active++;
    metric_gauge_add(cluster->stats.upstream_cx_active, 1);
    struct connect *c = mem_new(struct connect);
    c->endpoint = e;
    endpoint_get(e);
    c->offer = offer;
    c->ev = ev;
    c->arg = arg;
    c->started_ms = loop_now_ms(cluster->up->loop);
    deadline_init(&c->soon, on_soon);
    if (cluster_tls_missing(cluster, e)) {
        deadline_arm(&c->soon, cluster->up->loop, 0);
        return c;
    }
    if (e->tunnel.len > 0) {
        start_tunnel(c);
        return c;
    }
    struct dial_spec spec = {
        .to = e->addr,
        .from = cluster->bind_from,
        .timeout_ms = cluster->connect_ms,
        .keepalive = cluster->has_keepalive ? &cluster->keepalive : NULL,
    };
    c->dial = dial_start(cluster->up->loop, &spec, on_dialed, c);
    return c;
}

void connect_tell(struct connect *c, const struct proxy_protocol *whose)
{
    c->whose = *whose;
}

void connect_cancel(struct connect *c)
{
    if (c->dial != NULL) {
        dial_cancel(c->dial);
        c->dial = NULL;
    }
    if (c->tunnel != NULL) {
        tunnel_cancel(c->tunnel);
        c->tunnel = NULL;
    }
    io_close(c->io);
    c->io = NULL;
    connect_released(c->endpoint);
    let_go(c);
}

void connect_released(struct endpoint *e)
{
    DEBUG_ASSERT(e->cx_active > 0);
    e->cx_active--;
    shared_give(&e->cluster->shared->connections);
    metric_gauge_add(e->cluster->stats.upstream_cx_active, -1);
}
