/* Endpoints of a service's port: who can be asked, as the node sees it.
 * Source: Istio pilot/pkg/networking/core/endpoint builder (pilot/pkg/xds/endpoints). */
#include "control/translate/translate_int.h"
#include "io/addr.h"
#include "proto/endpoint.pb.h"

static bool has_labels(const struct world_endpoint *e, const struct label *want, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct span value = selector_label(e->labels, e->label_count, want[i].key);
        if (!value.at || !span_eq(value, want[i].value)) {
            return false;
        }
    }
    return true;
}

/* The workload's own policy may say that its port takes no mutual TLS. */
static bool takes_mutual_tls(const struct translation *t, const struct world_endpoint *e)
{
    return e->mutual_tls && (t->w->config->peer_auth_count == 0 ||
                             world_mtls_of(t->w, e->namespace, e->labels, e->label_count,
                                           e->port) != WORLD_MTLS_DISABLE);
}

bool eds_all_mutual(const struct translation *t, const struct destination *d)
{
    const struct world_endpoints *all = t->w->endpoints[d->service->index];
    size_t count = 0;
    for (size_t i = 0; i < all->count; i++) {
        const struct world_endpoint *e = &all->items[i];
        if (e->service_port != d->port->number) {
            continue;
        }
        if (!takes_mutual_tls(t, e)) {
            return false;
        }
        count++;
    }
    return count > 0;
}

/* Read by proxy/config/read_endpoints; "workload" is Istio's "name;namespace;app;version;cluster". */
static struct pb_core_Metadata *metadata(struct translation *t, const struct world_endpoint *e,
                                         struct span tunnel)
{
    struct pb_core_Metadata *m = NULL;
    struct arena *arena = t->arena;
    if (tunnel.len > 0) {
        message_put_text(arena, message_metadata(arena, &m, SPAN("envoy.transport_socket_match")),
                         SPAN("tunnel"), SPAN("http"));
        message_put_text(arena,
                         message_metadata(arena, &m, SPAN("envoy.filters.listener.original_dst")),
                         SPAN("local"), tunnel);
        if (e->service_account.len > 0) {
            message_put_text(
                arena, message_metadata(arena, &m, SPAN("mesh.tunnel")), SPAN("identity"),
                MESSAGE_JOIN(arena, SPAN("spiffe://"), t->w->config->mesh.trust_domain,
                             SPAN("/ns/"), e->namespace, SPAN("/sa/"), e->service_account));
        }
    } else if (takes_mutual_tls(t, e)) {
        message_put_text(t->arena,
                         message_metadata(t->arena, &m, SPAN("envoy.transport_socket_match")),
                         SPAN("tlsMode"), SPAN("istio"));
    }
    if (e->workload.len > 0 || e->app.len > 0) {
        struct span text =
            MESSAGE_JOIN(t->arena, e->workload, SPAN(";"), e->namespace, SPAN(";"), e->app,
                         SPAN(";"), e->version, SPAN(";"), t->w->config->mesh.cluster_id);
        message_put_text(t->arena, message_metadata(t->arena, &m, SPAN("istio")), SPAN("workload"),
                         text);
    }
    return m;
}

static struct pb_endpoint_LbEndpoint *endpoint(struct translation *t,
                                               const struct world_endpoint *e)
{
    struct pb_endpoint_LbEndpoint *out = arena_new(t->arena, struct pb_endpoint_LbEndpoint);
    out->host_identifier_case = PB_ENDPOINT_LB_ENDPOINT_HOST_IDENTIFIER_ENDPOINT;
    out->endpoint = arena_new(t->arena, struct pb_endpoint_Endpoint);
    out->endpoint->address =
        e->unix_path.len > 0
            ? message_pipe(t->arena, e->unix_path)
            : message_address(t->arena,
                              e->hostname.len > 0 ? e->hostname : message_ip(t->arena, &e->address),
                              e->port);
    out->load_balancing_weight = message_u32(t->arena, e->weight > 0 ? e->weight : 1);
    struct span tunnel = SPAN_EMPTY;
    if (hbone_is_for(t, e)) { /* the same place, by the listener that makes tunnels */
        char text[ADDR_TEXT_BYTES];
        const struct addr to = {.kind = ADDR_IP, .ip = e->address, .port = e->port};
        tunnel = arena_dup(t->arena, span_of(addr_format(&to, text)));
        struct pb_core_Address *a = arena_new(t->arena, struct pb_core_Address);
        a->address_case = PB_CORE_ADDRESS_ADDRESS_ENVOY_INTERNAL_ADDRESS;
        a->envoy_internal_address = arena_new(t->arena, struct pb_core_EnvoyInternalAddress);
        a->envoy_internal_address->address_name_specifier_case =
            PB_CORE_ENVOY_INTERNAL_ADDRESS_ADDRESS_NAME_SPECIFIER_SERVER_LISTENER_NAME;
        a->envoy_internal_address->server_listener_name = SPAN(TUNNEL_OUT);
        a->envoy_internal_address->endpoint_id = tunnel;
        out->endpoint->address = a;
    }
    out->metadata = metadata(t, e, tunnel);
    return out;
}

static struct pb_endpoint_LocalityLbEndpoints *locality_of(
    struct translation *t, struct pb_endpoint_ClusterLoadAssignment *a,
    const struct world_endpoint *e)
{
    for (uint32_t i = a->endpoints.count; i > 0; i--) {
        const struct pb_core_Locality *l = a->endpoints.at[i - 1]->locality;
        if (span_eq(l->region, e->region) && span_eq(l->zone, e->zone) &&
            span_eq(l->sub_zone, e->sub_zone)) {
            return a->endpoints.at[i - 1];
        }
    }
    struct pb_endpoint_LocalityLbEndpoints *l =
        arena_new(t->arena, struct pb_endpoint_LocalityLbEndpoints);
    l->locality = arena_new(t->arena, struct pb_core_Locality);
    l->locality->region = e->region;
    l->locality->zone = e->zone;
    l->locality->sub_zone = e->sub_zone;
    l->load_balancing_weight = message_u32(t->arena, 0);
    PB_ADD(t->arena, &a->endpoints, l);
    return l;
}

/* How far from the node: the same sub-zone, zone, region, or elsewhere (Istio's failover, where no order is told). */
static uint32_t distance(const struct node *n, const struct pb_core_Locality *l)
{
    return !span_eq(n->region, l->region)       ? 3
           : !span_eq(n->zone, l->zone)         ? 2
           : !span_eq(n->sub_zone, l->sub_zone) ? 1
                                                : 0;
}

/* Near ones first, further ones when those are ejected: so only with outlier detection, as in Istio. Priorities have no
 * gaps. */
static void prefer_near(struct translation *t, struct pb_endpoint_ClusterLoadAssignment *a,
                        const struct destination *d)
{
    if (!d->traffic->outlier.enabled || t->n->region.len == 0) {
        return;
    }
    t->for_node = true;
    bool used[4] = {false};
    for (uint32_t i = 0; i < a->endpoints.count; i++) {
        used[distance(t->n, a->endpoints.at[i]->locality)] = true;
    }
    for (uint32_t i = 0; i < a->endpoints.count; i++) {
        struct pb_endpoint_LocalityLbEndpoints *l = a->endpoints.at[i];
        uint32_t far = distance(t->n, l->locality);
        for (uint32_t k = 0; k < far; k++) {
            l->priority += used[k];
        }
    }
}

struct pb_endpoint_ClusterLoadAssignment *eds_endpoints(struct translation *t, struct span name,
                                                        const struct destination *d)
{
    struct pb_endpoint_ClusterLoadAssignment *a =
        arena_new(t->arena, struct pb_endpoint_ClusterLoadAssignment);
    a->cluster_name = name;
    const struct world_endpoints *all = t->w->endpoints[d->service->index];
    for (size_t i = 0; i < all->count; i++) {
        const struct world_endpoint *e = &all->items[i];
        if (e->service_port != d->port->number || (!e->ready && !d->service->publish_not_ready) ||
            (d->subset && !has_labels(e, d->subset->labels, d->subset->label_count))) {
            continue;
        }
        struct pb_endpoint_LocalityLbEndpoints *l = locality_of(t, a, e);
        PB_ADD(t->arena, &l->lb_endpoints, endpoint(t, e));
        l->load_balancing_weight->value += e->weight > 0 ? e->weight : 1;
    }
    prefer_near(t, a, d);
    return a;
}
