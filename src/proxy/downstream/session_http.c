/* A downstream HTTP connection: see session_http.h. */
#include "proxy/downstream/session_http.h"

#include "base/mem.h"
#include "http/io_tunnel.h"
#include "proxy/downstream/arrival.h"
#include "proxy/downstream/who.h"
#include "tls/io_tls.h"

/* A client that ends its side has gone, as a rule, and what it asked for should stop; Envoy cancels at once. The
 * short grace is for those that half-close after their request. */
#define HALF_CLOSE_MS 100
#define TEXT_BYTES 256 /* identity texts of a plain connection are few */

struct session_http {
    struct session base;
    struct http_conn *conn;
    const struct conf_http *http; /* of the current snapshot, or of `last` */
    struct view *last; /* held once the chain has gone, for what still comes while draining */
    struct http_limits limits;
    struct request_place place;
    struct request_edges edges;
    struct stats_http stats; /* copied: outlives the chain */
    struct who who;
    struct arena texts;
    enum limit told;        /* counted already */
    struct deadline age;    /* max_connection_duration */
    bool tls;               /* the connection itself */
    bool has_tunnels;       /* some of its exchanges became connections */
    char first[TEXT_BYTES]; /* of `texts` */
};

static void session_free(void *obj)
{
    struct session_http *s = obj;
    arena_dispose(&s->texts);
    mem_free(s);
}

static void use_chain(struct session_http *s, struct entry_chain *chain)
{
    s->http = chain->conf->http;
    s->stats = chain->stats;
    s->place.log_count = chain->log_count;
    memcpy(s->place.logs, chain->logs, sizeof(s->place.logs));
}

static void on_rebind(struct session *base, struct entry_chain *chain, bool must_end)
{
    struct session_http *s = container_of(base, struct session_http, base);
    struct downstream *ds = base->entry->ds;
    if (must_end && s->has_tunnels) { /* they would go on without end under the old rules */
        http_conn_close(s->conn);
        return;
    }
    if (s->last != NULL) {
        return; /* draining already */
    }
    if (chain != NULL && chain->conf->http != NULL && (chain->conf->tls != NULL) == s->tls) {
        use_chain(s, chain);
        return;
    }
    if (s->last == NULL && ds->before != NULL) {
        s->last = ds->before;
        view_get(s->last);
    }
    http_conn_drain(s->conn);
}

static void drain(struct session *base)
{
    http_conn_drain(container_of(base, struct session_http, base)->conn);
}

static void close_now(struct session *base)
{
    http_conn_close(container_of(base, struct session_http, base)->conn);
}

static bool is_idle(const struct session *base)
{
    return http_conn_is_idle(container_of(base, const struct session_http, base)->conn);
}

static void on_open(void *arg, struct http_stream *stream, const struct http_stream_events **ev,
                    void **stream_arg)
{
    struct session_http *s = arg;
    struct downstream *ds = s->base.entry->ds;
    *ev = &request_events;
    *stream_arg = request_new(&s->place, stream, s->http, s->last ? s->last : ds->view);
    if (ds->draining || ds->ends_soon || (s->tls && io_tls_is_worn(http_conn_io(s->conn)))) {
        http_conn_drain(s->conn);
    }
}

/* Cold: the number is looked up. */
static void count_limit(struct session_http *s, enum limit broken)
{
    if (broken != LIMIT_NONE) {
        stats_limit(s->base.entry->ds->upstream.stats, s->http->stat_prefix, broken);
    }
}

static void on_bad(void *arg, unsigned status, const char *why)
{
    struct session_http *s = arg;
    UNUSED(status);
    UNUSED(why);
    enum limit broken = http_conn_broke(s->conn);
    if (broken == LIMIT_NONE) {
        metric_add(s->stats.downstream_cx_protocol_error, 1);
        return;
    }
    count_limit(s, broken); /* now: of an HTTP/2 connection it may be one request of many */
    s->told = broken;
}

static void on_gone(void *arg, enum http_reset why)
{
    struct session_http *s = arg;
    UNUSED(why);
    if (http_conn_broke(s->conn) != s->told) {
        count_limit(s, http_conn_broke(s->conn));
    }
    if (s->limits.requests > 0 && http_conn_served(s->conn) >= s->limits.requests) {
        count_limit(s, LIMIT_requests);
    }
    metric_gauge_add(s->stats.downstream_cx_active, -1);
    deadline_disarm(&s->age);
    if (s->last != NULL) {
        view_put(s->last);
    }
    session_dispose(&s->base);
    loop_bury(s->place.loop, session_free, s);
}

static const struct http_conn_events conn_events = {
    .on_open = on_open, .on_bad = on_bad, .on_gone = on_gone};

static void on_age(struct deadline *d)
{
    struct session_http *s = container_of(d, struct session_http, age);
    count_limit(s, LIMIT_connection_ms);
    http_conn_drain(s->conn);
}

static void newest(const struct request_place *p, const struct conf_http **conf, struct view **view)
{
    struct session_http *s = container_of(p, struct session_http, place);
    *conf = s->http;
    *view = s->last != NULL ? s->last : s->base.entry->ds->view;
}

/* ---- exchanges that become connections ---- */

/* A sidecar is no open proxy: what comes in by a tunnel is for the address at which it came. */
static struct entry *inner(const struct request_place *p, struct span listener,
                           const struct addr *dst, struct span *why)
{
    const struct session_http *s = container_of(p, const struct session_http, place);
    struct downstream *ds = s->base.entry->ds;
    struct entry *e = map_get(&ds->by_name, listener);
    if (e == NULL || e->conf == NULL || !e->conf->internal || ds->draining) {
        *why = SPAN("internal_listener_not_found");
        return NULL;
    }
    bool is_own = (p->local.kind == ADDR_IP && ip_eq(&p->local.ip, &dst->ip)) ||
                  (p->redirected && ip_eq(&p->original_dst.ip, &dst->ip));
    if (e->conf->direction == CONF_INBOUND && !is_own) {
        *why = SPAN("tunnel_destination_is_not_ours");
        return NULL;
    }
    return e;
}

static void enter_take(const struct request_place *p, struct entry *e, struct http_stream *stream,
                       const struct addr *dst)
{
    struct session_http *s = container_of((uintptr_t)p, struct session_http, place);
    s->has_tunnels = true;
    metric_add(e->stats.downstream_cx_total, 1);
    arrival_start_take(e, io_tunnel_take(stream, &p->peer, dst));
}

static void fill_limits(struct http_limits *limits, const struct conf_http *conf)
{
    *limits = limits_default;
    limits->idle_ms = conf->idle_ms;
    limits->half_close_ms = HALF_CLOSE_MS;
    if (conf->request_head_ms > 0) {
        limits->head_ms = conf->request_head_ms;
    }
    if (conf->max_request_headers_kb > 0) {
        limits->head_bytes = conf->max_request_headers_kb * 1024;
        limits->uri_bytes = limits->head_bytes;
        limits->trailer_bytes = limits->head_bytes;
    }
    if (conf->max_headers > 0) {
        limits->fields = conf->max_headers;
        limits->trailer_fields = conf->max_headers;
    }
    if (conf->max_streams > 0) {
        limits->streams = conf->max_streams;
    }
    limits->requests = conf->max_requests_per_connection;
}

static struct span ip_text(const struct ip *ip, struct arena *arena)
{
    char text[IP_TEXT_BYTES];
    ip_format(ip, text);
    return arena_dup(arena, span_of(text));
}

static void fill_place(struct session_http *s, const struct session_start *start)
{
    struct downstream *ds = start->entry->ds;
    s->tls = io_is_tls(start->io);
    s->place = (struct request_place){
        .loop = ds->loop,
        .upstream = &ds->upstream,
        .today = &ds->today,
        .stats = &s->stats,
        .cluster_at = ds->cluster_at,
        .cluster_named = ds->cluster_named,
        .arg = ds->arg,
        .asks = ds->asks,
        .newest = newest,
        .inner = inner,
        .enter_take = enter_take,
        .direction = start->entry->conf->direction,
        .edges = &s->edges,
        .peer_labels = &s->who.labels,
        .scheme = s->tls ? SPAN("https") : SPAN("http"),
        .peer = start->io->peer,
        .peer_text = ip_text(&start->io->peer.ip, &s->texts),
        .local = start->io->local,
        .original_dst = start->original_dst,
        .redirected = start->redirected,
        .principal = s->who.principal,
        .peer_uri = s->who.uri,
        .local_uri = s->who.local_uri,
        .sni = s->who.sni,
        .tls = who_peer(start->io) != NULL,
        .direct_ip = start->direct_ip,
        .direct_port = start->direct_port,
    };
}

void session_http_start_take(const struct session_start *start)
{
    struct downstream *ds = start->entry->ds;
    struct entry_chain *chain = entry_chain_at(start->entry, start->chain_index);
    struct session_http *s = mem_new(struct session_http);
    session_init(&s->base, start->entry, start->chain_index, start->ticket);
    s->base.on_rebind = on_rebind;
    s->base.drain = drain;
    s->base.close = close_now;
    s->base.is_idle = is_idle;
    arena_init_in(&s->texts, s->first, sizeof(s->first), 1024);
    who_read(&s->who, start->io, start->sni, chain->tls.local_uri, &s->texts);
    fill_place(s, start);
    s->place.client_cert = who_client_cert(&s->who, start->io, chain->conf->http, &s->texts);
    use_chain(s, chain);
    fill_limits(&s->limits, chain->conf->http);
    deadline_init(&s->age, on_age);
    if (chain->conf->http->max_connection_ms > 0) {
        deadline_arm(&s->age, ds->loop, chain->conf->http->max_connection_ms);
    }
    metric_add(s->stats.downstream_cx_total, 1);
    metric_add(start->proto == HTTP_PROTO_2 ? s->stats.downstream_cx_http2_total
                                            : s->stats.downstream_cx_http1_total,
               1);
    metric_gauge_add(s->stats.downstream_cx_active, 1);
    struct http_conn_spec spec = {
        .io = start->io,
        .proto = start->proto,
        .server = true,
        .first_bytes = start->first_bytes,
        .limits = &s->limits,
        .events = &conn_events,
        .arg = s,
        .scheme = s->place.scheme,
    };
    s->conn = http_conn_new_take(ds->loop, &spec);
}
