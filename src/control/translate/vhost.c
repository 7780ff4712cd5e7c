/* Virtual hosts: the routes of what objects say, or one plain route. world_route -> Route.
 * Next: vhost_match, vhost_action.
 * Source: Istio pilot/pkg/networking/core/route/route.go (BuildHTTPRoutesForVirtualService, TranslateRoute). */
#include "control/translate/translate_int.h"
#include "proto/route.pb.h"

struct pb_route_VirtualHost *vhost_new(struct translation *t, struct span name)
{
    struct pb_route_VirtualHost *v = arena_new(t->arena, struct pb_route_VirtualHost);
    v->name = name;
    return v;
}

void vhost_add_domain(struct translation *t, struct pb_route_VirtualHost *v, struct span domain)
{
    PB_ADD(t->arena, &v->domains, domain);
}

static void decorate(struct translation *t, struct pb_route_Route *r, struct span operation)
{
    r->decorator = arena_new(t->arena, struct pb_route_Decorator);
    r->decorator->operation = operation;
}

struct pb_route_Route *vhost_route_all(struct translation *t, struct span cluster,
                                       struct span operation)
{
    struct pb_route_Route *r = arena_new(t->arena, struct pb_route_Route);
    struct pb_route_RouteAction *a = arena_new(t->arena, struct pb_route_RouteAction);
    r->name = SPAN("default");
    r->match = vhost_match(t, NULL);
    a->cluster_specifier_case = PB_ROUTE_ROUTE_ACTION_CLUSTER_SPECIFIER_CLUSTER;
    a->cluster = cluster;
    a->timeout = message_ms(t->arena, 0);
    a->max_stream_duration = arena_new(t->arena, struct pb_route_RouteAction_MaxStreamDuration);
    a->max_stream_duration->max_stream_duration = message_ms(t->arena, 0);
    a->max_stream_duration->grpc_timeout_header_max = message_ms(t->arena, 0);
    r->action_case = PB_ROUTE_ROUTE_ACTION_ROUTE;
    r->route = a;
    if (operation.len > 0) {
        decorate(t, r, operation);
    }
    return r;
}

void vhost_add_plain(struct translation *t, struct pb_route_VirtualHost *v,
                     const struct world_service *s, uint16_t port)
{
    struct span operation =
        MESSAGE_JOIN(t->arena, translate_host_port(t->arena, s->host, port), SPAN("/*"));
    struct pb_route_Route *r =
        vhost_route_all(t, translate_cluster_name(t->arena, s->host, port, SPAN_EMPTY), operation);
    vhost_action_defaults(t, r->route, s, port, SPAN_EMPTY);
    PB_ADD(t->arena, &v->routes, r);
}

/* ---- does a match concern this node and listener? ---- */

static bool has_labels(const struct translation *t, const struct world_match *m)
{
    for (size_t i = 0; i < m->source_label_count; i++) {
        struct span value =
            selector_label(t->n->labels, t->n->label_count, m->source_labels[i].key);
        if (!value.at || !span_eq(value, m->source_labels[i].value)) {
            return false;
        }
    }
    return true;
}

static bool of_gateway(const struct world_match *m, struct span gateway)
{
    struct span want = gateway.len > 0 ? gateway : SPAN("mesh");
    for (size_t i = 0; i < m->gateway_count; i++) {
        if (span_eq(m->gateways[i], want)) {
            return true;
        }
    }
    return m->gateway_count == 0;
}

static bool concerns(struct translation *t, const struct world_match *m, const struct vhost_for *to)
{
    if ((m->port != 0 && m->port != to->port) || !of_gateway(m, to->gateway) ||
        (m->source_namespace.len > 0 && !span_eq(m->source_namespace, t->n->namespace))) {
        return false;
    }
    if (m->source_label_count > 0) {
        t->for_node = true;
    }
    return has_labels(t, m);
}

/* ---- a route ---- */

/* "reviews.default.svc.cluster.local:9080/api*": what x-envoy-decorator-operation and spans call it. */
static struct span operation_of(struct translation *t, const struct pb_route_Route *r,
                                const struct world_route *from, const struct vhost_for *to)
{
    const struct pb_route_RouteMatch *m = r->match;
    struct span path = m->path.len > 0 ? m->path
                       : m->safe_regex ? m->safe_regex->regex
                       : m->path_separated_prefix.len > 0
                           ? MESSAGE_JOIN(t->arena, m->path_separated_prefix, SPAN("/*"))
                           : MESSAGE_JOIN(t->arena, m->prefix, SPAN("*"));
    struct span host = to->any_host;
    uint16_t port = to->port;
    bool is_one = r->route && r->route->cluster_specifier_case ==
                                  PB_ROUTE_ROUTE_ACTION_CLUSTER_SPECIFIER_CLUSTER;
    for (size_t i = 0; is_one && i < from->backend_count; i++) {
        const struct world_backend *b = &from->backends[i];
        if (b->weight > 0 || from->backend_count == 1) {
            host = b->service ? b->service->host : b->host;
            port = b->port;
        }
    }
    return MESSAGE_JOIN(t->arena, translate_host_port(t->arena, host, port), path);
}

/* True: nothing after it is ever reached. */
static bool add_route(struct translation *t, struct pb_route_VirtualHost *v,
                      const struct world_virtual_host *rules, const struct vhost_action *a)
{
    struct pb_route_Route *r = arena_new(t->arena, struct pb_route_Route);
    r->name = a->route->name;
    r->match = vhost_match(t, a->match);
    vhost_action_do(t, r, a);
    decorate(t, r, operation_of(t, r, a->route, a->to));
    if (rules->object) {
        message_put_text(t->arena, message_metadata(t->arena, &r->metadata, SPAN("istio")),
                         SPAN("config"), translate_config_path(t->arena, rules->object));
    }
    PB_ADD(t->arena, &v->routes, r);
    return r->match->headers.count == 0 && r->match->query_parameters.count == 0 &&
           span_is(r->match->prefix, "/");
}

void vhost_add_routes(struct translation *t, struct pb_route_VirtualHost *v,
                      const struct world_virtual_host *rules, const struct vhost_for *to)
{
    /* Gateway API: a reference to nothing answers 500; Istio's routes just find no cluster. */
    bool is_gateway_api = rules->object && rules->object->kind == OBJECT_HTTP_ROUTE;
    for (size_t i = 0; i < rules->route_count; i++) {
        struct vhost_action a = {
            .route = &rules->routes[i], .to = to, .no_service = is_gateway_api ? 500 : 503};
        bool is_last = false;
        if (a.route->match_count == 0) {
            is_last = add_route(t, v, rules, &a);
        }
        for (size_t k = 0; k < a.route->match_count && !is_last; k++) {
            a.match = &a.route->matches[k];
            is_last = concerns(t, a.match, to) && add_route(t, v, rules, &a);
        }
        if (is_last) {
            return;
        }
    }
}
