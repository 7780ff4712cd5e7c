/* One proxy on a stream: who it is, what it asked for, what it still has to be told.
 * In: xds/xds_server. Out: answers; news to the main thread. Next: translate, through push_cache. */
#include "base/instant.h"
#include "base/log.h"
#include "base/mem.h"
#include "control/push/push_int.h"
#include "proto/core.pb.h"
#include "tls/io_tls.h"
#include "xds/xds.h"

#define TAP_TYPE "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
#define TAP_NAME "mesh.tap"

/* ---- who is it? ---- */

static struct io *io_of(struct xds_stream *s)
{
    return http_conn_io(http_stream_conn(grpc_http(xds_server_grpc(s))));
}

static struct span proven_identity(struct xds_stream *s)
{
    struct io *io = io_of(s);
    return io_is_tls(io) ? io_tls_peer(io)->spiffe_id : SPAN_EMPTY;
}

/* A stream is bound to its identity: the node it says it is must be the one of the certificate, and the address it says it has must
 * not be another's. The plain port is off unless somebody turned it on, and proves nothing. */
static int check_addresses(const struct push_worker *w, const struct node *n, struct err *why)
{
    for (size_t i = 0; i < n->address_count; i++) {
        const struct world_workload *other = world_workload_at(w->world, &n->addresses[i]);
        if (other && (!span_eq(other->namespace, n->namespace) ||
                      (other->service_account.len > 0 &&
                       !span_eq(other->service_account, n->service_account)))) {
            char text[IP_TEXT_BYTES];
            return err_set(why, -ERR_DENIED,
                           "MESH4003 address %s belongs to workload %.*s/%.*s of service account "
                           "%.*s",
                           ip_format(&n->addresses[i], text), SPAN_ARG(other->namespace),
                           SPAN_ARG(other->name), SPAN_ARG(other->service_account));
        }
    }
    return 0;
}

static int check_identity(const struct push_worker *w, struct xds_stream *s, const struct node *n,
                          struct err *why)
{
    if (!io_is_tls(io_of(s))) {
        return 0;
    }
    struct arena arena;
    arena_init(&arena, 1024);
    struct span proven = proven_identity(s);
    struct span needed = node_identity(n, w->world, &arena);
    int code = 0;
    if (proven.len == 0) {
        code = err_set(
            why, -ERR_DENIED,
            "MESH4001 a client certificate is needed on this port: get one from the CA with a "
            "join token first");
    } else if (!span_eq(proven, needed)) {
        code =
            err_set(why, -ERR_DENIED,
                    "MESH4002 node '%.*s' needs the identity %.*s, and the certificate is of %.*s",
                    SPAN_ARG(n->id), SPAN_ARG(needed), SPAN_ARG(proven));
    }
    arena_dispose(&arena);
    return code ? code : check_addresses(w, n, why);
}

/* An address that was nobody's may have become somebody's. */
void push_client_check(struct push_client *c)
{
    struct err why;
    if (io_is_tls(io_of(c->stream)) && check_addresses(c->worker, &c->who, &why) != 0) {
        log_warn("push", "stream ended node=%.*s why=\"%s\"", SPAN_ARG(c->who.id), why.text);
        xds_server_close(c->stream, GRPC_PERMISSION_DENIED, span_of(why.text));
    }
}

static struct push_news *news_of(struct push_client *c, enum push_news_kind kind)
{
    struct push_news *n = mem_new(struct push_news);
    n->push = c->worker->push;
    n->kind = kind;
    n->stream = c->id;
    return n;
}

static void tell_opened(struct push_client *c, const struct pb_core_Node *message)
{
    struct proxy_entry *e = mem_new(struct proxy_entry);
    struct err err;
    char text[ADDR_TEXT_BYTES];
    struct span proven = proven_identity(c->stream);
    e->stream = c->id;
    if (node_read(&e->who, message, &err) != 0) {
        mem_free(e); /* it was read a moment ago */
        return;
    }
    e->workload = mem_strndup(c->workload.at, c->workload.len);
    e->identity = proven.len > 0 ? mem_strndup(proven.at, proven.len) : NULL;
    e->address = mem_strdup(addr_format(&io_of(c->stream)->peer, text));
    e->protocol = xds_server_protocol(c->stream);
    e->connected_us = instant_wall_us();
    struct push_news *n = news_of(c, PUSH_OPENED);
    n->entry = e;
    push_post_news_take(c->worker->push, n);
}

static int on_open(void *arg, struct xds_stream *s, const struct pb_core_Node *message,
                   struct err *why)
{
    struct push_worker *w = arg;
    struct push_client *c = mem_new(struct push_client);
    if (!message) {
        mem_free(c);
        return err_set(why, -ERR_PROTO, "MESH4004 the first request has no node");
    }
    int code = node_read(&c->who, message, why);
    if (code != 0) {
        mem_free(c);
        return code;
    }
    code = check_identity(w, s, &c->who, why);
    if (code != 0) {
        log_warn("push", "stream refused why=\"%s\"", why->text);
        node_dispose(&c->who);
        mem_free(c);
        return code;
    }
    c->worker = w;
    c->stream = s;
    c->is_sotw = strcmp(xds_server_protocol(s), "sotw") == 0;
    c->id = w->next_stream++;
    list_init(&c->queued);
    push_uses_begin(c);
    list_push_back(&w->clients, &c->node);
    xds_server_set(s, c);
    log_debug("push", "stream opened node=%.*s", SPAN_ARG(c->who.id));
    tell_opened(c, message);
    return 0;
}

void push_client_free(struct push_client *c)
{
    list_remove(&c->node);
    list_remove(&c->queued);
    push_uses_end(c);
    node_dispose(&c->who);
    mem_free(c->due_services);
    mem_free(c);
}

static void on_close(void *arg, struct xds_stream *s)
{
    struct push_worker *w = arg;
    struct push_client *c = xds_server_get(s);
    log_debug("push", "stream closed node=%.*s", SPAN_ARG(c->who.id));
    push_post_news_take(w->push, news_of(c, PUSH_CLOSED));
    push_client_free(c);
}

/* ---- what is due? ---- */

static void enqueue(struct push_client *c)
{
    if (!list_is_linked(&c->queued)) {
        list_push_back(&c->worker->queue, &c->queued);
        loop_task_add(c->worker->loop, &c->worker->work);
    }
}

/* By a new world. */
static void mark_due(struct push_client *c, enum proxies_type type, enum push_due due)
{
    c->due[type] = c->due[type] == PUSH_ALL ? PUSH_ALL : due;
    if (c->due_since_us[type] == 0) {
        c->due_since_us[type] = c->worker->world_us;
    }
}

void push_client_due_all(struct push_client *c)
{
    for (enum proxies_type t = 0; t < PROXIES_TYPE_COUNT; t++) {
        mark_due(c, t, PUSH_ALL);
    }
    c->due_count = 0;
    enqueue(c);
}

void push_client_due_tap(struct push_client *c)
{
    c->tap_is_due = true;
    enqueue(c);
}

void push_client_due_service(struct push_client *c, unsigned index)
{
    static const enum proxies_type concerned[] = {PROXIES_CLUSTER, PROXIES_ENDPOINTS,
                                                  PROXIES_LISTENER, PROXIES_NAMES};
    bool too_many = c->due_count == PUSH_DUE_SERVICES_MAX;
    for (size_t i = 0; i < ARRAY_LEN(concerned); i++) {
        mark_due(c, concerned[i], too_many ? PUSH_ALL : PUSH_SERVICES);
    }
    if (!too_many) {
        for (size_t i = 0; i < c->due_count; i++) {
            if (c->due_services[i] == index) {
                return;
            }
        }
        if (c->due_count == c->due_room) {
            c->due_room = c->due_room ? c->due_room * 2 : 8;
            c->due_services = mem_realloc(c->due_services, c->due_room * sizeof(unsigned));
        }
        c->due_services[c->due_count++] = index;
    }
    enqueue(c);
}

static bool concerns_due(const struct push_client *c, const struct world_service *s)
{
    for (size_t i = 0; s && i < c->due_count; i++) {
        if (c->due_services[i] == s->index) {
            return true;
        }
    }
    return false;
}

void push_client_due_workload(struct push_client *c, const struct ip *address)
{
    for (size_t i = 0; i < c->who.address_count; i++) {
        if (ip_eq(&c->who.addresses[i], address)) {
            mark_due(c, PROXIES_LISTENER, PUSH_ALL);
            mark_due(c, PROXIES_CLUSTER, PUSH_ALL);
            mark_due(c, PROXIES_SECRETS, PUSH_ALL);
            enqueue(c);
        }
    }
}

/* The list is told to this stream once and stays as it is, and is no part of its listener's version (push_cache): what other replicas
 * learn later must not change a listener that serves. */
void push_client_hints(struct push_client *c, struct span lines)
{
    struct span rest = arena_dup(&c->who.arena, lines);
    size_t room = 1, count = 0;
    for (size_t i = 0; i < lines.len; i++) {
        room += lines.at[i] == '\n';
    }
    struct span *known = arena_array(&c->who.arena, room, sizeof(*known));
    while (rest.len > 0) {
        known[count++] = span_cut(&rest, '\n');
    }
    c->who.known = known;
    c->who.known_count = count;
    c->awaits_hints = false;
    enqueue(c);
}

/* Could the resource of that name be another, now that endpoints of the services that are due changed? */
static bool is_concerned(struct push_client *c, enum proxies_type type, struct span name)
{
    struct addr at;
    struct err err;
    switch (type) {
    case PROXIES_CLUSTER:
    case PROXIES_ENDPOINTS:
        return concerns_due(c, translate_service_of(c->worker->world, name));
    case PROXIES_LISTENER: /* of one endpoint of a headless service */
        if (addr_parse(name, &at, &err) == 0 && at.kind == ADDR_IP) {
            const struct world_port *port;
            const struct world_service *s =
                world_service_at(c->worker->world, &at.ip, at.port, c->who.namespace, &port);
            return s == NULL || concerns_due(c, s);
        }
        return false;
    default:
        return concerns_due(c, world_find_host(c->worker->world, name, c->who.namespace));
    }
}

/* ---- answering ---- */

struct answering {
    struct push_client *client;
    struct span type_url;
    enum proxies_type type;
    bool only_services;
    struct xds_resource *resources;
    size_t count, room;
    struct span *gone;
    size_t gone_count, gone_room;
    uint32_t asked;
};

static void add_resource(struct answering *a, struct span name, const struct push_resource *r)
{
    struct arena *arena = &a->client->worker->scratch;
    if (a->count == a->room) {
        size_t room = a->room ? a->room * 2 : 32;
        struct xds_resource *more = arena_array(arena, room, sizeof *more);
        if (a->count > 0) {
            memcpy(more, a->resources, a->count * sizeof *more);
        }
        a->resources = more;
        a->room = room;
    }
    a->resources[a->count++] = (struct xds_resource){
        .name = name, .version = r->version, .type_url = a->type_url, .value = r->value};
}

static void add_gone(struct answering *a, struct span name)
{
    struct arena *arena = &a->client->worker->scratch;
    if (a->gone_count == a->gone_room) {
        size_t room = a->gone_room ? a->gone_room * 2 : 8;
        struct span *more = arena_array(arena, room, sizeof *more);
        if (a->gone_count > 0) {
            memcpy(more, a->gone, a->gone_count * sizeof *more);
        }
        a->gone = more;
        a->gone_room = room;
    }
    a->gone[a->gone_count++] = name;
}

/* There is such a resource. */
static bool add_one(struct answering *a, struct span name)
{
    struct push_client *c = a->client;
    struct push_worker *w = c->worker;
    if (a->only_services && !is_concerned(c, a->type, name)) {
        return false;
    }
    struct push_resource r;
    push_cache_get(&w->cache, w->world, &c->who, a->type_url, name, &w->scratch, &r);
    if (r.exists) {
        add_resource(a, arena_dup(&w->scratch, name), &r);
    } else {
        add_gone(a, arena_dup(&w->scratch, name));
    }
    return r.exists;
}

static void on_name(void *arg, struct span name)
{
    struct answering *a = arg;
    if (!span_eq(name, XDS_WILDCARD)) {
        a->asked++;
        if (add_one(a, name)) {
            push_uses_add(a->client, a->type, name);
        }
        return;
    }
    struct span *names = NULL;
    struct push_worker *w = a->client->worker;
    size_t count = translate_names(w->world, &a->client->who, a->type_url, &w->scratch, &names);
    for (size_t i = 0; i < count; i++) {
        a->asked++;
        (void)add_one(a, names[i]); /* its own side */
    }
}

static void tell_sent(struct push_client *c, enum proxies_type type, enum push_step step,
                      uint32_t names)
{
    struct push_news *n = news_of(c, PUSH_TYPE);
    n->type = type;
    n->step = step;
    n->names = c->told_names[type] = names;
    n->version = c->worker->world->version;
    push_post_news_take(c->worker->push, n);
}

/* False: the stream is over, and the client with it. */
static bool answer(struct push_client *c, enum proxies_type type, bool only_services)
{
    struct push_worker *w = c->worker;
    char version[24];
    if (c->is_sotw && xds_type_is_full(span_of(proxies_type_urls[type]))) {
        only_services = false; /* what an answer leaves out is gone there */
    }
    struct answering a = {.client = c,
                          .type_url = span_of(proxies_type_urls[type]),
                          .type = type,
                          .only_services = only_services};
    arena_reset(&w->scratch);
    push_cache_trim(&w->cache);
    xds_server_each(c->stream, a.type_url, on_name, &a);
    struct span text = span_of_u64(w->world->version, version);
    int64_t since = c->due_since_us[type];
    c->due_since_us[type] = 0;
    int rc = xds_server_send(c->stream, &(struct xds_answer){.type_url = a.type_url,
                                                             .version = text,
                                                             .resources = a.resources,
                                                             .count = a.count,
                                                             .is_complete = !only_services,
                                                             .gone = a.gone,
                                                             .gone_count = a.gone_count});
    if (rc > 0) {
        c->sent_since_us[type] = since;
        tell_sent(c, type, PUSH_SENT, a.asked);
    } else if (rc == 0 && a.asked != c->told_names[type]) {
        tell_sent(c, type, PUSH_HAD, a.asked);
    }
    return rc >= 0;
}

static bool is_tapped(const struct push_client *c)
{
    const struct push_worker *w = c->worker;
    for (size_t i = 0; i < w->tap_count; i++) {
        struct span name = span_of(w->taps[i]);
        struct span namespace = span_cut(&name, '/');
        if ((namespace.len == 0 || span_eq(namespace, c->who.namespace)) &&
            (name.len == 0 || span_eq(name, c->who.workload))) {
            return true;
        }
    }
    return false;
}

/* The switch of tap: a resource that is there while somebody watches. */
static bool answer_tap(struct push_client *c)
{
    c->is_tapped = is_tapped(c);
    struct arena *arena = &c->worker->scratch;
    arena_reset(arena);
    struct pb_core_TypedExtensionConfig config = {.name = SPAN(TAP_NAME)};
    struct xds_resource r = {.name = SPAN(TAP_NAME),
                             .version = SPAN("1"),
                             .type_url = SPAN(TAP_TYPE),
                             .value =
                                 pb_encode_in(&pb_core_TypedExtensionConfig_desc, &config, arena)};
    return xds_server_send(c->stream, &(struct xds_answer){.type_url = SPAN(TAP_TYPE),
                                                           .version = SPAN("1"),
                                                           .resources = &r,
                                                           .count = c->is_tapped ? 1 : 0,
                                                           .is_complete = true}) >= 0;
}

void push_client_work(struct push_client *c)
{
    if (c->tap_is_due && !xds_server_is_busy(c->stream, SPAN(TAP_TYPE))) {
        c->tap_is_due = false;
        if (!answer_tap(c)) {
            return;
        }
    }
    bool is_left = false;
    for (enum proxies_type t = 0; t < PROXIES_TYPE_COUNT; t++) {
        if (c->due[t] == PUSH_NOTHING || (t == PROXIES_LISTENER && c->awaits_hints)) {
            continue;
        }
        if (xds_server_is_busy(c->stream, span_of(proxies_type_urls[t]))) {
            is_left = is_left || c->due[t] == PUSH_SERVICES;
            continue; /* on_ask comes with its ACK, or on_drained */
        }
        bool only_services = c->due[t] == PUSH_SERVICES;
        c->due[t] = PUSH_NOTHING;
        if (!answer(c, t, only_services)) {
            return;
        }
    }
    if (!is_left) {
        c->due_count = 0;
    }
}

static int type_of(struct span type_url)
{
    for (int i = 0; i < PROXIES_TYPE_COUNT; i++) {
        if (span_is(type_url, proxies_type_urls[i])) {
            return i;
        }
    }
    return -1;
}

static void tell_taken(struct push_client *c, enum proxies_type type, const struct xds_ask *ask)
{
    struct push_news *n = news_of(c, PUSH_TYPE);
    n->type = type;
    n->step = ask->is_nack ? PUSH_REFUSED : PUSH_TAKEN;
    n->since_us = c->sent_since_us[type];
    c->sent_since_us[type] = 0;
    if (ask->is_nack) {
        n->why = mem_strndup(ask->why.at, ask->why.len);
        log_warn("push", "MESH4005 node=%.*s refused type=%s why=\"%.*s\"", SPAN_ARG(c->who.id),
                 proxies_type_names[type], SPAN_ARG(ask->why));
    }
    push_post_news_take(c->worker->push, n);
}

static void on_ask(void *arg, struct xds_stream *s, const struct xds_ask *ask)
{
    UNUSED(arg);
    struct push_client *c = xds_server_get(s);
    int type = type_of(ask->type_url);
    if (type < 0) {
        if (span_is(ask->type_url, TAP_TYPE)) {
            c->tap_is_due = c->tap_is_due || ask->wants_answer;
        } else if (ask->wants_answer) { /* nothing of that type, and it is told so */
            (void)xds_server_send(s, &(struct xds_answer){.type_url = ask->type_url,
                                                          .version = SPAN("0"),
                                                          .is_complete = true});
            return;
        }
    } else {
        if (ask->is_ack || ask->is_nack) {
            tell_taken(c, (enum proxies_type)type, ask);
        }
        push_uses_look(c);
        if (ask->wants_answer) {
            c->due[type] = PUSH_ALL;
        }
    }
    enqueue(c);
}

static void on_drained(void *arg, struct xds_stream *s)
{
    UNUSED(arg);
    enqueue(xds_server_get(s));
}

const struct xds_server_events push_client_events = {
    .on_open = on_open, .on_ask = on_ask, .on_drained = on_drained, .on_close = on_close};
