/* The step that follows the route to what it leads to: an answer of ours (nothing found, redirect, direct
 * response), or a cluster, with the times and retries that hold for it.
 * In: request/authorize. Out: rq->cluster, or an answer. Next: request/rewrite. */
#include "http/grpc.h"
#include "proxy/request/steps.h"

static enum step_answer answer_directly(struct request *rq, const struct route *r)
{
    struct header location = {.name = SPAN("location")};
    struct request_answer a = {
        .why = OUTCOME_DIRECT,
        .status = r->direct_status,
        .content_type = SPAN("text/plain"),
        .body = r->direct_body,
    };
    if (r->action == ROUTE_REDIRECT) {
        location.value = route_redirect_location(r, &rq->traffic, rq->arena);
        a = (struct request_answer){
            .why = OUTCOME_DIRECT, .status = r->redirect_status, .fields = &location, .count = 1};
    }
    request_reply(rq, &a);
    return STEP_DONE;
}

static struct cluster *choose_cluster(struct request *rq, const struct route *r)
{
    const struct request_place *p = rq->place;
    if (r->cluster_header.len > 0) {
        rq->cluster_name = head_get(rq->head, r->cluster_header);
        return rq->cluster_name.len > 0 ? p->cluster_named(p->arg, rq->cluster_name) : NULL;
    }
    rq->cluster_name = rq->route_cluster->name;
    return p->cluster_at(p->arg, rq->route_cluster->slot);
}

/* RouteAction.cluster_not_found_response_code, in place of the table's 503. */
static enum step_answer no_cluster(struct request *rq, const struct route *r)
{
    struct request_answer a = {
        .why = OUTCOME_NO_CLUSTER,
        .status = r->no_cluster_status > 0 ? r->no_cluster_status
                                           : outcome_row(OUTCOME_NO_CLUSTER)->status,
    };
    request_reply(rq, &a);
    return STEP_DONE;
}

static int64_t capped(int64_t ms, int64_t cap)
{
    return cap > 0 ? i64_min(ms, cap) : ms;
}

static int64_t less(int64_t ms, int64_t offset)
{
    return offset < ms ? ms - offset : ms; /* 0 would be no limit at all */
}

/* RouteAction.max_grpc_timeout: 0 is endless for both. The service is told what is left (Envoy does so too). */
static void take_grpc_timeout(struct request *rq, const struct route *r, bool sent, int64_t ms)
{
    int64_t asked = sent ? less(ms, r->grpc_timeout_offset_ms) : 0;
    rq->timeout_ms = asked > 0 ? capped(asked, r->grpc_timeout_max_ms) : r->grpc_timeout_max_ms;
    if (rq->timeout_ms != (sent ? ms : 0)) {
        struct span text = grpc_timeout_format(rq->arena, rq->timeout_ms);
        int code = head_set_known(rq->head, HEAD_GRPC_TIMEOUT, text);
        UNUSED(code); /* full of fields: the service does without */
    }
}

static void take_times(struct request *rq, const struct route *r)
{
    int64_t grpc_ms = 0;
    struct span text = head_get_known(rq->head, HEAD_GRPC_TIMEOUT);
    bool has_grpc = rq->is_grpc && text.at != NULL && grpc_timeout_parse(text, &grpc_ms);
    rq->timeout_ms = r->timeout_ms;
    if (r->grpc_timeout && rq->is_grpc) {
        take_grpc_timeout(rq, r, has_grpc, grpc_ms);
    }
    int64_t longest = r->max_stream_ms;
    if (r->grpc_stream && has_grpc) {
        longest = less(capped(grpc_ms, r->grpc_stream_max_ms), r->grpc_stream_offset_ms);
    }
    if (longest > 0) {
        deadline_arm(&rq->longest, rq->place->loop, longest);
    }
    if (r->idle_ms >= 0 && r->idle_ms != rq->idle_ms) {
        rq->idle_ms = r->idle_ms;
        deadline_disarm(&rq->idle);
        if (rq->idle_ms > 0) {
            deadline_arm(&rq->idle, rq->place->loop, rq->idle_ms);
        }
    }
}

/* The view may go before the last retry is decided, so what it needs is copied. */
static void copy_for_later(struct request *rq, const struct route *r)
{
    rq->retry = r->retry;
    if (r->retry.status_count > 0) {
        size_t bytes = r->retry.status_count * sizeof(*r->retry.status_codes);
        uint16_t *codes = arena_alloc(rq->arena, bytes);
        memcpy(codes, r->retry.status_codes, bytes);
        rq->retry.status_codes = codes;
    }
    if (rq->place->log_count > 0 || rq->place->upstream->tap != NULL) {
        rq->route_name = arena_dup(rq->arena, r->name);
    }
    rq->tunnel_ends = rq->head->method_id == METHOD_CONNECT && r->connect_ends;
    rq->priority_high = r->priority_high;
    rq->auto_host = r->auto_host_rewrite;
    rq->count_up = r->attempt_count;
    rq->count_down = r->attempt_count_response;
}

/* Only what the route or the connection manager allows: WebSocket, tunnels by CONNECT. */
static bool is_upgrade_refused(const struct request *rq, const struct route *r)
{
    if (rq->head->method_id == METHOD_CONNECT) {
        return r->connect_off || (!rq->conf->connect && !r->connect);
    }
    return rq->head->upgrade.len > 0 &&
           (r->websocket_off || (!rq->conf->websocket && !r->websocket));
}

static enum step_answer fail(struct request *rq, enum outcome why)
{
    rq->outcome = why;
    return STEP_FAIL;
}

static enum step_answer on_request(struct request *rq)
{
    const struct route *r = rq->route;
    if (r == NULL) {
        metric_add(rq->place->stats->no_route, 1);
        return fail(rq, OUTCOME_NO_ROUTE);
    }
    if (r->action != ROUTE_FORWARD) {
        return answer_directly(rq, r);
    }
    if (is_upgrade_refused(rq, r)) {
        return fail(rq, OUTCOME_UPGRADE_REFUSED);
    }
    rq->cluster = choose_cluster(rq, r);
    if (rq->cluster == NULL) {
        return no_cluster(rq, r);
    }
    cluster_get(rq->cluster);
    take_times(rq, r);
    copy_for_later(rq, r);
    return STEP_NEXT;
}

const struct step step_target = {.name = "target", .on_request = on_request};
