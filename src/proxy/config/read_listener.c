/* One listener: where it listens, how it sniffs, and its filter chains. */
#include "proxy/config/read_listener.h"

#include "policy/pb_value.h"
#include "proto/listener.pb.h"
#include "proto/proxy_protocol.pb.h"
#include "proto/udp_proxy.pb.h"
#include "proxy/config/known_filters.h"
#include "proxy/config/read_access_log.h"
#include "proxy/config/read_filters.h"
#include "proxy/config/read_tls.h"

#define SNIFF_MS 15000 /* listener_filters_timeout */
#define HANDSHAKE_MS \
    10000 /* ours: Envoy has none when transport_socket_connect_timeout is not set */
#define FILTERS "envoy.extensions.filters.listener."
#define PORT_RANGES_MAX 1024

/* ---- listener filters ---- */

struct ranges {
    struct conf_ports *list;
    size_t count;
};

/* filter_disabled as a list of port ranges: `or_match` of ranges is what control planes write. */
static int add_range(struct ranges *r,
                     const struct pb_listener_ListenerFilterChainMatchPredicate *p, struct err *err)
{
    struct conf_ports range = {0, 65536};
    if (p->destination_port_range) {
        const struct pb_type_Int32Range *d = p->destination_port_range;
        if (d->start < 0 || d->end > 65536 || d->start >= d->end) {
            return err_set(err, -ERR_CONFIG,
                           "filter_disabled: destination_port_range %d to %d is not valid",
                           (int)d->start, (int)d->end);
        }
        range = (struct conf_ports){(uint32_t)d->start, (uint32_t)d->end};
    } else if (!p->any_match) {
        return err_set(
            err, -ERR_CONFIG,
            "filter_disabled: only any_match, destination_port_range and or_match of them are "
            "supported");
    }
    if (r->count == PORT_RANGES_MAX) {
        return err_set(err, -ERR_CONFIG, "filter_disabled: more than %d ranges", PORT_RANGES_MAX);
    }
    r->list[r->count++] = range;
    return 0;
}

/* Istio nests or_match in or_match to keep each short: followed without recursion, level by level. */
static int ranges_of(struct read *rd, const struct conf_ports **out, size_t *count,
                     const struct pb_listener_ListenerFilterChainMatchPredicate *p, struct err *err)
{
    if (!p) {
        return 0;
    }
    const struct pb_listener_ListenerFilterChainMatchPredicate **queue =
        arena_array(rd->temp, PORT_RANGES_MAX, sizeof(*queue));
    struct ranges r = {arena_array(rd->temp, PORT_RANGES_MAX, sizeof(*r.list)), 0};
    size_t waiting = 1;
    queue[0] = p;
    for (size_t at = 0; at < waiting; at++) {
        if (!queue[at]->or_match) {
            int rc = add_range(&r, queue[at], err);
            if (rc != 0) {
                return rc;
            }
            continue;
        }
        for (uint32_t i = 0; i < queue[at]->or_match->rules.count; i++) {
            if (waiting == PORT_RANGES_MAX) {
                return err_set(err, -ERR_CONFIG, "filter_disabled: more than %d rules",
                               PORT_RANGES_MAX);
            }
            queue[waiting++] = queue[at]->or_match->rules.at[i];
        }
    }
    struct conf_ports *copy = arena_array(rd->arena, r.count, sizeof(*copy));
    memcpy(copy, r.list, r.count * sizeof(*copy));
    *out = copy;
    *count = r.count;
    return 0;
}

/* ---- UDP ---- */

#define UDP_IDLE_MS 60000 /* UdpProxyConfig.idle_timeout */

static int refuse_udp(const struct pb_udp_proxy_UdpProxyConfig *c, struct err *err)
{
    const char *field = NULL;
    if (c->use_original_src_ip) {
        field = "use_original_src_ip";
    } else if (c->use_per_packet_load_balancing) {
        field = "use_per_packet_load_balancing";
    } else if (c->access_log.count > 0 || c->proxy_access_log.count > 0) {
        field = "access_log";
    }
    return field ? err_set(err, -ERR_CONFIG, "'%s' is not supported", field) : 0;
}

static int udp_proxy(struct read *rd, const struct conf_udp **out, struct span bytes,
                     struct err *err)
{
    const struct pb_udp_proxy_UdpProxyConfig *c =
        read_any(rd, &pb_udp_proxy_UdpProxyConfig_desc, bytes, err);
    if (!c) {
        return -ERR_CONFIG;
    }
    if (c->cluster.len == 0) {
        return err_set(err, -ERR_CONFIG, "only 'cluster' is supported as route_specifier");
    }
    struct conf_udp *udp = arena_new(rd->arena, struct conf_udp);
    udp->stat_prefix = c->stat_prefix;
    udp->cluster = (struct route_cluster){
        .name = c->cluster, .slot = read_cluster_slot(rd, c->cluster), .weight = 1};
    for (uint32_t i = 0; i < c->hash_policies.count; i++) {
        if (!c->hash_policies.at[i]->source_ip) {
            return err_set(err, -ERR_CONFIG, "hash_policies %u: only source_ip is supported", i);
        }
        udp->hash_source_ip = true;
    }
    *out = udp;
    int rc = refuse_udp(c, err);
    return rc != 0 ? rc
                   : pb_value_ms(c->idle_timeout, UDP_IDLE_MS, "idle_timeout", &udp->idle_ms, err);
}

/* ---- the PROXY protocol ---- */

/* What would hand TLVs on is refused: nothing behind reads them. */
static int proxy_protocol(struct read *rd, struct conf_proxy_protocol *out, struct span bytes,
                          struct err *err)
{
    const struct pb_proxy_protocol_ProxyProtocol *c =
        read_any(rd, &pb_proxy_protocol_ProxyProtocol_desc, bytes, err);
    if (!c) {
        return -ERR_CONFIG;
    }
    if (c->rules.count > 0 || c->pass_through_tlvs) {
        return err_set(err, -ERR_CONFIG, "'%s' is not supported",
                       c->rules.count > 0 ? "rules" : "pass_through_tlvs");
    }
    out->on = true;
    out->optional = c->allow_requests_without_proxy_protocol;
    for (uint32_t i = 0; i < c->disallowed_versions.count; i++) {
        bool v1 = c->disallowed_versions.at[i] == PB_CORE_PROXY_PROTOCOL_CONFIG_VERSION_V1;
        out->refuse_v1 = out->refuse_v1 || v1;
        out->refuse_v2 = out->refuse_v2 || !v1;
    }
    return 0;
}

static int listener_filter(struct read *rd, struct conf_listener *out,
                           const struct pb_listener_ListenerFilter *f, struct err *err)
{
    if (f->config_discovery) {
        return err_set(err, -ERR_CONFIG, "config_discovery is not supported");
    }
    struct span type = read_type(rd, f->typed_config);
    if (span_is(type, FILTERS "tls_inspector.v3.TlsInspector")) {
        out->tls_inspector = true;
        return ranges_of(rd, &out->tls_inspector_off, &out->tls_inspector_off_count,
                         f->filter_disabled, err);
    }
    if (span_is(type, FILTERS "http_inspector.v3.HttpInspector")) {
        out->http_inspector = true;
        return ranges_of(rd, &out->http_inspector_off, &out->http_inspector_off_count,
                         f->filter_disabled, err);
    }
    if (f->filter_disabled) {
        return err_set(err, -ERR_CONFIG, "filter_disabled is not supported here");
    }
    if (span_is(type, FILTERS "original_dst.v3.OriginalDst")) {
        out->original_dst_filter = true;
        return 0;
    }
    if (span_is(type, FILTERS "proxy_protocol.v3.ProxyProtocol")) {
        return proxy_protocol(rd, &out->proxy_protocol, f->typed_config->value, err);
    }
    if (span_is(type, "envoy.extensions.filters.udp.udp_proxy.v3.UdpProxyConfig")) {
        return udp_proxy(rd, &out->udp, f->typed_config->value, err);
    }
    if (known_filters_builtin(KNOWN_LISTENER, type, f->name, f->typed_config)) {
        return 0;
    }
    return err_set(err, -ERR_CONFIG, "type '%.*s' is not known", SPAN_ARG(type));
}

static int listener_filters(struct read *rd, struct conf_listener *out,
                            const struct pb_listener_Listener *config, struct err *err)
{
    for (uint32_t i = 0; i < config->listener_filters.count; i++) {
        const struct pb_listener_ListenerFilter *f = config->listener_filters.at[i];
        int rc = listener_filter(rd, out, f, err);
        if (rc != 0) {
            return err_prefix(err, "listener filter '%.*s'", SPAN_ARG(f->name));
        }
    }
    out->continue_on_sniff_timeout = config->continue_on_listener_filters_timeout;
    return pb_value_ms(config->listener_filters_timeout, SNIFF_MS, "listener_filters_timeout",
                       &out->sniff_ms, err);
}

/* ---- chains ---- */

static int cidrs(struct read *rd, const struct cidr **out, size_t *count,
                 struct pb_core_CidrRange *const *list, size_t list_count, const char *field,
                 struct err *err)
{
    struct cidr *ranges = arena_array(rd->arena, list_count, sizeof(*ranges));
    for (size_t i = 0; i < list_count; i++) {
        int rc = pb_value_cidr(list[i], &ranges[i], err);
        if (rc != 0) {
            return err_prefix(err, "%s", field);
        }
    }
    *out = ranges;
    *count = list_count;
    return 0;
}

static int transport_of(struct conf_chain_match *out, struct span name, struct err *err)
{
    if (name.len == 0) {
        out->transport = CONF_TRANSPORT_ANY;
    } else if (span_is(name, "raw_buffer")) {
        out->transport = CONF_TRANSPORT_RAW;
    } else if (span_is(name, "tls")) {
        out->transport = CONF_TRANSPORT_TLS;
    } else {
        return err_set(err, -ERR_CONFIG,
                       "transport_protocol '%.*s' is not known; use tls or raw_buffer",
                       SPAN_ARG(name));
    }
    return 0;
}

static int server_names(struct read *rd, struct conf_chain_match *out,
                        const struct pb_listener_FilterChainMatch *config, struct err *err)
{
    struct span *names = arena_array(rd->arena, config->server_names.count, sizeof(*names));
    for (uint32_t i = 0; i < config->server_names.count; i++) {
        struct span name = config->server_names.at[i];
        struct span bare = span_starts(name, SPAN("*.")) ? span_from_offset(name, 2) : name;
        if (bare.len == 0 ||
            span_find_byte(bare, '*') >= 0) { /* partial wildcards, as Envoy says */
            return err_set(err, -ERR_CONFIG,
                           "server_names: '%.*s' is not a name or \"*.\" and a name",
                           SPAN_ARG(name));
        }
        names[i] = read_lower(rd, name);
    }
    out->server_names = names;
    out->server_name_count = config->server_names.count;
    return 0;
}

static int source_of(struct read *rd, struct conf_chain_match *out,
                     const struct pb_listener_FilterChainMatch *config, struct err *err)
{
    out->source_local_only =
        config->source_type ==
        PB_LISTENER_FILTER_CHAIN_MATCH_CONNECTION_SOURCE_TYPE_SAME_IP_OR_LOOPBACK;
    out->source_external_only =
        config->source_type == PB_LISTENER_FILTER_CHAIN_MATCH_CONNECTION_SOURCE_TYPE_EXTERNAL;
    uint16_t *ports = arena_array(rd->arena, config->source_ports.count, sizeof(*ports));
    for (uint32_t i = 0; i < config->source_ports.count; i++) {
        int rc = read_ports(config->source_ports.at[i], "source_ports", err);
        if (rc != 0) {
            return rc;
        }
        ports[i] = (uint16_t)config->source_ports.at[i];
    }
    out->source_ports = ports;
    out->source_port_count = config->source_ports.count;
    return cidrs(rd, &out->sources, &out->source_count, config->source_prefix_ranges.at,
                 config->source_prefix_ranges.count, "source_prefix_ranges", err);
}

static int chain_match(struct read *rd, struct conf_chain_match *out,
                       const struct pb_listener_FilterChainMatch *config, struct err *err)
{
    if (!config) {
        return 0;
    }
    if (config->address_suffix.len > 0 || config->suffix_len) {
        return err_set(err, -ERR_CONFIG, "address_suffix is not supported");
    }
    if (config->direct_source_prefix_ranges.count > 0) {
        return err_set(err, -ERR_CONFIG, "direct_source_prefix_ranges is not supported");
    }
    out->destination_port = pb_value_u32(config->destination_port, 0);
    out->alpn =
        read_spans(rd, config->application_protocols.at, config->application_protocols.count);
    out->alpn_count = config->application_protocols.count;
    int rc = read_ports(out->destination_port, "destination_port", err);
    rc = rc != 0 ? rc : transport_of(out, config->transport_protocol, err);
    rc = rc != 0 ? rc : server_names(rd, out, config, err);
    rc = rc != 0 ? rc : source_of(rd, out, config, err);
    return rc != 0
               ? rc
               : cidrs(rd, &out->destinations, &out->destination_count, config->prefix_ranges.at,
                       config->prefix_ranges.count, "prefix_ranges", err);
}

static int chain(struct read *rd, struct conf_chain *out,
                 const struct pb_listener_FilterChain *config, struct err *err)
{
    out->name = config->name;
    if (pb_value_bool(config->use_proxy_proto, false)) {
        return err_set(err, -ERR_CONFIG,
                       "use_proxy_proto is not supported; use the listener filter");
    }
    int rc = chain_match(rd, &out->match, config->filter_chain_match, err);
    if (rc != 0) {
        return err_prefix(err, "filter_chain_match");
    }
    rc = read_tls_socket(rd, &out->tls, true, config->transport_socket, err);
    rc = rc != 0 ? rc
                 : pb_value_ms(config->transport_socket_connect_timeout, HANDSHAKE_MS,
                               "transport_socket_connect_timeout", &out->tls_handshake_ms, err);
    rc = rc != 0 ? rc : read_filters(rd, out, config, err);
    if (rc == 0 && out->tls != NULL && out->http != NULL &&
        (out->http->xfcc_cert || out->http->xfcc_chain)) {
        struct conf_tls *tls = arena_new(rd->arena, struct conf_tls);
        *tls = *out->tls;
        tls->keep_chain = true;
        out->tls = tls;
    }
    return rc;
}

/* Two chains with one match: which of them would take a connection is not said. */
static int refuse_twins(struct read *rd, const struct pb_listener_Listener *config, struct err *err)
{
    uint64_t *hashes = arena_array(rd->temp, config->filter_chains.count, sizeof(*hashes));
    for (uint32_t i = 0; i < config->filter_chains.count; i++) {
        static const struct pb_listener_FilterChainMatch none;
        const struct pb_listener_FilterChainMatch *m =
            config->filter_chains.at[i]->filter_chain_match;
        hashes[i] = pb_hash(&pb_listener_FilterChainMatch_desc, m ? m : &none);
        for (uint32_t k = 0; k < i; k++) {
            if (hashes[k] == hashes[i]) {
                return err_set(err, -ERR_CONFIG,
                               "filter chain %u has the same filter_chain_match as %u", i, k);
            }
        }
    }
    return 0;
}

static int chains(struct read *rd, struct conf_listener *out,
                  const struct pb_listener_Listener *config, struct err *err)
{
    int rc = refuse_twins(rd, config, err);
    if (rc != 0) {
        return rc;
    }
    struct conf_chain *list = arena_array(rd->arena, config->filter_chains.count, sizeof(*list));
    for (uint32_t i = 0; i < config->filter_chains.count; i++) {
        const struct pb_listener_FilterChain *c = config->filter_chains.at[i];
        rc = chain(rd, &list[i], c, err);
        if (rc != 0) {
            return c->name.len > 0 ? err_prefix(err, "filter chain %u '%.*s'", i, SPAN_ARG(c->name))
                                   : err_prefix(err, "filter chain %u", i);
        }
    }
    out->chains = list;
    out->chain_count = config->filter_chains.count;
    if (config->default_filter_chain) {
        struct conf_chain *last = arena_new(rd->arena, struct conf_chain);
        rc = chain(rd, last, config->default_filter_chain, err);
        out->default_chain = last;
        return rc != 0 ? err_prefix(err, "default filter chain") : 0;
    }
    return out->chain_count > 0 || out->udp != NULL
               ? 0
               : err_set(err, -ERR_CONFIG, "there is no filter chain");
}

/* ---- the listener ---- */

static int refuse_unsupported(const struct pb_listener_Listener *config, struct err *err)
{
    const char *field = NULL;
    if (config->api_listener) {
        field = "api_listener";
    }
    return field ? err_set(err, -ERR_CONFIG, "'%s' is not supported", field) : 0;
}

/* Of a UDP listener everything but the protocol is read as any address is. */
static int own_address(struct conf_listener *out, const struct pb_listener_Listener *config,
                       struct err *err)
{
    const struct pb_core_Address *a = config->address;
    bool udp = a && a->socket_address &&
               a->socket_address->protocol == PB_CORE_SOCKET_ADDRESS_PROTOCOL_UDP;
    struct pb_core_SocketAddress plain;
    struct pb_core_Address of_udp;
    if (udp) {
        plain = *a->socket_address;
        plain.protocol = PB_CORE_SOCKET_ADDRESS_PROTOCOL_TCP;
        of_udp = *a;
        of_udp.socket_address = &plain;
        a = &of_udp;
    }
    int rc = read_address(&out->addr, NULL, NULL, a, err);
    if (rc == 0 && udp != (out->udp != NULL)) {
        rc = err_set(err, -ERR_CONFIG,
                     udp ? "a UDP listener needs the listener filter udp_proxy"
                         : "the listener filter udp_proxy needs an address of protocol UDP");
    }
    if (rc == 0 && udp && config->additional_addresses.count > 0) {
        rc = err_set(err, -ERR_CONFIG, "a UDP listener has one address");
    }
    return rc;
}

static int addresses(struct read *rd, struct conf_listener *out,
                     const struct pb_listener_Listener *config, struct err *err)
{
    if (out->internal) {
        return config->address || config->additional_addresses.count > 0
                   ? err_set(err, -ERR_CONFIG, "address: an internal_listener has none")
                   : 0;
    }
    int rc = own_address(out, config, err);
    if (rc == 0 && out->addr.kind == ADDR_INTERNAL) {
        rc = err_set(err, -ERR_CONFIG, "address: a listener can not have an internal one");
    }
    struct addr *more = arena_array(rd->arena, config->additional_addresses.count, sizeof(*more));
    for (uint32_t i = 0; i < config->additional_addresses.count && rc == 0; i++) {
        rc = read_address(&more[i], NULL, NULL, config->additional_addresses.at[i]->address, err);
    }
    out->more_addrs = more;
    out->more_addr_count = config->additional_addresses.count;
    return rc;
}

static enum conf_direction direction_of(int32_t direction)
{
    return direction == PB_CORE_TRAFFIC_DIRECTION_INBOUND    ? CONF_INBOUND
           : direction == PB_CORE_TRAFFIC_DIRECTION_OUTBOUND ? CONF_OUTBOUND
                                                             : CONF_UNSPECIFIED;
}

/* ---- on-demand discovery ---- */

#define DISCOVERY_FILTER "mesh.discovery"
#define DISCOVERY_LIST_MAX 10000

static int texts_of(struct read *rd, const struct pb_protobuf_Struct *s, const char *key,
                    const struct span **out, size_t *count, struct err *err)
{
    const struct pb_protobuf_Value *v = read_member(s, key);
    const struct pb_protobuf_ListValue *list = v != NULL ? v->list_value : NULL;
    if (v == NULL || list == NULL) {
        return v == NULL ? 0
                         : err_set(err, -ERR_CONFIG, DISCOVERY_FILTER ": '%s' is not a list", key);
    }
    if (list->values.count > DISCOVERY_LIST_MAX) {
        return err_set(err, -ERR_CONFIG, DISCOVERY_FILTER ": '%s' has more than %d members", key,
                       DISCOVERY_LIST_MAX);
    }
    struct span *texts = arena_array(rd->arena, list->values.count, sizeof(*texts));
    for (uint32_t i = 0; i < list->values.count; i++) {
        texts[i] = read_text(list->values.at[i]);
    }
    *out = texts;
    *count = list->values.count;
    return 0;
}

static int discovery(struct read *rd, struct conf_listener *out,
                     const struct pb_core_Metadata *metadata, struct err *err)
{
    const struct pb_protobuf_Struct *s = read_metadata(metadata, DISCOVERY_FILTER);
    const struct span *ranges = NULL;
    int rc = texts_of(rd, s, "known", &out->known, &out->known_count, err);
    rc = rc != 0 ? rc : texts_of(rd, s, "ranges", &ranges, &out->mesh_range_count, err);
    struct cidr *parsed = arena_array(rd->arena, out->mesh_range_count, sizeof(*parsed));
    for (size_t i = 0; ranges && i < out->mesh_range_count && rc == 0; i++) {
        if (cidr_parse(ranges[i], &parsed[i]) != 0) {
            rc = err_set(err, -ERR_CONFIG, DISCOVERY_FILTER ": '%.*s' is not an address range",
                         SPAN_ARG(ranges[i]));
        }
    }
    out->mesh_ranges = parsed;
    return rc;
}

int read_listener(struct read *rd, struct conf_listener *out,
                  const struct pb_listener_Listener *config, struct err *err)
{
    bool binds =
        pb_value_bool(config->deprecated_v1 ? config->deprecated_v1->bind_to_port : NULL, true);
    out->internal = config->internal_listener != NULL;
    out->bind = pb_value_bool(config->bind_to_port, binds) && !out->internal;
    out->use_original_dst = pb_value_bool(config->use_original_dst, false);
    out->transparent = pb_value_bool(config->transparent, false);
    out->ignore_overload = config->bypass_overload_manager || config->ignore_global_conn_limit;
    out->reuse_port = pb_value_bool(config->enable_reuse_port, true);
    out->direction = direction_of(config->traffic_direction);
    if (config->socket_options.count > 0) {
        read_skip(rd, SPAN("socket_options"));
    }
    int rc = refuse_unsupported(config, err);
    rc = rc != 0 ? rc : listener_filters(rd, out, config, err);
    rc = rc != 0 ? rc : addresses(rd, out, config, err);
    rc = rc != 0 ? rc : discovery(rd, out, config->metadata, err);
    rc = rc != 0 ? rc : chains(rd, out, config, err);
    rc = rc != 0 ? rc
                 : read_access_log(rd, &out->logs, &out->log_count, config->access_log.at,
                                   config->access_log.count, err);
    out->skipped = rd->skipped;
    out->skipped_count = rd->skipped_count;
    return rc;
}
