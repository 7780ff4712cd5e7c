/* The network filters of a chain.
 * Source: envoy.config.listener.v3.FilterChain; tcp_proxy.v3.TcpProxy; network rbac.v3.RBAC. */
#include "proxy/config/read_filters.h"

#include "policy/pb_value.h"
#include "proto/listener.pb.h"
#include "proto/network_rbac.pb.h"
#include "proto/tcp_proxy.pb.h"
#include "proxy/config/known_filters.h"
#include "proxy/config/read_access_log.h"
#include "proxy/config/read_hcm.h"

#define TYPE_HCM "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
#define TYPE_TCP "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
#define TYPE_RBAC "envoy.extensions.filters.network.rbac.v3.RBAC"
#define IDLE_MS 3600000 /* TcpProxy.idle_timeout */

/* ---- tcp_proxy ---- */

static int refuse_tcp(const struct pb_tcp_proxy_TcpProxy *c, struct err *err)
{
    const char *field = NULL;
    if (c->on_demand) {
        field = "on_demand";
    } else if (c->proxy_protocol_tlvs.count > 0) {
        field = "proxy_protocol_tlvs";
    } else if (c->upstream_connect_mode != PB_TCP_PROXY_UPSTREAM_CONNECT_MODE_IMMEDIATE) {
        field = "upstream_connect_mode";
    }
    return field ? err_set(err, -ERR_CONFIG, "'%s' is not supported", field) : 0;
}

/* CONNECT, with the headers that have to be there and no others. */
static int tcp_tunnel(struct conf_tcp *out, const struct pb_tcp_proxy_TcpProxy_TunnelingConfig *c,
                      struct err *err)
{
    if (!c) {
        return 0;
    }
    bool is_known =
        span_find_byte(c->hostname, '%') < 0 || span_is(c->hostname, CONF_TUNNEL_TO_ORIGINAL);
    if (c->hostname.len == 0 || !is_known) {
        return err_set(err, -ERR_CONFIG,
                       "tunneling_config: hostname is '%.*s'; use a name with a port, or %s",
                       SPAN_ARG(c->hostname), CONF_TUNNEL_TO_ORIGINAL);
    }
    if (c->use_post || c->post_path.len > 0) {
        return err_set(err, -ERR_CONFIG, "tunneling_config: POST is not supported");
    }
    if (c->headers_to_add.count > 0) {
        return err_set(err, -ERR_CONFIG, "tunneling_config: headers_to_add is not supported");
    }
    out->tunnel_to = c->hostname; /* the rest is for filters that we do not have */
    return 0;
}

/* By the client's address, or by what a filter left: there are none that do. */
static int tcp_hash(struct conf_tcp *out, const struct pb_tcp_proxy_TcpProxy *c, struct err *err)
{
    for (uint32_t i = 0; i < c->hash_policy.count; i++) {
        if (!c->hash_policy.at[i]->source_ip) {
            return err_set(err, -ERR_CONFIG, "hash_policy %u: only source_ip is supported", i);
        }
        out->hash_source_ip = true;
    }
    return 0;
}

static int tcp_clusters(struct read *rd, struct conf_tcp *out,
                        const struct pb_tcp_proxy_TcpProxy *c, struct err *err)
{
    if (c->cluster_specifier_case == PB_TCP_PROXY_TCP_PROXY_CLUSTER_SPECIFIER_CLUSTER) {
        struct route_cluster *one = arena_new(rd->arena, struct route_cluster);
        *one = (struct route_cluster){
            .name = c->cluster, .slot = read_cluster_slot(rd, c->cluster), .weight = 1};
        out->clusters = one;
        out->cluster_count = 1;
        out->total_weight = 1;
        return 0;
    }
    if (!c->weighted_clusters) {
        return err_set(err, -ERR_CONFIG,
                       "cluster_specifier is not set; use cluster or weighted_clusters");
    }
    uint32_t count = c->weighted_clusters->clusters.count;
    struct route_cluster *list = arena_array(rd->arena, count, sizeof(*list));
    for (uint32_t i = 0; i < count; i++) {
        const struct pb_tcp_proxy_TcpProxy_WeightedCluster_ClusterWeight *w =
            c->weighted_clusters->clusters.at[i];
        list[i] = (struct route_cluster){
            .name = w->name, .slot = read_cluster_slot(rd, w->name), .weight = w->weight};
        out->total_weight += w->weight;
    }
    out->clusters = list;
    out->cluster_count = count;
    return out->total_weight > 0
               ? 0
               : err_set(err, -ERR_CONFIG, "weighted_clusters: all weights are 0");
}

static int tcp_proxy(struct read *rd, const struct conf_tcp **out, struct span bytes,
                     struct err *err)
{
    const struct pb_tcp_proxy_TcpProxy *c = read_any(rd, &pb_tcp_proxy_TcpProxy_desc, bytes, err);
    if (!c) {
        return -ERR_CONFIG;
    }
    struct conf_tcp *tcp = arena_new(rd->arena, struct conf_tcp);
    tcp->stat_prefix = c->stat_prefix;
    tcp->connect_attempts = pb_value_u32(c->max_connect_attempts, 1);
    int rc = refuse_tcp(c, err);
    rc = rc != 0 ? rc : tcp_hash(tcp, c, err);
    rc = rc != 0 ? rc : tcp_tunnel(tcp, c->tunneling_config, err);
    rc = rc != 0 ? rc : tcp_clusters(rd, tcp, c, err);
    rc = rc != 0 ? rc : pb_value_ms(c->idle_timeout, IDLE_MS, "idle_timeout", &tcp->idle_ms, err);
    rc = rc != 0 ? rc
                 : pb_value_ms(c->max_downstream_connection_duration, 0,
                               "max_downstream_connection_duration", &tcp->max_connection_ms, err);
    rc = rc != 0 ? rc
                 : read_access_log(rd, &tcp->logs, &tcp->log_count, c->access_log.at,
                                   c->access_log.count, err);
    if (rc == 0 && tcp->connect_attempts == 0) {
        rc = err_set(err, -ERR_CONFIG, "max_connect_attempts is 0; use at least 1");
    }
    *out = tcp;
    return rc;
}

/* ---- rbac ---- */

static int rbac_filter(struct read *rd, struct conf_rbac *out, struct span name, struct span bytes,
                       struct err *err)
{
    const struct pb_network_rbac_RBAC *c = read_any(rd, &pb_network_rbac_RBAC_desc, bytes, err);
    if (!c) {
        return -ERR_CONFIG;
    }
    if (c->delay_deny) {
        return err_set(err, -ERR_CONFIG, "'delay_deny' is not supported");
    }
    if (c->enforcement_type != PB_NETWORK_RBAC_RBAC_ENFORCEMENT_TYPE_ONE_TIME_ON_FIRST_BYTE) {
        return err_set(err, -ERR_CONFIG, "enforcement_type CONTINUOUS is not supported");
    }
    struct rbac *rules = NULL;
    struct rbac *shadow = NULL;
    int rc = c->rules ? rbac_compile(&rules, rd->arena, c->rules, true, err) : 0;
    rc = rc != 0 || !c->shadow_rules ? rc
                                     : rbac_compile(&shadow, rd->arena, c->shadow_rules, true, err);
    *out = (struct conf_rbac){.name = name,
                              .rules = rules,
                              .shadow = shadow,
                              .deny = rules && rbac_is_deny(rules),
                              .stat_prefix = c->stat_prefix};
    return rc;
}

/* ---- the list ---- */

static int one(struct read *rd, struct conf_chain *out, struct conf_rbac *rbac,
               const struct pb_listener_Filter *f, struct err *err)
{
    if (out->http || out->tcp) {
        return err_set(err, -ERR_CONFIG, "comes after a filter that must be the last");
    }
    if (f->config_discovery) {
        return err_set(err, -ERR_CONFIG, "config_discovery is not supported");
    }
    struct span type = read_type(rd, f->typed_config);
    struct span bytes = f->typed_config ? f->typed_config->value : SPAN_EMPTY;
    if (span_is(type, TYPE_HCM)) {
        return read_hcm(rd, &out->http, bytes, err);
    }
    if (span_is(type, TYPE_TCP)) {
        return tcp_proxy(rd, &out->tcp, bytes, err);
    }
    if (span_is(type, TYPE_RBAC)) {
        return rbac_filter(rd, &rbac[out->network_rbac_count++], f->name, bytes, err);
    }
    if (known_filters_builtin(KNOWN_NETWORK, type, f->name, f->typed_config)) {
        return 0;
    }
    return err_set(err, -ERR_CONFIG, "type '%.*s' is not known", SPAN_ARG(type));
}

int read_filters(struct read *rd, struct conf_chain *out,
                 const struct pb_listener_FilterChain *config, struct err *err)
{
    struct conf_rbac *rbac = arena_array(rd->arena, config->filters.count, sizeof(*rbac));
    for (uint32_t i = 0; i < config->filters.count; i++) {
        int rc = one(rd, out, rbac, config->filters.at[i], err);
        if (rc != 0) {
            return err_prefix(err, "filter '%.*s'", SPAN_ARG(config->filters.at[i]->name));
        }
    }
    out->network_rbac = rbac;
    if (!out->http && !out->tcp) {
        return err_set(err, -ERR_CONFIG,
                       "filters: the last must be http_connection_manager or tcp_proxy");
    }
    return 0;
}
