/* Datagrams there and back: see udp_session.h. */
#include "proxy/downstream/udp_session.h"

#include "base/mem.h"
#include "io/udp.h"
#include "proxy/downstream/entry.h"
#include "proxy/upstream/cluster.h"
#include "proxy/upstream/lb_hash.h"

struct udp_front {
    struct entry *entry; /* borrowed: it closes its front before it goes */
    struct udp *socket;  /* owned */
    struct map sessions; /* struct udp_session, by its peer */
    struct stats_udp stats;
};

struct udp_session {
    struct udp_front *front;
    struct addr peer;
    char key[ENTRY_KEY_BYTES];
    struct cluster *cluster;   /* a reference is held */
    struct endpoint *endpoint; /* a reference is held */
    struct udp *socket;        /* owned; connected to the endpoint */
    struct deadline idle;
};

static struct loop *loop_of(const struct udp_front *f)
{
    return f->entry->ds->loop;
}

static void session_free(void *obj)
{
    mem_free(obj);
}

/* The front's table forgets it elsewhere: one who goes through the table must not change it. */
static void session_end(struct udp_session *s)
{
    deadline_disarm(&s->idle);
    udp_close(s->socket);
    s->endpoint->active--;
    s->endpoint->cx_active--;
    endpoint_put(s->endpoint);
    shared_give(&s->cluster->shared->connections);
    metric_gauge_add(s->cluster->stats.upstream_cx_active, -1);
    cluster_put(s->cluster);
    metric_gauge_add(s->front->stats.downstream_sess_active, -1);
    loop_bury(loop_of(s->front), session_free, s);
}

static void session_close(struct udp_session *s)
{
    (void)map_remove(&s->front->sessions, span_from(s->key, sizeof(s->key))); /* it is there */
    session_end(s);
}

static void on_idle(struct deadline *d)
{
    struct udp_session *s = container_of(d, struct udp_session, idle);
    metric_add(s->front->stats.idle_timeout, 1);
    session_close(s);
}

static void session_moved(struct udp_session *s)
{
    const struct conf_listener *conf = s->front->entry->conf;
    if (conf->udp->idle_ms > 0) {
        deadline_arm(&s->idle, loop_of(s->front), conf->udp->idle_ms);
    }
}

/* ---- back ---- */

static void on_answer(void *arg, const struct addr *from, struct span bytes)
{
    struct udp_session *s = arg;
    struct udp_front *f = s->front;
    UNUSED(from); /* the socket is connected */
    metric_add(s->cluster->stats.upstream_cx_rx_bytes_total, bytes.len);
    session_moved(s);
    if (udp_send(f->socket, &s->peer, bytes) != 0) {
        metric_add(f->stats.downstream_sess_tx_errors, 1);
        return;
    }
    metric_add(f->stats.downstream_sess_tx_datagrams, 1);
    metric_add(f->stats.downstream_sess_tx_bytes, bytes.len);
}

/* ---- there ---- */

static struct endpoint *pick(const struct conf_udp *conf, struct cluster *c,
                             const struct addr *peer)
{
    struct cluster_want want = {.has_hash = conf->hash_source_ip};
    if (want.has_hash) {
        want.hash = lb_hash_ip(&peer->ip);
    }
    return cluster_pick(c, &want);
}

static struct udp_session *session_new(struct udp_front *f, const struct addr *peer,
                                       struct span key)
{
    struct downstream *ds = f->entry->ds;
    const struct conf_udp *conf = f->entry->conf->udp;
    struct cluster *c = ds->cluster_at(ds->arg, conf->cluster.slot);
    struct endpoint *e = c != NULL ? pick(conf, c, peer) : NULL;
    if (e == NULL) {
        metric_add(f->stats.downstream_sess_no_route, 1);
        return NULL;
    }
    if (!shared_take(&c->shared->connections, c->limits[0].connections)) {
        metric_add(c->stats.upstream_cx_overflow, 1);
        return NULL;
    }
    struct udp_session *s = mem_new(struct udp_session);
    struct udp_spec spec = {.remote = e->addr, .on_packet = on_answer, .arg = s};
    struct err err;
    err_clear(&err);
    if (udp_open(&s->socket, ds->loop, &spec, &err) != 0) {
        metric_add(c->stats.upstream_cx_connect_fail, 1);
        shared_give(&c->shared->connections);
        mem_free(s);
        return NULL;
    }
    s->front = f;
    s->peer = *peer;
    s->cluster = c;
    s->endpoint = e;
    memcpy(s->key, key.at, sizeof(s->key));
    cluster_get(c);
    endpoint_get(e);
    e->active++;
    e->cx_active++;
    e->cx_total++;
    metric_add(c->stats.upstream_cx_total, 1);
    metric_gauge_add(c->stats.upstream_cx_active, 1);
    metric_add(f->stats.downstream_sess_total, 1);
    metric_gauge_add(f->stats.downstream_sess_active, 1);
    deadline_init(&s->idle, on_idle);
    (void)map_put(&f->sessions, span_from(s->key, sizeof(s->key)), s); /* there was none */
    return s;
}

static struct udp_session *session_of(struct udp_front *f, const struct addr *peer)
{
    char bytes[ENTRY_KEY_BYTES];
    memcpy(bytes, &peer->ip, sizeof(peer->ip));
    memcpy(bytes + sizeof(peer->ip), &peer->port, sizeof(peer->port));
    struct span key = span_from(bytes, sizeof(bytes));
    struct udp_session *s = map_get(&f->sessions, key);
    if (s != NULL && s->endpoint->removed) {
        session_close(s);
        s = NULL;
    }
    return s != NULL ? s : session_new(f, peer, key);
}

static void on_packet(void *arg, const struct addr *from, struct span bytes)
{
    struct udp_front *f = arg;
    metric_add(f->stats.downstream_sess_rx_datagrams, 1);
    metric_add(f->stats.downstream_sess_rx_bytes, bytes.len);
    struct udp_session *s = session_of(f, from);
    if (s == NULL) {
        return;
    }
    session_moved(s);
    if (udp_send(s->socket, NULL, bytes) == 0) {
        metric_add(s->cluster->stats.upstream_cx_tx_bytes_total, bytes.len);
    }
}

/* ---- the socket ---- */

struct udp_front *udp_session_listen(struct entry *e, struct err *err)
{
    struct udp_front *f = mem_new(struct udp_front);
    struct udp_spec spec = {
        .local = e->conf->addr,
        .on_packet = on_packet,
        .arg = f,
        .reuse_port = e->conf->reuse_port && e->ds->reuse_port,
    };
    f->entry = e;
    map_init(&f->sessions);
    if (udp_open(&f->socket, e->ds->loop, &spec, err) != 0) {
        mem_free(f);
        return NULL;
    }
    stats_udp_bind(e->ds->upstream.stats, e->conf->udp->stat_prefix, &f->stats);
    return f;
}

void udp_session_stop(struct udp_front *f)
{
    if (f == NULL) {
        return;
    }
    for (struct map_slot *at = NULL; (at = map_next(&f->sessions, at)) != NULL;) {
        session_end(at->value);
    }
    map_dispose(&f->sessions);
    udp_close(f->socket);
    loop_bury(loop_of(f), session_free, f);
}
