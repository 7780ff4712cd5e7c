/* An opaque downstream connection: see session_tcp.h.
 *
 *   CONNECTING --(endpoint answers)--> RELAYING --> reported
 *      | fails: next endpoint while attempts are left, else closed                                              */
#include "proxy/downstream/session_tcp.h"

#include "base/instant.h"
#include "base/mem.h"
#include "io/relay.h"
#include "mesh/names.h"
#include "proxy/downstream/exchange.h"
#include "proxy/downstream/who.h"
#include "proxy/upstream/connect.h"
#include "proxy/upstream/lb_hash.h"
#include "proxy/upstream/outlier.h"
#include "proxy/upstream/tunnel.h"
#include "tls/io_tls.h"

#define REPORT_MS 5000 /* a long connection's bytes are added so often */

struct session_tcp {
    struct session base;
    struct loop *loop;
    struct upstream *upstream;
    struct io *io;             /* owned while CONNECTING */
    struct buf first;          /* bytes read before there was an upstream */
    struct cluster *cluster;   /* a reference is held */
    struct endpoint *endpoint; /* a reference is held while in use */
    struct connect *connect;   /* CONNECTING */
    struct tunnel *tunnel;     /* ... in place of it: tunneling_config */
    struct span tunnel_to;     /* authority of that, in `texts`; empty = directly */
    struct relay *relay;       /* RELAYING */
    struct deadline report;
    struct deadline age; /* max_downstream_connection_duration */
    uint64_t told_sent, told_received;
    uint32_t attempts_left, attempts;
    int64_t idle_ms, start_us, start_ns;
    enum conf_direction direction;
    struct addr peer, local, original_dst, upstream_addr, upstream_local;
    struct ip direct_ip;
    uint16_t direct_port;
    struct stats_edge *edge;
    struct access_log *logs[REQUEST_LOGS_MAX];
    size_t log_count;
    enum outcome outcome;
    uint32_t flags;
    struct span details, failure;
    struct who who;
    struct arena texts;
    bool tls, redirected, hash_source_ip;
    bool awaits_down,
        awaits_up; /* that end has yet to tell who it is: its frame comes before its first byte */
};

static void session_free(void *obj)
{
    struct session_tcp *s = obj;
    arena_dispose(&s->texts);
    buf_dispose(&s->first);
    mem_free(s);
}

/* ---- reports ---- */

static struct stats_edge *edge_of(struct session_tcp *s)
{
    if (s->direction != CONF_INBOUND && s->endpoint != NULL) {
        return endpoint_edge(s->endpoint, STATS_TCP);
    }
    static const struct stats_workload nobody;
    struct stats_edge_key key = {
        .reporter = s->direction == CONF_INBOUND ? STATS_DESTINATION : STATS_SOURCE,
        .protocol = STATS_TCP,
        .mutual_tls = s->who.principal.len > 0,
        .peer = s->direction == CONF_INBOUND ? &s->who.labels : &nobody,
        .self_principal = s->who.local_uri,
    };
    if (s->cluster != NULL) {
        key.service = s->cluster->service;
    }
    return stats_edge_get(s->upstream->stats, &key);
}

/* The edge is known once its peer has told who it is; at the latest when there is something to count. */
static void tell_opened(struct session_tcp *s)
{
    if (s->edge == NULL) {
        s->edge = edge_of(s);
        stats_tcp_opened(s->edge);
    }
}

static void tell_bytes(struct session_tcp *s, uint64_t received, uint64_t sent)
{
    stats_tcp_bytes(s->edge, s->flags, sent - s->told_sent, received - s->told_received);
    if (s->cluster != NULL) {
        metric_add(s->cluster->stats.upstream_cx_tx_bytes_total, received - s->told_received);
        metric_add(s->cluster->stats.upstream_cx_rx_bytes_total, sent - s->told_sent);
    }
    s->told_sent = sent;
    s->told_received = received;
}

static void on_report(struct deadline *d)
{
    struct session_tcp *s = container_of(d, struct session_tcp, report);
    uint64_t received, sent;
    tell_opened(s);
    relay_count(s->relay, &received, &sent);
    tell_bytes(s, received, sent);
    deadline_arm(&s->report, s->loop, REPORT_MS);
}

static void write_log(struct session_tcp *s)
{
    struct traffic traffic = {.direct_ip = s->direct_ip,
                              .direct_port = s->direct_port,
                              .remote_ip = s->peer.ip,
                              .sni = s->who.sni};
    struct access_entry e = {
        .start_us = s->start_us,
        .duration_us = (loop_now_ns(s->loop) - s->start_ns) / 1000,
        .request_us = -1,
        .response_us = -1,
        .upstream_us = -1,
        .traffic = &traffic,
        .outcome = s->outcome,
        .flags = s->flags,
        .details = s->details,
        .failure = s->failure,
        .cluster = s->cluster != NULL ? s->cluster->name : SPAN_EMPTY,
        .bytes_received = s->told_received,
        .bytes_sent = s->told_sent,
        .downstream_remote = s->peer,
        .downstream_local = s->local,
        .upstream_remote = s->upstream_addr,
        .upstream_local = s->upstream_local,
        .requested_server = s->who.sni,
        .peer_principal = s->who.uri,
        .local_principal = s->who.local_uri,
        .attempts = s->attempts,
    };
    for (size_t i = 0; i < s->log_count; i++) {
        access_log_write(s->logs[i], &e);
    }
}

/* ---- the end ---- */

static void drop_endpoint(struct session_tcp *s)
{
    if (s->endpoint != NULL) {
        s->endpoint->active--;
        endpoint_put(s->endpoint);
        s->endpoint = NULL;
    }
}

static void end(struct session_tcp *s, enum outcome why)
{
    s->outcome = why;
    s->flags |= outcome_row(why)->flag;
    tell_opened(s);
    stats_tcp_closed(s->edge, s->flags);
    deadline_disarm(&s->report);
    deadline_disarm(&s->age);
    write_log(s);
    io_close(s->io);
    s->io = NULL;
    drop_endpoint(s);
    if (s->cluster != NULL) {
        cluster_put(s->cluster);
    }
    session_dispose(&s->base);
    loop_bury(s->loop, session_free, s);
}

static void on_relay_done(void *arg, const struct relay_done *done)
{
    struct session_tcp *s = arg;
    tell_opened(s);
    tell_bytes(s, done->bytes_a_to_b, done->bytes_b_to_a);
    if (s->endpoint != NULL) {
        connect_released(s->endpoint);
    }
    s->relay = NULL;
    end(s, done->code == 0 || done->code == -ERR_TIMEOUT ? OUTCOME_OK
           : done->failed_b                              ? OUTCOME_UPSTREAM_CLOSED
                                                         : OUTCOME_CLIENT_GONE);
}

static void close_now(struct session *base)
{
    struct session_tcp *s = container_of(base, struct session_tcp, base);
    if (s->relay != NULL) {
        relay_close(s->relay); /* on_relay_done ends it */
        return;
    }
    if (s->connect != NULL) {
        connect_cancel(s->connect);
        s->connect = NULL;
    }
    if (s->tunnel != NULL) {
        tunnel_cancel(s->tunnel);
        s->tunnel = NULL;
    }
    end(s, OUTCOME_DRAINING);
}

static void on_age(struct deadline *d)
{
    close_now(&container_of(d, struct session_tcp, age)->base);
}

/* Opaque bytes can not be told to come again: a connection outlives its chain, unless its security changed. */
static void on_rebind(struct session *base, struct entry_chain *chain, bool must_end)
{
    UNUSED(chain);
    if (must_end) {
        close_now(base);
    }
}

/* Opaque bytes have no place to say goodbye: they go on until the drain period is over. */
static void drain(struct session *base)
{
    UNUSED(base);
}

/* ---- connecting ---- */

static void try_next(struct session_tcp *s);

/* ---- who are they? ---- */

static bool is_awaited(const struct session_tcp *s)
{
    return s->direction == CONF_INBOUND ? s->awaits_down : s->awaits_up;
}

static void on_down_peer(void *arg, struct span any)
{
    struct session_tcp *s = arg;
    const struct peer *told = peers_of_frame(s->upstream->peers, any);
    s->awaits_down = false;
    if (told != NULL && s->edge == NULL) {
        (void)peers_believe(&s->who.labels, told, s->who.uri); /* else they stay unknown */
    }
    if (!is_awaited(s)) {
        tell_opened(s);
    }
}

static void on_up_peer(void *arg, struct span any)
{
    struct session_tcp *s = arg;
    s->awaits_up = false;
    if (s->endpoint != NULL) {
        (void)endpoint_learn_peer(s->endpoint, peers_of_frame(s->upstream->peers, any));
    }
    if (!is_awaited(s)) {
        tell_opened(s);
    }
}

/* The stream with the exchange on it, where both have agreed on one. */
static struct io *exchange_on(struct session_tcp *s, struct io *io, bool *awaits,
                              void (*on_peer)(void *arg, struct span any))
{
    if (!io_is_tls(io) || !span_is(io_tls_peer(io)->alpn, ALPN_PEER_EXCHANGE)) {
        return io;
    }
    *awaits = true;
    struct exchange_spec spec = {
        .lower = io,
        .frame = s->upstream->self != NULL ? s->upstream->self->frame : SPAN_EMPTY,
        .on_peer = on_peer,
        .arg = s,
    };
    return exchange_start_take(s->loop, &spec);
}

static void on_connected(void *arg, struct io *io)
{
    struct session_tcp *s = arg;
    s->connect = NULL;
    s->tunnel = NULL;
    s->upstream_local = io->local;
    io = exchange_on(s, io, &s->awaits_up, on_up_peer);
    if (s->endpoint != NULL) {
        outlier_connected(s->endpoint);
        s->awaits_up = s->awaits_up &&
                       s->endpoint->labels.workload.len == 0; /* else the configuration knows it */
    }
    if (!is_awaited(s)) {
        tell_opened(s);
    }
    struct relay_spec spec = {
        .a = s->io,
        .b = io,
        .from_a = buf_span(&s->first),
        .idle_ms = s->idle_ms,
        .on_done = on_relay_done,
        .arg = s,
    };
    s->io = NULL;
    s->relay = relay_start_take(s->loop, &spec);
    buf_release(&s->first);
    deadline_arm(&s->report, s->loop, REPORT_MS);
}

static void on_connect_fail(void *arg, enum outcome why, struct span failure)
{
    struct session_tcp *s = arg;
    s->connect = NULL;
    s->tunnel = NULL;
    s->failure = arena_dup(&s->texts, failure);
    if (s->endpoint != NULL) {
        outlier_failed(s->endpoint, why == OUTCOME_CONNECT_TIMEOUT);
        drop_endpoint(s);
    }
    if (s->attempts_left > 0) {
        try_next(s);
    } else {
        s->flags |= s->attempts > 1 ? FLAG_URX : 0;
        end(s, why);
    }
}

static const struct connect_events connect_events = {.on_done = on_connected,
                                                     .on_fail = on_connect_fail};

static void try_tunnel(struct session_tcp *s)
{
    struct tunnel_spec spec = {
        .via = s->cluster,
        .to = s->redirected ? &s->original_dst : NULL,
        .authority = s->tunnel_to,
        .timeout_ms = s->cluster->connect_ms,
        .ev = &connect_events,
        .arg = s,
    };
    s->attempts++;
    s->attempts_left--;
    s->tunnel = tunnel_start(&spec);
}

static void try_next(struct session_tcp *s)
{
    if (s->tunnel_to.len > 0) {
        try_tunnel(s);
        return;
    }
    struct cluster_want want = {
        .original_dst = s->redirected ? &s->original_dst : NULL,
        .has_hash = s->hash_source_ip && s->peer.kind == ADDR_IP,
    };
    if (want.has_hash) {
        want.hash = lb_hash_ip(&s->peer.ip);
    }
    struct endpoint *e = cluster_pick(s->cluster, &want);
    if (e == NULL) {
        end(s, OUTCOME_NO_HEALTHY);
        return;
    }
    s->attempts++;
    s->attempts_left--;
    s->upstream_addr = e->addr;
    s->connect = connect_start(e, TLS_OFFER_OPAQUE, false, &connect_events, s);
    if (s->connect == NULL) {
        end(s, OUTCOME_OVERFLOW);
        return;
    }
    const struct proxy_protocol whose = {
        .has_ends = s->peer.kind == ADDR_IP && s->original_dst.kind == ADDR_IP,
        .source = {s->peer.ip, s->peer.port},
        .destination = {s->original_dst.ip, s->original_dst.port},
    };
    connect_tell(s->connect, &whose);
    s->endpoint = e;
    endpoint_get(e);
    e->active++;
}

/* ---- start ---- */

static bool is_allowed(struct session_tcp *s, const struct conf_chain *conf)
{
    struct traffic traffic = {
        .direct_ip = s->direct_ip,
        .direct_port = s->direct_port,
        .source_ip = &s->peer.ip,
        .remote_ip = s->peer.ip,
        .destination_ip = s->original_dst.ip,
        .destination_port = s->original_dst.port,
        .sni = s->who.sni,
        .tls = s->tls,
        .principal = s->who.principal,
    };
    for (size_t i = 0; i < conf->network_rbac_count; i++) {
        const struct conf_rbac *filter = &conf->network_rbac[i];
        if (filter->rules == NULL) {
            continue;
        }
        struct rbac_answer answer = rbac_check(filter->rules, &traffic, &s->texts, NULL);
        struct stats_rbac stats;
        stats_rbac_bind(s->upstream->stats, filter->stat_prefix, &stats);
        metric_add(answer.allowed ? stats.allowed : stats.denied, 1);
        if (!answer.allowed) {
            struct span name = answer.policy.len > 0 ? answer.policy : SPAN("none");
            s->details = span_of(
                arena_printf(&s->texts, "rbac_access_denied_matched_policy[%.*s]", SPAN_ARG(name)));
            return false;
        }
    }
    return true;
}

static const struct route_cluster *choose(const struct conf_tcp *tcp, uint64_t random)
{
    uint64_t at = tcp->total_weight > 0 ? random % tcp->total_weight : 0;
    for (size_t i = 0; i < tcp->cluster_count; i++) {
        if (at < tcp->clusters[i].weight || i + 1 == tcp->cluster_count) {
            return &tcp->clusters[i];
        }
        at -= tcp->clusters[i].weight;
    }
    return NULL;
}

static void begin(struct session_tcp *s, const struct conf_chain *conf)
{
    struct downstream *ds = s->base.entry->ds;
    if (!is_allowed(s, conf)) {
        end(s, OUTCOME_DENIED);
        return;
    }
    const struct route_cluster *choice = choose(conf->tcp, rng_u64(ds->upstream.rng));
    s->cluster = choice ? ds->cluster_at(ds->arg, choice->slot) : NULL;
    if (s->cluster == NULL) {
        end(s, OUTCOME_NO_CLUSTER);
        return;
    }
    cluster_get(s->cluster);
    if (span_is(conf->tcp->tunnel_to, CONF_TUNNEL_TO_ORIGINAL)) {
        char *text = arena_bytes(&s->texts, ADDR_TEXT_BYTES);
        s->tunnel_to = span_of(addr_format(&s->original_dst, text));
    } else {
        s->tunnel_to = arena_dup(&s->texts, conf->tcp->tunnel_to);
    }
    s->idle_ms = conf->tcp->idle_ms;
    s->hash_source_ip = conf->tcp->hash_source_ip;
    if (conf->tcp->max_connection_ms > 0) {
        deadline_arm(&s->age, s->loop, conf->tcp->max_connection_ms);
    }
    s->attempts_left = conf->tcp->connect_attempts > 0 ? conf->tcp->connect_attempts : 1;
    try_next(s);
}

/* While there is no upstream nothing is watched: the client's bytes wait in the kernel. */
static void on_early(void *arg, unsigned events)
{
    UNUSED(arg);
    UNUSED(events);
}

void session_tcp_start_take(const struct session_start *start)
{
    struct downstream *ds = start->entry->ds;
    struct entry_chain *chain = entry_chain_at(start->entry, start->chain_index);
    struct session_tcp *s = mem_new(struct session_tcp);
    session_init(&s->base, start->entry, start->chain_index, start->ticket);
    s->base.on_rebind = on_rebind;
    s->base.drain = drain;
    s->base.close = close_now;
    s->loop = ds->loop;
    s->upstream = &ds->upstream;
    s->io = start->io;
    s->tls = who_peer(start->io) != NULL;
    s->peer = start->io->peer;
    s->local = start->io->local;
    s->original_dst = start->original_dst;
    s->redirected = start->redirected;
    s->direct_ip = start->direct_ip;
    s->direct_port = start->direct_port;
    s->direction = start->entry->conf->direction;
    s->start_us = instant_wall_us();
    s->start_ns = loop_now_ns(ds->loop);
    deadline_init(&s->report, on_report);
    deadline_init(&s->age, on_age);
    arena_init(&s->texts, 512);
    buf_init(&s->first, 4 * LOOP_READ_BYTES);
    int code = buf_append_span(&s->first, start->first_bytes);
    UNUSED(code); /* sniffing holds less than that */
    who_read(&s->who, start->io, start->sni, chain->tls.local_uri, &s->texts);
    s->log_count = chain->log_count;
    memcpy(s->logs, chain->logs, sizeof(s->logs));
    s->io = exchange_on(s, s->io, &s->awaits_down, on_down_peer);
    io_set_owner(s->io, on_early, s);
    io_watch(s->io, 0);
    begin(s, chain->conf);
}
