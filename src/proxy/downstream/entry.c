/* Listeners of one worker: see entry.h. */
#include "proxy/downstream/entry.h"

#include "base/log.h"
#include "base/mem.h"
#include "proxy/downstream/arrival.h"
#include "proxy/downstream/chain.h"
#include "proxy/downstream/session.h"
#include "proxy/downstream/udp_session.h"

/* ---- chains ---- */

static void chain_dispose(struct entry_chain *c)
{
    tls_bind_dispose(&c->tls);
}

static const struct conf_access_log *logs_of(const struct conf_chain *conf, size_t *count)
{
    *count = conf->http ? conf->http->log_count : conf->tcp ? conf->tcp->log_count : 0;
    return conf->http ? conf->http->logs : conf->tcp ? conf->tcp->logs : NULL;
}

static void bind_logs(struct entry *e, struct entry_chain *c)
{
    size_t count;
    const struct conf_access_log *logs = logs_of(c->conf, &count);
    c->log_count = 0;
    for (size_t i = 0; i < count && c->log_count < REQUEST_LOGS_MAX; i++) {
        struct access_log *log = access_logs_get(e->ds->logs, &logs[i]);
        if (log != NULL) {
            c->logs[c->log_count++] = log;
        }
    }
}

static enum tls_bind_change chain_update(struct entry *e, struct entry_chain *c,
                                         const struct conf_chain *conf)
{
    bool changed = c->conf != conf;
    c->conf = conf;
    enum tls_bind_change change = tls_bind_update(&c->tls, conf->tls, e->ds->view->snapshot);
    if (changed) {
        bind_logs(e, c);
        if (conf->http != NULL) {
            stats_http_bind(e->ds->upstream.stats, conf->http->stat_prefix, &c->stats);
        }
    }
    return change;
}

static const struct conf_chain *conf_at(const struct conf_listener *conf, size_t i)
{
    return i < conf->chain_count ? &conf->chains[i] : conf->default_chain;
}

static int index_of(const struct conf_listener *conf, size_t i)
{
    return i < conf->chain_count ? (int)i : CHAIN_DEFAULT;
}

static struct entry_chain *chain_in(const struct entry *e, int index)
{
    size_t i = index == CHAIN_DEFAULT ? e->chain_count - 1 : (size_t)index;
    return index == CHAIN_NONE || i >= e->chain_count ? NULL : &e->chains[i];
}

struct entry_chain *entry_chain_at(struct entry *e, int index)
{
    return chain_in(e, index);
}

/* A connection's chain in the new configuration: by name, or by place where it has none. */
static int find_again(const struct conf_listener *conf, struct span name, int index)
{
    if (conf == NULL) {
        return CHAIN_NONE;
    }
    if (name.len == 0) {
        return chain_at(conf, index) != NULL ? index : CHAIN_NONE;
    }
    size_t count = conf->chain_count + (conf->default_chain != NULL);
    for (size_t i = 0; i < count; i++) {
        if (span_eq(conf_at(conf, i)->name, name)) {
            return index_of(conf, i);
        }
    }
    return CHAIN_NONE;
}

/* ---- updates ---- */

/* `old`: the chains before, still whole, in which the connections' places are. */
static void rebind_all(struct entry *e, const struct entry *old)
{
    LIST_EACH(early, next_early, &e->arrivals) {
        struct arrival *a = list_item(early, struct arrival, node);
        arrival_rebind(a, find_again(e->conf, a->chain_name, a->chain_index));
    }
    LIST_EACH(node, next, &e->sessions) {
        struct session *s = list_item(node, struct session, node);
        const struct entry_chain *was = chain_in(old, s->chain_index);
        s->chain_index = find_again(e->conf, s->chain_name, s->chain_index);
        struct entry_chain *now = entry_chain_at(e, s->chain_index);
        bool must_end = was != NULL && now != NULL && !tls_bind_keeps(&was->tls, &now->tls);
        s->on_rebind(s, must_end ? NULL : now, must_end);
    }
}

/* Its trust has changed: who proved itself to the old one goes, and who is about to begins anew. */
static void drain_chain(struct entry *e, const struct entry_chain *c)
{
    LIST_EACH(early, next_early, &e->arrivals) {
        struct arrival *a = list_item(early, struct arrival, node);
        if (arrival_has_chain(a) && entry_chain_at(e, a->chain_index) == c) {
            arrival_close(a);
        }
    }
    LIST_EACH(node, next, &e->sessions) {
        struct session *s = list_item(node, struct session, node);
        if (entry_chain_at(e, s->chain_index) == c) {
            s->on_rebind(s, NULL, true);
        }
    }
}

/* The same configuration object, but maybe new secrets behind it. */
static void refresh_chains(struct entry *e)
{
    for (size_t i = 0; i < e->chain_count; i++) {
        struct entry_chain *c = &e->chains[i];
        bool had = c->tls.ctx != NULL;
        if (chain_update(e, c, c->conf) == TLS_BIND_TRUST && had) {
            drain_chain(e, c);
        }
    }
}

static void dispose_chains(const struct entry *e)
{
    for (size_t i = 0; i < e->chain_count; i++) {
        chain_dispose(&e->chains[i]);
    }
    mem_free(e->chains);
}

static void make_chains(struct entry *e, const struct conf_listener *conf)
{
    size_t count = conf->chain_count + (conf->default_chain != NULL);
    e->chains = count > 0 ? mem_zalloc(count * sizeof(*e->chains)) : NULL;
    e->chain_count = count;
    for (size_t i = 0; i < count; i++) {
        chain_update(e, &e->chains[i], conf_at(conf, i));
    }
}

/* Who is told nothing but that the connection ends: there is no room for it. */
static void turn_away_take(struct entry *e, struct io *io, struct metric_series *counter,
                           const char *why)
{
    struct downstream *ds = e->ds;
    uint32_t dropped;
    metric_add(counter, 1);
    if (log_limit_allows(&ds->turned_away, loop_now_ms(ds->loop), &dropped)) {
        char peer[ADDR_TEXT_BYTES];
        log_warn("proxy", "MESH4080 connection refused: %s peer=%s more=%u", why,
                 addr_format(&io->peer, peer), dropped);
    }
    io_close(io);
}

static void on_accept(void *arg, struct io *io)
{
    struct entry *e = arg;
    struct stats_listener *stats = &e->stats;
    uint64_t ticket = 0;
    if (e->conf->ignore_overload) { /* Listener.bypass_overload_manager, ignore_global_conn_limit */
        metric_add(stats->downstream_cx_total, 1);
        arrival_start_take(e, io);
        return;
    }
    if (e->ds->refusing) {
        turn_away_take(e, io, stats->downstream_cx_overload_reject, "the proxy is overloaded");
        return;
    }
    const struct ip *peer = io->peer.kind == ADDR_IP ? &io->peer.ip : NULL;
    switch (shared_enter(e->ds->upstream.shared, peer, &ticket)) {
    case SHARED_FULL:
        turn_away_take(e, io, stats->downstream_global_cx_overflow, "--max-connections");
        return;
    case SHARED_PEER_FULL:
        turn_away_take(e, io, stats->downstream_cx_peer_overflow, "--max-connections-per-peer");
        return;
    case SHARED_ENTERED:
        break;
    }
    metric_add(stats->downstream_cx_total, 1);
    arrival_counted_take(e, io, ticket);
}

static struct listener *open_listener(struct entry *e, const struct addr *addr)
{
    struct listener *l = NULL;
    struct listener_spec spec = {
        .addr = *addr,
        .reuse_port = e->conf->reuse_port && e->ds->reuse_port,
        .transparent = e->conf->transparent,
    };
    struct err err;
    err_clear(&err);
    if (listener_open(&l, e->ds->loop, &spec, on_accept, e, &err) != 0) {
        l = NULL;
        err_prefix(&err, "listener '%.*s'", SPAN_ARG(e->name));
        e->ds->on_listen_fail(e->ds->arg, e->name, &err);
    }
    return l;
}

static void open_udp(struct entry *e)
{
    struct err err;
    err_clear(&err);
    e->udp = udp_session_listen(e, &err);
    if (e->udp == NULL) {
        err_prefix(&err, "listener '%.*s'", SPAN_ARG(e->name));
        e->ds->on_listen_fail(e->ds->arg, e->name, &err);
    }
}

static void open_listeners(struct entry *e)
{
    if (e->conf->udp != NULL) {
        open_udp(e);
        return;
    }
    e->listener_count = 1 + e->conf->more_addr_count;
    e->listeners = mem_array(e->listener_count, sizeof(struct listener *));
    e->listeners[0] = open_listener(e, &e->conf->addr);
    for (size_t i = 0; i < e->conf->more_addr_count; i++) {
        e->listeners[1 + i] = open_listener(e, &e->conf->more_addrs[i]);
    }
}

static bool has_moved(const struct conf_listener *a, const struct conf_listener *b)
{
    if (a == NULL || !addr_eq(&a->addr, &b->addr) || a->bind != b->bind ||
        a->more_addr_count != b->more_addr_count || (a->udp != NULL) != (b->udp != NULL)) {
        return true;
    }
    for (size_t i = 0; i < a->more_addr_count; i++) {
        if (!addr_eq(&a->more_addrs[i], &b->more_addrs[i])) {
            return true;
        }
    }
    return false;
}

void entry_stop(struct entry *e)
{
    udp_session_stop(e->udp);
    e->udp = NULL;
    for (size_t i = 0; i < e->listener_count; i++) {
        listener_close(e->listeners[i]);
    }
    mem_free(e->listeners);
    e->listeners = NULL;
    e->listener_count = 0;
}

void entry_update(struct entry *e, const struct conf_listener *conf)
{
    if (conf == NULL) {
        e->ds->by_addr_is_old = true;
        const struct entry old = *e;
        e->conf = NULL;
        entry_stop(e);
        rebind_all(e, &old);
        return;
    }
    if (e->conf == conf) {
        refresh_chains(e);
        return;
    }
    e->ds->by_addr_is_old = true;
    bool moved = has_moved(e->conf, conf);
    const struct entry old = *e;
    e->conf = conf;
    make_chains(e, conf);
    if (moved) {
        entry_stop(e);
    }
    if (e->listener_count == 0 && e->udp == NULL && conf->bind && !e->ds->draining) {
        open_listeners(e);
    }
    rebind_all(e, &old);
    dispose_chains(&old);
}

struct entry *entry_new(struct downstream *ds, const struct conf_listener *conf)
{
    struct entry *e = mem_new(struct entry);
    e->ds = ds;
    e->name =
        (struct span){mem_strndup(conf->conf.name.at, conf->conf.name.len), conf->conf.name.len};
    list_init(&e->arrivals);
    list_init(&e->sessions);
    char text[ADDR_TEXT_BYTES];
    /* Learned listeners come and go with what an application visits: they share their numbers. */
    bool is_learned = !conf->bind && !conf->internal && ds->asks != NULL;
    struct span label = is_learned       ? SPAN("learned")
                        : conf->internal ? conf->conf.name
                                         : span_of(addr_format(&conf->addr, text));
    stats_listener_bind(ds->upstream.stats, label, &e->stats);
    list_push_back(&ds->entries, &e->node);
    (void)map_put(&ds->by_name, e->name, e); /* names are unique */
    entry_update(e, conf);
    return e;
}

void entry_drain(struct entry *e)
{
    LIST_EACH(node, next, &e->sessions) {
        struct session *s = list_item(node, struct session, node);
        s->drain(s);
    }
}

size_t entry_shed(struct entry *e, size_t most)
{
    size_t count = 0;
    LIST_EACH(early, next_early, &e->arrivals) {
        if (count == most) {
            return count;
        }
        arrival_close(list_item(early, struct arrival, node));
        count++;
    }
    LIST_EACH(node, next, &e->sessions) {
        struct session *s = list_item(node, struct session, node);
        if (count == most) {
            break;
        }
        if (s->is_idle != NULL && s->is_idle(s)) {
            s->drain(s);
            count++;
        }
    }
    return count;
}

void entry_close(struct entry *e)
{
    LIST_EACH(node, next, &e->arrivals) {
        arrival_close(list_item(node, struct arrival, node));
    }
    LIST_EACH(busy, next_busy, &e->sessions) {
        struct session *s = list_item(busy, struct session, node);
        s->close(s);
    }
}

void entry_free(struct entry *e)
{
    ASSERT(entry_is_empty(e));
    entry_stop(e);
    dispose_chains(e);
    list_remove(&e->node);
    (void)map_remove(&e->ds->by_name, e->name); /* it is there */
    e->ds->by_addr_is_old = true;
    mem_free((void *)(uintptr_t)e->name.at);
    mem_free(e);
}

bool entry_is_empty(const struct entry *e)
{
    return list_is_empty(&e->arrivals) && list_is_empty(&e->sessions);
}

/* ---- by address ---- */

static struct span key_of(const struct ip *ip, uint16_t port, char to[ENTRY_KEY_BYTES])
{
    memcpy(to, ip, sizeof(*ip));
    memcpy(to + sizeof(*ip), &port, sizeof(port));
    return span_from(to, ENTRY_KEY_BYTES);
}

/* Of several for one address the first counts; of those for any address the last. */
static void add_addr(struct downstream *ds, struct entry *e)
{
    if (e->conf == NULL || e->conf->addr.kind != ADDR_IP || e->conf->udp != NULL) {
        return;
    }
    static const struct ip any;
    bool is_any = ip_is_unspecified(&e->conf->addr.ip);
    struct span key = key_of(is_any ? &any : &e->conf->addr.ip, e->conf->addr.port, e->addr_key);
    if (is_any ? !e->conf->use_original_dst : map_get(&ds->by_addr, key) == NULL) {
        (void)map_put(&ds->by_addr, key, e); /* its key is replaced, too */
    }
}

struct entry *entry_find(struct downstream *ds, const struct addr *dst)
{
    if (ds->by_addr_is_old) {
        map_reset(&ds->by_addr);
        LIST_EACH(node, next, &ds->entries) {
            add_addr(ds, list_item(node, struct entry, node));
        }
        ds->by_addr_is_old = false;
    }
    static const struct ip any;
    char key[ENTRY_KEY_BYTES];
    struct entry *e = map_get(&ds->by_addr, key_of(&dst->ip, dst->port, key));
    return e != NULL ? e : map_get(&ds->by_addr, key_of(&any, dst->port, key));
}

void entry_init(struct downstream *ds)
{
    list_init(&ds->entries);
    map_init(&ds->by_name);
    map_init(&ds->by_addr);
}

void entry_dispose(struct downstream *ds)
{
    map_dispose(&ds->by_name);
    map_dispose(&ds->by_addr);
}
