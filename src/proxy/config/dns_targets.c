/* The addresses of DNS clusters.
 *
 *   target (one a name):  ASKING --answer--> RESTING --refresh--> ASKING ...
 */
#include "proxy/config/dns_targets.h"

#include "base/mem.h"
#include "io/deadline.h"
#include "io/resolver.h"
#include "proxy/config/conf.h"

#define REFRESH_MIN_MS 1000 /* however short a TTL is */

struct target {
    struct dns_targets *owner;        /* borrowed */
    const struct conf_endpoint *from; /* borrowed from the cluster */
    struct resolver_lookup *lookup;   /* NULL while resting */
    struct deadline refresh;
    bool answered;  /* or failed, at least once */
    struct ip *ips; /* owned */
    size_t count;
};

struct dns_targets {
    struct loop *loop;            /* borrowed */
    struct resolver *resolver;    /* borrowed */
    struct conf_cluster *cluster; /* a reference */
    void (*on_change)(void *arg);
    void *arg;
    struct target *targets; /* owned */
    size_t count;
    struct conf_endpoints *endpoints; /* a reference; NULL at first */
};

/* ---- the endpoints object ---- */

static void put_cluster(void *arg)
{
    conf_put(arg);
}

static void add_endpoint(struct conf_endpoints *e, struct conf_endpoint *items,
                         const struct conf_endpoint *from, const struct ip *ip)
{
    struct conf_endpoint *to = &items[e->count++];
    *to = *from;
    if (ip) {
        to->addr = (struct addr){.kind = ADDR_IP, .ip = *ip, .port = from->hostname_port};
    }
    e->priorities = from->priority + 1 > e->priorities ? from->priority + 1 : e->priorities;
}

static size_t ips_used(const struct dns_targets *d, const struct target *t)
{
    return d->cluster->discovery == CONF_LOGICAL_DNS ? size_min(t->count, 1) : t->count;
}

static struct conf_endpoints *build(struct dns_targets *d)
{
    struct conf_endpoints *e = conf_new(CONF_ENDPOINTS);
    /* Texts and labels stay the cluster's. */
    conf_get(&d->cluster->conf);
    arena_defer(&e->conf.arena, put_cluster, &d->cluster->conf);
    e->conf.name = d->cluster->conf.name;
    size_t room = 0;
    for (size_t i = 0; i < d->count; i++) {
        room += d->targets[i].from->addr.kind == ADDR_NONE ? ips_used(d, &d->targets[i]) : 1;
    }
    struct conf_endpoint *items = arena_array(&e->conf.arena, room, sizeof(*items));
    for (size_t i = 0; i < d->count; i++) {
        const struct target *t = &d->targets[i];
        if (t->from->addr.kind != ADDR_NONE) {
            add_endpoint(e, items, t->from, NULL);
            continue;
        }
        for (size_t k = 0; k < ips_used(d, t); k++) {
            add_endpoint(e, items, t->from, &t->ips[k]);
        }
    }
    e->items = items;
    return e;
}

static void changed(struct dns_targets *d)
{
    for (size_t i = 0; i < d->count; i++) {
        if (!d->targets[i].answered) {
            return;
        }
    }
    conf_put(d->endpoints ? &d->endpoints->conf : NULL);
    d->endpoints = build(d);
    d->on_change(d->arg);
}

/* ---- look-ups ---- */

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct ip));
}

static size_t count_family(const struct resolver_answer *a, uint8_t family)
{
    size_t count = 0;
    for (size_t i = 0; i < a->count; i++) {
        count += a->ips[i].family == family;
    }
    return count;
}

/* dns_lookup_family: AUTO takes IPv6 if there is any, V4_PREFERRED IPv4 if there is any, ALL both. 0 = all. */
static uint8_t wanted_family(const struct conf_cluster *c, const struct resolver_answer *a)
{
    if (c->dns_all) {
        return 0;
    }
    if (c->dns_v4 && c->dns_v6) {
        uint8_t first = c->dns_prefer_v4 ? 4 : 6;
        return count_family(a, first) > 0 ? first : (uint8_t)(10 - first);
    }
    return c->dns_v4 ? 4 : 6;
}

/* Sorted, so that an answer in another order is no change; whether it is one. */
static bool keep_ips(struct target *t, const struct resolver_answer *a)
{
    uint8_t family = wanted_family(t->owner->cluster, a);
    struct ip *ips = mem_array(a->count, sizeof(*ips));
    size_t count = 0;
    for (size_t i = 0; i < a->count; i++) {
        if (family == 0 || a->ips[i].family == family) {
            ips[count++] = a->ips[i];
        }
    }
    if (count > 0) {
        qsort(ips, count, sizeof(*ips), by_bytes);
    }
    bool same = count == t->count && (count == 0 || memcmp(ips, t->ips, count * sizeof(*ips)) == 0);
    if (same) {
        mem_free(ips);
        return false;
    }
    mem_free(t->ips);
    t->ips = ips;
    t->count = count;
    return true;
}

static void on_answer(void *arg, const struct resolver_answer *a)
{
    struct target *t = arg;
    const struct conf_cluster *c = t->owner->cluster;
    t->lookup = NULL;
    /* "No such name" is an answer; a timeout is not, and changes nothing. */
    bool answered = a->code == 0 || a->code == -ENOENT;
    int64_t next_ms = answered ? c->dns_refresh_ms : c->dns_failure_ms;
    if (a->code == 0 && c->dns_respect_ttl) {
        next_ms = (int64_t)a->ttl_s * 1000;
    }
    deadline_arm(&t->refresh, t->owner->loop, i64_max(next_ms, REFRESH_MIN_MS));
    bool is_first = !t->answered;
    t->answered = true;
    if ((answered && keep_ips(t, a)) || is_first) {
        changed(t->owner);
    }
}

static void ask(struct deadline *refresh)
{
    struct target *t = container_of(refresh, struct target, refresh);
    const struct dns_targets *d = t->owner;
    if (!d->resolver) {
        struct resolver_answer none = {.code = -ERR_UNAVAILABLE};
        on_answer(t, &none);
        return;
    }
    enum resolver_family family = d->cluster->dns_v4 && d->cluster->dns_v6 ? RESOLVER_ANY
                                  : d->cluster->dns_v6                     ? RESOLVER_V6
                                                                           : RESOLVER_V4;
    t->lookup = resolver_start(d->resolver, t->from->hostname, family, on_answer, t);
}

/* ---- life ---- */

struct dns_targets *dns_targets_new(struct loop *loop, struct resolver *resolver,
                                    struct conf_cluster *cluster, void (*on_change)(void *arg),
                                    void *arg)
{
    struct dns_targets *d = mem_new(struct dns_targets);
    *d = (struct dns_targets){.loop = loop,
                              .resolver = resolver,
                              .cluster = cluster,
                              .on_change = on_change,
                              .arg = arg,
                              .count = cluster->inline_endpoints->count};
    conf_get(&cluster->conf);
    d->targets = mem_array(d->count, sizeof(*d->targets));
    for (size_t i = 0; i < d->count; i++) {
        struct target *t = &d->targets[i];
        t->owner = d;
        t->from = &cluster->inline_endpoints->items[i];
        deadline_init(&t->refresh, ask);
        t->answered = t->from->addr.kind != ADDR_NONE;
    }
    bool waits = false;
    for (size_t i = 0; i < d->count; i++) {
        if (!d->targets[i].answered) {
            waits = true;
            deadline_arm(&d->targets[i].refresh, loop, 0); /* in this turn or the next */
        }
    }
    if (!waits) {
        d->endpoints = build(d);
    }
    return d;
}

struct conf_endpoints *dns_targets_endpoints(const struct dns_targets *d)
{
    return d->endpoints;
}

void dns_targets_free(struct dns_targets *d)
{
    if (!d) {
        return;
    }
    for (size_t i = 0; i < d->count; i++) {
        struct target *t = &d->targets[i];
        deadline_disarm(&t->refresh);
        if (t->lookup) {
            resolver_cancel(t->lookup);
        }
        mem_free(t->ips);
    }
    mem_free(d->targets);
    conf_put(d->endpoints ? &d->endpoints->conf : NULL);
    conf_put(&d->cluster->conf);
    mem_free(d);
}
