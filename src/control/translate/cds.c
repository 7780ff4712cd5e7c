/* Clusters: "outbound|<port>|<subset>|<host>".
 * In: world, rules. Out: Cluster. Next: mtls (transport sockets), eds (whose endpoints).
 * Source: Istio pilot/pkg/networking/core (cluster.go, cluster_builder.go, cluster_traffic_policy.go). */
#include "control/translate/translate_int.h"
#include "proto/cluster.pb.h"
#include "proto/endpoint.pb.h"
#include "proto/upstream_http.pb.h"

#define UNLIMITED UINT32_MAX
#define DNS_REFRESH_MS 60000 /* Istio's dnsRefreshRate */
#define RING_MIN 1024        /* minimumRingSize */
#define MAGLEV_SIZE 65537    /* Envoy's table_size */

/* ---- what it is a cluster of ---- */

static const struct world_traffic *traffic_of(const struct world_traffic *all,
                                              const struct world_traffic *const *by_port,
                                              size_t port_index)
{
    static const struct world_traffic none;
    const struct world_traffic *p = by_port ? by_port[port_index] : NULL;
    return p ? p : all ? all : &none;
}

bool cds_destination(const struct translation *t, const struct cluster_name *name,
                     struct destination *out)
{
    *out = (struct destination){0};
    const struct world_service *s = world_find_host(t->w, name->host, t->n->namespace);
    if (!s || !span_eq(s->host, name->host)) { /* cluster names hold full names only */
        return false;
    }
    const struct world_port *port = world_port_of(s, name->port);
    if (!port || translate_is_udp(port->protocol)) {
        return false;
    }
    out->service = s;
    out->port = port;
    out->rule = world_rule_for(t->w, s, t->n->namespace);
    size_t index = (size_t)(port - s->ports);
    if (name->subset.len == 0) {
        out->traffic = traffic_of(out->rule->traffic, out->rule->by_port, index);
        return true;
    }
    for (size_t i = 0; i < out->rule->subset_count; i++) {
        const struct world_subset *subset = &out->rule->subsets[i];
        if (span_eq(subset->name, name->subset)) {
            out->subset = subset;
            out->traffic = traffic_of(subset->traffic, subset->by_port, index);
            return true;
        }
    }
    return false;
}

/* A gateway has no original destination, and a proxy without interception would call itself. */
static bool has_original_destination(struct translation *t)
{
    if (t->n->kind == NODE_GATEWAY) {
        return false;
    }
    t->for_node = true;
    return t->n->interception != NODE_NONE;
}

static bool is_passthrough(struct translation *t, const struct destination *d)
{
    return (d->service->resolution == WORLD_PASSTHROUGH ||
            d->traffic->lb == WORLD_LB_PASSTHROUGH) &&
           has_original_destination(t);
}

bool cds_is_eds(struct translation *t, const struct destination *d)
{
    switch (d->service->resolution) {
    case WORLD_EDS:
        return !is_passthrough(t, d);
    case WORLD_DNS:
    case WORLD_DNS_ROUND_ROBIN:
        return false;
    case WORLD_PASSTHROUGH:
        return !is_passthrough(t, d) &&
               (d->service->headless || t->w->endpoints[d->service->index]->count > 0);
    }
    return false;
}

/* ---- where its endpoints come from ---- */

static void by_eds(struct translation *t, struct pb_cluster_Cluster *c)
{
    c->type = PB_CLUSTER_CLUSTER_DISCOVERY_TYPE_EDS;
    c->eds_cluster_config = arena_new(t->arena, struct pb_cluster_Cluster_EdsClusterConfig);
    c->eds_cluster_config->eds_config = message_ads(t->arena);
    c->eds_cluster_config->service_name = c->name;
}

static void add_self(struct translation *t, struct pb_endpoint_ClusterLoadAssignment *a,
                     const struct destination *d)
{
    struct pb_endpoint_LocalityLbEndpoints *l =
        arena_new(t->arena, struct pb_endpoint_LocalityLbEndpoints);
    struct pb_endpoint_LbEndpoint *e = arena_new(t->arena, struct pb_endpoint_LbEndpoint);
    e->host_identifier_case = PB_ENDPOINT_LB_ENDPOINT_HOST_IDENTIFIER_ENDPOINT;
    e->endpoint = arena_new(t->arena, struct pb_endpoint_Endpoint);
    e->endpoint->address = message_address(t->arena, d->service->host,
                                           d->port->target ? d->port->target : d->port->number);
    PB_ADD(t->arena, &l->lb_endpoints, e);
    PB_ADD(t->arena, &a->endpoints, l);
}

static void by_dns(struct translation *t, struct pb_cluster_Cluster *c, const struct destination *d)
{
    bool logical = d->service->resolution == WORLD_DNS_ROUND_ROBIN;
    c->dns_lookup_family = PB_CLUSTER_CLUSTER_DNS_LOOKUP_FAMILY_V4_PREFERRED;
    c->dns_refresh_rate = message_ms(t->arena, DNS_REFRESH_MS);
    c->respect_dns_ttl = true;
    c->load_assignment = eds_endpoints(t, c->name, d);
    if (c->load_assignment->endpoints.count == 0 && d->service->host.len > 0 &&
        d->service->host.at[0] != '*' && !d->subset) {
        add_self(t, c->load_assignment, d);
    }
    /* LOGICAL_DNS takes one endpoint only. */
    bool is_one = c->load_assignment->endpoints.count == 1 &&
                  c->load_assignment->endpoints.at[0]->lb_endpoints.count == 1;
    c->type = logical && is_one ? PB_CLUSTER_CLUSTER_DISCOVERY_TYPE_LOGICAL_DNS
                                : PB_CLUSTER_CLUSTER_DISCOVERY_TYPE_STRICT_DNS;
}

static void discovery(struct translation *t, struct pb_cluster_Cluster *c,
                      const struct destination *d)
{
    c->cluster_discovery_type_case = PB_CLUSTER_CLUSTER_CLUSTER_DISCOVERY_TYPE_TYPE;
    if (is_passthrough(t, d)) {
        c->type = PB_CLUSTER_CLUSTER_DISCOVERY_TYPE_ORIGINAL_DST;
    } else if (cds_is_eds(t, d)) {
        by_eds(t, c);
    } else {
        by_dns(t, c, d);
    }
}

/* ---- how it is spoken to ---- */

static void put_options(struct translation *t, struct pb_cluster_Cluster *c,
                        const struct pb_upstream_http_HttpProtocolOptions *o)
{
    struct pb_cluster_Cluster_TypedExtensionProtocolOptionsEntry *e =
        arena_new(t->arena, struct pb_cluster_Cluster_TypedExtensionProtocolOptionsEntry);
    e->key = SPAN("envoy.extensions.upstreams.http.v3.HttpProtocolOptions");
    e->value = MESSAGE_ANY(t->arena, PB_UPSTREAM_HTTP_HTTP_PROTOCOL_OPTIONS_URL,
                           &pb_upstream_http_HttpProtocolOptions_desc, o);
    PB_ADD(t->arena, &c->typed_extension_protocol_options, e);
}

static struct pb_core_HttpProtocolOptions *common_options(struct translation *t,
                                                          const struct world_traffic *traffic)
{
    if (!traffic ||
        (traffic->http_idle_timeout_ms == 0 && traffic->max_requests_per_connection == 0 &&
         traffic->max_connection_ms == 0)) {
        return NULL;
    }
    struct pb_core_HttpProtocolOptions *o = arena_new(t->arena, struct pb_core_HttpProtocolOptions);
    if (traffic->http_idle_timeout_ms > 0) {
        o->idle_timeout = message_ms(t->arena, traffic->http_idle_timeout_ms);
    }
    if (traffic->max_connection_ms > 0) {
        o->max_connection_duration = message_ms(t->arena, traffic->max_connection_ms);
    }
    if (traffic->max_requests_per_connection > 0) {
        o->max_requests_per_connection =
            message_u32(t->arena, traffic->max_requests_per_connection);
    }
    return o;
}

static struct pb_core_Http2ProtocolOptions *http2_options(struct translation *t,
                                                          const struct world_traffic *traffic)
{
    struct pb_core_Http2ProtocolOptions *o =
        arena_new(t->arena, struct pb_core_Http2ProtocolOptions);
    if (traffic && traffic->max_streams > 0) {
        o->max_concurrent_streams = message_u32(t->arena, traffic->max_streams);
    }
    return o;
}

static void as_client(struct translation *t, struct pb_upstream_http_HttpProtocolOptions *o,
                      const struct world_traffic *traffic)
{
    o->upstream_protocol_options_case =
        PB_UPSTREAM_HTTP_HTTP_PROTOCOL_OPTIONS_UPSTREAM_PROTOCOL_OPTIONS_USE_DOWNSTREAM_PROTOCOL_CONFIG;
    o->use_downstream_protocol_config =
        arena_new(t->arena, struct pb_upstream_http_HttpProtocolOptions_UseDownstreamHttpConfig);
    o->use_downstream_protocol_config->http_protocol_options =
        arena_new(t->arena, struct pb_core_Http1ProtocolOptions);
    o->use_downstream_protocol_config->http2_protocol_options = http2_options(t, traffic);
}

static void always(struct translation *t, struct pb_upstream_http_HttpProtocolOptions *o,
                   bool http2, const struct world_traffic *traffic)
{
    struct pb_upstream_http_HttpProtocolOptions_ExplicitHttpConfig *x =
        arena_new(t->arena, struct pb_upstream_http_HttpProtocolOptions_ExplicitHttpConfig);
    o->upstream_protocol_options_case =
        PB_UPSTREAM_HTTP_HTTP_PROTOCOL_OPTIONS_UPSTREAM_PROTOCOL_OPTIONS_EXPLICIT_HTTP_CONFIG;
    o->explicit_http_config = x;
    if (http2) {
        x->protocol_config_case =
            PB_UPSTREAM_HTTP_HTTP_PROTOCOL_OPTIONS_EXPLICIT_HTTP_CONFIG_PROTOCOL_CONFIG_HTTP2_PROTOCOL_OPTIONS;
        x->http2_protocol_options = http2_options(t, traffic);
    } else {
        x->protocol_config_case =
            PB_UPSTREAM_HTTP_HTTP_PROTOCOL_OPTIONS_EXPLICIT_HTTP_CONFIG_PROTOCOL_CONFIG_HTTP_PROTOCOL_OPTIONS;
        x->http_protocol_options = arena_new(t->arena, struct pb_core_Http1ProtocolOptions);
    }
}

void cds_protocol(struct translation *t, struct pb_cluster_Cluster *c, enum port_protocol protocol,
                  const struct world_traffic *traffic)
{
    bool is_auto = protocol == PROTOCOL_AUTO || (traffic && traffic->use_client_protocol);
    if (protocol != PROTOCOL_AUTO && !port_protocol_is_http(protocol)) {
        return;
    }
    bool http2 = translate_is_http2(protocol) || (traffic && traffic->h2_upgrade);
    struct pb_core_HttpProtocolOptions *common = common_options(t, traffic);
    if (!is_auto && !http2 && !common) {
        return; /* HTTP/1.1 is what a cluster speaks */
    }
    struct pb_upstream_http_HttpProtocolOptions *o =
        arena_new(t->arena, struct pb_upstream_http_HttpProtocolOptions);
    o->common_http_protocol_options = common;
    if (is_auto && !(traffic && traffic->h2_upgrade)) {
        as_client(t, o, traffic);
    } else {
        always(t, o, http2, traffic);
    }
    put_options(t, c, o);
}

/* ---- traffic policy ---- */

static struct pb_protobuf_UInt32Value *limit(struct translation *t, uint32_t value)
{
    return message_u32(t->arena, value > 0 ? value : UNLIMITED);
}

/* Istio takes Envoy's defaults (1024, and 3 retries) away. */
void cds_limits(struct translation *t, struct pb_cluster_Cluster *c,
                const struct world_traffic *traffic)
{
    static const struct world_traffic none;
    const struct world_traffic *p = traffic ? traffic : &none;
    struct pb_cluster_CircuitBreakers_Thresholds *h =
        arena_new(t->arena, struct pb_cluster_CircuitBreakers_Thresholds);
    h->max_connections = limit(t, p->max_connections);
    h->max_pending_requests = limit(t, p->max_pending);
    h->max_requests = limit(t, p->max_requests);
    h->max_retries = limit(t, p->max_retries);
    h->track_remaining = true;
    c->circuit_breakers = arena_new(t->arena, struct pb_cluster_CircuitBreakers);
    PB_ADD(t->arena, &c->circuit_breakers->thresholds, h);
}

static struct pb_cluster_Cluster_SlowStartConfig *slow_start(struct translation *t,
                                                             const struct world_traffic *p)
{
    struct pb_cluster_Cluster_SlowStartConfig *s =
        arena_new(t->arena, struct pb_cluster_Cluster_SlowStartConfig);
    s->slow_start_window = message_ms(t->arena, p->warmup_ms);
    return s;
}

static struct pb_protobuf_UInt64Value *size64(struct translation *t, uint64_t value)
{
    struct pb_protobuf_UInt64Value *v = arena_new(t->arena, struct pb_protobuf_UInt64Value);
    v->value = value;
    return v;
}

static void hashing(struct translation *t, struct pb_cluster_Cluster *c,
                    const struct world_traffic *p)
{
    if (p->maglev) {
        c->lb_policy = PB_CLUSTER_CLUSTER_LB_POLICY_MAGLEV;
        c->lb_config_case = PB_CLUSTER_CLUSTER_LB_CONFIG_MAGLEV_LB_CONFIG;
        c->maglev_lb_config = arena_new(t->arena, struct pb_cluster_Cluster_MaglevLbConfig);
        c->maglev_lb_config->table_size = size64(t, p->hash_size > 0 ? p->hash_size : MAGLEV_SIZE);
        return;
    }
    c->lb_policy = PB_CLUSTER_CLUSTER_LB_POLICY_RING_HASH;
    c->lb_config_case = PB_CLUSTER_CLUSTER_LB_CONFIG_RING_HASH_LB_CONFIG;
    c->ring_hash_lb_config = arena_new(t->arena, struct pb_cluster_Cluster_RingHashLbConfig);
    c->ring_hash_lb_config->minimum_ring_size =
        size64(t, p->hash_size > 0 ? p->hash_size : RING_MIN);
}

static void balancing(struct translation *t, struct pb_cluster_Cluster *c,
                      const struct world_traffic *p)
{
    if (c->type == PB_CLUSTER_CLUSTER_DISCOVERY_TYPE_ORIGINAL_DST) {
        c->lb_policy = PB_CLUSTER_CLUSTER_LB_POLICY_CLUSTER_PROVIDED;
        return;
    }
    switch (p->lb) {
    case WORLD_LB_LEAST_REQUEST:
    case WORLD_LB_PASSTHROUGH:
        c->lb_policy = PB_CLUSTER_CLUSTER_LB_POLICY_LEAST_REQUEST;
        if (p->warmup_ms > 0) {
            c->lb_config_case = PB_CLUSTER_CLUSTER_LB_CONFIG_LEAST_REQUEST_LB_CONFIG;
            c->least_request_lb_config =
                arena_new(t->arena, struct pb_cluster_Cluster_LeastRequestLbConfig);
            c->least_request_lb_config->slow_start_config = slow_start(t, p);
        }
        return;
    case WORLD_LB_ROUND_ROBIN:
        c->lb_policy = PB_CLUSTER_CLUSTER_LB_POLICY_ROUND_ROBIN;
        if (p->warmup_ms > 0) {
            c->lb_config_case = PB_CLUSTER_CLUSTER_LB_CONFIG_ROUND_ROBIN_LB_CONFIG;
            c->round_robin_lb_config =
                arena_new(t->arena, struct pb_cluster_Cluster_RoundRobinLbConfig);
            c->round_robin_lb_config->slow_start_config = slow_start(t, p);
        }
        return;
    case WORLD_LB_RANDOM:
        c->lb_policy = PB_CLUSTER_CLUSTER_LB_POLICY_RANDOM;
        return;
    case WORLD_LB_HASH:
        hashing(t, c, p);
        return;
    }
}

static void keepalive(struct translation *t, struct pb_cluster_Cluster *c,
                      const struct world_traffic *p)
{
    if (!p->keepalive) {
        return;
    }
    struct pb_core_TcpKeepalive *k = arena_new(t->arena, struct pb_core_TcpKeepalive);
    if (p->keepalive_probes > 0) {
        k->keepalive_probes = message_u32(t->arena, p->keepalive_probes);
    }
    if (p->keepalive_time_ms > 0) {
        k->keepalive_time = message_u32(t->arena, (uint32_t)(p->keepalive_time_ms / 1000));
    }
    if (p->keepalive_interval_ms > 0) {
        k->keepalive_interval = message_u32(t->arena, (uint32_t)(p->keepalive_interval_ms / 1000));
    }
    c->upstream_connection_options =
        arena_new(t->arena, struct pb_cluster_UpstreamConnectionOptions);
    c->upstream_connection_options->tcp_keepalive = k;
}

static void enforce(struct translation *t, uint32_t count, struct pb_protobuf_UInt32Value **value,
                    struct pb_protobuf_UInt32Value **percent)
{
    *value = count > 0 ? message_u32(t->arena, count) : NULL;
    *percent = message_u32(t->arena, count > 0 ? 100 : 0);
}

static void outlier(struct translation *t, struct pb_cluster_Cluster *c,
                    const struct world_outlier *p)
{
    if (!p->enabled) {
        return;
    }
    struct pb_cluster_OutlierDetection *o = arena_new(t->arena, struct pb_cluster_OutlierDetection);
    enforce(t, p->consecutive_5xx, &o->consecutive_5xx, &o->enforcing_consecutive_5xx);
    enforce(t, p->consecutive_gateway, &o->consecutive_gateway_failure,
            &o->enforcing_consecutive_gateway_failure);
    if (p->split_local) {
        o->split_external_local_origin_errors = true;
        enforce(t, p->consecutive_local, &o->consecutive_local_origin_failure,
                &o->enforcing_consecutive_local_origin_failure);
        o->enforcing_local_origin_success_rate = message_u32(t->arena, 0);
    }
    o->enforcing_success_rate = message_u32(t->arena, 0);
    o->interval = message_ms(t->arena, p->interval_ms);
    o->base_ejection_time = message_ms(t->arena, p->base_ejection_ms);
    o->max_ejection_percent = message_u32(t->arena, p->max_ejection_percent);
    c->outlier_detection = o;
    c->common_lb_config = arena_new(t->arena, struct pb_cluster_Cluster_CommonLbConfig);
    c->common_lb_config->healthy_panic_threshold = arena_new(t->arena, struct pb_type_Percent);
    c->common_lb_config->healthy_panic_threshold->value = p->min_health_percent;
}

/* ---- metadata ---- */

void cds_service(struct translation *t, struct pb_protobuf_Value **list,
                 const struct world_service *s)
{
    if (!*list) {
        *list = arena_new(t->arena, struct pb_protobuf_Value);
        (*list)->kind_case = PB_PROTOBUF_VALUE_KIND_LIST_VALUE;
        (*list)->list_value = arena_new(t->arena, struct pb_protobuf_ListValue);
    }
    struct pb_protobuf_Value *v = arena_new(t->arena, struct pb_protobuf_Value);
    v->kind_case = PB_PROTOBUF_VALUE_KIND_STRUCT_VALUE;
    v->struct_value = arena_new(t->arena, struct pb_protobuf_Struct);
    message_put_text(t->arena, v->struct_value, SPAN("host"), s->host);
    message_put_text(t->arena, v->struct_value, SPAN("name"), s->name);
    message_put_text(t->arena, v->struct_value, SPAN("namespace"), s->namespace);
    PB_ADD(t->arena, &(*list)->list_value->values, v);
}

static void metadata(struct translation *t, struct pb_cluster_Cluster *c,
                     const struct destination *d)
{
    struct pb_protobuf_Struct *istio = message_metadata(t->arena, &c->metadata, SPAN("istio"));
    struct pb_protobuf_Value *services = NULL;
    cds_service(t, &services, d->service);
    message_put(t->arena, istio, SPAN("services"), services);
    if (d->subset) {
        message_put_text(t->arena, istio, SPAN("subset"), d->subset->name);
    }
    if (d->rule->object) {
        message_put_text(t->arena, istio, SPAN("config"),
                         translate_config_path(t->arena, d->rule->object));
    }
}

/* ---- the cluster ---- */

static struct pb_cluster_Cluster *outbound(struct translation *t, const struct destination *d,
                                           struct span name)
{
    struct pb_cluster_Cluster *c = arena_new(t->arena, struct pb_cluster_Cluster);
    c->name = name;
    int64_t connect_ms = d->traffic->connect_timeout_ms > 0 ? d->traffic->connect_timeout_ms
                                                            : t->w->config->mesh.connect_timeout_ms;
    c->connect_timeout = message_ms(t->arena, connect_ms);
    discovery(t, c, d);
    balancing(t, c, d->traffic);
    cds_limits(t, c, d->traffic);
    keepalive(t, c, d->traffic);
    outlier(t, c, &d->traffic->outlier);
    cds_protocol(t, c, d->port->protocol, d->traffic);
    mtls_upstream(t, c, d);
    metadata(t, c, d);
    t->service = d->service;
    return c;
}

struct pb_cluster_Cluster *cds_cluster(struct translation *t, struct span name)
{
    struct cluster_name parts;
    if (!translate_split(name, &parts)) {
        struct pb_cluster_Cluster *tunnel = hbone_cluster(t, name);
        return tunnel ? tunnel : cds_inbound_fixed(t, name);
    }
    if (parts.inbound) {
        return cds_inbound(t, parts.port);
    }
    struct destination d;
    return cds_destination(t, &parts, &d) ? outbound(t, &d, name) : NULL;
}

static void service_names(struct translation *t, struct name_list *list,
                          const struct world_service *s)
{
    const struct world_rule *rule = world_rule_for(t->w, s, t->n->namespace);
    for (size_t i = 0; i < s->port_count; i++) {
        if (translate_is_udp(s->ports[i].protocol)) {
            continue;
        }
        translate_add_name(
            t->arena, list,
            translate_cluster_name(t->arena, s->host, s->ports[i].number, SPAN_EMPTY));
        for (size_t k = 0; k < rule->subset_count; k++) {
            translate_add_name(t->arena, list,
                               translate_cluster_name(t->arena, s->host, s->ports[i].number,
                                                      rule->subsets[k].name));
        }
    }
}

void cds_names(struct translation *t, struct name_list *list)
{
    translate_add_name(t->arena, list, SPAN(CLUSTER_BLACK_HOLE));
    hbone_names(t, list, false);
    if (t->n->kind == NODE_SIDECAR) {
        translate_add_name(t->arena, list, SPAN(CLUSTER_PASSTHROUGH));
        translate_add_name(t->arena, list, SPAN(CLUSTER_INBOUND_PASSTHROUGH));
        const struct world_workload *own = lds_workload(t);
        for (size_t i = 0; own && i < own->serve_count; i++) {
            if (translate_is_udp(own->serves[i].port->protocol)) {
                continue;
            }
            struct span name = translate_inbound_name(t->arena, own->serves[i].target);
            bool is_there = false;
            for (uint32_t k = 0; k < list->count; k++) {
                is_there = is_there || span_eq(list->at[k], name);
            }
            if (!is_there) {
                translate_add_name(t->arena, list, name);
            }
        }
    }
    for (size_t i = 0; !t->n->on_demand && i < t->w->config->service_count; i++) {
        const struct world_service *s = t->w->config->services[i];
        /* Of several with one host, the one that this namespace means. */
        if (world_find_host(t->w, s->host, t->n->namespace) == s) {
            service_names(t, list, s);
        }
    }
}
