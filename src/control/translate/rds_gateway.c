/* Route tables of gateways: the hosts that servers and routes have in common.
 * Source: Istio pilot/pkg/networking/core/gateway.go (buildGatewayHTTPRouteConfig). */
#include "control/translate/translate_int.h"
#include "proto/route.pb.h"

struct gateway_table {
    struct translation *t;
    struct span name;
    struct pb_route_RouteConfiguration *r; /* NULL until there is a server */
    const struct world_gateway *g;         /* the server in hand */
    const struct world_server *s;
};

/* Several servers may share a host: then their routes follow one another. */
static struct pb_route_VirtualHost *host_of(struct gateway_table *table, struct span host)
{
    struct pb_route_RouteConfiguration *r = table->r;
    for (uint32_t i = 0; i < r->virtual_hosts.count; i++) {
        if (span_eq(r->virtual_hosts.at[i]->domains.at[0], host)) {
            return r->virtual_hosts.at[i];
        }
    }
    struct translation *t = table->t;
    struct pb_route_VirtualHost *v =
        vhost_new(t, translate_host_port(t->arena, host, table->s->port));
    v->include_request_attempt_count = true;
    vhost_add_domain(t, v, host);
    PB_ADD(t->arena, &r->virtual_hosts, v);
    return v;
}

static void redirect_to_https(struct gateway_table *table, struct pb_route_VirtualHost *v)
{
    if (table->s->https_redirect) {
        v->require_tls = PB_ROUTE_VIRTUAL_HOST_TLS_REQUIREMENT_TYPE_ALL;
    }
}

static void on_vhost(void *arg, struct span host, const struct world_virtual_host *rules)
{
    struct gateway_table *table = arg;
    if (rules->route_count == 0) { /* only of TLS or TCP */
        return;
    }
    struct pb_route_VirtualHost *v = host_of(table, host);
    struct vhost_for to = {.port = table->s->port, .gateway = table->g->key, .any_host = host};
    vhost_add_routes(table->t, v, rules, &to);
    redirect_to_https(table, v);
}

static void on_server(void *arg, const struct world_gateway *g, const struct world_server *s)
{
    struct gateway_table *table = arg;
    bool is_routed = lds_gateway_is_https(s) ||
                     (s->tls == WORLD_SERVER_PLAIN && port_protocol_is_http(s->protocol));
    if (!is_routed || !span_eq(lds_gateway_route(table->t, g, s), table->name)) {
        return;
    }
    if (!table->r) {
        table->r = rds_new(table->t, table->name);
        table->r->ignore_port_in_host_matching = true;
    }
    table->g = g;
    table->s = s;
    for (size_t i = 0; s->https_redirect && i < s->host_count; i++) {
        redirect_to_https(table, host_of(table, s->hosts[i]));
    }
    world_gateway_routes(table->t->w, g, s, on_vhost, table);
}

struct pb_route_RouteConfiguration *rds_gateway(struct translation *t, struct span name)
{
    t->for_node = true;
    struct gateway_table table = {.t = t, .name = name};
    lds_gateway_each(t, on_server, &table);
    if (table.r &&
        table.r->virtual_hosts.count == 0) { /* a table without hosts is refused by some */
        struct pb_route_VirtualHost *v = vhost_new(t, SPAN("blackhole"));
        vhost_add_domain(t, v, SPAN("*"));
        PB_ADD(t->arena, &table.r->virtual_hosts, v);
    }
    return table.r;
}
