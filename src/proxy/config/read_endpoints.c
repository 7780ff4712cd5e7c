/* Endpoints of a cluster. */
#include "proxy/config/read_endpoints.h"

#include "policy/pb_value.h"
#include "proto/endpoint.pb.h"

#define PRIORITY_MAX 128     /* LocalityLbEndpoints.priority */
#define WEIGHT_SCALE 10000.0 /* locality weights are spread over their endpoints in such parts */

static int health_of(enum conf_health *out, int32_t status, struct err *err)
{
    switch (status) {
    case PB_CORE_HEALTH_STATUS_UNKNOWN:
    case PB_CORE_HEALTH_STATUS_HEALTHY:
        *out = CONF_HEALTHY;
        return 0;
    case PB_CORE_HEALTH_STATUS_UNHEALTHY:
    case PB_CORE_HEALTH_STATUS_TIMEOUT:
        *out = CONF_UNHEALTHY;
        return 0;
    case PB_CORE_HEALTH_STATUS_DRAINING:
        *out = CONF_DRAINING;
        return 0;
    case PB_CORE_HEALTH_STATUS_DEGRADED:
        *out = CONF_DEGRADED;
        return 0;
    default:
        return err_set(err, -ERR_CONFIG, "health_status %d is not known", (int)status);
    }
}

/* istio.workload is "name;namespace;canonical name;canonical revision;cluster". */
static void workload(struct conf_endpoint *out, const struct pb_core_Metadata *metadata)
{
    struct span rest = read_text(read_member(read_metadata(metadata, "istio"), "workload"));
    struct span *const parts[] = {&out->workload, &out->workload_namespace, &out->app,
                                  &out->version, &out->cluster_id};
    for (size_t i = 0; i < ARRAY_LEN(parts) && rest.at; i++) {
        *parts[i] = span_cut(&rest, ';');
    }
}

/* An internal address is a listener that does something, or the way to an address: then that is what counts. Istio: connect_originate
 * with the address as endpoint_id, or in the metadata that its original_dst filter reads. */
static void tunnel(struct conf_endpoint *out, const struct pb_core_EnvoyInternalAddress *a,
                   const struct pb_core_Metadata *metadata)
{
    const struct pb_protobuf_Struct *dst =
        read_metadata(metadata, "envoy.filters.listener.original_dst");
    struct span local = read_text(read_member(dst, "local"));
    struct addr to;
    if (addr_parse(local.len > 0 ? local : a->endpoint_id, &to, NULL) == 0 && to.kind == ADDR_IP) {
        out->addr = to;
        out->tunnel = a->server_listener_name;
        out->tunnel_identity =
            read_text(read_member(read_metadata(metadata, "mesh.tunnel"), "identity"));
    }
}

static int endpoint(struct read *rd, struct conf_endpoint *out,
                    const struct pb_endpoint_LbEndpoint *config, bool names, struct err *err)
{
    const struct pb_endpoint_Endpoint *e = config->endpoint;
    if (!e) {
        return err_set(err, -ERR_CONFIG, "endpoint is missing (endpoint_name is not supported)");
    }
    int rc = read_address(&out->addr, names ? &out->hostname : NULL, &out->hostname_port,
                          e->address, err);
    if (rc != 0) {
        return rc;
    }
    if (out->addr.kind == ADDR_INTERNAL) {
        tunnel(out, e->address->envoy_internal_address, config->metadata);
    }
    if (out->hostname.len == 0) {
        out->hostname = e->hostname;
    }
    out->weight = pb_value_u32(config->load_balancing_weight, 1);
    if (out->weight == 0) {
        return err_set(err, -ERR_CONFIG, "load_balancing_weight is 0; use at least 1");
    }
    workload(out, config->metadata);
    rc = read_labels(rd, read_metadata(config->metadata, "envoy.transport_socket_match"),
                     &out->labels, &out->label_count, err);
    return rc != 0 ? rc : health_of(&out->health, config->health_status, err);
}

/* With locality weights an endpoint's share is its part of its locality's weight. */
static void spread(struct conf_endpoint *items, size_t count, uint32_t locality_weight)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += items[i].weight;
    }
    for (size_t i = 0; i < count && locality_weight > 0; i++) {
        double share = (double)items[i].weight / sum * locality_weight * WEIGHT_SCALE;
        items[i].locality_weight = share < 1                  ? 1
                                   : share > UINT32_MAX / 2.0 ? UINT32_MAX / 2
                                                              : (uint32_t)share;
    }
}

static int locality(struct read *rd, struct conf_endpoints *out, struct conf_endpoint *items,
                    const struct pb_endpoint_LocalityLbEndpoints *config, bool names,
                    struct err *err)
{
    if (config->priority > PRIORITY_MAX) {
        return err_set(err, -ERR_CONFIG, "priority %u is above %d", config->priority, PRIORITY_MAX);
    }
    for (uint32_t i = 0; i < config->lb_endpoints.count; i++) {
        struct conf_endpoint *e = &items[i];
        e->priority = config->priority;
        if (config->locality) {
            e->region = config->locality->region;
            e->zone = config->locality->zone;
            e->sub_zone = config->locality->sub_zone;
        }
        int rc = endpoint(rd, e, config->lb_endpoints.at[i], names, err);
        if (rc != 0) {
            return err_prefix(err, "endpoint %u", i);
        }
    }
    spread(items, config->lb_endpoints.count, pb_value_u32(config->load_balancing_weight, 0));
    if (config->lb_endpoints.count > 0 && config->priority + 1 > out->priorities) {
        out->priorities = config->priority + 1;
    }
    return 0;
}

static int refuse_policy(const struct pb_endpoint_ClusterLoadAssignment_Policy *policy,
                         struct err *err)
{
    if (policy && policy->drop_overloads.count > 0) {
        return err_set(err, -ERR_CONFIG, "policy: drop_overloads is not supported");
    }
    return 0;
}

int read_endpoints(struct read *rd, struct conf_endpoints *out,
                   const struct pb_endpoint_ClusterLoadAssignment *config, bool names,
                   struct err *err)
{
    int rc = refuse_policy(config->policy, err);
    if (rc != 0) {
        return rc;
    }
    for (uint32_t i = 0; i < config->endpoints.count; i++) {
        out->count += config->endpoints.at[i]->lb_endpoints.count;
    }
    struct conf_endpoint *items = arena_array(rd->arena, out->count, sizeof(*items));
    size_t at = 0;
    for (uint32_t i = 0; i < config->endpoints.count; i++) {
        const struct pb_endpoint_LocalityLbEndpoints *l = config->endpoints.at[i];
        rc = locality(rd, out, items + at, l, names, err);
        if (rc != 0) {
            return err_prefix(err, "endpoints %u", i);
        }
        at += l->lb_endpoints.count;
    }
    out->items = items;
    return 0;
}
