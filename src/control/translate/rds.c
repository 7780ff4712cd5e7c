/* Route tables and, on demand, single virtual hosts of sidecars; tables of gateways.
 *
 *   "<port>"        HTTP of all services with that port, found by Host
 *   "<host>:<port>" a port that was found to speak HTTP: one service, whatever Host says
 *   "http_proxy"    the HTTP proxy port: any service and port
 *   "http.<port>", "https.<port>.<server>.<gateway>.<namespace>"  gateways (rds_gateway.c)
 *
 * On demand the first and the third hold only the catch-all, and `vhds`; virtual hosts are asked for by "<table>/<host>". A gateway's
 * tables are always whole: their hosts are few, and a stranger's Host header must not make a look-up.
 * Source: Istio pilot/pkg/networking/core/httproute.go; Envoy VHDS. */
#include "control/translate/translate_int.h"
#include "proto/route.pb.h"

#define HTTP_PROXY_ROUTE "http_proxy"
#define HTTP_PORT 80

bool rds_is_shared(const struct world_port *port)
{
    return port_protocol_is_http(port->protocol);
}

/* ---- catch-all ---- */

/* What no virtual host takes: passed to where the application meant it to go. Who came by the HTTP proxy port meant the proxy: passed on,
 * it would come back for ever. */
static struct pb_route_VirtualHost *catch_all(struct translation *t, bool is_proxy)
{
    bool allow = t->w->config->mesh.allow_any && !is_proxy;
    struct pb_route_VirtualHost *v = vhost_new(t, allow ? SPAN("allow_any") : SPAN("block_all"));
    vhost_add_domain(t, v, SPAN("*"));
    if (allow) {
        struct pb_route_Route *r = vhost_route_all(t, SPAN(CLUSTER_PASSTHROUGH), SPAN_EMPTY);
        r->name = v->name;
        PB_ADD(t->arena, &v->routes, r);
        return v;
    }
    struct pb_route_Route *r = arena_new(t->arena, struct pb_route_Route);
    r->name = v->name;
    r->match = vhost_match(t, NULL);
    r->action_case = PB_ROUTE_ROUTE_ACTION_DIRECT_RESPONSE;
    r->direct_response = arena_new(t->arena, struct pb_route_DirectResponseAction);
    r->direct_response->status = 502;
    if (is_proxy) { /* who sees it can only have asked for a name */
        r->direct_response->body = arena_new(t->arena, struct pb_core_DataSource);
        r->direct_response->body->specifier_case = PB_CORE_DATA_SOURCE_SPECIFIER_INLINE_STRING;
        r->direct_response->body->inline_string = SPAN("no service of the mesh has this host\n");
    }
    PB_ADD(t->arena, &v->routes, r);
    return v;
}

/* ---- one virtual host ---- */

/* "web-0.web.default.svc.cluster.local": one pod of a headless service. It is reached at the address that was dialled, so
 * that is no use to who can not tell that. */
static const struct world_service *service_of(struct translation *t, struct span host)
{
    const struct world_service *s = world_find_host(t->w, host, t->n->namespace);
    ssize_t dot = span_find_byte(host, '.');
    if (s || dot <= 0 || t->n->interception == NODE_NONE) {
        return s;
    }
    s = world_find_host(t->w, span_from_offset(host, (size_t)dot + 1), t->n->namespace);
    t->for_node = true;
    return s && s->headless && s->resolution == WORLD_PASSTHROUGH ? s : NULL;
}

/* A host on a port: what an object says about it, or plainly the service. NULL: neither. */
static struct pb_route_VirtualHost *host_of(struct translation *t, struct span host,
                                            const struct world_service *s, uint16_t port)
{
    const struct world_port *p = s ? world_port_of(s, port) : NULL;
    if (p && !rds_is_shared(p) && p->protocol != PROTOCOL_AUTO) {
        p = NULL;
    }
    struct span full = s && s->host.len > 0 && s->host.at[0] != '*' ? s->host : host;
    const struct world_virtual_host *rules =
        world_mesh_routes(t->w, full, s, port, t->n->namespace);
    if (rules && rules->route_count == 0) { /* only of TLS or TCP */
        rules = NULL;
    }
    if (!p && !rules) {
        return NULL;
    }
    struct pb_route_VirtualHost *v = vhost_new(t, translate_host_port(t->arena, full, port));
    v->include_request_attempt_count = true;
    if (rules) {
        struct vhost_for to = {.port = port, .any_host = full};
        vhost_add_routes(t, v, rules, &to);
    } else {
        vhost_add_plain(t, v, s, port);
    }
    return v;
}

/* ---- domains of full tables ---- */

static void add_both(struct translation *t, struct pb_route_VirtualHost *v, struct span host,
                     struct span port)
{
    vhost_add_domain(t, v, host);
    vhost_add_domain(t, v, MESSAGE_JOIN(t->arena, host, SPAN(":"), port));
}

/* "reviews", "reviews.default", "reviews.default.svc", as far as they mean this service to the client. */
static void add_short(struct translation *t, struct pb_route_VirtualHost *v,
                      const struct world_service *s, struct span port)
{
    struct span domain = MESSAGE_JOIN(t->arena, s->name, SPAN("."), s->namespace, SPAN(".svc."),
                                      t->w->config->mesh.domain);
    if (!span_eq(domain, s->host)) {
        return;
    }
    size_t base = s->name.len + 1 + s->namespace.len;
    if (span_eq(s->namespace, t->n->namespace)) {
        add_both(t, v, s->name, port);
    }
    add_both(t, v, span_first(s->host, base), port);
    add_both(t, v, span_first(s->host, base + sizeof(".svc") - 1), port);
}

static void add_domains(struct translation *t, struct pb_route_VirtualHost *v, struct span host,
                        const struct world_service *s, uint16_t number)
{
    struct span port = message_number(t->arena, number);
    add_both(t, v, host, port);
    if (!s) {
        return;
    }
    add_short(t, v, s, port);
    for (size_t i = 0; i < s->address_count; i++) {
        struct span ip = message_ip(t->arena, &s->addresses[i]);
        add_both(t, v,
                 s->addresses[i].family == 6 ? MESSAGE_JOIN(t->arena, SPAN("["), ip, SPAN("]"))
                                             : ip,
                 port);
    }
    if (s->headless) { /* "web-0.web.default.svc.cluster.local" */
        add_both(t, v, MESSAGE_JOIN(t->arena, SPAN("*."), host), port);
    }
}

/* Each domain of a table once: Envoy and ours refuse a second. */
struct table {
    struct pb_route_RouteConfiguration *r;
    struct map seen;
};

static void add_host(struct translation *t, struct table *table, struct pb_route_VirtualHost *v)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < v->domains.count; i++) {
        if (!map_get(&table->seen, v->domains.at[i])) {
            map_put(&table->seen, v->domains.at[i], v);
            v->domains.at[kept++] = v->domains.at[i];
        }
    }
    v->domains.count = kept;
    if (kept > 0) {
        PB_ADD(t->arena, &table->r->virtual_hosts, v);
    }
}

static void add_service(struct translation *t, struct table *table, const struct world_service *s,
                        uint16_t port)
{
    struct pb_route_VirtualHost *v = host_of(t, s->host, s, port);
    if (v) {
        add_domains(t, v, s->host, s, port);
        add_host(t, table, v);
    }
}

static bool is_mesh(const struct world_virtual_host *v)
{
    for (size_t i = 0; i < v->gateway_count; i++) {
        if (span_is(v->gateways[i], "mesh")) {
            return true;
        }
    }
    return false;
}

/* Hosts that only a VirtualService knows. */
static void add_ruled(struct translation *t, struct table *table, uint16_t port)
{
    const struct world_config *c = t->w->config;
    for (size_t i = 0; i < c->virtual_host_count; i++) {
        const struct world_virtual_host *rules = &c->virtual_hosts[i];
        for (size_t k = 0; is_mesh(rules) && k < rules->host_count; k++) {
            struct span host = rules->hosts[k];
            if (world_find_host(t->w, host, t->n->namespace)) {
                continue;
            }
            struct pb_route_VirtualHost *v = host_of(t, host, NULL, port);
            if (v) {
                add_domains(t, v, host, NULL, port);
                add_host(t, table, v);
            }
        }
    }
}

/* "*" alone is the table's own. */
static void end_table(struct translation *t, struct table *table, bool is_proxy)
{
    if (!map_get(&table->seen, SPAN("*"))) {
        PB_ADD(t->arena, &table->r->virtual_hosts, catch_all(t, is_proxy));
    }
    map_dispose(&table->seen);
}

/* ---- tables ---- */

struct pb_route_RouteConfiguration *rds_new(struct translation *t, struct span name)
{
    struct pb_route_RouteConfiguration *r = arena_new(t->arena, struct pb_route_RouteConfiguration);
    r->name = name;
    r->validate_clusters = message_bool(t->arena, false);
    r->max_direct_response_body_size_bytes = message_u32(t->arena, RDS_DIRECT_BODY_MAX);
    return r;
}

static struct pb_route_RouteConfiguration *on_demand(struct translation *t, struct span name,
                                                     bool is_proxy)
{
    struct pb_route_RouteConfiguration *r = rds_new(t, name);
    PB_ADD(t->arena, &r->virtual_hosts, catch_all(t, is_proxy));
    r->vhds = arena_new(t->arena, struct pb_route_Vhds);
    r->vhds->config_source = message_ads(t->arena);
    return r;
}

static bool is_mine(const struct translation *t, const struct world_service *s)
{
    return world_find_host(t->w, s->host, t->n->namespace) == s;
}

static struct pb_route_RouteConfiguration *by_port(struct translation *t, struct span name,
                                                   uint16_t port)
{
    struct table table = {.r = rds_new(t, name)};
    map_init(&table.seen);
    for (size_t i = 0; i < t->w->config->service_count; i++) {
        const struct world_service *s = t->w->config->services[i];
        const struct world_port *p = world_port_of(s, port);
        if (p && rds_is_shared(p) && is_mine(t, s)) {
            add_service(t, &table, s, port);
        }
    }
    add_ruled(t, &table, port);
    end_table(t, &table, false);
    return table.r;
}

/* By "host:port"; without a port it is 80. */
static void drop_bare(struct pb_route_VirtualHost *v)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < v->domains.count; i++) {
        struct span d = v->domains.at[i];
        ssize_t colon = span_rfind_byte(d, ':');
        if (colon >= 0 && !(d.len > 0 && d.at[d.len - 1] == ']')) {
            v->domains.at[kept++] = d;
        }
    }
    v->domains.count = kept;
}

static struct pb_route_RouteConfiguration *http_proxy(struct translation *t, struct span name)
{
    struct table table = {.r = rds_new(t, name)};
    map_init(&table.seen);
    for (size_t i = 0; i < t->w->config->service_count; i++) {
        const struct world_service *s = t->w->config->services[i];
        for (size_t k = 0; k < s->port_count && is_mine(t, s); k++) {
            uint16_t port = s->ports[k].number;
            struct pb_route_VirtualHost *v = host_of(t, s->host, s, port);
            if (v) {
                add_domains(t, v, s->host, s, port);
                if (port != HTTP_PORT) {
                    drop_bare(v);
                }
                add_host(t, &table, v);
            }
        }
    }
    add_ruled(t, &table, HTTP_PORT);
    end_table(t, &table, true);
    return table.r;
}

/* "reviews.default.svc.cluster.local:9080": all that comes is for that service. */
static struct pb_route_RouteConfiguration *by_service(struct translation *t, struct span name)
{
    ssize_t colon = span_rfind_byte(name, ':');
    uint64_t port = 0;
    if (colon < 0 || !span_to_u64(span_from_offset(name, (size_t)colon + 1), &port) ||
        port > 65535) {
        return NULL;
    }
    struct span host = span_first(name, (size_t)colon);
    const struct world_service *s = world_find_host(t->w, host, t->n->namespace);
    if (!s || !host.at || !span_eq(s->host, host)) {
        return NULL;
    }
    struct pb_route_VirtualHost *v = host_of(t, host, s, (uint16_t)port);
    if (!v) {
        return NULL;
    }
    struct pb_route_RouteConfiguration *r = rds_new(t, name);
    vhost_add_domain(t, v, SPAN("*"));
    PB_ADD(t->arena, &r->virtual_hosts, v);
    return r;
}

struct pb_route_RouteConfiguration *rds_routes(struct translation *t, struct span name)
{
    if (t->n->kind == NODE_GATEWAY) {
        return rds_gateway(t, name);
    }
    uint64_t port = 0;
    bool is_port = span_to_u64(name, &port) && port > 0 && port < 65536;
    bool is_proxy = span_is(name, HTTP_PROXY_ROUTE);
    if (!is_port && !is_proxy) {
        return by_service(t, name);
    }
    if (t->n->on_demand) {
        t->for_node = true; /* others of the namespace may want all of it */
        return on_demand(t, name, is_proxy);
    }
    t->for_node = true;
    return is_proxy ? http_proxy(t, name) : by_port(t, name, (uint16_t)port);
}

/* ---- on demand ---- */

/* "reviews:9080", "[fd00::1]:80", "reviews": false when the port is not one. */
static bool split_host(struct span text, struct span *host, uint16_t *port)
{
    ssize_t colon = span_rfind_byte(text, ':');
    struct span before = span_first(text, colon > 0 ? (size_t)colon : 0);
    bool has_port = colon > 0 && (!span_starts(text, SPAN("[")) || span_ends(before, SPAN("]")));
    *host = has_port ? before : text;
    if (has_port) {
        uint64_t number = 0;
        if (!span_to_u64(span_from_offset(text, (size_t)colon + 1), &number) || number == 0 ||
            number > 65535) {
            return false;
        }
        *port = (uint16_t)number;
    }
    if (host->len > 2 && span_starts(*host, SPAN("[")) && span_ends(*host, SPAN("]"))) {
        *host = span_from(host->at + 1, host->len - 2);
    }
    return host->len > 0;
}

struct pb_route_VirtualHost *rds_virtual_host(struct translation *t, struct span name)
{
    ssize_t slash = span_find_byte(name, '/');
    if (slash < 0 || t->n->kind == NODE_GATEWAY) {
        return NULL;
    }
    struct span table = span_first(name, (size_t)slash);
    struct span asked = span_from_offset(name, (size_t)slash + 1);
    uint64_t number = 0;
    bool is_proxy = span_is(table, HTTP_PROXY_ROUTE);
    if (!is_proxy && (!span_to_u64(table, &number) || number == 0 || number > 65535)) {
        return NULL;
    }
    struct span host;
    uint16_t port = is_proxy ? HTTP_PORT : (uint16_t)number;
    uint16_t said = port;
    if (!split_host(asked, &host, &said)) {
        return NULL;
    }
    if (is_proxy) {
        port = said;
    } else if (said != port) { /* a Host of another port is no domain of this table */
        return NULL;
    }
    const struct world_service *s = service_of(t, host);
    struct pb_route_VirtualHost *v = host_of(t, host, s, port);
    if (v) {
        vhost_add_domain(t, v, asked);
    }
    return v;
}
