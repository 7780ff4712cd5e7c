/* ConnectionPoolSettings and OutlierDetection of a DestinationRule. */
#include "model/destination_rule_int.h"
#include "model/kinds_int.h"

/* --- pool: its two halves are read into the same struct --- */

static const struct reader_field keepalive_fields[] = {
    READER_FIELD("probes", U32, struct destination_rule_pool, keepalive_probes),
    READER_FIELD("time", DURATION, struct destination_rule_pool, keepalive_time_ms),
    READER_FIELD("interval", DURATION, struct destination_rule_pool, keepalive_interval_ms),
};

static void start_pool(void *out)
{
    struct destination_rule_pool *pool = out;
    pool->set = true;
    pool->connect_timeout_ms = SPEC_UNSET;
    pool->tcp_idle_timeout_ms = SPEC_UNSET;
    pool->max_connection_ms = SPEC_UNSET;
    pool->keepalive_time_ms = SPEC_UNSET;
    pool->keepalive_interval_ms = SPEC_UNSET;
    pool->idle_timeout_ms = SPEC_UNSET;
}

static const struct reader_table keepalive_table = {
    READER_TABLE(struct destination_rule_pool, keepalive_fields), .start = start_pool};

static void read_keepalive(struct reader *r, const struct doc_node *node, void *to)
{
    struct destination_rule_pool *pool = to;
    struct destination_rule_pool read;
    reader_map(r, node, &keepalive_table, &read);
    pool->has_keepalive = true;
    pool->keepalive_probes = read.keepalive_probes;
    pool->keepalive_time_ms = read.keepalive_time_ms;
    pool->keepalive_interval_ms = read.keepalive_interval_ms;
}

static const struct reader_field tcp_fields[] = {
    READER_FIELD("maxConnections", U32, struct destination_rule_pool, max_connections,
                 .max = INT32_MAX),
    READER_FIELD("connectTimeout", DURATION, struct destination_rule_pool, connect_timeout_ms),
    READER_FIELD("idleTimeout", DURATION, struct destination_rule_pool, tcp_idle_timeout_ms,
                 .zero = true),
    READER_FIELD("maxConnectionDuration", DURATION, struct destination_rule_pool,
                 max_connection_ms),
    {.name = "tcpKeepalive", .type = READER_CUSTOM, .read = read_keepalive},
};
static const struct reader_table tcp_table = {
    READER_TABLE(struct destination_rule_pool, tcp_fields), .start = start_pool};

static void read_tcp(struct reader *r, const struct doc_node *node, void *to)
{
    struct destination_rule_pool *pool = to;
    struct destination_rule_pool read;
    reader_map(r, node, &tcp_table, &read);
    pool->max_connections = read.max_connections;
    pool->connect_timeout_ms = read.connect_timeout_ms;
    pool->tcp_idle_timeout_ms = read.tcp_idle_timeout_ms;
    pool->max_connection_ms = read.max_connection_ms;
    pool->has_keepalive = read.has_keepalive;
    pool->keepalive_probes = read.keepalive_probes;
    pool->keepalive_time_ms = read.keepalive_time_ms;
    pool->keepalive_interval_ms = read.keepalive_interval_ms;
}

static const struct reader_enum h2[] = {{"DEFAULT", DESTINATION_RULE_H2_DEFAULT},
                                        {"DO_NOT_UPGRADE", DESTINATION_RULE_H2_NEVER},
                                        {"UPGRADE", DESTINATION_RULE_H2_UPGRADE},
                                        {NULL, 0}};

#define COUNT(key, member) \
    READER_FIELD(key, U32, struct destination_rule_pool, member, .max = INT32_MAX)

static const struct reader_field http_fields[] = {
    COUNT("http1MaxPendingRequests", max_pending),
    COUNT("http2MaxRequests", max_requests),
    COUNT("maxRequestsPerConnection", max_requests_per_connection),
    COUNT("maxRetries", max_retries),
    COUNT("maxConcurrentStreams", max_concurrent_streams),
    READER_FIELD("idleTimeout", DURATION, struct destination_rule_pool, idle_timeout_ms,
                 .zero = true),
    READER_FIELD("h2UpgradePolicy", ENUM, struct destination_rule_pool, h2, .names = h2),
    READER_FIELD("useClientProtocol", BOOL, struct destination_rule_pool, use_client_protocol),
    READER_WARN("http2KeepAlive", "dead connections are noticed by TCP and by timeouts"),
};
static const struct reader_table http_table = {
    READER_TABLE(struct destination_rule_pool, http_fields), .start = start_pool};

static void check_http(struct reader *r, const struct doc_node *node,
                       const struct destination_rule_pool *pool)
{
    if (!pool->use_client_protocol || pool->h2 != DESTINATION_RULE_H2_UPGRADE) {
        return;
    }
    struct finding *found = reader_say(r, 2024, doc_get(node, "h2UpgradePolicy"), "h2UpgradePolicy",
                                       "'h2UpgradePolicy' stands beside 'useClientProtocol'");
    found->why = SPAN("one upgrades to HTTP/2, the other keeps what the client speaks");
    found->fix = SPAN("remove one of the two");
}

static void read_http(struct reader *r, const struct doc_node *node, void *to)
{
    struct destination_rule_pool *pool = to;
    struct destination_rule_pool read;
    reader_map(r, node, &http_table, &read);
    check_http(r, node, &read);
    pool->max_pending = read.max_pending;
    pool->max_requests = read.max_requests;
    pool->max_requests_per_connection = read.max_requests_per_connection;
    pool->max_retries = read.max_retries;
    pool->max_concurrent_streams = read.max_concurrent_streams;
    pool->idle_timeout_ms = read.idle_timeout_ms;
    pool->h2 = read.h2;
    pool->use_client_protocol = read.use_client_protocol;
}

/* Istio: "connection pool must have at least one field". */
static void check_pool(struct reader *r, const struct doc_node *node, void *out)
{
    UNUSED(out);
    if (reader_has(node, "tcp") || reader_has(node, "http")) {
        return;
    }
    struct finding *found = reader_say(r, 2025, node, NULL, "'connectionPool' sets nothing");
    found->why = SPAN("it wants one of tcp or http");
    found->fix = SPAN("add 'tcp' or 'http', or remove 'connectionPool'");
}

static const struct reader_field pool_fields[] = {
    {.name = "tcp", .type = READER_CUSTOM, .read = read_tcp},
    {.name = "http", .type = READER_CUSTOM, .read = read_http},
};
const struct reader_table destination_rule_pool_table = {
    READER_TABLE(struct destination_rule_pool, pool_fields), .start = start_pool,
    .check = check_pool};

/* --- OutlierDetection --- */

static void start_outlier(void *out)
{
    struct destination_rule_outlier *o = out;
    *o = (struct destination_rule_outlier){
        .set = true,
        .consecutive_5xx = SPEC_UNSET,
        .consecutive_gateway = SPEC_UNSET,
        .consecutive_local = SPEC_UNSET,
        .interval_ms = SPEC_UNSET,
        .base_ejection_ms = SPEC_UNSET,
        .max_ejection_percent = SPEC_UNSET,
        .min_health_percent = SPEC_UNSET,
    };
}

static void check_outlier(struct reader *r, const struct doc_node *node, void *out)
{
    const struct destination_rule_outlier *o = out;
    if (o->consecutive_local == SPEC_UNSET || o->split_local) {
        return;
    }
    struct finding *found = reader_say(r, 2033, doc_get(node, "consecutiveLocalOriginFailures"),
                                       "consecutiveLocalOriginFailures",
                                       "local failures are counted, and not told apart");
    found->why = SPAN("splitExternalLocalOriginErrors is false");
    found->fix = SPAN("add 'splitExternalLocalOriginErrors: true'");
}

#define ERRORS(key, member) \
    READER_FIELD(key, I64, struct destination_rule_outlier, member, .max = UINT32_MAX)
#define PERCENT(key, member) \
    READER_FIELD(key, I64, struct destination_rule_outlier, member, .max = 100)

static const struct reader_field outlier_fields[] = {
    ERRORS("consecutive5xxErrors", consecutive_5xx),
    ERRORS("consecutiveErrors", consecutive_gateway), /* the older name of the next */
    ERRORS("consecutiveGatewayErrors", consecutive_gateway),
    ERRORS("consecutiveLocalOriginFailures", consecutive_local),
    READER_FIELD("splitExternalLocalOriginErrors", BOOL, struct destination_rule_outlier,
                 split_local),
    READER_FIELD("interval", DURATION, struct destination_rule_outlier, interval_ms),
    READER_FIELD("baseEjectionTime", DURATION, struct destination_rule_outlier, base_ejection_ms),
    PERCENT("maxEjectionPercent", max_ejection_percent),
    PERCENT("minHealthPercent", min_health_percent),
    READER_WARN("outlierDetectionHttpErrorCodes", "5xx answers are counted"),
};
const struct reader_table destination_rule_outlier_table = {
    READER_TABLE(struct destination_rule_outlier, outlier_fields), .start = start_outlier,
    .check = check_outlier};
