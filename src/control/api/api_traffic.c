/* Golden numbers and where traffic goes: GET /api/v1/stat, /api/v1/edges, /api/v1/routes.
 * In: api. Out: answers from insight, beside what the world says there should be. */
#include <stdlib.h>

#include "base/instant.h"
#include "base/map.h"
#include "control/api/api_parts.h"
#include "control/api/api_value.h"
#include "control/insight/insight.h"
#include "control/push/push.h"
#include "control/world/world.h"

#define WINDOW_S 60
#define WINDOW_MAX_S 86400
#define SPARK_S 600 /* "LAST 10 MIN" */

static void set_numbers(struct arena *a, struct doc_node *to, const struct insight_numbers *n)
{
    api_set_number(a, to, "rps", n->rps);
    api_set_number(a, to, "success", n->success);
    api_set_number(a, to, "p50Ms", n->p50_ms);
    api_set_number(a, to, "p95Ms", n->p95_ms);
    api_set_number(a, to, "p99Ms", n->p99_ms);
    api_set_number(a, to, "mtls", n->mtls);
    if (n->connections > 0 || n->bytes_sent > 0 || n->bytes_received > 0) {
        api_set_number(a, to, "connections", n->connections);
        api_set_number(a, to, "sentBytesPerSecond", n->bytes_sent);
        api_set_number(a, to, "receivedBytesPerSecond", n->bytes_received);
    }
    struct doc_node *spark = doc_list_in(a, to, "spark");
    for (size_t i = 0; i < INSIGHT_SPARK; i++) {
        doc_list_add(a, spark, doc_double(a, (double)n->spark[i]));
    }
}

static struct doc_node *end_to_doc(struct arena *a, const struct insight_end *e)
{
    struct doc_node *to = doc_new_map(a);
    api_set_text(a, to, "workload", e->workload);
    api_set_text(a, to, "namespace", e->namespace);
    api_set_text(a, to, "app", e->app);
    api_set_text(a, to, "version", e->version);
    api_set_text(a, to, "principal", e->principal);
    return to;
}

/* ---- stat ---- */

/* A workload of the world: how many there are of it, and how many of them have a proxy that is connected. */
struct row {
    struct span namespace, workload, app, version;
    int64_t total, meshed;
    const struct insight_workload *numbers;
    bool is_gateway;
};
struct rows {
    struct api_call *call;
    struct row *at;
    size_t count, room;
    struct map by_name; /* "namespace/workload" -> index + 1: rows move */
};

static struct row *row_of(struct rows *all, struct span namespace, struct span workload)
{
    struct span key = span_of(
        arena_printf(all->call->arena, "%.*s/%.*s", SPAN_ARG(namespace), SPAN_ARG(workload)));
    uintptr_t place = (uintptr_t)map_get(&all->by_name, key);
    if (place > 0) {
        return &all->at[place - 1];
    }
    if (all->count == all->room) {
        size_t room = all->room ? all->room * 2 : 64;
        struct row *more = arena_array(all->call->arena, room, sizeof *more);
        for (size_t i = 0; i < all->count; i++) {
            more[i] = all->at[i];
        }
        all->at = more;
        all->room = room;
    }
    struct row *r = &all->at[all->count++];
    *r = (struct row){.namespace = namespace, .workload = workload};
    (void)map_put(&all->by_name, key, (void *)(uintptr_t)all->count);
    return r;
}

static void add_workload(void *arg, const struct world_workload *w)
{
    if (w->name.len == 0) {
        return; /* an address that nobody told a name of, as of the API server itself */
    }
    struct row *r = row_of(arg, w->namespace, w->name);
    r->app = w->app;
    r->version = w->version;
    r->total++;
}

static void add_proxies(struct rows *all, const struct proxies *proxies)
{
    LIST_EACH(node, next, &proxies->entries) {
        const struct proxy_entry *e = list_item(node, struct proxy_entry, node);
        struct row *r = row_of(all, e->who.namespace, e->who.workload);
        r->meshed++;
        r->is_gateway = e->who.kind == NODE_GATEWAY;
        r->total = r->total < r->meshed ? r->meshed : r->total;
    }
}

static void add_numbers(struct rows *all, const struct insight_workload *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct insight_end *end = &items[i].workload;
        if (end->workload.len == 0) {
            continue; /* whoever is not known has no row; edges show it */
        }
        struct row *r = row_of(all, end->namespace, end->workload);
        r->numbers = &items[i];
        r->app = r->app.len > 0 ? r->app : end->app;
        r->version = r->version.len > 0 ? r->version : end->version;
    }
}

static int by_name(const void *x, const void *y)
{
    const struct row *a = x;
    const struct row *b = y;
    int order = span_cmp(a->namespace, b->namespace);
    return order ? order : span_cmp(a->workload, b->workload);
}

static struct doc_node *row_to_doc(struct arena *a, const struct row *r)
{
    struct doc_node *to = doc_new_map(a);
    api_set_text(a, to, "namespace", r->namespace);
    api_set_text(a, to, "workload", r->workload);
    api_set_text(a, to, "app", r->app);
    api_set_text(a, to, "version", r->version);
    api_set_bool(a, to, "gateway", r->is_gateway);
    api_set_int(a, to, "instances", r->total);
    api_set_int(a, to, "meshed", r->meshed);
    if (r->numbers) {
        set_numbers(a, doc_map_in(a, to, "inbound"), &r->numbers->in);
        set_numbers(a, doc_map_in(a, to, "outbound"), &r->numbers->out);
    }
    return to;
}

static void get_stat(struct api_call *c)
{
    int64_t window;
    if (!api_number(c, "window", 1, WINDOW_MAX_S, WINDOW_S, &window)) {
        return;
    }
    struct rows all = {.call = c};
    struct insight_workload *items = NULL;
    struct span namespace = api_param(c, "namespace");
    size_t count = insight_workloads(c->api->insight, instant_wall_us(), (int)window, SPARK_S,
                                     c->arena, &items);
    map_init(&all.by_name);
    if (c->api->world) {
        world_each_workload(c->api->world, add_workload, &all);
    }
    if (c->api->push) {
        add_proxies(&all, push_proxies(c->api->push));
    }
    add_numbers(&all, items, count);
    map_dispose(&all.by_name);
    if (all.count > 0) {
        qsort(all.at, all.count, sizeof *all.at, by_name);
    }
    struct doc_node *to = api_list(c, "StatList");
    api_set_int(c->arena, to, "windowSeconds", window);
    for (size_t i = 0; i < all.count; i++) {
        if (namespace.len == 0 || span_eq(namespace, all.at[i].namespace)) {
            doc_list_add(c->arena, doc_list_in(c->arena, to, "items"),
                         row_to_doc(c->arena, &all.at[i]));
        }
    }
    api_reply(c, 200, to);
}

/* ---- edges ---- */

static void get_edges(struct api_call *c)
{
    int64_t window;
    if (!api_number(c, "window", 1, WINDOW_MAX_S, WINDOW_S, &window)) {
        return;
    }
    struct insight_edge *edges = NULL;
    struct arena *a = c->arena;
    size_t count =
        insight_edges(c->api->insight, instant_wall_us(), (int)window, SPARK_S, a, &edges);
    struct doc_node *list = api_list(c, "EdgeList");
    api_set_int(a, list, "windowSeconds", window);
    for (size_t i = 0; i < count; i++) {
        struct doc_node *to = doc_new_map(a);
        doc_set(a, to, "source", end_to_doc(a, &edges[i].source));
        doc_set(a, to, "destination", end_to_doc(a, &edges[i].destination));
        api_set_text(a, to, "service", edges[i].service_host);
        api_set_text(a, to, "serviceName", edges[i].service_name);
        api_set_text(a, to, "protocol", edges[i].protocol);
        set_numbers(a, to, &edges[i].numbers);
        doc_list_add(a, doc_list_in(a, list, "items"), to);
    }
    api_reply(c, 200, list);
}

/* ---- routes ---- */

static const char *match_word(enum world_match_kind kind)
{
    static const char *const words[] = {"=", "^", "~", "present", "absent"};
    return words[kind];
}

static void set_match(struct arena *a, struct doc_node *list, const char *what,
                      const struct world_string_match *m)
{
    doc_list_add(a, list,
                 doc_cstr(a, arena_printf(a, "%s%s %s %.*s", m->inverted ? "not " : "", what,
                                          match_word(m->kind), SPAN_ARG(m->text))));
}

static struct doc_node *match_to_doc(struct arena *a, const struct world_match *m)
{
    struct doc_node *list = doc_new_list(a);
    if (m->has_path) {
        set_match(a, list, "path", &m->path);
    }
    if (m->has_method) {
        set_match(a, list, "method", &m->method);
    }
    if (m->has_authority) {
        set_match(a, list, "authority", &m->authority);
    }
    for (size_t i = 0; i < m->header_count; i++) {
        set_match(a, list, arena_printf(a, "header %.*s", SPAN_ARG(m->headers[i].name)),
                  &m->headers[i].value);
    }
    for (size_t i = 0; i < m->query_count; i++) {
        set_match(a, list, arena_printf(a, "query %.*s", SPAN_ARG(m->queries[i].name)),
                  &m->queries[i].value);
    }
    return list;
}

static void set_backends(struct arena *a, struct doc_node *to, const struct world_route *r)
{
    uint64_t total = 0;
    for (size_t i = 0; i < r->backend_count; i++) {
        total += r->backends[i].weight;
    }
    struct doc_node *list = doc_list_in(a, to, "backends");
    for (size_t i = 0; i < r->backend_count; i++) {
        const struct world_backend *b = &r->backends[i];
        struct doc_node *one = doc_new_map(a);
        api_set_text(a, one, "host", b->host);
        api_set_text(a, one, "subset", b->subset);
        api_set_int(a, one, "port", b->port);
        api_set_int(a, one, "weight", b->weight);
        api_set_number(a, one, "share", total ? (double)b->weight / (double)total : -1);
        api_set_bool(a, one, "exists", b->service != NULL);
        doc_list_add(a, list, one);
    }
}

static struct doc_node *route_to_doc(struct arena *a, const struct world_route *r)
{
    static const char *const actions[] = {"forward", "redirect", "direct"};
    struct doc_node *to = doc_new_map(a);
    api_set_text(a, to, "name", r->name);
    api_set_text(a, to, "action", span_of(actions[r->action]));
    struct doc_node *matches = doc_list_in(a, to, "matches");
    for (size_t i = 0; i < r->match_count; i++) {
        doc_list_add(a, matches, match_to_doc(a, &r->matches[i]));
    }
    set_backends(a, to, r);
    if (r->timeout_ms >= 0) {
        api_set_number(a, to, "timeoutSeconds", (double)r->timeout_ms / 1000);
    }
    if (r->retry.set) {
        api_set_int(a, to, "retries", r->retry.attempts);
    }
    if (r->fault.delay_percent > 0) {
        api_set_number(a, to, "delaySeconds", (double)r->fault.delay_ms / 1000);
        api_set_number(a, to, "delayPercent", r->fault.delay_percent);
    }
    if (r->fault.abort_percent > 0) {
        api_set_int(a, to, "abortStatus", r->fault.abort_status);
        api_set_number(a, to, "abortPercent", r->fault.abort_percent);
    }
    return to;
}

/* What really answers for the service, version by version. */
static void set_shares(struct api_call *c, struct doc_node *to, struct span host, int64_t window)
{
    struct insight_workload *items = NULL;
    size_t count =
        insight_shares(c->api->insight, instant_wall_us(), (int)window, host, c->arena, &items);
    double total = 0;
    for (size_t i = 0; i < count; i++) {
        total += items[i].in.rps;
    }
    struct doc_node *list = doc_list_in(c->arena, to, "measured");
    for (size_t i = 0; i < count && total > 0; i++) {
        struct doc_node *one = end_to_doc(c->arena, &items[i].workload);
        api_set_number(c->arena, one, "rps", items[i].in.rps);
        api_set_number(c->arena, one, "share", items[i].in.rps / total);
        doc_list_add(c->arena, list, one);
    }
}

static const char *kind_of(const struct world_virtual_host *v)
{
    return v->object ? object_kinds[v->object->kind].kind : "";
}

static struct doc_node *vhost_to_doc(struct api_call *c, const struct world_virtual_host *v)
{
    struct arena *a = c->arena;
    struct doc_node *to = doc_new_map(a);
    api_set_text(a, to, "kind", span_of(kind_of(v)));
    api_set_text(a, to, "namespace", v->namespace);
    api_set_text(a, to, "name", v->object ? v->object->name : SPAN_EMPTY);
    api_set_text(a, to, "service", v->service ? v->service->host : SPAN_EMPTY);
    struct doc_node *hosts = doc_list_in(a, to, "hosts");
    for (size_t i = 0; i < v->host_count; i++) {
        doc_list_add(a, hosts, doc_text(a, v->hosts[i]));
    }
    struct doc_node *gateways = doc_list_in(a, to, "gateways");
    for (size_t i = 0; i < v->gateway_count; i++) {
        doc_list_add(a, gateways, doc_text(a, v->gateways[i]));
    }
    struct doc_node *routes = doc_list_in(a, to, "routes");
    for (size_t i = 0; i < v->route_count; i++) {
        doc_list_add(a, routes, route_to_doc(a, &v->routes[i]));
    }
    return to;
}

static void get_routes(struct api_call *c)
{
    int64_t window;
    struct span wanted = api_param(c, "host");
    struct span namespace = api_param(c, "namespace");
    if (!api_number(c, "window", 1, WINDOW_MAX_S, WINDOW_S, &window)) {
        return;
    }
    namespace = namespace.len > 0 ? namespace : SPAN("default");
    struct doc_node *list = api_list(c, "RouteList");
    const struct world *w = c->api->world;
    const struct world_service *only =
        w && wanted.len > 0 ? world_find_host(w, wanted, namespace) : NULL;
    if (wanted.len > 0 && !only) {
        api_refuse(c, 404, 2190, "mesh get services", "there is no service \"%.*s\"",
                   SPAN_ARG(wanted));
        return;
    }
    for (size_t i = 0; w && i < w->config->virtual_host_count; i++) {
        const struct world_virtual_host *v = &w->config->virtual_hosts[i];
        bool is_wanted = !only || v->service == only;
        for (size_t j = 0; j < v->host_count && !is_wanted; j++) {
            is_wanted = span_eq(v->hosts[j], only->host);
        }
        if (is_wanted) {
            doc_list_add(c->arena, doc_list_in(c->arena, list, "items"), vhost_to_doc(c, v));
        }
    }
    if (only) {
        api_set_text(c->arena, list, "host", only->host);
        set_shares(c, list, only->host, window);
    }
    api_reply(c, 200, list);
}

const struct api_route api_traffic_routes[] = {
    {"GET", "/api/v1/stat", API_OF_INSIGHT, get_stat},
    {"GET", "/api/v1/edges", API_OF_INSIGHT, get_edges},
    {"GET", "/api/v1/routes", API_OF_INSIGHT, get_routes},
    {NULL, NULL, 0, NULL},
};
