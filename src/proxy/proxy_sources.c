/* Files and the ADS stream: see proxy_sources.h. */
#include "proxy/proxy_sources.h"

#include "base/log.h"
#include "base/mem.h"
#include "proto/core.pb.h"
#include "proxy/config/tls_bind.h"
#include "proxy/node_identity.h"
#include "xds/xds_client.h"
#include "xds/xds_file.h"

struct proxy_sources {
    struct loop *loop;
    struct resolver *resolver;
    struct ingest *ingest;
    const struct bootstrap *boot;
    struct proxy_numbers *numbers;
    void (*on_moved)(void *arg);
    void *arg;
    struct xds_file *lds_file, *cds_file;
    struct list files;           /* struct file_source: what single resources name */
    struct loop_task open_files; /* not from within ingest's own events */
    struct xds_client *client;   /* NULL until the control plane's address is known */
    struct tls_bind tls;
    const struct conf_cluster *reach; /* what `client` was built on; compared only */
    const struct conf_endpoints *reach_endpoints;
    bool lds_came, cds_came;
    bool restoring, has_answered;
    struct arena arena;
    /* Names that are wanted before there is a client. */
    struct wish {
        const char *type_url; /* static */
        struct span name;
    } *wishes;
    size_t wish_count, wish_room;
    struct other {
        const char *type_url; /* static */
        xds_on_update on_update;
        void *arg;
    } others[PROXY_SOURCES_OTHERS];
    size_t other_count;
};

/* A file that resources name as their source (path_config_source), with how many do. */
struct file_source {
    struct list node;
    struct span path; /* owned */
    unsigned users;
    struct xds_file *file; /* NULL until it could be read */
};

static const char *const type_urls[CONF_KIND_COUNT] = {
    [CONF_LISTENER] = XDS_LISTENER, [CONF_ROUTES] = XDS_ROUTES,
    [CONF_CLUSTER] = XDS_CLUSTER,   [CONF_ENDPOINTS] = XDS_ENDPOINTS,
    [CONF_SECRET] = XDS_SECRET,     [CONF_VIRTUAL_HOST] = XDS_VIRTUAL_HOST,
};

/* ---- what arrives ---- */

static void note_arrival(struct proxy_sources *s, struct span type_url)
{
    s->lds_came = s->lds_came || span_is(type_url, XDS_LISTENER);
    s->cds_came = s->cds_came || span_is(type_url, XDS_CLUSTER);
    s->has_answered = s->has_answered || (!s->restoring && span_is(type_url, XDS_LISTENER));
    s->on_moved(s->arg);
}

static void count_update(struct proxy_sources *s, struct span type_url, enum proxy_update how)
{
    uint64_t *counts = span_is(type_url, XDS_LISTENER)  ? s->numbers->lds
                       : span_is(type_url, XDS_CLUSTER) ? s->numbers->cds
                                                        : NULL;
    if (counts != NULL) {
        counts[PROXY_UPDATE_ATTEMPT]++;
        counts[how]++;
    }
}

static int on_update(void *arg, const struct xds_update *u, struct err *err)
{
    struct proxy_sources *s = arg;
    for (size_t i = 0; i < s->other_count; i++) {
        if (span_is(u->type_url, s->others[i].type_url)) {
            int other = s->others[i].on_update(s->others[i].arg, u, err);
            s->on_moved(s->arg);
            return other;
        }
    }
    struct ingest_resource *added = mem_array(u->added_count + 1, sizeof(*added));
    for (size_t i = 0; i < u->added_count; i++) {
        const struct xds_resource *r = &u->added[i];
        added[i] = (struct ingest_resource){
            .name = r->name,
            .version = r->version.len > 0 ? r->version : SPAN("1"), /* empty would mean static */
            .type_url = r->type_url,
            .value = r->value,
        };
    }
    int code = ingest_apply(s->ingest, added, u->added_count, u->type_url, u->removed,
                            u->removed_count, u->full, err);
    mem_free(added);
    count_update(s, u->type_url, code == 0 ? PROXY_UPDATE_SUCCESS : PROXY_UPDATE_REJECTED);
    if (code == 0) {
        note_arrival(s, u->type_url);
    }
    return code; /* who called says why */
}

/* ---- files ---- */

/* A file that is no list of resources at all counts as a failure of both kinds that may be in it. */
static void on_read(void *arg, const struct err *why)
{
    struct proxy_sources *s = arg;
    if (why != NULL) {
        s->numbers->lds[PROXY_UPDATE_FAILURE]++;
        s->numbers->cds[PROXY_UPDATE_FAILURE]++;
        log_warn("xds", "file not taken, the last good state stays why=\"%s\"", why->text);
    }
}

static const struct xds_file_events file_events = {.on_update = on_update, .on_read = on_read};

static int open_file(struct proxy_sources *s, const struct bootstrap_source *from,
                     const char *type_url, struct xds_file **to, struct err *err)
{
    if (from->origin != BOOTSTRAP_FILE) {
        return 0;
    }
    struct xds_file_spec spec = {
        .path = arena_cstr(&s->arena, from->path),
        .type_url = span_of(type_url),
    };
    return xds_file_new(to, s->loop, &spec, &file_events, s, err);
}

/* ---- the stream ---- */

static void on_state(void *arg, bool is_connected, const struct err *why)
{
    UNUSED(why); /* the client has logged it */
    ((struct proxy_sources *)arg)->numbers->cp_connected = is_connected;
}

static const struct xds_client_events client_events = {.on_update = on_update,
                                                       .on_state = on_state};

/* The first endpoint of the static cluster that reaches the control plane; false while it is not known. */
static bool fill_http(struct proxy_sources *s, const struct conf_cluster *c,
                      const struct conf_endpoints *e, struct http_client_spec *http, char *text,
                      size_t room)
{
    if (e == NULL || e->count == 0) {
        return false;
    }
    const struct conf_endpoint *first = &e->items[0];
    const char *scheme = c->tls != NULL ? "https" : "http";
    char addr[ADDR_TEXT_BYTES];
    if (first->addr.kind == ADDR_UNIX) {
        snprintf(text, room, "unix:%s", first->addr.path);
    } else if (first->addr.kind == ADDR_IP) {
        snprintf(text, room, "%s://%s", scheme, addr_format(&first->addr, addr));
    } else {
        return false; /* a name that is not resolved yet */
    }
    *http = (struct http_client_spec){
        .origin = span_of(text),
        .authority = s->boot->ads_authority,
        .http2 = true,
        .tls = s->tls.ctx,
        .resolver = s->resolver,
        .connect_ms = c->connect_ms,
    };
    return c->tls == NULL || s->tls.ctx != NULL;
}

static void subscribe_first(struct proxy_sources *s)
{
    if (s->boot->cds.origin == BOOTSTRAP_ADS && !s->boot->on_demand) {
        xds_client_subscribe(s->client, span_of(XDS_CLUSTER), XDS_WILDCARD);
    }
    if (s->boot->lds.origin == BOOTSTRAP_ADS) {
        xds_client_subscribe(s->client, span_of(XDS_LISTENER), XDS_WILDCARD);
    }
    for (size_t i = 0; i < s->wish_count; i++) {
        xds_client_subscribe(s->client, span_of(s->wishes[i].type_url), s->wishes[i].name);
    }
    s->wish_count = 0;
}

static void open_client(struct proxy_sources *s, const struct http_client_spec *http)
{
    struct err err;
    struct pb_core_Node *node =
        s->boot->node_wire.len > 0
            ? pb_decode(&pb_core_Node_desc, &s->arena, s->boot->node_wire, &err)
            : arena_new(&s->arena, struct pb_core_Node);
    if (node == NULL) {
        log_error("xds", "node can not be read why=\"%s\"", err.text);
        return;
    }
    node->id = s->boot->node_id;
    node->cluster = s->boot->node_cluster;
    node->user_agent_name = SPAN("mesh");
    struct xds_client_spec spec = {.http = *http, .node = node, .sotw = !s->boot->ads_delta};
    if (xds_client_new(&s->client, s->loop, &spec, &client_events, s, &err) != 0) {
        log_error("xds", "can not be started why=\"%s\"", err.text);
        s->client = NULL;
        return;
    }
    subscribe_first(s);
    xds_client_start(s->client);
}

static const struct conf_cluster *cluster_named(const struct snapshot *snapshot, struct span name)
{
    for (size_t i = 0; i < snapshot->slots; i++) {
        if (snapshot->clusters[i] != NULL && span_eq(snapshot->clusters[i]->conf.name, name)) {
            return snapshot->clusters[i];
        }
    }
    return NULL;
}

void proxy_sources_snapshot(struct proxy_sources *s, const struct snapshot *snapshot)
{
    if (!s->boot->has_ads) {
        return;
    }
    const struct conf_cluster *c = cluster_named(snapshot, s->boot->ads_cluster);
    if (c == NULL) {
        return;
    }
    const struct conf_endpoints *endpoints = snapshot->endpoints[c->slot];
    bool tls_changed = tls_bind_update(&s->tls, c->tls, snapshot) != TLS_BIND_SAME;
    if (s->client != NULL && !tls_changed && s->reach == c && s->reach_endpoints == endpoints) {
        return;
    }
    struct http_client_spec http;
    char origin[ADDR_TEXT_BYTES + 16];
    if (!fill_http(s, c, endpoints, &http, origin, sizeof(origin))) {
        return;
    }
    s->reach = c;
    s->reach_endpoints = endpoints;
    if (s->client == NULL) {
        open_client(s, &http);
        return;
    }
    struct err err;
    if (xds_client_set_http(s->client, &http, false, &err) != 0) {
        log_warn("xds", "new address or identity refused why=\"%s\"", err.text);
    }
}

int proxy_sources_start(struct proxy_sources *s, struct err *err)
{
    int code = open_file(s, &s->boot->cds, XDS_CLUSTER, &s->cds_file, err);
    return code ? code : open_file(s, &s->boot->lds, XDS_LISTENER, &s->lds_file, err);
}

/* ---- files that single resources name ---- */

static struct file_source *find_file(struct proxy_sources *s, struct span path)
{
    LIST_EACH(node, next, &s->files) {
        struct file_source *f = list_item(node, struct file_source, node);
        if (span_eq(f->path, path)) {
            return f;
        }
    }
    return NULL;
}

static void file_source_free(struct file_source *f)
{
    xds_file_free(f->file);
    list_remove(&f->node);
    mem_free((void *)(uintptr_t)f->path.at);
    mem_free(f);
}

/* At the turn's end: opens what is wanted, closes what is not. A file that is not there is tried again with the
 * next change of configuration. */
static void on_open_files(struct loop_task *task)
{
    struct proxy_sources *s = container_of(task, struct proxy_sources, open_files);
    LIST_EACH(node, next, &s->files) {
        struct file_source *f = list_item(node, struct file_source, node);
        if (f->users == 0) {
            file_source_free(f);
            continue;
        }
        struct xds_file_spec spec = {.path = f->path.at};
        struct err err;
        if (f->file == NULL && xds_file_new(&f->file, s->loop, &spec, &file_events, s, &err) != 0) {
            f->file = NULL;
            log_warn("xds", "file not taken path=%s why=\"%s\"", f->path.at, err.text);
        }
    }
}

static void want_file(struct proxy_sources *s, struct span path, bool wanted)
{
    struct file_source *f = find_file(s, path);
    if (f == NULL) {
        f = mem_new(struct file_source);
        f->path = span_from(mem_strndup(path.at, path.len), path.len);
        list_push_back(&s->files, &f->node);
    }
    f->users = wanted ? f->users + 1 : f->users - (f->users > 0);
    loop_task_add(s->loop, &s->open_files);
}

static void wish(struct proxy_sources *s, const char *type_url, struct span name, bool wanted)
{
    for (size_t i = 0; i < s->wish_count && !wanted; i++) {
        if (s->wishes[i].type_url == type_url && span_eq(s->wishes[i].name, name)) {
            s->wishes[i] = s->wishes[--s->wish_count];
            return;
        }
    }
    if (!wanted || !s->boot->has_ads) {
        return;
    }
    if (s->wish_count == s->wish_room) {
        s->wish_room = s->wish_room ? s->wish_room * 2 : 16;
        s->wishes = mem_realloc(s->wishes, s->wish_room * sizeof(*s->wishes));
    }
    s->wishes[s->wish_count++] =
        (struct wish){.type_url = type_url, .name = arena_dup(&s->arena, name)};
}

static void want_by_name(struct proxy_sources *s, const char *type_url, struct span name,
                         bool wanted)
{
    if (s->client == NULL) {
        wish(s, type_url, name, wanted);
    } else if (wanted) {
        xds_client_subscribe(s->client, span_of(type_url), name);
    } else {
        xds_client_unsubscribe(s->client, span_of(type_url), name);
    }
}

void proxy_sources_want(struct proxy_sources *s, enum conf_kind kind, struct span name,
                        struct span path, bool wanted)
{
    if (path.len > 0) {
        want_file(s, path, wanted);
        return;
    }
    if (s->boot->on_demand && node_identity_owns(kind, name)) {
        return;
    }
    want_by_name(s, type_urls[kind], name, wanted);
}

void proxy_sources_set_other(struct proxy_sources *s, const char *type_url, xds_on_update on_other,
                             void *arg)
{
    ASSERT(s->other_count < PROXY_SOURCES_OTHERS);
    s->others[s->other_count++] = (struct other){type_url, on_other, arg};
}

void proxy_sources_want_other(struct proxy_sources *s, const char *type_url, struct span name,
                              bool wanted)
{
    want_by_name(s, type_url, name, wanted);
}

struct proxy_sources *proxy_sources_new(struct loop *loop, struct resolver *resolver,
                                        struct ingest *ingest, const struct bootstrap *boot,
                                        struct proxy_numbers *numbers, void (*on_moved)(void *arg),
                                        void *arg)
{
    struct proxy_sources *s = mem_new(struct proxy_sources);
    s->loop = loop;
    s->resolver = resolver;
    s->ingest = ingest;
    s->boot = boot;
    s->numbers = numbers;
    s->on_moved = on_moved;
    s->arg = arg;
    arena_init(&s->arena, 1024);
    list_init(&s->files);
    loop_task_init(&s->open_files, on_open_files);
    return s;
}

bool proxy_sources_are_complete(const struct proxy_sources *s)
{
    return (s->boot->lds.origin == BOOTSTRAP_NONE || s->lds_came) &&
           (s->boot->cds.origin == BOOTSTRAP_NONE || s->boot->on_demand || s->cds_came);
}

bool proxy_sources_have_answered(const struct proxy_sources *s)
{
    return s->has_answered;
}

bool proxy_sources_have_client(const struct proxy_sources *s)
{
    return s->client != NULL;
}

void proxy_sources_restore(struct proxy_sources *s, const struct xds_update *updates, size_t count)
{
    s->restoring = true;
    for (size_t i = 0; i < count; i++) {
        struct err err;
        err_clear(&err);
        if (updates[i].added_count > 0 && on_update(s, &updates[i], &err) != 0) {
            log_warn("xds", "of the last run, not taken why=\"%s\"", err.text);
        } else {
            xds_client_hold(s->client, &updates[i]);
        }
    }
    s->restoring = false;
    xds_client_restart(s->client);
}

struct http_client *proxy_sources_http(struct proxy_sources *s)
{
    return s->client != NULL ? xds_client_http(s->client) : NULL;
}

void proxy_sources_free(struct proxy_sources *s)
{
    if (s == NULL) {
        return;
    }
    xds_client_free(s->client);
    xds_file_free(s->lds_file);
    xds_file_free(s->cds_file);
    loop_task_cancel(&s->open_files);
    LIST_EACH(node, next, &s->files) {
        file_source_free(list_item(node, struct file_source, node));
    }
    tls_bind_dispose(&s->tls);
    mem_free(s->wishes);
    arena_dispose(&s->arena);
    mem_free(s);
}
