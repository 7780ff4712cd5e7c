/* Fields that our contracts do not have. */
#include "policy/known.h"

#define WIRE_VARINT 0
#define WIRE_64 1
#define WIRE_LENGTH 2
#define WIRE_32 5

/* Fields of Envoy's API v3 that src/proto leaves out. `harmless`: without it the proxy does the same, or
 * does what the field's successor says, which is there. */
static const struct left_out {
    const char *message;
    uint32_t number;
    bool harmless;
    const char *name;
} left_out[] = {
    {"envoy.config.accesslog.v3.LogTypeFilter", 1, false, "types"},
    {"envoy.config.bootstrap.v3.Bootstrap", 8, true, "watchdog"},
    {"envoy.config.bootstrap.v3.Bootstrap", 15, true, "overload_manager"},
    {"envoy.config.bootstrap.v3.Bootstrap", 27, true, "watchdogs"},
    {"envoy.config.bootstrap.v3.Bootstrap", 28, true, "fatal_actions"},
    {"envoy.config.bootstrap.v3.Bootstrap", 32, true, "inline_headers"},
    {"envoy.config.bootstrap.v3.Bootstrap", 40, true, "grpc_async_client_manager_config"},
    {"envoy.config.bootstrap.v3.ClusterManager.OutlierDetection", 2, true, "event_service"},
    {"envoy.config.cluster.v3.Cluster", 47, true, "track_timeout_budgets"},
    {"envoy.config.cluster.v3.Cluster", 53, false, "dns_resolution_config"},
    {"envoy.config.cluster.v3.Cluster", 58, true, "dns_jitter"},
    {"envoy.config.cluster.v3.Cluster", 59, false, "transport_socket_matcher"},
    {"envoy.config.core.v3.BindConfig", 4, false, "additional_source_addresses"},
    {"envoy.config.core.v3.ConfigSource", 7, true, "authorities"},
    {"envoy.config.core.v3.Extension", 3, true, "type_descriptor"},
    {"envoy.config.core.v3.GrpcService", 2, false, "google_grpc"},
    {"envoy.config.core.v3.HealthCheck", 22, true, "event_service"},
    {"envoy.config.core.v3.Http1ProtocolOptions", 9, true, "use_balsa_parser"},
    {"envoy.config.core.v3.Node", 11, true, "listening_addresses"},
    {"envoy.config.core.v3.Node", 12, true, "dynamic_parameters"},
    {"envoy.config.core.v3.SocketOption", 7, false, "type"},
    {"envoy.config.endpoint.v3.LocalityLbEndpoints", 7, false, "load_balancer_endpoints"},
    {"envoy.config.endpoint.v3.LocalityLbEndpoints", 8, false, "leds_cluster_locality_config"},
    {"envoy.config.listener.v3.UdpListenerConfig", 7, false, "quic_options"},
    {"envoy.config.listener.v3.UdpListenerConfig", 8, true, "udp_packet_packet_writer_config"},
    {"envoy.config.listener.v3.Listener", 21, true, "reuse_port"},
    {"envoy.config.listener.v3.Listener", 32, false, "filter_chain_matcher"},
    {"envoy.config.listener.v3.Listener", 36, false, "fcds_config"},
    {"envoy.config.rbac.v3.Policy", 3, false, "condition"},
    {"envoy.config.rbac.v3.Policy", 4, false, "checked_condition"},
    {"envoy.config.rbac.v3.Policy", 5, false, "cel_config"},
    {"envoy.config.route.v3.RateLimit", 5, true, "hits_addend"},
    {"envoy.config.route.v3.RateLimit.Action", 7, true, "dynamic_metadata"},
    {"envoy.config.route.v3.Route", 16, true, "per_request_buffer_limit_bytes"},
    {"envoy.config.route.v3.RouteAction", 14, true, "include_vh_rate_limits"},
    {"envoy.config.route.v3.RouteAction", 17, true, "cors"}, /* needs the cors filter */
    {"envoy.config.route.v3.RouteAction.RequestMirrorPolicy", 7, false,
     "request_headers_mutations"},
    {"envoy.config.route.v3.VirtualHost", 8, true, "cors"},
    {"envoy.config.route.v3.VirtualHost", 18, true, "per_request_buffer_limit_bytes"},
    {"envoy.config.route.v3.VirtualHost", 21, false, "matcher"},
    {"envoy.config.route.v3.WeightedCluster", 3, true,
     "total_weight"}, /* deprecated: the sum counts */
    {"envoy.extensions.filters.http.rbac.v3.RBAC", 4, false, "matcher"},
    {"envoy.extensions.filters.http.rbac.v3.RBAC", 5, false, "shadow_matcher"},
    {"envoy.extensions.filters.http.router.v3.Router", 2, true, "start_child_span"},
    {"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", 44, true,
     "http3_protocol_options"},
    {"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", 60, false,
     "forward_client_cert_matcher"},
    {"envoy.extensions.filters.network.rbac.v3.RBAC", 6, false, "matcher"},
    {"envoy.extensions.filters.network.rbac.v3.RBAC", 7, false, "shadow_matcher"},
    {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions.AutoHttpConfig", 3, true,
     "http3_protocol_options"},
    {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions.ExplicitHttpConfig", 3, false,
     "http3_protocol_options"},
    {"envoy.type.matcher.v3.RegexMatcher", 1, true, "google_re2"}, /* the only engine */
    {"envoy.type.matcher.v3.StringMatcher", 8, false, "custom"},
};

static bool take_varint(struct span *rest, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && rest->len > 0; shift += 7) {
        uint8_t byte = (uint8_t)rest->at[0];
        *rest = span_from_offset(*rest, 1);
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

/* The next field's number; 0 at the end (the decoder saw to it that the bytes are in order). */
static uint32_t take_field(struct span *rest)
{
    uint64_t tag;
    uint64_t len = 0;
    if (!take_varint(rest, &tag)) {
        return 0;
    }
    switch (tag & 7) {
    case WIRE_VARINT:
        (void)take_varint(rest, &len); /* its value does not matter */
        len = 0;
        break;
    case WIRE_64:
        len = 8;
        break;
    case WIRE_LENGTH:
        (void)take_varint(rest, &len);
        break;
    case WIRE_32:
        len = 4;
        break;
    default:
        return 0;
    }
    *rest = span_from_offset(*rest, size_min(len, rest->len));
    return (uint32_t)(tag >> 3);
}

static int check_field(const char *message, uint32_t number, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(left_out); i++) {
        const struct left_out *l = &left_out[i];
        if (l->number == number && strcmp(l->message, message) == 0) {
            return l->harmless ? 0
                               : err_set(err, -ERR_CONFIG, "field %u (%s) of %s is not supported",
                                         number, l->name, message);
        }
    }
    return err_set(err, -ERR_CONFIG, "field %u of %s is not known", number, message);
}

static int check_unknown(const struct pb_desc *desc, const struct pb_unknown *unknown,
                         struct err *err)
{
    for (; unknown; unknown = unknown->older) {
        struct span rest = unknown->raw;
        for (uint32_t number; (number = take_field(&rest)) != 0;) {
            int rc = check_field(desc->name, number, err);
            if (rc != 0) {
                return rc;
            }
        }
    }
    return 0;
}

/* As deep as the decoder lets messages be (PB_DEPTH_MAX). */
static int check(const struct pb_desc *desc, const void *msg, unsigned depth, struct err *err)
{
    if (depth > PB_DEPTH_MAX) {
        return err_set(err, -ERR_LIMIT, "more than %d messages inside each other", PB_DEPTH_MAX);
    }
    int rc = check_unknown(desc, *(const struct pb_unknown *const *)msg, err);
    for (uint16_t i = 0; i < desc->count && rc == 0; i++) {
        const struct pb_field *f = &desc->fields[i];
        if (f->kind != PB_MESSAGE) {
            continue;
        }
        if (f->label == PB_REPEATED || f->label == PB_MAP) {
            const struct pb_list *list = pb_at(msg, f);
            void *const *items = list->at;
            for (uint32_t k = 0; k < list->count && rc == 0; k++) {
                rc = check(f->type.message, items[k], depth + 1, err);
            }
            continue;
        }
        const void *child = *(void *const *)pb_at(msg, f);
        if (child) {
            rc = check(f->type.message, child, depth + 1, err);
        }
    }
    return rc;
}

int known_check(const struct pb_desc *desc, const void *msg, struct err *err)
{
    return check(desc, msg, 0, err);
}
