/* xDS resources -> snapshots. In: xds/xds_client or a file source. Out: on_snapshot. Next: config/view.
 * The states of a resource are drawn in ingest_int.h. */
#include "proxy/config/ingest.h"

#include "base/instant.h"
#include "base/log.h"
#include "base/mem.h"
#include "proxy/config/ingest_int.h"
#include "proxy/config/read.h"
#include "proxy/config/resource.h"

#define TEMP_ARENA_BYTES 65536

static void ask_settle(struct ingest *g)
{
    loop_task_add(g->loop, &g->settle);
}

static void mark_changed(struct ingest *g)
{
    g->changed = true;
    ask_settle(g);
}

/* ---- entries ---- */

static struct ingest_entry *find(const struct ingest *g, enum conf_kind kind, struct span name)
{
    return map_get(&g->entries[kind], name);
}

/* A listener is never looked up by slot; endpoints are found by their cluster's, virtual hosts by their table. */
static bool has_slot(enum conf_kind kind)
{
    return kind != CONF_LISTENER && kind != CONF_ENDPOINTS && kind != CONF_VIRTUAL_HOST;
}

static struct ingest_entry *find_or_add(struct ingest *g, enum conf_kind kind, struct span name)
{
    struct ingest_entry *e = find(g, kind, name);
    if (e) {
        return e;
    }
    e = mem_new(struct ingest_entry);
    e->kind = kind;
    e->name = (struct span){mem_strndup(name.at ? name.at : "", name.len), name.len};
    e->slot = has_slot(kind) ? slots_take(&g->slots, name) : SLOT_NONE;
    list_init(&e->warming_node);
    (void)map_put(&g->entries[kind], e->name, e); /* there was none */
    return e;
}

static void forget_failure(struct ingest_entry *e)
{
    if (e->failed) {
        mem_free((void *)(uintptr_t)e->failed->bytes.at);
        mem_free(e->failed->details);
        mem_free(e->failed->version);
        mem_free(e->failed);
        e->failed = NULL;
    }
}

static void set_version(char **at, struct span version)
{
    if (*at && span_is(version, *at)) {
        return;
    }
    mem_free(*at);
    *at = mem_strndup(version.at ? version.at : "", version.len);
}

static void remember_failure(struct ingest *g, enum conf_kind kind, const struct ingest_resource *r,
                             const struct err *err)
{
    struct span name = r->name.len > 0 ? r->name : resource_name(r->value);
    struct ingest_entry *e = find_or_add(g, kind, name);
    forget_failure(e);
    e->failed = mem_new(struct ingest_failed);
    e->failed->bytes =
        (struct span){mem_dup(r->value.len > 0 ? r->value.at : "", r->value.len), r->value.len};
    e->failed->details = mem_strdup(err->text);
    set_version(&e->failed->version, r->version);
    e->failed->at_us = instant_wall_us();
}

/* ---- mentions ---- */

static void release_if_unused(struct ingest *g, struct ingest_entry *e);

static void mention(struct ingest *g, const struct conf *c)
{
    for (size_t i = 0; i < c->mention_count; i++) {
        struct ingest_entry *e = find_or_add(g, c->mentions[i].kind, c->mentions[i].name);
        if (e->mentions++ == 0 && !e->is_static && g->events.on_interest) {
            g->events.on_interest(g->arg, e->kind, e->name, c->mentions[i].path, true);
        }
    }
}

static void drop_active(struct ingest *g, struct ingest_entry *e);

/* What nobody mentions any more goes, unless it came with the bootstrap. */
static void unmention_one(struct ingest *g, struct ingest_entry *e, struct span path)
{
    ASSERT(e && e->mentions > 0);
    if (--e->mentions > 0 || e->is_static) {
        return;
    }
    if (g->events.on_interest) {
        g->events.on_interest(g->arg, e->kind, e->name, path, false);
    }
    drop_active(g, e);
    release_if_unused(g, e);
}

static void unmention(struct ingest *g, const struct conf *c)
{
    for (size_t i = 0; i < c->mention_count; i++) {
        const struct read_mention *m = &c->mentions[i];
        unmention_one(g, find(g, m->kind, m->name), m->path);
    }
}

/* The table of a virtual host, or the table itself, must be put together anew. */
static void forget_with_hosts(struct ingest *g, const struct conf *c)
{
    ASSERT(c);
    struct span table = c->kind == CONF_ROUTES ? c->name : SPAN_EMPTY;
    if (c->kind == CONF_VIRTUAL_HOST) {
        table = container_of(c, struct conf_virtual_host, conf)->table;
    }
    struct ingest_entry *e = table.len > 0 ? find(g, CONF_ROUTES, table) : NULL;
    if (e) {
        conf_put(e->with_hosts);
        e->with_hosts = NULL;
    }
}

/* ---- warming and active ---- */

static void drop_warming(struct ingest *g, struct ingest_entry *e)
{
    struct conf *c = e->warming;
    if (!c) {
        return;
    }
    e->warming = NULL;
    list_remove(&e->warming_node);
    dns_targets_free(e->warming_dns);
    e->warming_dns = NULL;
    unmention(g, c);
    conf_put(c);
}

static void drop_active(struct ingest *g, struct ingest_entry *e)
{
    drop_warming(g, e);
    struct conf *c = e->active;
    if (!c) {
        return;
    }
    e->active = NULL;
    forget_with_hosts(g, c);
    dns_targets_free(e->active_dns);
    e->active_dns = NULL;
    unmention(g, c);
    conf_put(c);
    mark_changed(g);
}

static void release_if_unused(struct ingest *g, struct ingest_entry *e)
{
    if (e->active || e->warming || e->failed || e->mentions > 0) {
        return;
    }
    (void)map_remove(&g->entries[e->kind], e->name); /* it is there */
    mem_free((void *)(uintptr_t)e->name.at);
    mem_free(e->version);
    mem_free(e);
}

static void on_dns_change(void *arg)
{
    mark_changed(arg);
}

static bool is_dns(const struct conf *c)
{
    if (c->kind != CONF_CLUSTER) {
        return false;
    }
    enum conf_discovery d = container_of(c, struct conf_cluster, conf)->discovery;
    return d == CONF_STRICT_DNS || d == CONF_LOGICAL_DNS;
}

/* Takes over the reference to `c`. */
static void commit(struct ingest *g, struct ingest_entry *e, struct conf *c, struct span version)
{
    mention(g, c); /* before the old one's mentions go, so that what both need stays */
    drop_warming(g, e);
    e->warming = c;
    e->missing = false;
    e->warm_until_ms = loop_now_ms(g->loop) + INGEST_WARM_MS;
    list_push_back(&g->warming, &e->warming_node);
    if (is_dns(c)) {
        struct conf_cluster *cluster = container_of(c, struct conf_cluster, conf);
        e->warming_dns = dns_targets_new(g->loop, g->resolver, cluster, on_dns_change, g);
    }
    set_version(&e->version, version);
    e->is_static = version.len == 0;
    ask_settle(g);
}

/* The graph has no circles and is four deep: listener, routes or virtual host, cluster, endpoints or secret. */
static bool is_warm(const struct ingest *g, const struct ingest_entry *e)
{
    if (e->warming_dns && !dns_targets_endpoints(e->warming_dns)) {
        return false;
    }
    ASSERT(e->warming);
    for (size_t i = 0; i < e->warming->mention_count; i++) {
        const struct read_mention *m = &e->warming->mentions[i];
        const struct ingest_entry *needed = find(g, m->kind, m->name);
        bool is_there = needed->active || needed->missing;
        if (!is_there && (!needed->warming || !is_warm(g, needed))) {
            return false;
        }
    }
    return true;
}

static void promote(struct ingest *g, struct ingest_entry *e)
{
    struct conf *old = e->active;
    struct dns_targets *old_dns = e->active_dns;
    e->active = e->warming;
    e->active_dns = e->warming_dns;
    e->warming = NULL;
    e->warming_dns = NULL;
    list_remove(&e->warming_node);
    dns_targets_free(old_dns);
    forget_with_hosts(g, e->active);
    if (old) {
        unmention(g, old);
        conf_put(old);
    }
    g->changed = true;
}

/* False when nothing moved. `*next`: when somebody has waited enough. */
static bool promote_round(struct ingest *g, int64_t now, int64_t *next)
{
    bool moved = false;
    *next = INT64_MAX;
    LIST_EACH(node, after, &g->warming) {
        struct ingest_entry *e = list_item(node, struct ingest_entry, warming_node);
        bool late = now >= e->warm_until_ms;
        if (is_warm(g, e) || late) {
            if (late) {
                log_warn("config", "%s '%.*s' is used though not all that it needs has come",
                         conf_kind_name(e->kind), SPAN_ARG(e->name));
            }
            promote(g, e);
            moved = true;
        } else {
            *next = i64_min(*next, e->warm_until_ms);
        }
    }
    return moved;
}

static void promote_what_is_warm(struct ingest *g)
{
    int64_t now = loop_now_ms(g->loop);
    int64_t next;
    while (promote_round(g, now, &next)) { /* one that waited too long lets others go */
    }
    if (next != INT64_MAX) {
        deadline_arm(&g->warm, g->loop, next - now);
    } else {
        deadline_disarm(&g->warm);
    }
}

/* At the end of the turn: all that came in it becomes one snapshot. */
static void settle(struct loop_task *task)
{
    struct ingest *g = container_of(task, struct ingest, settle);
    promote_what_is_warm(g);
    if (g->changed) {
        g->changed = false;
        struct snapshot *old = g->current;
        g->current = ingest_snapshot_new(g);
        g->events.on_snapshot(g->arg, g->current);
        if (old) {
            ingest_snapshot_put(old);
        }
    }
    if (g->events.on_settled) {
        g->events.on_settled(g->arg);
    }
}

static void on_warm_due(struct deadline *d)
{
    ask_settle(container_of(d, struct ingest, warm));
}

/* ---- applying ---- */

struct staged {
    struct span name;  /* borrowed from the resource */
    struct conf *conf; /* NULL: as what is there, or not to be touched */
    bool keep;         /* static: no update replaces it */
};

static bool is_same(const struct ingest_entry *e, struct span bytes)
{
    const struct conf *c = !e ? NULL : e->warming ? e->warming : e->active;
    return c && span_eq(c->resource, bytes);
}

static int stage_one(struct ingest *g, enum conf_kind kind, const struct ingest_resource *r,
                     struct arena *temp, struct staged *out, struct err *err)
{
    if (r->type_url.len > 0 && resource_kind(r->type_url) != kind) {
        return err_set(err, -ERR_CONFIG, "resource '%.*s' is of type '%.*s'", SPAN_ARG(r->name),
                       SPAN_ARG(r->type_url));
    }
    struct span inner = resource_name(r->value);
    if (kind == CONF_VIRTUAL_HOST) { /* named by what was asked for, not by what is in it */
        inner = r->name;
    } else if (r->name.len > 0 && inner.len > 0 && !span_eq(r->name, inner)) {
        return err_set(err, -ERR_CONFIG, "%s '%.*s' came under the name '%.*s'",
                       conf_kind_name(kind), SPAN_ARG(inner), SPAN_ARG(r->name));
    }
    out->name = inner;
    const struct ingest_entry *e = find(g, kind, inner);
    if (e && e->is_static && r->version.len > 0) {
        out->keep = true;
        return 0;
    }
    if (is_same(e, r->value)) {
        return 0;
    }
    const struct resource_spec spec = {
        .kind = kind,
        .name = inner,
        .bytes = r->value,
        .version = r->version,
        .slots = &g->slots,
        .by_name = g->by_name,
    };
    out->conf = resource_read(&spec, temp, err);
    return out->conf ? 0 : -ERR_CONFIG;
}

static int refuse_duplicates(enum conf_kind kind, const struct staged *staged, size_t count,
                             struct err *err)
{
    struct map seen;
    map_init(&seen);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (map_put(&seen, staged[i].name, (void *)(uintptr_t)&staged[i])) {
            rc = err_set(err, -ERR_CONFIG, "%s '%.*s' comes twice", conf_kind_name(kind),
                         SPAN_ARG(staged[i].name));
        }
    }
    map_dispose(&seen);
    return rc;
}

/* Reads all, so that every bad one is remembered; the first failure is the answer. */
static int stage(struct ingest *g, enum conf_kind kind, const struct ingest_resource *added,
                 size_t count, struct staged *staged, struct err *err)
{
    struct arena temp;
    arena_init(&temp, TEMP_ARENA_BYTES);
    int rc = 0;
    for (size_t i = 0; i < count; i++) {
        struct err why;
        err_clear(&why);
        int one = stage_one(g, kind, &added[i], &temp, &staged[i], &why);
        arena_reset(&temp);
        if (one != 0) {
            remember_failure(g, kind, &added[i], &why);
            if (rc == 0) {
                rc = err_set(err, -ERR_CONFIG, "%s", why.text);
            }
        }
    }
    arena_dispose(&temp);
    return rc != 0 ? rc : refuse_duplicates(kind, staged, count, err);
}

static void remove_one(struct ingest *g, struct ingest_entry *e)
{
    if (e->is_static) {
        return;
    }
    /* A certificate in use stays until its successor comes: people replace a Secret by deleting and creating it. As Envoy (SdsApi::onConfigUpdate refuses an
     * update without the secret). */
    if (e->kind == CONF_SECRET && e->active && e->mentions > 0) {
        return;
    }
    e->missing = true;
    forget_failure(e);
    drop_active(g, e);
    ask_settle(g); /* somebody may have waited for it */
    release_if_unused(g, e);
}

/* State of the world: what was not listed is gone. Only of the types that are asked for as a whole. */
static void remove_unlisted(struct ingest *g, enum conf_kind kind)
{
    if (kind != CONF_LISTENER && kind != CONF_CLUSTER) {
        return;
    }
    for (struct map_slot *s = NULL; (s = map_next(&g->entries[kind], s));) {
        struct ingest_entry *e = s->value;
        if (e->seen != g->answers) {
            remove_one(g, e);
        }
    }
}

/* One answer of the control plane, with all its parts. NOLINTNEXTLINE(readability-function-size) */
int ingest_apply(struct ingest *g, const struct ingest_resource *added, size_t added_count,
                 struct span type_url, const struct span *removed, size_t removed_count, bool full,
                 struct err *err)
{
    enum conf_kind kind = resource_kind(type_url);
    if (kind == CONF_KIND_COUNT) {
        return err_set(err, -ERR_CONFIG, "type '%.*s' is not known", SPAN_ARG(type_url));
    }
    struct staged *staged = mem_array(added_count, sizeof(*staged));
    int rc = stage(g, kind, added, added_count, staged, err);
    g->answers++;
    for (size_t i = 0; i < added_count; i++) {
        if (rc != 0) {
            conf_put(staged[i].conf);
            continue;
        }
        if (staged[i].keep) {
            continue;
        }
        struct ingest_entry *e = find_or_add(g, kind, staged[i].name);
        e->seen = g->answers;
        forget_failure(e);
        if (staged[i].conf) {
            commit(g, e, staged[i].conf, added[i].version);
        } else {
            set_version(&e->version, added[i].version);
        }
        set_version(&g->versions[kind], added[i].version);
    }
    mem_free(staged);
    if (rc != 0) {
        ask_settle(g); /* somebody may wait for what was refused */
        return rc;
    }
    for (size_t i = 0; i < removed_count; i++) {
        struct ingest_entry *e = find(g, kind, removed[i]);
        if (e) {
            remove_one(g, e);
        }
    }
    if (full) {
        remove_unlisted(g, kind);
    }
    return 0;
}

/* ---- names that are wanted ---- */

void ingest_set_by_name(struct ingest *g)
{
    g->by_name = true;
}

void ingest_want(struct ingest *g, enum conf_kind kind, struct span name, bool wanted)
{
    if (wanted) {
        struct ingest_entry *e = find_or_add(g, kind, name);
        if (e->wanted) {
            return;
        }
        e->wanted = true;
        if (e->mentions++ == 0 && !e->is_static && g->events.on_interest) {
            g->events.on_interest(g->arg, kind, e->name, SPAN_EMPTY, true);
        }
        return;
    }
    struct ingest_entry *e = find(g, kind, name);
    if (e && e->wanted) {
        e->wanted = false;
        forget_failure(e);
        unmention_one(g, e, SPAN_EMPTY);
    }
}

enum ingest_state ingest_look(const struct ingest *g, enum conf_kind kind, struct span name)
{
    const struct ingest_entry *e = find(g, kind, name);
    if (e && e->active) {
        return INGEST_ACTIVE;
    }
    return e && !e->warming && (e->missing || e->failed) ? INGEST_MISSING : INGEST_COMING;
}

bool ingest_leads_to(const struct ingest *g, enum conf_kind kind, struct span name,
                     const bool *slots, size_t count)
{
    const struct ingest_entry *e = find(g, kind, name);
    for (size_t i = 0; e && e->active && i < e->active->mention_count; i++) {
        const struct read_mention *m = &e->active->mentions[i];
        const struct ingest_entry *c = m->kind == CONF_CLUSTER ? find(g, m->kind, m->name) : NULL;
        if (c && c->slot < count && slots[c->slot]) {
            return true;
        }
    }
    return false;
}

/* ---- the rest ---- */

void ingest_snapshot_done(struct ingest *g, struct snapshot *s)
{
    UNUSED(g);
    ingest_snapshot_put(s);
}

void ingest_each(const struct ingest *g,
                 void (*on_resource)(void *arg, const struct ingest_resource *r), void *arg)
{
    for (unsigned k = 0; k < CONF_KIND_COUNT; k++) {
        for (struct map_slot *s = NULL; (s = map_next(&g->entries[k], s));) {
            const struct ingest_entry *e = s->value;
            if (e->active && !e->is_static) {
                const struct ingest_resource r = {
                    .name = e->name,
                    .version = e->active->version,
                    .type_url = span_of(resource_type_url((enum conf_kind)k)),
                    .value = e->active->resource,
                };
                on_resource(arg, &r);
            }
        }
    }
}

bool ingest_is_complete(const struct ingest *g)
{
    return list_is_empty(&g->warming);
}

struct ingest *ingest_new(struct loop *loop, struct resolver *resolver,
                          const struct ingest_events *ev, void *arg)
{
    struct ingest *g = mem_new(struct ingest);
    g->loop = loop;
    g->resolver = resolver;
    g->events = *ev;
    g->arg = arg;
    slots_init(&g->slots);
    for (unsigned k = 0; k < CONF_KIND_COUNT; k++) {
        map_init(&g->entries[k]);
    }
    list_init(&g->warming);
    list_init(&g->snapshots);
    loop_task_init(&g->settle, settle);
    deadline_init(&g->warm, on_warm_due);
    return g;
}

static void free_entry(struct ingest_entry *e)
{
    forget_failure(e);
    dns_targets_free(e->warming_dns);
    dns_targets_free(e->active_dns);
    conf_put(e->warming);
    conf_put(e->active);
    conf_put(e->with_hosts);
    mem_free((void *)(uintptr_t)e->name.at);
    mem_free(e->version);
    mem_free(e);
}

void ingest_free(struct ingest *g)
{
    if (!g) {
        return;
    }
    loop_task_cancel(&g->settle);
    deadline_disarm(&g->warm);
    for (unsigned k = 0; k < CONF_KIND_COUNT; k++) {
        for (struct map_slot *s = NULL; (s = map_next(&g->entries[k], s));) {
            free_entry(s->value);
        }
        map_dispose(&g->entries[k]);
        mem_free(g->versions[k]);
    }
    while (!list_is_empty(&g->snapshots)) {
        struct snapshot *s = list_item(g->snapshots.next, struct snapshot, node);
        s->users = 1; /* the workers have ended */
        ingest_snapshot_put(s);
    }
    slots_dispose(&g->slots);
    mem_free(g);
}
