/* The road of a request and its life: see request.h.
 * In: downstream/session_http hands over stream and head. Out: steps, then sending. Next: request/sending. */
#include "proxy/request/request.h"

#include "base/instant.h"
#include "http/grpc.h"
#include "mesh/names.h"
#include "proxy/request/mirror.h"
#include "proxy/request/steps.h"

/* In reading order; the response head passes it backward. */
static const struct step *const road[] = {
    &step_normalize, &step_peer,     &step_forward,   &step_trace,  &step_grpc_web,
    &step_route,     &step_compress, &step_authorize, &step_inject, &step_cors,
    &step_target,    &step_rewrite,  &step_send,
};

static void finish(struct request *rq)
{
    if (rq->reported) {
        return;
    }
    rq->reported = true;
    deadline_disarm(&rq->total);
    deadline_disarm(&rq->per_try);
    deadline_disarm(&rq->try_idle);
    deadline_disarm(&rq->idle);
    deadline_disarm(&rq->backoff);
    deadline_disarm(&rq->longest);
    deadline_disarm(&rq->whole);
    if (rq->outcome == OUTCOME_OK && rq->request_ended && rq->response_ended) {
        attempt_let_go(&rq->attempt); /* a reset would take away what is still on its way */
    }
    sending_stop(rq, HTTP_RESET_LOCAL);
    if (rq->mirrors != NULL) {
        mirror_leave(rq);
    }
    for (size_t i = ARRAY_LEN(road); i-- > 0;) {
        if (road[i]->on_done != NULL) {
            road[i]->on_done(rq);
        }
    }
    finish_report(rq);
    request_let_view_go(rq);
    if (rq->cluster != NULL) {
        cluster_put(rq->cluster);
        rq->cluster = NULL;
    }
    body_dispose(&rq->up);
    body_dispose(&rq->back);
}

/* Resets the downstream stream, which then tells no more; the report comes first, from its arena. */
static void abort_down(struct request *rq, enum outcome why)
{
    struct http_stream *down = rq->down;
    rq->outcome = why;
    rq->flags |= outcome_row(why)->flag;
    metric_add(rq->place->stats->downstream_rq_tx_reset, 1);
    finish(rq);
    rq->down = NULL;
    http_stream_reset(down, why == OUTCOME_MAX_DURATION ? HTTP_RESET_TIMEOUT : HTTP_RESET_LOCAL);
}

/* ---- timers that concern the whole exchange ---- */

void request_moved(struct request *rq)
{
    rq->moved_ms = loop_now_ms(rq->place->loop);
}

/* Cold: the number is looked up. */
static void count_limit(const struct request *rq, enum limit broken)
{
    const struct conf_http *conf;
    struct view *view;
    rq->place->newest(rq->place, &conf, &view);
    stats_limit(rq->place->upstream->stats, conf->stat_prefix, broken);
}

/* A body that was announced comes slower than anybody's line: looked at by the timer that is there anyway. */
static bool is_too_slow(const struct request *rq)
{
    int64_t took = (loop_now_ns(rq->place->loop) - rq->start_ns) / 1000000;
    return !rq->request_ended && rq->head->content_length > 0 &&
           took >= LIMIT_DEFAULT_body_grace_ms && body_is_wanted(&rq->up) &&
           (int64_t)rq->bytes_received * 1000 < took * LIMIT_DEFAULT_body_rate;
}

static int64_t look_again_ms(const struct request *rq)
{
    bool body = !rq->request_ended && rq->head->content_length > 0;
    return body ? i64_min(rq->idle_ms, LIMIT_DEFAULT_body_grace_ms) : rq->idle_ms;
}

static void on_idle(struct deadline *d)
{
    struct request *rq = container_of(d, struct request, idle);
    if (is_too_slow(rq)) {
        count_limit(rq, LIMIT_body_rate);
        request_fail(rq, OUTCOME_REQUEST_TIMEOUT);
        return;
    }
    int64_t left = rq->moved_ms + rq->idle_ms - loop_now_ms(rq->place->loop);
    if (left >
        0) { /* it moved meanwhile: arming on every movement would cost more than looking now */
        deadline_arm(&rq->idle, rq->place->loop, i64_min(left, look_again_ms(rq)));
        return;
    }
    metric_add(rq->place->stats->downstream_rq_idle_timeout, 1);
    request_fail(rq, OUTCOME_STREAM_IDLE);
}

static void on_longest(struct deadline *d)
{
    struct request *rq = container_of(d, struct request, longest);
    count_limit(rq, LIMIT_stream_ms);
    request_fail(rq, OUTCOME_MAX_DURATION);
}

/* HttpConnectionManager.request_timeout: the request must be here whole by then. */
static void on_whole(struct deadline *d)
{
    struct request *rq = container_of(d, struct request, whole);
    metric_add(rq->place->stats->downstream_rq_timeout, 1);
    request_fail(rq, OUTCOME_REQUEST_TIMEOUT);
}

/* ---- the road ---- */

static void run(struct request *rq)
{
    while (rq->at < ARRAY_LEN(road)) {
        const struct step *step = road[rq->at];
        switch (step->on_request(rq)) {
        case STEP_NEXT:
            rq->at++;
            break;
        case STEP_WAIT:
            return;
        case STEP_DONE:
            return;
        case STEP_FAIL:
            request_fail(rq, rq->outcome);
            return;
        }
    }
}

void request_resume(struct request *rq)
{
    rq->at++;
    run(rq);
}

static void fill_traffic(struct request *rq)
{
    const struct request_place *place = rq->place;
    const struct head *h = rq->head;
    rq->traffic = (struct traffic){
        .method = h->method,
        .scheme = place->scheme,
        .authority = h->authority,
        .path = h->path,
        .fields = h->fields,
        .field_count = h->count,
        .direct_ip = place->direct_ip,
        .direct_port = place->direct_port,
        .source_ip = &place->peer.ip,
        .remote_ip = place->peer.ip,
        .destination_ip = place->original_dst.ip,
        .destination_port = place->original_dst.port,
        .sni = place->sni,
        .tls = place->tls,
        .principal = place->principal,
        .random = rng_u64(place->upstream->rng),
    };
}

static void on_head(void *arg, struct head *head, bool end)
{
    struct request *rq = arg;
    rq->head = head;
    rq->request_ended = end;
    rq->up.ended = end;
    rq->request_ns = end ? rq->start_ns : 0;
    rq->is_grpc = grpc_is_content_type(head_get_known(head, HEAD_CONTENT_TYPE));
    fill_traffic(rq);
    if (rq->idle_ms > 0) {
        deadline_arm(&rq->idle, rq->place->loop, end ? rq->idle_ms : look_again_ms(rq));
    }
    if (rq->conf->request_ms > 0 && !end) {
        deadline_arm(&rq->whole, rq->place->loop, rq->conf->request_ms);
    }
    if (rq->conf->max_stream_ms > 0) {
        deadline_arm(&rq->longest, rq->place->loop, rq->conf->max_stream_ms);
    }
    if (rq->place->upstream->shedding) {
        request_fail(rq, OUTCOME_OVERLOAD);
        return;
    }
    run(rq);
}

static void mark_request_ended(struct request *rq)
{
    rq->request_ended = true;
    deadline_disarm(&rq->whole);
    rq->request_ns = loop_now_ns(rq->place->loop);
}

static void on_data(void *arg, struct span data, bool end)
{
    struct request *rq = arg;
    rq->bytes_received += data.len;
    request_moved(rq);
    if (end) {
        mark_request_ended(rq);
    }
    sending_body(rq, data, end);
}

static void on_trailers(void *arg, struct head *trailers)
{
    struct request *rq = arg;
    mark_request_ended(rq);
    sending_trailers(rq, trailers);
}

static void on_drained(void *arg)
{
    struct request *rq = arg;
    request_moved(rq);
    body_drained(&rq->back);
}

static void on_close(void *arg, enum http_reset why)
{
    struct request *rq = arg;
    rq->down = NULL;
    rq->up.source = NULL;
    rq->back.sink = NULL;
    if (why != HTTP_RESET_NONE && !rq->response_ended) {
        metric_add(rq->place->stats->downstream_rq_rx_reset, 1);
        rq->outcome = why == HTTP_RESET_PROTO || why == HTTP_RESET_LIMIT ? OUTCOME_CLIENT_PROTO
                                                                         : OUTCOME_CLIENT_GONE;
        rq->flags |= outcome_row(rq->outcome)->flag;
    }
    finish(rq);
}

const struct http_stream_events request_events = {
    .on_head = on_head,
    .on_data = on_data,
    .on_trailers = on_trailers,
    .on_drained = on_drained,
    .on_close = on_close,
};

/* ---- answers ---- */

static void send_grpc_answer(struct request *rq, struct head *h, const struct request_answer *a)
{
    /* gRPC clients look at grpc-status only: a trailers-only response (Envoy's local replies do so too). */
    int status = a->grpc_status > 0 ? a->grpc_status : (int)grpc_status_of_http(a->status);
    char *digits = arena_printf(rq->arena, "%d", status);
    h->status = 200;
    h->content_length = HEAD_LENGTH_UNKNOWN;
    int code = head_add_known(h, HEAD_CONTENT_TYPE, SPAN("application/grpc"));
    code = code ? code : head_add_known(h, HEAD_GRPC_STATUS, span_of(digits));
    if (code == 0 && a->body.len > 0) {
        code = head_add_known(h, HEAD_GRPC_MESSAGE, grpc_message_encode(rq->arena, a->body));
    }
    rq->grpc_status = status;
    if (code == 0 && rq->down != NULL) {
        code = http_stream_head(rq->down, h, true);
    }
    UNUSED(code); /* a stream that is closing tells by on_close */
}

static void send_plain_answer(struct request *rq, struct head *h, const struct request_answer *a)
{
    h->content_length = (int64_t)a->body.len;
    int code = 0;
    if (a->body.len > 0) {
        code = head_add_known(h, HEAD_CONTENT_TYPE, a->content_type);
    }
    bool bodiless = a->body.len == 0 || rq->head->method_id == METHOD_HEAD;
    code = code ? code : http_stream_head(rq->down, h, bodiless);
    if (code == 0 && !bodiless) {
        rq->bytes_sent = a->body.len;
        code = http_stream_data(rq->down, a->body, true);
    }
    UNUSED(code);
}

void request_reply(struct request *rq, const struct request_answer *a)
{
    sending_stop(rq, HTTP_RESET_LOCAL);
    deadline_disarm(&rq->total);
    rq->at = ARRAY_LEN(road);
    rq->outcome = a->why;
    rq->flags |= outcome_row(a->why)->flag;
    rq->status = a->status;
    struct head *h = arena_new(rq->arena, struct head);
    head_init(h, rq->arena);
    h->status = a->status;
    h->upgrade = a->why == OUTCOME_LOW_VERSION ? SPAN("HTTP/1.1") : SPAN_EMPTY;
    int code = 0;
    for (size_t i = 0; i < a->count && code == 0; i++) {
        code = head_add(h, a->fields[i].name, a->fields[i].value);
    }
    UNUSED(code); /* a handful of fields in an empty head */
    for (size_t i = ARRAY_LEN(road); i-- > 0;) {
        if (road[i]->on_response != NULL) {
            road[i]->on_response(rq, h);
        }
    }
    rq->response = h;
    rq->head_down = true;
    rq->response_ended = true;
    rq->response_ns = loop_now_ns(rq->place->loop);
    if (rq->grpc_web != NULL) {
        grpc_web_reply(rq, h, a);
    } else if (rq->is_grpc && a->why != OUTCOME_DIRECT) {
        send_grpc_answer(rq, h, a);
    } else {
        send_plain_answer(rq, h, a);
    }
}

/* Envoy's Http::Utility::maybeRequestTimeoutCode: whose time it was depends on whether the request is whole. */
static unsigned status_of(const struct request *rq, enum outcome why)
{
    bool either = why == OUTCOME_STREAM_IDLE || why == OUTCOME_MAX_DURATION;
    return either && !rq->request_ended ? 408 : outcome_row(why)->status;
}

void request_fail(struct request *rq, enum outcome why)
{
    if (rq->reported) {
        return;
    }
    const struct outcome_row *row = outcome_row(why);
    if (rq->head_down || row->status == 0) {
        if (rq->down != NULL) {
            abort_down(rq, why);
        }
        return;
    }
    /* Envoy says so that callers do not count it against the service. */
    static const struct header overloaded = {.name = SPAN_INIT(HEADER_OVERLOADED),
                                             .value = SPAN_INIT("true")};
    bool full = why == OUTCOME_OVERFLOW || why == OUTCOME_OVERLOAD;
    bool say = full && rq->conf != NULL && !rq->conf->suppress_envoy_headers;
    struct request_answer a = {
        .why = why,
        .status = status_of(rq, why),
        .grpc_status = why == OUTCOME_MAX_DURATION ? GRPC_DEADLINE_EXCEEDED : 0,
        .fields = say ? &overloaded : NULL,
        .count = say ? 1 : 0,
        .content_type = SPAN("text/plain"),
        .body = row->body,
    };
    request_reply(rq, &a);
}

void request_answer_head(struct request *rq, struct head *head, bool end)
{
    rq->response_ended = end; /* for the steps: no body comes */
    for (size_t i = ARRAY_LEN(road); i-- > 0;) {
        if (road[i]->on_response != NULL) {
            road[i]->on_response(rq, head);
        }
    }
    rq->status = head->status;
    rq->head_down = true;
    rq->response_ns = loop_now_ns(rq->place->loop);
    rq->response = head;
    bool bytes_come = !end || rq->back.filter != NULL;
    int code = http_stream_head(rq->down, head, !bytes_come);
    if (end && bytes_come && code == 0) {
        code = body_push(&rq->back, SPAN_EMPTY, true);
    }
    UNUSED(code); /* on_close tells */
    request_let_view_go(rq);
}

struct http_stream *request_hand_over(struct request *rq)
{
    struct http_stream *down = rq->down;
    struct head *ok = arena_new(rq->arena, struct head);
    head_init(ok, rq->arena);
    ok->status = 200;
    request_answer_head(rq, ok, false);
    rq->handed_over = true;
    finish(rq);
    rq->down = NULL;
    http_stream_set_events(down, NULL, NULL);
    return down;
}

/* ---- life ---- */

struct request *request_new(const struct request_place *place, struct http_stream *down,
                            const struct conf_http *conf, struct view *view)
{
    struct arena *arena = http_stream_arena(down);
    struct request *rq = arena_new(arena, struct request);
    rq->place = place;
    rq->down = down;
    rq->arena = arena;
    rq->conf = conf;
    rq->view = view;
    view_get(view);
    rq->grpc_status = -1;
    rq->start_us = instant_wall_us();
    rq->start_ns = loop_now_ns(place->loop);
    rq->idle_ms = conf->stream_idle_ms;
    rq->moved_ms = loop_now_ms(place->loop);
    deadline_init(&rq->idle, on_idle);
    deadline_init(&rq->longest, on_longest);
    deadline_init(&rq->whole, on_whole);
    body_init(&rq->up, down, false);
    body_init(&rq->back, NULL, false);
    rq->back.sink = down;
    sending_init(rq);
    metric_add(place->stats->downstream_rq_total, 1);
    metric_gauge_add(place->stats->downstream_rq_active, 1);
    return rq;
}

void request_let_view_go(struct request *rq)
{
    if (rq->view != NULL) {
        rq->route = NULL;
        rq->route_cluster = NULL;
        rq->conf = NULL;
        view_put(rq->view);
        rq->view = NULL;
    }
}
