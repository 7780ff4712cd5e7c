/* Snapshots from the table of resources. */
#include "base/mem.h"
#include "proxy/config/ingest_int.h"

static int by_name(const void *a, const void *b)
{
    return span_cmp((*(struct ingest_entry *const *)a)->name,
                    (*(struct ingest_entry *const *)b)->name);
}

struct ingest_entry **ingest_snapshot_sorted(const struct ingest *g, enum conf_kind kind,
                                             size_t *count)
{
    const struct map *entries = &g->entries[kind];
    struct ingest_entry **list = mem_array(map_count(entries), sizeof(*list));
    size_t at = 0;
    for (struct map_slot *s = NULL; (s = map_next(entries, s));) {
        list[at++] = s->value;
    }
    if (at > 1) {
        qsort(list, at, sizeof(*list), by_name);
    }
    *count = at;
    return list;
}

static void hold(struct snapshot *s, struct conf *c)
{
    conf_get(c);
    s->held[s->held_count++] = c;
}

static size_t count_held(const struct ingest *g)
{
    /* A DNS cluster has an endpoints object too, a table that learns one with its virtual hosts. */
    size_t count = map_count(&g->entries[CONF_CLUSTER]) + map_count(&g->entries[CONF_ROUTES]);
    for (unsigned k = 0; k < CONF_KIND_COUNT; k++) {
        count += map_count(&g->entries[k]);
    }
    return count;
}

static const struct conf_endpoints *endpoints_of(const struct ingest *g, struct snapshot *s,
                                                 const struct ingest_entry *e)
{
    const struct conf_cluster *c = container_of(e->active, struct conf_cluster, conf);
    switch (c->discovery) {
    case CONF_STATIC:
        return c->inline_endpoints; /* lives in the cluster */
    case CONF_STRICT_DNS:
    case CONF_LOGICAL_DNS: {
        struct conf_endpoints *dns = dns_targets_endpoints(e->active_dns);
        if (dns) {
            hold(s, &dns->conf);
        }
        return dns;
    }
    case CONF_EDS: {
        const struct ingest_entry *eds = map_get(&g->entries[CONF_ENDPOINTS], c->eds_name);
        return eds && eds->active ? container_of(eds->active, struct conf_endpoints, conf) : NULL;
    }
    case CONF_ORIGINAL_DST:
        break;
    }
    return NULL;
}

static void add_listeners(const struct ingest *g, struct snapshot *s)
{
    size_t count;
    struct ingest_entry **list = ingest_snapshot_sorted(g, CONF_LISTENER, &count);
    s->listeners = mem_array(count, sizeof(*s->listeners));
    for (size_t i = 0; i < count; i++) {
        if (list[i]->active) {
            hold(s, list[i]->active);
            s->listeners[s->listener_count++] =
                container_of(list[i]->active, struct conf_listener, conf);
        }
    }
    mem_free(list);
}

/* ---- tables that learn ---- */

static struct conf *with_hosts(const struct ingest *g, const struct conf_routes *base)
{
    struct conf_routes *r = conf_new(CONF_ROUTES);
    size_t room = map_count(&g->entries[CONF_VIRTUAL_HOST]);
    struct route_learned *hosts = mem_array(room, sizeof(*hosts));
    size_t count = 0;
    for (struct map_slot *m = NULL; (m = map_next(&g->entries[CONF_VIRTUAL_HOST], m));) {
        const struct ingest_entry *e = m->value;
        const struct conf_virtual_host *h =
            e->active ? container_of(e->active, struct conf_virtual_host, conf) : NULL;
        if (h && span_eq(h->table, base->conf.name)) {
            hosts[count++] = (struct route_learned){.authority = h->authority, .host = h->host};
        }
    }
    r->table = route_table_with(base->table, &r->conf.arena, hosts, count);
    mem_free(hosts);
    return &r->conf;
}

/* What it shares with `active` and its hosts is held by the same snapshot: they are active, too. */
static const struct conf_routes *routes_of(const struct ingest *g, struct snapshot *s,
                                           struct ingest_entry *e)
{
    const struct conf_routes *base = container_of(e->active, struct conf_routes, conf);
    if (!route_table_learns(base->table)) {
        return base;
    }
    if (!e->with_hosts) {
        e->with_hosts = with_hosts(g, base);
    }
    hold(s, e->with_hosts);
    return container_of(e->with_hosts, struct conf_routes, conf);
}

static void add_by_slot(const struct ingest *g, struct snapshot *s, enum conf_kind kind)
{
    for (struct map_slot *m = NULL; (m = map_next(&g->entries[kind], m));) {
        struct ingest_entry *e = m->value;
        if (!e->active) {
            continue;
        }
        hold(
            s,
            e->active); /* endpoints, too: they have no slot of their own, clusters point to them */
        if (e->slot == SLOT_NONE) {
            continue;
        }
        if (kind == CONF_CLUSTER) {
            s->clusters[e->slot] = container_of(e->active, struct conf_cluster, conf);
            s->endpoints[e->slot] = endpoints_of(g, s, e);
        } else if (kind == CONF_ROUTES) {
            s->routes[e->slot] = routes_of(g, s, e);
        } else if (kind == CONF_SECRET) {
            s->secrets[e->slot] = container_of(e->active, struct conf_secret, conf);
        }
    }
}

struct snapshot *ingest_snapshot_new(struct ingest *g)
{
    struct snapshot *s = mem_new(struct snapshot);
    s->number = ++g->numbers;
    s->users = 1;
    s->slots = slots_count(&g->slots);
    s->clusters = mem_array(s->slots, sizeof(*s->clusters));
    s->endpoints = mem_array(s->slots, sizeof(*s->endpoints));
    s->routes = mem_array(s->slots, sizeof(*s->routes));
    s->secrets = mem_array(s->slots, sizeof(*s->secrets));
    s->held = mem_array(count_held(g), sizeof(*s->held));
    add_listeners(g, s);
    add_by_slot(g, s, CONF_CLUSTER);
    add_by_slot(g, s, CONF_ROUTES);
    add_by_slot(g, s, CONF_ENDPOINTS);
    add_by_slot(g, s, CONF_SECRET);
    add_by_slot(g, s, CONF_VIRTUAL_HOST);
    list_push_back(&g->snapshots, &s->node);
    return s;
}

void ingest_snapshot_put(struct snapshot *s)
{
    ASSERT(s->users > 0);
    if (--s->users > 0) {
        return;
    }
    list_remove(&s->node);
    for (size_t i = 0; i < s->held_count; i++) {
        conf_put(s->held[i]);
    }
    mem_free(s->held);
    mem_free(s->listeners);
    mem_free(s->clusters);
    mem_free(s->endpoints);
    mem_free(s->routes);
    mem_free(s->secrets);
    mem_free(s);
}
