/* Clusters of a node's own side: the application behind the sidecar, and those that every node has.
 * Source: Istio pilot/pkg/networking/core (cluster.go: buildInboundClusters, buildDefaultPassthroughCluster, buildBlackHoleCluster). */
#include "control/translate/translate_int.h"
#include "proto/cluster.pb.h"
#include "proto/endpoint.pb.h"

/* Connections to the application come from here, so that the redirection lets them pass: also a pod that calls itself
 * goes through both directions once (Istio's InboundPassthroughBindIpv4/6). */
#define BIND_V4 SPAN("127.0.0.6")
#define BIND_V6 SPAN("::6")

static struct pb_cluster_Cluster *base(struct translation *t, struct span name, int32_t type)
{
    struct pb_cluster_Cluster *c = arena_new(t->arena, struct pb_cluster_Cluster);
    c->name = name;
    c->connect_timeout = message_ms(t->arena, t->w->config->mesh.connect_timeout_ms);
    c->cluster_discovery_type_case = PB_CLUSTER_CLUSTER_CLUSTER_DISCOVERY_TYPE_TYPE;
    c->type = type;
    return c;
}

static struct pb_cluster_Cluster *original(struct translation *t, struct span name, bool bind)
{
    struct pb_cluster_Cluster *c = base(t, name, PB_CLUSTER_CLUSTER_DISCOVERY_TYPE_ORIGINAL_DST);
    c->lb_policy = PB_CLUSTER_CLUSTER_LB_POLICY_CLUSTER_PROVIDED;
    if (bind) {
        bool v6 = t->n->addresses[0].family == 6;
        c->upstream_bind_config = arena_new(t->arena, struct pb_core_BindConfig);
        c->upstream_bind_config->source_address =
            message_address(t->arena, v6 ? BIND_V6 : BIND_V4, 0)->socket_address;
    }
    cds_limits(t, c, NULL);
    return c;
}

struct pb_cluster_Cluster *cds_inbound_fixed(struct translation *t, struct span name)
{
    struct pb_cluster_Cluster *c;
    if (span_is(name, CLUSTER_BLACK_HOLE)) {
        return base(t, name, PB_CLUSTER_CLUSTER_DISCOVERY_TYPE_STATIC);
    }
    if (span_is(name, CLUSTER_PASSTHROUGH)) {
        c = original(t, name, false);
    } else if (span_is(name, CLUSTER_INBOUND_PASSTHROUGH)) {
        t->for_node = true;
        c = original(t, name, true);
    } else {
        return NULL;
    }
    cds_protocol(t, c, PROTOCOL_AUTO, NULL);
    return c;
}

static struct pb_endpoint_ClusterLoadAssignment *application(struct translation *t,
                                                             struct span name, uint16_t port)
{
    struct arena *arena = t->arena;
    struct span host = t->n->app_address.family != 0    ? message_ip(arena, &t->n->app_address)
                       : t->n->addresses[0].family == 6 ? SPAN("::1")
                                                        : SPAN("127.0.0.1");
    struct pb_endpoint_ClusterLoadAssignment *a =
        arena_new(arena, struct pb_endpoint_ClusterLoadAssignment);
    struct pb_endpoint_LocalityLbEndpoints *l =
        arena_new(arena, struct pb_endpoint_LocalityLbEndpoints);
    struct pb_endpoint_LbEndpoint *e = arena_new(arena, struct pb_endpoint_LbEndpoint);
    e->host_identifier_case = PB_ENDPOINT_LB_ENDPOINT_HOST_IDENTIFIER_ENDPOINT;
    e->endpoint = arena_new(arena, struct pb_endpoint_Endpoint);
    e->endpoint->address = message_address(arena, host, port);
    a->cluster_name = name;
    PB_ADD(arena, &l->lb_endpoints, e);
    PB_ADD(arena, &a->endpoints, l);
    return a;
}

struct pb_cluster_Cluster *cds_inbound(struct translation *t, uint16_t port)
{
    t->for_node = true;
    const struct world_workload *own = lds_workload(t);
    struct pb_protobuf_Value *services = NULL;
    const struct world_port *first = NULL;
    for (size_t i = 0; own && i < own->serve_count; i++) {
        if (own->serves[i].target == port && !translate_is_udp(own->serves[i].port->protocol)) {
            first = first ? first : own->serves[i].port;
            cds_service(t, &services, own->serves[i].service);
        }
    }
    if (!first) {
        return NULL;
    }
    struct span name = translate_inbound_name(t->arena, port);
    struct pb_cluster_Cluster *c;
    if (t->n->interception == NODE_NONE) {
        c = base(t, name, PB_CLUSTER_CLUSTER_DISCOVERY_TYPE_STATIC);
        c->load_assignment = application(t, name, port);
        cds_limits(t, c, NULL);
    } else {
        c = original(t, name, true);
    }
    cds_protocol(t, c, first->protocol, NULL);
    message_put(t->arena, message_metadata(t->arena, &c->metadata, SPAN("istio")), SPAN("services"),
                services);
    return c;
}
