/* One cluster.
 * Source: envoy.config.cluster.v3.Cluster; envoy.extensions.upstreams.http.v3.HttpProtocolOptions. */
#include "proxy/config/read_cluster.h"

#include "io/sockopt.h"
#include "policy/pb_value.h"
#include "proto/cluster.pb.h"
#include "proto/upstream_http.pb.h"
#include "proto/upstream_proxy_protocol.pb.h"
#include "proxy/config/known_filters.h"
#include "proxy/config/read_cluster_lb.h"
#include "proxy/config/read_endpoints.h"
#include "proxy/config/read_tls.h"

#define CONNECT_MS 5000     /* connect_timeout */
#define IDLE_MS 3600000     /* HttpProtocolOptions.idle_timeout */
#define DNS_REFRESH_MS 5000 /* dns_refresh_rate */
#define HTTP_OPTIONS "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

/* ---- protocol ---- */

static int common_http(struct conf_cluster *out, const struct pb_core_HttpProtocolOptions *config,
                       struct err *err)
{
    if (!config) {
        return 0;
    }
    int rc = pb_value_ms(config->idle_timeout, out->idle_ms, "idle_timeout", &out->idle_ms, err);
    rc = rc != 0 ? rc
                 : pb_value_ms(config->max_connection_duration, 0, "max_connection_duration",
                               &out->max_connection_ms, err);
    if (config->max_requests_per_connection) {
        out->max_requests_per_connection = config->max_requests_per_connection->value;
    }
    return rc;
}

static void http2_options(struct conf_cluster *out,
                          const struct pb_core_Http2ProtocolOptions *config)
{
    if (config && config->max_concurrent_streams) {
        out->max_streams = config->max_concurrent_streams->value;
    }
}

/* For the TLS contexts that are read after this. */
static void http_options_sni(struct read *rd,
                             const struct pb_core_UpstreamHttpProtocolOptions *config)
{
    if (config) {
        rd->auto_sni = config->auto_sni;
        rd->auto_san = config->auto_san_validation;
    }
}

static int refuse_http1(const struct pb_core_Http1ProtocolOptions *config, struct err *err)
{
    if (config && config->header_key_format) {
        return err_set(err, -ERR_CONFIG, "header_key_format is not supported");
    }
    if (config && config->send_fully_qualified_url) {
        return err_set(err, -ERR_CONFIG, "send_fully_qualified_url is not supported");
    }
    return 0;
}

static int upstream_filters(struct read *rd,
                            const struct pb_upstream_http_HttpProtocolOptions *config,
                            struct err *err)
{
    for (uint32_t i = 0; i < config->http_filters.count; i++) {
        const struct pb_hcm_HttpFilter *f = config->http_filters.at[i];
        struct span type = read_type(rd, f->typed_config);
        if (known_filters_builtin(KNOWN_UPSTREAM, type, f->name, f->typed_config)) {
            continue;
        }
        if (!f->is_optional) {
            return err_set(err, -ERR_CONFIG, "http filter '%.*s': type '%.*s' is not known",
                           SPAN_ARG(f->name), SPAN_ARG(type));
        }
        read_skip(rd, f->name);
    }
    return 0;
}

static int http_options(struct read *rd, struct conf_cluster *out, struct span bytes,
                        struct err *err)
{
    const struct pb_upstream_http_HttpProtocolOptions *c =
        read_any(rd, &pb_upstream_http_HttpProtocolOptions_desc, bytes, err);
    if (!c) {
        return -ERR_CONFIG;
    }
    const struct pb_core_Http1ProtocolOptions *h1 = NULL;
    if (c->explicit_http_config) {
        out->http2 = c->explicit_http_config->http2_protocol_options != NULL;
        http2_options(out, c->explicit_http_config->http2_protocol_options);
        h1 = c->explicit_http_config->http_protocol_options;
    } else if (c->use_downstream_protocol_config) {
        out->use_downstream_protocol = true;
        http2_options(out, c->use_downstream_protocol_config->http2_protocol_options);
        h1 = c->use_downstream_protocol_config->http_protocol_options;
    } else if (c->auto_config) {
        out->alpn_auto = true;
        http2_options(out, c->auto_config->http2_protocol_options);
        h1 = c->auto_config->http_protocol_options;
    }
    http_options_sni(rd, c->upstream_http_protocol_options);
    if (c->hash_policy.count > 0 || c->retry_policy || c->request_mirror_policies.count > 0) {
        return err_set(err, -ERR_CONFIG,
                       "hash_policy, retry_policy and mirrors of a cluster are not supported");
    }
    int rc = refuse_http1(h1, err);
    rc = rc != 0 ? rc : upstream_filters(rd, c, err);
    return rc != 0 ? rc : common_http(out, c->common_http_protocol_options, err);
}

static int protocol(struct read *rd, struct conf_cluster *out,
                    const struct pb_cluster_Cluster *config, struct err *err)
{
    out->idle_ms = IDLE_MS;
    out->http2 = config->http2_protocol_options != NULL;
    out->use_downstream_protocol =
        config->protocol_selection ==
        PB_CLUSTER_CLUSTER_CLUSTER_PROTOCOL_SELECTION_USE_DOWNSTREAM_PROTOCOL;
    out->max_requests_per_connection = pb_value_u32(config->max_requests_per_connection, 0);
    http2_options(out, config->http2_protocol_options);
    http_options_sni(rd, config->upstream_http_protocol_options);
    int rc = refuse_http1(config->http_protocol_options, err);
    rc = rc != 0 ? rc : common_http(out, config->common_http_protocol_options, err);
    for (uint32_t i = 0; i < config->typed_extension_protocol_options.count && rc == 0; i++) {
        struct span name = config->typed_extension_protocol_options.at[i]->key;
        const struct pb_protobuf_Any *any = config->typed_extension_protocol_options.at[i]->value;
        struct span type = read_type(rd, any);
        rc = span_is(type, HTTP_OPTIONS)
                 ? http_options(rd, out, any->value, err)
                 : err_set(err, -ERR_CONFIG, "type '%.*s' is not known", SPAN_ARG(type));
        if (rc != 0) {
            return err_prefix(err, "typed_extension_protocol_options '%.*s'", SPAN_ARG(name));
        }
    }
    return rc;
}

/* ---- discovery ---- */

static int dns(struct conf_cluster *out, const struct pb_cluster_Cluster *config, struct err *err)
{
    out->dns_v4 = config->dns_lookup_family != PB_CLUSTER_CLUSTER_DNS_LOOKUP_FAMILY_V6_ONLY;
    out->dns_v6 = config->dns_lookup_family != PB_CLUSTER_CLUSTER_DNS_LOOKUP_FAMILY_V4_ONLY;
    out->dns_prefer_v4 =
        config->dns_lookup_family == PB_CLUSTER_CLUSTER_DNS_LOOKUP_FAMILY_V4_PREFERRED;
    out->dns_all = config->dns_lookup_family == PB_CLUSTER_CLUSTER_DNS_LOOKUP_FAMILY_ALL;
    out->dns_respect_ttl = config->respect_dns_ttl;
    if (config->dns_resolvers.count > 0) {
        return err_set(err, -ERR_CONFIG, "dns_resolvers is not supported");
    }
    int rc = pb_value_ms(config->dns_refresh_rate, DNS_REFRESH_MS, "dns_refresh_rate",
                         &out->dns_refresh_ms, err);
    const struct pb_cluster_Cluster_RefreshRate *failure = config->dns_failure_refresh_rate;
    return rc != 0 ? rc
                   : pb_value_ms(failure ? failure->base_interval : NULL, out->dns_refresh_ms,
                                 "dns_failure_refresh_rate", &out->dns_failure_ms, err);
}

static int inline_endpoints(struct read *rd, struct conf_cluster *out,
                            const struct pb_cluster_Cluster *config, bool names, struct err *err)
{
    struct conf_endpoints *e = arena_new(rd->arena, struct conf_endpoints);
    e->conf.kind = CONF_ENDPOINTS;
    e->conf.name = config->name;
    out->inline_endpoints = e;
    if (!config->load_assignment) {
        return 0;
    }
    int rc = read_endpoints(rd, e, config->load_assignment, names, err);
    return rc != 0 ? err_prefix(err, "load_assignment") : 0;
}

static int original_dst(struct conf_cluster *out, const struct pb_cluster_Cluster *config,
                        struct err *err)
{
    const struct pb_cluster_Cluster_OriginalDstLbConfig *c = config->original_dst_lb_config;
    if (out->lb != CONF_LB_CLUSTER_PROVIDED) {
        return err_set(err, -ERR_CONFIG, "type ORIGINAL_DST needs lb_policy CLUSTER_PROVIDED");
    }
    if (!c) {
        return 0;
    }
    if (c->metadata_key) {
        return err_set(err, -ERR_CONFIG, "original_dst_lb_config: metadata_key is not supported");
    }
    if (c->use_http_header) {
        return err_set(err, -ERR_CONFIG,
                       "original_dst_lb_config: use_http_header is not supported");
    }
    out->upstream_port = pb_value_u32(c->upstream_port_override, 0);
    return read_ports(out->upstream_port, "original_dst_lb_config: upstream_port_override", err);
}

static int discovery(struct read *rd, struct conf_cluster *out,
                     const struct pb_cluster_Cluster *config, struct err *err)
{
    if (config->cluster_type) {
        return err_set(err, -ERR_CONFIG, "cluster_type '%.*s' is not known",
                       SPAN_ARG(config->cluster_type->name));
    }
    switch (config->type) {
    case PB_CLUSTER_CLUSTER_DISCOVERY_TYPE_STATIC:
        out->discovery = CONF_STATIC;
        return inline_endpoints(rd, out, config, false, err);
    case PB_CLUSTER_CLUSTER_DISCOVERY_TYPE_STRICT_DNS:
    case PB_CLUSTER_CLUSTER_DISCOVERY_TYPE_LOGICAL_DNS: {
        bool logical = config->type == PB_CLUSTER_CLUSTER_DISCOVERY_TYPE_LOGICAL_DNS;
        out->discovery = logical ? CONF_LOGICAL_DNS : CONF_STRICT_DNS;
        int rc = inline_endpoints(rd, out, config, true, err);
        if (rc == 0 && logical && out->inline_endpoints->count != 1) {
            rc = err_set(err, -ERR_CONFIG, "type LOGICAL_DNS needs exactly one endpoint");
        }
        return rc != 0 ? rc : dns(out, config, err);
    }
    case PB_CLUSTER_CLUSTER_DISCOVERY_TYPE_EDS:
        out->discovery = CONF_EDS;
        if (!config->eds_cluster_config) {
            return err_set(err, -ERR_CONFIG, "type EDS needs eds_cluster_config");
        }
        out->eds_name = config->eds_cluster_config->service_name.len > 0
                            ? config->eds_cluster_config->service_name
                            : config->name;
        read_mention(rd, CONF_ENDPOINTS, out->eds_name, config->eds_cluster_config->eds_config);
        return 0;
    case PB_CLUSTER_CLUSTER_DISCOVERY_TYPE_ORIGINAL_DST:
        out->discovery = CONF_ORIGINAL_DST;
        return original_dst(out, config, err);
    default:
        return err_set(err, -ERR_CONFIG, "type %d is not known", (int)config->type);
    }
}

/* ---- connections ---- */

#define TYPE_PROXY \
    "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport"

/* One socket, TLS or plain, maybe within one that tells by the PROXY protocol who the client is. */
static int transport(struct read *rd, const struct conf_tls **tls, unsigned *proxy_version,
                     const struct pb_core_TransportSocket *socket, struct err *err)
{
    *proxy_version = 0;
    if (socket == NULL || !span_is(read_type(rd, socket->typed_config), TYPE_PROXY)) {
        return read_tls_socket(rd, tls, false, socket, err);
    }
    const struct pb_up_proxy_protocol_ProxyProtocolUpstreamTransport *c =
        read_any(rd, &pb_up_proxy_protocol_ProxyProtocolUpstreamTransport_desc,
                 socket->typed_config->value, err);
    if (c == NULL) {
        return -ERR_CONFIG;
    }
    if (c->config && (c->config->pass_through_tlvs || c->config->added_tlvs.count > 0)) {
        return err_set(err, -ERR_CONFIG, "transport socket '%.*s': TLVs are not supported",
                       SPAN_ARG(socket->name));
    }
    *proxy_version =
        c->config && c->config->version == PB_CORE_PROXY_PROTOCOL_CONFIG_VERSION_V2 ? 2 : 1;
    return read_tls_socket(rd, tls, false, c->transport_socket, err);
}

static int transports(struct read *rd, struct conf_cluster *out,
                      const struct pb_cluster_Cluster *config, struct err *err)
{
    int first = transport(rd, &out->tls, &out->proxy_version, config->transport_socket, err);
    if (first != 0) {
        return first;
    }
    uint32_t count = config->transport_socket_matches.count;
    struct conf_tls_match *matches = arena_array(rd->arena, count, sizeof(*matches));
    for (uint32_t i = 0; i < count; i++) {
        const struct pb_cluster_Cluster_TransportSocketMatch *m =
            config->transport_socket_matches.at[i];
        matches[i].name = m->name;
        int rc = read_labels(rd, m->match, &matches[i].labels, &matches[i].label_count, err);
        unsigned version = 0;
        rc = rc != 0 ? rc : transport(rd, &matches[i].tls, &version, m->transport_socket, err);
        if (rc == 0 && version != out->proxy_version) {
            rc = err_set(err, -ERR_CONFIG, "its PROXY protocol is not the cluster's");
        }
        if (rc != 0) {
            return err_prefix(err, "transport_socket_matches %u '%.*s'", i, SPAN_ARG(m->name));
        }
    }
    out->tls_matches = matches;
    out->tls_match_count = count;
    return 0;
}

static void keepalive(struct read *rd, struct conf_cluster *out,
                      const struct pb_cluster_Cluster *config)
{
    const struct pb_cluster_UpstreamConnectionOptions *o = config->upstream_connection_options;
    if (!o || !o->tcp_keepalive) {
        return;
    }
    struct sockopt_keepalive *k = arena_new(rd->arena, struct sockopt_keepalive);
    k->idle_ms = (int64_t)pb_value_u32(o->tcp_keepalive->keepalive_time, 0) * 1000;
    k->interval_ms = (int64_t)pb_value_u32(o->tcp_keepalive->keepalive_interval, 0) * 1000;
    k->probes = pb_value_u32(o->tcp_keepalive->keepalive_probes, 0);
    out->keepalive = k;
}

static int bind_from(struct conf_cluster *out, const struct pb_core_BindConfig *config,
                     struct err *err)
{
    if (!config) {
        return 0;
    }
    if (config->socket_options.count > 0 || config->extra_source_addresses.count > 0 ||
        config->local_address_selector) {
        return err_set(err, -ERR_CONFIG, "upstream_bind_config: only source_address is supported");
    }
    if (!config->source_address) {
        return 0;
    }
    struct pb_core_Address address = {.address_case = PB_CORE_ADDRESS_ADDRESS_SOCKET_ADDRESS,
                                      .socket_address = config->source_address};
    int rc = read_address(&out->bind_from, NULL, NULL, &address, err);
    return rc != 0 ? err_prefix(err, "upstream_bind_config") : 0;
}

/* Istio tells by metadata which service the cluster stands for. */
static void service(struct conf_cluster *out, const struct pb_cluster_Cluster *config)
{
    const struct pb_protobuf_Value *list =
        read_member(read_metadata(config->metadata, "istio"), "services");
    if (!list || !list->list_value || list->list_value->values.count == 0) {
        return;
    }
    const struct pb_protobuf_Value *first = list->list_value->values.at[0];
    out->service_host = read_text(read_member(first->struct_value, "host"));
    out->service_name = read_text(read_member(first->struct_value, "name"));
    out->service_namespace = read_text(read_member(first->struct_value, "namespace"));
}

/* ---- the rest ---- */

static int refuse_unsupported(const struct pb_cluster_Cluster *config, struct err *err)
{
    const char *field = NULL;
    if (config->lb_subset_config && config->lb_subset_config->subset_selectors.count > 0) {
        field = "lb_subset_config";
    } else if (config->connection_pool_per_downstream_connection) {
        field = "connection_pool_per_downstream_connection";
    } else if (config->upstream_config) {
        field = "upstream_config";
    } else if (config->use_tcp_for_dns_lookups) {
        field = "use_tcp_for_dns_lookups";
    }
    return field ? err_set(err, -ERR_CONFIG, "'%s' is not supported", field) : 0;
}

static int network_filters(struct read *rd, const struct pb_cluster_Cluster *config,
                           struct err *err)
{
    for (uint32_t i = 0; i < config->filters.count; i++) {
        const struct pb_cluster_Filter *f = config->filters.at[i];
        struct span type = read_type(rd, f->typed_config);
        if (!known_filters_builtin(KNOWN_UPSTREAM, type, f->name, f->typed_config)) {
            return err_set(err, -ERR_CONFIG, "filter '%.*s': type '%.*s' is not known",
                           SPAN_ARG(f->name), SPAN_ARG(type));
        }
    }
    return 0;
}

static void note_skipped(struct read *rd, const struct pb_cluster_Cluster *config)
{
    if (config->health_checks.count > 0) {
        read_skip(rd, SPAN("health_checks"));
    }
    if (config->outlier_detection) {
        read_skip(rd, SPAN("outlier_detection"));
    }
    if (config->preconnect_policy) {
        read_skip(rd, SPAN("preconnect_policy"));
    }
    if (config->typed_dns_resolver_config) {
        read_skip(rd, SPAN("typed_dns_resolver_config"));
    }
}

int read_cluster(struct read *rd, struct conf_cluster *out, const struct pb_cluster_Cluster *config,
                 struct err *err)
{
    out->slot = slots_take(rd->slots, config->name);
    int rc = refuse_unsupported(config, err);
    rc = rc != 0 ? rc
                 : pb_value_ms(config->connect_timeout, CONNECT_MS, "connect_timeout",
                               &out->connect_ms, err);
    rc = rc != 0 ? rc : network_filters(rd, config, err);
    rc = rc != 0 ? rc : read_cluster_lb(rd, out, config, err);
    rc = rc != 0 ? rc : read_cluster_lb_limits(out, config, err);
    rc = rc != 0 ? rc : read_cluster_lb_outlier(out, config, err);
    rc = rc != 0 ? rc : discovery(rd, out, config, err);
    rc = rc != 0 ? rc : protocol(rd, out, config, err);
    rc = rc != 0 ? rc : transports(rd, out, config, err);
    rc = rc != 0 ? rc : bind_from(out, config->upstream_bind_config, err);
    keepalive(rd, out, config);
    service(out, config);
    note_skipped(rd, config);
    out->skipped = rd->skipped;
    out->skipped_count = rd->skipped_count;
    return rc;
}
