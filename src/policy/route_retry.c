/* Retry and hash policies.
 * Source: envoy.config.route.v3.RetryPolicy, RouteAction.HashPolicy; Envoy's defaults: one retry, 25 ms
 * base interval, ten times that at most. */
#include "policy/pb_value.h"
#include "policy/route_int.h"

#define BACKOFF_BASE_MS 25
#define BACKOFF_MAX_FACTOR 10

/* RETRY_NOTHING: known, and can never happen here. */
#define RETRY_NOTHING 0u

static const struct retry_word {
    const char *word;
    uint32_t on;
} retry_words[] = {
    {"5xx", RETRY_5XX},
    {"gateway-error", RETRY_GATEWAY_ERROR},
    {"reset", RETRY_RESET},
    {"reset-before-request", RETRY_RESET_BEFORE_REQUEST},
    {"connect-failure", RETRY_CONNECT_FAILURE},
    {"refused-stream", RETRY_REFUSED_STREAM},
    {"retriable-4xx", RETRY_RETRIABLE_4XX},
    {"retriable-status-codes", RETRY_STATUS_CODES},
    {"cancelled", RETRY_GRPC_CANCELLED},
    {"deadline-exceeded", RETRY_GRPC_DEADLINE},
    {"internal", RETRY_GRPC_INTERNAL},
    {"resource-exhausted", RETRY_GRPC_EXHAUSTED},
    {"unavailable", RETRY_GRPC_UNAVAILABLE},
    {"http3-post-connect-failure", RETRY_NOTHING}, /* no HTTP/3 */
    {"envoy-ratelimited", RETRY_NOTHING},          /* no rate limit service of Envoy's */
    {"retriable-headers", RETRY_NOTHING},          /* retriable_headers itself is refused */
};

static int retry_on(uint32_t *on, struct span words, struct err *err)
{
    struct span rest = words;
    while (rest.at) {
        struct span word = span_trim(span_cut(&rest, ','));
        if (word.len == 0) {
            continue;
        }
        size_t i = 0;
        while (i < ARRAY_LEN(retry_words) && !span_is(word, retry_words[i].word)) {
            i++;
        }
        if (i < ARRAY_LEN(retry_words)) {
            *on |= retry_words[i].on;
            continue;
        }
        /* Istio writes plain status codes into retry_on of its own API; Envoy wants them apart. */
        return err_set(err, -ERR_CONFIG, "retry_on: '%.*s' is not known", SPAN_ARG(word));
    }
    return 0;
}

static int host_predicates(struct route_retry *out, const struct pb_route_RetryPolicy *config,
                           struct err *err)
{
    for (uint32_t i = 0; i < config->retry_host_predicate.count; i++) {
        struct span name = config->retry_host_predicate.at[i]->name;
        if (span_is(name, "envoy.retry_host_predicates.previous_hosts")) {
            out->other_host = true;
        } else if (!span_is(name, "envoy.retry_host_predicates.omit_canary_hosts")) {
            return err_set(err, -ERR_CONFIG, "retry_host_predicate '%.*s' is not known",
                           SPAN_ARG(name));
        }
    }
    return 0;
}

static int unsupported(const struct pb_route_RetryPolicy *config, struct err *err)
{
    if (config->retry_priority) {
        return err_set(err, -ERR_CONFIG, "retry_priority '%.*s' is not supported",
                       SPAN_ARG(config->retry_priority->name));
    }
    if (config->retry_options_predicates.count > 0) {
        return err_set(err, -ERR_CONFIG, "retry_options_predicates is not supported");
    }
    if (config->rate_limited_retry_back_off) {
        return err_set(err, -ERR_CONFIG, "rate_limited_retry_back_off is not supported");
    }
    if (config->retriable_headers.count > 0) {
        return err_set(err, -ERR_CONFIG, "retriable_headers is not supported");
    }
    if (config->retriable_request_headers.count > 0) {
        return err_set(err, -ERR_CONFIG, "retriable_request_headers is not supported");
    }
    return 0;
}

static int backoff(struct route_retry *out, const struct pb_route_RetryPolicy_RetryBackOff *config,
                   struct err *err)
{
    out->backoff_base_ms = BACKOFF_BASE_MS;
    out->backoff_max_ms = BACKOFF_BASE_MS * BACKOFF_MAX_FACTOR;
    if (!config) {
        return 0;
    }
    int rc = pb_value_ms(config->base_interval, 0, "base_interval", &out->backoff_base_ms, err);
    if (rc == 0 && out->backoff_base_ms == 0) {
        rc = err_set(err, -ERR_CONFIG, "base_interval is missing or 0");
    }
    if (rc == 0) {
        rc = pb_value_ms(config->max_interval, out->backoff_base_ms * BACKOFF_MAX_FACTOR,
                         "max_interval", &out->backoff_max_ms, err);
    }
    if (rc == 0 && out->backoff_max_ms < out->backoff_base_ms) {
        rc = err_set(err, -ERR_CONFIG, "max_interval is less than base_interval");
    }
    return rc != 0 ? err_prefix(err, "retry_back_off") : 0;
}

int route_retry_compile(struct route_retry *out, struct arena *arena,
                        const struct pb_route_RetryPolicy *config, struct err *err)
{
    *out = (struct route_retry){0};
    int rc = unsupported(config, err);
    rc = rc != 0 ? rc : retry_on(&out->on, config->retry_on, err);
    rc = rc != 0 ? rc : host_predicates(out, config, err);
    rc = rc != 0
             ? rc
             : pb_value_ms(config->per_try_timeout, 0, "per_try_timeout", &out->per_try_ms, err);
    rc = rc != 0 ? rc
                 : pb_value_ms(config->per_try_idle_timeout, 0, "per_try_idle_timeout",
                               &out->per_try_idle_ms, err);
    rc = rc != 0 ? rc : backoff(out, config->retry_back_off, err);
    if (rc != 0) {
        return err_prefix(err, "retry_policy");
    }
    out->attempts = pb_value_u32(config->num_retries, 1);
    int64_t tries = config->host_selection_retry_max_attempts;
    out->host_tries = tries <= 0 ? 1 : tries > 1000 ? 1000 : (uint32_t)tries;
    uint16_t *codes = arena_array(arena, config->retriable_status_codes.count, sizeof(*codes));
    for (uint32_t i = 0; i < config->retriable_status_codes.count; i++) {
        uint32_t code = config->retriable_status_codes.at[i];
        if (code < 100 || code > 599) {
            return err_set(err, -ERR_CONFIG,
                           "retry_policy: retriable_status_codes: %u is not a status", code);
        }
        codes[i] = (uint16_t)code;
    }
    out->status_codes = codes;
    out->status_count = config->retriable_status_codes.count;
    return 0;
}

/* ---- hash policies ---- */

static int hash_cookie(struct route_hash *h, struct arena *arena,
                       const struct pb_route_RouteAction_HashPolicy_Cookie *config, struct err *err)
{
    h->kind = ROUTE_HASH_COOKIE;
    h->name = config->name;
    if (!config->ttl) {
        return 0;
    }
    int64_t ms;
    int rc = pb_value_ms(config->ttl, 0, "ttl", &ms, err);
    h->cookie_make = true;
    h->cookie_ttl_s = rc == 0 ? (ms + 999) / 1000 : 0;
    h->cookie_path = config->path;
    struct header *attributes = arena_array(arena, config->attributes.count, sizeof(*attributes));
    for (uint32_t i = 0; i < config->attributes.count; i++) {
        attributes[i] =
            (struct header){config->attributes.at[i]->name, config->attributes.at[i]->value};
    }
    h->cookie_attributes = attributes;
    h->cookie_attribute_count = config->attributes.count;
    return rc;
}

static int hash_one(struct route_hash *h, struct arena *arena,
                    const struct pb_route_RouteAction_HashPolicy *config, struct err *err)
{
    h->terminal = config->terminal;
    switch (config->policy_specifier_case) {
    case PB_ROUTE_ROUTE_ACTION_HASH_POLICY_POLICY_SPECIFIER_HEADER:
        if (config->header->regex_rewrite) {
            return err_set(err, -ERR_CONFIG, "header: regex_rewrite is not supported");
        }
        h->kind = ROUTE_HASH_HEADER;
        h->name = header_match_lower(arena, config->header->header_name);
        return 0;
    case PB_ROUTE_ROUTE_ACTION_HASH_POLICY_POLICY_SPECIFIER_COOKIE:
        return hash_cookie(h, arena, config->cookie, err);
    case PB_ROUTE_ROUTE_ACTION_HASH_POLICY_POLICY_SPECIFIER_CONNECTION_PROPERTIES:
        h->kind = ROUTE_HASH_SOURCE_IP;
        return 0;
    case PB_ROUTE_ROUTE_ACTION_HASH_POLICY_POLICY_SPECIFIER_QUERY_PARAMETER:
        h->kind = ROUTE_HASH_QUERY;
        h->name = config->query_parameter->name;
        return 0;
    case PB_ROUTE_ROUTE_ACTION_HASH_POLICY_POLICY_SPECIFIER_FILTER_STATE:
        return err_set(err, -ERR_CONFIG, "filter_state is not supported");
    default:
        return err_set(err, -ERR_CONFIG, "policy_specifier is not set");
    }
}

int route_hash_compile(struct route *out, struct arena *arena,
                       const struct pb_route_RouteAction *config, struct err *err)
{
    uint32_t count = config->hash_policy.count;
    struct route_hash *hash = arena_array(arena, count, sizeof(*hash));
    for (uint32_t i = 0; i < count; i++) {
        const struct pb_route_RouteAction_HashPolicy *h = config->hash_policy.at[i];
        bool no_source = h->connection_properties && !h->connection_properties->source_ip;
        if (no_source) { /* connection_properties { } says nothing */
            continue;
        }
        int rc = hash_one(&hash[out->hash_count], arena, h, err);
        if (rc != 0) {
            return err_prefix(err, "hash_policy %u", i);
        }
        out->hash_count++;
    }
    out->hash = hash;
    return 0;
}
