/* The step that sends: picks an endpoint, makes attempts until one answers, pumps both bodies, keeps the time.
 *
 *   start --> attempt under way --> answered --> ended
 *     ^            | fails, or a status that the route retries
 *     +-- backoff -+-- no retry left: request_fail
 * In: request/rewrite. Out: upstream/attempt. Next: report/ through request/finish when it is over.          */
#include "base/log.h"
#include "http/grpc.h"
#include "proxy/request/mirror.h"
#include "proxy/request/steps.h"
#include "proxy/upstream/outlier.h"

#define RESET_BEFORE "upstream_reset_before_response_started"

static void start(struct request *rq, bool fresh);

/* ---- time ---- */

static void arm(struct request *rq, struct deadline *d, int64_t ms)
{
    if (ms > 0) {
        deadline_arm(d, rq->place->loop, ms);
    }
}

static void disarm_try(struct request *rq)
{
    deadline_disarm(&rq->per_try);
    deadline_disarm(&rq->try_idle);
}

static void on_total(struct deadline *d)
{
    struct request *rq = container_of(d, struct request, total);
    metric_add(rq->cluster->stats.upstream_rq_timeout, 1);
    if (rq->attempt.busy && !rq->head_down) {
        outlier_failed(rq->attempt.endpoint, true);
    }
    request_fail(rq, OUTCOME_TIMEOUT);
}

/* ---- failures and retries ---- */

static void schedule(struct request *rq, int64_t delay_ms)
{
    metric_add(rq->cluster->stats.upstream_rq_retry, 1);
    deadline_arm(&rq->backoff, rq->place->loop, delay_ms);
}

static void on_backoff(struct deadline *d)
{
    struct request *rq = container_of(d, struct request, backoff);
    start(rq, rq->stale_retried);
}

/* A gRPC service ends the calls whose grpc-timeout is over, and may do so a moment before our clock or the client's: the
 * client is to see its deadline, not a service that is gone. */
static bool was_deadline(const struct request *rq, enum outcome why)
{
    int64_t ms;
    struct span text = head_get_known(rq->head, HEAD_GRPC_TIMEOUT);
    return why == OUTCOME_UPSTREAM_RESET && rq->is_grpc && text.at != NULL &&
           grpc_timeout_parse(text, &ms) &&
           loop_now_ns(rq->place->loop) - rq->start_ns >= ms * 1000000;
}

static void attempt_lost(struct request *rq, enum outcome why, struct span failure, bool replayable)
{
    disarm_try(rq);
    body_detach(&rq->up);
    rq->back.source = NULL;
    rq->failure = arena_dup(rq->arena, failure);
    if (was_deadline(rq, why)) {
        request_fail(rq, OUTCOME_MAX_DURATION);
        return;
    }
    if (!rq->head_down) {
        struct retry_case c = {.why = why, .grpc_status = -1, .replayable = replayable};
        int64_t delay_ms = retry_decide(rq, &c);
        if (delay_ms >= 0) {
            schedule(rq, delay_ms);
            return;
        }
    }
    struct span details = outcome_row(why)->details;
    if (rq->head_down && span_starts(details, SPAN(RESET_BEFORE))) { /* Envoy words it so */
        details = span_from_offset(details, sizeof(RESET_BEFORE) - 1);
        rq->details = span_of(arena_printf(rq->arena, "upstream_reset_after_response_started%.*s",
                                           SPAN_ARG(details)));
    }
    request_fail(rq, why);
}

static void try_is_over(struct request *rq)
{
    metric_add(rq->cluster->stats.upstream_rq_per_try_timeout, 1);
    outlier_failed(rq->attempt.endpoint, true);
    attempt_cancel(&rq->attempt, HTTP_RESET_TIMEOUT);
    attempt_lost(rq, OUTCOME_TRY_TIMEOUT, SPAN("per try timeout"), false);
}

static void on_per_try(struct deadline *d)
{
    try_is_over(container_of(d, struct request, per_try));
}

/* RetryPolicy.per_try_idle_timeout */
static void on_try_idle(struct deadline *d)
{
    struct request *rq = container_of(d, struct request, try_idle);
    int64_t left = rq->moved_ms + rq->retry.per_try_idle_ms - loop_now_ms(rq->place->loop);
    if (left > 0) {
        deadline_arm(d, rq->place->loop, left);
        return;
    }
    try_is_over(rq);
}

/* ---- the attempt's events ---- */

static void on_open(void *arg)
{
    struct request *rq = arg;
    struct http_stream *s = rq->attempt.stream;
    rq->back.source = s;
    rq->upstream_local = rq->attempt.local;
    if (rq->place->direction != CONF_INBOUND) { /* now it is known who answers */
        rq->edge = endpoint_edge(rq->attempt.endpoint, rq->is_grpc ? STATS_GRPC : STATS_HTTP);
    }
    bool whole = rq->up.ended && buf_len(&rq->up.kept) == 0 && rq->head->upgrade.len == 0;
    int code = 0;
    if (rq->count_up) {
        struct span text = span_of_u64(rq->attempts, arena_bytes(rq->arena, SPAN_U64_BYTES));
        code = head_set_known(rq->head, HEAD_X_ENVOY_ATTEMPT_COUNT, text);
    }
    peering_send(rq);
    code = code ? code : http_stream_head(s, rq->head, whole);
    if (code == 0 && !whole) {
        code = body_attach(&rq->up, s);
    }
    if (code == 0 && rq->trailers_up != NULL) {
        code = http_stream_trailers(s, rq->trailers_up);
    }
    UNUSED(code); /* a stream that takes no more tells by on_fail */
}

/* What the report wants of a head that lives in the upstream's memory. */
static const struct head *keep_head(struct request *rq, const struct head *from)
{
    if (rq->place->log_count == 0) {
        return NULL;
    }
    struct head *h = arena_new(rq->arena, struct head);
    head_init(h, rq->arena);
    head_reserve(h, from->count);
    h->status = from->status;
    int code = 0;
    for (size_t i = 0; i < from->count && code == 0; i++) {
        code = head_add_as(h, (enum head_known)from->known[i],
                           arena_dup(rq->arena, from->fields[i].name),
                           arena_dup(rq->arena, from->fields[i].value));
    }
    UNUSED(code); /* not more fields than before */
    return h;
}

static void read_grpc_status(struct request *rq, const struct head *h)
{
    uint64_t status;
    if (rq->is_grpc && span_to_u64(head_get_known(h, HEAD_GRPC_STATUS), &status) && status <= 16) {
        rq->grpc_status = (int)status;
    }
}

static void count_status(struct request *rq, unsigned status)
{
    metric_add(rq->cluster->stats.upstream_rq_xx[status / 100 < 6 ? status / 100 : 0], 1);
    if (status >= 500) {
        rq->attempt.endpoint->rq_error++;
    }
}

/* A gRPC failure that is told at once counts as the HTTP status that stands for it, as in Envoy. */
static void judge(struct request *rq, unsigned status)
{
    bool is_grpc_failure = rq->is_grpc && rq->grpc_status > 0;
    outlier_answered(rq->attempt.endpoint,
                     is_grpc_failure ? grpc_http_of_status((enum grpc_status)rq->grpc_status)
                                     : status);
}

static void answer(struct request *rq, struct head *head, bool end)
{
    disarm_try(rq);
    body_forget(&rq->up);
    retry_over(rq, head->status < 500);
    rq->outcome = OUTCOME_OK;
    const struct head *kept = keep_head(rq, head);
    request_answer_head(rq, head, end);
    rq->response = kept;
}

static void on_head(void *arg, struct head *head, bool end)
{
    struct request *rq = arg;
    request_moved(rq);
    if (head->status < 200 && head->status != 101) {
        int code = http_stream_head(rq->down, head, false);
        UNUSED(code);
        return;
    }
    if (rq->first_byte_ns == 0) {
        rq->first_byte_ns = loop_now_ns(rq->place->loop);
    }
    count_status(rq, head->status);
    read_grpc_status(rq, head);
    judge(rq, head->status);
    struct retry_case c = {
        .why = OUTCOME_OK, .status = head->status, .grpc_status = rq->grpc_status};
    int64_t delay_ms = retry_decide(rq, &c);
    if (delay_ms < 0) {
        answer(rq, head, end);
        return;
    }
    disarm_try(rq);
    if (end) {
        rq->backoff_ms = delay_ms; /* on_end comes and frees the attempt */
        return;
    }
    attempt_cancel(&rq->attempt, HTTP_RESET_LOCAL);
    body_detach(&rq->up);
    rq->back.source = NULL;
    schedule(rq, delay_ms);
}

static void on_data(void *arg, struct span data, bool end)
{
    struct request *rq = arg;
    request_moved(rq);
    rq->bytes_sent += data.len;
    rq->response_ended = rq->response_ended || end;
    int code = body_push(&rq->back, data, end); /* a closing downstream tells by its on_close */
    if (body_refuses(&rq->back, code)) {
        request_fail(rq, OUTCOME_UPSTREAM_PROTO);
    }
}

static void on_trailers(void *arg, struct head *trailers)
{
    struct request *rq = arg;
    read_grpc_status(rq, trailers);
    rq->trailers = keep_head(rq, trailers);
    rq->response_ended = true;
    bool pass;
    int code = body_trailers(&rq->back, trailers, &pass);
    if (body_refuses(&rq->back, code)) {
        request_fail(rq, OUTCOME_UPSTREAM_PROTO);
        return;
    }
    code = pass ? http_stream_trailers(rq->down, trailers) : 0;
    UNUSED(code);
}

static void on_drained(void *arg)
{
    struct request *rq = arg;
    request_moved(rq);
    body_drained(&rq->up);
}

static void on_end(void *arg)
{
    struct request *rq = arg;
    body_detach(&rq->up);
    rq->back.source = NULL;
    if (rq->backoff_ms >= 0) {
        int64_t delay_ms = rq->backoff_ms;
        rq->backoff_ms = -1;
        schedule(rq, delay_ms);
        return;
    }
    deadline_disarm(&rq->total);
}

static void on_fail(void *arg, enum outcome why, struct span failure, bool replayable)
{
    attempt_lost(arg, why, failure, replayable);
}

static const struct attempt_events attempt_events = {
    .on_open = on_open,
    .on_head = on_head,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_drained = on_drained,
    .on_end = on_end,
    .on_fail = on_fail,
};

/* ---- starting ---- */

static enum http_proto proto_for(const struct request *rq)
{
    if (rq->tunnel_ends) {
        return HTTP_PROTO_RAW;
    }
    if (rq->head->upgrade.len > 0) {
        return HTTP_PROTO_1; /* an upgrade belongs to HTTP/1 (RFC 9110 section 7.8) */
    }
    if (rq->cluster->use_downstream_protocol) {
        return http_conn_proto(http_stream_conn(rq->down));
    }
    return rq->cluster->http2 ? HTTP_PROTO_2 : HTTP_PROTO_1;
}

static void start(struct request *rq, bool fresh)
{
    struct cluster_want want = {
        .original_dst = rq->place->redirected ? &rq->place->original_dst : NULL,
        .avoid = rq->retry.other_host ? rq->last : NULL,
        .tries = rq->retry.host_tries,
        .has_hash = rq->has_hash,
        .hash = rq->hash,
    };
    struct endpoint *e = cluster_pick(rq->cluster, &want);
    rq->attempts++;
    if (e == NULL) {
        request_fail(rq, OUTCOME_NO_HEALTHY);
        return;
    }
    rq->last = e;
    rq->upstream_addr = e->addr;
    if (UNLIKELY(e->addr.kind == ADDR_INTERNAL)) {
        entering_start(rq, &e->addr);
        return;
    }
    if (rq->auto_host && e->hostname.len > 0) { /* RouteAction.auto_host_rewrite */
        rq->head->authority = arena_dup(rq->arena, e->hostname);
    }
    if (rq->place->direction != CONF_INBOUND) {
        rq->edge = endpoint_edge(e, rq->is_grpc ? STATS_GRPC : STATS_HTTP);
    }
    arm(rq, &rq->per_try, rq->retry.per_try_ms);
    arm(rq, &rq->try_idle, rq->retry.per_try_idle_ms);
    enum outcome why = attempt_start(&rq->attempt, e, proto_for(rq), fresh, rq->priority_high);
    if (why != OUTCOME_OK) {
        attempt_lost(rq, why, SPAN_EMPTY, true);
    }
}

static void copy_body(struct body *b, struct span data, bool end)
{
    struct request *rq = container_of(b, struct request, up);
    if (rq->mirrors != NULL) {
        mirror_body(rq, data, end);
    }
}

static enum step_answer on_request(struct request *rq)
{
    /* A body may have to be sent again; it may have come whole while an earlier step waited. */
    rq->up.keep = !rq->request_ended || buf_len(&rq->up.kept) > 0;
    rq->retries_left = rq->retry.attempts;
    rq->at++; /* through, whatever comes */
    if (rq->route->mirror_count > 0 && rq->head->method_id != METHOD_CONNECT) {
        mirror_begin(rq);
        rq->up.tee = copy_body;
    }
    if (rq->request_ended) {
        arm(rq, &rq->total, rq->timeout_ms);
    }
    start(rq, false);
    return STEP_DONE;
}

const struct step step_send = {.name = "send", .on_request = on_request};

/* ---- from the downstream ---- */

void sending_init(struct request *rq)
{
    attempt_init(&rq->attempt, &attempt_events, rq);
    deadline_init(&rq->total, on_total);
    deadline_init(&rq->per_try, on_per_try);
    deadline_init(&rq->try_idle, on_try_idle);
    deadline_init(&rq->backoff, on_backoff);
    rq->backoff_ms = -1;
}

/* The route's time-out begins when the request is whole (Envoy RouteAction.timeout). */
static void request_is_whole(struct request *rq)
{
    if (rq->cluster != NULL && rq->attempts > 0 && !rq->response_ended &&
        rq->head->upgrade.len == 0 && rq->head->method_id != METHOD_CONNECT) {
        arm(rq, &rq->total, rq->timeout_ms);
    }
}

void sending_body(struct request *rq, struct span data, bool end)
{
    int code = body_push(&rq->up, data, end); /* a closing upstream tells by on_fail */
    if (body_refuses(&rq->up, code)) {
        request_fail(rq, OUTCOME_CLIENT_PROTO);
        return;
    }
    if (end) {
        request_is_whole(rq);
    }
}

void sending_trailers(struct request *rq, struct head *trailers)
{
    bool pass;
    int code = body_trailers(&rq->up, trailers, &pass);
    if (body_refuses(&rq->up, code)) {
        request_fail(rq, OUTCOME_CLIENT_PROTO);
        return;
    }
    if (!pass) {
        request_is_whole(rq);
        return;
    }
    rq->trailers_up = trailers;
    if (rq->mirrors != NULL) {
        mirror_trailers(rq, trailers);
    }
    if (rq->attempt.stream != NULL) {
        code = http_stream_trailers(rq->attempt.stream, trailers);
        UNUSED(code);
    }
    request_is_whole(rq);
}

void sending_stop(struct request *rq, enum http_reset why)
{
    disarm_try(rq);
    deadline_disarm(&rq->backoff);
    attempt_cancel(&rq->attempt, why);
    rq->back.source = NULL;
    body_detach(&rq->up);
    retry_over(rq, false);
}
