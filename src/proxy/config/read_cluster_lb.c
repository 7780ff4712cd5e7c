/* How a cluster's endpoints are chosen, how much they may take, and when they are left out.
 * Source: envoy.config.cluster.v3.Cluster (lb_policy ...), CircuitBreakers, OutlierDetection, with Envoy's
 * defaults. */
#include "proxy/config/read_cluster_lb.h"

#include <inttypes.h>

#include "policy/pb_value.h"
#include "proto/cluster.pb.h"
#include "proto/lb_least_request.pb.h"
#include "proto/lb_maglev.pb.h"
#include "proto/lb_ring_hash.pb.h"
#include "proto/lb_round_robin.pb.h"
#include "proto/lb_wrr_locality.pb.h"

#define LIMIT_DEFAULT \
    1024 /* CircuitBreakers: max_connections, max_pending_requests, max_requests */
#define RETRIES_DEFAULT 3
#define CHOICES_DEFAULT 2
#define PANIC_DEFAULT 50
#define RING_MIN_DEFAULT 1024
#define RING_MAX 8388608 /* Envoy takes no more */
#define TABLE_DEFAULT 65537
#define TABLE_MAX 5000011
#define POLICY "envoy.extensions.load_balancing_policies."

/* ---- balancers ---- */

static int choices_of(struct conf_cluster *out, const struct pb_protobuf_UInt32Value *count,
                      struct err *err)
{
    out->choices = pb_value_u32(count, CHOICES_DEFAULT);
    return out->choices >= 2
               ? 0
               : err_set(err, -ERR_CONFIG, "choice_count is %u; use 2 or more", out->choices);
}

static void locality_of(struct conf_cluster *out,
                        const struct pb_lb_common_LocalityLbConfig *config)
{
    out->locality_weighted =
        out->locality_weighted || (config && config->locality_weighted_lb_config);
}

/* ---- consistent hashing ---- */

static uint64_t size_of(const struct pb_protobuf_UInt64Value *v, uint64_t fallback)
{
    return v ? v->value : fallback;
}

static int ring_hash(struct conf_cluster *out, const struct pb_protobuf_UInt64Value *min,
                     const struct pb_protobuf_UInt64Value *max, bool murmur, struct err *err)
{
    uint64_t least = size_of(min, RING_MIN_DEFAULT);
    uint64_t most = size_of(max, RING_MAX);
    if (murmur) {
        return err_set(err, -ERR_CONFIG, "hash_function MURMUR_HASH_2 is not supported");
    }
    if (least < 1 || most > RING_MAX || least > most) {
        return err_set(err, -ERR_CONFIG,
                       "minimum_ring_size %" PRIu64 " and maximum_ring_size %" PRIu64
                       " are not in order between 1 and %d",
                       least, most, RING_MAX);
    }
    out->lb = CONF_LB_RING_HASH;
    out->hash.ring_min = (uint32_t)least;
    out->hash.ring_max = (uint32_t)most;
    return 0;
}

static bool is_prime(uint64_t n)
{
    for (uint64_t d = 2; d * d <= n; d++) {
        if (n % d == 0) {
            return false;
        }
    }
    return n > 1;
}

static int maglev(struct conf_cluster *out, const struct pb_protobuf_UInt64Value *size,
                  struct err *err)
{
    uint64_t places = size_of(size, TABLE_DEFAULT);
    if (places < 3 || places > TABLE_MAX || !is_prime(places)) {
        return err_set(err, -ERR_CONFIG,
                       "table_size %" PRIu64 " is not a prime number between 3 and %d", places,
                       TABLE_MAX);
    }
    out->lb = CONF_LB_MAGLEV;
    out->hash.table_size = (uint32_t)places;
    return 0;
}

static int hash_keys(struct conf_cluster *out, bool by_hostname,
                     const struct pb_protobuf_UInt32Value *balance_factor, struct err *err)
{
    if (pb_value_u32(balance_factor, 0) > 0) {
        return err_set(err, -ERR_CONFIG, "hash_balance_factor is not supported");
    }
    out->hash.by_hostname = by_hostname;
    return 0;
}

static int typed_hash_keys(struct conf_cluster *out,
                           const struct pb_lb_common_ConsistentHashingLbConfig *config,
                           struct err *err)
{
    if (!config) {
        return 0;
    }
    if (config->hash_policy.count > 0) {
        return err_set(err, -ERR_CONFIG,
                       "hash_policy of a load balancing policy is not supported; use the route's");
    }
    return hash_keys(out, config->use_hostname_for_hashing, config->hash_balance_factor, err);
}

static int typed_ring_hash(struct read *rd, struct conf_cluster *out, struct span bytes,
                           struct err *err)
{
    const struct pb_lb_ring_hash_RingHash *p =
        read_any(rd, &pb_lb_ring_hash_RingHash_desc, bytes, err);
    if (!p) {
        return -ERR_CONFIG;
    }
    out->locality_weighted = out->locality_weighted || p->locality_weighted_lb_config;
    int rc = typed_hash_keys(out, p->consistent_hashing_lb_config, err);
    return rc != 0 ? rc
                   : ring_hash(out, p->minimum_ring_size, p->maximum_ring_size,
                               p->hash_function ==
                                   PB_LB_RING_HASH_RING_HASH_HASH_FUNCTION_MURMUR_HASH_2,
                               err);
}

static int typed_maglev(struct read *rd, struct conf_cluster *out, struct span bytes,
                        struct err *err)
{
    const struct pb_lb_maglev_Maglev *p = read_any(rd, &pb_lb_maglev_Maglev_desc, bytes, err);
    if (!p) {
        return -ERR_CONFIG;
    }
    out->locality_weighted = out->locality_weighted || p->locality_weighted_lb_config;
    int rc = typed_hash_keys(out, p->consistent_hashing_lb_config, err);
    return rc != 0 ? rc : maglev(out, p->table_size, err);
}

/* Cluster.lb_policy RING_HASH or MAGLEV, with the older settings. */
static int plain_hash(struct conf_cluster *out, const struct pb_cluster_Cluster *config,
                      struct err *err)
{
    const struct pb_cluster_Cluster_CommonLbConfig_ConsistentHashingLbConfig *keys =
        config->common_lb_config ? config->common_lb_config->consistent_hashing_lb_config : NULL;
    int rc =
        keys ? hash_keys(out, keys->use_hostname_for_hashing, keys->hash_balance_factor, err) : 0;
    if (rc != 0) {
        return rc;
    }
    if (config->lb_policy == PB_CLUSTER_CLUSTER_LB_POLICY_MAGLEV) {
        return maglev(out, config->maglev_lb_config ? config->maglev_lb_config->table_size : NULL,
                      err);
    }
    const struct pb_cluster_Cluster_RingHashLbConfig *r = config->ring_hash_lb_config;
    if (!r) {
        return ring_hash(out, NULL, NULL, false, err);
    }
    return ring_hash(out, r->minimum_ring_size, r->maximum_ring_size,
                     r->hash_function ==
                         PB_CLUSTER_CLUSTER_RING_HASH_LB_CONFIG_HASH_FUNCTION_MURMUR_HASH_2,
                     err);
}

/* ---- policies ---- */

/* One with settings of its own. */
static int typed_policy(struct read *rd, struct conf_cluster *out, struct span type,
                        struct span bytes, bool *known, struct err *err)
{
    *known = true;
    if (span_is(type, POLICY "round_robin.v3.RoundRobin")) {
        const struct pb_lb_round_robin_RoundRobin *p =
            read_any(rd, &pb_lb_round_robin_RoundRobin_desc, bytes, err);
        if (!p) {
            return -ERR_CONFIG;
        }
        out->lb = CONF_LB_ROUND_ROBIN;
        locality_of(out, p->locality_lb_config);
        if (p->slow_start_config) {
            read_skip(rd, SPAN("slow_start_config"));
        }
        return 0;
    }
    if (span_is(type, POLICY "least_request.v3.LeastRequest")) {
        const struct pb_lb_least_request_LeastRequest *p =
            read_any(rd, &pb_lb_least_request_LeastRequest_desc, bytes, err);
        if (!p) {
            return -ERR_CONFIG;
        }
        out->lb = CONF_LB_LEAST_REQUEST;
        locality_of(out, p->locality_lb_config);
        if (p->slow_start_config) {
            read_skip(rd, SPAN("slow_start_config"));
        }
        return choices_of(out, p->choice_count, err);
    }
    if (span_is(type, POLICY "ring_hash.v3.RingHash")) {
        return typed_ring_hash(rd, out, bytes, err);
    }
    if (span_is(type, POLICY "maglev.v3.Maglev")) {
        return typed_maglev(rd, out, bytes, err);
    }
    if (span_is(type, POLICY "random.v3.Random")) {
        out->lb = CONF_LB_RANDOM;
        return 0;
    }
    if (span_is(type, POLICY "cluster_provided.v3.ClusterProvided")) {
        out->lb = CONF_LB_CLUSTER_PROVIDED;
        return 0;
    }
    *known = false;
    return 0;
}

/* The first policy that is known counts (Cluster.load_balancing_policy). WrrLocality wraps another list. */
static int policy_list(struct read *rd, struct conf_cluster *out,
                       const struct pb_cluster_LoadBalancingPolicy *list, struct err *err)
{
    for (unsigned wraps = 0; list && wraps < 2; wraps++) {
        const struct pb_cluster_LoadBalancingPolicy *inner = NULL;
        for (uint32_t i = 0; i < list->policies.count && !inner; i++) {
            const struct pb_core_TypedExtensionConfig *p =
                list->policies.at[i]->typed_extension_config;
            struct span type = read_type(rd, p ? p->typed_config : NULL);
            bool known = false;
            int rc =
                p ? typed_policy(rd, out, type,
                                 p->typed_config ? p->typed_config->value : SPAN_EMPTY, &known, err)
                  : 0;
            if (rc != 0 || known) {
                return rc;
            }
            if (span_is(type, POLICY "wrr_locality.v3.WrrLocality")) {
                const struct pb_lb_wrr_locality_WrrLocality *w =
                    read_any(rd, &pb_lb_wrr_locality_WrrLocality_desc, p->typed_config->value, err);
                if (!w) {
                    return -ERR_CONFIG;
                }
                out->locality_weighted = true;
                inner = w->endpoint_picking_policy;
            }
        }
        list = inner;
    }
    return err_set(err, -ERR_CONFIG, "load_balancing_policy: none of the policies is known");
}

static int common_lb(struct read *rd, struct conf_cluster *out,
                     const struct pb_cluster_Cluster_CommonLbConfig *config, struct err *err)
{
    out->panic_percent = PANIC_DEFAULT;
    if (!config) {
        return 0;
    }
    if (config->healthy_panic_threshold) {
        double percent = config->healthy_panic_threshold->value;
        if (!(percent >= 0 && percent <= 100)) {
            return err_set(err, -ERR_CONFIG, "healthy_panic_threshold is not 0 to 100");
        }
        out->panic_percent = (uint32_t)percent;
    }
    out->locality_weighted = config->locality_weighted_lb_config != NULL;
    out->close_on_change = config->close_connections_on_host_set_change;
    if (config->override_host_status) {
        read_skip(rd, SPAN("common_lb_config.override_host_status"));
    }
    return 0;
}

int read_cluster_lb(struct read *rd, struct conf_cluster *out,
                    const struct pb_cluster_Cluster *config, struct err *err)
{
    out->choices = CHOICES_DEFAULT;
    int rc = common_lb(rd, out, config->common_lb_config, err);
    if (rc != 0) {
        return rc;
    }
    if (config->load_balancing_policy) {
        return policy_list(rd, out, config->load_balancing_policy, err);
    }
    switch (config->lb_policy) {
    case PB_CLUSTER_CLUSTER_LB_POLICY_ROUND_ROBIN:
        out->lb = CONF_LB_ROUND_ROBIN;
        if (config->round_robin_lb_config && config->round_robin_lb_config->slow_start_config) {
            read_skip(rd, SPAN("slow_start_config"));
        }
        return 0;
    case PB_CLUSTER_CLUSTER_LB_POLICY_LEAST_REQUEST:
        out->lb = CONF_LB_LEAST_REQUEST;
        if (!config->least_request_lb_config) {
            return 0;
        }
        if (config->least_request_lb_config->slow_start_config) {
            read_skip(rd, SPAN("slow_start_config"));
        }
        return choices_of(out, config->least_request_lb_config->choice_count, err);
    case PB_CLUSTER_CLUSTER_LB_POLICY_RANDOM:
        out->lb = CONF_LB_RANDOM;
        return 0;
    case PB_CLUSTER_CLUSTER_LB_POLICY_CLUSTER_PROVIDED:
        out->lb = CONF_LB_CLUSTER_PROVIDED;
        return 0;
    case PB_CLUSTER_CLUSTER_LB_POLICY_RING_HASH:
    case PB_CLUSTER_CLUSTER_LB_POLICY_MAGLEV:
        return plain_hash(out, config, err);
    default:
        return err_set(err, -ERR_CONFIG, "lb_policy of number %d is not supported",
                       (int)config->lb_policy);
    }
}

/* ---- limits ---- */

int read_cluster_lb_limits(struct conf_cluster *out, const struct pb_cluster_Cluster *config,
                           struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(out->limits); i++) {
        out->limits[i] =
            (struct conf_limits){LIMIT_DEFAULT, LIMIT_DEFAULT, LIMIT_DEFAULT, RETRIES_DEFAULT};
    }
    const struct pb_cluster_CircuitBreakers *breakers = config->circuit_breakers;
    if (!breakers) {
        return 0;
    }
    if (breakers->per_host_thresholds.count > 0) {
        return err_set(err, -ERR_CONFIG, "circuit_breakers: per_host_thresholds is not supported");
    }
    for (uint32_t i = 0; i < breakers->thresholds.count; i++) {
        const struct pb_cluster_CircuitBreakers_Thresholds *t = breakers->thresholds.at[i];
        if (t->retry_budget) {
            return err_set(err, -ERR_CONFIG, "circuit_breakers: retry_budget is not supported");
        }
        struct conf_limits *l = &out->limits[t->priority == PB_CORE_ROUTING_PRIORITY_HIGH];
        l->connections = pb_value_u32(t->max_connections, LIMIT_DEFAULT);
        l->pending = pb_value_u32(t->max_pending_requests, LIMIT_DEFAULT);
        l->requests = pb_value_u32(t->max_requests, LIMIT_DEFAULT);
        l->retries = pb_value_u32(t->max_retries, RETRIES_DEFAULT);
    }
    return 0;
}

/* ---- outliers ---- */

/* A count that is enforced at 0 % is off. */
static uint32_t enforced(const struct pb_protobuf_UInt32Value *count, uint32_t count_default,
                         const struct pb_protobuf_UInt32Value *percent, uint32_t percent_default)
{
    return pb_value_u32(percent, percent_default) == 0 ? 0 : pb_value_u32(count, count_default);
}

int read_cluster_lb_outlier(struct conf_cluster *out, const struct pb_cluster_Cluster *config,
                            struct err *err)
{
    const struct pb_cluster_OutlierDetection *o = config->outlier_detection;
    if (!o) {
        return 0;
    }
    struct conf_outlier *to = &out->outlier;
    to->enabled = true;
    to->consecutive_5xx = enforced(o->consecutive_5xx, 5, o->enforcing_consecutive_5xx, 100);
    to->consecutive_gateway =
        enforced(o->consecutive_gateway_failure, 5, o->enforcing_consecutive_gateway_failure, 0);
    to->consecutive_local = enforced(o->consecutive_local_origin_failure, 5,
                                     o->enforcing_consecutive_local_origin_failure, 100);
    to->split_local = o->split_external_local_origin_errors;
    to->max_ejection_percent = pb_value_u32(o->max_ejection_percent, 10);
    to->always_one = pb_value_bool(o->always_eject_one_host, false);
    int rc = pb_value_ms(o->interval, 10000, "interval", &to->interval_ms, err);
    rc = rc != 0 ? rc
                 : pb_value_ms(o->base_ejection_time, 30000, "base_ejection_time",
                               &to->base_ejection_ms, err);
    int64_t max_default = i64_max(300000, to->base_ejection_ms);
    rc = rc != 0 ? rc
                 : pb_value_ms(o->max_ejection_time, max_default, "max_ejection_time",
                               &to->max_ejection_ms, err);
    return rc != 0 ? err_prefix(err, "outlier_detection") : 0;
}
