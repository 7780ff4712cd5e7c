/* May a failed attempt be tried again, and when? Pure but for the retry breaker and the counters.
 * Source: Envoy RetryPolicy.retry_on (router filter documentation), retry_back_off; what went out on a reused
 * connection that was closed without a word is tried once more on a fresh one whatever the policy, if its method
 * is idempotent (RFC 9112 section 9.3.1, RFC 9110 section 9.2.2; http/h1_recv knows). */
#include "proxy/request/steps.h"

static bool status_listed(const struct route_retry *r, unsigned status)
{
    for (size_t i = 0; i < r->status_count; i++) {
        if (r->status_codes[i] == status) {
            return true;
        }
    }
    return false;
}

static bool status_matches(const struct route_retry *r, const struct retry_case *c)
{
    static const struct {
        int status;
        uint32_t on;
    } grpc[] = {
        {1, RETRY_GRPC_CANCELLED}, {4, RETRY_GRPC_DEADLINE},     {8, RETRY_GRPC_EXHAUSTED},
        {13, RETRY_GRPC_INTERNAL}, {14, RETRY_GRPC_UNAVAILABLE},
    };
    for (size_t i = 0; i < ARRAY_LEN(grpc); i++) {
        if (grpc[i].status == c->grpc_status && (r->on & grpc[i].on) != 0) {
            return true;
        }
    }
    return ((r->on & RETRY_5XX) && c->status >= 500) ||
           ((r->on & RETRY_GATEWAY_ERROR) && c->status >= 502 && c->status <= 504) ||
           ((r->on & RETRY_RETRIABLE_4XX) && c->status == 409) ||
           ((r->on & RETRY_STATUS_CODES) && status_listed(r, c->status));
}

static bool failure_matches(const struct route_retry *r, const struct retry_case *c)
{
    switch (c->why) {
    case OUTCOME_CONNECT_FAILURE:
    case OUTCOME_CONNECT_TIMEOUT:
    case OUTCOME_TLS_FAILURE:
        return (r->on & (RETRY_CONNECT_FAILURE | RETRY_5XX | RETRY_GATEWAY_ERROR | RETRY_RESET |
                         RETRY_RESET_BEFORE_REQUEST)) != 0;
    case OUTCOME_UPSTREAM_CLOSED:
    case OUTCOME_UPSTREAM_RESET:
        if (c->replayable && (r->on & (RETRY_REFUSED_STREAM | RETRY_RESET_BEFORE_REQUEST)) != 0) {
            return true;
        }
        return (r->on & (RETRY_RESET | RETRY_5XX | RETRY_GATEWAY_ERROR)) != 0;
    case OUTCOME_UPSTREAM_PROTO:
    case OUTCOME_TRY_TIMEOUT:
        return (r->on & (RETRY_RESET | RETRY_5XX | RETRY_GATEWAY_ERROR)) != 0;
    default: /* overflow, a wrong identity, our own limits: trying again would not help or would harm */
        return false;
    }
}

/* Fully jittered exponential back-off: the n-th retry waits a random time below base * (2^n - 1). */
static int64_t backoff_ms(struct request *rq)
{
    const struct route_retry *r = &rq->retry;
    uint32_t n = r->attempts - rq->retries_left;
    int64_t range = r->backoff_base_ms * ((INT64_C(1) << (n < 20 ? n : 20)) - 1);
    range = i64_min(range, r->backoff_max_ms);
    return range > 0 ? (int64_t)rng_below(rq->place->upstream->rng, (uint64_t)range) : 0;
}

static bool is_stale(const struct request *rq, const struct retry_case *c)
{
    return c->replayable && !rq->stale_retried && rq->attempt.reused &&
           (c->why == OUTCOME_UPSTREAM_CLOSED || c->why == OUTCOME_UPSTREAM_RESET);
}

int64_t retry_decide(struct request *rq, const struct retry_case *c)
{
    if (rq->down == NULL || !body_can_replay(&rq->up)) {
        return -1;
    }
    if (c->status == 0 && is_stale(rq, c)) {
        rq->stale_retried = true;
        return 0;
    }
    const struct route_retry *r = &rq->retry;
    if (r->attempts == 0 || !(c->status != 0 ? status_matches(r, c) : failure_matches(r, c))) {
        return -1;
    }
    struct cluster *cluster = rq->cluster;
    if (rq->retries_left == 0) {
        rq->flags |= FLAG_URX;
        metric_add(cluster->stats.upstream_rq_retry_limit_exceeded, 1);
        return -1;
    }
    if (!rq->retry_counted) {
        uint32_t limit = cluster->limits[rq->priority_high].retries;
        if (!shared_take(&cluster->shared->retries, limit)) {
            rq->flags |= FLAG_UO;
            metric_add(cluster->stats.upstream_rq_retry_overflow, 1);
            return -1;
        }
        rq->retry_counted = true;
    }
    rq->retries_left--;
    return backoff_ms(rq);
}

void retry_over(struct request *rq, bool success)
{
    if (!rq->retry_counted) {
        return;
    }
    rq->retry_counted = false;
    shared_give(&rq->cluster->shared->retries);
    if (success) {
        metric_add(rq->cluster->stats.upstream_rq_retry_success, 1);
    }
}
