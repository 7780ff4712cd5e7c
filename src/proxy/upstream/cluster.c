/* A set of endpoints in one worker: see cluster.h. */
#include "proxy/upstream/cluster.h"

#include "base/mem.h"
#include "proxy/upstream/lb.h"
#include "proxy/upstream/outlier.h"

#define DYNAMIC_MAX 10000     /* endpoints made on demand per cluster (ORIGINAL_DST) */
#define DYNAMIC_IDLE_MS 60000 /* unused for so long, one goes */

static struct span dup(struct cluster *c, struct span s)
{
    return arena_dup(&c->texts, s);
}

static void copy_settings(struct cluster *c, const struct conf_cluster *conf)
{
    c->discovery = conf->discovery;
    c->lb = conf->lb;
    c->choices = conf->choices;
    c->panic_percent = conf->panic_percent;
    c->hash = conf->hash;
    c->http2 = conf->http2;
    c->use_downstream_protocol = conf->use_downstream_protocol;
    c->alpn_auto = conf->alpn_auto;
    c->connect_ms = conf->connect_ms;
    c->idle_ms = conf->idle_ms;
    c->max_connection_ms = conf->max_connection_ms;
    c->max_requests_per_connection = conf->max_requests_per_connection;
    c->max_streams = conf->max_streams;
    c->locality_weighted = conf->locality_weighted;
    c->close_on_change = conf->close_on_change;
    c->port_override = (uint16_t)conf->upstream_port;
    c->limits[0] = conf->limits[0];
    c->limits[1] = conf->limits[1];
    c->outlier = conf->outlier;
    c->has_keepalive = conf->keepalive != NULL;
    if (conf->keepalive != NULL) {
        c->keepalive = *conf->keepalive;
    }
    c->bind_from = conf->bind_from;
    c->proxy_version = conf->proxy_version;
    c->http_limits = limits_default;
    c->http_limits.idle_ms = conf->idle_ms;
    if (conf->max_streams > 0) {
        c->http_limits.streams = conf->max_streams;
    }
    arena_reset(&c->texts);
    c->service = (struct stats_service){
        .host = dup(c, conf->service_host),
        .name = dup(c, conf->service_name),
        .service_namespace = dup(c, conf->service_namespace),
    };
}

struct cluster *cluster_new(struct upstream *up, const struct conf_cluster *conf)
{
    struct cluster *c = mem_new(struct cluster);
    c->up = up;
    c->refs = 1;
    c->slot = conf->slot;
    c->name =
        (struct span){mem_strndup(conf->conf.name.at, conf->conf.name.len), conf->conf.name.len};
    arena_init(&c->texts, 128);
    map_init(&c->by_addr);
    deadline_init(&c->outlier_look, outlier_look);
    c->shared = shared_cluster_get(up->shared, conf->slot);
    ASSERT(c->shared != NULL); /* ingest bounds the number of slots */
    stats_cluster_bind(up->stats, c->name, &c->stats);
    return c;
}

/* ---- transports ---- */

static bool labels_hold(const struct conf_tls_match *m, const struct conf_endpoint *e)
{
    for (size_t i = 0; i < m->label_count; i++) {
        const struct header *have = header_find(e->labels, e->label_count, m->labels[i].name);
        if (have == NULL || !span_eq(have->value, m->labels[i].value)) {
            return false;
        }
    }
    return true;
}

/* Envoy Cluster.transport_socket_matches: the first whose labels all hold; else the cluster's own. */
static struct tls_bind *transport_for(struct cluster *c, const struct conf_endpoint *e)
{
    for (size_t i = 0; i < c->match_count; i++) {
        const struct conf_tls_match *m = &c->conf->tls_matches[i];
        if (labels_hold(m, e)) {
            return m->tls != NULL ? &c->match_tls[i] : NULL;
        }
    }
    return c->conf->tls != NULL ? &c->tls : NULL;
}

/* Returns whether anything that connections were built on has changed. */
static bool update_transports(struct cluster *c, const struct snapshot *s,
                              const struct conf_cluster *conf)
{
    bool changed = tls_bind_update(&c->tls, conf->tls, s) == TLS_BIND_TRUST;
    if (c->match_count != conf->tls_match_count) {
        for (size_t i = 0; i < c->match_count; i++) {
            tls_bind_dispose(&c->match_tls[i]);
        }
        mem_free(c->match_tls);
        c->match_count = conf->tls_match_count;
        c->match_tls =
            c->match_count > 0 ? mem_zalloc(c->match_count * sizeof(*c->match_tls)) : NULL;
        changed = true;
    }
    for (size_t i = 0; i < c->match_count; i++) {
        changed =
            tls_bind_update(&c->match_tls[i], conf->tls_matches[i].tls, s) == TLS_BIND_TRUST ||
            changed;
    }
    return changed;
}

bool cluster_tls_missing(const struct cluster *c, const struct endpoint *e)
{
    UNUSED(c);
    return e->tls != NULL && e->tls->ctx == NULL;
}

/* ---- endpoints ---- */

static struct endpoint *find_endpoint(struct cluster *c, size_t hint, const struct addr *addr)
{
    if (hint < c->endpoint_count && c->endpoints[hint] &&
        addr_eq(&c->endpoints[hint]->addr, addr)) {
        return c->endpoints[hint]; /* the usual case: the order did not change */
    }
    for (size_t i = 0; i < c->endpoint_count; i++) {
        if (c->endpoints[i] != NULL && addr_eq(&c->endpoints[i]->addr, addr)) {
            return c->endpoints[i];
        }
    }
    return NULL;
}

static void forget_endpoint(struct cluster *c, struct endpoint *e)
{
    for (size_t i = 0; i < c->endpoint_count; i++) {
        if (c->endpoints[i] == e) {
            c->endpoints[i] = NULL;
        }
    }
}

static void drain_endpoint(struct endpoint *e)
{
    for (unsigned i = 0; i < HTTP_PROTO_COUNT; i++) {
        pool_drain(&e->pools[i]);
    }
}

/* New list from the configuration; endpoints with the same address keep their pools and load. */
static void replace_endpoints(struct cluster *c, const struct conf_endpoints *conf, bool drain)
{
    size_t count = conf ? conf->count : 0;
    struct endpoint **fresh = count > 0 ? mem_zalloc(count * sizeof(*fresh)) : NULL;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const struct conf_endpoint *item = &conf->items[i];
        if (item->addr.kind == ADDR_NONE) {
            continue; /* its name is not resolved yet */
        }
        struct endpoint *e = find_endpoint(c, kept, &item->addr);
        bool rerouted = e != NULL && !span_eq(e->tunnel, item->tunnel);
        if (e != NULL) {
            forget_endpoint(c, e);
            endpoint_update(e, item);
        } else {
            e = endpoint_new(c, item);
        }
        struct tls_bind *tls = transport_for(c, item);
        if (e->tls != tls || drain || rerouted || c->close_on_change) {
            drain_endpoint(e);
        }
        e->tls = tls;
        fresh[kept++] = e;
    }
    for (size_t i = 0; i < c->endpoint_count; i++) {
        if (c->endpoints[i] != NULL) {
            if (c->endpoints[i]->ejected) {
                metric_gauge_add(c->stats.outlier_detection_ejections_active, -1);
            }
            endpoint_remove(c->endpoints[i]);
            endpoint_put(c->endpoints[i]);
        }
    }
    mem_free(c->endpoints);
    c->endpoints = fresh;
    c->endpoint_count = kept;
}

static bool may_be_picked(const struct endpoint *e)
{
    return e->usable && !e->ejected;
}

/* The endpoints that may be picked: those of the lowest priority that has healthy ones; when fewer than
 * panic_percent of all are healthy, everybody (Envoy CommonLbConfig.healthy_panic_threshold). */
static void rebuild_eligible(struct cluster *c)
{
    size_t healthy = 0;
    uint32_t best = UINT32_MAX;
    for (size_t i = 0; i < c->endpoint_count; i++) {
        if (may_be_picked(c->endpoints[i])) {
            healthy++;
            best = c->endpoints[i]->priority < best ? c->endpoints[i]->priority : best;
        }
    }
    c->panic =
        c->endpoint_count > 0 && healthy * 100 < (size_t)c->panic_percent * c->endpoint_count;
    mem_free(c->lb_table); /* made anew when somebody picks */
    c->lb_table = NULL;
    mem_free(c->eligible);
    c->eligible = c->endpoint_count > 0 ? mem_array(c->endpoint_count, sizeof(*c->eligible)) : NULL;
    c->eligible_count = 0;
    c->weighted = false;
    for (size_t i = 0; i < c->endpoint_count; i++) {
        struct endpoint *e = c->endpoints[i];
        if (c->panic || (may_be_picked(e) && e->priority == best)) {
            c->eligible[c->eligible_count++] = e;
            c->weighted = c->weighted || e->weight != c->eligible[0]->weight;
        }
    }
    metric_gauge_set(c->stats.membership_total, (int64_t)c->endpoint_count);
    metric_gauge_set(c->stats.membership_healthy, (int64_t)healthy);
}

void cluster_health_changed(struct cluster *c)
{
    rebuild_eligible(c);
}

static void drop_dynamic(struct cluster *c, bool all)
{
    int64_t now = loop_now_ms(c->up->loop);
    for (struct map_slot *s = NULL; (s = map_next(&c->by_addr, s)) != NULL;) {
        struct endpoint *e = s->value;
        if (all || (e->active == 0 && now - e->last_used_ms > DYNAMIC_IDLE_MS)) {
            map_remove(&c->by_addr, s->key);
            endpoint_remove(e);
            endpoint_put(e);
        }
    }
}

void cluster_update(struct cluster *c, const struct snapshot *s, const struct conf_cluster *conf,
                    const struct conf_endpoints *endpoints)
{
    if (conf == NULL) {
        c->gone = true;
        c->conf = NULL;
        c->conf_endpoints = NULL;
        outlier_update(c);
        replace_endpoints(c, NULL, false);
        rebuild_eligible(c);
        drop_dynamic(c, true);
        return;
    }
    bool settings_changed = c->conf != conf;
    c->gone = false;
    c->conf = conf;
    if (settings_changed) {
        copy_settings(c, conf);
        outlier_update(c);
    }
    bool drain = update_transports(c, s, conf);
    if (settings_changed || drain || c->conf_endpoints != endpoints) {
        c->conf_endpoints = endpoints;
        replace_endpoints(c, endpoints, drain);
        rebuild_eligible(c);
    }
    if (drain) {
        drop_dynamic(c, true);
    }
}

/* ---- picking ---- */

static void dynamic_key(const struct addr *a, char to[DYNAMIC_KEY_BYTES])
{
    to[0] = (char)a->ip.family;
    memcpy(to + 1, a->ip.bytes, sizeof(a->ip.bytes));
    memcpy(to + 1 + sizeof(a->ip.bytes), &a->port, sizeof(a->port));
}

static struct endpoint *pick_original(struct cluster *c, const struct addr *dst)
{
    if (dst == NULL || dst->kind != ADDR_IP) {
        return NULL;
    }
    struct addr target = *dst;
    target.port = c->port_override > 0 ? c->port_override : dst->port;
    char key[DYNAMIC_KEY_BYTES];
    dynamic_key(&target, key);
    struct endpoint *e = map_get(&c->by_addr, span_from(key, sizeof(key)));
    if (e == NULL) {
        if (map_count(&c->by_addr) >= DYNAMIC_MAX) {
            drop_dynamic(c, false);
        }
        if (map_count(&c->by_addr) >= DYNAMIC_MAX || c->conf == NULL) {
            return NULL;
        }
        struct conf_endpoint item = {.addr = target, .weight = 1, .health = CONF_HEALTHY};
        e = endpoint_new(c, &item);
        e->tls = transport_for(c, &item);
        memcpy(e->dynamic_key, key, sizeof(key));
        map_put(&c->by_addr, span_from(e->dynamic_key, sizeof(e->dynamic_key)), e);
    }
    e->last_used_ms = loop_now_ms(c->up->loop);
    return e;
}

struct endpoint *cluster_pick(struct cluster *c, const struct cluster_want *want)
{
    if (c->discovery == CONF_ORIGINAL_DST) {
        return pick_original(c, want->original_dst);
    }
    if (c->eligible_count == 0) {
        metric_add(c->stats.upstream_cx_none_healthy, 1);
        return NULL;
    }
    if (c->panic) {
        metric_add(c->stats.lb_healthy_panic, 1);
    }
    const struct lb_ops *lb = lb_ops_of(c->lb);
    struct endpoint *e = lb->pick(c, want, 0);
    uint32_t tries = want->tries > 0 ? want->tries : 1;
    for (uint32_t i = 0; e == want->avoid && c->eligible_count > 1 && i < tries; i++) {
        e = lb->pick(c, want, i + 1);
    }
    return e;
}

/* ---- life ---- */

void cluster_get(struct cluster *c)
{
    c->refs++;
}

static void cluster_free(void *obj)
{
    struct cluster *c = obj;
    for (size_t i = 0; i < c->match_count; i++) {
        tls_bind_dispose(&c->match_tls[i]);
    }
    mem_free(c->match_tls);
    tls_bind_dispose(&c->tls);
    mem_free(c->endpoints);
    mem_free(c->lb_table);
    mem_free(c->eligible);
    map_dispose(&c->by_addr);
    arena_dispose(&c->texts);
    mem_free((void *)(uintptr_t)c->name.at);
    mem_free(c);
}

void cluster_put(struct cluster *c)
{
    DEBUG_ASSERT(c->refs > 0);
    if (--c->refs == 0) {
        loop_bury(c->up->loop, cluster_free, c);
    }
}
